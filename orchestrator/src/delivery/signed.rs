//! A body whose signature holds: a value that only a verified request becomes.

use super::hook::Hook;
use super::intake::Intake;
use super::provider::{self, Claims, KEYS_MAX};
use super::state::{Provider, RefusalReason};
use crate::network::mapped;
use bytes::Bytes;
use contract::digest::Digest;
use http::{HeaderMap, HeaderName, header};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// All stored headers together; forges send about 1 KiB.
const HEADERS_BYTES_MAX: usize = 8 * 1024;
/// Headers that may hold a credential of somebody: their value is not kept.
const REDACTED: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
];

/// A request at a hook, whole and unverified.
pub struct Request<'r> {
    /// The hook that its path names.
    pub hook_id: &'r str,
    /// Its headers.
    pub headers: &'r HeaderMap,
    /// Its raw bytes, or why they are not all here.
    pub body: Result<Bytes, RefusalReason>,
    /// Where it came from.
    pub address: IpAddr,
}

/// A body with a signature that holds for a secret of its hook. The fields are private: nothing but
/// [`SignedBody::verify`] makes one.
pub struct SignedBody {
    pub(super) hook: Arc<Hook>,
    pub(super) secret_id: String,
    pub(super) external_id: String,
    pub(super) event: String,
    pub(super) headers: String,
    pub(super) body: Bytes,
    pub(super) body_digest: Digest,
    pub(super) address: Ipv6Addr,
}

/// A request that was refused; it knows nothing of the body but its hash.
#[derive(Clone)]
pub struct Refused {
    pub(super) reason: RefusalReason,
    pub(super) hook: Option<Arc<Hook>>,
    pub(super) claims: Claims,
    pub(super) body: Option<(Digest, usize)>,
    pub(super) address: Ipv6Addr,
}

impl Refused {
    /// Why.
    pub fn reason(&self) -> RefusalReason {
        self.reason
    }
}

impl SignedBody {
    /// Verifies a request: the provider's real signature over the raw bytes, in constant time. An
    /// unknown hook costs the same work as a wrong signature.
    pub async fn verify(intake: &Intake, request: Request<'_>) -> Result<Self, Refused> {
        if let Err(error) = intake.refresh().await {
            // The hooks of a moment ago are good enough; storing will say that the database is away.
            tracing::warn!(error = %error, "the hooks could not be read again");
        }
        let hook = intake.hook(request.hook_id);
        let provider = hook.as_ref().map_or(Provider::Github, |hook| hook.provider);
        let claims = provider::claims(provider, request.headers);
        let address = mapped(request.address);
        let refused = |reason, hook, claims, body| Refused {
            reason,
            hook,
            claims,
            body,
            address,
        };
        let body = match request.body {
            Ok(body) => body,
            Err(reason) => return Err(refused(reason, hook, claims, None)),
        };
        let known = Some((Digest::of(&body), body.len()));
        let signed_by = secret_of(intake, hook.as_deref(), provider, request.headers, &body);
        let Some(hook) = hook else {
            return Err(refused(RefusalReason::UnknownHook, None, claims, known));
        };
        let secret_id = match signed_by {
            Ok(secret_id) => secret_id,
            Err(reason) => return Err(refused(reason, Some(hook), claims, known)),
        };
        let (Some(external_id), Some(event)) = (claims.external_id.clone(), claims.event.clone())
        else {
            let reason = RefusalReason::DeliveryIdMalformed;
            return Err(refused(reason, Some(hook), claims, known));
        };
        if body.is_empty() {
            let reason = RefusalReason::BodyEmpty;
            return Err(refused(reason, Some(hook), claims, known));
        }
        Ok(Self {
            hook,
            secret_id,
            external_id,
            event,
            headers: kept(request.headers),
            body_digest: Digest::of(&body),
            body,
            address,
        })
    }

    /// The same request, refused for what the store found out.
    pub(super) fn refused(&self, reason: RefusalReason) -> Refused {
        Refused {
            reason,
            hook: Some(Arc::clone(&self.hook)),
            claims: Claims {
                external_id: Some(self.external_id.clone()),
                event: Some(self.event.clone()),
            },
            body: Some((self.body_digest, self.body.len())),
            address: self.address,
        }
    }
}

/// The id of the secret that signed; always as much work as two secrets are.
fn secret_of(
    intake: &Intake,
    hook: Option<&Hook>,
    provider: Provider,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<String, RefusalReason> {
    let now = intake.ground().now();
    let secrets = hook.map_or(&[][..], |hook| &hook.secrets);
    let mut holding = secrets
        .iter()
        .filter(|secret| secret.until.is_none_or(|until| now < until));
    let tried: [_; KEYS_MAX] = [holding.next(), holding.next()];
    let keys = tried.map(|secret| secret.map_or(intake.decoy(), |secret| secret.key.as_slice()));
    let key = provider::verify(provider, headers, body, keys, now)?;
    let secret = tried.get(key).copied().flatten();
    secret
        .map(|secret| secret.id.clone())
        .ok_or(RefusalReason::SignatureWrong)
}

/// The headers as JSON `[[name, value], …]`, without credentials, up to a limit.
fn kept(headers: &HeaderMap) -> String {
    let mut bytes = 0;
    let mut kept: Vec<(&str, &str)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let value = match value.to_str() {
            _ if REDACTED.contains(name) => "(not kept)",
            Ok(text) => text,
            Err(_) => "(not text)",
        };
        bytes += name.as_str().len() + value.len();
        if bytes > HEADERS_BYTES_MAX {
            kept.push(("…", "(more than is kept)"));
            break;
        }
        kept.push((name.as_str(), value));
    }
    // Pairs of texts: serde_json cannot fail on them.
    serde_json::to_string(&kept).unwrap_or_default()
}
