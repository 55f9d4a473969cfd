//! `sallyport lint [file]` and `sallyport explain [file]`: what the server would say.

use super::{complain, exit, say};
use anyhow::Context as _;
use clap::Args;
use contract::complaint::{Complaint, Severity};
use contract::language::{
    CheckContext, Checked, DEFAULT_PATH, Pipeline, StepKind, check_all, explain,
};
use contract::settings::Settings;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A file that is read here is no longer than the server's own limits; a mistaken one is not read whole.
const READ_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, Args)]
pub(super) struct LintArgs {
    #[command(flatten)]
    files: Files,
    /// Print one JSON document instead of text.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Files {
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
    files: Files,
    /// Explain what happens for a push to this ref.
    #[arg(long, default_value = "refs/heads/main")]
    git_ref: String,
}

/// What `lint --json` prints.
#[derive(Serialize)]
struct Linted<'a> {
    file: String,
    good: bool,
    steps: Option<usize>,
    complaints: &'a [Complaint],
}

pub(super) fn lint(args: &LintArgs) -> anyhow::Result<u8> {
    let Checked { value, complaints } = read(&args.files)?;
    let code = if value.is_some() { exit::YES } else { exit::NO };
    let file = args.files.file.display().to_string();
    let steps = value.map(|pipeline| pipeline.steps.len());
    if args.json {
        let linted = Linted {
            file,
            good: steps.is_some(),
            steps,
            complaints: &complaints,
        };
        say(&serde_json::to_string_pretty(&linted)?);
        return Ok(code);
    }
    tell(&complaints);
    if let Some(steps) = steps {
        say(&format!("{file}: good, {steps} steps"));
    }
    Ok(code)
}

pub(super) fn explain_file(args: &ExplainArgs) -> anyhow::Result<u8> {
    let Checked { value, complaints } = read(&args.files)?;
    tell(&complaints);
    match value {
        Some(pipeline) => {
            say(&explain(&pipeline, &args.git_ref));
            Ok(exit::YES)
        }
        None => Ok(exit::NO),
    }
}

fn tell(complaints: &[Complaint]) {
    for complaint in complaints {
        complain(&complaint.render());
    }
    let errors = complaints.iter().filter(|c| c.severity == Severity::Error);
    match errors.count() {
        0 => {}
        1 => complain("1 error"),
        errors => complain(&format!("{errors} errors")),
    }
}

/// What the server would say: the pipeline when nothing hinders it, and every complaint, warnings too.
fn read(files: &Files) -> anyhow::Result<Checked<Pipeline>> {
    let settings = match &files.settings {
        Some(path) => {
            let checked = contract::settings::check_all(&path.display().to_string(), &bytes(path)?);
            match checked.value {
                Some(settings) => Some(settings),
                None => {
                    let complaints = checked.complaints;
                    return Ok(Checked {
                        value: None,
                        complaints,
                    });
                }
            }
        }
        None => None,
    };
    let context = settings
        .as_ref()
        .map_or_else(CheckContext::default, |settings| CheckContext {
            known_registries: Some(settings.known_registries.clone()),
            timeout_ms_max: Some(settings.timeout_ms),
            memory_bytes_max: Some(settings.memory_bytes),
        });
    let name = files.file.display().to_string();
    let text = bytes(&files.file)?;
    let mut checked = check_all(&name, &text, &context);
    if let (Some(pipeline), Some(settings)) = (&checked.value, &settings) {
        let text = String::from_utf8_lossy(&text);
        let wrong = dockerfiles(&files.file, &text, pipeline, settings);
        if !wrong.is_empty() {
            checked.value = None;
            checked.complaints.extend(wrong);
        }
    }
    Ok(checked)
}

/// What the server would say of the Dockerfiles. Which images are known only the settings say.
fn dockerfiles(
    file: &Path,
    text: &str,
    pipeline: &Pipeline,
    settings: &Settings,
) -> Vec<Complaint> {
    let top = top(file, &settings.pipeline);
    let name = file.display().to_string();
    let mut complaints = Vec::new();
    for step in &pipeline.steps {
        let StepKind::Build { dockerfile, .. } = &step.kind else {
            continue;
        };
        match bytes(&top.join(dockerfile)) {
            Ok(bytes) => {
                let known = &settings.known_registries;
                let read = contract::dockerfile::check(dockerfile, &bytes, known);
                complaints.extend(read.err().into_iter().flatten());
            }
            Err(error) => {
                let problem = format!("{error:#}");
                let missing =
                    contract::dockerfile::missing(&name, text, &step.name, dockerfile, &problem);
                complaints.extend(missing);
            }
        }
    }
    complaints
}

/// The repository's top: paths of the pipeline file are told from there, as its own path in the settings.
fn top(file: &Path, pipeline: &str) -> PathBuf {
    let up = if file.ends_with(pipeline) {
        Path::new(pipeline).components().count()
    } else {
        1
    };
    let top = file.ancestors().nth(up).unwrap_or(Path::new(""));
    top.to_owned()
}

fn bytes(path: &Path) -> anyhow::Result<Vec<u8>> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).with_context(|| format!("read {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(READ_BYTES_MAX)
        .read_to_end(&mut bytes)
        .with_context(|| format!("read {}", path.display()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "version: 1\nproject: shop\nsource: { git: /srv/shop.git }\npipeline: ci/pipe.yml\n\
        known-registries: [\"registry.example/base/*\"]\nquarantine: registry.example/quarantine/shop\n";
    const PIPELINE: &str =
        "version: 1\non: { push: {}, pull-request: {} }\nsteps: { web: { build: {} } }\n";

    fn linted(dockerfile: Option<&str>) -> Checked<Pipeline> {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        std::fs::create_dir(folder.path().join("ci")).unwrap();
        write("ci/pipe.yml", PIPELINE);
        write("settings.yml", SETTINGS);
        if let Some(text) = dockerfile {
            write("Dockerfile", text);
        }
        let files = Files {
            file: folder.path().join("ci/pipe.yml"),
            settings: Some(folder.path().join("settings.yml")),
        };
        read(&files).unwrap()
    }

    fn codes(checked: &Checked<Pipeline>) -> Vec<&str> {
        checked.complaints.iter().map(|c| c.code.as_str()).collect()
    }

    #[test]
    fn lint_says_what_the_server_would() {
        let image = format!("registry.example/base/python@sha256:{}", "0".repeat(64));
        let good = linted(Some(&format!("FROM {image}\n")));
        assert!(good.value.is_some());
        assert_eq!(
            codes(&good),
            ["not-yet"],
            "pull requests: a warning that is shown"
        );
        let foreign = linted(Some("FROM docker.io/library/python:3\n"));
        assert!(foreign.value.is_none());
        assert!(
            codes(&foreign).contains(&"unknown-base-registry"),
            "{foreign:?}"
        );
        let missing = linted(None);
        assert!(missing.value.is_none());
        assert!(codes(&missing).contains(&"no-dockerfile"), "{missing:?}");
    }
}
