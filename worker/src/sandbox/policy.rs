//! The hardened profile: from what a step asks for to the settings of a container. Pure.

use super::state::{Container, STEP_USER, SandboxError, WorkArea};
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
/// Folders that nothing may be mounted over.
const NOT_WRITABLE: [&str; 7] = ["/", "/proc", "/sys", "/dev", "/work", "/etc", "/usr"];

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
    labels: &HashMap<String, String>,
) -> ContainerCreateBody {
    let hosts = hosts.iter().map(|name| format!("{name}:127.0.0.1"));
    let mut host = floor();
    host.network_mode = Some("none".to_owned());
    host.extra_hosts = Some(hosts.collect());
    host.memory = Some(HOLDER_MEMORY);
    host.memory_swap = Some(HOLDER_MEMORY);
    host.pids_limit = Some(32);
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
    holder: &str,
    volume: &str,
    own_volumes: &[String],
    resources: &Resources,
    labels: &HashMap<String, String>,
) -> Result<ContainerCreateBody, SandboxError> {
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
    let mut folders = HashMap::from([("/tmp".to_owned(), tmpfs(TMP_BYTES, user, true))]);
    for folder in writable {
        let plain = folder.starts_with('/') && !folder.split('/').any(|p| p == ".." || p == ".");
        if !plain || NOT_WRITABLE.contains(&folder.trim_end_matches('/')) || folder == "/" {
            return not_allowed(format!("{folder} as a writable folder"));
        }
        let size = WRITABLE_BYTES.min(resources.memory_bytes / 2);
        folders.insert(folder.clone(), tmpfs(size, user, false));
    }
    host.tmpfs = Some(folders);
    host.network_mode = Some(format!("container:{holder}"));
    let memory = i64::try_from(resources.memory_bytes).unwrap_or(i64::MAX);
    host.memory = Some(memory);
    host.memory_swap = Some(memory);
    host.nano_cpus = Some(i64::try_from(resources.cpu_milli * 1_000_000).unwrap_or(i64::MAX));
    host.pids_limit = Some(i64::try_from(resources.pids).unwrap_or(i64::MAX));
    host.mounts = match wish.work {
        WorkArea::None => None,
        WorkArea::ReadOnly => Some(vec![work_mount(volume, true)]),
        WorkArea::Writable => Some(vec![work_mount(volume, false)]),
    };
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
        labels: Some(labels.clone()),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        open_stdin: Some(false),
        tty: Some(false),
        host_config: Some(host),
        healthcheck: Some(no_healthcheck()),
        ..ContainerCreateBody::default()
    })
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
        container(
            wish,
            "holder",
            "volume",
            volumes,
            &resources,
            &HashMap::new(),
        )
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
        for folder in ["/", "/proc", "relative", "/a/../etc", "/etc/"] {
            let mut over = wish();
            over.writable = vec![folder.to_owned()];
            assert!(settled(&over, &[]).is_err(), "{folder}");
        }
        let mut nothing = wish();
        nothing.command.clear();
        assert!(settled(&nothing, &[]).is_err());
    }
}
