//! `GET /approvals`: promotions that wait for the reader, for others, for nobody any more.

use super::frame::now;
use super::promotion::status;
use super::query::{Filters, Query};
use super::{Frame, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::Requester;
use crate::http::extract::SignedIn;
use crate::identity::{self, Permission};
use crate::project;
use crate::promotion::{self, Promotion, PromotionState};
use askama::Template;
use axum::extract::{Query as Read, State};
use axum::response::Response;
use std::sync::Arc;

/// Ended promotions of one page.
const ROWS_MAX: usize = 50;

/// A promotion in a list, also on home.
pub(super) struct Line {
    /// What it would do.
    pub(super) title: String,
    /// What is in it: its commit's first line.
    pub(super) commit_title: String,
    /// Its page.
    pub(super) link: String,
    /// Who asked, or why it ended.
    pub(super) sub: String,
    /// When it was requested.
    pub(super) requested: When,
    /// Where it stands.
    pub(super) status: Status,
}

#[derive(Template)]
#[template(path = "approvals.html")]
struct Shown {
    frame: Frame,
    tab: &'static str,
    mine: usize,
    others: usize,
    lines: Vec<Line>,
    older: Option<String>,
    further: bool,
}

/// The page.
pub async fn approvals(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let filters = Filters::read("/approvals", &query, &["show"])?;
    let tab = match filters.get("show") {
        "" => "mine",
        "others" => "others",
        "ended" => "ended",
        _ => return Err(PageError::NotFound),
    };
    let (now, caller) = (now(&app), &signed_in.session.caller);
    let place = filters.place()?;
    let reach = caller.reach(Permission::See);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let person = caller.actor.person();
    let (mine, others) = promotion::asking(&mut conn, person, &reach, now)
        .await
        .map_err(PageError::log)?;
    let counts = (mine.len(), others.len());
    let mut older = None;
    let shown = match tab {
        "mine" => mine,
        "others" => others,
        _ => {
            let (at, id) = place.unwrap_or((i64::MAX, String::new()));
            let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
            let ended = promotion::ended_in(&mut conn, &reach, (at, &id), limit).await;
            let mut ended = ended.map_err(PageError::log)?;
            let is_more = ended.len() > ROWS_MAX;
            ended.truncate(ROWS_MAX);
            let last = ended.last().filter(|_| is_more);
            older = last.map(|last| filters.after(last.requested_at, last.id.as_str()));
            ended
        }
    };
    let mut lines = Vec::with_capacity(shown.len());
    for promotion in &shown {
        lines.push(line(&mut conn, promotion, now).await?);
    }
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Approvals, "My approvals"),
        tab,
        mine: counts.0,
        others: counts.1,
        lines,
        older,
        further: filters.is_further_down(),
    }))
}

/// A promotion in a list.
pub(super) async fn line(
    conn: &mut Conn,
    promotion: &Promotion,
    now: At,
) -> Result<Line, PageError> {
    let project = project::by_id(conn, &promotion.project_id).await;
    let project = project.map_err(PageError::log)?;
    let project = project.map_or_else(String::new, |project| project.name.to_string());
    let run = super::environments::run(conn, promotion.release_id.as_str()).await?;
    let requester = match &promotion.requester {
        Requester::Person(person) => {
            let name = identity::person_name(conn, person.as_str()).await;
            let name = name.map_err(PageError::log)?;
            name.unwrap_or_else(|| promotion.requested_by.clone())
        }
        Requester::Rule => "the settings' rule".to_owned(),
        Requester::Unmatched(who) => who.clone(),
    };
    let sub = match &promotion.state {
        PromotionState::Failed { cause, .. }
        | PromotionState::Void { cause, .. }
        | PromotionState::Superseded { cause, .. } => cause.clone(),
        PromotionState::Requested
        | PromotionState::Waiting
        | PromotionState::Applying { .. }
        | PromotionState::Applied { .. } => format!("Requested by {requester}"),
    };
    Ok(Line {
        title: format!(
            "Promote {project} run {} to {}",
            run.number, promotion.environment
        ),
        commit_title: run.commit_title,
        link: format!("/promotions/{}", promotion.id),
        sub,
        requested: When::micros(promotion.requested_at, now),
        status: status(&promotion.state),
    })
}
