//! An `analyze` step: the instance's analysers over the source, one after the other.
//!
//! What a tool reads about itself (its rules, its exceptions) never comes from the commit: a pull
//! request could otherwise switch off the check that it is held by.

use super::archive::{self, ArchiveError};
use super::bench::{Bench, Stop, chain};
use super::tool::{self, Call};
use crate::sandbox::Pod;
use contract::image::ImageRef;
use contract::protocol::{Outcome, Tool, ToolEnd};
use std::collections::BTreeMap;
use std::path::Path;

/// Dockerfiles of one commit that are looked at; more would not fit into one command.
const DOCKERFILES_MAX: usize = 500;
/// Files at the top of a source by which a commit could tell an analyser to look away; further down no
/// analyser reads them.
const OWN_SETTINGS: [&str; 4] = [
    ".gitleaks.toml",
    ".gitleaksignore",
    ".hadolint.yaml",
    ".hadolint.yml",
];
/// Where they are put instead: looked at as any file, read as settings by nobody.
const SETTINGS_FOLDER: &str = ".settings-of-analysers";
/// What an analyser that had nothing to look at would say.
const NOTHING_SARIF: &str = r#"{"version":"2.1.0","$schema":"https://json.schemastore.org/sarif-2.1.0.json","runs":[{"tool":{"driver":{"name":"NAME"}},"results":[]}]}"#;

pub(super) async fn analyze(bench: &mut Bench<'_>, tools: &[Tool]) -> Result<Outcome, Stop> {
    bench.log.section("Prepare");
    let images: Vec<&ImageRef> = tools.iter().map(|tool| &tool.image).collect();
    let (pod, archive) = bench.pod_and_source(&[], &images).await?;
    let without = bench.folder.join("analysed.tar");
    let dockerfiles = {
        let (archive, without) = (archive.clone(), without.clone());
        tokio::task::spawn_blocking(move || prepare(&archive, &without))
            .await
            .map_err(|error| Stop::Infrastructure(error.to_string()))??
    };
    pod.put_file(&without).await?;
    for tool in tools {
        one(bench, &pod, tool, &dockerfiles).await?;
    }
    Ok(judge(&bench.claims.tools))
}

/// Whether every tool did its work; what it found is judged elsewhere.
pub(super) fn judge(tools: &[ToolEnd]) -> Outcome {
    let problem = tools
        .iter()
        .find_map(|end| end.problem.as_ref().map(|problem| (end, problem)));
    match problem {
        None => Outcome::Passed,
        Some((end, problem)) => Outcome::Failed {
            reason: format!("{}: {problem}", end.name),
            exit_code: end.exit_code,
        },
    }
}

async fn one(
    bench: &mut Bench<'_>,
    pod: &Pod,
    tool: &Tool,
    dockerfiles: &[String],
) -> Result<(), Stop> {
    let artifact = format!("sarif/{}.sarif", tool.name);
    match tool.name.as_str() {
        "hadolint" if dockerfiles.is_empty() => {
            bench.log.section("hadolint");
            bench.log.line("the source holds no Dockerfile");
            let nothing = NOTHING_SARIF.replace("NAME", &tool.name);
            bench.upload(artifact, nothing.into_bytes()).await?;
            bench.claims.tools.push(ToolEnd {
                name: tool.name.clone(),
                exit_code: Some(0),
                problem: None,
            });
            Ok(())
        }
        "hadolint" => tool::run(bench, pod, tool, hadolint(artifact, dockerfiles)).await,
        "gitleaks" => tool::run(bench, pod, tool, gitleaks(artifact, "/work/src")).await,
        name => Err(Stop::Refused(format!(
            "this worker does not know the tool {name}: it knows hadolint and gitleaks"
        ))),
    }
}

fn hadolint(artifact: String, dockerfiles: &[String]) -> Call {
    let mut command: Vec<String> = [
        "/usr/bin/hadolint",
        "--no-color",
        "--disable-ignore-pragma",
        "--format",
        "sarif",
    ]
    .map(str::to_owned)
    .to_vec();
    command.push("--".to_owned());
    command.extend(dockerfiles.iter().map(|path| format!("/work/src/{path}")));
    Call {
        command,
        env: scratch(),
        good: &[0, 1],
        artifact,
    }
}

/// Gitleaks over a folder, with its own rules and no exceptions.
pub(super) fn gitleaks(artifact: String, folder: &str) -> Call {
    let command = [
        "/usr/bin/gitleaks",
        "dir",
        folder,
        "--no-banner",
        "--no-color",
        "--redact=100",
        "--ignore-gitleaks-allow",
        "--report-format",
        "sarif",
        "--report-path",
        "-",
        "--exit-code",
        "0",
    ];
    let mut env = scratch();
    env.insert(
        "GITLEAKS_CONFIG_TOML".to_owned(),
        "[extend]\nuseDefault = true\n".to_owned(),
    );
    Call {
        command: command.map(str::to_owned).to_vec(),
        env,
        good: &[0],
        artifact,
    }
}

/// Where a tool may write.
pub(super) fn scratch() -> BTreeMap<String, String> {
    ["HOME", "TMPDIR", "XDG_CACHE_HOME"]
        .map(|name| (name.to_owned(), "/scratch".to_owned()))
        .into()
}

/// Writes the source with the analysers' own settings where no analyser reads them, and lists its Dockerfiles.
fn prepare(archive: &Path, without: &Path) -> Result<Vec<String>, Stop> {
    let file = std::fs::File::create(without).map_err(ArchiveError::Read)?;
    let mut out = tar::Builder::new(std::io::BufWriter::new(file));
    let mut dockerfiles = Vec::new();
    archive::each_file_of::<Stop>(archive, u64::MAX, |entry| {
        let name = entry.path.rsplit('/').next().unwrap_or_default();
        if is_dockerfile(name) {
            dockerfiles.push(entry.path.clone());
        }
        let path = if OWN_SETTINGS.contains(&entry.path.as_str()) {
            format!("{SETTINGS_FOLDER}/{name}")
        } else {
            entry.path.clone()
        };
        archive::append(&mut out, &path, entry.mode, entry.bytes, entry.content)?;
        Ok(())
    })?;
    out.into_inner()
        .and_then(|mut inner| std::io::Write::flush(&mut inner))
        .map_err(|error| Stop::Infrastructure(chain(&error)))?;
    if dockerfiles.len() > DOCKERFILES_MAX {
        return Err(Stop::Failed(format!(
            "the source holds more than {DOCKERFILES_MAX} Dockerfiles"
        )));
    }
    dockerfiles.sort();
    Ok(dockerfiles)
}

fn is_dockerfile(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name == "dockerfile"
        || name == "containerfile"
        || (name.starts_with("dockerfile.") && name != "dockerfile.dockerignore")
        || name.ends_with(".dockerfile")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockerfiles_are_known_by_their_names() {
        for yes in ["Dockerfile", "api.Dockerfile", "Dockerfile.dev"] {
            assert!(is_dockerfile(yes), "{yes}");
        }
        for no in ["Dockerfile.dockerignore", "dockerfiles.md", "x"] {
            assert!(!is_dockerfile(no), "{no}");
        }
    }

    /// A key in such a file is a key.
    #[test]
    fn what_could_tell_an_analyser_to_look_away_is_looked_at_itself() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a.tar"), folder.path().join("b.tar"));
        let mut tar = tar::Builder::new(std::fs::File::create(&from).unwrap());
        for path in [".gitleaksignore", "docs/.gitleaksignore", "api/Dockerfile"] {
            let mut header = tar::Header::new_gnu();
            header.set_size(3);
            header.set_mode(0o600);
            tar.append_data(&mut header, path, &b"key"[..]).unwrap();
        }
        tar.into_inner().unwrap();
        assert_eq!(prepare(&from, &to).unwrap(), ["api/Dockerfile"]);
        let mut archive = tar::Archive::new(std::fs::File::open(&to).unwrap());
        let paths = archive.entries().unwrap();
        let paths = paths.map(|entry| entry.unwrap().path().unwrap().display().to_string());
        assert_eq!(
            paths.collect::<Vec<_>>(),
            [
                ".settings-of-analysers/.gitleaksignore",
                "docs/.gitleaksignore",
                "api/Dockerfile"
            ]
        );
    }

    #[test]
    fn one_tool_that_did_not_do_its_work_fails_the_step() {
        let good = ToolEnd {
            name: "hadolint".to_owned(),
            exit_code: Some(1),
            problem: None,
        };
        let bad = ToolEnd {
            name: "gitleaks".to_owned(),
            exit_code: None,
            problem: Some("out of memory".to_owned()),
        };
        assert_eq!(judge(std::slice::from_ref(&good)), Outcome::Passed);
        assert!(matches!(judge(&[good, bad]), Outcome::Failed { .. }));
    }
}
