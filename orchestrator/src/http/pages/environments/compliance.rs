//! Whether what an environment holds would still be let in by what is known today.

use super::super::{Look, PageError, Status, When};
use crate::clock::At;
use crate::db::Conn;
use crate::finding::{self, Known, Severity};
use crate::history::OpenRow;
use contract::settings::{Environment, FindingsRule};
use std::time::Duration;

/// What is known of it by the findings and advisories of now.
pub(super) struct Compliance {
    pub(super) status: Status,
    pub(super) words: String,
    pub(super) when: Option<When>,
    /// The threshold at or above which findings stand open that would keep it out today.
    pub(super) above: Option<Severity>,
}

/// What came in well, and would not today.
pub(in crate::http::pages) const BROKEN: Status =
    Status::new(Look::Wait, "warn", "No longer complies");

/// Findings of now against this environment's own rule. What nobody has judged is said to be so.
pub(super) async fn compliance(
    conn: &mut Conn,
    environment: &Environment,
    release_id: &str,
    now: At,
) -> Result<Compliance, PageError> {
    let known = finding::open_for_release(conn, release_id)
        .await
        .map_err(PageError::log)?
        .unwrap_or_default();
    let when = known.confirmed_at().map(|at| When::micros(at, now));
    let look = |look, shape, word, words: String| Compliance {
        status: Status::new(look, shape, word),
        words,
        when: when.clone(),
        above: None,
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
        Compliance {
            words: format!("{open} open at or above {threshold}, the worst: {worst}."),
            above: Some(threshold),
            ..look(BROKEN.look, BROKEN.shape, BROKEN.word, String::new())
        }
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

/// How many findings keep what an environment holds from complying, from counts alone, and the threshold:
/// for pages that show many environments. None: nothing does, or its gate has no rule on them.
pub(in crate::http::pages) fn broken(
    environment: &Environment,
    project_id: &str,
    counts: &[OpenRow],
) -> Option<(i64, Severity)> {
    let threshold = Severity::from(environment.gate.findings.as_ref()?.none_at_or_above);
    let here = |row: &&OpenRow| {
        row.project_id == project_id && row.environment == environment.name.as_str()
    };
    // A word that nobody knows is as one that nobody said.
    let severity = |row: &OpenRow| Severity::parse(&row.severity).unwrap_or(Severity::Unknown);
    let counted = counts
        .iter()
        .filter(here)
        .filter(|row| severity(row).counts_at(threshold));
    let open = counted.map(|row| row.open).sum();
    (open > 0).then_some((open, threshold))
}
