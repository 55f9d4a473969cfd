//! Tries every rule of the sandbox from inside a container like those of steps.

use super::container::Running;
use super::pod::{Pod, PodSpec, create};
use super::policy::{self, Place};
use super::state::{Container, SandboxError, Sink, WorkArea};
use crate::engine::{Engine, PodName};
use bollard::models::ContainerCreateBody;
use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::protocol::{Isolation, Resources, RuleResult};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the pod's program tries; a rule that it does not mention is not held.
const RULES: [&str; 18] = [
    "no-capabilities",
    "no-new-privileges",
    "seccomp",
    "not-root",
    "read-only-root",
    "no-network",
    "host-unreachable",
    "tmp-noexec",
    "proc-masked",
    "sysctl-read-only",
    "process-limit",
    "no-engine-socket",
    USER_NAMESPACE,
    "open-files",
    "work-area-size",
    "volume-covered",
    "memory-limit",
    "cpu-limit",
];
/// Told apart: an engine that is not our own may have none, and its level says so.
const USER_NAMESPACE: &str = "user-namespace";
/// The image of the self-test declares this VOLUME.
const COVERED: &str = "/covered";
/// What the container that tries may use: each limit is one that it soon meets, also on a busy host.
const TRIED: Resources = Resources {
    cpu_milli: 200,
    memory_bytes: 64 << 20,
    pids: 64,
    work_bytes: 16 << 20,
};
/// What its pod may use: more, so that a rule that is taken away is missed; no more than the smallest engine
/// that is of use has.
const POD: Resources = Resources {
    cpu_milli: 1000,
    memory_bytes: 512 << 20,
    pids: 1024,
    work_bytes: 16 << 20,
};

/// A rule that does not hold: no step may be leased.
#[derive(Debug, thiserror::Error)]
#[error("the sandbox's rule {rule} does not hold: {seen}")]
pub struct RuleBroken {
    /// The rule.
    pub rule: String,
    /// What was seen.
    pub seen: String,
}

/// Tries the rules; every one is in the answer, held or not.
pub async fn selftest(engine: &Engine) -> Result<Isolation, SandboxError> {
    let name = engine.name_pod();
    let printed = tried(engine, &name, |_| {}).await;
    // What the self-test made goes whatever it saw.
    engine.sweep_pod(&name).await?;
    let level = engine.level().await?;
    let mut rules = results(&printed?);
    if !level.contains("-userns") && !level.contains("-rootless") {
        rules.retain(|rule| rule.rule != USER_NAMESPACE);
    }
    Ok(Isolation { level, rules })
}

/// The first rule that does not hold.
pub fn broken(isolation: &Isolation) -> Option<RuleBroken> {
    let rule = isolation.rules.iter().find(|rule| !rule.held)?;
    Some(RuleBroken {
        rule: rule.rule.clone(),
        seen: rule.seen.clone(),
    })
}

/// What the pod's program prints in a container of the profile, after `change`: tests take a rule
/// away and see its try succeed.
async fn tried(
    engine: &Engine,
    name: &PodName,
    change: impl FnOnce(&mut ContainerCreateBody),
) -> Result<String, SandboxError> {
    let spec = PodSpec {
        folder: "/work/src",
        hosts: Vec::new(),
        resources: POD,
    };
    let pod = Pod::create(engine, name.clone(), &spec).await?;
    let mib = |bytes: u64| (bytes >> 20).to_string();
    let wish = Container {
        image: placeholder()?,
        command: vec![
            "/sallyport-pod".to_owned(),
            "rules".to_owned(),
            mib(TRIED.memory_bytes),
            mib(TRIED.work_bytes),
            mib(TRIED.memory_bytes / 2),
        ],
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        writable: Vec::new(),
        work: WorkArea::Writable,
    };
    let place = Place {
        resources: &TRIED,
        ..pod.place()
    };
    let mut body = policy::container(&wish, &[COVERED.to_owned()], place)?;
    // The pod's program has no registry and no digest there: it came with the worker.
    body.image = Some(engine.selftest_image(COVERED).await?);
    change(&mut body);
    let printed = Arc::new(Mutex::new(Vec::new()));
    let sink: Sink = {
        let printed = printed.clone();
        Box::new(move |_, bytes| {
            let mut printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
            printed.extend_from_slice(bytes);
        })
    };
    let id = create(engine, body).await?;
    Running::start(engine, id, sink).await?.wait().await?;
    let printed = printed.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(String::from_utf8_lossy(&printed).into_owned())
}

fn placeholder() -> Result<ImageRef, SandboxError> {
    Ok(ImageRef {
        repository: Repository::parse("sallyport-pod.local/pod")
            .map_err(|error| SandboxError::NotAllowed(error.to_string()))?,
        digest: Digest::of(b""),
    })
}

fn results(printed: &str) -> Vec<RuleResult> {
    RULES
        .iter()
        .map(|rule| {
            let line = printed
                .lines()
                .find_map(|line| line.strip_prefix(rule)?.strip_prefix(' '));
            let (word, seen) = line
                .and_then(|line| line.split_once(' '))
                .unwrap_or(("silent", "the program said nothing about it"));
            RuleResult {
                rule: (*rule).to_owned(),
                held: word == "held",
                seen: seen.to_owned(),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
