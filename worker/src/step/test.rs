//! A `test` step: the built image itself, started as it would be in earnest, its services, and a
//! probe against it. They meet on loopback and nothing else exists there.

use super::bench::{Bench, Stop, outcome, why};
use super::{keep, run};
use crate::sandbox::{Container, Pod, Running, STEP_USER, Sink, WorkArea};
use contract::image::ImageRef;
use contract::name::Name;
use contract::protocol::{Outcome, Ready, Service};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Readiness is asked this often.
const READY_EVERY: Duration = Duration::from_millis(100);
/// Of the image under test and of each service this much output is shown, the last of it.
const OUTPUT_BYTES_KEPT: usize = 1024 * 1024;

/// What is asked for.
pub(super) struct Wish {
    pub(super) image: ImageRef,
    pub(super) name: Name,
    pub(super) env: BTreeMap<String, String>,
    pub(super) ready: Ready,
    pub(super) services: Vec<Service>,
    pub(super) probe: ImageRef,
    pub(super) command: Vec<String>,
}

/// A container that runs beside the probe.
struct Beside {
    name: Name,
    running: Running,
    output: Arc<Mutex<Output>>,
}

/// The last that a container printed.
#[derive(Default)]
struct Output {
    kept: VecDeque<u8>,
    dropped: u64,
}

pub(super) async fn test(bench: &mut Bench<'_>, wish: &Wish) -> Result<Outcome, Stop> {
    bench.log.section("Prepare");
    let mut images = vec![&wish.image, &wish.probe];
    images.extend(wish.services.iter().map(|service| &service.image));
    let mut hosts = vec![wish.name.clone()];
    hosts.extend(wish.services.iter().map(|service| service.name.clone()));
    bench.borrow(&wish.image).await;
    let pod = bench.pod_with_source(&hosts, &images).await?;
    let mut beside = Vec::new();
    let ended = probe(bench, &pod, wish, &mut beside).await;
    let shown = show(bench, &mut beside).await;
    let ended = ended?;
    shown?;
    if let Outcome::Passed | Outcome::Failed { .. } = ended {
        keep::keep(bench, &pod).await?;
    }
    Ok(ended)
}

async fn probe(
    bench: &mut Bench<'_>,
    pod: &Pod,
    wish: &Wish,
    beside: &mut Vec<Beside>,
) -> Result<Outcome, Stop> {
    for service in &wish.services {
        bench.log.section(&format!("Start {}", service.name));
        let config = bench.engine.image_start(&service.image).await?;
        let mut env = config.env;
        env.extend(service.env.clone());
        let container = Container {
            image: service.image.clone(),
            command: config.command,
            env,
            workdir: config.workdir,
            user: Some(service.user),
            writable: service.writable.clone(),
            work: WorkArea::None,
        };
        beside.push(start(bench, pod, &service.name, container).await?);
        if let Some(failed) = ready(bench, pod, beside, &service.ready).await? {
            return Ok(failed);
        }
    }
    bench.log.section(&format!("Start {}", wish.name));
    let config = bench.engine.image_start(&wish.image).await?;
    if let Some(note) = as_another(config.user, &config.user_text) {
        bench.log.line(&note);
    }
    let mut env = config.env;
    env.extend(wish.env.clone());
    let container = Container {
        image: wish.image.clone(),
        command: config.command,
        env,
        workdir: config.workdir,
        user: config.user,
        writable: Vec::new(),
        work: WorkArea::None,
    };
    beside.push(start(bench, pod, &wish.name, container).await?);
    if let Some(failed) = ready(bench, pod, beside, &wish.ready).await? {
        return Ok(failed);
    }
    bench.log.section(&run::title(&wish.command));
    bench.lease.phase("testing");
    let container = Container {
        image: wish.probe.clone(),
        command: wish.command.clone(),
        env: bench.environment(),
        workdir: "/work/src".to_owned(),
        user: None,
        writable: Vec::new(),
        work: WorkArea::Writable,
    };
    let sink = bench.into_log();
    let ended = bench.run(pod, container, sink).await?;
    bench.log.line(&format!("ended: {}", why(&ended)));
    Ok(outcome(&ended))
}

/// What is said when the image does not run as the user that it names: an image's own word about names is
/// not believed, and nothing runs as root.
fn as_another(user: Option<u32>, text: &str) -> Option<String> {
    let why = match (user, text) {
        (Some(_), _) => return None,
        (None, "") => "the image names none".to_owned(),
        (None, text) => {
            format!("the image's USER is `{text}`, and only a number other than 0 is taken")
        }
    };
    Some(format!("runs as user {STEP_USER}: {why}"))
}

async fn start(
    bench: &mut Bench<'_>,
    pod: &Pod,
    name: &Name,
    container: Container,
) -> Result<Beside, Stop> {
    if container.command.is_empty() {
        return Err(Stop::Failed(format!(
            "the image of {name} says nothing to start: it has neither ENTRYPOINT nor CMD"
        )));
    }
    bench.log.line(&container.command.join(" "));
    let output = Arc::new(Mutex::new(Output::default()));
    let sink = last_of(output.clone());
    let running = bench.start(pod, container, sink).await?;
    Ok(Beside {
        name: name.clone(),
        running,
        output,
    })
}

/// Waits until the newest container is ready; else says how the step ends.
async fn ready(
    bench: &Bench<'_>,
    pod: &Pod,
    beside: &mut [Beside],
    ready: &Ready,
) -> Result<Option<Outcome>, Stop> {
    bench.lease.phase("waiting for readiness");
    let Some(newest) = beside.last_mut() else {
        return Ok(None);
    };
    let began = Instant::now();
    let within = Duration::from_millis(ready.within_ms);
    let failed = |reason: String, exit_code| {
        bench.log.line(&reason);
        Ok(Some(Outcome::Failed { reason, exit_code }))
    };
    let asking = pod.until_ready(&ready.probe, READY_EVERY);
    tokio::select! {
        () = bench.lease.work().cancelled() => Err(Stop::Ended),
        ended = newest.running.wait() => {
            let ended = ended?;
            failed(
                format!("{} ended before it was ready: {}", newest.name, why(&ended)),
                ended.exit_code,
            )
        }
        () = tokio::time::sleep(within) => failed(
            format!("{} was not ready within {} ms", newest.name, ready.within_ms),
            None,
        ),
        asked = asking => {
            asked?;
            let took = began.elapsed().as_millis();
            bench.log.line(&format!("{} is ready after {took} ms", newest.name));
            Ok(None)
        }
    }
}

/// Ends what runs beside and appends what it printed, each in a section of its own. Output that was cut
/// off is an error, for it might have said something else.
async fn show(bench: &Bench<'_>, beside: &mut [Beside]) -> Result<(), Stop> {
    let mut first_error = Ok(());
    for one in beside.iter_mut().rev() {
        if let Err(error) = one.running.end().await {
            bench.log.line(&super::bench::chain(&error));
            first_error = first_error.and(Err(error.into()));
        }
    }
    for one in beside {
        bench.log.section(&format!("Output of {}", one.name));
        let output =
            std::mem::take(&mut *one.output.lock().unwrap_or_else(PoisonError::into_inner));
        if output.dropped > 0 {
            let before = output.dropped;
            bench
                .log
                .line(&format!("… {before} bytes were printed before this"));
        }
        let mut stream = bench.log.stream();
        stream.write(&Vec::from(output.kept));
    }
    first_error
}

/// Keeps the last of what is printed.
fn last_of(output: Arc<Mutex<Output>>) -> Sink {
    Box::new(move |_, bytes| {
        let mut output = output.lock().unwrap_or_else(PoisonError::into_inner);
        output.kept.extend(bytes);
        let over = output.kept.len().saturating_sub(OUTPUT_BYTES_KEPT);
        output.kept.drain(..over);
        output.dropped += over as u64;
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_does_not_run_as_the_user_it_names_hears_why() {
        assert_eq!(as_another(Some(10_001), "10001"), None);
        let note = |text| as_another(None, text).unwrap();
        assert_eq!(note(""), "runs as user 65532: the image names none");
        for text in ["app", "root", "0:0"] {
            let wanted = format!("runs as user 65532: the image's USER is `{text}`, and only");
            assert!(note(text).starts_with(&wanted), "{}", note(text));
        }
    }
}
