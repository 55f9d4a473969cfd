//! The command itself.

use super::check::check;
use super::house::House;
use super::place::kept;
use super::sample::Sample;
use super::start::Demo;
use super::watch::{self, Follower};
use super::{browser, clean, elevate, times};
use crate::interrupt::Interrupted;
use crate::postgres::free_port;
use crate::{needs, program};
use anyhow::{Result, ensure};
use std::io::IsTerminal as _;
use std::path::Path;
use std::time::{Duration, Instant};

/// How often it is looked what people have done.
const LOOK: Duration = Duration::from_millis(500);

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
    elevate::ensure()?;
    // From the moment at which cargo began, so that what it had to build counts too.
    let now = Instant::now();
    let began = now.checked_sub(program::age()?).unwrap_or(now);
    if options.check || !std::io::stdin().is_terminal() {
        return Houses::new(free_port()?, began)
            .raised(|demo, house, sample| check(demo, house, sample, false));
    }
    Houses::new(page_port()?, began).raised(|demo, house, _| wait_for_people(demo, house))
}

/// `cargo demo --check` and the browser story in one house.
pub(crate) fn check_in_browser() -> Result<()> {
    Houses::new(free_port()?, Instant::now())
        .raised(|demo, house, sample| check(demo, house, sample, true))
}

/// The browser story alone, with pictures taken on the way.
pub(crate) fn pictures(folder: &Path) -> Result<()> {
    Houses::new(free_port()?, Instant::now())
        .raised(|demo, house, sample| browser::story(demo, house, sample, Some(folder)))
}

/// How a house is brought up.
pub(crate) struct Houses {
    port: u16,
    began: Instant,
    /// Cargo's profile.
    profile: &'static str,
}

impl Houses {
    fn new(port: u16, began: Instant) -> Self {
        Self {
            port,
            began,
            profile: "dev",
        }
    }

    /// One with free ports and the programs as they are released.
    pub(crate) fn for_release() -> Result<Self> {
        Ok(Self {
            port: free_port()?,
            began: Instant::now(),
            profile: "release",
        })
    }

    /// Brings it up with the sample's first push in staging, does something in it, and takes it away.
    pub(crate) fn raised(
        self,
        then: impl FnOnce(&mut Demo, &House, &Sample) -> Result<()>,
    ) -> Result<()> {
        let mut demo = Demo::begin(self.port, self.began)?;
        let outcome = first_push(&mut demo, self.profile)
            .and_then(|(house, sample)| then(&mut demo, &house, &sample));
        let ended = demo.end();
        outcome.and(ended)
    }
}

fn first_push(demo: &mut Demo, profile: &str) -> Result<(House, Sample)> {
    demo.build_programs(profile)?;
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
    times::tell(demo, "ready")?;
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
    let mut follower = Follower::from_here(house)?;
    loop {
        match demo.programs.all_live() {
            Ok(()) => follower.look(demo, house)?,
            // The person has seen enough: this is how it is meant to end.
            Err(error) if error.is::<Interrupted>() => return Ok(()),
            Err(error) => return Err(error),
        }
        std::thread::sleep(LOOK);
    }
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
