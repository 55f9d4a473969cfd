//! `sallyport lint [file]` and `sallyport explain [file]`: what the server would say.

use super::{complain, exit, say};
use anyhow::Context as _;
use clap::Args;
use contract::complaint::{Code, Complaint, Complaints, Severity};
use contract::image::{Repository, without_tag};
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
    /// What only the project's settings say.
    not_checked: &'static [&'static str],
}

/// Known registries and limits are the project's: without its settings nobody knows them here.
const OF_SETTINGS: &[&str] = &["registries", "limits"];

pub(super) fn lint(args: &LintArgs) -> anyhow::Result<u8> {
    let Checked { value, complaints } = linted(&args.files)?;
    let not_checked = match args.files.settings {
        Some(_) => &[],
        None => OF_SETTINGS,
    };
    let code = if value.is_some() { exit::YES } else { exit::NO };
    let file = args.files.file.display().to_string();
    let steps = value.map(|pipeline| pipeline.steps.len());
    if args.json {
        let linted = Linted {
            file,
            good: steps.is_some(),
            steps,
            complaints: &complaints,
            not_checked,
        };
        say(&serde_json::to_string_pretty(&linted)?);
        return Ok(code);
    }
    tell(&complaints);
    if let Some(steps) = steps {
        say(&format!("{file}: good, {steps} steps"));
    }
    if !not_checked.is_empty() {
        let what = not_checked.join(", ");
        complain(&format!("not checked without --settings: {what}"));
    }
    Ok(code)
}

pub(super) fn explain_file(args: &ExplainArgs) -> anyhow::Result<u8> {
    let Checked { value, complaints } = read(&args.files)?.checked;
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

/// What was read: of a file that cannot be used there is no text.
struct Read {
    name: String,
    checked: Checked<Pipeline>,
    text: String,
    place: Place,
    settings: Option<Settings>,
}

/// What the server would say: the pipeline when nothing hinders it, and every complaint, warnings too.
fn linted(files: &Files) -> anyhow::Result<Checked<Pipeline>> {
    let mut read = read(files)?;
    let wrong = dockerfiles(&read);
    if !wrong.is_empty() {
        read.checked.value = None;
        read.checked.complaints.extend(wrong);
    }
    Ok(read.checked)
}

/// The pipeline file alone, by the settings where they are given.
fn read(files: &Files) -> anyhow::Result<Read> {
    let name = files.file.display().to_string();
    let refused = |complaints, place| Read {
        name: name.clone(),
        checked: Checked {
            value: None,
            complaints,
        },
        text: String::new(),
        place,
        settings: None,
    };
    let mut settings = None;
    if let Some(path) = &files.settings {
        let checked = contract::settings::check_all(&path.display().to_string(), &bytes(path)?);
        settings = checked.value;
        if settings.is_none() {
            return Ok(refused(checked.complaints, Place::of(&files.file, None)));
        }
    }
    let context = settings
        .as_ref()
        .map_or_else(CheckContext::default, |settings| CheckContext {
            known_registries: Some(settings.known_registries.clone()),
            timeout_ms_max: Some(settings.timeout_ms),
            memory_bytes_max: Some(settings.memory_bytes),
        });
    let pipeline = settings.as_ref().map(|settings| settings.pipeline.as_str());
    let place = Place::of(&files.file, pipeline);
    if let Some(problem) = no_file(&place.top, &place.pipeline) {
        let mut complaints = Complaints::new(&name, "");
        complaints.add(Code::NoPipelineFile, &(0..0), problem, "", None);
        return Ok(refused(complaints.finish(), place));
    }
    let text = bytes(&files.file)?;
    Ok(Read {
        name: name.clone(),
        checked: check_all(&name, &text, &context),
        text: String::from_utf8_lossy(&text).into_owned(),
        place,
        settings,
    })
}

/// What the server would say of the Dockerfiles. Which images are known only the settings say.
fn dockerfiles(read: &Read) -> Vec<Complaint> {
    let (name, top) = (&read.name, &read.place.top);
    let steps = read.checked.value.iter().flat_map(|found| &found.steps);
    let mut complaints = Vec::new();
    for step in steps {
        let StepKind::Build { dockerfile, .. } = &step.kind else {
            continue;
        };
        let problem = match no_file(top, Path::new(dockerfile)) {
            Some(problem) => problem,
            None => match bytes(&top.join(dockerfile)) {
                Ok(bytes) => {
                    complaints.extend(about(dockerfile, &bytes, read.settings.as_ref()));
                    continue;
                }
                Err(error) => format!("{error:#}"),
            },
        };
        complaints.extend(contract::dockerfile::missing(
            name, &read.text, &step.name, dockerfile, &problem,
        ));
    }
    complaints
}

fn about(dockerfile: &str, bytes: &[u8], settings: Option<&Settings>) -> Vec<Complaint> {
    if let Some(settings) = settings {
        let read = contract::dockerfile::check(dockerfile, bytes, &settings.known_registries);
        return read.err().unwrap_or_default();
    }
    // Whether a registry is known nobody knows here: all that are named are, and every other rule holds.
    let known = named_registries(&String::from_utf8_lossy(bytes));
    let read = contract::dockerfile::check(dockerfile, bytes, &known);
    let mut complaints = read.err().unwrap_or_default();
    for complaint in &mut complaints {
        if complaint.code == Code::UnknownBaseRegistry.as_str() {
            complaint.help = None;
        }
    }
    complaints
}

fn named_registries(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || "=,\"'".contains(c));
    let images =
        words.filter_map(|word| Repository::parse(without_tag(word.split('@').next()?)).ok());
    images
        .map(|image| format!("{}/**", image.registry()))
        .collect()
}

/// The repository's top, from which paths are told, and the pipeline file's own path from there.
struct Place {
    top: PathBuf,
    pipeline: PathBuf,
}

impl Place {
    /// As the settings name it; without them, from the folder that git made.
    fn of(file: &Path, pipeline: Option<&str>) -> Self {
        let file = &std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let up = |count| {
            let top = file.ancestors().nth(count).unwrap_or(Path::new(""));
            let pipeline = file.strip_prefix(top).unwrap_or(file);
            Self {
                top: top.to_owned(),
                pipeline: pipeline.to_owned(),
            }
        };
        if let Some(pipeline) = pipeline.filter(|pipeline| file.ends_with(pipeline)) {
            return up(Path::new(pipeline).components().count());
        }
        let mut folders = file.ancestors().skip(1);
        let of_git = folders.position(|folder| folder.join(".git").exists());
        up(of_git.map_or(1, |at| at + 1))
    }
}

/// Why there is no file of this path in a commit: git does not follow links, and neither does the server.
/// None, too, when nothing is there at all: reading it says so.
fn no_file(top: &Path, path: &Path) -> Option<String> {
    let shown = path.display();
    let mut at = top.to_owned();
    for part in path.components() {
        at.push(part);
        let found = std::fs::symlink_metadata(&at).ok()?;
        if found.is_symlink() {
            return Some(format!(
                "`{shown}` is not a file: a link is none in a commit"
            ));
        }
    }
    (!at.is_file()).then(|| format!("`{shown}` is not a file"))
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

    /// A checkout with its pipeline file, settings beside it, and a Dockerfile or none.
    struct Checkout(tempfile::TempDir);

    impl Checkout {
        fn with(dockerfile: Option<&str>) -> Self {
            let checkout = Self(tempfile::tempdir().unwrap());
            for folder in ["ci", ".git"] {
                std::fs::create_dir(checkout.at(folder)).unwrap();
            }
            std::fs::write(checkout.at("ci/pipe.yml"), PIPELINE).unwrap();
            std::fs::write(checkout.at("settings.yml"), SETTINGS).unwrap();
            if let Some(text) = dockerfile {
                std::fs::write(checkout.at("Dockerfile"), text).unwrap();
            }
            checkout
        }

        fn at(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn linted(&self, with_settings: bool) -> Checked<Pipeline> {
            let files = Files {
                file: self.at("ci/pipe.yml"),
                settings: with_settings.then(|| self.at("settings.yml")),
            };
            linted(&files).unwrap()
        }

        /// The codes of all complaints; nothing is good that has an error.
        fn codes(&self, with_settings: bool) -> Vec<String> {
            let checked = self.linted(with_settings);
            let errors = checked
                .complaints
                .iter()
                .filter(|c| c.severity == Severity::Error);
            assert_eq!(checked.value.is_some(), errors.count() == 0, "{checked:?}");
            checked.complaints.iter().map(|c| c.code.clone()).collect()
        }
    }

    #[test]
    fn lint_says_what_the_server_would() {
        let image = format!("registry.example/base/python@sha256:{}", "0".repeat(64));
        let foreign = format!("docker.io/library/python@sha256:{}", "0".repeat(64));
        for (dockerfile, with_settings, wanted) in [
            // Of pull requests there is a warning, which is shown.
            (Some(&*format!("FROM {image}\n")), true, &["not-yet"][..]),
            (Some(&*format!("FROM {image}\n")), false, &["not-yet"]),
            (
                Some(&*format!("FROM {foreign}\n")),
                true,
                &["not-yet", "unknown-base-registry"],
            ),
            // Whether it is known only the settings say; all else is said without them.
            (Some(&*format!("FROM {foreign}\n")), false, &["not-yet"]),
            (None, true, &["not-yet", "no-dockerfile"]),
            (None, false, &["not-yet", "no-dockerfile"]),
        ] {
            let codes = Checkout::with(dockerfile).codes(with_settings);
            assert_eq!(codes, wanted, "{dockerfile:?} {with_settings}");
        }
        let unpinned = Checkout::with(Some("FROM registry.example/base/python:3\n"));
        assert!(
            unpinned.codes(false).len() > 1,
            "{:?}",
            unpinned.linted(false)
        );
    }

    #[test]
    fn a_link_is_no_file_as_in_a_commit() {
        let image = format!("registry.example/base/python@sha256:{}", "0".repeat(64));
        for with_settings in [false, true] {
            let checkout = Checkout::with(Some(&format!("FROM {image}\n")));
            std::fs::rename(checkout.at("Dockerfile"), checkout.at("real")).unwrap();
            std::os::unix::fs::symlink("real", checkout.at("Dockerfile")).unwrap();
            assert_eq!(checkout.codes(with_settings), ["not-yet", "no-dockerfile"]);
            std::fs::rename(checkout.at("ci"), checkout.at("elsewhere")).unwrap();
            std::os::unix::fs::symlink("elsewhere", checkout.at("ci")).unwrap();
            assert_eq!(checkout.codes(with_settings), ["no-pipeline-file"]);
        }
    }
}
