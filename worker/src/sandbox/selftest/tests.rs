//! Every rule, held and taken away, in a real engine.

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

/// The pod has no network, and the engine's namespace leads nowhere either: a bridge leads at least there.
fn on_a_bridge(body: &mut ContainerCreateBody) {
    host(body).network_mode = Some(BRIDGE.to_owned());
}

const BRIDGE: &str = "rules-test";

async fn make_bridge(engine: &Engine) {
    let address = bollard::models::IpamConfig {
        subnet: Some("172.17.0.0/16".to_owned()),
        gateway: Some("172.17.0.1".to_owned()),
        ..Default::default()
    };
    let network = bollard::models::NetworkCreateRequest {
        name: BRIDGE.to_owned(),
        driver: Some("bridge".to_owned()),
        ipam: Some(bollard::models::Ipam {
            config: Some(vec![address]),
            ..Default::default()
        }),
        ..Default::default()
    };
    engine.docker().create_network(network).await.unwrap();
}

/// Each rule with the change that takes it away.
const TAKEN_AWAY: [(&str, Change); 18] = [
    ("no-capabilities", |body| host(body).cap_drop = None),
    ("no-new-privileges", |body| host(body).security_opt = None),
    ("seccomp", |body| {
        host(body).security_opt = Some(vec!["seccomp=unconfined".to_owned()]);
    }),
    ("not-root", as_root),
    ("read-only-root", |body| {
        // Root alone may write there.
        as_root(body);
        host(body).readonly_rootfs = Some(false);
    }),
    ("sysctl-read-only", |body| {
        host(body).readonly_paths = Some(Vec::new());
    }),
    ("tmp-noexec", |body| {
        let tmp = "rw,exec,size=16777216,uid=65532,gid=65532,mode=0755".to_owned();
        host(body)
            .tmpfs
            .as_mut()
            .unwrap()
            .insert("/tmp".to_owned(), tmp);
    }),
    ("proc-masked", |body| {
        host(body).masked_paths = Some(Vec::new());
    }),
    ("process-limit", |body| host(body).pids_limit = None),
    ("open-files", |body| {
        let many = bollard::models::ResourcesUlimits {
            name: Some("nofile".to_owned()),
            soft: Some(18_000),
            hard: Some(18_000),
        };
        host(body).ulimits = Some(vec![many]);
    }),
    ("work-area-size", |body| {
        host(body).mounts = None;
        let large = "rw,size=67108864,uid=65532,gid=65532,mode=0755".to_owned();
        let tmpfs = host(body).tmpfs.as_mut().unwrap();
        tmpfs.insert("/work".to_owned(), large);
    }),
    ("volume-covered", |body| {
        host(body).tmpfs.as_mut().unwrap().remove(COVERED);
    }),
    ("memory-limit", |body| {
        host(body).memory = None;
        host(body).memory_swap = None;
    }),
    ("cpu-limit", |body| host(body).nano_cpus = None),
    ("no-network", on_a_bridge),
    ("host-unreachable", on_a_bridge),
    ("no-engine-socket", |body| {
        let socket = std::env::var("SALLYPORT_TEST_ENGINE").unwrap();
        host(body).binds = Some(vec![format!("{socket}:/var/run/docker.sock")]);
    }),
    ("user-namespace", |body| {
        host(body).userns_mode = Some("host".to_owned());
    }),
];

/// Needs an engine: `SALLYPORT_TEST_ENGINE=<socket>`, its own where user namespaces are meant.
#[tokio::test]
#[ignore = "needs a container engine, named by SALLYPORT_TEST_ENGINE"]
async fn each_rule_holds_and_its_try_succeeds_when_it_is_taken_away() {
    let socket = std::env::var("SALLYPORT_TEST_ENGINE").unwrap();
    let config = crate::engine::Config::at(socket);
    let engine = Engine::connect(&config, "test", "rules-test")
        .await
        .unwrap();
    let whole = selftest(&engine).await.unwrap();
    assert!(broken(&whole).is_none(), "{whole:?}");
    make_bridge(&engine).await;
    let mut not_missed = Vec::new();
    for (rule, change) in TAKEN_AWAY {
        let printed = tried(&engine, &engine.name_pod(), change).await;
        engine.sweep().await.unwrap();
        let results = results(&printed.unwrap());
        let seen = results.iter().find(|result| result.rule == rule).unwrap();
        // The try itself succeeded; one that could not be made would say so. Only the host's root may write
        // a sysctl, so that one is refused in another way.
        let tried = rule == "sysctl-read-only" || !seen.seen.contains("could not be tried");
        if seen.held || !tried {
            not_missed.push(format!("{rule}: {}", seen.seen));
        }
    }
    engine.docker().remove_network(BRIDGE).await.unwrap();
    assert!(not_missed.is_empty(), "{not_missed:#?}");
}

/// Starts the pod's program in a pod, with the output that comes.
async fn starts(
    engine: &Engine,
    pod: &Pod,
    command: &[&str],
) -> (Running, Arc<tokio::sync::Notify>) {
    let printed = Arc::new(tokio::sync::Notify::new());
    let sink: Sink = {
        let printed = printed.clone();
        Box::new(move |_, _| printed.notify_one())
    };
    let wish = Container {
        image: placeholder().unwrap(),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        workdir: "/".to_owned(),
        user: None,
        writable: Vec::new(),
        work: WorkArea::None,
    };
    let mut body = policy::container(&wish, &[], pod.place()).unwrap();
    body.image = Some(engine.pod_image().await.unwrap());
    let id = create(engine, body).await.unwrap();
    let running = Running::start(engine, id, sink).await.unwrap();
    (running, printed)
}

#[tokio::test]
#[ignore = "needs the worker's own container engine, named by SALLYPORT_TEST_ENGINE"]
async fn containers_of_one_pod_share_the_memory_that_the_step_may_use() {
    let config = crate::engine::Config::at(std::env::var("SALLYPORT_TEST_ENGINE").unwrap());
    let engine = Engine::connect(&config, "test", "share-test")
        .await
        .unwrap();
    let spec = PodSpec {
        folder: "/work/src",
        hosts: Vec::new(),
        resources: TRIED,
    };
    let pod = Pod::create(&engine, engine.name_pod(), &spec)
        .await
        .unwrap();
    // Each alone is below 64 MiB; together they are above that and the holder's share.
    let eat = ["/sallyport-pod", "eat", "50", "60"];
    let (mut first, eaten) = starts(&engine, &pod, &eat).await;
    eaten.notified().await;
    let (mut second, _) = starts(&engine, &pod, &eat).await;
    let ended = tokio::select! {
        ended = first.wait() => ended,
        ended = second.wait() => ended,
        () = tokio::time::sleep(std::time::Duration::from_secs(30)) => panic!("both had it"),
    };
    let ended = ended.unwrap();
    pod.remove().await.unwrap();
    assert_eq!(
        ended.exit_code,
        Some(137),
        "the kernel ended one: {ended:?}"
    );
}
