//! From the tree to `syntax`: which keys there are and what form their values have.

use crate::complaint::{Code, Complaints, Span, Spanned, quoted};
use crate::language::pipeline::{EventKind, ToolName};
use crate::language::syntax::{
    Container, EnvEntry, File, Kind, On, PullRequest, Push, Ready, Resources, Service, Step, When,
};
use crate::yaml::{
    self, Fields, Node, byte_size, cpu_milli, duration_ms, entries, fields, integer, keyed, list,
    one_of, text, text_up_to, texts,
};

/// Steps of one pipeline.
pub(crate) const STEPS_MAX: usize = 100;
/// Needs of one step.
pub(crate) const NEEDS_MAX: usize = 50;
/// Patterns in one list.
pub(crate) const PATTERNS_MAX: usize = 50;
/// Containers beside an image under test: they share one step's memory.
const SERVICES_MAX: usize = 10;
/// Variables of one container.
const ENV_MAX: usize = 64;
/// One variable's value.
const ENV_VALUE_BYTES_MAX: usize = 4096;
/// A script: what is longer belongs in a file of the repository.
const SCRIPT_BYTES_MAX: usize = 32 * 1024;
/// Arguments of a command, and folders to write to.
const ARGUMENTS_MAX: usize = 100;
/// One argument.
const ARGUMENT_BYTES_MAX: usize = 4096;
/// The longest timeout that can be written; the project's own limit is lower.
const TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;
/// The longest wait for a container to be ready.
const READY_MS_MAX: u64 = 600_000;
/// CPUs of one step.
const CPU_MILLI_MAX: u64 = 64_000;
/// Memory of one step.
const MEMORY_BYTES_MAX: u64 = 256 << 30;
/// Processes of one step; the kernel's own limit is 4 million for the whole host.
const PIDS_MAX: u64 = 32_768;

/// Reads the whole file.
pub(crate) fn file(node: &Node, complaints: &mut Complaints<'_>) -> Option<File> {
    let mut keys = fields(node, "a pipeline file", complaints)?;
    yaml::version(&mut keys, complaints);
    let key = keys.key("on").unwrap_or_default();
    let on = keys.required("on", complaints);
    let on = on.and_then(|node| read_on(key, node, complaints));
    let steps = keys.required("steps", complaints);
    let steps = steps.map_or_else(Vec::new, |node| read_steps(node, complaints));
    keys.finish(complaints);
    Some(File { on, steps })
}

fn read_on(on: Span, node: &Node, complaints: &mut Complaints<'_>) -> Option<On> {
    let mut keys = fields(node, "`on`", complaints)?;
    let push_key = keys.key("push");
    let push = keys.optional("push");
    let push = push.and_then(|node| read_push(node, complaints));
    let key = keys.key("pull-request").unwrap_or_default();
    let pull_request = keys.optional("pull-request").and_then(|node| {
        let mut keys = fields(node, "`pull-request`", complaints)?;
        let branches = optional_texts(&mut keys, "branches", complaints);
        keys.finish(complaints);
        Some(PullRequest { key, branches })
    });
    keys.finish(complaints);
    Some(On {
        key: on,
        push_key,
        push,
        pull_request,
    })
}

fn read_push(node: &Node, complaints: &mut Complaints<'_>) -> Option<Push> {
    let mut keys = fields(node, "`push`", complaints)?;
    let push = Push {
        branches: optional_texts(&mut keys, "branches", complaints),
        tags: optional_texts(&mut keys, "tags", complaints),
        paths: optional_texts(&mut keys, "paths", complaints).unwrap_or_default(),
        paths_ignore: optional_texts(&mut keys, "paths-ignore", complaints).unwrap_or_default(),
    };
    keys.finish(complaints);
    Some(push)
}

fn optional_texts(
    keys: &mut Fields<'_>,
    key: &'static str,
    complaints: &mut Complaints<'_>,
) -> Option<Vec<Spanned<String>>> {
    let node = keys.optional(key)?;
    texts(node, &format!("`{key}`"), PATTERNS_MAX, complaints)
}

fn read_steps(node: &Node, complaints: &mut Complaints<'_>) -> Vec<Step> {
    let Some(steps) = entries(node, "`steps`", complaints) else {
        return Vec::new();
    };
    if steps.is_empty() {
        let message = "a pipeline has at least one step";
        complaints.error(Code::MissingKey, node.span, message, "no step here");
    }
    if steps.len() > STEPS_MAX {
        let message = format!("the pipeline has {} steps", steps.len());
        let label = format!("at most {STEPS_MAX}");
        complaints.error(Code::TooLong, steps[STEPS_MAX].0.span, message, label);
        return Vec::new();
    }
    steps
        .iter()
        .filter_map(|(key, node)| {
            let name = keyed(key, complaints)?;
            read_step(name, node, complaints)
        })
        .collect()
}

fn read_step(
    name: Spanned<crate::name::Name>,
    node: &Node,
    complaints: &mut Complaints<'_>,
) -> Option<Step> {
    let mut keys = fields(node, "a step", complaints)?;
    let mut not_yet = Vec::new();
    let kinds = read_kinds(&mut keys, &mut not_yet, complaints);
    let needs = keys.optional("needs");
    let needs = needs.and_then(|node| texts(node, "`needs`", NEEDS_MAX, complaints));
    let when_key = keys.key("when").unwrap_or_default();
    let when = keys.optional("when");
    let when = when.and_then(|node| read_when(when_key, node, complaints));
    let env = read_env(&mut keys, complaints);
    let resources = keys.optional("resources");
    let resources = resources.and_then(|node| read_resources(node, &mut not_yet, complaints));
    if kinds.iter().any(|(kind, _)| kind.value == "build") {
        // The engine's builder takes no limits for one build.
        let what = "a build has no resources of its own yet";
        not_yet.extend(keys.key("resources").map(|span| Spanned::new(what, span)));
    }
    let timeout = keys.optional("timeout");
    let timeout =
        timeout.and_then(|node| duration_ms(node, "`timeout`", TIMEOUT_MS_MAX, complaints));
    let junit = keys.optional("reports").and_then(|node| {
        let mut keys = fields(node, "`reports`", complaints)?;
        let junit = optional_texts(&mut keys, "junit", complaints);
        keys.finish(complaints);
        junit
    });
    let artifacts = optional_texts(&mut keys, "artifacts", complaints);
    let words = [("none", false), ("outside", true)];
    let effects = keys.optional("effects");
    let effects = effects.and_then(|node| one_of(node, "`effects`", &words, complaints));
    read_network(&mut keys, &mut not_yet, complaints);
    read_secrets(&mut keys, &mut not_yet, complaints);
    keys.finish(complaints);
    Some(Step {
        name,
        kinds,
        needs: needs.unwrap_or_default(),
        when: when.unwrap_or_default(),
        env,
        resources: resources.unwrap_or_default(),
        timeout,
        junit: junit.unwrap_or_default(),
        artifacts: artifacts.unwrap_or_default(),
        effects,
        not_yet,
    })
}

fn read_kinds(
    keys: &mut Fields<'_>,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Vec<(Spanned<&'static str>, Option<Kind>)> {
    let mut kinds = Vec::new();
    for word in ["build", "analyze", "scan", "test", "run"] {
        let (Some(key), Some(node)) = (keys.key(word), keys.optional(word)) else {
            continue;
        };
        let kind = match word {
            "build" => read_build(node, not_yet, complaints),
            "analyze" => read_analyze(node, not_yet, complaints),
            "scan" => read_scan(node, complaints),
            "test" => read_test(node, complaints),
            _ => read_container(node, "`run`", complaints).map(Kind::Run),
        };
        kinds.push((Spanned::new(word, key), kind));
    }
    kinds
}

fn read_build(
    node: &Node,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Option<Kind> {
    let mut keys = fields(node, "`build`", complaints)?;
    let dockerfile = keys.optional("dockerfile");
    let dockerfile = dockerfile.and_then(|node| text(node, "`dockerfile`", complaints));
    let context = keys.optional("context");
    let context = context.and_then(|node| text(node, "`context`", complaints));
    for (word, what) in [
        ("args", "build arguments have no effect yet"),
        ("target", "a target stage has no effect yet"),
        ("platforms", "a choice of platforms has no effect yet"),
    ] {
        not_yet.extend(keys.key(word).map(|span| Spanned::new(what, span)));
    }
    keys.finish(complaints);
    Some(Kind::Build {
        dockerfile,
        context,
    })
}

fn read_analyze(
    node: &Node,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Option<Kind> {
    /// Tools that the language knows; those without a value are not there yet.
    const TOOLS: &[(&str, Option<ToolName>)] = &[
        ("hadolint", Some(ToolName::Hadolint)),
        ("gitleaks", Some(ToolName::Gitleaks)),
        ("semgrep", None),
        ("bandit", None),
        ("ruff", None),
        ("shellcheck", None),
        ("trivy", None),
        ("clippy", None),
        ("eslint", None),
    ];
    let mut keys = fields(node, "`analyze`", complaints)?;
    let tools = keys.optional("tools").and_then(|node| {
        let items = list(node, "`tools`", TOOLS.len(), complaints)?;
        let mut tools = Vec::new();
        for item in items {
            let Some(tool) = one_of(item, "a tool", TOOLS, complaints) else {
                continue;
            };
            match tool.value {
                Some(value) => tools.push(Spanned::new(value, tool.span)),
                None => not_yet.push(Spanned::new(
                    "this tool is not there yet: hadolint and gitleaks are",
                    tool.span,
                )),
            }
        }
        if items.is_empty() {
            let message = "`tools` names at least one tool";
            complaints.error(Code::MissingKey, node.span, message, "no tool here");
        }
        Some(tools)
    });
    keys.finish(complaints);
    Some(Kind::Analyze { tools })
}

fn read_scan(node: &Node, complaints: &mut Complaints<'_>) -> Option<Kind> {
    let mut keys = fields(node, "`scan`", complaints)?;
    let image = keys.required("image", complaints);
    let image = image.and_then(|node| text(node, "`image`", complaints));
    keys.finish(complaints);
    Some(Kind::Scan { image: image? })
}

fn read_test(node: &Node, complaints: &mut Complaints<'_>) -> Option<Kind> {
    let mut keys = fields(node, "`test`", complaints)?;
    let image = keys.required("image", complaints);
    let image = image.and_then(|node| text(node, "`image`", complaints));
    let env = read_env(&mut keys, complaints);
    let ready = keys.required("ready", complaints);
    let ready = ready.and_then(|node| read_ready(node, complaints));
    let services = keys.optional("services");
    let services = services.map_or_else(Vec::new, |node| read_services(node, complaints));
    let probe = keys.required("probe", complaints);
    let probe = probe.and_then(|node| read_container(node, "`probe`", complaints));
    keys.finish(complaints);
    Some(Kind::Test {
        image: image?,
        env,
        ready,
        services,
        probe,
    })
}

fn read_services(node: &Node, complaints: &mut Complaints<'_>) -> Vec<Service> {
    let Some(services) = entries(node, "`services`", complaints) else {
        return Vec::new();
    };
    if services.len() > SERVICES_MAX {
        let message = format!("the test has {} services", services.len());
        let label = format!("at most {SERVICES_MAX}");
        complaints.error(Code::TooLong, services[SERVICES_MAX].0.span, message, label);
        return Vec::new();
    }
    services
        .iter()
        .filter_map(|(key, node)| {
            let name = keyed(key, complaints)?;
            let mut keys = fields(node, "a service", complaints)?;
            let image = keys.required("image", complaints);
            let image = image.and_then(|node| text(node, "`image`", complaints));
            let env = read_env(&mut keys, complaints);
            let user = keys.optional("user");
            let user =
                user.and_then(|node| integer(node, "`user`", 0..=u64::from(u32::MAX), complaints));
            let writable = optional_texts(&mut keys, "writable", complaints);
            let ready = keys.required("ready", complaints);
            let ready = ready.and_then(|node| read_ready(node, complaints));
            keys.finish(complaints);
            Some(Service {
                name,
                image,
                env,
                user,
                writable: writable.unwrap_or_default(),
                ready,
            })
        })
        .collect()
}

fn read_container(
    node: &Node,
    what: &'static str,
    complaints: &mut Complaints<'_>,
) -> Option<Container> {
    let mut keys = fields(node, what, complaints)?;
    let image = keys.required("image", complaints);
    let image = image.and_then(|node| text(node, "`image`", complaints));
    let script = keys.optional("script");
    let script = script.map(|node| {
        text_up_to(node, "`script`", SCRIPT_BYTES_MAX, complaints)
            .unwrap_or_else(|| Spanned::new(String::new(), node.span))
    });
    let command = keys.optional("command");
    let command = command.map(|node| {
        let words = list(node, "`command`", ARGUMENTS_MAX, complaints).unwrap_or_default();
        let words = words
            .iter()
            .filter_map(|word| text_up_to(word, "an argument", ARGUMENT_BYTES_MAX, complaints))
            .map(|word| word.value)
            .collect();
        Spanned::new(words, node.span)
    });
    let span = keys.span;
    keys.finish(complaints);
    Some(Container {
        span,
        image,
        script,
        command,
    })
}

fn read_ready(node: &Node, complaints: &mut Complaints<'_>) -> Option<Ready> {
    let mut keys = fields(node, "`ready`", complaints)?;
    let http = keys.optional("http");
    let http = http.and_then(|node| text(node, "`http`", complaints));
    let tcp = keys.optional("tcp");
    let tcp = tcp.and_then(|node| integer(node, "`tcp`", 1..=65_535, complaints));
    let within = keys.required("within", complaints);
    let within = within.and_then(|node| duration_ms(node, "`within`", READY_MS_MAX, complaints));
    let span = keys.span;
    keys.finish(complaints);
    Some(Ready {
        span,
        http,
        tcp,
        within,
    })
}

fn read_env(keys: &mut Fields<'_>, complaints: &mut Complaints<'_>) -> Vec<EnvEntry> {
    let Some(node) = keys.optional("env") else {
        return Vec::new();
    };
    let Some(variables) = entries(node, "`env`", complaints) else {
        return Vec::new();
    };
    if variables.len() > ENV_MAX {
        let message = format!("`env` has {} variables", variables.len());
        let label = format!("at most {ENV_MAX}");
        complaints.error(Code::TooLong, variables[ENV_MAX].0.span, message, label);
        return Vec::new();
    }
    variables
        .iter()
        .filter_map(|(key, node)| {
            let value = text_up_to(node, "a variable", ENV_VALUE_BYTES_MAX, complaints)?;
            Some(EnvEntry {
                key: key.clone(),
                value: value.value,
            })
        })
        .collect()
}

fn read_resources(
    node: &Node,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Option<Resources> {
    let mut keys = fields(node, "`resources`", complaints)?;
    let cpu = keys.optional("cpu");
    let cpu = cpu.and_then(|node| cpu_milli(node, "`cpu`", CPU_MILLI_MAX, complaints));
    let memory = keys.optional("memory");
    let memory = memory.and_then(|node| byte_size(node, "`memory`", MEMORY_BYTES_MAX, complaints));
    let pids = keys.optional("pids");
    let pids = pids.and_then(|node| integer(node, "`pids`", 1..=PIDS_MAX, complaints));
    let work = keys.optional("work");
    let work = work.and_then(|node| byte_size(node, "`work`", MEMORY_BYTES_MAX, complaints));
    let what = "a work area on disk is not there yet";
    not_yet.extend(keys.key("disk").map(|span| Spanned::new(what, span)));
    keys.finish(complaints);
    Some(Resources {
        cpu,
        memory,
        pids,
        work,
    })
}

fn read_when(key: Span, node: &Node, complaints: &mut Complaints<'_>) -> Option<When> {
    let mut keys = fields(node, "`when`", complaints)?;
    let branches = optional_texts(&mut keys, "branches", complaints);
    let tags = optional_texts(&mut keys, "tags", complaints);
    let words = [
        ("push", EventKind::Push),
        ("pull-request", EventKind::PullRequest),
    ];
    let events = keys.optional("events").and_then(|node| {
        let items = list(node, "`events`", words.len(), complaints)?;
        let events = items
            .iter()
            .filter_map(|item| one_of(item, "an event", &words, complaints));
        Some(events.collect())
    });
    keys.finish(complaints);
    Some(When {
        key,
        branches,
        tags,
        events,
    })
}

/// `network: none`, or hosts that may be reached, which are understood and not yet there.
fn read_network(
    keys: &mut Fields<'_>,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) {
    let Some(node) = keys.optional("network") else {
        return;
    };
    if let yaml::Kind::Text { .. } = node.kind {
        one_of(node, "`network`", &[("none", ())], complaints);
        return;
    }
    let Some(mut inner) = fields(node, "`network`", complaints) else {
        return;
    };
    let key = inner.key("allow");
    let allow = inner.required("allow", complaints);
    let hosts = allow.and_then(|node| texts(node, "`allow`", PATTERNS_MAX, complaints));
    for host in hosts.unwrap_or_default() {
        if !is_host_and_port(&host.value) {
            let message = format!("{} is not a host and port", quoted(&host.value));
            complaints
                .error(Code::UnknownValue, host.span, message, "not one")
                .help("write `docs.example.org:443`");
        }
    }
    inner.finish(complaints);
    let what = "steps have no network yet";
    not_yet.push(Spanned::new(what, key.unwrap_or(node.span)));
}

fn is_host_and_port(text: &str) -> bool {
    text.split_once(':').is_some_and(|(host, port)| {
        let part = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
        !host.is_empty() && host.chars().all(part) && port.parse::<u16>().is_ok_and(|p| p > 0)
    })
}

fn read_secrets(
    keys: &mut Fields<'_>,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) {
    let key: Option<Span> = keys.key("secrets");
    let Some(items) = keys
        .optional("secrets")
        .and_then(|node| list(node, "`secrets`", PATTERNS_MAX, complaints))
    else {
        return;
    };
    for item in items {
        if let yaml::Kind::Map(_) = item.kind {
            let Some(mut inner) = fields(item, "a secret", complaints) else {
                continue;
            };
            let name = inner.required("name", complaints);
            name.and_then(|node| text(node, "`name`", complaints));
            let env = inner.optional("env");
            env.and_then(|node| text(node, "`env`", complaints));
            inner.finish(complaints);
        } else {
            text(item, "a secret", complaints);
        }
    }
    if !items.is_empty() {
        let what = "secrets are not handed to steps yet";
        not_yet.extend(key.map(|span| Spanned::new(what, span)));
    }
}
