//! Steps as a picture: a column for each rank of needs, a line from each need. Pure.

use super::{Look, Status, words};
use crate::run::PlannedStep;
use crate::step::{Step, StepState};
use contract::name::Name;
use std::collections::HashMap;

/// The measures, as the design draws them.
const NODE: (i64, i64) = (172, 48);
const COLUMN: i64 = 232;
const ROW: i64 = 72;
const MARGIN: i64 = 12;

/// A step.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) link: String,
    pub(super) status: Status,
    pub(super) x: i64,
    pub(super) y: i64,
}

/// A line between two steps; its class says whether something flows.
pub(super) struct Edge {
    pub(super) path: String,
    pub(super) class: &'static str,
}

/// The picture.
pub(super) struct Graph {
    pub(super) nodes: Vec<Node>,
    pub(super) edges: Vec<Edge>,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// Draws the steps of a run.
pub(super) fn graph(steps: &[Step], base: &str) -> Graph {
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
    let ranks = ranks(steps, &needs);
    let mut filled: HashMap<i64, i64> = HashMap::new();
    let mut nodes = Vec::with_capacity(steps.len());
    for step in steps {
        let column = ranks.get(step.name.as_str()).copied().unwrap_or(0);
        let row = filled.entry(column).or_insert(0);
        nodes.push(Node {
            name: step.name.to_string(),
            kind: step.kind.clone(),
            link: format!("{base}/steps/{}", step.name),
            status: words::step(&step.state),
            x: MARGIN + column * COLUMN,
            y: MARGIN + *row * ROW,
        });
        *row += 1;
    }
    let edges = edges(steps, &needs, &nodes);
    let columns = filled.keys().max().map_or(1, |deepest| deepest + 1);
    let rows = filled.values().max().copied().unwrap_or(1);
    Graph {
        nodes,
        edges,
        width: 2 * MARGIN + (columns - 1) * COLUMN + NODE.0,
        height: 2 * MARGIN + (rows - 1) * ROW + NODE.1,
    }
}

/// How many others have to be done before each step.
fn ranks<'a>(steps: &'a [Step], needs: &HashMap<&str, Vec<Name>>) -> HashMap<&'a str, i64> {
    let mut ranks: HashMap<&str, i64> = HashMap::new();
    // Needs form no cycle, so as many rounds as there are steps are enough.
    for _ in steps {
        for step in steps {
            let own = needs.get(step.name.as_str()).into_iter().flatten();
            let deepest = own.filter_map(|need| ranks.get(need.as_str())).max();
            ranks.insert(step.name.as_str(), deepest.map_or(0, |deepest| deepest + 1));
        }
    }
    ranks
}

fn edges(steps: &[Step], needs: &HashMap<&str, Vec<Name>>, nodes: &[Node]) -> Vec<Edge> {
    let place = |name: &str| nodes.iter().find(|node| node.name == name);
    let mut edges = Vec::new();
    for step in steps {
        for need in needs.get(step.name.as_str()).into_iter().flatten() {
            let (Some(from), Some(to)) = (place(need.as_str()), place(step.name.as_str())) else {
                continue;
            };
            let (x1, y1) = (from.x + NODE.0, from.y + NODE.1 / 2);
            let (x2, y2) = (to.x, to.y + NODE.1 / 2);
            let middle = i64::midpoint(x1, x2);
            edges.push(Edge {
                path: format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"),
                class: match step.state {
                    StepState::Leased(_) | StepState::Reported { .. } => "edge live",
                    StepState::Skipped { .. } => "edge off",
                    StepState::Blocked | StepState::Ready { .. } | StepState::Finished { .. } => {
                        "edge"
                    }
                },
            });
        }
    }
    edges
}

impl Node {
    /// The shape's class in the picture.
    pub(super) fn class(&self) -> &'static str {
        match self.status.look {
            Look::Pass => "pass",
            Look::Fail => "fail",
            Look::Wait => "wait",
            Look::Work => "work",
            Look::Idle => "idle",
        }
    }
}
