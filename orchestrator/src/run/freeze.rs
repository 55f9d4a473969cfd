//! Freezes a plan: from a checked pipeline and the settings of now to what workers will be told.
//! Pure: what it needs was read before.

use super::plan::{Plan, PlannedStep, PlannedWork};
use crate::config::Tools;
use contract::complaint::{Code, Complaint, Complaints};
use contract::digest::CommitId;
use contract::image::ImageRef;
use contract::language::{self, EventKind, Pipeline, Step, StepKind, ToolName};
use contract::name::Name;
use contract::protocol::{Resources, Tool};
use contract::settings::Settings;
use std::collections::{BTreeMap, BTreeSet};

/// What a plan is frozen from.
pub(super) struct Given<'a> {
    pub(super) settings: &'a Settings,
    pub(super) tools: &'a Tools,
    pub(super) pipeline: &'a Pipeline,
    /// The pipeline file's text, for complaints.
    pub(super) text: &'a str,
    /// By build step: the outside images that its Dockerfile names.
    pub(super) bases: &'a BTreeMap<Name, Vec<ImageRef>>,
    pub(super) ref_name: &'a str,
    pub(super) commit: &'a CommitId,
}

/// The plan, or everything that hinders it.
pub(super) fn freeze(given: &Given<'_>) -> Result<Plan, Vec<Complaint>> {
    let mut complaints = Complaints::new(&given.settings.pipeline, given.text);
    let runs = steps_that_run(given);
    let mut steps = Vec::with_capacity(runs.len());
    for step in given
        .pipeline
        .steps
        .iter()
        .filter(|step| runs.contains(&step.name))
    {
        if let Some(planned) = planned(step, given, &mut complaints) {
            steps.push(planned);
        }
    }
    if runs.is_empty() {
        let message = format!("no step runs for {}", given.ref_name);
        let help = "give at least one step no `when`, or start on fewer refs".to_owned();
        complaints.add(Code::NoSteps, &(0..0), message, "", Some(help));
    }
    if complaints.is_empty() {
        Ok(Plan {
            v: 1,
            parallel_steps: given.settings.parallel_steps,
            steps,
        })
    } else {
        Err(complaints.finish())
    }
}

/// The steps that run for the push that is planned.
pub(super) fn steps_that_run<'a>(given: &Given<'a>) -> BTreeSet<&'a Name> {
    language::steps_that_run(given.pipeline, EventKind::Push, given.ref_name)
}

fn planned(step: &Step, given: &Given<'_>, complaints: &mut Complaints<'_>) -> Option<PlannedStep> {
    Some(PlannedStep {
        name: step.name.clone(),
        needs: step.needs.clone(),
        work: work(step, given, complaints)?,
        env: env(step, given),
        resources: Resources {
            cpu_milli: step.resources.cpu_milli,
            memory_bytes: step.resources.memory_bytes,
            pids: step.resources.pids,
            work_bytes: step.resources.work_bytes,
        },
        timeout_ms: step.timeout_ms,
        artifacts: step.artifacts.clone(),
        junit: step.junit.clone(),
        effects_outside: step.effects_outside,
    })
}

fn work(step: &Step, given: &Given<'_>, complaints: &mut Complaints<'_>) -> Option<PlannedWork> {
    Some(match &step.kind {
        StepKind::Build {
            dockerfile,
            context,
        } => PlannedWork::Build {
            dockerfile: dockerfile.clone(),
            context: context.clone(),
            repository: given.settings.quarantine.join(&step.name).ok()?,
            known_registries: given.settings.known_registries.clone(),
            bases: given.bases.get(&step.name).cloned().unwrap_or_default(),
        },
        StepKind::Analyze { tools } => {
            let tools = tools.iter().map(|tool| match tool {
                ToolName::Hadolint => named(tool.as_str(), &given.tools.hadolint, complaints),
                ToolName::Gitleaks => named(tool.as_str(), &given.tools.gitleaks, complaints),
            });
            // All of them, so that every missing one is named.
            let tools: Vec<Option<Tool>> = tools.collect();
            PlannedWork::Analyze {
                tools: tools.into_iter().collect::<Option<_>>()?,
            }
        }
        StepKind::Scan { image } => {
            let sbom = named("syft", &given.tools.syft, complaints);
            let secrets = named("gitleaks", &given.tools.gitleaks, complaints);
            PlannedWork::Scan {
                of: image.clone(),
                sbom: sbom?,
                secrets: secrets?,
            }
        }
        StepKind::Test {
            image,
            env,
            ready,
            services,
            probe,
            command,
            source: _,
        } => PlannedWork::Test {
            of: image.clone(),
            env: env.clone(),
            ready: ready.clone(),
            services: services.clone(),
            probe: probe.clone(),
            command: command.clone(),
        },
        StepKind::Run {
            image,
            command,
            source: _,
        } => PlannedWork::Run {
            image: image.clone(),
            command: command.clone(),
        },
    })
}

fn named(name: &str, image: &Option<ImageRef>, complaints: &mut Complaints<'_>) -> Option<Tool> {
    let Some(image) = image else {
        let at = complaints.source().find(name).unwrap_or(0);
        let message = format!("this instance has no image for the tool `{name}`");
        let help = Some(format!(
            "an operator sets `[tools] {name}` in sallyport.toml"
        ));
        complaints.add(
            Code::ToolNotConfigured,
            &(at..at + name.len()),
            message,
            "",
            help,
        );
        return None;
    };
    Some(Tool {
        name: name.to_owned(),
        image: image.clone(),
    })
}

/// What a step knows of its run: text, never pasted into a script. A step's own values stand over
/// ours, except the commit's.
fn env(step: &Step, given: &Given<'_>) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("CI".to_owned(), "true".to_owned())]);
    env.extend(step.env.clone());
    let mut set = |key: &str, value: &str| {
        env.insert(key.to_owned(), value.to_owned());
    };
    set("SALLYPORT_PROJECT", given.settings.project.as_str());
    set("SALLYPORT_STEP", step.name.as_str());
    set("SALLYPORT_COMMIT", given.commit.as_str());
    set("SALLYPORT_REF", given.ref_name);
    if let Some(branch) = given.ref_name.strip_prefix("refs/heads/") {
        set("SALLYPORT_BRANCH", branch);
    }
    if let Some(tag) = given.ref_name.strip_prefix("refs/tags/") {
        set("SALLYPORT_TAG", tag);
    }
    env
}
