//! All SQL of what pages tell of runs.

use super::super::state::{RunId, RunState};
use super::state_of;
use crate::clock::At;
use crate::db::{self, Conn};

/// What is wrong with an invalid run's files, or what somebody should know of a good one's: each
/// complaint with its text for people under `rendered`.
pub async fn complaints(conn: &mut Conn, run: &RunId) -> Result<Vec<serde_json::Value>, db::Error> {
    let row = crate::fetch_optional!(
        conn,
        (Option<String>,),
        "SELECT COALESCE(complaints, warnings) FROM run WHERE id = $1",
        run.as_str()
    )?;
    let text = row
        .and_then(|(text,)| text)
        .unwrap_or_else(|| "[]".to_owned());
    serde_json::from_str(&text).map_err(|_| db::Error::Inconsistent {
        table: "run",
        column: "complaints",
        id: run.to_string(),
    })
}

/// Why and from what a run started, as its page tells it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Origin {
    /// The commit's first line.
    pub title: String,
    /// Who wrote it, as the commit says.
    pub author: String,
    /// The person that the hook's pusher is.
    pub pusher_id: Option<String>,
    /// Who sent it, as the sender claims.
    pub sender: Option<String>,
    /// The delivery.
    pub delivery_id: String,
    /// Its event.
    pub event: String,
    /// `github` or `git`.
    pub provider: String,
    /// Why its trigger started a run, in words.
    pub detail: String,
    /// The settings that it was planned by.
    pub settings_version: i64,
    /// The pipeline file.
    pub pipeline_path: String,
    /// The number of the run that this one repeats.
    pub again_of: Option<i64>,
}

/// Why and from what a run started.
pub async fn origin(conn: &mut Conn, run: &RunId) -> Result<Option<Origin>, db::Error> {
    crate::fetch_optional!(
        conn,
        Origin,
        "SELECT r.commit_title AS title, r.author_name AS author, r.pusher_id, d.sender,
                t.delivery_id, d.event, d.provider, t.detail, r.settings_version, r.pipeline_path,
                o.number AS again_of
         FROM run r JOIN trigger t ON t.id = r.trigger_id JOIN delivery d ON d.id = t.delivery_id
             LEFT JOIN run o ON o.id = r.again_of_id
         WHERE r.id = $1",
        run.as_str()
    )
}

/// A run in a list.
#[derive(Debug, Clone)]
pub struct Listed {
    /// Its number in the project.
    pub number: i64,
    /// The ref.
    pub ref_name: String,
    /// The commit.
    pub commit: String,
    /// The commit's first line.
    pub title: String,
    /// Who wrote it, as the commit says.
    pub author: String,
    /// Where it stands.
    pub state: RunState,
    /// When it was made.
    pub created_at: At,
}

/// Which runs a list shows; an empty text is any.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// A branch or tag, with or without `refs/heads/` or `refs/tags/`.
    pub ref_name: String,
    /// `waiting`, `running`, `passed`, `failed`, `cancelled`, `invalid`, `refused`.
    pub state: String,
}

#[derive(sqlx::FromRow)]
struct ListedRow {
    id: String,
    number: i64,
    ref_name: String,
    commit_id: String,
    commit_title: String,
    author_name: String,
    state: String,
    cause: Option<String>,
    cause_detail: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl TryFrom<ListedRow> for Listed {
    type Error = db::Error;
    fn try_from(row: ListedRow) -> Result<Self, db::Error> {
        let ListedRow {
            id,
            number,
            ref_name,
            commit_id,
            commit_title,
            author_name,
            state,
            cause,
            cause_detail,
            created_at,
            started_at,
            finished_at,
        } = row;
        let state = state_of(&state, (cause, cause_detail), started_at, finished_at);
        Ok(Self {
            number,
            ref_name,
            commit: commit_id,
            title: commit_title,
            author: author_name,
            state: state.ok_or(db::Error::Inconsistent {
                table: "run",
                column: "state",
                id,
            })?,
            created_at: At(created_at),
        })
    }
}

/// The runs of a project that a filter lets through, newest first, from before this number.
pub async fn filtered(
    conn: &mut Conn,
    project_id: &str,
    filter: &Filter,
    before: i64,
    limit: i64,
) -> Result<Vec<Listed>, db::Error> {
    let rows = crate::fetch_all!(
        conn,
        ListedRow,
        "SELECT id, number, ref_name, commit_id, commit_title, author_name, state, cause, cause_detail,
                created_at, started_at, finished_at
         FROM run
         WHERE project_id = $1 AND number < $2
           AND ($3 = '' OR ref_name IN ($3, 'refs/heads/' || $3, 'refs/tags/' || $3))
           AND ($4 = '' OR $4 = CASE WHEN state <> 'finished' THEN state
                                     WHEN cause IN ('passed', 'cancelled') THEN cause
                                     ELSE 'failed' END)
         ORDER BY number DESC LIMIT $5",
        project_id,
        before,
        &filter.ref_name,
        &filter.state,
        limit
    )?;
    rows.into_iter().map(Listed::try_from).collect()
}
