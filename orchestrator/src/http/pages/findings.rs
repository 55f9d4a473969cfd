//! `GET /projects/{project}/findings`: what stands open in one run, or in what an environment holds.

use super::frame::{now, visible_project};
use super::query::{Chip, Choice, Filters, Query, choices};
use super::{Copied, Frame, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::finding::{self, Severity, Unchecked};
use crate::history::finding::{self as listed, FindingRow, Wanted};
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::project::Project;
use crate::{history, project, run};
use askama::Template;
use axum::extract::{Path, Query as Read, State};
use axum::response::Response;
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Findings of one page.
const ROWS_MAX: usize = 50;
/// The filters, in the order of the form.
const FILTERS: [&str; 6] = ["in", "severity", "tool", "rule", "package", "file"];
/// Thresholds, as gates have them.
const SEVERITIES: [(&str, &str); 4] = [
    ("critical", "Critical"),
    ("high", "High and above"),
    ("medium", "Medium and above"),
    ("low", "Low and above"),
];

/// A run whose findings can be looked at, and why it is of interest.
struct Place {
    /// The word in the address: an environment's name, or empty for the newest run.
    word: String,
    number: i64,
    run_id: String,
}

struct Row {
    severity: Status,
    title: String,
    sub: String,
    tool: String,
    location: String,
    image: String,
    first_seen: When,
    fixed_in: Option<String>,
    present: Vec<String>,
    suppressed: bool,
    fingerprint: Copied,
    message: String,
}

/// An ecosystem that no advisories speak of.
struct NotChecked {
    kind: String,
    packages: usize,
    why: String,
}

#[derive(Template)]
#[template(path = "findings.html")]
struct Shown {
    frame: Frame,
    project: String,
    run: Option<(i64, Status)>,
    of: String,
    counts: Vec<(Status, i64)>,
    rows: Vec<Row>,
    filters: Filters,
    chips: Vec<Chip>,
    places: Vec<Choice>,
    severities: Vec<Choice>,
    tools: Vec<Choice>,
    older: Option<String>,
    not_checked: Vec<NotChecked>,
    unscanned: Vec<String>,
    looked_at: usize,
    sources: Vec<(String, i64, When)>,
}

/// The page.
pub async fn findings(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(name): Path<String>,
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let filters = Filters::read(format!("/projects/{name}/findings"), &query, &FILTERS)?;
    let place = filters.place()?;
    let wanted = wanted(&filters)?;
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let places = places(&mut conn, &signed_in, &project).await?;
    let chosen = chosen(&mut conn, &project, &filters, &places).await?;
    let mut shown = Shown {
        frame: Frame::new(&app, &signed_in, Tab::Findings, "Findings").of_project(&project),
        run: None,
        of: String::new(),
        counts: Vec::new(),
        rows: Vec::new(),
        chips: filters.chips(chip_words),
        places: choice_of(&filters, &places),
        severities: choices(&filters, "severity", "Any", owned(&SEVERITIES)),
        tools: Vec::new(),
        older: None,
        not_checked: Vec::new(),
        unscanned: Vec::new(),
        looked_at: 0,
        sources: Vec::new(),
        project: name,
        filters,
    };
    let Some(chosen) = chosen else {
        return Ok(page(&shown));
    };
    let (rank, id) = place.unwrap_or((-1, String::new()));
    let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
    let rows = listed::findings(&mut conn, &chosen.run_id, &wanted, (rank, &id), limit).await;
    let mut rows = rows.map_err(PageError::log)?;
    let is_more = rows.len() > ROWS_MAX;
    rows.truncate(ROWS_MAX);
    let last = rows.last().filter(|_| is_more);
    shown.older = last.map(|last| shown.filters.after(last.rank, &last.id));
    let present = present(&mut conn, &places).await?;
    shown.rows = rows
        .into_iter()
        .map(|one| row(one, &present, now))
        .collect();
    about(&mut conn, &mut shown, &chosen, now).await?;
    Ok(page(&shown))
}

/// What else the page says of the run: its state, counts, tools, and what nobody looked at.
async fn about(
    conn: &mut Conn,
    shown: &mut Shown,
    chosen: &Place,
    now: At,
) -> Result<(), PageError> {
    let run_id = run::RunId::parse(&chosen.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(conn, &run_id).await.map_err(PageError::log)?;
    shown.run = run.map(|run| (run.number, words::run(&run.state)));
    shown.of = match chosen.word.as_str() {
        "" => "the newest run that was looked at".to_owned(),
        word if word.parse::<i64>().is_ok() => "this run".to_owned(),
        word => format!("what {word} holds"),
    };
    let counts = history::findings_of_run(conn, &chosen.run_id).await;
    let counts = counts.map_err(PageError::log)?;
    let status = |(word, count): (String, i64)| (words::severity(&word), count);
    shown.counts = counts.into_iter().map(status).collect();
    let tools = listed::choices(conn, &chosen.run_id).await;
    let tools = tools.map_err(PageError::log)?;
    let tools = tools.into_iter().map(|tool| (tool.clone(), tool));
    shown.tools = choices(&shown.filters, "tool", "Any", tools);
    let unchecked = finding::unchecked_in_run(conn, &chosen.run_id).await;
    let Unchecked {
        packages,
        unscanned,
        looked_at,
        sources,
    } = unchecked.map_err(PageError::log)?;
    let mut kinds: BTreeMap<String, (usize, String)> = BTreeMap::new();
    for package in packages {
        let kind = kinds.entry(package.kind).or_insert((0, package.why));
        kind.0 += 1;
    }
    shown.not_checked = kinds
        .into_iter()
        .map(|(kind, (packages, why))| NotChecked {
            kind,
            packages,
            why,
        })
        .collect();
    shown.unscanned = unscanned;
    shown.looked_at = looked_at;
    shown.sources = sources
        .into_iter()
        .map(|source| {
            let confirmed = When::micros(source.confirmed_at, now);
            (source.ecosystem, source.records, confirmed)
        })
        .collect();
    Ok(())
}

fn owned(of: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(value, word): &(&str, &str)| ((*value).to_owned(), (*word).to_owned());
    of.iter().map(owned).collect()
}

fn chip_words(name: &str, value: &str) -> String {
    match name {
        "severity" => format!("{value} and above"),
        "in" if value.parse::<i64>().is_ok() => format!("in run {value}"),
        _ => format!("{name} {value}"),
    }
}

fn wanted(filters: &Filters) -> Result<Wanted, PageError> {
    let text = |name| filters.given(name).map(str::to_owned);
    let severity = match filters.given("severity") {
        None => None,
        Some(word) => match Severity::parse(word) {
            Some(severity) => Some(severity),
            None => {
                let problem = format!("“{word}” is no severity.");
                return Err(PageError::BadQuery(problem));
            }
        },
    };
    Ok(Wanted {
        severity,
        tool: text("tool"),
        rule: text("rule"),
        package: text("package"),
        path: text("file"),
    })
}

/// The newest run that was looked at, and what each environment holds, in the settings' order.
async fn places(
    conn: &mut Conn,
    signed_in: &SignedIn,
    project: &Project,
) -> Result<Vec<Place>, PageError> {
    let mut places = Vec::new();
    let newest = listed::newest_run(conn, project.id.as_str()).await;
    if let Some((number, run_id)) = newest.map_err(PageError::log)? {
        places.push(Place {
            word: String::new(),
            number,
            run_id,
        });
    }
    let reach = signed_in.session.caller.reach(Permission::See);
    let held = history::environments(conn, &reach).await;
    let held = held.map_err(PageError::log)?;
    let settings = project::current_settings(conn, project.id.as_str()).await;
    let settings = settings.map_err(PageError::log)?;
    let environments = settings.map(|version| version.settings.environments);
    for environment in environments.unwrap_or_default() {
        let holds = held.iter().find(|one| {
            one.project_id == project.id.as_str() && one.environment == environment.name.as_str()
        });
        places.extend(holds.map(|one| Place {
            word: one.environment.clone(),
            number: one.run_number,
            run_id: one.run_id.clone(),
        }));
    }
    Ok(places)
}

/// The place that the address names: an environment, a run's number, or the newest run.
async fn chosen(
    conn: &mut Conn,
    project: &Project,
    filters: &Filters,
    places: &[Place],
) -> Result<Option<Place>, PageError> {
    let word = filters.get("in");
    let known = places.iter().find(|place| place.word == word);
    if let Some(place) = known {
        return Ok(Some(Place {
            word: place.word.clone(),
            number: place.number,
            run_id: place.run_id.clone(),
        }));
    }
    let Ok(number) = word.parse() else {
        return match word {
            "" => Ok(None),
            _ => Err(PageError::NotFound),
        };
    };
    let run = run::by_number(conn, &project.name, number).await;
    let run = run.map_err(PageError::log)?.ok_or(PageError::NotFound)?;
    Ok(Some(Place {
        word: word.to_owned(),
        number,
        run_id: run.id.to_string(),
    }))
}

fn choice_of(filters: &Filters, places: &[Place]) -> Vec<Choice> {
    let newest = places.iter().find(|place| place.word.is_empty());
    let newest = newest.map_or_else(
        || "The newest run".to_owned(),
        |place| format!("The newest run, {}", place.number),
    );
    let on = filters.get("in");
    let mut others: Vec<(String, String)> = places
        .iter()
        .filter(|place| !place.word.is_empty())
        .map(|place| {
            let word = format!("{}, run {}", place.word, place.number);
            (place.word.clone(), word)
        })
        .collect();
    if on.parse::<i64>().is_ok() {
        others.push((on.to_owned(), format!("Run {on}")));
    }
    choices(filters, "in", &newest, others)
}

/// By environment, the fingerprints of what stands open in it.
async fn present(
    conn: &mut Conn,
    places: &[Place],
) -> Result<Vec<(String, HashSet<String>)>, PageError> {
    let mut present = Vec::new();
    for place in places.iter().filter(|place| !place.word.is_empty()) {
        let open = listed::fingerprints(conn, &place.run_id).await;
        let open = open.map_err(PageError::log)?;
        present.push((place.word.clone(), open.into_iter().collect()));
    }
    Ok(present)
}

fn row(one: FindingRow, present: &[(String, HashSet<String>)], now: At) -> Row {
    let location = match (&one.path, &one.package) {
        (Some(path), _) => match one.line {
            Some(line) => format!("{path}:{line}"),
            None => path.clone(),
        },
        (None, Some(package)) => {
            let version = one.package_version.as_deref().unwrap_or_default();
            format!("{package} {version}")
        }
        (None, None) => String::new(),
    };
    // An advisory is known by its id; what is wrong in a file is known by the sentence that says so.
    let (title, sub) = match &one.path {
        Some(_) => (one.title, one.rule),
        None => (one.rule, one.title),
    };
    let sub = if one.aliases.is_empty() {
        sub
    } else {
        format!("{sub}; also {}", one.aliases.replace(' ', ", "))
    };
    let present = present
        .iter()
        .filter(|(_, open)| open.contains(&one.fingerprint));
    Row {
        severity: words::severity(&one.severity),
        title,
        sub,
        tool: one.tool,
        location,
        image: one.image.unwrap_or_else(|| "the source".to_owned()),
        first_seen: When::micros(one.first_seen_at, now),
        fixed_in: one.fixed_in,
        present: present.map(|(name, _)| name.clone()).collect(),
        suppressed: one.suppressed != 0,
        fingerprint: Copied::new("fingerprint", one.fingerprint),
        message: one.message,
    }
}
