//! The rows of the rooms before this one.

use super::house::Said;
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::identity::{Actor, PersonId};
use contract::digest::Digest;
use evidence::oci;
use std::time::Duration;

pub(super) async fn person(
    conn: &mut Conn,
    id: &str,
    name: &str,
    roles: &[&str],
) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO person (id, name, display_name, created_at) VALUES ($1, $2, $2, 1)",
        id,
        name
    )?;
    crate::execute!(
        conn,
        "INSERT INTO email (id, person_id, address, verified_at) VALUES ($1, $1, $2, 1)",
        id,
        format!("{name}@shop.example")
    )?;
    for role in roles {
        crate::execute!(
            conn,
            "INSERT INTO role_grant (id, person_id, role, granted_at, granted_by)
             VALUES ($1, $2, $3, 1, 'system')",
            format!("{id} {role}"),
            id,
            *role
        )?;
    }
    Ok(())
}

pub(super) async fn session(conn: &mut Conn, id: &str, person: &str, at: At) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO session (id, person_id, csrf, created_at, signed_in_at, seen_at, expires_at)
         VALUES ($1, $2, 'c', $3, $3, $3, $4)",
        id,
        person,
        at.0,
        at.plus(Duration::from_secs(86_400)).0
    )?;
    Ok(())
}

pub(super) async fn hook_and_worker(conn: &mut Conn, project: &str) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO hook (id, project_id, provider, created_at) VALUES ('h', $1, 'git', 1)",
        project
    )?;
    crate::execute!(
        conn,
        "INSERT INTO worker (id, name, public, certificate_digest, enrolled_at)
         VALUES ('w', 'w', $1, 'x', 1)",
        vec![1_u8]
    )?;
    Ok(())
}

/// A run that passed, with its one image and its release.
#[derive(Clone)]
pub(super) struct Run {
    pub(super) project: String,
    pub(super) release: String,
    pub(super) run: String,
    pub(super) image: String,
    pub(super) commit: String,
    pub(super) author: String,
    pub(super) committer: String,
    pub(super) pusher: Option<String>,
    pub(super) ran_again_by: Option<Actor>,
    pub(super) repository: String,
    pub(super) manifest: Vec<u8>,
    pub(super) base: String,
    pub(super) sbom: Digest,
    pub(super) said: Said,
    pub(super) at: At,
}

pub(super) async fn run(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    trigger(conn, run).await?;
    the_run(conn, run).await?;
    if let Some(by) = &run.ran_again_by {
        ran_again(conn, run, by).await?;
    }
    step(conn, run).await?;
    image(conn, run).await?;
    said(conn, run).await
}

async fn trigger(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
             body_digest, body_bytes, signature, secret_id, address, received_at, audit_id)
         VALUES ($1, 'h', $2, 'git', $1, 'push', '{}', 'sha256:', 0, '', 's', $3, 1, 'a')",
        &run.run,
        &run.project,
        vec![0_u8; 16]
    )?;
    crate::execute!(
        conn,
        "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
             detail, trust, settings_version, decided_at)
         VALUES ($1, $1, $2, 'refs/heads/main', $3, 'start', 'push', '', 'trusted', 1, 1)",
        &run.run,
        &run.project,
        &run.commit
    )?;
    Ok(())
}

async fn the_run(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    let resources = r#"{"cpu_milli":1,"memory_bytes":1,"pids":1,"work_bytes":1}"#;
    let unit = format!(
        r#"{{"kind":"run","image":"{}","command":["true"]}}"#,
        run.base
    );
    let plan = format!(
        r#"{{"v":1,"parallel_steps":1,"steps":[{{"name":"unit","needs":[],"work":{unit},"env":{{}},"resources":{resources},"timeout_ms":1,"artifacts":[],"junit":[],"effects_outside":false}}]}}"#
    );
    let (number,) = crate::fetch_one!(
        conn,
        (i64,),
        "UPDATE project SET run_number = run_number + 1 WHERE id = $1 RETURNING run_number",
        &run.project
    )?;
    crate::execute!(
        conn,
        "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
             commit_title, commit_time, author_name, author_email, committer_email, pusher_id, trust,
             settings_version, pipeline_path, pipeline_digest, plan, source_digest, source_bytes,
             state, cause, created_at, finished_at)
         VALUES ($1, $2, $3, $1, 1, 'refs/heads/main', $4, 'one', 1, $5, $5, $6, $7, 'trusted',
             1, '.sallyport.yml', $8, $9, $8, 1, 'finished', 'passed', 1, $10)",
        &run.run,
        &run.project,
        number,
        &run.commit,
        &run.author,
        &run.committer,
        &run.pusher,
        Digest::of(b"file").to_string(),
        plan,
        run.at.0
    )?;
    Ok(())
}

/// It repeats itself: who wished for that is what counts.
async fn ran_again(conn: &mut Conn, run: &Run, by: &Actor) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO run_wish (id, run_id, wished_by, wished_by_id, wished_at, tries, next_at,
             consumed_at)
         VALUES ($1, $1, $2, $3, 1, 0, 1, 1)",
        &run.run,
        by.to_string(),
        by.person().map(PersonId::as_str)
    )?;
    crate::execute!(
        conn,
        "UPDATE run SET again_of_id = id, wish_id = id WHERE id = $1",
        &run.run
    )?;
    Ok(())
}

async fn step(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO step (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max,
             state, cause, fence, attempts, not_before_at, worker_id, leased_at, finished_at)
         VALUES ($1, $1, $2, 'web', 'build', 0, '{}', 1, 1, 'finished', 'passed', 1, 1, 0, 'w', 2, 8)",
        &run.run,
        &run.project
    )?;
    let log = Digest::of(b"log");
    crate::execute!(
        conn,
        "INSERT INTO log_chunk (step_id, fence, sequence, at_offset, bytes, sha256, received_at)
         VALUES ($1, 1, 0, 0, 3, $2, 1)",
        &run.run,
        log.hex()
    )?;
    let report = format!(
        r#"{{"step_id":"web","fence":1,"outcome":{{"kind":"passed"}},
            "log":{{"chunks":1,"bytes":3,"sha256":"{log}","dropped_bytes":0}},"artifacts":[],"images":[],
            "tools":[],"isolation":{{"level":"docker-runc-userns","rules":[]}},
            "times":{{"claimed_at":1,"started_at":null,"first_output_at":null,"ended_at":2}},
            "network":false,"complaints":[]}}"#
    );
    crate::execute!(
        conn,
        "INSERT INTO report (step_id, fence, envelope, payload, received_at)
         VALUES ($1, 1, $2, $3, 1)",
        &run.run,
        vec![0_u8],
        report
    )?;
    Ok(())
}

async fn image(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    let digest = Digest::of(&run.manifest).to_string();
    crate::execute!(
        conn,
        "INSERT INTO image (id, project_id, run_id, step_id, fence, name, repository, digest,
             media_type, manifest, image_bytes, platforms, bases, observed_at)
         VALUES ($1, $2, $3, $3, 1, 'web', $4, $5, $6, $7, 1, '[]', $8, 1)",
        &run.image,
        &run.project,
        &run.run,
        &run.repository,
        &digest,
        oci::IMAGE_MANIFEST,
        &run.manifest,
        format!(r#"["{}"]"#, run.base)
    )?;
    crate::execute!(
        conn,
        "INSERT INTO release (id, project_id, run_id, digest, made_at) VALUES ($1, $2, $3, $4, $5)",
        &run.release,
        &run.project,
        &run.run,
        Digest::of(format!("web {digest}\n").as_bytes()).to_string(),
        run.at.0
    )?;
    crate::execute!(
        conn,
        "INSERT INTO release_image (release_id, name, image_id, digest) VALUES ($1, 'web', $2, $3)",
        &run.release,
        &run.image,
        &digest
    )?;
    // Judged by the advisories of an instance that has none.
    crate::execute!(
        conn,
        "INSERT INTO sbom (image_id, step_id, digest, packages, stored_at, judged_at, advisories)
         VALUES ($1, $2, $3, 0, 1, 1, $4)",
        &run.image,
        &run.run,
        run.sbom.to_string(),
        Digest::of(b"").to_string()
    )?;
    Ok(())
}

async fn said(conn: &mut Conn, run: &Run) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO finding_report (id, step_id, fence, tool, format, outcome, detail, tests_passed,
             tests_failed, tests_errored, tests_skipped, read_at)
         VALUES ($1, $1, 1, 'unit.xml', 'junit', 'read', '', $2, $3, 0, 0, 1)",
        &run.run,
        run.said.tests_passed,
        run.said.tests_failed
    )?;
    for number in 0..run.said.high_findings {
        let fingerprint = Digest::of(format!("{} {number}", run.run).as_bytes()).hex();
        crate::execute!(
            conn,
            "INSERT INTO finding (id, project_id, run_id, step_id, fence, tool, rule, severity, title,
                 message, path, aliases, fingerprint, suppressed, found_at)
             VALUES ($1, $2, $3, $3, 1, 'hadolint', 'DL', 'high', 'A hole', 'm', 'Dockerfile', '', $1,
                 0, 1)",
            &fingerprint,
            &run.project,
            &run.run
        )?;
    }
    Ok(())
}

pub(super) async fn entries(conn: &mut Conn, kind: &str) -> Result<i64, Error> {
    let (count,) = crate::fetch_one!(
        conn,
        (i64,),
        "SELECT COUNT(*) FROM audit_entry WHERE type = $1",
        kind
    )?;
    Ok(count)
}
