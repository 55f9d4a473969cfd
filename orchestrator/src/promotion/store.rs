//! All SQL of promotions and of what is in an environment.

mod environment;
mod apply;

pub(super) use apply::{
    attestations, give_up, intend_signature, is_given_up, run_number, set_progress,
};
pub use environment::{Placed, in_environment, in_environments};
pub(super) use environment::{displace, holding, is_busy, place, placements};

use super::state::{GiveUp, Promotion, PromotionId, PromotionState};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::gate::Requester;
use crate::identity::{Actor, PersonId, Reach};
use crate::image::ReleaseId;
use crate::metrics::metrics;
use contract::name::Name;

/// Reads whole promotions: the one list of what a [`Row`] is made of.
macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT p.id, p.project_id, p.number, p.release_id, p.environment, p.settings_version,
                    p.state, p.cause, p.requested_by, p.requester_id, p.requested_at,
                    p.gate_decision_id, p.applying_at, p.tagging_at, p.applied_at, p.ended_at,
                    p.progress, p.give_up_at, p.give_up_by, p.give_up_reason
             FROM promotion p ",
            $rest
        )
    };
}

#[derive(sqlx::FromRow)]
struct Row {
    id: String,
    project_id: String,
    number: i64,
    release_id: String,
    environment: String,
    settings_version: i64,
    state: String,
    cause: Option<String>,
    requested_by: String,
    requester_id: Option<String>,
    requested_at: i64,
    gate_decision_id: Option<String>,
    applying_at: Option<i64>,
    tagging_at: Option<i64>,
    applied_at: Option<i64>,
    ended_at: Option<i64>,
    progress: Option<String>,
    give_up_at: Option<i64>,
    give_up_by: Option<String>,
    give_up_reason: Option<String>,
}

impl TryFrom<Row> for Promotion {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self, Error> {
        let id = row.id.clone();
        let wrong = |column| Error::Inconsistent {
            table: "promotion",
            column,
            id: id.clone(),
        };
        let Row {
            id,
            project_id,
            number,
            release_id,
            environment,
            settings_version,
            state,
            cause,
            requested_by,
            requester_id,
            requested_at,
            gate_decision_id,
            applying_at,
            tagging_at,
            applied_at,
            ended_at,
            progress,
            give_up_at,
            give_up_by,
            give_up_reason,
        } = row;
        let columns = Columns {
            cause: cause.as_deref(),
            decision_id: gate_decision_id.as_deref(),
            applying_at,
            tagging_at,
            applied_at,
            ended_at,
        };
        let state = columns.state(&state).ok_or_else(|| wrong("state"))?;
        let give_up = match (give_up_at, give_up_by, give_up_reason) {
            (Some(at), Some(by), Some(reason)) => Some(GiveUp { at, by, reason }),
            (None, None, None) => None,
            (_, _, _) => return Err(wrong("give_up_at")),
        };
        let requester = requester(requester_id.as_deref(), &requested_by);
        Ok(Self {
            id: PromotionId::parse(&id).map_err(|_| wrong("id"))?,
            project_id,
            number,
            release_id: ReleaseId::parse(&release_id).map_err(|_| wrong("release_id"))?,
            environment: Name::parse(&environment).map_err(|_| wrong("environment"))?,
            settings_version,
            requested_by,
            requester: requester.ok_or_else(|| wrong("requester_id"))?,
            requested_at,
            state,
            progress,
            give_up,
        })
    }
}

/// None when the id is none of ours.
fn requester(id: Option<&str>, by: &str) -> Option<Requester> {
    match id {
        Some(id) => PersonId::parse(id).ok().map(Requester::Person),
        None if by == Actor::System.to_string() => Some(Requester::Rule),
        None => Some(Requester::Unmatched(by.to_owned())),
    }
}

/// One promotion.
pub async fn by_id(conn: &mut Conn, id: &PromotionId) -> Result<Option<Promotion>, Error> {
    let row = crate::fetch_optional!(conn, Row, select!("WHERE id = $1"), id.as_str())?;
    row.map(Promotion::try_from).transpose()
}

/// A project's promotions, newest first, from before this (time, id).
pub async fn of_project(
    conn: &mut Conn,
    project_id: &str,
    (at, id): (i64, &str),
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE project_id = $1 AND (requested_at, id) < ($2, $3)
             ORDER BY requested_at DESC, id DESC LIMIT $4"
        ),
        project_id,
        at,
        id,
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// A project's promotions that have not ended, newest first.
pub async fn open_of_project(
    conn: &mut Conn,
    project_id: &str,
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE project_id = $1 AND state IN ('requested', 'waiting', 'applying')
             ORDER BY requested_at DESC, id DESC LIMIT $2"
        ),
        project_id,
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// Promotions of any project that are being applied, oldest first.
pub(super) async fn applying(conn: &mut Conn, limit: i64) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!("WHERE state = 'applying' ORDER BY requested_at, id LIMIT $1"),
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// Promotions of any project that wait for their gate, oldest first, from after this (time, id).
pub async fn waiting_everywhere(
    conn: &mut Conn,
    (at, id): (i64, &str),
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE state IN ('requested', 'waiting') AND (requested_at, id) > ($1, $2)
             ORDER BY requested_at, id LIMIT $3"
        ),
        at,
        id,
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// Promotions of these projects that wait for their gate, oldest first.
pub(super) async fn open_in(
    conn: &mut Conn,
    reach: &Reach,
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE state IN ('requested', 'waiting')
             AND ($1 = '*' OR $1 LIKE '% ' || project_id || ' %')
             ORDER BY requested_at, id LIMIT $2"
        ),
        reach.sql(),
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// Promotions of these projects that wait for nobody any more, newest request first, from before
/// this (time, id).
pub async fn ended_in(
    conn: &mut Conn,
    reach: &Reach,
    (at, id): (i64, &str),
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE state NOT IN ('requested', 'waiting')
             AND ($1 = '*' OR $1 LIKE '% ' || project_id || ' %')
             AND (requested_at, id) < ($2, $3)
             ORDER BY requested_at DESC, id DESC LIMIT $4"
        ),
        reach.sql(),
        at,
        id,
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

/// What entered an environment, newest first.
pub async fn environment_history(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
    limit: i64,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "WHERE project_id = $1 AND environment = $2 AND state = 'applied'
             ORDER BY applied_at DESC, id DESC LIMIT $3"
        ),
        project_id,
        environment,
        limit
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}

pub(super) struct NewRow<'a> {
    pub(super) id: &'a PromotionId,
    pub(super) project_id: &'a str,
    pub(super) number: i64,
    pub(super) release_id: &'a ReleaseId,
    pub(super) environment: &'a str,
    pub(super) settings_version: i64,
    pub(super) requested_by: &'a str,
    pub(super) requester: Option<&'a PersonId>,
    pub(super) at: At,
}

pub(super) async fn insert(conn: &mut Conn, row: NewRow<'_>) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO promotion (id, project_id, number, release_id, environment, settings_version,
                                state, requested_by, requester_id, requested_at)
         VALUES ($1, $2, $3, $4, $5, $6, 'requested', $7, $8, $9)",
        row.id.as_str(),
        row.project_id,
        row.number,
        row.release_id.as_str(),
        row.environment,
        row.settings_version,
        row.requested_by,
        row.requester.map(PersonId::as_str),
        row.at.0
    )?;
    Ok(())
}

/// The open promotion of a release into an environment, if there is one.
pub(super) async fn open_of(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
    release_id: &ReleaseId,
) -> Result<Option<String>, Error> {
    let row = crate::fetch_optional!(
        conn,
        (String,),
        "SELECT id FROM promotion WHERE project_id = $1 AND environment = $2 AND release_id = $3
           AND state IN ('requested', 'waiting', 'applying')",
        project_id,
        environment,
        release_id.as_str()
    )?;
    Ok(row.map(|(id,)| id))
}

/// The cause of what was taken back, before the name: a rejection ends as void, too, and is an answer.
pub(super) const WITHDRAWN: &str = "withdrawn by ";

/// How often a release was to enter an environment, and how that went.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub(super) struct Tries {
    /// All promotions of it, but those that whoever asked for them took back: what somebody no longer wants
    /// to ask says nothing about the release.
    pub(super) made: i64,
    /// Those that failed, and not because somebody gave them up.
    pub(super) failed: i64,
    /// When the last of these did (µs since 1970 UTC).
    pub(super) failed_at: Option<i64>,
}

/// What came of a release's promotions into an environment.
pub(super) async fn tries(
    conn: &mut Conn,
    project_id: &str,
    environment: &str,
    release_id: &ReleaseId,
) -> Result<Tries, Error> {
    crate::fetch_one!(
        conn,
        Tries,
        "SELECT COUNT(CASE WHEN state = 'void' AND cause LIKE $4 THEN NULL ELSE 1 END) AS made,
                COUNT(CASE WHEN state = 'failed' AND give_up_at IS NULL THEN 1 END) AS failed,
                MAX(CASE WHEN state = 'failed' THEN ended_at END) AS failed_at
         FROM promotion WHERE project_id = $1 AND environment = $2 AND release_id = $3",
        project_id,
        environment,
        release_id.as_str(),
        format!("{WITHDRAWN}%")
    )
}

/// What is counted and logged once an end stands.
fn told(promotion: &Promotion, to: &PromotionState) -> impl FnOnce() + Send + use<> {
    let (id, state) = (promotion.id.clone(), to.as_str());
    move || {
        metrics().promotion_ended(state);
        tracing::info!(promotion.id = %id, state, "a promotion has ended");
    }
}

/// Promotions that have not ended, by state.
pub async fn open_by_state(conn: &mut Conn) -> Result<Vec<(String, i64)>, Error> {
    crate::fetch_all!(
        conn,
        (String, i64),
        "SELECT state, COUNT(*) FROM promotion
         WHERE state IN ('requested', 'waiting', 'applying') GROUP BY state"
    )
}

/// Guarded by the state that it was in: false when another was faster. What was once true of it (the
/// decision, since when it was applied) stays.
pub(super) async fn set_state(
    conn: &mut Conn,
    promotion: &Promotion,
    to: &PromotionState,
    settings_version: i64,
) -> Result<bool, Error> {
    let columns = Columns::of(to);
    let updated = crate::execute!(
        conn,
        "UPDATE promotion SET state = $3, settings_version = $4, cause = $5,
                gate_decision_id = COALESCE($6, gate_decision_id),
                applying_at = COALESCE($7, applying_at), tagging_at = COALESCE($8, tagging_at),
                applied_at = $9, ended_at = $10, progress = NULL
         WHERE id = $1 AND state = $2",
        promotion.id.as_str(),
        promotion.state.as_str(),
        to.as_str(),
        settings_version,
        columns.cause,
        columns.decision_id,
        columns.applying_at,
        columns.tagging_at,
        columns.applied_at,
        columns.ended_at
    )?;
    if updated == 1 && columns.ended_at.is_some() {
        conn.after_commit(told(promotion, to));
    }
    Ok(updated == 1)
}

/// A state as it lies in the row.
#[derive(Default)]
struct Columns<'a> {
    cause: Option<&'a str>,
    decision_id: Option<&'a str>,
    applying_at: Option<i64>,
    tagging_at: Option<i64>,
    applied_at: Option<i64>,
    ended_at: Option<i64>,
}

impl<'a> Columns<'a> {
    /// The state that a word and these columns say together; none when no code of ours could have
    /// written them.
    fn state(&self, word: &str) -> Option<PromotionState> {
        let decision_id = || self.decision_id.map(str::to_owned);
        let cause = || self.cause.map(str::to_owned);
        Some(match word {
            "requested" => PromotionState::Requested,
            "waiting" => PromotionState::Waiting,
            "applying" => PromotionState::Applying {
                decision_id: decision_id()?,
                since: self.applying_at?,
                tagging_since: self.tagging_at,
            },
            "applied" => PromotionState::Applied {
                decision_id: decision_id()?,
                at: self.applied_at?,
            },
            "failed" => PromotionState::Failed {
                decision_id: decision_id()?,
                cause: cause()?,
                at: self.ended_at?,
            },
            "void" => PromotionState::Void {
                cause: cause()?,
                at: self.ended_at?,
            },
            "superseded" => PromotionState::Superseded {
                cause: cause()?,
                at: self.ended_at?,
            },
            _ => return None,
        })
    }

    fn of(state: &'a PromotionState) -> Self {
        match state {
            PromotionState::Requested | PromotionState::Waiting => Self::default(),
            PromotionState::Applying {
                decision_id,
                since,
                tagging_since,
            } => Self {
                decision_id: Some(decision_id),
                applying_at: Some(*since),
                tagging_at: *tagging_since,
                ..Self::default()
            },
            PromotionState::Applied { decision_id, at } => Self {
                decision_id: Some(decision_id),
                applied_at: Some(*at),
                ended_at: Some(*at),
                ..Self::default()
            },
            PromotionState::Failed {
                decision_id,
                cause,
                at,
            } => Self {
                decision_id: Some(decision_id),
                cause: Some(cause),
                ended_at: Some(*at),
                ..Self::default()
            },
            PromotionState::Void { cause, at } | PromotionState::Superseded { cause, at } => Self {
                cause: Some(cause),
                ended_at: Some(*at),
                ..Self::default()
            },
        }
    }
}

/// Promotions that wait for the same environment with a release that is not newer, oldest first.
pub(super) async fn overtaken(
    conn: &mut Conn,
    promotion: &Promotion,
) -> Result<Vec<Promotion>, Error> {
    let rows = crate::fetch_all!(
        conn,
        Row,
        select!(
            "JOIN release r ON r.id = p.release_id
             JOIN release mine ON mine.id = $3
             WHERE p.project_id = $1 AND p.environment = $2 AND p.id <> $4
               AND p.state IN ('requested', 'waiting') AND r.made_at <= mine.made_at
             ORDER BY p.requested_at, p.id"
        ),
        &promotion.project_id,
        promotion.environment.as_str(),
        promotion.release_id.as_str(),
        promotion.id.as_str()
    )?;
    rows.into_iter().map(Promotion::try_from).collect()
}
