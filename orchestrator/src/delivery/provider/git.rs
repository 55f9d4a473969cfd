//! A plain repository with our own hook, which signs by Standard Webhooks
//! (github.com/standard-webhooks): HMAC-SHA256 over `<id>.<timestamp>.<body>`; id and time are signed.

use super::{Claims, KEYS_MAX, any_tag_fits, fitting_key, single, token};
use crate::clock::At;
use crate::delivery::state::{InvalidSecret, RefusalReason};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName};
use sha2::Sha256;
use zeroize::Zeroizing;

const ID: HeaderName = HeaderName::from_static("webhook-id");
const TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The tolerance of the reference libraries, both ways; the text fixes none.
const TOLERANCE_SECS: i64 = 300;
/// A rotation signs with two keys; a list without end would be work without end.
const SIGNATURES_MAX: usize = 8;

/// `whsec_<base64 of 24 to 64 bytes>`.
pub(super) fn key(secret: &str) -> Result<Zeroizing<Vec<u8>>, InvalidSecret> {
    let encoded = secret.strip_prefix("whsec_").ok_or(InvalidSecret::Form)?;
    let bytes = STANDARD.decode(encoded).map_err(|_| InvalidSecret::Form)?;
    let bytes = Zeroizing::new(bytes);
    if (24..=64).contains(&bytes.len()) {
        Ok(bytes)
    } else {
        Err(InvalidSecret::Form)
    }
}

pub(super) fn claims(headers: &HeaderMap) -> Claims {
    Claims {
        // A dot would let the id's end be moved into the timestamp.
        external_id: token(headers, &ID).filter(|id| !id.contains('.')),
        // The only thing that our hook tells.
        event: Some("push".to_owned()),
    }
}

pub(super) fn verify(
    headers: &HeaderMap,
    body: &[u8],
    keys: [&[u8]; KEYS_MAX],
    now: At,
) -> Result<usize, RefusalReason> {
    let given = read(headers);
    let decoy = ("", "0", vec![vec![0; 32]]);
    let (id, timestamp, tags) = given.as_ref().unwrap_or(&decoy);
    let parts = [id.as_bytes(), b".", timestamp.as_bytes(), b".", body];
    let fits = keys.map(|key| any_tag_fits(key, &parts, tags));
    let (_, timestamp, _) = given?;
    let key = fitting_key(fits)?;
    let signed: i64 = timestamp
        .parse()
        .map_err(|_| RefusalReason::SignatureMalformed)?;
    if now.seconds().abs_diff(signed) > TOLERANCE_SECS.unsigned_abs() {
        return Err(RefusalReason::TimestampOutside);
    }
    Ok(key)
}

type Signed<'h> = (&'h str, &'h str, Vec<Vec<u8>>);

fn read(headers: &HeaderMap) -> Result<Signed<'_>, RefusalReason> {
    let (id, timestamp) = (single(headers, &ID)?, single(headers, &TIMESTAMP)?);
    let list = single(headers, &SIGNATURE)?;
    if id.is_empty() || id.contains('.') {
        return Err(RefusalReason::SignatureMalformed);
    }
    // Other versions in the list are of schemes that we do not ask for.
    let tags = list.split(' ').filter_map(|one| one.strip_prefix("v1,"));
    let tags = tags.map(|tag| STANDARD.decode(tag).ok().filter(|tag| tag.len() == 32));
    let tags: Option<Vec<Vec<u8>>> = tags.take(SIGNATURES_MAX).collect();
    tags.filter(|tags| !tags.is_empty())
        .map(|tags| (id, timestamp, tags))
        .ok_or(RefusalReason::SignatureMalformed)
}

/// The value of `webhook-signature` for a delivery.
pub(super) fn sign(key: &[u8], id: &str, timestamp: i64, body: &[u8]) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID_OF: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = b"{\"test\": 2432232314}";
    const TAG: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: i64 = 1_614_265_330;

    fn try_with(
        id: &[&str],
        time: &[&str],
        tags: &[&str],
        now: i64,
    ) -> Result<usize, RefusalReason> {
        let mut headers = HeaderMap::new();
        for (name, values) in [(ID, id), (TIMESTAMP, time), (SIGNATURE, tags)] {
            for value in values {
                headers.append(name.clone(), value.parse().unwrap());
            }
        }
        let key = key(SECRET).unwrap();
        verify(&headers, BODY, [b"other", &key], At(now * 1_000_000))
    }

    #[test]
    fn the_vector_of_standard_webhooks_verifies_within_five_minutes() {
        use RefusalReason::TimestampOutside;
        let time = SENT.to_string();
        let at = |now| try_with(&[ID_OF], &[&time], &[TAG], now);
        assert_eq!(at(SENT), Ok(1));
        assert_eq!((at(SENT + 300), at(SENT - 300)), (Ok(1), Ok(1)));
        assert_eq!(at(SENT + 301), Err(TimestampOutside));
        assert_eq!(at(SENT - 301), Err(TimestampOutside));
        let list = format!("v1a,AAAA v1,{} {TAG}", STANDARD.encode([7; 32]));
        assert_eq!(try_with(&[ID_OF], &[&time], &[&list], SENT), Ok(1));
        let key = key(SECRET).unwrap();
        assert_eq!(sign(&key, ID_OF, SENT, BODY), TAG);
    }

    #[test]
    fn every_other_form_is_refused() {
        use RefusalReason::{SignatureMalformed as Malformed, SignatureMissing as Missing};
        let time = SENT.to_string();
        let later = (SENT + 1).to_string();
        let try_one = |id: &[&str], time: &[&str], tags: &[&str]| try_with(id, time, tags, SENT);
        assert_eq!(try_one(&[], &[&time], &[TAG]), Err(Missing));
        assert_eq!(try_one(&[ID_OF], &[], &[TAG]), Err(Missing));
        assert_eq!(try_one(&[ID_OF], &[&time], &[]), Err(Missing));
        assert_eq!(try_one(&["a.b"], &[&time], &[TAG]), Err(Malformed));
        assert_eq!(try_one(&[""], &[&time], &[TAG]), Err(Malformed));
        assert_eq!(try_one(&[ID_OF, ID_OF], &[&time], &[TAG]), Err(Malformed));
        for tags in ["", "v1,", "v1,AAAA", "v1,!!!", &TAG[3..], "v2,AAAA"] {
            assert_eq!(
                try_one(&[ID_OF], &[&time], &[tags]),
                Err(Malformed),
                "{tags}"
            );
        }
        let wrong = Err(RefusalReason::SignatureWrong);
        assert_eq!(try_one(&["msg_other"], &[&time], &[TAG]), wrong);
        assert_eq!(try_one(&[ID_OF], &[&later], &[TAG]), wrong);
    }

    #[test]
    fn a_secret_has_its_prefix_and_24_to_64_bytes() {
        assert!(key(SECRET).is_ok());
        for text in [
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_AAAA",
            "whsec_!",
            "",
        ] {
            assert_eq!(key(text).err(), Some(InvalidSecret::Form), "{text}");
        }
    }
}
