//! `GET /projects/{project}/environments`: what is where, whether it complies, what could come next.

use super::frame::{now, visible_project};
use super::promotion::{condition_status, status};
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::finding::{self, Known, Severity};
use crate::http::extract::SignedIn;
use crate::identity::{self, Permission};
use crate::image::{Release, ReleaseId};
use crate::promotion::{self, Placed, Promotion, RequestOutcome};
use crate::{image, project, run};
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use contract::settings::{Environment, FindingsRule, Promote};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Promotions that the page lists.
const PROMOTIONS_MAX: i64 = 50;
/// Promotions that wait or are being applied: all that a project has, as far as can be thought of.
const OPEN_MAX: i64 = 200;
/// Unmet conditions that a lane names; the promotion's page has all.
const UNMET_MAX: usize = 4;

/// What an environment holds.
struct Held {
    run_number: i64,
    digests: Vec<(String, Copied)>,
    /// What its commit says that it does.
    title: String,
    since: When,
    promotion_id: String,
    promotion_number: i64,
    by: String,
    release_id: String,
    compliance: Compliance,
}

/// What is known of it by the findings and advisories of now.
struct Compliance {
    status: Status,
    words: String,
    when: Option<When>,
}

/// A promotion that waits for this environment, and for what.
struct Next {
    id: String,
    number: i64,
    run_number: i64,
    status: Status,
    unmet: Vec<(Status, String, String)>,
    more: usize,
}

struct Lane {
    name: String,
    by_hand: bool,
    held: Option<Held>,
    waiting: Vec<Next>,
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
    is_live: bool,
}

/// The lanes.
pub async fn environments(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let (now, id) = (now(&app), project.id.as_str());
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let settings = project::current_settings(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let settings = settings.ok_or(PageError::NotFound)?;
    let placed = promotion::in_environments(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let promotions = promotion::of_project(&mut conn, id, PROMOTIONS_MAX)
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
    let mut listed = Vec::new();
    for promotion in &promotions {
        listed.push(Listed {
            id: promotion.id.to_string(),
            number: promotion.number,
            environment: promotion.environment.to_string(),
            run_number: run_number(&mut conn, promotion.release_id.as_str()).await?,
            status: status(&promotion.state),
            by: by(&mut conn, promotion).await?,
            requested: When::micros(promotion.requested_at, now),
        });
    }
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Environments, "Environments").of_project(&project),
        may_request: signed_in.session.caller.may(Permission::Request, id),
        project: name,
        is_live: !open.is_empty(),
        lanes,
        promotions: listed,
    }))
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
    let mut waiting = Vec::new();
    let here = |p: &&Promotion| p.environment == environment.name;
    for promotion in open.iter().filter(here) {
        waiting.push(next(conn, app, promotion).await?);
    }
    let has = |release: &str| {
        let is_here = held.as_ref().is_some_and(|held| held.release_id == release);
        is_here
            || open
                .iter()
                .any(|p| here(&p) && p.release_id.as_str() == release)
    };
    let (ask, nothing) = coming(conn, environment, lanes, newest, has).await?;
    Ok(Lane {
        name: name.to_owned(),
        by_hand: environment.promote == Promote::ByHand,
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
                let run = run_number(conn, &id).await?;
                (id, run)
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
    Ok(Next {
        id: promotion.id.to_string(),
        number: promotion.number,
        run_number: run_number(conn, promotion.release_id.as_str()).await?,
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
    let run_number = run_number(conn, &place.release_id).await?;
    let run_id = run::RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let origin = run::origin(conn, &run_id).await.map_err(PageError::log)?;
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
        run_number,
        digests: release.images.iter().map(digest).collect(),
        title: origin.map(|origin| origin.title).unwrap_or_default(),
        since: When::micros(place.since_at, now),
        promotion_id: place.promotion_id.clone(),
        promotion_number: promotion.number,
        by: by(conn, &promotion).await?,
        compliance: compliance(conn, environment, &release, now).await?,
        release_id: place.release_id.clone(),
    })
}

/// Findings of now against this environment's own rule. What nobody has judged is said to be so.
async fn compliance(
    conn: &mut Conn,
    environment: &Environment,
    release: &Release,
    now: At,
) -> Result<Compliance, PageError> {
    let known = finding::open_for_release(conn, release.id.as_str())
        .await
        .map_err(PageError::log)?
        .unwrap_or_default();
    let when = known.confirmed_at().map(|at| When::micros(at, now));
    let look = |look, shape, word, words: String| Compliance {
        status: Status::new(look, shape, word),
        words,
        when: when.clone(),
    };
    let Some(rule) = &environment.gate.findings else {
        let words = "This gate has no rule on findings.".to_owned();
        return Ok(look(Look::Idle, "skip", "Not asked", words));
    };
    let threshold = Severity::from(rule.none_at_or_above);
    let open = known.at_or_above(threshold).count();
    Ok(if open > 0 {
        let worst = known.at_or_above(threshold).next();
        let worst = worst.map_or_else(String::new, |open| open.finding.title.clone());
        let words = format!("{open} open at or above {threshold}, the worst: {worst}.");
        look(Look::Wait, "warn", "No longer complies", words)
    } else if !known.unscanned.is_empty() {
        let words = format!(
            "No bill of materials for {}: what it holds is not known.",
            known.unscanned.join(", ")
        );
        look(Look::Idle, "queue", "Not judged", words)
    } else if !known.outdated.is_empty() {
        let words = format!(
            "Not judged again yet by the newest advisories: {}.",
            known.outdated.join(", ")
        );
        look(Look::Idle, "queue", "Not judged again yet", words)
    } else if !known.not_accepted(&rule.accept_unmatched).is_empty() {
        let words = "Some of its packages cannot be judged by any advisory source.".to_owned();
        look(Look::Idle, "queue", "Not judged in full", words)
    } else if is_stale(rule, &known, now) {
        let words = format!(
            "Nothing open at or above {threshold} by advisories that are older than this gate accepts."
        );
        look(Look::Idle, "queue", "Not judged freshly", words)
    } else {
        let words = format!("Nothing open at or above {threshold}.");
        look(Look::Pass, "pass", "Complies", words)
    })
}

/// Whether the gate would not let it in today for the age of the advisories alone.
fn is_stale(rule: &FindingsRule, known: &Known, now: At) -> bool {
    let Some(within) = rule.advisories_confirmed_within_ms else {
        return false;
    };
    let confirmed = known.confirmed_at().map(|at| now.since(At(at)));
    !known.holds_no_packages() && confirmed.is_none_or(|age| age > Duration::from_millis(within))
}

async fn release(conn: &mut Conn, id: &str) -> Result<Release, PageError> {
    let id = ReleaseId::parse(id).map_err(|_| PageError::NotFound)?;
    let found = image::release(conn, &id).await.map_err(PageError::log)?;
    found.ok_or(PageError::NotFound)
}

async fn run_number(conn: &mut Conn, release_id: &str) -> Result<i64, PageError> {
    let release = release(conn, release_id).await?;
    let id = run::RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(conn, &id).await.map_err(PageError::log)?;
    Ok(run.map_or(0, |run| run.number))
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
