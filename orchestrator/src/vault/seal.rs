//! Sealing: XChaCha20-Poly1305 with a random nonce; the context is authenticated with it, so that a
//! sealed secret moved to another row does not open.
//!
//! Format, version 1: the byte 1, 24 bytes of nonce, ciphertext and tag.

use crate::id::IdSource;
use chacha20poly1305::aead::{Aead as _, Payload};
use chacha20poly1305::{KeyInit as _, XChaCha20Poly1305};
use zeroize::Zeroizing;

/// The format's version, its first byte.
const VERSION: u8 = 1;
const NONCE_BYTES: usize = 24;
/// By how much sealed bytes are longer than clear ones.
pub const SEAL_OVERHEAD: usize = 1 + NONCE_BYTES + 16;

/// Seals and opens for one purpose.
#[derive(Clone)]
pub struct Sealer {
    cipher: XChaCha20Poly1305,
}

/// Sealed under another key, for another purpose or context, or damaged: which of them cannot be
/// told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{context} cannot be opened: another master key sealed it, or it is damaged")]
pub struct Unsealable {
    context: String,
}

impl Sealer {
    pub(super) fn new(key: &[u8; 32]) -> Self {
        Self {
            cipher: XChaCha20Poly1305::new(key.into()),
        }
    }

    /// Seals; `context` says whose secret it is (`hook-secret:<id>`).
    pub fn seal(&self, ids: &dyn IdSource, context: &str, clear: &[u8]) -> Vec<u8> {
        let mut nonce = [0_u8; NONCE_BYTES];
        ids.random(&mut nonce);
        let payload = Payload {
            msg: clear,
            aad: context.as_bytes(),
        };
        #[expect(
            clippy::expect_used,
            reason = "only a message of 256 GiB does not fit, and all of ours are bounded"
        )]
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), payload)
            .expect("a short message can be sealed");
        let mut bytes = Vec::with_capacity(clear.len() + SEAL_OVERHEAD);
        bytes.push(VERSION);
        bytes.extend_from_slice(&nonce);
        bytes.extend_from_slice(&sealed);
        bytes
    }

    /// Opens what was sealed in the same context.
    pub fn open(&self, context: &str, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let unsealable = || Unsealable {
            context: context.to_owned(),
        };
        let Some((&VERSION, rest)) = sealed.split_first() else {
            return Err(unsealable());
        };
        let (nonce, ciphertext) = rest
            .split_first_chunk::<NONCE_BYTES>()
            .ok_or_else(unsealable)?;
        let payload = Payload {
            msg: ciphertext,
            aad: context.as_bytes(),
        };
        self.cipher
            .decrypt(nonce.into(), payload)
            .map(Zeroizing::new)
            .map_err(|_| unsealable())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::id::SystemIds;
    use std::sync::Arc;

    #[test]
    fn a_secret_opens_in_its_own_context_only_and_only_whole() {
        let ids = SystemIds::new(Arc::new(SystemClock));
        let sealer = Sealer::new(&[5; 32]);
        let sealed = sealer.seal(&ids, "hook-secret:a", b"s3cret");
        assert_eq!(sealed.len(), 6 + SEAL_OVERHEAD);
        assert_eq!(*sealer.open("hook-secret:a", &sealed).unwrap(), b"s3cret");
        assert!(sealer.open("hook-secret:b", &sealed).is_err());
        for at in [0, 1, 30, sealed.len() - 1] {
            let mut damaged = sealed.clone();
            damaged[at] ^= 1;
            assert!(sealer.open("hook-secret:a", &damaged).is_err(), "{at}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open("hook-secret:a", &sealed[..length]).is_err());
        }
    }

    /// The format is stored: bytes sealed by an older version must open for ever.
    #[test]
    fn what_the_first_version_sealed_still_opens() {
        let sealed = hex::decode(GOLDEN).unwrap();
        assert_eq!(
            *Sealer::new(&[5; 32]).open("golden", &sealed).unwrap(),
            b"golden"
        );
    }

    const GOLDEN: &str = "016fef0529d081d03dc075f0e388fed33b21cd7baf00e10d9b5eff6b18e44d5fae8d0fd4d2c2214506800903586c0f";
}
