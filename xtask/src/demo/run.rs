//! The command itself.

use super::house::House;
use super::place::kept;
use super::sample::Sample;
use super::start::Demo;
use super::{clean, watch};
use crate::needs;
use crate::postgres::free_port;
use anyhow::{Result, ensure};
use nix::sys::signal::{SigSet, Signal};
use std::io::IsTerminal as _;

/// The port of the address that the README names.
const PORT: u16 = 7420;

/// What `cargo demo` may be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Do everything with no person: request, approve, verify, try what must be refused; then end.
    #[arg(long)]
    check: bool,
    /// Take away what a killed demo left behind.
    #[arg(long, conflicts_with = "check")]
    clean: bool,
    /// Install what is missing without asking.
    #[arg(long)]
    install: bool,
}

/// Runs the demo.
pub(crate) fn run(options: &Options) -> Result<()> {
    if options.clean {
        return clean::clean(&kept()?);
    }
    needs::ensure(&[needs::DEMO], options.install)?;
    if options.check || !std::io::stdin().is_terminal() {
        return check();
    }
    raised(page_port()?, |demo, house, _| wait_for_people(demo, house))
}

/// `cargo demo --check`.
pub(crate) fn check() -> Result<()> {
    raised(free_port()?, super::check::check)
}

/// Brings a house up with the sample's first push in staging, does something in it, and takes it away.
fn raised(port: u16, then: impl FnOnce(&mut Demo, &House, &Sample) -> Result<()>) -> Result<()> {
    let mut demo = Demo::begin(port)?;
    let outcome =
        first_push(&mut demo).and_then(|(house, sample)| then(&mut demo, &house, &sample));
    let ended = demo.end();
    outcome.and(ended)
}

fn first_push(demo: &mut Demo) -> Result<(House, Sample)> {
    demo.build_programs()?;
    let blobs = demo.make_images()?;
    demo.fill_registry(&blobs)?;
    let (sample, filling) = demo.make_sample()?;
    let house = House::raise(demo, &sample, &filling)?;
    print!("{}", sample.push()?);
    demo.say(&format!("pushed {}", sample.head()?));
    let run = watch::run_to_end(demo, &house, 1)?;
    ensure!(
        run["cause"] == "passed",
        "the first run did not pass: {}",
        run["cause"]
    );
    watch::promotion(demo, &house, "dev", 0, &["applied"])?;
    watch::promotion(demo, &house, "staging", 0, &["applied"])?;
    Ok((house, sample))
}

/// Says where to go and who to be there, and stays until the person ends it.
fn wait_for_people(demo: &mut Demo, house: &House) -> Result<()> {
    let url = demo.url();
    println!("\nRun 1 is in staging. Now it is yours:");
    for (person, does) in [
        (&house.developer, "requests the promotion to prod"),
        (&house.manager, "approves it"),
        (&house.auditor, "looks at everything"),
    ] {
        println!("  {:8} {}   {does}", person.name, person.password);
    }
    println!(
        "  {url}/projects/shop/environments\n\nPush more from {}; Ctrl-C ends.",
        demo.place.root().join("git/shop").display()
    );
    let stopped = interrupted()?;
    while !stopped.is_finished() {
        demo.programs.all_live()?;
        std::thread::sleep(super::program::LOOK);
    }
    Ok(())
}

/// A thread that ends with Ctrl-C or SIGTERM. Only now: a program started before would have inherited
/// deaf ears.
fn interrupted() -> Result<std::thread::JoinHandle<()>> {
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGINT);
    signals.add(Signal::SIGTERM);
    signals.thread_block()?;
    Ok(std::thread::spawn(move || {
        let _signal = signals.wait();
    }))
}

/// 7420, or the first free port after it when the person agrees.
fn page_port() -> Result<u16> {
    let is_free = |port: u16| std::net::TcpListener::bind(("127.0.0.1", port)).is_ok();
    let Some(port) = (PORT..PORT + 100).find(|port| is_free(*port)) else {
        return free_port();
    };
    if port == PORT || needs::agreed(&format!("Port {PORT} is taken; use {port}?"))? {
        return Ok(port);
    }
    anyhow::bail!("port {PORT} is taken")
}
