//! From what the file says to what we accept. The only maker of a [`Pipeline`].

use crate::complaint::{Complaint, Complaints, Spanned};
use crate::image::ImageRef;
use crate::language::pipeline::{
    Filter, On, Pipeline, Resources, ScriptSource, Step, StepKind, ToolName, When,
};
use crate::language::{patterns, read, rules, syntax};
use crate::name::Name;
use crate::protocol::{Ready, ReadyProbe, Service};
use crate::yaml;
use std::collections::BTreeMap;

/// A step's timeout when it names none.
const TIMEOUT_MS_DEFAULT: u64 = 600_000;
/// The uid of a service that names none: "nobody in particular", as distroless images have it.
const USER_DEFAULT: u32 = 65_532;

/// What the project's settings say about its pipeline files; what is `None` is not known here (a
/// `lint` without settings) and not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckContext {
    /// Patterns of images that may be named (`registry/name/*`).
    pub known_registries: Option<Vec<String>>,
    /// The longest that a step may take.
    pub timeout_ms_max: Option<u64>,
    /// The most memory that a step may use.
    pub memory_bytes_max: Option<u64>,
}

/// What came of a file: the thing when no complaint is an error, and all complaints in any case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked<T> {
    /// There when the file can be used.
    pub value: Option<T>,
    /// In the order of the file; with a value there are only warnings.
    pub complaints: Vec<Complaint>,
}

impl<T> Checked<T> {
    /// The thing, or why not.
    pub fn into_result(self) -> Result<T, Vec<Complaint>> {
        self.value.ok_or(self.complaints)
    }

    /// All complaints as people read them, with an empty line between two.
    pub fn rendered(&self) -> String {
        let texts: Vec<String> = self.complaints.iter().map(ToString::to_string).collect();
        texts.join("\n\n")
    }
}

/// Reads a pipeline file: a pipeline, or everything that is wrong with it.
pub fn check(file: &str, bytes: &[u8], context: &CheckContext) -> Result<Pipeline, Vec<Complaint>> {
    check_all(file, bytes, context).into_result()
}

/// As [`check`], with the warnings that do not hinder a pipeline.
pub fn check_all(file_name: &str, bytes: &[u8], context: &CheckContext) -> Checked<Pipeline> {
    checked(file_name, bytes, |node, complaints| {
        let file = read::file(node, complaints)?;
        rules::check(&file, context, complaints);
        pipeline(file, context, complaints)
    })
}

/// Reads a YAML file and turns it into something, gathering complaints.
pub(crate) fn checked<T>(
    file_name: &str,
    bytes: &[u8],
    make: impl FnOnce(&yaml::Node, &mut Complaints<'_>) -> Option<T>,
) -> Checked<T> {
    let (text, not_utf8) = yaml::read_source(bytes);
    let mut complaints = Complaints::new(file_name, &text);
    let node = yaml::parse(not_utf8, &mut complaints);
    let value = node.and_then(|node| make(&node, &mut complaints));
    let failed = !complaints.is_empty();
    Checked {
        value: value.filter(|_| !failed),
        complaints: complaints.finish(),
    }
}

fn pipeline(
    file: syntax::File,
    context: &CheckContext,
    complaints: &mut Complaints<'_>,
) -> Option<Pipeline> {
    let order: Vec<Name> = file.steps.iter().map(|s| s.name.value.clone()).collect();
    let on = file.on.map(|on| on_events(on, complaints));
    // Every step is built, for the complaints of all of them.
    let steps: Vec<Option<Step>> = file
        .steps
        .into_iter()
        .map(|step| build_step(step, &order, context, complaints))
        .collect();
    Some(Pipeline {
        on: on?,
        steps: steps.into_iter().collect::<Option<_>>()?,
    })
}

fn on_events(on: syntax::On, complaints: &mut Complaints<'_>) -> On {
    let every = || vec!["**".to_owned()];
    let push = on.push.map(|push| Filter {
        branches: match push.branches {
            Some(texts) => Some(patterns(texts, complaints)),
            None => push.tags.is_none().then(every),
        },
        tags: push.tags.map(|texts| patterns(texts, complaints)),
        paths: patterns(push.paths, complaints),
        paths_ignore: patterns(push.paths_ignore, complaints),
    });
    let pull_request = on.pull_request.map(|filter| Filter {
        branches: Some(
            filter
                .branches
                .map_or_else(every, |texts| patterns(texts, complaints)),
        ),
        ..Filter::default()
    });
    On { push, pull_request }
}

fn build_step(
    step: syntax::Step,
    order: &[Name],
    context: &CheckContext,
    complaints: &mut Complaints<'_>,
) -> Option<Step> {
    let implied = step.implied_needs();
    let needs = order.iter().filter(|name| {
        let named = |need: &Spanned<String>| need.value == name.as_str();
        step.needs.iter().any(named) || implied.iter().any(named)
    });
    let needs = needs.cloned().collect();
    let when = when(step.when, complaints);
    let junit = patterns(step.junit, complaints);
    let artifacts = patterns(step.artifacts, complaints);
    let kind = step.kinds.into_iter().next().and_then(|(_, kind)| kind);
    let timeout_ms = TIMEOUT_MS_DEFAULT.min(context.timeout_ms_max.unwrap_or(u64::MAX));
    Some(Step {
        kind: step_kind(kind?)?,
        name: step.name.value,
        needs,
        when,
        env: env(step.env),
        resources: resources(&step.resources, context),
        timeout_ms: value(step.timeout, timeout_ms),
        junit,
        artifacts,
        effects_outside: value(step.effects, false),
    })
}

fn value<T>(spanned: Option<Spanned<T>>, default: T) -> T {
    spanned.map_or(default, |spanned| spanned.value)
}

fn when(when: syntax::When, complaints: &mut Complaints<'_>) -> When {
    let events = when.events.unwrap_or_default();
    When {
        branches: patterns(when.branches.unwrap_or_default(), complaints),
        tags: patterns(when.tags.unwrap_or_default(), complaints),
        events: events.into_iter().map(|event| event.value).collect(),
    }
}

fn env(entries: Vec<syntax::EnvEntry>) -> BTreeMap<String, String> {
    let entries = entries.into_iter();
    entries
        .map(|entry| (entry.key.value, entry.value))
        .collect()
}

/// The step's memory, said or by default.
pub(super) fn memory_bytes(said: &syntax::Resources, context: &CheckContext) -> u64 {
    let most = context.memory_bytes_max.unwrap_or(u64::MAX);
    value(
        said.memory.clone(),
        Resources::default().memory_bytes.min(most),
    )
}

fn resources(said: &syntax::Resources, context: &CheckContext) -> Resources {
    let default = Resources::default();
    let memory_bytes = memory_bytes(said, context);
    Resources {
        cpu_milli: value(said.cpu.clone(), default.cpu_milli),
        memory_bytes,
        pids: value(said.pids.clone(), default.pids),
        // Half of the memory, in whole KiB, so that it can be written.
        work_bytes: value(said.work.clone(), (memory_bytes / 2) & !1023),
    }
}

fn step_kind(kind: syntax::Kind) -> Option<StepKind> {
    Some(match kind {
        syntax::Kind::Build {
            dockerfile,
            context,
        } => StepKind::Build {
            dockerfile: value(dockerfile, "Dockerfile".to_owned()),
            context: value(context, ".".to_owned()),
        },
        syntax::Kind::Analyze { tools } => StepKind::Analyze {
            tools: match tools {
                Some(tools) => distinct(tools.into_iter().map(|tool| tool.value)),
                None => vec![ToolName::Hadolint, ToolName::Gitleaks],
            },
        },
        syntax::Kind::Scan { image } => StepKind::Scan {
            image: Name::parse(&image.value).ok()?,
        },
        syntax::Kind::Run(container) => {
            let (image, command, source) = executed(container)?;
            StepKind::Run {
                image,
                command,
                source,
            }
        }
        syntax::Kind::Test {
            image,
            env: variables,
            ready: asked,
            services,
            probe,
        } => {
            let (probe, command, source) = executed(probe?)?;
            StepKind::Test {
                image: Name::parse(&image.value).ok()?,
                env: env(variables),
                ready: ready(asked?)?,
                services: services.into_iter().map(service).collect::<Option<_>>()?,
                probe,
                command,
                source,
            }
        }
    })
}

fn distinct(tools: impl Iterator<Item = ToolName>) -> Vec<ToolName> {
    let mut seen = Vec::new();
    for tool in tools {
        if !seen.contains(&tool) {
            seen.push(tool);
        }
    }
    seen
}

/// What runs in which image.
fn executed(container: syntax::Container) -> Option<(ImageRef, Vec<String>, ScriptSource)> {
    let image = ImageRef::parse(&container.image?.value).ok()?;
    match (container.script, container.command) {
        (Some(script), None) => {
            let argv = ["/bin/sh", "-eu", "-c", &script.value].map(ToOwned::to_owned);
            Some((image, argv.into(), ScriptSource::Script))
        }
        (None, Some(command)) => Some((image, command.value, ScriptSource::Command)),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn service(service: syntax::Service) -> Option<Service> {
    let user = service.user.map(|user| u32::try_from(user.value));
    Some(Service {
        name: service.name.value,
        image: ImageRef::parse(&service.image?.value).ok()?,
        env: env(service.env),
        user: user.unwrap_or(Ok(USER_DEFAULT)).ok()?,
        writable: service
            .writable
            .into_iter()
            .map(|path| path.value)
            .collect(),
        ready: ready(service.ready?)?,
    })
}

fn ready(ready: syntax::Ready) -> Option<Ready> {
    let probe = match (ready.http, ready.tcp) {
        (Some(url), None) => ReadyProbe::Http { url: url.value },
        (None, Some(port)) => ReadyProbe::Tcp {
            port: u16::try_from(port.value).ok()?,
        },
        (Some(_), Some(_)) | (None, None) => return None,
    };
    Some(Ready {
        probe,
        within_ms: ready.within?.value,
    })
}
