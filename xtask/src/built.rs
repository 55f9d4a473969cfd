//! One build of the whole workspace: where its programs lie, and its tests' programs by name, so that a stage runs
//! exactly those that it means without another build that selects other features.

use crate::{ci, program};
use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The programs that are built.
const PROGRAMS: &[&str] = &["sallyport", "sallyport-worker", "sallyport-pod"];

/// The programs of the workspace's tests.
pub(crate) struct Tests {
    found: Vec<Test>,
}

struct Test {
    package: PathBuf,
    target: String,
    executable: PathBuf,
}

impl Tests {
    /// Builds everything once: libraries, programs, and every test.
    pub(crate) fn build() -> Result<Self> {
        // The programs in `target` are those without kill points, whatever was built there before.
        program::shown(cargo().args(["build", "--quiet", "--workspace"]))?;
        let output = cargo()
            .args([
                "test",
                "--quiet",
                "--workspace",
                "--no-run",
                "--message-format=json-render-diagnostics",
            ])
            .stderr(Stdio::inherit())
            .output()
            .context("start cargo")?;
        ensure!(output.status.success(), "the tests do not build");
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(Self {
            found: text.lines().filter_map(test_of).collect(),
        })
    }

    /// The program of one package's tests (`target` is the library's or the file's name), run in the package's folder.
    pub(crate) fn command(&self, package: &str, target: &str) -> Result<Command> {
        let test = self
            .found
            .iter()
            .find(|test| test.package.ends_with(package) && test.target == target)
            .with_context(|| format!("{package} has no tests called {target}"))?;
        let mut command = Command::new(&test.executable);
        command.current_dir(&test.package);
        Ok(command)
    }
}

/// One line of cargo's messages, when it tells of a test's program.
fn test_of(line: &str) -> Option<Test> {
    let message: Value = serde_json::from_str(line).ok()?;
    let is_test = message["profile"]["test"].as_bool()?;
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some(Test {
        package: manifest.parent()?.to_owned(),
        target: message["target"]["name"].as_str()?.to_owned(),
        executable: message["executable"].as_str().filter(|_| is_test)?.into(),
    })
}

/// Builds the three programs as `profile` says (`dev`, `release`) and gives the folder they lie in.
pub(crate) fn programs(profile: &str) -> Result<PathBuf> {
    let mut build = cargo();
    build.args(["build", "--quiet", "--profile", profile]);
    // By program, not by package: see `.cargo/config.toml`.
    build.args(PROGRAMS.iter().flat_map(|name| ["--bin", name]));
    program::quiet(&mut build)?;
    Ok(target().join(if profile == "dev" { "debug" } else { profile }))
}

/// Copies the programs from where they were built.
pub(crate) fn copy_programs(from: &Path, to: &Path) -> Result<()> {
    for name in PROGRAMS {
        std::fs::copy(from.join(name), to.join(name))
            .with_context(|| format!("copy {}", from.join(name).display()))?;
    }
    Ok(())
}

/// Cargo's target folder.
pub(crate) fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| ci::repository().join("target"), PathBuf::from)
}

/// Cargo in the repository's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(ci::repository());
    command
}

#[cfg(test)]
mod tests {
    use super::test_of;

    #[test]
    fn only_a_tests_program_is_one() {
        let message = |test: bool| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/r/worker/Cargo.toml","target":{{"name":"worker"}},"profile":{{"test":{test}}},"executable":"/t/worker-1"}}"#
            )
        };
        let test = test_of(&message(true)).unwrap();
        assert_eq!(test.package, std::path::Path::new("/r/worker"));
        assert_eq!(test.target, "worker");
        assert!(test_of(&message(false)).is_none());
        assert!(test_of(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
