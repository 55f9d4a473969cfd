//! Keys at rest: one P-256 key a role, PKCS#8 sealed under the master key, in a folder of mode 0700
//! with files of mode 0600 (DECISIONS 14).

use crate::id::IdSource;
use crate::vault::{MasterKey, SEAL_OVERHEAD, Sealer};
use evidence::keys;
use p256::ecdsa::{SigningKey, VerifyingKey};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _};
use serde::{Deserialize, Serialize};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// A P-256 key in PKCS#8 is 138 bytes; a larger file is something else.
const KEY_BYTES_MAX: u64 = 4_096;

/// What a key is for; one role a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeyRole {
    /// All in-toto statements; only in the signer.
    Provenance,
    /// Image signatures; only in the signer.
    Release,
    /// The audit log's checkpoints.
    Log,
    /// Jobs and settings versions.
    Envelope,
    /// The registry's tokens.
    Registry,
    /// The certificate authority of workers.
    Ca,
}

/// The public half of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    /// What it is for.
    pub role: KeyRole,
    /// First 16 hex of SHA-256(SPKI).
    pub id: String,
    /// SubjectPublicKeyInfo as PEM.
    pub pem: String,
}

/// A folder of keys and the right to open them.
pub struct KeyStore {
    folder: PathBuf,
    sealer: Sealer,
}

/// A key cannot be made or had.
#[derive(Debug, thiserror::Error)]
pub enum KeyStoreError {
    /// The folder or a file.
    #[error("{what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others could read it.
    #[error("{path}: mode {mode:03o} lets others in; run `chmod {wanted:o} {path}`")]
    Open {
        /// The file or folder.
        path: String,
        /// Its mode.
        mode: u32,
        /// The mode it should have.
        wanted: u32,
    },
    /// Not sealed by this master key.
    #[error("the {role} key")]
    Unsealable {
        /// Which.
        role: &'static str,
        /// Why.
        #[source]
        source: crate::vault::Unsealable,
    },
    /// Opened, and not a P-256 key.
    #[error("the {role} key is not a P-256 key in PKCS#8: {problem}")]
    Form {
        /// Which.
        role: &'static str,
        /// Why.
        problem: String,
    },
}

impl KeyRole {
    /// The stored word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Provenance => "provenance",
            Self::Release => "release",
            Self::Log => "log",
            Self::Envelope => "envelope",
            Self::Registry => "registry",
            Self::Ca => "ca",
        }
    }
}

impl PublicKey {
    /// The public half of a key in a role.
    pub fn of(role: KeyRole, key: &VerifyingKey) -> Result<Self, KeyStoreError> {
        let form = |e: keys::InvalidKey| KeyStoreError::Form {
            role: role.as_str(),
            problem: e.to_string(),
        };
        Ok(Self {
            role,
            id: keys::key_id(key).map_err(form)?,
            pem: keys::to_pem(key).map_err(form)?,
        })
    }

    /// SubjectPublicKeyInfo in DER, as the table `key` keeps it.
    pub fn spki(&self) -> Result<Vec<u8>, keys::InvalidKey> {
        keys::spki_der(&keys::from_pem(&self.pem)?)
    }
}

impl KeyStore {
    /// A store in `folder`, made (mode 0700) when it is not there.
    pub fn open(folder: &Path, master: &MasterKey) -> Result<Self, KeyStoreError> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(|source| file_error("make the folder", folder, source))?;
        let meta = std::fs::metadata(folder)
            .map_err(|source| file_error("look at the folder", folder, source))?;
        private(folder, meta.mode(), 0o700)?;
        Ok(Self {
            folder: folder.to_owned(),
            sealer: master.sealer("keys"),
        })
    }

    /// Makes the key of a role and stores it durably; one that is there already is kept and given.
    pub fn make(&self, role: KeyRole, ids: &dyn IdSource) -> Result<SigningKey, KeyStoreError> {
        if let Some(key) = self.key(role)? {
            return Ok(key);
        }
        let key = random_key(ids);
        self.store(role, &key, ids)?;
        Ok(key)
    }

    /// The key of a role, when there is one.
    pub fn key(&self, role: KeyRole) -> Result<Option<SigningKey>, KeyStoreError> {
        let path = self.path(role);
        let mut file = match std::fs::File::open(&path) {
            Ok(file) => file.take(KEY_BYTES_MAX),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(file_error("open", &path, source)),
        };
        let read = |source| file_error("read", &path, source);
        let mode = file.get_ref().metadata().map_err(read)?.mode();
        private(&path, mode, 0o600)?;
        let mut sealed = Vec::with_capacity(256 + SEAL_OVERHEAD);
        file.read_to_end(&mut sealed).map_err(read)?;
        let der = self
            .sealer
            .open(&context(role), &sealed)
            .map_err(|source| KeyStoreError::Unsealable {
                role: role.as_str(),
                source,
            })?;
        let key = SigningKey::from_pkcs8_der(&der).map_err(|e| KeyStoreError::Form {
            role: role.as_str(),
            problem: e.to_string(),
        })?;
        Ok(Some(key))
    }

    /// Written beside, synced, then renamed: a crash leaves the old state or the new one.
    fn store(
        &self,
        role: KeyRole,
        key: &SigningKey,
        ids: &dyn IdSource,
    ) -> Result<(), KeyStoreError> {
        let der = key.to_pkcs8_der().map_err(|e| KeyStoreError::Form {
            role: role.as_str(),
            problem: e.to_string(),
        })?;
        let sealed = self.sealer.seal(ids, &context(role), der.as_bytes());
        let (path, beside) = (
            self.path(role),
            self.folder.join(format!("{}.new", role.as_str())),
        );
        let write = || -> std::io::Result<()> {
            let mut file = std::fs::OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&beside)?;
            file.write_all(&sealed)?;
            file.sync_all()?;
            std::fs::rename(&beside, &path)?;
            std::fs::File::open(&self.folder)?.sync_all()
        };
        write().map_err(|source| file_error("write", &path, source))
    }

    fn path(&self, role: KeyRole) -> PathBuf {
        self.folder.join(format!("{}.key", role.as_str()))
    }
}

fn context(role: KeyRole) -> String {
    format!("key:{}", role.as_str())
}

/// A scalar below the group's order: of 2³² draws one is not, and is drawn again.
fn random_key(ids: &dyn IdSource) -> SigningKey {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    loop {
        ids.random(&mut *bytes);
        if let Ok(key) = SigningKey::from_slice(&*bytes) {
            return key;
        }
    }
}

fn private(path: &Path, mode: u32, wanted: u32) -> Result<(), KeyStoreError> {
    let mode = mode & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    Err(KeyStoreError::Open {
        path: path.display().to_string(),
        mode,
        wanted,
    })
}

fn file_error(what: &'static str, path: &Path, source: std::io::Error) -> KeyStoreError {
    KeyStoreError::File {
        what,
        path: path.display().to_string(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::config;
    use crate::id::SystemIds;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    fn ids() -> SystemIds {
        SystemIds::new(Arc::new(SystemClock))
    }

    fn master(digit: &str) -> MasterKey {
        MasterKey::load(&config::MasterKey {
            file: None,
            command: Some(vec!["echo".to_owned(), digit.repeat(64)]),
            env: None,
        })
        .unwrap()
    }

    #[test]
    fn a_key_is_made_once_and_lies_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("keys");
        let store = KeyStore::open(&at, &master("a")).unwrap();
        assert!(store.key(KeyRole::Release).unwrap().is_none());
        let made = store.make(KeyRole::Release, &ids()).unwrap();
        let again = KeyStore::open(&at, &master("a")).unwrap();
        assert_eq!(again.make(KeyRole::Release, &ids()).unwrap(), made);
        let bytes = std::fs::read(at.join("release.key")).unwrap();
        let scalar = made.to_bytes();
        assert!(!bytes.windows(32).any(|window| window == scalar.as_slice()));
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&at), mode(&at.join("release.key"))), (0o700, 0o600));
    }

    #[test]
    fn another_master_key_another_role_or_an_open_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("keys");
        let store = KeyStore::open(&at, &master("a")).unwrap();
        store.make(KeyRole::Release, &ids()).unwrap();
        let other = KeyStore::open(&at, &master("b")).unwrap();
        assert!(matches!(
            other.key(KeyRole::Release),
            Err(KeyStoreError::Unsealable { .. })
        ));
        std::fs::copy(at.join("release.key"), at.join("log.key")).unwrap();
        assert!(matches!(
            store.key(KeyRole::Log),
            Err(KeyStoreError::Unsealable { .. })
        ));
        let path = at.join("release.key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(
            store.key(KeyRole::Release),
            Err(KeyStoreError::Open { .. })
        ));
    }
}
