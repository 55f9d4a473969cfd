//! The registry's token service: short ES256 tokens for exact rights (DECISIONS 27).
//!
//! The form is the distribution project's "Token Authentication Specification": a JWT whose `access`
//! claim lists repositories and actions. `aud` is one text (a list is refused), `exp` an integer.

use crate::clock::At;
use crate::id::IdSource;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
use p256::pkcs8::EncodePublicKey as _;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::time::Duration;

/// How long a token lasts: asked for right before each use, so minutes are enough.
pub const TOKEN_LIFETIME: Duration = Duration::from_secs(300);

/// A right in one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Access {
    #[serde(rename = "type")]
    kind: &'static str,
    name: String,
    actions: Vec<&'static str>,
}

impl Access {
    /// Reading; `path` is the repository without its registry.
    pub fn pull(path: &str) -> Self {
        Self {
            kind: "repository",
            name: path.to_owned(),
            actions: vec!["pull"],
        }
    }

    /// Writing; the registry wants both words for a push.
    pub fn push(path: &str) -> Self {
        Self {
            kind: "repository",
            name: path.to_owned(),
            actions: vec!["pull", "push"],
        }
    }
}

/// Issues tokens. The key is the instance's registry key; the registry knows its certificate.
pub struct Issuer {
    key: SigningKey,
    kid: String,
    issuer: String,
    service: String,
}

#[derive(Serialize)]
struct Header<'a> {
    typ: &'static str,
    alg: &'static str,
    kid: &'a str,
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    nbf: i64,
    iat: i64,
    jti: String,
    access: &'a [Access],
}

impl Issuer {
    /// `issuer` is the instance id, `service` the registry's name.
    pub fn new(key: SigningKey, issuer: &str, service: &str) -> Result<Self, super::RegistryError> {
        let spki = key
            .verifying_key()
            .to_public_key_der()
            .map_err(|e| super::RegistryError::Setup(format!("the registry key: {e}")))?;
        Ok(Self {
            key,
            kid: libtrust_kid(spki.as_bytes()),
            issuer: issuer.to_owned(),
            service: service.to_owned(),
        })
    }

    /// The registry's name, as tokens are for it.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// A token with these rights, from now for `lifetime`; `subject` is who shows in the registry's
    /// events.
    pub fn issue(
        &self,
        now: At,
        ids: &dyn IdSource,
        subject: &str,
        access: &[Access],
        lifetime: Duration,
    ) -> String {
        let header = Header {
            typ: "JWT",
            alg: "ES256",
            kid: &self.kid,
        };
        let claims = Claims {
            iss: &self.issuer,
            sub: subject,
            aud: &self.service,
            exp: now.plus(lifetime).seconds(),
            nbf: now.seconds(),
            iat: now.seconds(),
            jti: ids.uuid().to_string(),
            access,
        };
        // Plain structs of text and numbers: serde_json cannot fail on them.
        let part = |bytes: Vec<u8>| URL_SAFE_NO_PAD.encode(bytes);
        let head = part(serde_json::to_vec(&header).unwrap_or_default());
        let body = part(serde_json::to_vec(&claims).unwrap_or_default());
        let signed = format!("{head}.{body}");
        let signature: Signature = self.key.sign(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.to_bytes()))
    }
}

/// libtrust's key id: the first 30 bytes of SHA-256(SPKI) in base32, in twelve groups of four.
pub fn libtrust_kid(spki_der: &[u8]) -> String {
    const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let hash = Sha256::digest(spki_der);
    let mut text = String::new();
    for group in hash[..30].chunks(5) {
        let bits = group
            .iter()
            .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        for index in (0..8).rev() {
            let value = usize::try_from(bits >> (index * 5) & 31).unwrap_or(0);
            text.push(char::from(ALPHABET[value]));
        }
    }
    let groups: Vec<&str> = (0..text.len())
        .step_by(4)
        .map(|at| &text[at..(at + 4).min(text.len())])
        .collect();
    groups.join(":")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SteppedClock;
    use crate::id::SystemIds;
    use p256::ecdsa::signature::Verifier as _;
    use std::sync::Arc;

    #[test]
    fn a_token_says_exactly_what_it_permits_and_for_how_long() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let public = *key.verifying_key();
        let issuer = Issuer::new(key, "instance", "127.0.0.1:5000").unwrap();
        let now = At(1_790_000_000_000_000);
        let ids = SystemIds::new(Arc::new(SteppedClock::new(now)));
        let access = [Access::push("quarantine/shop/web")];
        let token = issuer.issue(now, &ids, "worker(w1)", &access, TOKEN_LIFETIME);
        let parts: Vec<&str> = token.split('.').collect();
        let claims: serde_json::Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        assert_eq!(claims["aud"], "127.0.0.1:5000");
        assert_eq!(claims["exp"], 1_790_000_300);
        assert_eq!(
            claims["access"][0]["actions"],
            serde_json::json!(["pull", "push"])
        );
        let signature = Signature::from_slice(&URL_SAFE_NO_PAD.decode(parts[2]).unwrap()).unwrap();
        public
            .verify(format!("{}.{}", parts[0], parts[1]).as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn a_key_id_is_twelve_groups_of_four() {
        let kid = libtrust_kid(b"any key");
        assert_eq!(kid.split(':').count(), 12);
        assert!(kid.split(':').all(|group| group.len() == 4), "{kid}");
    }
}
