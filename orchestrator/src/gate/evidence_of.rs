//! Reads everything that a gate judges, in one connection: on pages to show it, in a promotion's
//! transaction to act on it.

use super::seats::{Commits, Seats};
use super::seats_of::seats;
use super::state::{Evidence, GateError, Subject};
use super::store;
use crate::attestation::{self, Missing};
use crate::db::Conn;
use crate::image::{self, ReleaseImage};
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
    let (mut unsigned, mut signed_at, mut hindered) = (Vec::new(), None, None);
    for (name, image) in &subject.release.images {
        match proved(conn, subject, image).await? {
            Ok(at) => signed_at = signed_at.max(Some(at)),
            Err(hindrance) => {
                unsigned.push(name.to_string());
                hindered = hindered.or(hindrance);
            }
        }
    }
    let seats = seats(conn, subject, &run).await?;
    let approvals = approval::standing(conn, &subject.promotion_id).await?;
    let run_passed = run.state == "finished" && run.cause.as_deref() == Some("passed");
    Ok(Evidence {
        digest: digest(subject, &known, run_passed, &unsigned, &seats),
        run_number: run.number,
        run_passed,
        run_finished_at: run.finished_at,
        known,
        unsigned,
        hindered,
        signed_at,
        seats,
        approvals,
    })
}

/// Since when what is published about an image proves it, or what hinders that. Verified anew at each
/// judgement: a stored envelope may have been changed, a key may have been revoked.
async fn proved(
    conn: &mut Conn,
    subject: &Subject,
    image: &ReleaseImage,
) -> Result<Result<i64, Option<String>>, GateError> {
    let published = store::published(conn, image.image_id.as_str()).await?;
    let (Some(provenance), Some(signature)) = (published.provenance_at, published.signature_at)
    else {
        return Ok(Err(published.problem));
    };
    let whole = image::image(conn, &image.image_id).await?;
    let whole = whole.ok_or_else(|| GateError::Missing {
        what: "an image",
        promotion_id: subject.promotion_id.clone(),
    })?;
    let missing = attestation::verify(conn, &whole).await?;
    let broken = missing.first().map(|missing| match missing {
        Missing::Provenance => "its provenance does not hold under a key that is trusted now",
        Missing::Signature => "its signature does not hold under a key that is trusted now",
    });
    Ok(match broken {
        None => Ok(provenance.max(signature)),
        Some(broken) => Err(Some(broken.to_owned())),
    })
}

/// What an approval binds beside release and target: when any of it changes, the approval is void, and
/// who answers to a page that showed something else is told. Times and freshness are not in it, they
/// are judged at the moment.
#[derive(Serialize)]
struct Bound<'a> {
    v: u8,
    run: &'a str,
    run_passed: bool,
    findings: Vec<String>,
    not_checked: Vec<String>,
    unscanned: &'a [String],
    unsigned: &'a [String],
    // With the version also the repositories that the images go to.
    settings_version: i64,
    tests: [i64; 4],
    // What changes with the promotion: the commit that the environment holds, and whether it was known
    // who worked on what comes in.
    over: &'a str,
    commits_read: bool,
}

fn digest(
    subject: &Subject,
    known: &finding::Known,
    run_passed: bool,
    unsigned: &[String],
    seats: &Seats,
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
        v: 3,
        run: &subject.release.run_id,
        run_passed,
        findings,
        not_checked: known.not_checked.iter().map(unchecked).collect(),
        unscanned: &known.unscanned,
        unsigned,
        settings_version: subject.settings_version,
        tests: [tests.passed, tests.failed, tests.errored, tests.skipped],
        over: subject.base(),
        commits_read: seats.commits != Commits::NotRead,
    };
    // Plain texts and numbers: serde_json cannot fail on them.
    Digest::of(&serde_json::to_vec(&bound).unwrap_or_default())
}
