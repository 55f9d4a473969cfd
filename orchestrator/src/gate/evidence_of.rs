//! Reads everything that a gate judges, in one connection: on pages to show it, in a promotion's
//! transaction to act on it.

use super::seats::{Candidate, Exclusion, Seats};
use super::state::{Evidence, GateError, Subject};
use super::store::{self, RunFacts};
use crate::db::{Conn, Error};
use crate::identity::{self, PersonId, PersonRow, Role};
use crate::{approval, finding};
use contract::digest::Digest;
use serde::Serialize;

/// Reads the evidence of now.
pub async fn gather(conn: &mut Conn, subject: &Subject) -> Result<Evidence, GateError> {
    let missing = |what| GateError::Missing {
        what,
        promotion_id: subject.promotion_id.clone(),
    };
    let run = store::run_facts(conn, &subject.release.run_id).await?;
    let run = run.ok_or_else(|| missing("the run"))?;
    let known = finding::open_for_release(conn, subject.release.id.as_str()).await?;
    let known = known.ok_or_else(|| missing("the release"))?;
    let (mut unsigned, mut signed_at) = (Vec::new(), None);
    for (name, image) in &subject.release.images {
        match store::published(conn, image.image_id.as_str()).await? {
            (Some(provenance), Some(signature)) => {
                signed_at = signed_at.max(Some(provenance.max(signature)));
            }
            (Some(_) | None, _) => unsigned.push(name.to_string()),
        }
    }
    let seats = seats(conn, subject, &run).await?;
    let approvals = approval::standing(conn, &subject.promotion_id).await?;
    let run_passed = run.state == "finished" && run.cause.as_deref() == Some("passed");
    Ok(Evidence {
        digest: digest(subject, &known, run_passed, &unsigned),
        run_number: run.number,
        run_passed,
        run_finished_at: run.finished_at,
        known,
        unsigned,
        signed_at,
        seats,
        approvals,
    })
}

/// What an approval binds beside release, target and settings: when any of it changes, the approval
/// is void. Times and freshness are not in it, they are judged at the moment.
#[derive(Serialize)]
struct Bound<'a> {
    v: u8,
    run: &'a str,
    run_passed: bool,
    findings: Vec<String>,
    not_checked: Vec<String>,
    unscanned: &'a [String],
    unsigned: &'a [String],
    tests: [i64; 4],
}

fn digest(
    subject: &Subject,
    known: &finding::Known,
    run_passed: bool,
    unsigned: &[String],
) -> Digest {
    let mut findings: Vec<String> = known
        .findings
        .iter()
        .map(|open| format!("{} {}", open.finding.severity, open.finding.fingerprint))
        .collect();
    findings.sort();
    let unchecked =
        |p: &finding::advisory::NotChecked| format!("{}/{}@{}", p.kind, p.name, p.version);
    let tests = &known.tests;
    let bound = Bound {
        v: 1,
        run: &subject.release.run_id,
        run_passed,
        findings,
        not_checked: known.not_checked.iter().map(unchecked).collect(),
        unscanned: &known.unscanned,
        unsigned,
        tests: [tests.passed, tests.failed, tests.errored, tests.skipped],
    };
    // Plain texts and numbers: serde_json cannot fail on them.
    Digest::of(&serde_json::to_vec(&bound).unwrap_or_default())
}

async fn seats(conn: &mut Conn, subject: &Subject, run: &RunFacts) -> Result<Seats, Error> {
    // One rule is judged as it stands; several rules ask for the people of the first and as many
    // more as the others want, which settings' check keeps to one role.
    let rules = &subject.environment.gate.approvals;
    let Some(first) = rules.first() else {
        return Ok(Seats::default());
    };
    let author = identity::person_by_email(conn, &run.author_email).await?;
    let committer = identity::person_by_email(conn, &run.committer_email).await?;
    let editor = gate_editor(conn, subject).await?;
    let mut unknown = Vec::new();
    if author.is_none() {
        unknown.push(format!("author {}", run.author_name));
    }
    if committer.is_none() && run.committer_email != run.author_email {
        unknown.push("the committer".to_owned());
    }
    if run.pusher_id.is_none() {
        unknown.push("whoever pushed".to_owned());
    }
    let excluded = [
        (author.as_ref().map(|p| p.id.as_str()), Exclusion::Author),
        (
            committer.as_ref().map(|p| p.id.as_str()),
            Exclusion::Committer,
        ),
        (run.pusher_id.as_deref(), Exclusion::Triggerer),
        (
            subject.requester.as_ref().map(PersonId::as_str),
            Exclusion::Requester,
        ),
        (
            editor.as_ref().map(|p| p.id.as_str()),
            Exclusion::GateEditor,
        ),
    ];
    let mut not_also = Vec::new();
    for role in rules.iter().flat_map(|rule| &rule.not_also) {
        if let Some(role) = Role::parse(role.as_str()) {
            let people = identity::people_with_role(conn, role, &subject.project_id).await?;
            not_also.extend(people.into_iter().map(|person| person.id));
        }
    }
    let holders =
        identity::people_with_role(conn, Role::ReleaseManager, &subject.project_id).await?;
    let mut candidates = Vec::with_capacity(holders.len());
    for holder in holders {
        let mut exclusions: Vec<Exclusion> = excluded
            .iter()
            .filter(|(id, _)| *id == Some(holder.id.as_str()))
            .map(|(_, why)| *why)
            .collect();
        if not_also.contains(&holder.id) {
            exclusions.push(Exclusion::NotAlso);
        }
        let person = holder.person_id()?;
        candidates.push(Candidate {
            person,
            display_name: holder.display_name,
            exclusions,
        });
    }
    Ok(Seats {
        role: Some(first.from.to_string()),
        wanted: rules.iter().map(|rule| rule.count).sum(),
        expires_ms: rules.iter().map(|rule| rule.expires_ms).min().unwrap_or(0),
        candidates,
        unknown,
    })
}

/// The person who applied the settings in force, if it was one.
async fn gate_editor(conn: &mut Conn, subject: &Subject) -> Result<Option<PersonRow>, Error> {
    let by = store::settings_editor(conn, &subject.project_id, subject.settings_version).await?;
    let name = by
        .as_deref()
        .and_then(|by| by.strip_prefix("person(")?.strip_suffix(')'));
    match name {
        Some(name) => identity::person_by_name(conn, name).await,
        None => Ok(None),
    }
}
