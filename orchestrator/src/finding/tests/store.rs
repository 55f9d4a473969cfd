//! The rows that stand before findings: a run with its steps, their reports and images.

use crate::blob::Blobs;
use crate::db::{Conn, Error};
use crate::ground::Ground;
use contract::digest::Digest;

/// Everything up to the run `r` of the project `p`, once.
pub(super) async fn make_run(ground: &Ground) {
    let write = ground.db.write("test.run", |conn| {
        Box::pin(async move {
            crate::execute!(
                conn,
                "INSERT INTO project (id, name, created_at, settings_version, run_number, promotion_number)
                 VALUES ('p', 'shop', 1, 1, 1, 0)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO hook (id, project_id, provider, created_at) VALUES ('h', 'p', 'git', 1)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO delivery (id, hook_id, project_id, provider, external_id, event, headers,
                     body_digest, body_bytes, signature, secret_id, address, received_at, audit_id)
                 VALUES ('d', 'h', 'p', 'git', 'x', 'push', '{}', 'sha256:', 0, '', 's', $1, 1, 'a')",
                vec![0_u8; 16]
            )?;
            crate::execute!(
                conn,
                "INSERT INTO trigger (id, delivery_id, project_id, ref_name, commit_id, decision, reason,
                     detail, trust, settings_version, decided_at)
                 VALUES ('t', 'd', 'p', 'refs/heads/main', 'c', 'start', 'push', '', 'trusted', 1, 1)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO run (id, project_id, number, trigger_id, attempt, ref_name, commit_id,
                     commit_title, commit_time, author_name, author_email, committer_email, trust,
                     settings_version, pipeline_path, plan, state, created_at)
                 VALUES ('r', 'p', 1, 't', 1, 'refs/heads/main', 'c', 'one', 1, 'n', 'e', 'e', 'trusted',
                     1, '.sallyport.yml', '{}', 'running', 1)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO worker (id, name, public, certificate_digest, enrolled_at)
                 VALUES ('w', 'w', $1, 'x', 1)",
                vec![1_u8]
            )?;
            Ok::<(), Error>(())
        })
    });
    write.await.unwrap();
}

async fn put_step(conn: &mut Conn, name: &str, kind: &str, work: &str) -> Result<(), Error> {
    crate::execute!(
        conn,
        "INSERT INTO step (id, run_id, project_id, name, kind, ordinal, work, timeout_ms, parallel_max,
             state, fence, attempts, not_before_at, worker_id)
         VALUES ($1, 'r', 'p', $1, $2, 0, $3, 1, 1, 'reported', 1, 1, 0, 'w')",
        name,
        kind,
        work
    )?;
    Ok(())
}

/// A reported step with its files; its id is its name.
pub(super) async fn report(
    ground: &Ground,
    blobs: &Blobs,
    step: (&str, &str, String),
    report: String,
    files: &[(&str, &[u8])],
) {
    let (name, kind, work) = (step.0.to_owned(), step.1.to_owned(), step.2);
    let mut stored: Vec<(String, Digest)> = Vec::new();
    for (name, bytes) in files {
        stored.push(((*name).to_owned(), blobs.put(bytes.to_vec()).await.unwrap()));
    }
    let write = ground.db.write("test.report", move |conn| {
        Box::pin(async move {
            put_step(conn, &name, &kind, &work).await?;
            crate::execute!(
                conn,
                "INSERT INTO report (step_id, fence, envelope, payload, received_at)
                 VALUES ($1, 1, $2, $3, 1)",
                &name,
                vec![0_u8],
                &report
            )?;
            for (sequence, (file, digest)) in stored.iter().enumerate() {
                crate::execute!(
                    conn,
                    "INSERT INTO artifact (id, step_id, fence, sequence, name, digest, bytes, stored_at)
                     VALUES ($1, $2, 1, $3, $4, $5, 1, 1)",
                    format!("{name}/{file}"),
                    &name,
                    i64::try_from(sequence).unwrap_or(0),
                    file,
                    digest.to_string()
                )?;
            }
            Ok::<(), Error>(())
        })
    });
    write.await.unwrap();
}

/// A finished build `web` with its image, and the release of the run.
pub(super) async fn make_image_and_release(ground: &Ground) {
    let write = ground.db.write("test.image", |conn| {
        Box::pin(async move {
            put_step(conn, "web", "build", "{}").await?;
            crate::execute!(
                conn,
                "INSERT INTO image (id, project_id, run_id, step_id, fence, name, repository, digest,
                     media_type, manifest, image_bytes, platforms, bases, observed_at)
                 VALUES ('i', 'p', 'r', 'web', 1, 'web', 'q', 'sha256:1', 'm', $1, 1, '', '', 1)",
                vec![0_u8]
            )?;
            crate::execute!(
                conn,
                "INSERT INTO release (id, project_id, run_id, digest, made_at)
                 VALUES ('rel', 'p', 'r', 'sha256:2', 1)"
            )?;
            crate::execute!(
                conn,
                "INSERT INTO release_image (release_id, name, image_id, digest)
                 VALUES ('rel', 'web', 'i', 'sha256:1')"
            )?;
            Ok::<(), Error>(())
        })
    });
    write.await.unwrap();
}

/// The step was claimed again: what the earlier lease brought no longer counts.
pub(super) async fn lose_lease(ground: &Ground, step: &str) {
    let step = step.to_owned();
    let write = ground.db.write("test.lose", move |conn| {
        Box::pin(async move {
            crate::execute!(
                conn,
                "UPDATE step SET fence = fence + 1 WHERE id = $1",
                &step
            )?;
            Ok::<(), Error>(())
        })
    });
    write.await.unwrap();
}
