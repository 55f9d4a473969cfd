//! The crash sweep: the orchestrator ends itself as if by SIGKILL at every point of the way from a
//! signed delivery to a green run, is started again, and nothing is lost, doubled or green without proof.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tests::crash::{Point, Server, points, summary, work};
use tests::orchestrator::{Orchestrator, Push};
use tests::snapshot::{Snapshot, differences, one, snapshot};
use tests::worker::{ScriptedWorker, enrol};

const PIPELINE: &str = "version: 1
on: { push: { branches: [main] } }
steps:
  unit:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
    reports: { junit: [\"r.xml\"] }
  more:
    run: { image: \"registry.example/base/python@sha256:0000000000000000000000000000000000000000000000000000000000000000\", command: [\"true\"] }
    needs: [unit]
";

/// How often these happen hangs on how fast the worker asks: only their first times are swept.
const BY_SPEED: &[&str] = &["step.claim"];
const BY_SPEED_TIMES: u64 = 3;

struct Stage {
    binary: PathBuf,
    /// As it is before the server starts: an instance, a project with a hook, an enrolled worker.
    template: Arc<tempfile::TempDir>,
    worker: ScriptedWorker,
    push: Push,
}

#[tokio::test]
#[ignore = "needs SALLYPORT_KILL_BINARY, a sallyport built with kill points, which cargo ci sets"]
async fn a_crash_at_any_point_leaves_what_no_crash_leaves() {
    let stage = Stage::set(PathBuf::from(
        std::env::var("SALLYPORT_KILL_BINARY").unwrap(),
    ))
    .await;
    let (passed, undisturbed) = stage.undisturbed().await;
    eprintln!("{} points: {}", passed.len(), summary(&passed));
    let mut wrong = Vec::new();
    for point in passed {
        if let Err(problem) = stage.with_a_crash_at(&point, &undisturbed).await {
            wrong.push(format!("{point}: {problem:#}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} points:\n{}",
        wrong.len(),
        wrong.join("\n\n")
    );
}

impl Stage {
    async fn set(binary: PathBuf) -> Self {
        let port = free_port();
        let server = Orchestrator::start_at(port).await.unwrap();
        let token = server.enrolment_token().await.unwrap();
        let worker = enrol(&server.entrance(), &token, "demo-1").await.unwrap();
        worker.hello(2).await.unwrap();
        let push = server.commit(PIPELINE).unwrap();
        let template = server.into_folder().await;
        Self {
            binary,
            template,
            worker,
            push,
        }
    }

    /// The points that are passed when nothing goes wrong, and what is there afterwards.
    async fn undisturbed(&self) -> (Vec<Point>, Snapshot) {
        let folder = self.copy();
        let list = folder.path().join("points");
        let mut server = Server::start(&self.binary, folder.path(), None, Some(&list)).unwrap();
        let database = database(folder.path());
        work(&self.worker, &self.push, &mut server, async || {
            is_over(&database).await
        })
        .await
        .unwrap();
        server.stop().unwrap();
        let swept: BTreeSet<Point> = points(&list)
            .unwrap()
            .into_iter()
            .filter(|p| !BY_SPEED.contains(&p.name.as_str()) || p.time <= BY_SPEED_TIMES)
            .collect();
        (
            swept.into_iter().collect(),
            snapshot(&database).await.unwrap(),
        )
    }

    async fn with_a_crash_at(&self, point: &Point, undisturbed: &Snapshot) -> anyhow::Result<()> {
        let folder = self.copy();
        let mut server = Server::start(&self.binary, folder.path(), Some(point), None)?;
        let database = database(folder.path());
        work(&self.worker, &self.push, &mut server, async || {
            is_over(&database).await
        })
        .await?;
        // The point may lie after the run's end.
        let _over = server.tend();
        server.stop()?;
        anyhow::ensure!(server.killed, "the point was not reached");
        let differences = differences(undisturbed, &snapshot(&database).await?);
        anyhow::ensure!(differences.is_empty(), "{}", differences.join("\n"));
        Ok(())
    }

    fn copy(&self) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let status = std::process::Command::new("cp")
            .arg("-a")
            .arg(format!("{}/.", self.template.path().display()))
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(status.success());
        let path = folder.path().join("sallyport.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let (from, to) = (
            self.template.path().display().to_string(),
            folder.path().display(),
        );
        let text = text.replace(&from, &to.to_string());
        std::fs::write(&path, text).unwrap();
        folder
    }
}

async fn is_over(database: &Path) -> anyhow::Result<bool> {
    let state = one(database, "SELECT state FROM run").await?;
    Ok(state.is_some_and(|state| state == "finished" || state == "invalid" || state == "refused"))
}

fn database(folder: &Path) -> PathBuf {
    folder.join("data").join("sallyport.db")
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
