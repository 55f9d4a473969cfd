//! What a worker is told: one step with everything that is needed to work on it, and nothing else.

use super::claim::HEARTBEAT_MS;
use super::state::{Error, Hands, Step};
use crate::clock::At;
use crate::db::Conn;
use crate::fleet::Worker;
use crate::run::{self, Cause, PlannedStep, PlannedWork};
use contract::image::ImageRef;
use contract::protocol::{Job, Source, Work};

/// What came of a leased step.
pub(super) enum Readied {
    /// The job.
    Job(Box<Job>),
    /// Something that it needs is not there.
    Cannot(Cause),
}

/// Reads a step's part of the frozen plan.
pub(super) fn planned(step: &Step) -> Result<PlannedStep, Error> {
    serde_json::from_str(&step.work).map_err(|source| Error::Stored {
        what: "plan",
        step: step.id.clone(),
        source,
    })
}

/// The job of a step that was just leased.
pub(super) async fn ready(
    conn: &mut Conn,
    hands: &Hands,
    worker: &Worker,
    step: &Step,
    ends_at: At,
) -> Result<Readied, Error> {
    let missing = |what: String| Ok(Readied::Cannot(Cause::Incomplete { what }));
    let Some(run) = run::by_id(conn, &step.run_id).await? else {
        return missing("its run".to_owned());
    };
    let Some((digest, bytes)) = run.source else {
        return missing("the source archive".to_owned());
    };
    let planned = planned(step)?;
    let image = match planned.work.image_of() {
        Some(name) => match hands.images.image(conn, &step.run_id, name).await? {
            Some(image) => Some(image),
            None => return missing(format!("image {name} was not observed")),
        },
        None => None,
    };
    let mut env = planned.env;
    env.insert("SALLYPORT_RUN".to_owned(), run.number.to_string());
    let Some(work) = resolve(planned.work, image) else {
        return missing("the image that it works on".to_owned());
    };
    Ok(Readied::Job(Box::new(Job {
        instance_id: hands.instance_id.clone(),
        worker: worker.name.clone(),
        step_id: step.id.to_string(),
        fence: step.fence,
        lease_ends_at: ends_at.0,
        heartbeat_ms: HEARTBEAT_MS,
        timeout_ms: planned.timeout_ms,
        project: run.project,
        run_number: run.number,
        step: planned.name,
        source: Source {
            commit: run.commit,
            digest,
            bytes,
            commit_time: run.commit_time,
        },
        env,
        resources: planned.resources,
        work,
        artifacts: planned.artifacts,
        junit: planned.junit,
    })))
}

/// The work with the image that another step built put in; none when it is missing.
pub(super) fn resolve(work: PlannedWork, image: Option<ImageRef>) -> Option<Work> {
    Some(match work {
        PlannedWork::Run { image, command } => Work::Run { image, command },
        PlannedWork::Analyze { tools } => Work::Analyze { tools },
        PlannedWork::Build {
            dockerfile,
            context,
            repository,
            known_registries,
            bases: _,
        } => Work::Build {
            dockerfile,
            context,
            repository,
            known_registries,
        },
        PlannedWork::Scan {
            of: _,
            sbom,
            secrets,
        } => Work::Scan {
            image: image?,
            sbom,
            secrets,
        },
        PlannedWork::Test {
            of,
            env,
            ready,
            services,
            probe,
            command,
        } => Work::Test {
            image: image?,
            name: of,
            env,
            ready,
            services,
            probe,
            command,
        },
    })
}
