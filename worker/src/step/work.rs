//! Which kind of step does what.

use super::bench::{Bench, Stop};
use super::{analyze, build, run, scan, test};
use contract::protocol::{Outcome, Work};

/// Works on the job and says how it ended. What was made on the way stands in the bench's claims,
/// also when the step failed.
pub async fn work(bench: &mut Bench<'_>) -> Result<Outcome, Stop> {
    match bench.job.work.clone() {
        Work::Run { image, command } => run::run(bench, &image, &command).await,
        Work::Analyze { tools } => analyze::analyze(bench, &tools).await,
        Work::Build {
            dockerfile,
            context,
            repository,
            known_registries,
        } => {
            let wish = build::Wish {
                dockerfile,
                context,
                repository,
                known_registries,
            };
            build::build(bench, &wish).await
        }
        Work::Scan {
            image,
            sbom,
            secrets,
        } => scan::scan(bench, &image, &sbom, &secrets).await,
        Work::Test {
            image,
            name,
            env,
            ready,
            services,
            probe,
            command,
        } => {
            let wish = test::Wish {
                image,
                name,
                env,
                ready,
                services,
                probe,
                command,
            };
            test::test(bench, &wish).await
        }
        Work::Unsupported => Err(Stop::Refused(
            "this worker does not know this kind of step: update it".to_owned(),
        )),
    }
}
