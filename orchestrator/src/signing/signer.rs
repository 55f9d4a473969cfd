//! The signer itself: two keys, a journal, a rate. It decides and signs; the socket is `server`'s.

use super::journal::{Journal, JournalError, Record};
use super::judge::{self, Granted, refuse};
use super::keystore::{KeyRole, KeyStore, KeyStoreError, PublicKey};
use super::protocol::{Answer, Ask, Grounds, Refusal, RefusalCode, Request, Signed, VERSION};
use super::rate::Rate;
use crate::clock::Clock;
use crate::config;
use crate::id::IdSource;
use crate::vault::{MasterKey, MasterKeyError};
use contract::digest::Digest;
use evidence::{dsse, names};
use p256::ecdsa::signature::Signer as _;
use p256::ecdsa::{DerSignature, SigningKey};
use serde::Deserialize;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Ids of requests are ids of rows.
const REQUEST_ID_BYTES_MAX: usize = 128;

/// `signer.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignerConfig {
    /// `[signer]`
    pub signer: SignerSection,
    /// `[master-key]`: the signer's own, another one than the server's.
    pub master_key: config::MasterKey,
    /// `[log]`
    #[serde(default)]
    pub log: config::Log,
}

/// `[signer]`
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SignerSection {
    /// The Unix socket on which it listens.
    pub socket: PathBuf,
    /// Keys and journal.
    pub data_dir: PathBuf,
    /// The uid that the server runs under; another peer is refused.
    pub server_uid: u32,
    /// At most so many signatures a minute.
    #[serde(default = "per_minute")]
    pub signatures_per_minute: usize,
}

/// A run of ten images wants thirty; a hundred a minute is far beyond a busy instance.
fn per_minute() -> usize {
    120
}

/// The signer cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum SignerError {
    /// The master key.
    #[error(transparent)]
    MasterKey(#[from] MasterKeyError),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeyStoreError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Not made yet.
    #[error("there is no {role} key in {folder}: run `sallyport signer init` first")]
    NotMade {
        /// Which.
        role: &'static str,
        /// Where.
        folder: String,
    },
}

impl SignerConfig {
    /// Reads `signer.toml`, `SALLYPORT_SIGNER__SECTION__KEY` over it and `--set` over both.
    pub fn load(place: &config::Place) -> Result<Self, config::ConfigError> {
        Self::load_whole(place).map(|(config, _)| config)
    }

    /// As [`SignerConfig::load`], with where each value came from.
    pub fn load_whole(
        place: &config::Place,
    ) -> Result<(Self, config::Origins), config::ConfigError> {
        let (config, origins): (Self, _) =
            config::read(place, "SALLYPORT_SIGNER", crate::config::environment())?;
        match config.master_key.fault() {
            None => Ok((config, origins)),
            Some(fault) => Err(config::ConfigError(origins.blame(&[fault]))),
        }
    }

    fn keys(&self) -> PathBuf {
        self.signer.data_dir.join("keys")
    }
}

/// Makes the signer's folder, keys and journal; what is there is kept. A master key file that the
/// configuration names and that is not there is made, too.
pub fn init(config: &SignerConfig, ids: &dyn IdSource) -> Result<Vec<PublicKey>, SignerError> {
    if let Some(file) = &config.master_key.file {
        MasterKey::create_file(file, ids)?;
    }
    let master = MasterKey::load(&config.master_key)?;
    let store = KeyStore::open(&config.keys(), &master)?;
    let mut public = Vec::new();
    for role in [KeyRole::Provenance, KeyRole::Release] {
        let key = store.make(role, ids)?;
        public.push(PublicKey::of(role, key.verifying_key())?);
    }
    Journal::open(&config.signer.data_dir.join("journal"))?;
    Ok(public)
}

/// One key with its public half.
struct Held {
    key: SigningKey,
    public: PublicKey,
}

/// The signer, ready.
pub struct Signer {
    provenance: Held,
    release: Held,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    journal: Journal,
    rate: Rate,
}

impl Signer {
    /// Opens keys and journal.
    pub fn open(config: &SignerConfig, clock: Arc<dyn Clock>) -> Result<Self, SignerError> {
        let master = MasterKey::load(&config.master_key)?;
        let store = KeyStore::open(&config.keys(), &master)?;
        let held = |role: KeyRole| -> Result<Held, SignerError> {
            let key = store.key(role)?.ok_or_else(|| SignerError::NotMade {
                role: role.as_str(),
                folder: config.keys().display().to_string(),
            })?;
            let public = PublicKey::of(role, key.verifying_key())?;
            Ok(Held { key, public })
        };
        Ok(Self {
            provenance: held(KeyRole::Provenance)?,
            release: held(KeyRole::Release)?,
            clock,
            state: Mutex::new(State {
                journal: Journal::open(&config.signer.data_dir.join("journal"))?,
                rate: Rate::new(config.signer.signatures_per_minute),
            }),
        })
    }

    /// Answers one request; blocks on the journal's sync.
    pub(super) fn answer(&self, request: Request) -> Answer {
        if request.version != VERSION {
            return Answer::Refused(refuse(
                RefusalCode::BadRequest,
                format!("version {}, this signer speaks {VERSION}", request.version),
            ));
        }
        let result = match request.ask {
            Ask::Keys => {
                return Answer::Keys {
                    keys: vec![self.provenance.public.clone(), self.release.public.clone()],
                };
            }
            Ask::Statement {
                request_id,
                statement,
                manifest,
            } => self.statement(&request_id, &statement, &manifest),
            Ask::Image {
                request_id,
                payload,
                manifest,
                grounds,
            } => self.image(&request_id, &payload, &manifest, &grounds),
            Ask::Unsupported => Err(refuse(
                RefusalCode::BadRequest,
                "a question that this signer does not know",
            )),
        };
        match result {
            Ok(signed) => Answer::Signed(signed),
            Err(refusal) => {
                tracing::warn!(code = ?refusal.code, "refused: {}", refusal.message);
                Answer::Refused(refusal)
            }
        }
    }

    fn statement(&self, id: &str, statement: &[u8], manifest: &[u8]) -> Result<Signed, Refusal> {
        let bytes = dsse::pae(names::IN_TOTO, statement);
        self.once(id, &self.provenance, &bytes, None, |_| {
            judge::statement(statement, manifest)
        })
    }

    fn image(
        &self,
        id: &str,
        payload: &[u8],
        manifest: &[u8],
        grounds: &Grounds,
    ) -> Result<Signed, Refusal> {
        let stored = serde_json::to_string(grounds)
            .map_err(|e| refuse(RefusalCode::BadRequest, e.to_string()))?;
        self.once(id, &self.release, payload, Some(stored), |journal| {
            let built_as = journal.built_as(&Digest::of(manifest));
            judge::image(payload, manifest, grounds, built_as)
        })
    }

    /// Signs once: the same request id for the same bytes gets the journal's signature again.
    fn once(
        &self,
        id: &str,
        held: &Held,
        bytes: &[u8],
        grounds: Option<String>,
        judge: impl FnOnce(&Journal) -> Result<Granted, Refusal>,
    ) -> Result<Signed, Refusal> {
        if id.is_empty() || id.len() > REQUEST_ID_BYTES_MAX {
            return Err(refuse(
                RefusalCode::BadRequest,
                format!("a request id has 1 to {REQUEST_ID_BYTES_MAX} bytes"),
            ));
        }
        let signed_digest = Digest::of(bytes);
        // A panic while it was held left the journal as it was: `append` changes it last.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(record) = state.journal.record(id) {
            if record.signed_digest == signed_digest && record.role == held.public.role {
                return Ok(record.signed());
            }
            return Err(refuse(
                RefusalCode::IdReused,
                format!("request {id} was for something else"),
            ));
        }
        let granted = judge(&state.journal)?;
        let now = self.clock.now();
        if !state.rate.take(now) {
            return Err(refuse(
                RefusalCode::TooFast,
                "this minute's signatures are used up",
            ));
        }
        let signature: DerSignature = held.key.sign(bytes);
        let record = Record {
            version: 1,
            request_id: id.to_owned(),
            at: now.0,
            role: held.public.role,
            key_id: held.public.id.clone(),
            signed_digest,
            subject: granted.subject,
            about: granted.about,
            name: granted.name,
            grounds,
            signature: signature.as_bytes().to_vec(),
        };
        state.journal.append(record).map_err(|error| {
            tracing::error!(error = %error, "the journal cannot be written: nothing is signed");
            refuse(RefusalCode::Journal, error.to_string())
        })
    }
}
