//! `GET /promotions/{id}`: what a gate says of a release, what would change, and what people decide.
//! `promotion/` holds its parts and the answer.

mod answering;
mod chain;
mod commits;
mod deadlines;
mod decide;
mod difference;
mod people;
mod withdraw;

pub use decide::answer;
pub use withdraw::withdraw;

use super::attested::{Attested, attested};
use super::frame::now;
use super::runs::short_ref;
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::gate::{Condition, ConditionState, Judgement, Requester};
use crate::history::brought;
use crate::http::extract::SignedIn;
use crate::identity;
use crate::image::{Release, ReleaseId, ReleaseImage};
use crate::project::Project;
use crate::promotion::{self, Placed, Promotion, PromotionId, PromotionState};
use crate::run::{Origin, Run, RunId};
use crate::{gate, image, project, run};
use answering::{Answering, answering};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use chain::{Link, chain};
use commits::{Commits, commits};
use contract::image::Repository;
use contract::name::Name;
use contract::settings::{Gate, Promote};
use deadlines::{Deadline, deadlines};
use difference::{Difference, difference};
use people::{Mine, People, mine, people};
use std::sync::Arc;

/// A condition as a row.
struct Row {
    condition: Condition,
    status: Status,
    evidence: Option<When>,
}

/// One end of the passage.
struct Side {
    name: String,
    run_number: Option<i64>,
    digests: Vec<Copied>,
    since: Option<When>,
}

/// An image that is to enter, and where.
struct Entering {
    name: String,
    digest: Copied,
    repository: String,
}

/// A form that was not taken.
struct Rejected {
    problem: &'static str,
    reason: String,
}

#[derive(Template)]
#[template(path = "promotion.html")]
struct Shown {
    frame: Frame,
    project: String,
    promotion: Promotion,
    title: String,
    status: Status,
    badge: String,
    requester: String,
    requested: When,
    run: Run,
    ref_name: String,
    commit: Copied,
    origin: Origin,
    by_hand: bool,
    from: Option<Side>,
    to: Side,
    release_digest: Copied,
    images: Vec<Entering>,
    settings_version: i64,
    rows: Vec<Row>,
    met: usize,
    judged: Option<When>,
    answering: Answering,
    difference: Option<Difference>,
    was_applied: bool,
    commits: Option<Commits>,
    deadlines: Vec<Deadline>,
    may_withdraw: bool,
    attested: Vec<Attested>,
    people: People,
    mine: Mine,
    chain: Vec<Link>,
    cause: Option<String>,
    is_live: bool,
    rejected: Option<Rejected>,
}

/// Where a promotion stands.
pub(super) fn status(state: &PromotionState) -> Status {
    match state {
        PromotionState::Requested => Status::new(Look::Idle, "queue", "Requested"),
        PromotionState::Waiting => Status::new(Look::Wait, "unmet", "Waiting"),
        PromotionState::Applying { .. } => Status::new(Look::Work, "work", "Applying"),
        PromotionState::Applied { .. } => Status::new(Look::Pass, "pass", "Applied"),
        PromotionState::Failed { .. } => Status::new(Look::Fail, "fail", "Failed"),
        PromotionState::Void { .. } => Status::new(Look::Idle, "refuse", "Void"),
        PromotionState::Superseded { .. } => Status::new(Look::Idle, "skip", "Superseded"),
    }
}

pub(super) fn condition_status(state: ConditionState) -> Status {
    match state {
        ConditionState::Met => Status::new(Look::Pass, "pass", "Met"),
        ConditionState::Unmet => Status::new(Look::Wait, "unmet", "Unmet"),
        ConditionState::Waiting => Status::new(Look::Wait, "clock", "Unmet, in time"),
        ConditionState::Failed => Status::new(Look::Fail, "fail", "Failed"),
    }
}

/// The page.
pub async fn promotion(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let (promotion, project) = found(&app, &signed_in, &id).await?;
    Ok(page(
        &shown(&app, &signed_in, promotion, project, None).await?,
    ))
}

async fn found(
    app: &App,
    signed_in: &SignedIn,
    id: &str,
) -> Result<(Promotion, Project), PageError> {
    let id = PromotionId::parse(id).map_err(|_| PageError::NotFound)?;
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = promotion::by_id(&mut conn, &id)
        .await
        .map_err(PageError::log)?;
    let found = found
        .filter(|p| signed_in.may_see(&p.project_id))
        .ok_or(PageError::NotFound)?;
    let project = project::by_id(&mut conn, &found.project_id)
        .await
        .map_err(PageError::log)?;
    Ok((found, project.ok_or(PageError::NotFound)?))
}

async fn shown(
    app: &App,
    signed_in: &SignedIn,
    promotion: Promotion,
    project: Project,
    rejected: Option<Rejected>,
) -> Result<Shown, PageError> {
    let now = now(app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let release = release_of(&mut conn, promotion.release_id.as_str()).await?;
    let (run, origin) = run_of(&mut conn, &release).await?;
    let (conditions, judgement) = conditions(&mut conn, app, &promotion).await?;
    let reader = signed_in.session.caller.actor.person();
    let people = people(&mut conn, &promotion, judgement.as_ref(), reader, now).await?;
    let mine = mine(signed_in, judgement.as_ref());
    let answering = answering(signed_in, &promotion, judgement.as_ref(), (&people, now));
    let environment = environment(&mut conn, &promotion).await?;
    let entering = entering(&mut conn, &promotion, &release, environment.repository).await?;
    let (from, to) = sides(&mut conn, &promotion, environment.before, now).await?;
    let before = brought::before(&mut conn, promotion.id.as_str()).await;
    let before = before.map_err(PageError::log)?;
    let commits = commits(&mut conn, &promotion, &run, before.as_ref(), now).await?;
    let difference = changes(&mut conn, before.as_ref(), &release).await?;
    let images = image::images_of_run(&mut conn, &release.run_id)
        .await
        .map_err(PageError::log)?;
    let met = conditions.iter().filter(|c| c.is_met()).count();
    let title = format!(
        "Promote {} run {} to {}",
        project.name, run.number, promotion.environment
    );
    let status = status(&promotion.state);
    let gate = environment.gate.as_ref();
    let deadlines = deadlines(&promotion, &conditions, gate, &people.given, now);
    let chain = chain(&promotion, (&run, &origin), &conditions, &people);
    Ok(Shown {
        frame: Frame::new(app, signed_in, Tab::Approvals, tab_title(&title, &origin))
            .of_project(&project),
        project: project.name.to_string(),
        title,
        badge: badge(&promotion.state, status, conditions.len() - met),
        status,
        requester: requester(&mut conn, &promotion).await?,
        requested: When::micros(promotion.requested_at, now),
        ref_name: short_ref(&run.ref_name).to_owned(),
        commit: Copied::new("commit", run.commit.to_string()),
        by_hand: environment.by_hand,
        from,
        to,
        release_digest: Copied::full("digest", release.digest.to_string()),
        images: entering,
        settings_version: judgement
            .as_ref()
            .map_or(promotion.settings_version, |j| j.settings_version),
        met,
        judged: judgement.as_ref().map(|j| When::new(j.judged_at, now)),
        answering,
        difference,
        was_applied: matches!(promotion.state, PromotionState::Applied { .. }),
        commits,
        deadlines,
        rows: conditions.into_iter().map(|one| row(one, now)).collect(),
        may_withdraw: promotion.state.is_open()
            && promotion.is_asked_by(&signed_in.session.caller.actor),
        attested: attested(&mut conn, &images, true).await?,
        people,
        is_live: is_live(&promotion.state) && !mine.may(),
        mine,
        chain,
        cause: cause(&promotion),
        run,
        origin,
        promotion,
        rejected,
    })
}

/// What the release changes of what was there before; none when that was nothing, or this very release.
async fn changes(
    conn: &mut Conn,
    before: Option<&brought::Before>,
    release: &Release,
) -> Result<Option<Difference>, PageError> {
    match before {
        Some(held) if held.release_id != release.id.as_str() => {
            let held = release_of(conn, &held.release_id).await?;
            Ok(Some(difference(conn, &held, release).await?))
        }
        Some(_) | None => Ok(None),
    }
}

async fn release_of(conn: &mut Conn, id: &str) -> Result<Release, PageError> {
    let id = ReleaseId::parse(id).map_err(|_| PageError::NotFound)?;
    let release = image::release(conn, &id).await.map_err(PageError::log)?;
    release.ok_or(PageError::NotFound)
}

async fn run_of(conn: &mut Conn, release: &Release) -> Result<(Run, Origin), PageError> {
    let id = RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(conn, &id).await.map_err(PageError::log)?;
    let origin = run::origin(conn, &id).await.map_err(PageError::log)?;
    run.zip(origin).ok_or(PageError::NotFound)
}

/// What the settings say of the environment now.
struct Where {
    by_hand: bool,
    before: Option<String>,
    gate: Option<Gate>,
    repository: Option<Repository>,
}

async fn environment(conn: &mut Conn, promotion: &Promotion) -> Result<Where, PageError> {
    let settings = project::current_settings(conn, &promotion.project_id)
        .await
        .map_err(PageError::log)?;
    let settings = settings.ok_or(PageError::NotFound)?.settings;
    let found = settings.environment(promotion.environment.as_str());
    Ok(Where {
        by_hand: found.is_some_and(|found| found.promote == Promote::ByHand),
        before: found.and_then(|found| Some(found.after.last()?.to_string())),
        gate: found.map(|found| found.gate.clone()),
        repository: found.map(|found| found.repository.clone()),
    })
}

/// What enters: as it was decided, or by the settings of now.
async fn entering(
    conn: &mut Conn,
    promotion: &Promotion,
    release: &Release,
    repository: Option<Repository>,
) -> Result<Vec<Entering>, PageError> {
    let decided = match promotion.state.decision_id() {
        Some(id) => gate::decision(conn, id).await.map_err(PageError::log)?,
        None => None,
    };
    let image = |(name, image): (&Name, &ReleaseImage)| {
        let was = decided
            .as_ref()
            .and_then(|decision| decision.images.get(name));
        let to = was.map(|target| target.repository.clone());
        let to = to.or_else(|| repository.as_ref()?.join(name).ok());
        Entering {
            name: name.to_string(),
            digest: Copied::full("digest", image.digest.to_string()),
            repository: to.map(|to| to.to_string()).unwrap_or_default(),
        }
    };
    Ok(release.images.iter().map(image).collect())
}

/// Both ends of the passage.
async fn sides(
    conn: &mut Conn,
    promotion: &Promotion,
    before: Option<String>,
    now: At,
) -> Result<(Option<Side>, Side), PageError> {
    let placed = promotion::in_environments(conn, &promotion.project_id)
        .await
        .map_err(PageError::log)?;
    let at = |name: &str| placed.iter().find(|place| place.environment == name);
    let from = match before {
        Some(name) => Some(side(conn, &name, at(&name), now).await?),
        None => None,
    };
    let name = promotion.environment.as_str();
    Ok((from, side(conn, name, at(name), now).await?))
}

async fn side(
    conn: &mut Conn,
    name: &str,
    placed: Option<&Placed>,
    now: At,
) -> Result<Side, PageError> {
    let mut side = Side {
        name: name.to_owned(),
        run_number: None,
        digests: Vec::new(),
        since: None,
    };
    let Some(placed) = placed else {
        return Ok(side);
    };
    let release = release_of(conn, &placed.release_id).await?;
    let (run, _) = run_of(conn, &release).await?;
    side.run_number = Some(run.number);
    side.since = Some(When::micros(placed.since_at, now));
    side.digests = release
        .images
        .values()
        .map(|image| Copied::new("digest", image.digest.to_string()))
        .collect();
    Ok(side)
}

/// Who asked for it, in words.
pub(super) async fn requester(conn: &mut Conn, promotion: &Promotion) -> Result<String, PageError> {
    match &promotion.requester {
        Requester::Person(person) => {
            let name = identity::person_name(conn, person.as_str()).await;
            Ok(name.map_err(PageError::log)?.unwrap_or_default())
        }
        Requester::Rule => Ok("the settings' rule".to_owned()),
        Requester::Unmatched(who) => Ok(format!("{who}, who maps to nobody here")),
    }
}

/// A browser's tab says what is in the run, besides its number.
fn tab_title(title: &str, origin: &Origin) -> String {
    match origin.title.as_str() {
        "" => title.to_owned(),
        commit => format!("{title}: {commit}"),
    }
}

fn badge(state: &PromotionState, status: Status, unmet: usize) -> String {
    match (state, unmet) {
        (PromotionState::Waiting, 1) => "Waiting for 1 condition".to_owned(),
        (PromotionState::Waiting, more) if more > 1 => format!("Waiting for {more} conditions"),
        (
            PromotionState::Requested
            | PromotionState::Waiting
            | PromotionState::Applying { .. }
            | PromotionState::Applied { .. }
            | PromotionState::Failed { .. }
            | PromotionState::Void { .. }
            | PromotionState::Superseded { .. },
            _,
        ) => status.word.to_owned(),
    }
}

fn row(condition: Condition, now: At) -> Row {
    Row {
        status: condition_status(condition.state),
        evidence: condition.evidence_at.map(|at| When::micros(at, now)),
        condition,
    }
}

fn is_live(state: &PromotionState) -> bool {
    match state {
        PromotionState::Requested | PromotionState::Waiting | PromotionState::Applying { .. } => {
            true
        }
        PromotionState::Applied { .. }
        | PromotionState::Failed { .. }
        | PromotionState::Void { .. }
        | PromotionState::Superseded { .. } => false,
    }
}

fn cause(promotion: &Promotion) -> Option<String> {
    match &promotion.state {
        PromotionState::Failed { cause, .. }
        | PromotionState::Void { cause, .. }
        | PromotionState::Superseded { cause, .. } => Some(cause.clone()),
        PromotionState::Applying { .. } => promotion.progress.clone(),
        PromotionState::Requested | PromotionState::Waiting | PromotionState::Applied { .. } => {
            None
        }
    }
}

/// Conditions of now, or of the decision that let it through.
async fn conditions(
    conn: &mut Conn,
    app: &App,
    promotion: &Promotion,
) -> Result<(Vec<Condition>, Option<Judgement>), PageError> {
    if promotion.state.is_open() {
        let judged = promotion::judge_in(conn, &app.ground, promotion).await;
        let judged = judged.map_err(PageError::log)?;
        let conditions = judged.as_ref().map(|j| j.conditions.clone());
        return Ok((conditions.unwrap_or_default(), judged));
    }
    let then = match promotion.state.decision_id() {
        Some(id) => gate::conditions(conn, id).await.map_err(PageError::log)?,
        None => None,
    };
    Ok((then.unwrap_or_default(), None))
}
