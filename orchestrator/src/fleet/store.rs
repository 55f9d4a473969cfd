//! All SQL of the workers' tables.

use super::state::{Capability, EnrolmentTokenId, Standing, Worker, WorkerId};
use crate::clock::At;
use crate::db::{Conn, Error};
use contract::digest::Digest;
use contract::level::Level;
use contract::name::Name;
use contract::protocol::Hello;

#[derive(sqlx::FromRow)]
struct WorkerRow {
    id: String,
    name: String,
    public: Vec<u8>,
    granted_level: String,
    version: Option<String>,
    level: Option<String>,
    isolation: Option<String>,
    slots: Option<i64>,
    enrolled_at: i64,
    seen_at: Option<i64>,
    drained_at: Option<i64>,
    revoked_at: Option<i64>,
}

impl TryFrom<WorkerRow> for Worker {
    type Error = Error;
    fn try_from(row: WorkerRow) -> Result<Self, Error> {
        let WorkerRow {
            id,
            name,
            public,
            granted_level,
            version,
            level,
            isolation,
            slots,
            enrolled_at,
            seen_at,
            drained_at,
            revoked_at,
        } = row;
        let inconsistent = |column| Error::Inconsistent {
            table: "worker",
            column,
            id: id.clone(),
        };
        let granted = Level::parse(&granted_level).map_err(|_| inconsistent("granted_level"))?;
        let capability = match (version, level, isolation, slots) {
            (Some(version), Some(level), Some(isolation), Some(slots)) => {
                // A level was any text once. A worker that said such a one has to say again what it is.
                let level = Level::parse(&level).ok();
                let isolation =
                    serde_json::from_str(&isolation).map_err(|_| inconsistent("isolation"))?;
                let slots = u32::try_from(slots).map_err(|_| inconsistent("slots"))?;
                level.map(|level| Capability {
                    version,
                    level: level.at_most(&granted),
                    isolation,
                    slots,
                })
            }
            (None, None, None, None) => None,
            _ => return Err(inconsistent("version, level, isolation, slots")),
        };
        let standing = match (revoked_at, drained_at) {
            (Some(at), _) => Standing::Revoked { at: At(at) },
            (None, Some(at)) => Standing::Drained { at: At(at) },
            (None, None) => Standing::Active,
        };
        Ok(Self {
            id: WorkerId::parse(&id).map_err(|_| inconsistent("id"))?,
            name: Name::parse(&name).map_err(|_| inconsistent("name"))?,
            public,
            standing,
            granted,
            capability,
            enrolled_at: At(enrolled_at),
            seen_at: seen_at.map(At),
        })
    }
}

/// What is read of workers, and which.
macro_rules! workers {
    ($which:literal) => {
        concat!(
            "SELECT id, name, public, granted_level, version, level, isolation, slots, enrolled_at, seen_at,
                    drained_at, revoked_at FROM worker ",
            $which
        )
    };
}

/// The worker that holds this certificate, by the SHA-256 of its DER.
pub async fn by_certificate(conn: &mut Conn, digest: &Digest) -> Result<Option<Worker>, Error> {
    let row = crate::fetch_optional!(
        conn,
        WorkerRow,
        workers!("WHERE certificate_digest = $1"),
        digest.to_string()
    )?;
    row.map(Worker::try_from).transpose()
}

/// A worker by its id.
pub async fn by_id(conn: &mut Conn, id: &WorkerId) -> Result<Option<Worker>, Error> {
    let row = crate::fetch_optional!(conn, WorkerRow, workers!("WHERE id = $1"), id.as_str())?;
    row.map(Worker::try_from).transpose()
}

/// A worker by its name.
pub async fn by_name(conn: &mut Conn, name: &Name) -> Result<Option<Worker>, Error> {
    let row = crate::fetch_optional!(conn, WorkerRow, workers!("WHERE name = $1"), name.as_str())?;
    row.map(Worker::try_from).transpose()
}

/// Every worker by name, for pages; the revoked ones, too.
pub async fn list(conn: &mut Conn) -> Result<Vec<Worker>, Error> {
    let rows = crate::fetch_all!(conn, WorkerRow, workers!("ORDER BY name LIMIT 1000"))?;
    rows.into_iter().map(Worker::try_from).collect()
}

/// The worker was heard of.
pub async fn seen(conn: &mut Conn, id: &WorkerId, now: At) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE worker SET seen_at = $1 WHERE id = $2",
        now.0,
        id.as_str()
    )?;
    Ok(())
}

pub(super) async fn set_capability(
    conn: &mut Conn,
    id: &WorkerId,
    hello: &Hello,
    level: &Level,
    now: At,
) -> Result<(), Error> {
    // Plain text and lists: serde_json cannot fail on it.
    let isolation = serde_json::to_string(&hello.isolation).unwrap_or_default();
    crate::execute!(
        conn,
        "UPDATE worker SET version = $1, level = $2, isolation = $3, slots = $4, seen_at = $5 WHERE id = $6",
        &hello.version,
        level.to_string(),
        isolation,
        i64::from(hello.slots),
        now.0,
        id.as_str()
    )?;
    Ok(())
}

pub(super) async fn set_drained(
    conn: &mut Conn,
    id: &WorkerId,
    at: Option<At>,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE worker SET drained_at = $1 WHERE id = $2",
        at.map(|at| at.0),
        id.as_str()
    )?;
    Ok(())
}

pub(super) async fn set_revoked(conn: &mut Conn, id: &WorkerId, at: At) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE worker SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL",
        at.0,
        id.as_str()
    )?;
    Ok(rows == 1)
}

pub(super) struct NewWorker<'a> {
    pub(super) id: &'a WorkerId,
    pub(super) name: &'a Name,
    pub(super) public: &'a [u8],
    pub(super) certificate: &'a Digest,
    pub(super) granted: &'a Level,
}

pub(super) async fn insert_worker(
    conn: &mut Conn,
    new: NewWorker<'_>,
    now: At,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO worker (id, name, public, certificate_digest, enrolled_at, granted_level)
         VALUES ($1, $2, $3, $4, $5, $6)",
        new.id.as_str(),
        new.name.as_str(),
        new.public,
        new.certificate.to_string(),
        now.0,
        new.granted.to_string()
    )?;
    Ok(())
}

/// A worker whose enrolment's answer was lost asks again and gets another certificate for its key.
pub(super) async fn set_certificate(
    conn: &mut Conn,
    id: &WorkerId,
    digest: &Digest,
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "UPDATE worker SET certificate_digest = $1 WHERE id = $2",
        digest.to_string(),
        id.as_str()
    )?;
    Ok(())
}

pub(super) struct NewToken<'a> {
    pub(super) id: &'a EnrolmentTokenId,
    pub(super) secret_hash: &'a str,
    pub(super) created_by: &'a str,
    pub(super) expires_at: At,
    pub(super) level: &'a Level,
}

pub(super) async fn insert_token(conn: &mut Conn, new: NewToken<'_>, now: At) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO enrolment_token (id, secret_hash, created_at, created_by, expires_at, level)
         VALUES ($1, $2, $3, $4, $5, $6)",
        new.id.as_str(),
        new.secret_hash,
        now.0,
        new.created_by,
        new.expires_at.0,
        new.level.to_string()
    )?;
    Ok(())
}

#[derive(sqlx::FromRow)]
pub(super) struct TokenRow {
    pub(super) secret_hash: String,
    pub(super) expires_at: i64,
    pub(super) worker_id: Option<String>,
    pub(super) level: String,
}

pub(super) async fn token(
    conn: &mut Conn,
    id: &EnrolmentTokenId,
) -> Result<Option<TokenRow>, Error> {
    crate::fetch_optional!(
        conn,
        TokenRow,
        "SELECT secret_hash, expires_at, worker_id, level FROM enrolment_token WHERE id = $1",
        id.as_str()
    )
}

/// Uses a token up; false when somebody else was faster.
pub(super) async fn use_token(
    conn: &mut Conn,
    id: &EnrolmentTokenId,
    worker: &WorkerId,
    now: At,
) -> Result<bool, Error> {
    let rows = crate::execute!(
        conn,
        "UPDATE enrolment_token SET used_at = $1, worker_id = $2
         WHERE id = $3 AND used_at IS NULL AND expires_at > $1",
        now.0,
        worker.as_str(),
        id.as_str()
    )?;
    Ok(rows == 1)
}
