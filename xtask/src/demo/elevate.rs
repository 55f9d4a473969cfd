//! What needs root when another user starts the demo: the engine's process and taking away what it left, and
//! nothing else.

use super::program::command;
use super::start::Demo;
use crate::needs::Missing;
use crate::program::{self, is_root};
use anyhow::{Context as _, Result};
use std::io::IsTerminal as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// sudo forgets after five minutes or more; a first demo may build for longer before it starts the engine.
const REMIND: Duration = Duration::from_secs(60);

/// Holds the engine as long as its standard input is open: this user may not send signals to root's process, and
/// a demo that is killed closes it too.
const HELD: &str = r#""$0" engine --config "$1" & read -r _; kill -TERM $!; wait $!"#;

/// Makes sure, before anything is built, that the engine can be started.
pub(crate) fn ensure() -> Result<()> {
    if is_root() {
        return Ok(());
    }
    if program::find("sudo").is_none() {
        return Err(Missing::run("su --command 'cargo demo'").into());
    }
    let mut ask = sudo();
    println!("The worker's engine makes namespaces, so its process runs as root: asking sudo.");
    let agreed = ask.arg("--validate").status().context("start sudo")?;
    if !agreed.success() {
        return Err(Missing::run("sudo --validate && cargo demo").into());
    }
    subordinate_ids()?;
    std::thread::spawn(|| {
        while program::succeeds("sudo", ["--non-interactive", "--validate"]) {
            std::thread::sleep(REMIND);
        }
    });
    Ok(())
}

/// sudo, which asks nothing where nobody could answer.
pub(super) fn sudo() -> Command {
    let mut command = Command::new("sudo");
    if !std::io::stdin().is_terminal() {
        command.arg("--non-interactive");
    }
    command
}

/// Without numbers of its own a plain user cannot make the base images' file systems.
fn subordinate_ids() -> Result<()> {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid())?.context("who this user is")?;
    let numbers = std::fs::read_to_string("/etc/subuid").unwrap_or_default();
    let own = [format!("{}:", user.name), format!("{}:", user.uid)];
    let has = |line: &str| own.iter().any(|start| line.starts_with(start.as_str()));
    if numbers.lines().any(has) {
        return Ok(());
    }
    let range = "1000000-1065535";
    Err(Missing::run(&format!(
        "sudo usermod --add-subuids {range} --add-subgids {range} {}",
        user.name
    ))
    .into())
}

/// Starts the engine's process as root.
pub(crate) fn start_engine(demo: &mut Demo, program: &Path, config: &Path) -> Result<()> {
    if is_root() {
        let mut engine = command(&demo.ledger, None, program);
        engine.arg("engine").arg("--config").arg(config);
        return demo.programs.start(&mut demo.ledger, "engine", engine);
    }
    let mut engine = Command::new("sudo");
    engine
        .args(["--non-interactive", "--", "sh", "-c", HELD])
        .arg(program)
        .arg(config)
        .current_dir("/");
    demo.programs.start_held(&mut demo.ledger, "engine", engine)
}
