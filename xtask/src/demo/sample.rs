//! The sample repository: the template beside this crate, filled in and pushed as its developer pushes.

use super::place::{Account, Place, give};
use crate::images::{Built, Lock, download};
use crate::program;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Who writes the sample's commits; the demo makes a person with this address.
pub(crate) const DEVELOPER: (&str, &str) = ("Dana Dev", "dana@shop.example");

/// What [`Sample::stocktaking`] counts.
const STOCKTAKING: &str = r#""""Counts the stock, one article after the other."""

import time

for number in range(1, 101):
    print(f"counted article {number} of 100", flush=True)
    time.sleep(0.12)
"#;

/// What stands in for a value in the template.
pub(crate) struct Filling {
    pub(crate) registry: String,
    pub(crate) python: String,
    pub(crate) python_dev: String,
    pub(crate) repository: String,
}

impl Filling {
    pub(crate) fn new(registry: &str, images: &[Built], repository: &Path) -> Result<Self> {
        let reference = |name: &str| {
            let image = images.iter().find(|image| image.name == name);
            image
                .map(|image| format!("{registry}/{name}@{}", image.digest))
                .with_context(|| format!("there is no image {name}"))
        };
        Ok(Self {
            registry: registry.to_owned(),
            python: reference("base/python")?,
            python_dev: reference("base/python-dev")?,
            repository: repository.display().to_string(),
        })
    }

    /// Puts the values where the template has their names.
    pub(crate) fn fill(&self, text: &str) -> String {
        text.replace("@PYTHON_DEV@", &self.python_dev)
            .replace("@PYTHON@", &self.python)
            .replace("@REGISTRY@", &self.registry)
            .replace("@REPOSITORY@", &self.repository)
    }

    /// The project's settings.
    pub(crate) fn settings(&self) -> Result<String> {
        Ok(self.fill(&std::fs::read_to_string(
            template().join("demo-settings.yml"),
        )?))
    }
}

/// A bare repository and its developer's clone.
pub(crate) struct Sample {
    pub(crate) bare: PathBuf,
    clone: PathBuf,
    wheels: PathBuf,
    lock: Lock,
}

impl Sample {
    /// Makes the bare repository and an empty clone.
    pub(crate) fn make(place: &Place, wheels: &Path) -> Result<Self> {
        // The server's account reads the repository that another account owns.
        let home = place.folder("git", Some(Account::Developer), 0o755)?;
        let sample = Self {
            bare: home.join("shop.git"),
            clone: home.join("shop"),
            wheels: wheels.to_owned(),
            lock: Lock::read()?,
        };
        program::quiet(
            git(&home)
                .args(["init", "--quiet", "--bare", "--initial-branch=main"])
                .arg(&sample.bare),
        )?;
        program::quiet(
            git(&home)
                .args(["init", "--quiet", "--initial-branch=main"])
                .arg(&sample.clone),
        )?;
        sample.git(&[
            "remote",
            "add",
            "origin",
            &sample.bare.display().to_string(),
        ])?;
        sample.git(&["config", "user.name", DEVELOPER.0])?;
        sample.git(&["config", "user.email", DEVELOPER.1])?;
        Ok(sample)
    }

    /// The first commit: the service as it should be.
    pub(crate) fn first_commit(&self, filling: &Filling) -> Result<()> {
        copy_filled(&template().join("demo-repo"), &self.clone, filling)?;
        self.vendor(
            &self
                .lock
                .of("sample")
                .map(|wheel| wheel.package.clone())
                .collect::<Vec<_>>(),
            "sample",
        )?;
        self.commit("Sell lamps, chairs and tables")
    }

    /// A commit after which a step prints for some seconds, line by line, so that somebody can watch it.
    pub(crate) fn stocktaking(&self) -> Result<()> {
        std::fs::write(self.clone.join("shop/stocktaking.py"), STOCKTAKING)?;
        let pipeline = self.clone.join(".sallyport.yml");
        let text = std::fs::read_to_string(&pipeline)?;
        let tests = "        python3 -m pytest tests/unit";
        let counted = text.replacen(
            tests,
            &format!("        python3 shop/stocktaking.py\n{tests}"),
            1,
        );
        anyhow::ensure!(counted != text, "the sample's pipeline runs its unit tests");
        std::fs::write(pipeline, counted)?;
        self.commit("Count the stock before the tests")
    }

    /// A commit with another pipeline that no hook tells of: the commit before and the new one.
    pub(crate) fn commit_unheard(&self, pipeline: &str) -> Result<(String, String)> {
        let before = self.head()?;
        std::fs::write(self.clone.join(".sallyport.yml"), pipeline)?;
        give_all(&self.clone)?;
        self.git(&["add", "--all"])?;
        // The same pipeline twice is two commits all the same.
        self.git(&["commit", "--quiet", "--allow-empty", "--message", "Measure"])?;
        // What fetches runs no post-receive hook.
        let (bare, clone) = (
            self.bare.display().to_string(),
            self.clone.display().to_string(),
        );
        self.git(&["--git-dir", &bare, "fetch", "--quiet", &clone, "main:main"])?;
        Ok((before, self.head()?))
    }

    /// A commit that takes an old package with a known hole.
    pub(crate) fn outdated_package(&self) -> Result<()> {
        let outdated: Vec<String> = self
            .lock
            .of("sample-outdated")
            .map(|wheel| wheel.package.clone())
            .collect();
        self.vendor(&outdated, "sample-outdated")?;
        self.commit("Go back to the waitress we know")
    }

    /// A commit with a key in it, made up now so that none stands in this repository.
    pub(crate) fn leaked_key(&self) -> Result<()> {
        let mut random = [0_u8; 64];
        std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom")?, &mut random)?;
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let letters = random
            .iter()
            .map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()]));
        let token: String = letters.take(36).collect();
        std::fs::create_dir_all(self.clone.join("deploy"))?;
        std::fs::write(
            self.clone.join("deploy/token.env"),
            format!("GITHUB_TOKEN=ghp_{token}\n"),
        )?;
        self.commit("Deploy from the laptop")
    }

    /// Pushes, as a developer's `git push` does; the words of the hook come back.
    pub(crate) fn push(&self) -> Result<String> {
        self.git(&["push", "--quiet", "origin", "main"])
    }

    /// The commit that was pushed last.
    pub(crate) fn head(&self) -> Result<String> {
        Ok(self.git(&["rev-parse", "HEAD"])?.trim().to_owned())
    }

    /// Puts exactly one file a package into `vendor/` and pins the files by hash.
    fn vendor(&self, packages: &[String], purpose: &str) -> Result<()> {
        let folder = self.clone.join("vendor");
        std::fs::create_dir_all(&folder)?;
        let mut pins = Vec::new();
        for wheel in self
            .lock
            .of("sample")
            .chain(self.lock.of("sample-outdated"))
        {
            let is_other = packages.contains(&wheel.package) && wheel.purpose != purpose;
            let is_unwanted = !packages.contains(&wheel.package) && wheel.purpose != "sample";
            if is_other || is_unwanted {
                std::fs::remove_file(folder.join(&wheel.file)).ok();
                continue;
            }
            std::fs::copy(download(wheel, &self.wheels)?, folder.join(&wheel.file))?;
            pins.push(format!(
                "{}=={} --hash=sha256:{}\n",
                wheel.package, wheel.version, wheel.sha256
            ));
        }
        pins.sort();
        std::fs::write(self.clone.join("requirements.txt"), pins.concat())?;
        Ok(())
    }

    fn commit(&self, message: &str) -> Result<()> {
        give_all(&self.clone)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", message])?;
        Ok(())
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        program::quiet(git(&self.clone).args(arguments))
    }
}

/// git as the developer's account, with no configuration of this machine.
fn git(folder: &Path) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new("git");
    if program::is_root() {
        command
            .uid(Account::Developer.id())
            .gid(Account::Developer.id());
    }
    command
        .current_dir(folder)
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("HOME", folder);
    command
}

fn template() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The folder with the demo's advisories.
pub(crate) fn advisories() -> PathBuf {
    template().join("demo-advisories")
}

fn copy_filled(from: &Path, to: &Path, filling: &Filling) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("list {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_filled(&entry.path(), &target, filling)?;
        } else {
            std::fs::write(
                target,
                filling.fill(&std::fs::read_to_string(entry.path())?),
            )?;
        }
    }
    Ok(())
}

fn give_all(folder: &Path) -> Result<()> {
    give(folder, Account::Developer)?;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            give_all(&entry.path())?;
        } else {
            give(&entry.path(), Account::Developer)?;
        }
    }
    Ok(())
}
