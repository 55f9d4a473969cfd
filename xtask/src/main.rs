//! `cargo demo`, `cargo ci` and friends: the two commands that prove the whole on one machine.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a developer's tool on a terminal"
)]

use clap::{Parser, Subcommand};
use std::process::ExitCode;

mod bench;
mod ci;
mod demo;
mod registry;
mod built;
mod curl;
mod images;
mod interrupt;
mod needs;
mod pictures;
mod postgres;
mod program;
mod stages;
mod venv;

#[derive(Parser)]
#[command(
    name = "cargo",
    bin_name = "cargo",
    about = "What a developer runs in this repository"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Everything that has to hold before a change lands, one stage after the other.
    Ci(ci::Options),
    /// The same with every kill point on both databases.
    CiLong(ci::Options),
    /// The whole way on this machine: a push becomes an approved promotion.
    Demo(demo::Options),
    /// Makes the README's pictures anew, by the browser story.
    Pictures,
    /// Measures the whole on this machine and keeps the figures in docs/measured.
    Bench(bench::Options),
    /// Kills demos with SIGKILL, a few stages or all, and looks whether `cargo demo --clean` leaves nothing.
    DemoKills {
        /// In every stage.
        #[arg(long)]
        all: bool,
    },
    /// Makes the base and tool images in a cache folder and prints their digests.
    Images {
        /// The folder that keeps them.
        cache: std::path::PathBuf,
    },
}

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Ci(options) => ci::run(&options, ci::Sweep::Part),
        Command::CiLong(options) => ci::run(&options, ci::Sweep::Whole),
        Command::Demo(options) => demo::run(&options),
        Command::Pictures => pictures::make(),
        Command::Bench(options) => bench::run(&options),
        Command::DemoKills { all } => demo::kills(all),
        Command::Images { cache } => print_images(&cache),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            // 3 is "could not find out" (docs: exit codes); everything else is a plain no.
            let is_open = error.is::<needs::Missing>() || error.is::<stages::Incomplete>();
            ExitCode::from(if is_open { 3 } else { 1 })
        }
    }
}

fn print_images(cache: &std::path::Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(cache)?;
    let (images, _) = images::build_all(cache)?;
    for image in images {
        println!("{}@{}", image.name, image.digest);
    }
    Ok(())
}
