//! The server's own keys: envelope, registry, CA. The signer's are not among them.

use super::state::InstanceError;
use crate::clock::At;
use crate::fleet;
use crate::id::IdSource;
use crate::signing::{KeyRole, KeyStore, PublicKey};
use crate::vault::MasterKey;
use p256::ecdsa::SigningKey;
use std::path::{Path, PathBuf};

/// The certificate of the key that signs registry tokens: the registry's `rootcertbundle`.
pub const REGISTRY_CERTIFICATE: &str = "registry-token.pem";
const ROLES: [KeyRole; 3] = [KeyRole::Envelope, KeyRole::Registry, KeyRole::Ca];

/// The keys, opened.
pub struct ServerKeys {
    /// CA and envelope key.
    pub fleet: fleet::Keys,
    /// Signs the registry's tokens.
    pub registry: SigningKey,
}

impl ServerKeys {
    /// Opens the keys that init made.
    pub fn load(data_dir: &Path, master: &MasterKey) -> Result<Self, InstanceError> {
        let store = KeyStore::open(&data_dir.join("keys"), master)?;
        let key = |role: KeyRole| store.key(role)?.ok_or(InstanceError::NoKey(role.as_str()));
        let path = data_dir.join(fleet::ca::CERTIFICATE_FILE);
        let certificate = std::fs::read_to_string(&path).map_err(|source| InstanceError::File {
            what: "read",
            path,
            source,
        })?;
        let ca = key(KeyRole::Ca)?;
        Ok(Self {
            fleet: fleet::Keys::load(&ca, &certificate, key(KeyRole::Envelope)?)?,
            registry: key(KeyRole::Registry)?,
        })
    }
}

/// Makes what is missing; a second call after a crash finishes the first.
pub(super) fn make(
    data_dir: &Path,
    master: &MasterKey,
    instance_id: &str,
    now: At,
    ids: &dyn IdSource,
) -> Result<Vec<PublicKey>, InstanceError> {
    let store = KeyStore::open(&data_dir.join("keys"), master)?;
    let mut public = Vec::with_capacity(ROLES.len());
    for role in ROLES {
        let key = store.make(role, ids)?;
        public.push(PublicKey::of(role, key.verifying_key())?);
        let certificate = match role {
            KeyRole::Ca => Some((
                fleet::ca::CERTIFICATE_FILE,
                format!("Sallyport workers of {instance_id}"),
            )),
            KeyRole::Registry => Some((
                REGISTRY_CERTIFICATE,
                format!("Sallyport registry tokens of {instance_id}"),
            )),
            KeyRole::Envelope | KeyRole::Log | KeyRole::Provenance | KeyRole::Release => None,
        };
        if let Some((file, name)) = certificate {
            let path = data_dir.join(file);
            if !path.exists() {
                let pem = fleet::ca::certify(&key, &name, now)?;
                write_beside(&path, &pem)?;
            }
        }
    }
    Ok(public)
}

/// A certificate is half written never: beside, synced, renamed.
fn write_beside(path: &PathBuf, text: &str) -> Result<(), InstanceError> {
    let beside = path.with_extension("new");
    let write = || -> std::io::Result<()> {
        std::fs::write(&beside, text)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, path)
    };
    write().map_err(|source| InstanceError::File {
        what: "write",
        path: path.clone(),
        source,
    })
}
