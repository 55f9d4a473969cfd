//! Tries every rule of the sandbox from inside a container like those of steps.

use super::pod::{Pod, PodSpec, create};
use super::state::{Container, SandboxError, Sink, WorkArea};
use super::{container::Running, policy};
use crate::engine::{Engine, LEASE_LABEL, OWN_LABEL};
use bollard::models::ContainerCreateBody;
use contract::digest::Digest;
use contract::image::{ImageRef, Repository};
use contract::protocol::{Isolation, Resources, RuleResult};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

/// What the pod's program tries; a rule that it does not mention is not held.
const RULES: [&str; 11] = [
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
];
const STEP_ID: &str = "selftest";

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
    let printed = tried(engine, |_| {}).await;
    // What the self-test made goes whatever it saw.
    engine.sweep_lease(STEP_ID, 0).await?;
    Ok(Isolation {
        level: engine.level().await?,
        rules: results(&printed?),
    })
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
    change: impl FnOnce(&mut ContainerCreateBody),
) -> Result<String, SandboxError> {
    let resources = Resources {
        cpu_milli: 1000,
        memory_bytes: 256 * 1024 * 1024,
        pids: 64,
        work_bytes: 16 * 1024 * 1024,
    };
    let spec = PodSpec {
        step_id: STEP_ID.to_owned(),
        fence: 0,
        hosts: Vec::new(),
        resources: resources.clone(),
    };
    let pod = Pod::create(engine, spec).await?;
    let labels = HashMap::from([
        (OWN_LABEL.to_owned(), engine.name().to_owned()),
        (LEASE_LABEL.to_owned(), format!("{STEP_ID}/0")),
    ]);
    let wish = Container {
        image: placeholder()?,
        command: vec!["/sallyport-pod".to_owned(), "rules".to_owned()],
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        writable: Vec::new(),
        work: WorkArea::Writable,
    };
    let mut body = policy::container(&wish, pod.holder(), pod.volume(), &[], &resources, &labels)?;
    // The pod's program has no registry and no digest there: it came with the worker.
    body.image = Some(engine.pod_image().await?);
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
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_nothing_was_said_about_is_not_held() {
        let results = results("seccomp held mode 2\nno-network broken 1 routes\n");
        let of = |name: &str| results.iter().find(|r| r.rule == name).unwrap().held;
        assert!(of("seccomp"));
        assert!(!of("no-network"));
        assert!(!of("not-root"));
        let isolation = Isolation {
            level: "x".to_owned(),
            rules: results.clone(),
        };
        assert!(broken(&isolation).is_some());
    }

    type Change = fn(&mut ContainerCreateBody);

    fn host(body: &mut ContainerCreateBody) -> &mut bollard::models::HostConfig {
        body.host_config.as_mut().unwrap()
    }

    fn as_root(body: &mut ContainerCreateBody) {
        body.user = Some("0:0".to_owned());
    }

    /// Each rule with the change that takes it away.
    const TAKEN_AWAY: [(&str, Change); 9] = [
        ("no-capabilities", |body| host(body).cap_drop = None),
        ("no-new-privileges", |body| host(body).security_opt = None),
        ("seccomp", |body| {
            host(body).security_opt = Some(vec!["seccomp=unconfined".to_owned()]);
        }),
        ("not-root", as_root),
        ("read-only-root", |body| {
            host(body).readonly_rootfs = Some(false);
        }),
        ("sysctl-read-only", |body| {
            host(body).readonly_paths = Some(Vec::new());
        }),
        ("tmp-noexec", |body| {
            let tmp = "rw,exec,size=16777216,uid=65532,gid=65532,mode=0755".to_owned();
            host(body).tmpfs = Some(HashMap::from([("/tmp".to_owned(), tmp)]));
        }),
        ("proc-masked", |body| {
            host(body).masked_paths = Some(Vec::new());
        }),
        ("process-limit", |body| host(body).pids_limit = None),
    ];

    /// Needs an engine: `SALLYPORT_TEST_ENGINE=<socket>`, its own where user namespaces are meant.
    #[tokio::test]
    #[ignore = "needs a container engine, named by SALLYPORT_TEST_ENGINE"]
    async fn each_rule_holds_and_its_try_succeeds_when_it_is_taken_away() {
        let socket = std::env::var("SALLYPORT_TEST_ENGINE").unwrap();
        let config = crate::engine::Config {
            socket: socket.into(),
        };
        let engine = Engine::connect(&config, "rules-test").await.unwrap();
        let whole = selftest(&engine).await.unwrap();
        assert!(broken(&whole).is_none(), "{whole:?}");
        for (rule, change) in TAKEN_AWAY {
            let printed = tried(&engine, change).await;
            engine.sweep().await.unwrap();
            let results = results(&printed.unwrap());
            let seen = results.iter().find(|result| result.rule == rule).unwrap();
            assert!(!seen.held, "{rule} was taken away: {}", seen.seen);
        }
    }
}
