//! The keys that the worker entrance works with, loaded once at the start.

use super::ca::{self, Ca};
use super::envelope::EnvelopeKey;
use super::state::Error;
use p256::ecdsa::SigningKey;

/// CA and envelope key of this instance.
pub struct Keys {
    /// Signs certificates.
    pub ca: Ca,
    /// Signs jobs.
    pub envelope: EnvelopeKey,
}

impl Keys {
    /// Takes both keys from the keystore; the CA's certificate is PEM.
    pub fn load(ca: &SigningKey, certificate: &str, envelope: SigningKey) -> Result<Self, Error> {
        Ok(Self {
            ca: ca::load(ca, certificate)?,
            envelope: EnvelopeKey::new(envelope)?,
        })
    }
}
