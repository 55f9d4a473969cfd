//! The hardened profile: from what a step asks for to the settings of a container. Pure.

use super::state::{Container, STEP_USER, SandboxError, WorkArea};
use crate::engine::STEP_LABEL;
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType,
    MountVolumeOptions, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};
use contract::name::Name;
use contract::protocol::Resources;
use std::collections::HashMap;

/// `/tmp` of every container.
const TMP_BYTES: u64 = 64 * 1024 * 1024;
/// Each further writable folder.
const WRITABLE_BYTES: u64 = 512 * 1024 * 1024;
/// Folders that one container may ask for.
const WRITABLE_MAX: usize = 16;
const OPEN_FILES_MAX: i64 = 16_384;
/// The pod's first container does nothing but hold the namespaces and ask.
const HOLDER_MEMORY: i64 = 32 * 1024 * 1024;
pub(super) const HOLDER_PIDS: i64 = 32;
/// Folders that nothing may be mounted over.
const NOT_COVERED: [&str; 3] = ["/", "/etc", "/usr"];
/// Folders in which nothing may be mounted either: the kernel's, and the pod's.
const NOT_BELOW: [&str; 4] = ["/proc", "/sys", "/dev", "/work"];
/// Everything below it takes no programs.
const TMP: &str = "/tmp";

/// Where in a pod a container goes.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// The container that holds the namespace.
    pub(super) holder: &'a str,
    /// The work area.
    pub(super) volume: &'a str,
    /// The pod's cgroup, which bounds all containers together; without it `resources` is this
    /// container's share.
    pub(super) cgroup: Option<&'a str>,
    /// What this container may use.
    pub(super) resources: &'a Resources,
    pub(super) labels: &'a HashMap<String, String>,
}

/// What the pod's cgroup may use: the step's share, and the holder.
pub(super) fn together(step: &Resources) -> Resources {
    Resources {
        memory_bytes: step
            .memory_bytes
            .saturating_add(HOLDER_MEMORY.unsigned_abs()),
        pids: step.pids.saturating_add(HOLDER_PIDS.unsigned_abs()),
        ..step.clone()
    }
}

/// What each of so many containers may use where nothing bounds them together.
pub(super) fn apart(step: &Resources, containers: u64) -> Resources {
    let among = containers.max(1);
    Resources {
        cpu_milli: (step.cpu_milli / among).max(1),
        memory_bytes: step.memory_bytes / among,
        pids: (step.pids / among).max(1),
        work_bytes: step.work_bytes,
    }
}

/// The pod's work area: a tmpfs with a size, held open by the pod's first container.
pub(super) fn work_area(
    name: &str,
    resources: &Resources,
    labels: &HashMap<String, String>,
) -> VolumeCreateRequest {
    // Everybody's, with the sticky bit: what goes in is given to the step's user file by file, and
    // a uid here would be the engine's, not the container's, where user namespaces are used.
    let options = format!("size={},mode=1777,nosuid,nodev", resources.work_bytes);
    VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some("local".to_owned()),
        driver_opts: Some(HashMap::from([
            ("type".to_owned(), "tmpfs".to_owned()),
            ("device".to_owned(), "tmpfs".to_owned()),
            ("o".to_owned(), options),
        ])),
        labels: Some(labels.clone()),
        ..VolumeCreateRequest::default()
    }
}

/// The pod's first container, which holds the namespaces.
pub(super) fn holder(
    image: &str,
    volume: &str,
    hosts: &[Name],
    cgroup: Option<&str>,
    labels: &HashMap<String, String>,
) -> ContainerCreateBody {
    let hosts = hosts.iter().map(|name| format!("{name}:127.0.0.1"));
    let mut host = floor();
    host.network_mode = Some("none".to_owned());
    host.extra_hosts = Some(hosts.collect());
    host.memory = Some(HOLDER_MEMORY);
    host.memory_swap = Some(HOLDER_MEMORY);
    host.pids_limit = Some(HOLDER_PIDS);
    host.cgroup_parent = cgroup.map(str::to_owned);
    host.mounts = Some(vec![work_mount(volume, false)]);
    host.tmpfs = Some(HashMap::from([(
        "/tmp".to_owned(),
        tmpfs(TMP_BYTES, STEP_USER, true),
    )]));
    ContainerCreateBody {
        image: Some(image.to_owned()),
        entrypoint: Some(vec!["/sallyport-pod".to_owned(), "hold".to_owned()]),
        user: Some(format!("{STEP_USER}:{STEP_USER}")),
        labels: Some(labels.clone()),
        hostname: Some("pod".to_owned()),
        host_config: Some(host),
        healthcheck: Some(no_healthcheck()),
        ..ContainerCreateBody::default()
    }
}

/// One of a step's containers, in the namespace that `holder` holds.
pub(super) fn container(
    wish: &Container,
    own_volumes: &[String],
    place: Place<'_>,
) -> Result<ContainerCreateBody, SandboxError> {
    let resources = place.resources;
    let user = wish.user.unwrap_or(STEP_USER);
    let not_allowed = |why: String| Err(SandboxError::NotAllowed(why));
    if user == 0 {
        return not_allowed("a container does not run as root".to_owned());
    }
    let Some((program, arguments)) = wish.command.split_first() else {
        return not_allowed("a container without a command".to_owned());
    };
    let mut writable: Vec<&String> = wish.writable.iter().collect();
    writable.extend(own_volumes);
    if writable.len() > WRITABLE_MAX {
        return not_allowed(format!("more than {WRITABLE_MAX} writable folders"));
    }
    let mut host = floor();
    let size = WRITABLE_BYTES.min(resources.memory_bytes / 2);
    let mut folders = HashMap::new();
    for folder in writable {
        let Some(folder) = mountable(folder) else {
            return not_allowed(format!("{folder} as a writable folder or VOLUME"));
        };
        let noexec = is_in(&folder, TMP);
        folders.insert(folder, tmpfs(size, user, noexec));
    }
    // Last, so that nothing that was asked for replaces it.
    folders.insert(TMP.to_owned(), tmpfs(TMP_BYTES, user, true));
    host.tmpfs = Some(folders);
    host.cgroup_parent = place.cgroup.map(str::to_owned);
    host.network_mode = Some(format!("container:{}", place.holder));
    let memory = i64::try_from(resources.memory_bytes).unwrap_or(i64::MAX);
    host.memory = Some(memory);
    host.memory_swap = Some(memory);
    host.nano_cpus = Some(i64::try_from(resources.cpu_milli * 1_000_000).unwrap_or(i64::MAX));
    host.pids_limit = Some(i64::try_from(resources.pids).unwrap_or(i64::MAX));
    host.mounts = match wish.work {
        WorkArea::None => None,
        WorkArea::ReadOnly => Some(vec![work_mount(place.volume, true)]),
        WorkArea::Writable => Some(vec![work_mount(place.volume, false)]),
    };
    let mut labels = place.labels.clone();
    labels.insert(STEP_LABEL.to_owned(), String::new());
    let env = wish
        .env
        .iter()
        .map(|(name, value)| format!("{name}={value}"));
    Ok(ContainerCreateBody {
        image: Some(wish.image.to_string()),
        entrypoint: Some(vec![program.clone()]),
        cmd: Some(arguments.to_vec()),
        env: Some(env.collect()),
        working_dir: Some(wish.workdir.clone()),
        user: Some(format!("{user}:{user}")),
        labels: Some(labels),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(false),
        tty: Some(false),
        host_config: Some(host),
        healthcheck: Some(no_healthcheck()),
        ..ContainerCreateBody::default()
    })
}

/// The folder as the engine will see it, when it may be mounted over.
fn mountable(folder: &str) -> Option<String> {
    let parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    let strange = |part: &&str| matches!(*part, "." | "..") || part.chars().any(char::is_control);
    if !folder.starts_with('/') || parts.iter().any(strange) {
        return None;
    }
    let plain = format!("/{}", parts.join("/"));
    let forbidden =
        NOT_COVERED.contains(&plain.as_str()) || NOT_BELOW.iter().any(|above| is_in(&plain, above));
    (!forbidden).then_some(plain)
}

/// Whether a folder is another or lies in it.
fn is_in(folder: &str, above: &str) -> bool {
    folder
        .strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What holds for every container without exception.
fn floor() -> HostConfig {
    HostConfig {
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        init: Some(true),
        ipc_mode: Some("private".to_owned()),
        log_config: Some(HostConfigLogConfig {
            typ: Some("none".to_owned()),
            config: None,
        }),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ulimits: Some(vec![ulimit("nofile", OPEN_FILES_MAX), ulimit("core", 0)]),
        oom_score_adj: Some(500),
        ..HostConfig::default()
    }
}

fn work_mount(volume: &str, read_only: bool) -> Mount {
    Mount {
        target: Some("/work".to_owned()),
        source: Some(volume.to_owned()),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            ..MountVolumeOptions::default()
        }),
        ..Mount::default()
    }
}

fn tmpfs(bytes: u64, user: u32, noexec: bool) -> String {
    let exec = if noexec { "noexec" } else { "exec" };
    format!("rw,{exec},nosuid,nodev,size={bytes},uid={user},gid={user},mode=0755")
}

fn ulimit(name: &str, limit: i64) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(limit),
        hard: Some(limit),
    }
}

fn no_healthcheck() -> HealthConfig {
    HealthConfig {
        test: Some(vec!["NONE".to_owned()]),
        ..HealthConfig::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use contract::digest::Digest;
    use contract::image::{ImageRef, Repository};
    use std::collections::BTreeMap;

    fn wish() -> Container {
        Container {
            image: ImageRef {
                repository: Repository::parse("127.0.0.1:5000/base/x").unwrap(),
                digest: Digest::of(b"x"),
            },
            command: vec!["sh".to_owned(), "-c".to_owned(), "true".to_owned()],
            env: BTreeMap::new(),
            workdir: "/work/src".to_owned(),
            user: None,
            writable: Vec::new(),
            work: WorkArea::Writable,
        }
    }

    fn settled(wish: &Container, volumes: &[String]) -> Result<ContainerCreateBody, SandboxError> {
        let resources = Resources {
            cpu_milli: 1500,
            memory_bytes: 1 << 29,
            pids: 64,
            work_bytes: 1 << 28,
        };
        let place = Place {
            holder: "holder",
            volume: "volume",
            cgroup: Some("/engine/pod-1"),
            resources: &resources,
            labels: &HashMap::new(),
        };
        container(wish, volumes, place)
    }

    #[test]
    fn every_container_has_the_hardened_profile() {
        let body = settled(&wish(), &["/var/data".to_owned()]).unwrap();
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop, Some(vec!["ALL".to_owned()]));
        assert_eq!(
            host.security_opt,
            Some(vec!["no-new-privileges".to_owned()])
        );
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.network_mode.as_deref(), Some("container:holder"));
        assert_eq!(host.memory, host.memory_swap);
        assert_eq!(host.pids_limit, Some(64));
        assert_eq!(host.nano_cpus, Some(1_500_000_000));
        assert_eq!(host.cgroup_parent.as_deref(), Some("/engine/pod-1"));
        assert!(host.binds.is_none() && host.devices.is_none() && host.cap_add.is_none());
        assert!(host.tmpfs.unwrap().contains_key("/var/data"));
        assert_eq!(body.user.as_deref(), Some("65532:65532"));
        assert_eq!(body.entrypoint, Some(vec!["sh".to_owned()]));
    }

    #[test]
    fn root_and_mounts_over_what_must_stay_are_refused() {
        let mut root = wish();
        root.user = Some(0);
        assert!(settled(&root, &[]).is_err());
        for folder in [
            "/",
            "//",
            "/proc",
            "/proc/sys",
            "relative",
            "/a/../etc",
            "/etc/",
            "//etc",
            "/work/src",
            "/dev/shm",
            "/a\nb",
        ] {
            let mut over = wish();
            over.writable = vec![folder.to_owned()];
            assert!(settled(&over, &[]).is_err(), "{folder}");
        }
        let mut nothing = wish();
        nothing.command.clear();
        assert!(settled(&nothing, &[]).is_err());
    }

    #[test]
    fn no_folder_of_an_image_makes_tmp_take_programs() {
        let folders = ["/tmp/", "//tmp//cache", "/tmp", "//var///data/"].map(str::to_owned);
        let mut asks = wish();
        asks.writable = vec!["/tmp".to_owned(), "/tmpfoo".to_owned()];
        let body = settled(&asks, &folders).unwrap();
        let mounts = body.host_config.unwrap().tmpfs.unwrap();
        let mut at: Vec<&str> = mounts.keys().map(String::as_str).collect();
        at.sort_unstable();
        assert_eq!(at, ["/tmp", "/tmp/cache", "/tmpfoo", "/var/data"]);
        for (folder, options) in &mounts {
            let programs = !options.contains("noexec");
            assert_eq!(programs, !is_in(folder, TMP), "{folder} {options}");
        }
    }

    #[test]
    fn containers_share_what_the_step_may_use() {
        let step = Resources {
            cpu_milli: 1000,
            memory_bytes: 1 << 30,
            pids: 100,
            work_bytes: 5,
        };
        let all = together(&step);
        assert_eq!(
            (all.cpu_milli, all.memory_bytes, all.pids),
            (1000, (1 << 30) + (32 << 20), 132)
        );
        let one = apart(&step, 3);
        assert_eq!(
            (one.cpu_milli, one.memory_bytes, one.pids, one.work_bytes),
            (333, (1 << 30) / 3, 33, 5)
        );
    }
}
