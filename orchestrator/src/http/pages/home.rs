//! `GET /`: what needs the reader, what runs, what failed and why, what is where.

use super::approvals::{Line, line};
use super::environments::broken;
use super::frame::{now, visible_projects};
use super::parts::duration;
use super::{Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::finding::Severity;
use crate::history::{self, EnvironmentRow, OpenRow, RunRow};
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::project::Project;
use crate::{project, promotion};
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;
use std::time::Duration;

/// Runs of one card: what one takes in at a glance.
const RUNS_MAX: i64 = 8;
/// Promotions of the first card; the others stand on their own page.
const NEEDS_MAX: usize = 8;
/// Projects whose environments are drawn.
const GLANCES_MAX: usize = 20;
/// Digits of a commit where there is little room; links lead to all of it.
const COMMIT_DIGITS: usize = 7;
/// What failed before is history.
const LATELY: Duration = Duration::from_secs(7 * 24 * 3_600);
/// The meter of a run's steps, in pixels.
const METER: i64 = 96;

struct RunLine {
    title: String,
    link: String,
    sub: String,
    status: Status,
    when: When,
    took: String,
    /// How much of the meter is full.
    fill: i64,
}

/// What one environment holds.
struct Glance {
    name: String,
    holds: Option<Holds>,
}

/// What is there, by what people know it.
struct Holds {
    run_number: i64,
    commit: String,
    commit_title: String,
    since: When,
    is_broken: bool,
}

/// An environment that holds what its gate would not let in today.
struct Broken {
    title: String,
    commit_title: String,
    sub: String,
    link: String,
}

struct Environments {
    project: String,
    lanes: Vec<Glance>,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Shown {
    frame: Frame,
    needs: Vec<Line>,
    needs_all: usize,
    others: usize,
    broken: Vec<Broken>,
    running: Vec<RunLine>,
    failed: Vec<RunLine>,
    projects: Vec<Project>,
    environments: Vec<Environments>,
    meter: i64,
    administers: bool,
}

/// The first page.
pub async fn home(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Response, PageError> {
    let now = now(&app);
    let caller = &signed_in.session.caller;
    let projects = visible_projects(&app, &signed_in).await?;
    let reach = caller.reach(Permission::See);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let asking = promotion::asking(&mut conn, caller.actor.person(), &reach, now).await;
    let (mine, others) = asking.map_err(PageError::log)?;
    let mut needs = Vec::new();
    for promotion in mine.iter().take(NEEDS_MAX) {
        needs.push(line(&mut conn, promotion, now).await?);
    }
    let running = history::running(&mut conn, &reach, RUNS_MAX).await;
    let running = running.map_err(PageError::log)?;
    let failed = history::failed(&mut conn, &reach, now.minus(LATELY), RUNS_MAX).await;
    let failed = failed.map_err(PageError::log)?;
    let held = history::environments(&mut conn, &reach).await;
    let held = held.map_err(PageError::log)?;
    let open = history::open_in_environments(&mut conn, &reach).await;
    let open = open.map_err(PageError::log)?;
    let (mut environments, mut broken) = (Vec::new(), Vec::new());
    for project in projects.iter().take(GLANCES_MAX) {
        let glanced = glance(&mut conn, project, (&held, &open), now).await?;
        let Some((glances, no_longer)) = glanced else {
            continue;
        };
        environments.push(glances);
        // Whoever may do something about it is told to: a newer release is asked for, or made.
        if caller.may(Permission::Request, project.id.as_str()) {
            broken.extend(no_longer);
        }
    }
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Home, "Home"),
        needs,
        needs_all: mine.len(),
        others: others.len(),
        broken,
        running: running.into_iter().map(|one| run_line(one, now)).collect(),
        failed: failed.into_iter().map(|one| run_line(one, now)).collect(),
        projects,
        environments,
        meter: METER,
        administers: caller.may_everywhere(Permission::Administer),
    }))
}

/// A project's environments in the order of its settings, and which of them no longer comply; none where it
/// has none.
async fn glance(
    conn: &mut Conn,
    project: &Project,
    (held, open): (&[EnvironmentRow], &[OpenRow]),
    now: At,
) -> Result<Option<(Environments, Vec<Broken>)>, PageError> {
    let settings = project::current_settings(conn, project.id.as_str()).await;
    let Some(version) = settings.map_err(PageError::log)? else {
        return Ok(None);
    };
    let (mut lanes, mut no_longer) = (Vec::new(), Vec::new());
    for environment in &version.settings.environments {
        let name = environment.name.to_string();
        let holds = held
            .iter()
            .find(|one| one.project_id == project.id.as_str() && one.environment == name);
        let by = broken(environment, project.id.as_str(), open).filter(|_| holds.is_some());
        no_longer.extend(by.zip(holds).map(|(by, holds)| told(project, holds, by)));
        let holds = holds.map(|one| Holds {
            run_number: one.run_number,
            commit: one.commit_id.chars().take(COMMIT_DIGITS).collect(),
            commit_title: one.commit_title.clone(),
            since: When::micros(one.since_at, now),
            is_broken: by.is_some(),
        });
        lanes.push(Glance { name, holds });
    }
    let project = project.name.to_string();
    Ok((!lanes.is_empty()).then_some((Environments { project, lanes }, no_longer)))
}

fn told(project: &Project, holds: &EnvironmentRow, (open, threshold): (i64, Severity)) -> Broken {
    let (project, environment) = (&project.name, &holds.environment);
    Broken {
        title: format!(
            "{project} run {} no longer complies in {environment}",
            holds.run_number
        ),
        commit_title: holds.commit_title.clone(),
        sub: format!("{open} open at or above {threshold}"),
        link: format!("/projects/{project}/findings?in={environment}&severity={threshold}"),
    }
}

fn run_line(run: RunRow, now: At) -> RunLine {
    let status = words::stored_run(
        &run.state,
        run.cause.as_deref(),
        run.cause_detail.as_deref(),
    );
    let name = format!("{} {}", run.project, run.number);
    let by = format!(
        "{name} on {}, {}",
        super::runs::short_ref(&run.ref_name),
        run.author_name
    );
    let sub = match (&run.step, run.finished_at) {
        (_, Some(_)) => {
            let why = run.cause_detail.as_deref();
            let why = why.map_or_else(
                || status.word.to_owned(),
                |why| format!("{}: {why}", status.word),
            );
            format!("{why}. {by}")
        }
        (Some(step), None) => format!("{by}. Step {step}"),
        (None, None) => by,
    };
    let from = run.started_at.unwrap_or(run.created_at);
    RunLine {
        title: if run.commit_title.is_empty() {
            name
        } else {
            run.commit_title
        },
        link: format!("/projects/{}/runs/{}", run.project, run.number),
        sub,
        when: When::micros(run.finished_at.unwrap_or(run.created_at), now),
        took: duration(At(from), At(run.finished_at.unwrap_or(now.0))),
        fill: METER * run.steps_done / run.steps.max(1),
        status,
    }
}
