//! Reads what a plan is made from: the settings of now, the commit, its pipeline file, its
//! Dockerfiles, its files as one archive. No transaction is open meanwhile.

use super::freeze::{Given, freeze, steps_that_run};
use super::plan::Plan;
use super::state::Error;
use super::store::Start;
use crate::blob::Blobs;
use crate::config::Tools;
use crate::ground::Ground;
use crate::project;
use crate::reconcile::Lanes;
use crate::source::{Archive, CommitInfo, FileAt, Mirrors};
use contract::complaint::{Code, Complaint, Complaints};
use contract::digest::{CommitId, Digest};
use contract::image::ImageRef;
use contract::language::{self, CheckContext, Pipeline, StepKind};
use contract::name::Name;
use contract::settings::Settings;
use std::collections::BTreeMap;

/// What this room is given.
#[derive(Clone)]
pub struct Hands {
    /// Mirrors of the repositories.
    pub mirrors: Mirrors,
    /// Blobs: source archives go there.
    pub blobs: Blobs,
    /// The instance's tool images.
    pub tools: Tools,
    /// Projects are looked at side by side.
    pub lanes: Lanes,
}

/// Everything that the run's row will hold.
#[derive(Debug, Clone)]
pub(super) struct Gathered {
    pub(super) info: CommitInfo,
    pub(super) settings_version: i64,
    pub(super) pipeline_path: String,
    pub(super) pipeline_digest: Option<Digest>,
    pub(super) verdict: Planned,
}

/// What came of planning.
#[derive(Debug, Clone)]
pub(super) enum Planned {
    /// The plan and the archive.
    Good {
        plan: Box<Plan>,
        source: Digest,
        source_bytes: u64,
        /// What does not hinder, and somebody should know.
        warnings: Vec<Complaint>,
    },
    /// The commit's own fault.
    Invalid(Vec<Complaint>),
    /// There is nothing to work on.
    Refused(String),
}

/// Gathers and plans. A commit that is not there is an error as long as it may still come.
pub(super) async fn gather(
    ground: &Ground,
    hands: &Hands,
    start: &Start,
    may_come: bool,
) -> Result<Gathered, Error> {
    let current = {
        let mut conn = ground.db.reader().await?;
        project::current_settings(&mut conn, &start.project_id).await?
    };
    let Some(current) = current else {
        return Err(Error::NoSettings {
            project: start.project_id.clone(),
        });
    };
    let Some(info) = commit(hands, start, &current.settings).await? else {
        if may_come {
            return Err(Error::NoCommit {
                commit: start.commit.to_string(),
            });
        }
        let why = "the commit is not in the repository any more".to_owned();
        return Ok(Gathered {
            info: nobody(),
            settings_version: current.version,
            pipeline_path: current.settings.pipeline.clone(),
            pipeline_digest: None,
            verdict: Planned::Refused(why),
        });
    };
    let (pipeline_digest, verdict) = plan(hands, start, &current.settings).await?;
    Ok(Gathered {
        info,
        settings_version: current.version,
        pipeline_path: current.settings.pipeline.clone(),
        pipeline_digest,
        verdict,
    })
}

/// The commit, fetched when the mirror does not have it yet.
async fn commit(
    hands: &Hands,
    start: &Start,
    settings: &Settings,
) -> Result<Option<CommitInfo>, Error> {
    let (mirrors, project) = (&hands.mirrors, &start.project_id);
    let mut info = mirrors.commit(project, &start.commit).await?;
    if info.is_none() {
        mirrors.fetch(project, &settings.git).await?;
        info = mirrors.commit(project, &start.commit).await?;
    }
    if info.is_some() {
        mirrors.keep(project, &start.commit).await?;
    }
    Ok(info)
}

async fn plan(
    hands: &Hands,
    start: &Start,
    settings: &Settings,
) -> Result<(Option<Digest>, Planned), Error> {
    let path = &settings.pipeline;
    let bytes = match file(hands, start, path, language::FILE_BYTES_MAX).await? {
        Ok(bytes) => bytes,
        Err((code, problem)) => {
            let complaint = one(path, code, &problem);
            return Ok((None, Planned::Invalid(complaint)));
        }
    };
    let digest = Digest::of(&bytes);
    let context = CheckContext {
        known_registries: Some(settings.known_registries.clone()),
        timeout_ms_max: Some(settings.timeout_ms),
        memory_bytes_max: Some(settings.memory_bytes),
    };
    let invalid = |complaints| Ok((Some(digest), Planned::Invalid(complaints)));
    let checked = language::check_all(path, &bytes, &context);
    let (Some(pipeline), warnings) = (checked.value, checked.complaints.clone()) else {
        return invalid(checked.complaints);
    };
    // `check` has seen that it is UTF-8.
    let text = String::from_utf8_lossy(&bytes);
    let mut given = Given {
        settings,
        tools: &hands.tools,
        pipeline: &pipeline,
        text: &text,
        bases: &BTreeMap::new(),
        ref_name: &start.ref_name,
        commit: &start.commit,
    };
    let (bases, mut complaints) = dockerfiles(hands, start, &pipeline, &given).await?;
    given.bases = &bases;
    let frozen = freeze(&given);
    let plan = match frozen {
        Ok(plan) if complaints.is_empty() => plan,
        Ok(_) => return invalid(complaints),
        Err(mut first) => {
            first.append(&mut complaints);
            return invalid(first);
        }
    };
    match hands
        .mirrors
        .archive(&start.project_id, &start.commit)
        .await?
    {
        Archive::Refused(complaints) => invalid(complaints),
        Archive::Tar(tar) => {
            let source_bytes = tar.len() as u64;
            let source = crate::kill::outside("source.store", hands.blobs.put(tar)).await?;
            let plan = Box::new(plan);
            Ok((
                Some(digest),
                Planned::Good {
                    plan,
                    source,
                    source_bytes,
                    warnings,
                },
            ))
        }
    }
}

/// The outside images that each build names, and what is wrong with the Dockerfiles.
async fn dockerfiles(
    hands: &Hands,
    start: &Start,
    pipeline: &Pipeline,
    given: &Given<'_>,
) -> Result<(BTreeMap<Name, Vec<ImageRef>>, Vec<Complaint>), Error> {
    let runs = steps_that_run(given);
    let (mut bases, mut complaints) = (BTreeMap::new(), Vec::new());
    for step in pipeline
        .steps
        .iter()
        .filter(|step| runs.contains(&step.name))
    {
        let StepKind::Build {
            dockerfile,
            context: _,
        } = &step.kind
        else {
            continue;
        };
        match file(
            hands,
            start,
            dockerfile,
            contract::dockerfile::DOCKERFILE_BYTES_MAX,
        )
        .await?
        {
            Ok(bytes) => {
                let known = &given.settings.known_registries;
                match contract::dockerfile::check(dockerfile, &bytes, known) {
                    Ok(read) => {
                        bases.insert(step.name.clone(), read.images);
                    }
                    Err(mut wrong) => complaints.append(&mut wrong),
                }
            }
            Err((_, problem)) => {
                let (path, text) = (&given.settings.pipeline, given.text);
                let name = &step.name;
                let missing = contract::dockerfile::missing(path, text, name, dockerfile, &problem);
                complaints.extend(missing);
            }
        }
    }
    Ok((bases, complaints))
}

/// A file of the commit, or by code and in words why there is none.
async fn file(
    hands: &Hands,
    start: &Start,
    path: &str,
    bytes_max: usize,
) -> Result<Result<Vec<u8>, (Code, String)>, Error> {
    let found = hands
        .mirrors
        .file(&start.project_id, &start.commit, path, bytes_max)
        .await?;
    Ok(match found {
        FileAt::Bytes(bytes) => Ok(bytes),
        FileAt::Missing => {
            let problem = format!("there is no file `{path}` at this commit");
            Err((Code::NoPipelineFile, problem))
        }
        FileAt::NotAFile => Err((Code::NoPipelineFile, format!("`{path}` is not a file"))),
        FileAt::TooLarge { bytes } => {
            let problem = format!("`{path}` has {bytes} bytes, at most {bytes_max} are read");
            Err((Code::TooLarge, problem))
        }
    })
}

fn one(path: &str, code: Code, message: &str) -> Vec<Complaint> {
    let mut complaints = Complaints::new(path, "");
    complaints.add(code, &(0..0), message, "", None);
    complaints.finish()
}

/// A run that ends before it begins: what it starts from could not be read, again and again.
pub(super) async fn unreadable(
    ground: &Ground,
    start: &Start,
    problem: &str,
) -> Result<Gathered, Error> {
    let current = {
        let mut conn = ground.db.reader().await?;
        project::current_settings(&mut conn, &start.project_id).await?
    };
    let (settings_version, pipeline_path) = current.map_or_else(
        || (0, language::DEFAULT_PATH.to_owned()),
        |current| (current.version, current.settings.pipeline),
    );
    Ok(Gathered {
        info: nobody(),
        settings_version,
        pipeline_path,
        pipeline_digest: None,
        verdict: Planned::Refused(format!("it could not be prepared: {problem}")),
    })
}

/// A commit that is gone says nothing of itself.
fn nobody() -> CommitInfo {
    CommitInfo {
        title: String::new(),
        time: 0,
        author_name: String::new(),
        author_email: String::new(),
        committer_email: String::new(),
    }
}

/// The commit that a trigger names, parsed once.
pub(super) fn commit_id(text: &str) -> Option<CommitId> {
    CommitId::parse(text).ok()
}
