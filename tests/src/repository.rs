//! The bare repository of the stories, with the git program.

use anyhow::bail;
use std::path::Path;
use std::process::Command;

/// Makes an empty one.
pub fn make(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)?;
    git(path, &["init", "-q", "--bare", "-b", "main"])?;
    Ok(())
}

/// Commits these files, all in the root, onto main of a bare repository; the commit's id.
pub fn commit(repository: &Path, files: &[(&str, &str)]) -> anyhow::Result<String> {
    let mut tree = String::new();
    for (name, text) in files {
        let blob = stdin(repository, &["hash-object", "-w", "--stdin"], text)?;
        tree.push_str(&format!("100644 blob {blob}\t{name}\n"));
    }
    let tree = stdin(repository, &["mktree"], &tree)?;
    let mut args = vec!["commit-tree", &tree, "-m", "Sell more"];
    let tip = git(
        repository,
        &["rev-parse", "-q", "--verify", "refs/heads/main"],
    );
    if let Ok(tip) = &tip {
        args.extend(["-p", tip]);
    }
    let commit = git(repository, &args)?;
    git(repository, &["update-ref", "refs/heads/main", &commit])?;
    Ok(commit)
}

fn git(folder: &Path, args: &[&str]) -> anyhow::Result<String> {
    said(args, command(folder, args).output()?)
}

fn stdin(folder: &Path, args: &[&str], text: &str) -> anyhow::Result<String> {
    let file = folder.join("stdin.tmp");
    std::fs::write(&file, text)?;
    let output = command(folder, args)
        .stdin(std::fs::File::open(&file)?)
        .output()?;
    std::fs::remove_file(&file)?;
    said(args, output)
}

fn said(args: &[&str], output: std::process::Output) -> anyhow::Result<String> {
    if !output.status.success() {
        bail!("git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

fn command(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(args);
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Mara");
        command.env(format!("GIT_{role}_EMAIL"), "mara@shop.example");
    }
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    command
}
