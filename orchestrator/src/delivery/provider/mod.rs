//! What each provider's signature is over, and where it stands. Pure: headers, bytes, keys.
//!
//! *Comes in*: a request's headers and raw bytes, the keys of its hook. *Goes out*: which key signed.
//! *Owns*: how each provider's secret becomes a key.
//! *Never*: a body that is parsed; a comparison whose time depends on a secret.
//! *Before / After*: `http::extract` / `delivery::signed`.

mod git;
mod github;

use super::state::{InvalidSecret, Provider, RefusalReason};
use crate::clock::At;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use zeroize::Zeroizing;

/// During a rotation two secrets hold.
pub(super) const KEYS_MAX: usize = 2;
/// Ids and events of deliveries: what every forge sends is far below.
const TOKEN_CHARS_MAX: usize = 128;

/// What a request claims, read from its headers without trust.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims {
    /// The sender's id of the delivery.
    pub(super) external_id: Option<String>,
    /// The kind of event.
    pub(super) event: Option<String>,
}

/// The key that a provider's secret stands for.
pub(super) fn key(provider: Provider, secret: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSecret> {
    match provider {
        Provider::Github => github::key(secret),
        Provider::Git => git::key(secret),
    }
}

/// The key of a plain repository's secret (`whsec_…`).
pub fn key_of_git(secret: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSecret> {
    git::key(secret)
}

/// The value of `webhook-signature` for a delivery: what our own hook sends.
pub fn sign_git(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    git::sign(key, id, timestamp, body)
}

/// What the headers claim.
pub(super) fn claims(provider: Provider, headers: &HeaderMap) -> Claims {
    match provider {
        Provider::Github => github::claims(headers),
        Provider::Git => git::claims(headers),
    }
}

/// Which of the keys signed this body. All keys are tried, whichever fits.
pub(super) fn verify(
    provider: Provider,
    headers: &HeaderMap,
    body: &[u8],
    keys: [&[u8]; KEYS_MAX],
    now: At,
) -> Result<usize, RefusalReason> {
    match provider {
        Provider::Github => github::verify(headers, body, keys),
        Provider::Git => git::verify(headers, body, keys, now),
    }
}

/// A header that may come once; twice is no better than never.
fn single<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<&'h str, RefusalReason> {
    let mut values = headers.get_all(name).iter();
    let value = values.next().ok_or(RefusalReason::SignatureMissing)?;
    if values.next().is_some() {
        return Err(RefusalReason::SignatureMalformed);
    }
    value
        .to_str()
        .map_err(|_| RefusalReason::SignatureMalformed)
}

/// An id or event: short and printable, or not taken.
fn token(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let text = single(headers, name).ok()?;
    let good = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
    let fits = !text.is_empty() && text.len() <= TOKEN_CHARS_MAX && text.bytes().all(good);
    fits.then(|| text.to_owned())
}

/// HMAC-SHA256 over the parts, compared in constant time with each of the wanted tags.
fn any_tag_fits(key: &[u8], parts: &[&[u8]], wanted: &[Vec<u8>]) -> bool {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    // Not `any`: how many were tried must not show.
    wanted.iter().fold(false, |fits, tag| {
        fits | mac.clone().verify_slice(tag).is_ok()
    })
}

/// The first key that fits; each one is tried.
fn fitting_key(fits: [bool; KEYS_MAX]) -> Result<usize, RefusalReason> {
    fits.iter()
        .position(|fits| *fits)
        .ok_or(RefusalReason::SignatureWrong)
}
