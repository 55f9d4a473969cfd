//! `GET /deliveries`: the trigger history, accepted and refused, newest first.

use super::frame::{now, visible_projects};
use super::query::{Chip, Choice, Filters, Query, choices, moment, no_moment};
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::clock::At;
use crate::delivery::RefusalReason;
use crate::history::{self, Cursor, DeliveryRow, Outcome, Search, Wanted};
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::network::Network;
use crate::project::Project;
use askama::Template;
use axum::extract::{Query as Read, State};
use axum::response::Response;
use http::StatusCode;
use std::sync::Arc;

/// Rows of one page: with whole digests, ids and commits that is just under 100 KB.
const ROWS_MAX: usize = 40;
/// The filters, in the order of the form.
const FILTERS: [&str; 10] = [
    "q", "project", "event", "sender", "address", "decision", "reason", "from", "to", "run",
];
/// States of a run and causes of its end that people look for.
const RUNS: [(&str, &str); 10] = [
    ("waiting", "Waiting"),
    ("running", "Running"),
    ("passed", "Passed"),
    ("failed", "Failed"),
    ("invalid", "Invalid"),
    ("refused", "Refused by policy"),
    ("deadline", "Deadline"),
    ("cancelled", "Cancelled"),
    ("incomplete", "Incomplete"),
    ("infrastructure", "Infrastructure"),
];

/// A row as the page shows it.
struct Row {
    link: String,
    received: When,
    project: String,
    decision: Status,
    reason: String,
    event: String,
    /// As people call it; the whole name is in the markup.
    ref_name: String,
    ref_whole: String,
    commit: Option<Copied>,
    hook: String,
    external: Option<Copied>,
    sender: String,
    address: String,
    signature: Status,
    signature_detail: String,
    digest: Option<Copied>,
    run: Option<(i64, String)>,
    folded: Option<String>,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct Shown {
    frame: Frame,
    rows: Vec<Row>,
    filters: Filters,
    chips: Vec<Chip>,
    projects: Vec<Choice>,
    decisions: Vec<Choice>,
    runs: Vec<Choice>,
    reasons: Vec<&'static str>,
    problems: Vec<Problem>,
    older: Option<String>,
    has_project: bool,
}

/// A filter that cannot be read.
struct Problem {
    name: &'static str,
    words: String,
}

impl Shown {
    /// What is wrong with a filter, if anything is.
    fn problem(&self, name: &str) -> Option<&str> {
        let found = self.problems.iter().find(|problem| problem.name == name);
        found.map(|problem| problem.words.as_str())
    }
}

/// The page.
pub async fn deliveries(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let caller = &signed_in.session.caller;
    let projects = visible_projects(&app, &signed_in).await?;
    let filters = Filters::read("/deliveries", &query, &FILTERS)?;
    let place = filters.place()?.map(|(at, id)| Cursor { at, id });
    let (wanted, problems) = wanted(&filters, &projects);
    let mut rows = Vec::new();
    if problems.is_empty() {
        let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
        rows = history::deliveries(
            &mut conn,
            &caller.reach(Permission::See),
            caller.may_everywhere(Permission::SeePayload),
            &wanted,
            &place.unwrap_or_else(Cursor::newest),
            i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX),
        )
        .await
        .map_err(PageError::log)?;
    }
    let is_more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let older = rows.last().filter(|_| is_more);
    let older = older.map(|last| filters.after(last.at, &last.id));
    let status = if problems.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::BAD_REQUEST
    };
    let now = now(&app);
    let shown = Shown {
        frame: Frame::new(&app, &signed_in, Tab::Deliveries, "Trigger history"),
        rows: rows.into_iter().map(|row| shown_row(row, now)).collect(),
        chips: filters.chips(chip_words),
        projects: choices(&filters, "project", "All projects", named(&projects)),
        decisions: choices(&filters, "decision", "Any", outcomes()),
        runs: choices(&filters, "run", "Any", pairs(&RUNS)),
        reasons: RefusalReason::ALL.iter().map(|r| r.as_str()).collect(),
        has_project: !projects.is_empty(),
        filters,
        problems,
        older,
    };
    if status == StatusCode::OK {
        return Ok(page(&shown));
    }
    Ok(super::frame::plain(status, &shown))
}

fn named(projects: &[Project]) -> Vec<(String, String)> {
    let name = |project: &Project| (project.name.to_string(), project.name.to_string());
    projects.iter().map(name).collect()
}

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(value, word): &(&str, &str)| ((*value).to_owned(), (*word).to_owned());
    of.iter().map(owned).collect()
}

fn outcomes() -> Vec<(String, String)> {
    let word = |outcome: Outcome| {
        let status = decision(outcome);
        (outcome.as_str().to_owned(), status.word.to_owned())
    };
    Outcome::ALL.into_iter().map(word).collect()
}

fn chip_words(name: &str, value: &str) -> String {
    match name {
        "q" => format!("“{value}”"),
        "from" => format!("from {value} UTC"),
        "to" => format!("before {value} UTC"),
        "run" => format!("run {value}"),
        _ => format!("{name} {value}"),
    }
}

/// Reads the filters; what cannot be read is told beside its field, and nothing is shown.
fn wanted(filters: &Filters, projects: &[Project]) -> (Wanted, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut wrong = |name, words: String| problems.push(Problem { name, words });
    let text = |name| filters.given(name).map(str::to_owned);
    let mut wanted = Wanted {
        event: text("event"),
        sender: text("sender"),
        reason: text("reason"),
        run: text("run"),
        ..Wanted::default()
    };
    if let Some(name) = filters.given("project") {
        // One that may not be seen does not exist.
        match projects
            .iter()
            .find(|project| project.name.as_str() == name)
        {
            Some(project) => wanted.project_id = Some(project.id.to_string()),
            None => wrong("project", format!("There is no project “{name}” here.")),
        }
    }
    if let Some(text) = filters.given("address") {
        match Network::parse(text) {
            Ok(network) => wanted.network = Some(network),
            Err(error) => wrong("address", error.to_string()),
        }
    }
    if let Some(word) = filters.given("decision") {
        match Outcome::parse(word) {
            Some(outcome) => wanted.outcome = Some(outcome),
            None => wrong("decision", format!("“{word}” is no decision.")),
        }
    }
    for (name, bound) in [("from", &mut wanted.from), ("to", &mut wanted.until)] {
        if let Some(text) = filters.given(name) {
            *bound = moment(text);
            if bound.is_none() {
                wrong(name, no_moment(text));
            }
        }
    }
    if let Some(text) = filters.given("q") {
        match Search::parse(text) {
            Ok(search) => wanted.search = Some(search),
            Err(error) => wrong("q", format!("{error}.")),
        }
    }
    (wanted, problems)
}

fn shown_row(row: DeliveryRow, now: At) -> Row {
    let refused = row.decided.outcome == Outcome::Refused;
    let event = row.event.clone().unwrap_or_default();
    let (signature, signature_detail) = signature(&row);
    let address = match (row.address, row.folded) {
        (None, _) => "several networks".to_owned(),
        (Some(address), true) if address.to_ipv4_mapped().is_some() => {
            format!("{}/24", words::address(address))
        }
        (Some(address), true) => format!("{address}/64"),
        (Some(address), false) => words::address(address),
    };
    let several = match row.refs {
        0 | 1 => String::new(),
        refs => format!(" and {} more", refs - 1),
    };
    let ref_name = row.ref_name.as_deref().map(super::runs::short_ref);
    let run = row.run_number.zip(row.project.as_ref());
    let run = run.map(|(number, name)| (number, format!("/projects/{name}/runs/{number}")));
    Row {
        link: format!("/deliveries/{}", row.id),
        received: When::micros(row.at, now),
        decision: decision(row.decided.outcome),
        reason: row.decided.reason,
        event: match (refused, event.is_empty()) {
            (true, false) => format!("claims {event}"),
            (true, true) => "not told".to_owned(),
            (false, _) => event,
        },
        ref_name: ref_name.map_or_else(String::new, |name| format!("{name}{several}")),
        ref_whole: row.ref_name.clone().unwrap_or_default(),
        commit: row.commit_id.map(|commit| Copied::new("commit", commit)),
        hook: row.provider.unwrap_or_else(|| "no such hook".to_owned()),
        external: row.external_id.map(|id| Copied::new("delivery id", id)),
        sender: row.sender.unwrap_or_else(|| "not said".to_owned()),
        address,
        signature,
        signature_detail,
        digest: row.body_digest.map(|digest| Copied::new("digest", digest)),
        folded: row.folded.then(|| {
            let requests = row.requests;
            format!("{requests} requests in the minute before, counted together")
        }),
        project: row.project.unwrap_or_default(),
        run,
    }
}

/// What became of a delivery.
pub(super) fn decision(outcome: Outcome) -> Status {
    match outcome {
        Outcome::Start => Status::new(Look::Pass, "pass", "Start"),
        Outcome::Skip => Status::new(Look::Idle, "skip", "Skip"),
        Outcome::Hold => Status::new(Look::Wait, "hold", "Hold"),
        Outcome::Waiting => Status::new(Look::Work, "work", "Being decided"),
        Outcome::Refused => Status::new(Look::Fail, "refuse", "Refused"),
    }
}

fn signature(row: &DeliveryRow) -> (Status, String) {
    if let Some(algorithm) = &row.signature {
        let replay = if row.replays_id.is_some() {
            "seen before"
        } else {
            "new"
        };
        let valid = Status::new(Look::Pass, "pass", "Valid");
        return (valid, format!("{algorithm}, {replay}"));
    }
    let reason = words::refusal(&row.decided.reason);
    (words::refused_signature(reason), String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_told_beside_its_field() {
        let query: Query = [
            ("address", "10.0.0/8"),
            ("decision", "maybe"),
            ("from", "noon"),
            ("to", "2026-01-01"),
            ("project", "secret"),
            ("q", "sha256:1"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        let filters = Filters::read("/deliveries", &query, &FILTERS).unwrap();
        let (wanted, problems) = wanted(&filters, &[]);
        let names: Vec<&str> = problems.iter().map(|problem| problem.name).collect();
        assert_eq!(names, ["project", "address", "decision", "from", "q"]);
        assert!(wanted.until.is_some());
    }
}
