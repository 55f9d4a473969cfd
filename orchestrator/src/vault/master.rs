//! The master key: 32 random bytes that live outside the data folder and its backups (DECISIONS 14).

use super::seal::Sealer;
use crate::config;
use crate::id::IdSource;
use hkdf::Hkdf;
use sha2::Sha256;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// 64 hex digits and a line end; more is not a key.
const TEXT_BYTES_MAX: u64 = 256;

/// The master key. It never leaves this type: [`MasterKey::sealer`] derives one key a purpose.
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// The master key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum MasterKeyError {
    /// The file or command.
    #[error("master key: {what}")]
    Read {
        /// What was tried, and how to mend it.
        what: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It came, and is not one.
    #[error("master key from {0}: wanted 64 hexadecimal digits (make one: `openssl rand -hex 32`)")]
    Form(String),
    /// Others could read it.
    #[error("master key file {path}: mode {mode:03o} lets others read it; run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// A command that did not succeed; what it said is not repeated, it may be the key.
    #[error("master key command `{0}` did not succeed")]
    Command(String),
    /// No such variable.
    #[error("master key: the environment has no variable {0}")]
    Variable(String),
    /// Nothing says where it is.
    #[error("[master-key] give exactly one of `file`, `command`, `env`")]
    Nowhere,
}

impl MasterKey {
    /// Takes the key from where the configuration says.
    pub fn load(config: &config::MasterKey) -> Result<Self, MasterKeyError> {
        match (&config.file, &config.command, &config.env) {
            (Some(path), None, None) => Self::of_file(path),
            (None, Some(command), None) => Self::of_command(command),
            (None, None, Some(name)) => {
                let text = Zeroizing::new(
                    std::env::var(name).map_err(|_| MasterKeyError::Variable(name.clone()))?,
                );
                Self::parse(&text, &format!("environment {name}"))
            }
            _ => Err(MasterKeyError::Nowhere),
        }
    }

    /// Makes a new key in a file of its own (mode 0600); a file that is there is left alone.
    /// True when it was made.
    pub fn create_file(path: &Path, ids: &dyn IdSource) -> Result<bool, MasterKeyError> {
        let read = |source| MasterKeyError::Read {
            what: format!("make {}", path.display()),
            source,
        };
        let opened = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let mut file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(false),
            Err(error) => return Err(read(error)),
        };
        let text = Zeroizing::new(format!("{}\n", crate::id::random_hex(ids, 32)));
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(read)?;
        Ok(true)
    }

    /// The sealer of one purpose (`keys`, `hook-secrets`): what one purpose sealed no other opens.
    pub fn sealer(&self, purpose: &str) -> Sealer {
        let mut key = Zeroizing::new([0_u8; 32]);
        let hkdf = Hkdf::<Sha256>::new(None, &*self.0);
        #[expect(
            clippy::expect_used,
            reason = "32 bytes are far below what HKDF can give"
        )]
        hkdf.expand(format!("sallyport/{purpose}/v1").as_bytes(), &mut *key)
            .expect("HKDF gives 32 bytes");
        Sealer::new(&key)
    }

    fn of_file(path: &Path) -> Result<Self, MasterKeyError> {
        let shown = path.display().to_string();
        let read = |source| MasterKeyError::Read {
            what: format!("read {shown}"),
            source,
        };
        let file = std::fs::File::open(path).map_err(read)?;
        let mode = file.metadata().map_err(read)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(MasterKeyError::Open { path: shown, mode });
        }
        let mut text = Zeroizing::new(String::new());
        file.take(TEXT_BYTES_MAX)
            .read_to_string(&mut text)
            .map_err(read)?;
        Self::parse(&text, &shown)
    }

    fn of_command(command: &[String]) -> Result<Self, MasterKeyError> {
        let [program, arguments @ ..] = command else {
            return Err(MasterKeyError::Nowhere);
        };
        let output = std::process::Command::new(program)
            .args(arguments)
            .stdin(std::process::Stdio::null())
            .stderr(std::process::Stdio::inherit())
            .output()
            .map_err(|source| MasterKeyError::Read {
                what: format!("start `{program}`"),
                source,
            })?;
        let text = Zeroizing::new(output.stdout);
        if !output.status.success() {
            return Err(MasterKeyError::Command(program.clone()));
        }
        let text = std::str::from_utf8(&text).unwrap_or_default();
        Self::parse(text, &format!("command `{program}`"))
    }

    fn parse(text: &str, from: &str) -> Result<Self, MasterKeyError> {
        let mut key = Zeroizing::new([0; 32]);
        hex::decode_to_slice(text.trim(), &mut *key)
            .map_err(|_| MasterKeyError::Form(from.to_owned()))?;
        Ok(Self(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::id::SystemIds;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Arc;

    fn config(file: Option<&Path>, command: Option<&[&str]>) -> config::MasterKey {
        config::MasterKey {
            file: file.map(Path::to_owned),
            command: command.map(|words| words.iter().map(|w| (*w).to_owned()).collect()),
            env: None,
        }
    }

    #[test]
    fn one_key_opens_what_it_sealed_from_file_and_command_alike() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        let ids = SystemIds::new(Arc::new(SystemClock));
        assert!(MasterKey::create_file(&path, &ids).unwrap());
        assert!(!MasterKey::create_file(&path, &ids).unwrap(), "left alone");
        let of_file = MasterKey::load(&config(Some(&path), None)).unwrap();
        let sealed = of_file.sealer("keys").seal(&ids, "log", b"secret");
        let cat = ["cat", path.to_str().unwrap()];
        let of_command = MasterKey::load(&config(None, Some(&cat))).unwrap();
        let opened = of_command.sealer("keys").open("log", &sealed).unwrap();
        assert_eq!(*opened, b"secret");
        assert!(of_file.sealer("hook-secrets").open("log", &sealed).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_way_to_mend_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master.key");
        std::fs::write(&path, "00".repeat(32)).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let Err(error) = MasterKey::load(&config(Some(&path), None)) else {
            panic!("accepted");
        };
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused_without_repeating_it() {
        let almost = "0f".repeat(31);
        let Err(error) = MasterKey::load(&config(None, Some(&["echo", &almost]))) else {
            panic!("accepted");
        };
        assert!(!error.to_string().contains(&almost), "{error}");
        assert!(MasterKey::load(&config(None, Some(&["false"]))).is_err());
        assert!(MasterKey::load(&config(None, None)).is_err());
    }
}
