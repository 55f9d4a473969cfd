//! What a worker is.

use crate::clock::At;
use crate::db;
use contract::level::Level;
use contract::name::Name;
use contract::protocol::Isolation;

crate::id_type!(
    /// A worker.
    WorkerId
);
crate::id_type!(
    /// An enrolment token.
    EnrolmentTokenId
);

/// A worker that was let in.
#[derive(Debug, Clone)]
pub struct Worker {
    /// Its id.
    pub id: WorkerId,
    /// Its name.
    pub name: Name,
    /// Its public key (SPKI, DER): it signs the worker's reports.
    pub public: Vec<u8>,
    /// Whether it may work.
    pub standing: Standing,
    /// The most that it may claim of how it holds containers apart.
    pub granted: Level,
    /// What it said of itself at its last start; none before its first hello.
    pub capability: Option<Capability>,
    /// When it was let in.
    pub enrolled_at: At,
    /// When it was last heard of.
    pub seen_at: Option<At>,
}

/// Whether a worker may work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It leases steps.
    Active,
    /// It ends what it has and gets nothing new.
    Drained {
        /// Since when.
        at: At,
    },
    /// It is refused at the door.
    Revoked {
        /// Since when.
        at: At,
    },
}

/// What a worker said of itself at its last start.
#[derive(Debug, Clone)]
pub struct Capability {
    /// Its program's version.
    pub version: String,
    /// What is believed of that: no more than was granted.
    pub level: Level,
    /// What its self-test found, in its own words.
    pub isolation: Isolation,
    /// How many steps it works on at once.
    pub slots: u32,
}

/// What could not be done about workers.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database did not do it.
    #[error("fleet")]
    Db(#[from] db::Error),
    /// A certificate or key could not be made or read.
    #[error("certificate of {what}")]
    Certificate {
        /// Whose.
        what: &'static str,
        /// Why.
        #[source]
        source: rcgen::Error,
    },
    /// The entrance's TLS could not be set up.
    #[error("tls of the worker entrance")]
    Tls(#[source] rustls::Error),
    /// The verifier of client certificates could not be set up.
    #[error("verifier of the workers' certificates")]
    Verifier(#[source] rustls::server::VerifierBuilderError),
    /// A job could not be signed.
    #[error("sign a job")]
    Sign(#[source] evidence::dsse::DsseError),
    /// The bytes are not a P-256 key in PKCS#8.
    #[error("{0} is not a P-256 key in PKCS#8")]
    Key(&'static str),
}
