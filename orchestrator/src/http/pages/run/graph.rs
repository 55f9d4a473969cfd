//! Steps as a picture: a column for each rank of needs, a line from each need. Pure.

use super::super::parts::duration;
use super::{Look, Status, words};
use crate::run::PlannedStep;
use crate::step::{Step, StepState};
use std::collections::HashMap;

/// The measures, as the design draws them.
const NODE: (i64, i64) = (172, 48);
const COLUMN: i64 = 232;
const ROW: i64 = 72;
const MARGIN: i64 = 12;
/// A node has room for so many letters.
const NAME_CHARS_MAX: usize = 17;

/// A step.
pub(super) struct Node {
    pub(super) name: String,
    /// The name as far as there is room for it.
    pub(super) short: String,
    /// Its kind, and how long it took or where it stands.
    pub(super) words: String,
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
    let needs = needs(steps);
    let Layout {
        places,
        lines,
        width,
        height,
    } = layout(&needs);
    let node = |(step, place): (&Step, &Place)| Node {
        name: step.name.to_string(),
        short: short(step.name.as_str()),
        words: node_words(step),
        link: format!("{base}/steps/{}", step.name),
        status: words::step(&step.state),
        x: place.x(),
        y: place.y(),
    };
    let edge = |(to, path): (usize, String)| Edge {
        path,
        class: class(steps.get(to)),
    };
    Graph {
        nodes: steps.iter().zip(&places).map(node).collect(),
        edges: lines.into_iter().map(edge).collect(),
        width,
        height,
    }
}

fn short(name: &str) -> String {
    if name.len() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let begin: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{begin}…")
}

/// Of a step that passed how long it took says more than the word, which its shape says too.
fn node_words(step: &Step) -> String {
    let status = words::step(&step.state);
    match (&step.state, step.leased_at) {
        (StepState::Finished { at, .. }, Some(from)) if status.look == Look::Pass => {
            format!("{}, {}", step.kind, duration(from, *at))
        }
        _ => format!("{}, {}", step.kind, status.word),
    }
}

/// For each step, the steps that it needs, by their place in the list.
fn needs(steps: &[Step]) -> Vec<Vec<usize>> {
    let at: HashMap<&str, usize> = steps
        .iter()
        .enumerate()
        .map(|(at, step)| (step.name.as_str(), at))
        .collect();
    let of = |step: &Step| {
        let planned = serde_json::from_str::<PlannedStep>(&step.work);
        let needs = planned.map(|planned| planned.needs).unwrap_or_default();
        let known = needs
            .iter()
            .filter_map(|need| at.get(need.as_str()).copied());
        known.collect()
    };
    steps.iter().map(of).collect()
}

/// Whether something flows to this step.
fn class(to: Option<&Step>) -> &'static str {
    match to.map(|step| &step.state) {
        Some(StepState::Leased(_) | StepState::Reported { .. }) => "edge live",
        Some(StepState::Skipped { .. }) => "edge off",
        Some(StepState::Blocked | StepState::Ready { .. } | StepState::Finished { .. }) | None => {
            "edge"
        }
    }
}

/// Where a node is.
#[derive(Clone, Copy)]
struct Place {
    column: usize,
    row: usize,
}

impl Place {
    fn x(self) -> i64 {
        MARGIN + scaled(self.column, COLUMN)
    }

    fn y(self) -> i64 {
        MARGIN + scaled(self.row, ROW)
    }

    /// The height at which lines leave and enter it.
    fn middle(self) -> i64 {
        self.y() + NODE.1 / 2
    }
}

fn scaled(count: usize, by: i64) -> i64 {
    i64::try_from(count).unwrap_or(0).saturating_mul(by)
}

/// Nodes in the order of the steps; lines with the step that they lead to.
struct Layout {
    places: Vec<Place>,
    lines: Vec<(usize, String)>,
    width: i64,
    height: i64,
}

fn layout(needs: &[Vec<usize>]) -> Layout {
    let mut filled: Vec<usize> = Vec::new();
    let mut places = Vec::with_capacity(needs.len());
    for rank in ranks(needs) {
        if filled.len() <= rank {
            filled.resize(rank + 1, 0);
        }
        if let Some(row) = filled.get_mut(rank) {
            places.push(Place {
                column: rank,
                row: *row,
            });
            *row += 1;
        }
    }
    let rows = filled.iter().max().copied().unwrap_or(1);
    let mut height = 2 * MARGIN + scaled(rows.saturating_sub(1), ROW) + NODE.1;
    let mut tracks = Tracks::default();
    let mut lines = Vec::new();
    for (to, own) in needs.iter().enumerate() {
        for from in own {
            let (Some(start), Some(end)) = (places.get(*from), places.get(to)) else {
                continue;
            };
            let passed = filled.get(start.column + 1..end.column).unwrap_or(&[]);
            let pass = tracks.pass(*from, *start, *end, passed);
            height = height.max(pass.map_or(0, |y| y + MARGIN));
            lines.push((to, line(*start, *end, pass)));
        }
    }
    Layout {
        places,
        lines,
        width: 2 * MARGIN + scaled(filled.len().saturating_sub(1), COLUMN) + NODE.0,
        height,
    }
}

/// How many others have to be done before each step, one after the other.
fn ranks(needs: &[Vec<usize>]) -> Vec<usize> {
    let mut ranks = vec![0; needs.len()];
    // Needs form no cycle, so as many rounds as there are steps are enough.
    for _ in needs {
        for (step, own) in needs.iter().enumerate() {
            let deepest = own.iter().filter_map(|need| ranks.get(*need)).max();
            let rank = deepest.map_or(0, |deepest| deepest + 1);
            if let Some(known) = ranks.get_mut(step) {
                *known = rank;
            }
        }
    }
    ranks
}

/// Heights between two rows at which lines run past nodes: by gap, whose lines they are. Lines of one
/// step share a track, so that they read as one that branches.
#[derive(Default)]
struct Tracks(HashMap<usize, Vec<usize>>);

/// Where the tracks of a gap lie, from its middle. More steps than these share them again.
const TRACKS: [i64; 3] = [0, -6, 6];

impl Tracks {
    /// At which height a line passes the columns between its ends, which hold so many nodes each; none
    /// when there are none.
    fn pass(&mut self, from: usize, start: Place, end: Place, passed: &[usize]) -> Option<i64> {
        let deepest = *passed.iter().max()?;
        let is_free = |place: &Place| place.row >= deepest;
        if let Some(free) = [start, end].into_iter().find(is_free) {
            return Some(free.middle());
        }
        let gap = start.row.midpoint(end.row).min(deepest.saturating_sub(1));
        let users = self.0.entry(gap).or_default();
        let track = users.iter().position(|user| *user == from);
        let track = track.unwrap_or_else(|| {
            users.push(from);
            users.len() - 1
        });
        let offset = TRACKS.get(track % TRACKS.len()).copied().unwrap_or(0);
        let below = MARGIN + scaled(gap, ROW) + NODE.1;
        Some(below + (ROW - NODE.1) / 2 + offset)
    }
}

/// A line from node to node: it bends only between columns, where no node is.
fn line(start: Place, end: Place, pass: Option<i64>) -> String {
    let (x1, y1) = (start.x() + NODE.0, start.middle());
    let (x2, y2) = (end.x(), end.middle());
    let bend = |from: (i64, i64), to: (i64, i64)| {
        let middle = i64::midpoint(from.0, to.0);
        format!("C{middle} {} {middle} {} {} {}", from.1, to.1, to.0, to.1)
    };
    let Some(y) = pass else {
        return format!("M{x1} {y1}{}", bend((x1, y1), (x2, y2)));
    };
    let between = COLUMN - NODE.0;
    let (first, last) = (x1 + between, x2 - between);
    format!(
        "M{x1} {y1}{}H{last}{}",
        bend((x1, y1), (first, y)),
        bend((last, y), (x2, y2))
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Points of a path of `M`, `C` and `H`, as the browser draws it.
    fn points(path: &str) -> Vec<(f64, f64)> {
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut rest = path;
        while let Some(kind) = rest.chars().next() {
            let end = rest[1..]
                .find(char::is_alphabetic)
                .map_or(rest.len(), |at| at + 1);
            let numbers: Vec<f64> = rest[1..end]
                .split(' ')
                .map(|n| n.parse().unwrap())
                .collect();
            rest = &rest[end..];
            let (x0, y0) = points.last().copied().unwrap_or_default();
            match (kind, numbers.as_slice()) {
                ('M', [x, y]) => points.push((*x, *y)),
                ('H', [x]) => {
                    points.extend((0..=20).map(|n| (x0 + (x - x0) * f64::from(n) / 20.0, y0)));
                }
                ('C', [a, b, c, d, x, y]) => points.extend((1..=20).map(|n| {
                    let t = f64::from(n) / 20.0;
                    let u = 1.0 - t;
                    let at = |p0: f64, p1: &f64, p2: &f64, p3: &f64| {
                        u * u * u * p0
                            + 3.0 * u * u * t * p1
                            + 3.0 * u * t * t * p2
                            + t * t * t * p3
                    };
                    (at(x0, a, c, x), at(y0, b, d, y))
                })),
                other => panic!("{other:?}"),
            }
        }
        points
    }

    /// Lines that run through a node, or out of the picture.
    fn wrong(needs: &[Vec<usize>]) -> Vec<String> {
        let layout = layout(needs);
        let mut wrong = Vec::new();
        for (_, path) in &layout.lines {
            for (x, y) in points(path) {
                let through = layout.places.iter().any(|place| {
                    let (left, top) = (place.x() as f64, place.y() as f64);
                    let right = left + NODE.0 as f64;
                    left < x && x < right && top <= y && y <= top + NODE.1 as f64
                });
                let out = x > layout.width as f64 || y > layout.height as f64 || y < 0.0;
                if through || out {
                    wrong.push(format!("{path} at {x} {y}"));
                }
            }
        }
        wrong
    }

    #[test]
    fn a_line_that_skips_a_rank_runs_through_no_node() {
        let none = Vec::new;
        let graphs = [
            // A chain whose last step needs its first, too.
            vec![none(), vec![0], vec![1, 0]],
            // Three ranks of three; the last needs all of the first.
            vec![
                none(),
                none(),
                none(),
                vec![0],
                vec![1],
                vec![2],
                vec![0, 1, 2, 3, 4, 5],
                vec![2, 3],
                vec![0, 5],
            ],
            // Past a rank that is not as deep.
            vec![none(), none(), none(), vec![0], vec![3, 2, 1]],
            // From everywhere to the end, past four ranks.
            vec![
                none(),
                vec![0],
                vec![1],
                vec![2],
                vec![0, 1, 2, 3],
                none(),
                vec![5, 4],
            ],
        ];
        for needs in graphs {
            let found = wrong(&needs);
            assert!(found.is_empty(), "{needs:?}: {found:#?}");
        }
    }

    #[test]
    fn a_line_to_the_next_rank_goes_straight_there() {
        let drawn = layout(&[Vec::new(), vec![0], vec![0]]);
        let paths: Vec<&str> = drawn.lines.iter().map(|(_, path)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "M184 36C214 36 214 36 244 36",
                "M184 36C214 36 214 108 244 108"
            ]
        );
        assert_eq!((drawn.width, drawn.height), (428, 144));
    }
}
