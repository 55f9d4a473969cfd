//! The command itself.

use super::{deliveries, demo, memory, steps};
use crate::demo::{House, Houses, Running, Sample};
use crate::needs;
use anyhow::Result;

/// What may be measured.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Resident memory after a minute with nothing to do.
    Memory,
    /// From a delivery to a step's first byte, and what a step costs.
    Steps,
    /// Accepted deliveries a second.
    Deliveries,
    /// `cargo demo --check` twice, the first time with an empty cache.
    Demo,
}

/// What `cargo bench-…` may be told.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// What to measure, in one house, in this order.
    #[arg(required = true)]
    what: Vec<What>,
}

/// Measures.
pub(crate) fn run(options: &Options) -> Result<()> {
    needs::ensure(&[needs::DEMO], false)?;
    if options.what.contains(&What::Demo) {
        demo::measure()?;
    }
    let in_house: Vec<What> = options
        .what
        .iter()
        .copied()
        .filter(|what| *what != What::Demo)
        .collect();
    if in_house.is_empty() {
        return Ok(());
    }
    Houses::for_release()?.raised(|demo, house, sample| {
        in_house
            .iter()
            .try_for_each(|what| measure(*what, demo, house, sample))
    })
}

fn measure(what: What, demo: &mut Running, house: &House, sample: &Sample) -> Result<()> {
    match what {
        What::Memory => memory::measure(demo),
        What::Steps => steps::measure(demo, house, sample),
        What::Deliveries => deliveries::measure(demo, house, sample),
        What::Demo => Ok(()),
    }
}
