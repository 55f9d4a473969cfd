//! `GET /projects/{project}/environments`: what is where, whether it complies (`environments/`), what could
//! come next.

mod compliance;

pub(super) use compliance::{BROKEN, broken};

use super::frame::{now, visible_project};
use super::promotion::{condition_status, status};
use super::query::{Filters, Query};
use super::{Copied, Frame, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::history::{self, ReleaseRun};
use crate::http::extract::SignedIn;
use crate::identity::{self, Permission};
use crate::image::{Release, ReleaseId};
use crate::promotion::{self, Placed, Promotion, RequestOutcome};
use crate::{image, project};
use askama::Template;
use axum::extract::{Form, Path, Query as Read, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use compliance::{Compliance, compliance};
use contract::settings::{Environment, Promote};
use serde::Deserialize;
use std::sync::Arc;

/// Promotions of one page.
const PROMOTIONS_MAX: usize = 50;
/// Open promotions that are looked at: of each environment a few are drawn, of all it is known what has been
/// asked for.
const OPEN_MAX: i64 = 500;
/// Waiting promotions that a lane draws: each is judged for it.
const WAITING_MAX: usize = 5;
/// Unmet conditions that a lane names; the promotion's page has all.
const UNMET_MAX: usize = 4;

/// What an environment holds.
struct Held {
    run_number: i64,
    commit: Copied,
    commit_title: String,
    digests: Vec<(String, Copied)>,
    since: When,
    promotion_id: String,
    promotion_number: i64,
    by: String,
    release_id: String,
    compliance: Compliance,
}

/// A promotion that waits for this environment, and for what.
struct Next {
    id: String,
    number: i64,
    run_number: i64,
    commit_title: String,
    status: Status,
    unmet: Vec<(Status, String, String)>,
    more: usize,
}

struct Lane {
    name: String,
    by_hand: bool,
    held: Option<Held>,
    waiting: Vec<Next>,
    /// Older ones that wait, too.
    more: usize,
    /// What a person may ask for now: release and run number.
    ask: Option<(String, i64)>,
    /// Why nothing could come, in words.
    nothing: String,
}

struct Listed {
    id: String,
    number: i64,
    environment: String,
    run_number: i64,
    commit: Copied,
    commit_title: String,
    status: Status,
    by: String,
    requested: When,
}

#[derive(Template)]
#[template(path = "environments.html")]
struct Shown {
    frame: Frame,
    project: String,
    lanes: Vec<Lane>,
    promotions: Vec<Listed>,
    may_request: bool,
    /// Something is open, which can move by itself.
    is_live: bool,
    older: Option<String>,
    further: bool,
    first: String,
}

/// The lanes.
pub async fn environments(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(name): Path<String>,
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let filters = Filters::read(format!("/projects/{name}/environments"), &query, &[])?;
    let place = filters.place()?;
    let (now, id) = (now(&app), project.id.as_str());
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let settings = project::current_settings(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let settings = settings.ok_or(PageError::NotFound)?;
    let placed = promotion::in_environments(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let open = promotion::open_of_project(&mut conn, id, OPEN_MAX)
        .await
        .map_err(PageError::log)?;
    let newest = image::releases_of_project(&mut conn, id, 1)
        .await
        .map_err(PageError::log)?;
    let mut lanes: Vec<Lane> = Vec::new();
    for environment in &settings.settings.environments {
        let before = (&placed[..], &open[..], &lanes[..]);
        let lane = lane(&mut conn, &app, environment, before, newest.first()).await?;
        lanes.push(lane);
    }
    let (promotions, older) = page_of(&mut conn, id, &filters, place).await?;
    let mut listed = Vec::new();
    for promotion in &promotions {
        listed.push(row(&mut conn, promotion, now).await?);
    }
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Environments, "Environments").of_project(&project),
        may_request: signed_in.session.caller.may(Permission::Request, id),
        project: name,
        lanes,
        promotions: listed,
        is_live: !open.is_empty(),
        older,
        further: filters.is_further_down(),
        first: filters.first(),
    }))
}

/// One page of a project's promotions, and where the list goes on.
async fn page_of(
    conn: &mut Conn,
    project_id: &str,
    filters: &Filters,
    place: Option<(i64, String)>,
) -> Result<(Vec<Promotion>, Option<String>), PageError> {
    let (at, id) = place.unwrap_or((i64::MAX, String::new()));
    // One more than is shown tells whether there is an older page.
    let limit = i64::try_from(PROMOTIONS_MAX + 1).unwrap_or(i64::MAX);
    let found = promotion::of_project(conn, project_id, (at, &id), limit).await;
    let mut found = found.map_err(PageError::log)?;
    let is_more = found.len() > PROMOTIONS_MAX;
    found.truncate(PROMOTIONS_MAX);
    let last = found.last().filter(|_| is_more);
    let older = last.map(|last| filters.after(last.requested_at, last.id.as_str()));
    Ok((found, older))
}

async fn row(conn: &mut Conn, promotion: &Promotion, now: At) -> Result<Listed, PageError> {
    let run = run(conn, promotion.release_id.as_str()).await?;
    Ok(Listed {
        id: promotion.id.to_string(),
        number: promotion.number,
        environment: promotion.environment.to_string(),
        run_number: run.number,
        commit: Copied::new("commit", run.commit_id),
        commit_title: run.commit_title,
        status: status(&promotion.state),
        by: by(conn, promotion).await?,
        requested: When::micros(promotion.requested_at, now),
    })
}

/// One environment, after those before it.
async fn lane(
    conn: &mut Conn,
    app: &App,
    environment: &Environment,
    (placed, open, lanes): (&[Placed], &[Promotion], &[Lane]),
    newest: Option<&Release>,
) -> Result<Lane, PageError> {
    let name = environment.name.as_str();
    let held = match placed.iter().find(|place| place.environment == name) {
        Some(place) => Some(held(conn, app, environment, place).await?),
        None => None,
    };
    let into = open.iter().filter(|p| p.environment == environment.name);
    let mut waiting = Vec::new();
    for promotion in into.clone().take(WAITING_MAX) {
        waiting.push(next(conn, app, promotion).await?);
    }
    let has = |release: &str| {
        let here = held.as_ref().is_some_and(|held| held.release_id == release);
        here || into.clone().any(|p| p.release_id.as_str() == release)
    };
    let (ask, nothing) = coming(conn, environment, lanes, newest, has).await?;
    Ok(Lane {
        name: name.to_owned(),
        by_hand: environment.promote == Promote::ByHand,
        more: into.count() - waiting.len(),
        held,
        waiting,
        ask,
        nothing,
    })
}

/// What a person may ask for (release and run number), and why nothing could come, in words: what the
/// environment before holds, or the newest release where none is before, when it is not `here` and nobody
/// has asked.
async fn coming(
    conn: &mut Conn,
    environment: &Environment,
    lanes: &[Lane],
    newest: Option<&Release>,
    here: impl Fn(&str) -> bool,
) -> Result<(Option<(String, i64)>, String), PageError> {
    let candidate = match environment.after.last() {
        Some(after) => {
            let before = lanes.iter().find(|lane| lane.name == after.as_str());
            let Some(held) = before.and_then(|lane| lane.held.as_ref()) else {
                return Ok((None, format!("{after} holds nothing yet.")));
            };
            (held.release_id.clone(), held.run_number)
        }
        None => match newest {
            Some(release) => {
                let id = release.id.to_string();
                let run = run(conn, &id).await?;
                (id, run.number)
            }
            None => {
                return Ok((
                    None,
                    "No run that passed has made a release yet.".to_owned(),
                ));
            }
        },
    };
    let (release, run) = &candidate;
    if here(release) {
        return Ok((None, format!("Run {run} is here already.")));
    }
    let rule = match environment.promote {
        Promote::ByHand => false,
        Promote::Automatic => {
            let id = ReleaseId::parse(release).map_err(|_| PageError::NotFound)?;
            let project = image::release(conn, &id).await.map_err(PageError::log)?;
            let project = project.ok_or(PageError::NotFound)?.project_id;
            let name = environment.name.as_str();
            let left = promotion::is_left_to_people(conn, &project, name, &id).await;
            !left.map_err(PageError::log)?
        }
    };
    Ok(if rule {
        (None, format!("Run {run} comes by rule."))
    } else {
        (Some(candidate), String::new())
    })
}

/// What waits, and what its gate still wants.
async fn next(conn: &mut Conn, app: &App, promotion: &Promotion) -> Result<Next, PageError> {
    let judged = if promotion.state.is_open() {
        let judged = promotion::judge_in(conn, &app.ground, promotion).await;
        judged.map_err(PageError::log)?
    } else {
        None
    };
    let unmet: Vec<_> = judged
        .iter()
        .flat_map(|judgement| &judgement.conditions)
        .filter(|condition| !condition.is_met())
        .map(|condition| {
            let status = condition_status(condition.state);
            (status, condition.title.clone(), condition.detail.clone())
        })
        .collect();
    let run = run(conn, promotion.release_id.as_str()).await?;
    Ok(Next {
        id: promotion.id.to_string(),
        number: promotion.number,
        run_number: run.number,
        commit_title: run.commit_title,
        status: status(&promotion.state),
        more: unmet.len().saturating_sub(UNMET_MAX),
        unmet: unmet.into_iter().take(UNMET_MAX).collect(),
    })
}

async fn held(
    conn: &mut Conn,
    app: &App,
    environment: &Environment,
    place: &Placed,
) -> Result<Held, PageError> {
    let now = now(app);
    let release = release(conn, &place.release_id).await?;
    let run = run(conn, &place.release_id).await?;
    let id = promotion::PromotionId::parse(&place.promotion_id).map_err(|_| PageError::NotFound)?;
    let promotion = promotion::by_id(conn, &id).await.map_err(PageError::log)?;
    let promotion = promotion.ok_or(PageError::NotFound)?;
    let digest = |(name, image): (&contract::name::Name, &image::ReleaseImage)| {
        (
            name.to_string(),
            Copied::new("digest", image.digest.to_string()),
        )
    };
    Ok(Held {
        run_number: run.number,
        commit: Copied::new("commit", run.commit_id),
        commit_title: run.commit_title,
        digests: release.images.iter().map(digest).collect(),
        since: When::micros(place.since_at, now),
        promotion_id: place.promotion_id.clone(),
        promotion_number: promotion.number,
        by: by(conn, &promotion).await?,
        compliance: compliance(conn, environment, &place.release_id, now).await?,
        release_id: place.release_id.clone(),
    })
}

async fn release(conn: &mut Conn, id: &str) -> Result<Release, PageError> {
    let id = ReleaseId::parse(id).map_err(|_| PageError::NotFound)?;
    let found = image::release(conn, &id).await.map_err(PageError::log)?;
    found.ok_or(PageError::NotFound)
}

/// The run that a release came from: what people know it by.
pub(super) async fn run(conn: &mut Conn, release_id: &str) -> Result<ReleaseRun, PageError> {
    let found = history::run_of_release(conn, release_id).await;
    found.map_err(PageError::log)?.ok_or(PageError::NotFound)
}

/// Who or what asked for it, and who said yes.
async fn by(conn: &mut Conn, promotion: &Promotion) -> Result<String, PageError> {
    let asked = super::promotion::requester(conn, promotion).await?;
    let standing = crate::approval::standing(conn, promotion.id.as_str()).await;
    let mut names = Vec::new();
    for approval in standing.map_err(PageError::log)? {
        if approval.statement.answer == evidence::approval::Answer::Approve {
            let name = identity::person_name(conn, approval.person.as_str())
                .await
                .map_err(PageError::log)?;
            names.extend(name);
        }
    }
    Ok(if names.is_empty() {
        asked
    } else {
        format!("{asked}, approved by {}", names.join(" and "))
    })
}

/// A request as the form sends it.
#[derive(Deserialize)]
pub struct RequestForm {
    csrf: String,
    release: String,
}

/// Requests a promotion.
pub async fn request(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, environment)): Path<(String, String)>,
    Form(form): Form<RequestForm>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(&form.csrf) {
        return Err(PageError::foreign_form());
    }
    let project = visible_project(&app, &signed_in, &name).await?;
    let id = project.id.as_str();
    if !signed_in.session.caller.may(Permission::Request, id) {
        return Err(PageError::NotFound);
    }
    let release = ReleaseId::parse(&form.release).map_err(|_| PageError::NotFound)?;
    let actor = &signed_in.session.caller.actor;
    let outcome = promotion::request(&app.ground, actor, id, &environment, &release).await;
    let to = match outcome.map_err(PageError::log)? {
        RequestOutcome::Requested(id) => {
            app.bells.promotion.ring();
            format!("/promotions/{id}")
        }
        RequestOutcome::AlreadyOpen(id) => format!("/promotions/{id}"),
        RequestOutcome::AlreadyThere => format!("/projects/{name}/environments"),
        RequestOutcome::NoSuchEnvironment | RequestOutcome::NoSuchRelease => {
            return Err(PageError::NotFound);
        }
    };
    Ok(Redirect::to(&to).into_response())
}
