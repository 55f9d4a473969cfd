//! `sallyport lint [file]` and `sallyport explain [file]`: what the server would say.

use super::{complain, exit, say};
use anyhow::Context as _;
use clap::Args;
use contract::language::{CheckContext, DEFAULT_PATH, Pipeline, StepKind, check, explain};
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    /// The pipeline file.
    #[arg(default_value = DEFAULT_PATH)]
    file: PathBuf,
    /// The project's settings, which say what images are known and what limits hold.
    #[arg(long)]
    settings: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct ExplainArgs {
    #[command(flatten)]
    lint: LintArgs,
    /// Explain what happens for a push to this ref.
    #[arg(long, default_value = "refs/heads/main")]
    git_ref: String,
}

pub(super) fn lint(args: &LintArgs) -> anyhow::Result<u8> {
    match read(args)? {
        Some(pipeline) => {
            say(&format!(
                "{}: good, {} steps",
                args.file.display(),
                pipeline.steps.len()
            ));
            Ok(exit::YES)
        }
        None => Ok(exit::NO),
    }
}

pub(super) fn explain_file(args: &ExplainArgs) -> anyhow::Result<u8> {
    match read(&args.lint)? {
        Some(pipeline) => {
            say(&explain(&pipeline, &args.git_ref));
            Ok(exit::YES)
        }
        None => Ok(exit::NO),
    }
}

/// The pipeline, or `None` when the complaints were said.
fn read(args: &LintArgs) -> anyhow::Result<Option<Pipeline>> {
    let context = match &args.settings {
        Some(path) => match of_settings(path)? {
            Some(context) => context,
            None => return Ok(None),
        },
        None => CheckContext::default(),
    };
    let bytes =
        std::fs::read(&args.file).with_context(|| format!("read {}", args.file.display()))?;
    let checked = check(&args.file.display().to_string(), &bytes, &context);
    let complaints = match &checked {
        Ok(pipeline) => dockerfiles(args, pipeline, &context),
        Err(complaints) => complaints.iter().map(|c| c.render()).collect(),
    };
    complaints.iter().for_each(|complaint| complain(complaint));
    if complaints.is_empty() {
        return Ok(checked.ok());
    }
    complain(&format!("{} complaints", complaints.len()));
    Ok(None)
}

/// What the server would say of the Dockerfiles, which lie beside the pipeline file. Which images are
/// known only the settings say.
fn dockerfiles(args: &LintArgs, pipeline: &Pipeline, context: &CheckContext) -> Vec<String> {
    let Some(known) = &context.known_registries else {
        return Vec::new();
    };
    let folder = args.file.parent().unwrap_or(Path::new(""));
    let mut complaints = Vec::new();
    for step in &pipeline.steps {
        let StepKind::Build { dockerfile, .. } = &step.kind else {
            continue;
        };
        let read = match std::fs::read(folder.join(dockerfile)) {
            Ok(bytes) => contract::dockerfile::check(dockerfile, &bytes, known),
            Err(error) => {
                complaints.push(format!(
                    "error: the Dockerfile of `{}`, {dockerfile}: {error}",
                    step.name
                ));
                continue;
            }
        };
        if let Err(found) = read {
            complaints.extend(found.iter().map(|c| c.render()));
        }
    }
    complaints
}

fn of_settings(path: &Path) -> anyhow::Result<Option<CheckContext>> {
    let bytes = std::fs::read(path).with_context(|| format!("read {}", path.display()))?;
    match contract::settings::check(&path.display().to_string(), &bytes) {
        Ok(settings) => Ok(Some(CheckContext {
            known_registries: Some(settings.known_registries),
            timeout_ms_max: Some(settings.timeout_ms),
            memory_bytes_max: Some(settings.memory_bytes),
        })),
        Err(complaints) => {
            for complaint in &complaints {
                complain(&complaint.render());
            }
            Ok(None)
        }
    }
}
