//! Who this worker is: the key made here, the certificate that the orchestrator gave for it, the
//! CA that is the only one believed, and the key by which jobs are checked.
//!
//! Lies in `<data_dir>/identity/`, 0700, every file 0600. The private key never leaves it.

use contract::digest::Digest;
use contract::name::Name;
use contract::protocol::Enrolled;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// No file of an identity is larger; it is read whole.
pub const IDENTITY_FILE_BYTES_MAX: u64 = 64 * 1024;
/// A token is about 200 characters.
pub const TOKEN_BYTES_MAX: usize = 4096;

const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
const CA: &str = "ca.pem";
const ENVELOPE: &str = "envelope.pem";
const INSTANCE: &str = "instance";

/// What went wrong with the identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file could not be read or written.
    #[error("could not use {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// There is none.
    #[error("this worker is not enrolled ({} is missing): run `sallyport-worker enrol`", path.display())]
    NotEnrolled {
        /// The file that was looked for.
        path: PathBuf,
    },
    /// There is one already.
    #[error("this worker is enrolled already: move {} away to enrol it anew", path.display())]
    AlreadyEnrolled {
        /// The folder.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {wanted}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it should hold.
        wanted: &'static str,
    },
    /// The key or the signing request could not be made.
    #[error("could not make a key and its signing request")]
    Make(#[from] rcgen::Error),
}

/// A token's text is not an enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an enrolment token: wanted `sp-enrol.<id>.<secret>.<64 hexadecimal digits>`")]
pub struct InvalidToken;

/// The single-use right to enrol, with the pin of the CA.
pub struct EnrolToken {
    /// `<id>.<secret>`, which is sent.
    pub credential: Zeroizing<String>,
    /// SHA-256 of the CA's public key (SPKI), which is not.
    pub pin: Digest,
}

impl EnrolToken {
    /// Parses the text that `sallyport worker add` printed; surrounding white space is dropped.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        let text = text.trim();
        if text.len() > TOKEN_BYTES_MAX {
            return Err(InvalidToken);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let ["sp-enrol", id, secret, pin] = parts.as_slice() else {
            return Err(InvalidToken);
        };
        if id.is_empty() || secret.is_empty() {
            return Err(InvalidToken);
        }
        Ok(Self {
            credential: Zeroizing::new(format!("{id}.{secret}")),
            pin: Digest::parse_hex(pin).map_err(|_| InvalidToken)?,
        })
    }
}

/// A fresh key with the request for its certificate.
pub struct FreshKey {
    key: Zeroizing<String>,
    /// The PKCS#10 request, PEM.
    pub signing_request: String,
}

impl FreshKey {
    /// Makes a P-256 key and a request in the worker's name.
    pub fn make(name: &Name) -> Result<Self, IdentityError> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, name.to_string());
        let request = params.serialize_request(&key)?.pem()?;
        Ok(Self {
            key: Zeroizing::new(key.serialize_pem()),
            signing_request: request,
        })
    }

    /// Writes the whole identity; the certificate last, so that half an identity is none.
    pub fn store(&self, folder: &Path, enrolled: &Enrolled) -> Result<(), IdentityError> {
        let folder_error = |source| IdentityError::File {
            path: folder.to_owned(),
            source,
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(folder_error)?;
        write(&folder.join(KEY), self.key.as_bytes())?;
        write(&folder.join(CA), enrolled.ca.as_bytes())?;
        write(&folder.join(ENVELOPE), enrolled.envelope_key.as_bytes())?;
        write(&folder.join(INSTANCE), enrolled.instance_id.as_bytes())?;
        write(&folder.join(CERTIFICATE), enrolled.certificate.as_bytes())?;
        fs::File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(folder_error)
    }
}

/// Says no when there is an identity already: its leases and its name would be orphaned.
pub fn refuse_if_enrolled(folder: &Path) -> Result<(), IdentityError> {
    if folder.join(CERTIFICATE).exists() {
        return Err(IdentityError::AlreadyEnrolled {
            path: folder.to_owned(),
        });
    }
    Ok(())
}

/// An enrolled worker's identity.
pub struct Identity {
    /// The private key, PKCS#8 PEM.
    pub key_pem: Zeroizing<String>,
    /// The client certificate.
    pub certificate: CertificateDer<'static>,
    /// The CA's certificate.
    pub ca: CertificateDer<'static>,
    /// The envelope key's public half, SPKI PEM.
    pub envelope_key_pem: String,
    /// The instance that the worker belongs to.
    pub instance_id: String,
}

impl Identity {
    /// Reads what `enrol` stored.
    pub fn load(folder: &Path) -> Result<Self, IdentityError> {
        let key_pem = Zeroizing::new(read(&folder.join(KEY))?);
        let identity = Self {
            certificate: certificate(&folder.join(CERTIFICATE))?,
            ca: certificate(&folder.join(CA))?,
            envelope_key_pem: read(&folder.join(ENVELOPE))?,
            instance_id: read(&folder.join(INSTANCE))?.trim().to_owned(),
            key_pem,
        };
        identity.private_key().map_err(|_| IdentityError::Content {
            path: folder.join(KEY),
            wanted: "a private key in PEM",
        })?;
        Ok(identity)
    }

    /// The private key for TLS.
    pub fn private_key(&self) -> Result<PrivateKeyDer<'static>, rustls::pki_types::pem::Error> {
        PrivateKeyDer::from_pem_slice(self.key_pem.as_bytes())
    }
}

fn certificate(path: &Path) -> Result<CertificateDer<'static>, IdentityError> {
    CertificateDer::from_pem_slice(read(path)?.as_bytes()).map_err(|_| IdentityError::Content {
        path: path.to_owned(),
        wanted: "a certificate in PEM",
    })
}

fn read(path: &Path) -> Result<String, IdentityError> {
    let failed = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            IdentityError::NotEnrolled { path }
        } else {
            IdentityError::File { path, source }
        }
    };
    if fs::metadata(path).map_err(failed)?.len() > IDENTITY_FILE_BYTES_MAX {
        return Err(IdentityError::Content {
            path: path.to_owned(),
            wanted: "a file of an identity: it is too large",
        });
    }
    fs::read_to_string(path).map_err(failed)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let failed = |source| IdentityError::File {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    file.write_all(bytes)
        .and_then(|()| file.sync_all())
        .map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    #[test]
    fn a_token_has_four_parts_and_its_pin_stays_here() {
        let pin = "ab".repeat(32);
        let token = EnrolToken::parse(&format!("sp-enrol.id1.s3cret.{pin}\n")).unwrap();
        assert_eq!(token.credential.as_str(), "id1.s3cret");
        assert_eq!(token.pin.hex(), pin);
        for bad in ["", "sp-enrol.id1.s3cret", "sp-enrol.id1..aa", "x.id1.s.aa"] {
            assert!(EnrolToken::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_identity_reads_back_and_nobody_else_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("identity");
        let fresh = FreshKey::make(&Name::parse("w1").unwrap()).unwrap();
        assert!(fresh.signing_request.contains("CERTIFICATE REQUEST"));
        let key = rcgen::KeyPair::generate().unwrap();
        let own = rcgen::CertificateParams::default()
            .self_signed(&key)
            .unwrap();
        let enrolled = Enrolled {
            certificate: own.pem(),
            ca: own.pem(),
            instance_id: "instance-1".to_owned(),
            envelope_key: key.public_key_pem(),
        };
        assert!(matches!(
            Identity::load(&folder),
            Err(IdentityError::NotEnrolled { .. })
        ));
        fresh.store(&folder, &enrolled).unwrap();
        let identity = Identity::load(&folder).unwrap();
        assert_eq!(identity.instance_id, "instance-1");
        assert!(refuse_if_enrolled(&folder).is_err());
        let mode = fs::metadata(folder.join(KEY)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
