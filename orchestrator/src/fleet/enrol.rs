//! Lets a worker in: a token and a signing request for a client certificate.

use super::ca::{Ca, Signed};
use super::state::{EnrolmentTokenId, Error, Worker, WorkerId};
use super::store::{self, NewWorker};
use crate::audit::{self, Record};
use crate::clock::At;
use crate::db::Conn;
use crate::ground::Ground;
use crate::id::IdSource;
use crate::identity::Actor;
use contract::digest::Digest;
use contract::level::Level;
use contract::name::Name;
use contract::protocol::Enrol;
use subtle::ConstantTimeEq as _;

/// How an enrolment went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Enrolment {
    /// The worker is in; its client certificate, PEM.
    LetIn {
        /// PEM.
        certificate: String,
    },
    /// The token is unknown, used or over: which of them is not said.
    BadToken,
    /// Another worker has this name.
    NameTaken,
    /// Not a signing request for a P-256 key.
    BadRequest,
}

/// Trades a token and a signing request for a client certificate. The same token with the same key
/// is answered again: the first answer may have been lost.
pub async fn enrol(ground: &Ground, ca: &Ca, ask: &Enrol) -> Result<Enrolment, Error> {
    let now = ground.now();
    let Some((id, secret)) = split(&ask.token) else {
        return Ok(Enrolment::BadToken);
    };
    // Before anything is parsed or signed for a stranger.
    {
        let mut conn = ground.db.reader().await?;
        if !good_secret(&mut conn, &id, &secret).await? {
            return Ok(Enrolment::BadToken);
        }
    }
    let Some(signed) = ca.sign_worker(&ask.signing_request, &ask.name, now)? else {
        return Ok(Enrolment::BadRequest);
    };
    let certificate = signed.certificate.clone();
    let (name, ids) = (ask.name.clone(), ground.ids.clone());
    let signed = std::sync::Arc::new(signed);
    let outcome = ground
        .db
        .write("fleet.enrol", move |conn| {
            Box::pin(async move { let_in(conn, &id, &name, &signed, now, ids.as_ref()).await })
        })
        .await?;
    Ok(match outcome {
        LetIn::Yes => Enrolment::LetIn { certificate },
        LetIn::BadToken => Enrolment::BadToken,
        LetIn::NameTaken => Enrolment::NameTaken,
    })
}

enum LetIn {
    Yes,
    BadToken,
    NameTaken,
}

async fn let_in(
    conn: &mut Conn,
    token: &EnrolmentTokenId,
    name: &Name,
    signed: &Signed,
    now: At,
    ids: &dyn IdSource,
) -> Result<LetIn, Error> {
    let Some(row) = store::token(conn, token).await? else {
        return Ok(LetIn::BadToken);
    };
    if row.expires_at <= now.0 {
        return Ok(LetIn::BadToken);
    }
    let namesake = store::by_name(conn, name).await?;
    if let Some(used_by) = &row.worker_id {
        let same = |w: &Worker| w.id.as_str() == used_by && w.public == signed.public;
        let Some(worker) = namesake.filter(same) else {
            return Ok(LetIn::BadToken);
        };
        store::set_certificate(conn, &worker.id, &signed.digest).await?;
        return Ok(LetIn::Yes);
    }
    if namesake.is_some() {
        return Ok(LetIn::NameTaken);
    }
    let id = WorkerId::new(ids);
    let granted = Level::parse(&row.level).map_err(|_| crate::db::Error::Inconsistent {
        table: "enrolment_token",
        column: "level",
        id: token.to_string(),
    })?;
    let new = NewWorker {
        id: &id,
        name,
        public: &signed.public,
        certificate: &signed.digest,
        granted: &granted,
    };
    store::insert_worker(conn, new, now).await?;
    if !store::use_token(conn, token, &id, now).await? {
        return Err(Error::Db(crate::db::Error::Inconsistent {
            table: "enrolment_token",
            column: "used_at",
            id: token.to_string(),
        }));
    }
    let actor = Actor::Worker {
        id: id.to_string(),
        name: name.to_string(),
    };
    let record = Record::new("fleet.worker-enrolled", format!("worker:{id}"), &actor)
        .with("name", name.as_str())
        .with("token", token.as_str())
        .with("granted_level", granted.to_string())
        .with("public_key", Digest::of(&signed.public).to_string());
    audit::append(conn, now, ids, record).await?;
    Ok(LetIn::Yes)
}

async fn good_secret(conn: &mut Conn, id: &EnrolmentTokenId, secret: &str) -> Result<bool, Error> {
    let Some(row) = store::token(conn, id).await? else {
        return Ok(false);
    };
    let hash = Digest::of(secret.as_bytes()).hex();
    Ok(hash.as_bytes().ct_eq(row.secret_hash.as_bytes()).into())
}

/// `<id>.<secret>`.
fn split(token: &str) -> Option<(EnrolmentTokenId, String)> {
    let (id, secret) = token.split_once('.')?;
    Some((EnrolmentTokenId::parse(id).ok()?, secret.to_owned()))
}
