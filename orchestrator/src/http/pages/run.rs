//! `GET /projects/{project}/runs/{number}`: steps as a graph, what failed, what came out of it.

use super::frame::{now, visible_project};
use super::parts::size;
use super::runs::short_ref;
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page, words};
use crate::app::App;
use crate::clock::At;
use crate::http::extract::SignedIn;
use crate::run::{self, Cause, PlannedStep, Run, RunState};
use crate::step::{Step, StepState};
use crate::{finding, image, step};
use askama::Template;
use axum::extract::{Path, State};
use axum::response::Response;
use contract::name::Name;
use std::collections::HashMap;
use std::sync::Arc;

/// The graph's measures, as the design draws them.
const NODE: (i64, i64) = (172, 48);
const COLUMN: i64 = 232;
const ROW: i64 = 72;
const MARGIN: i64 = 12;

/// A step in the graph.
struct Node {
    name: String,
    kind: String,
    status: Status,
    x: i64,
    y: i64,
}

/// A line between two steps.
struct Edge {
    path: String,
}

struct Row {
    name: String,
    kind: String,
    status: Status,
    detail: String,
    took: String,
}

struct Built {
    name: String,
    digest: Copied,
    repository: String,
    bytes: String,
    platforms: String,
}

#[derive(Template)]
#[template(path = "run.html")]
struct Shown {
    frame: Frame,
    project: String,
    run: Run,
    ref_name: String,
    commit: Copied,
    status: Status,
    detail: String,
    created: When,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    width: i64,
    height: i64,
    rows: Vec<Row>,
    complaints: Vec<String>,
    images: Vec<Built>,
    findings: Vec<(String, String, String)>,
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
    let steps = step::list(&mut conn, &run.id)
        .await
        .map_err(PageError::log)?;
    let complaints = run::complaints(&mut conn, &run.id)
        .await
        .map_err(PageError::log)?;
    let images = image::images_of_run(&mut conn, run.id.as_str())
        .await
        .map_err(PageError::log)?;
    let open = finding::open_in_run(&mut conn, run.id.as_str())
        .await
        .map_err(PageError::log)?;
    let (nodes, edges, width, height) = graph(&steps);
    let detail = match &run.state {
        RunState::Finished { cause, .. } | RunState::Refused { cause, .. } => detail_of(cause),
        RunState::Waiting | RunState::Running { .. } | RunState::Invalid { .. } => String::new(),
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Runs, format!("Run {number}"))
            .of_project(&project),
        project: name,
        ref_name: short_ref(&run.ref_name).to_owned(),
        commit: Copied::new("commit", run.commit.to_string()),
        status: words::run(&run.state),
        detail,
        created: When::new(run.created_at, now),
        nodes,
        edges,
        width,
        height,
        rows: steps.iter().map(|step| row(step, now)).collect(),
        complaints: complaints.iter().map(rendered).collect(),
        images: images.into_iter().map(built).collect(),
        findings: open
            .into_iter()
            .map(|open| {
                (
                    open.finding.severity.to_string(),
                    open.finding.title,
                    open.finding.tool,
                )
            })
            .collect(),
        run,
    }))
}

fn detail_of(cause: &Cause) -> String {
    cause.detail().unwrap_or_default().to_owned()
}

/// A complaint as the command line shows it.
fn rendered(complaint: &serde_json::Value) -> String {
    let text = complaint
        .get("rendered")
        .and_then(serde_json::Value::as_str);
    text.map_or_else(|| complaint.to_string(), ToOwned::to_owned)
}

fn built(image: image::Image) -> Built {
    Built {
        name: image.name.to_string(),
        digest: Copied::full("digest", image.digest.to_string()),
        repository: image.repository.to_string(),
        bytes: size(image.image_bytes),
        platforms: image.platforms.join(", "),
    }
}

fn row(step: &Step, now: At) -> Row {
    let (detail, ended) = match &step.state {
        StepState::Finished { cause, at } | StepState::Skipped { cause, at } => {
            (detail_of(cause), Some(*at))
        }
        StepState::Leased(_) => (step.phase.clone().unwrap_or_default(), None),
        StepState::Blocked | StepState::Ready { .. } | StepState::Reported { .. } => {
            (String::new(), None)
        }
    };
    let took = step
        .leased_at
        .map(|from| super::parts::duration(from, ended.unwrap_or(now)));
    Row {
        name: step.name.to_string(),
        kind: step.kind.clone(),
        status: words::step(&step.state),
        detail,
        took: took.unwrap_or_default(),
    }
}

/// Steps in columns by how many others have to be done first; a line from each need.
fn graph(steps: &[Step]) -> (Vec<Node>, Vec<Edge>, i64, i64) {
    let needs: HashMap<&str, Vec<Name>> = steps
        .iter()
        .map(|step| {
            let planned = serde_json::from_str::<PlannedStep>(&step.work);
            (
                step.name.as_str(),
                planned.map(|planned| planned.needs).unwrap_or_default(),
            )
        })
        .collect();
    let mut depth: HashMap<&str, i64> = HashMap::new();
    // Needs form no cycle, so as many rounds as there are steps are enough.
    for _ in steps {
        for step in steps {
            let below = needs[step.name.as_str()].iter();
            let deepest = below.filter_map(|need| depth.get(need.as_str())).max();
            depth.insert(step.name.as_str(), deepest.map_or(0, |deepest| deepest + 1));
        }
    }
    let mut filled: HashMap<i64, i64> = HashMap::new();
    let mut nodes = Vec::with_capacity(steps.len());
    for step in steps {
        let column = depth.get(step.name.as_str()).copied().unwrap_or(0);
        let row = filled.entry(column).or_insert(0);
        let status = words::step(&step.state);
        let (x, y) = (MARGIN + column * COLUMN, MARGIN + *row * ROW);
        nodes.push(Node {
            name: step.name.to_string(),
            kind: step.kind.clone(),
            status,
            x,
            y,
        });
        *row += 1;
    }
    let place = |name: &str| {
        nodes
            .iter()
            .find(|node| node.name == name)
            .map(|node| (node.x, node.y))
    };
    let mut edges = Vec::new();
    for step in steps {
        for need in &needs[step.name.as_str()] {
            let (Some(from), Some(to)) = (place(need.as_str()), place(step.name.as_str())) else {
                continue;
            };
            let (x1, y1) = (from.0 + NODE.0, from.1 + NODE.1 / 2);
            let (x2, y2) = (to.0, to.1 + NODE.1 / 2);
            let middle = i64::midpoint(x1, x2);
            edges.push(Edge {
                path: format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"),
            });
        }
    }
    let columns = filled.keys().max().map_or(1, |deepest| deepest + 1);
    let rows = filled.values().max().copied().unwrap_or(1);
    (
        nodes,
        edges,
        2 * MARGIN + (columns - 1) * COLUMN + NODE.0,
        2 * MARGIN + (rows - 1) * ROW + NODE.1,
    )
}

/// The shape's class in the graph.
impl Node {
    fn class(&self) -> &'static str {
        match self.status.look {
            Look::Pass => "pass",
            Look::Fail => "fail",
            Look::Wait => "wait",
            Look::Work => "work",
            Look::Idle => "idle",
        }
    }
}
