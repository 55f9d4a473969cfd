//! `GET /projects/{project}/runs/{number}`: what became of a commit, and why. `run/` draws its parts.

mod acts;
mod artifact;
mod facts;
mod graph;
mod steps;
mod timeline;

pub use acts::{again, cancel};
pub use artifact::artifact;

use super::attested::{Attested, attested};
use super::frame::{now, visible_project};
use super::parts::{count, duration, size};
use super::runs::short_ref;
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::image::Image;
use crate::run::{self, Cause, Origin, Run, RunState};
use crate::step::{PastLease, Step, StepState};
use crate::{history, image, step};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use facts::{Complaint, Findings, Kept, Tests};
use graph::Graph;
use std::sync::Arc;
use steps::Row;
use timeline::Timeline;

/// An image as it was seen in the registry.
struct Built {
    name: String,
    digest: Copied,
    repository: String,
    bytes: String,
    platforms: String,
    bases: Vec<String>,
}

/// A promotion of what the run made.
struct Went {
    environment: String,
    number: i64,
    link: String,
    status: Status,
}

/// Why the run started.
struct Why {
    delivery: String,
    event: String,
    provider: String,
    detail: String,
    settings_version: i64,
    pipeline: String,
    pusher: Option<String>,
    again_of: Option<i64>,
}

#[derive(Template)]
#[template(path = "run.html")]
struct Shown {
    frame: Frame,
    project: String,
    run: Run,
    title: String,
    author: String,
    ref_name: String,
    commit: Copied,
    status: Status,
    said: String,
    cannot_pass: Option<String>,
    cancel_asked: Option<String>,
    created: When,
    took: Option<String>,
    is_over: bool,
    /// More is to come of it: steps, or what is attested once it has passed.
    is_live: bool,
    went: Vec<Went>,
    may_run: bool,
    graph: Graph,
    counted: String,
    rows: Vec<Row>,
    timeline: Option<Timeline>,
    complaints: Vec<Complaint>,
    why: Why,
    images: Vec<Built>,
    attested: Vec<Attested>,
    artifacts: Vec<Kept>,
    tests: Option<Tests>,
    findings: Findings,
}

/// What the room knows of a run's steps, read once.
struct Work {
    steps: Vec<Step>,
    leases: Vec<PastLease>,
}

/// The page.
pub async fn run(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, number)): Path<(String, i64)>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let run = run::by_number(&mut conn, &project.name, number)
        .await
        .map_err(PageError::log)?;
    let run = run.ok_or(PageError::NotFound)?;
    let origin = run::origin(&mut conn, &run.id)
        .await
        .map_err(PageError::log)?;
    let origin = origin.ok_or(PageError::NotFound)?;
    let work = work(&mut conn, &run).await?;
    let images = image::images_of_run(&mut conn, run.id.as_str())
        .await
        .map_err(PageError::log)?;
    let is_over = is_over(&run);
    let attested = attested(&mut conn, &images, is_over).await?;
    let reach = signed_in.session.caller.reach(Permission::See);
    let findings = facts::findings(&mut conn, &run, &reach).await?;
    let base = format!("/projects/{name}/runs/{number}");
    Ok(page(&Shown {
        frame: Frame::new(
            &app,
            &signed_in,
            Tab::Runs,
            format!("Run {number}, {}", origin.title),
        )
        .of_project(&project),
        ref_name: short_ref(&run.ref_name).to_owned(),
        commit: Copied::new("commit", run.commit.to_string()),
        status: words::run(&run.state),
        said: said(&run.state),
        cannot_pass: cannot_pass(&run, &work.steps),
        cancel_asked: run
            .cancel
            .as_ref()
            .filter(|_| !is_over)
            .map(|(by, _)| by.clone()),
        created: When::new(run.created_at, now),
        took: took(&run, now),
        is_over,
        is_live: !is_over || awaits_attestations(&run.state, &attested),
        went: went(&mut conn, &run).await?,
        may_run: signed_in
            .session
            .caller
            .may(Permission::Run, project.id.as_str()),
        graph: graph::graph(&work.steps, &base),
        counted: steps::counted(&work.steps),
        rows: steps::rows(&work, &base, now),
        timeline: timeline::timeline(&mut conn, &work.steps, now).await?,
        complaints: facts::complaints(&mut conn, &run).await?,
        attested,
        artifacts: facts::artifacts(&mut conn, &work.steps, &base).await?,
        tests: facts::tests(&mut conn, &run, &base).await?,
        images: images.into_iter().map(built).collect(),
        findings,
        project: name,
        author: origin.author.clone(),
        title: titled(&origin, number),
        why: why(&mut conn, origin).await?,
        run,
    }))
}

async fn work(conn: &mut Conn, run: &Run) -> Result<Work, PageError> {
    let steps = step::list(conn, &run.id).await.map_err(PageError::log)?;
    let leases = step::leases(conn, &run.id).await.map_err(PageError::log)?;
    Ok(Work { steps, leases })
}

/// Where the run's release was asked for, oldest first.
async fn went(conn: &mut Conn, run: &Run) -> Result<Vec<Went>, PageError> {
    let promotions = history::promotions_of_run(conn, run.id.as_str()).await;
    let went = |promotion: history::PromotionRow| Went {
        environment: promotion.environment,
        number: promotion.number,
        link: format!("/promotions/{}", promotion.id),
        status: words::stored_promotion(&promotion.state),
    };
    let promotions = promotions.map_err(PageError::log)?;
    Ok(promotions.into_iter().map(went).collect())
}

/// Whether statements about the images of a run that has passed are still on their way.
fn awaits_attestations(state: &RunState, attested: &[Attested]) -> bool {
    let passed = match state {
        RunState::Finished { cause, .. } => *cause == Cause::Passed,
        RunState::Waiting
        | RunState::Running { .. }
        | RunState::Invalid { .. }
        | RunState::Refused { .. } => false,
    };
    passed && attested.iter().any(|one| one.manifest.is_none())
}

fn titled(origin: &Origin, number: i64) -> String {
    if origin.title.is_empty() {
        format!("Run {number}")
    } else {
        origin.title.clone()
    }
}

async fn why(conn: &mut Conn, origin: Origin) -> Result<Why, PageError> {
    let pusher = match &origin.pusher_id {
        Some(id) => crate::identity::person_name(conn, id)
            .await
            .map_err(PageError::log)?,
        None => None,
    };
    Ok(Why {
        delivery: origin.delivery_id,
        event: origin.event,
        provider: origin.provider,
        detail: origin.detail,
        settings_version: origin.settings_version,
        pipeline: origin.pipeline_path,
        pusher: pusher.or(origin.sender),
        again_of: origin.again_of,
    })
}

fn said(state: &RunState) -> String {
    let cause = match state {
        RunState::Finished { cause, .. } | RunState::Refused { cause, .. } => cause,
        RunState::Waiting | RunState::Running { .. } | RunState::Invalid { .. } => {
            return String::new();
        }
    };
    match cause {
        // A run's failure names its step.
        Cause::Failed { what } => format!("Step {what} failed"),
        Cause::Passed
        | Cause::WorkerLost
        | Cause::Deadline { .. }
        | Cause::Cancelled { .. }
        | Cause::Superseded { .. }
        | Cause::Refused { .. }
        | Cause::Incomplete { .. }
        | Cause::Infrastructure { .. }
        | Cause::Needed { .. } => words::detail(cause),
    }
}

/// A run that still works and can only end badly.
fn cannot_pass(run: &Run, steps: &[Step]) -> Option<String> {
    if is_over(run) {
        return None;
    }
    let bad = |step: &&Step| match &step.state {
        StepState::Finished { cause, .. } => *cause != Cause::Passed,
        StepState::Blocked
        | StepState::Ready { .. }
        | StepState::Leased(_)
        | StepState::Reported { .. }
        | StepState::Skipped { .. } => false,
    };
    match steps.iter().filter(bad).count() {
        0 => None,
        1 => Some("Cannot pass: 1 step failed".to_owned()),
        more => Some(format!("Cannot pass: {more} steps failed")),
    }
}

fn is_over(run: &Run) -> bool {
    match run.state {
        RunState::Waiting | RunState::Running { .. } => false,
        RunState::Finished { .. } | RunState::Invalid { .. } | RunState::Refused { .. } => true,
    }
}

fn took(run: &Run, now: At) -> Option<String> {
    match run.state {
        RunState::Running { started_at } => Some(duration(started_at, now)),
        RunState::Finished { at, .. } => Some(duration(run.created_at, at)),
        RunState::Waiting | RunState::Invalid { .. } | RunState::Refused { .. } => None,
    }
}

fn built(image: Image) -> Built {
    Built {
        name: image.name.to_string(),
        digest: Copied::full("digest", image.digest.to_string()),
        repository: image.repository.to_string(),
        bytes: size(image.image_bytes),
        platforms: image.platforms.join(", "),
        bases: image.bases.iter().map(ToString::to_string).collect(),
    }
}
