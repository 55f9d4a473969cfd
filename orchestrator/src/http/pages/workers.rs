//! `GET /workers`: who works, how well each holds its containers, what it works on now.

use super::frame::now;
use super::parts::Command;
use super::{Frame, Look, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::fleet::{self, Standing, Worker};
use crate::history::{self, LeaseRow};
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use contract::name::Name;
use contract::protocol::RuleResult;
use std::sync::Arc;
use std::time::Duration;

/// A worker says something every few seconds; who was silent for so long is away.
const SILENT: Duration = Duration::from_secs(120);

/// A step that a worker works on.
struct Lease {
    /// Nothing of a project that the reader may not see.
    step: Option<(String, String)>,
    since: When,
}

struct Row {
    name: String,
    status: Status,
    level: String,
    /// The most that it may claim.
    granted: String,
    /// What it claims, when that is more.
    claimed: Option<String>,
    version: String,
    slots: u32,
    seen: Option<When>,
    enrolled: When,
    since: Option<When>,
    leases: Vec<Lease>,
    rules: Vec<(RuleResult, Status)>,
    held: usize,
    /// What an administrator may do about it.
    acts: Vec<Command>,
}

#[derive(Template)]
#[template(path = "workers.html")]
struct Shown {
    frame: Frame,
    rows: Vec<Row>,
    busy: usize,
    slots: u32,
    administers: bool,
}

/// The page: for whoever may see anything here.
pub async fn workers(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    let caller = &signed_in.session.caller;
    if caller.reach(Permission::See).is_nowhere() {
        return Err(PageError::NotFound);
    }
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let all = fleet::list(&mut conn).await.map_err(PageError::log)?;
    let leases = history::leases(&mut conn).await.map_err(PageError::log)?;
    let busy = leases.len();
    let rows: Vec<Row> = all
        .into_iter()
        .map(|worker| {
            let own = leases.iter().filter(|l| l.worker_id == worker.id.as_str());
            let own = own.map(|one| lease(&signed_in, one, now)).collect();
            row(worker, own, now)
        })
        .collect();
    let working = rows.iter().filter(|row| row.status == ACTIVE);
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Workers, "Workers"),
        slots: working.map(|row| row.slots).sum(),
        busy,
        rows,
        administers: caller.may_everywhere(Permission::Administer),
    }))
}

const ACTIVE: Status = Status::new(Look::Pass, "pass", "Active");

fn lease(signed_in: &SignedIn, one: &LeaseRow, now: At) -> Lease {
    let run = format!("/projects/{}/runs/{}", one.project, one.run_number);
    let title = format!("{} {}, {}", one.project, one.run_number, one.step);
    Lease {
        step: signed_in.may_see(&one.project_id).then_some((title, run)),
        since: When::micros(one.leased_at, now),
    }
}

fn row(worker: Worker, leases: Vec<Lease>, now: At) -> Row {
    let silent = worker.seen_at.is_none_or(|at| now.since(at) > SILENT);
    let status = match (worker.standing, &worker.capability) {
        (Standing::Revoked { .. }, _) => Status::new(Look::Fail, "refuse", "Revoked"),
        (Standing::Drained { .. }, _) => Status::new(Look::Wait, "hold", "Drained"),
        (Standing::Active, None) => Status::new(Look::Idle, "queue", "Not started yet"),
        (Standing::Active, Some(_)) if silent => Status::new(Look::Fail, "warn", "Silent"),
        (Standing::Active, Some(_)) => ACTIVE,
    };
    let since = match worker.standing {
        Standing::Revoked { at } | Standing::Drained { at } => Some(When::new(at, now)),
        Standing::Active => None,
    };
    let acts: &[&str] = match worker.standing {
        Standing::Active => &["drain", "revoke"],
        Standing::Drained { .. } => &["resume", "revoke"],
        Standing::Revoked { .. } => &[],
    };
    let (level, claimed, version, slots, rules) = match worker.capability {
        Some(can) => (
            can.level.to_string(),
            can.isolation.level,
            can.version,
            can.slots,
            can.isolation.rules,
        ),
        None => Default::default(),
    };
    let rules: Vec<(RuleResult, Status)> = rules
        .into_iter()
        .map(|rule| {
            let status = if rule.held {
                Status::new(Look::Pass, "pass", "Held")
            } else {
                Status::new(Look::Fail, "fail", "Broken")
            };
            (rule, status)
        })
        .collect();
    Row {
        acts: acts.iter().map(|act| command(act, &worker.name)).collect(),
        name: worker.name.to_string(),
        status,
        claimed: (claimed != level).then_some(claimed),
        level,
        granted: worker.granted.to_string(),
        version,
        slots,
        seen: worker.seen_at.map(|at| When::new(at, now)),
        enrolled: When::new(worker.enrolled_at, now),
        since,
        leases,
        held: rules.iter().filter(|(rule, _)| rule.held).count(),
        rules,
    }
}

fn command(act: &str, worker: &Name) -> Command {
    Command {
        command: format!("sallyport worker {act} {worker}"),
    }
}
