//! The pipeline with every default filled in, as a pipeline file that checks clean again, and why
//! each step will run or not.

use crate::language::matching::{Change, Matched, matches, steps_that_run, when_matches};
use crate::language::pipeline::{EventKind, Filter, Pipeline, ScriptSource, Step, StepKind, When};
use crate::name::Name;
use crate::protocol::{Ready, ReadyProbe, Service};
use crate::yaml::{Writer, shown_cpu, shown_duration, shown_size};
use std::collections::{BTreeMap, BTreeSet};

/// The file with every default, and for each step why it runs for a push to `ref_name` or not.
pub fn explain(pipeline: &Pipeline, ref_name: &str) -> String {
    let mut out = Writer::default();
    let change = Change {
        event: EventKind::Push,
        ref_name,
        changed_paths: None,
    };
    let starts = matches(&pipeline.on, &change);
    out.comment("Every default is filled in.");
    out.comment(&match &starts {
        Matched::Yes => {
            let paths = pipeline.on.push.as_ref().map(only_for).unwrap_or_default();
            format!("A push to {ref_name} starts this{paths}.")
        }
        Matched::No { detail, .. } => {
            format!("A push to {ref_name} does not start this: {detail}.")
        }
    });
    out.raw("version", 1);
    out.map("on", |out| {
        if let Some(push) = &pipeline.on.push {
            out.map("push", |out| filter(out, push, true));
        }
        if let Some(pull_request) = &pipeline.on.pull_request {
            out.map("pull-request", |out| filter(out, pull_request, false));
        }
    });
    let runs = steps_that_run(pipeline, EventKind::Push, ref_name);
    out.map("steps", |out| {
        for step in &pipeline.steps {
            out.gap();
            out.comment(&why(step, &starts, &runs, ref_name));
            out.map(step.name.as_str(), |out| write_step(out, step));
        }
    });
    out.finish()
}

/// What its filters of paths ask of a push.
fn only_for(filter: &Filter) -> String {
    let mut text = String::new();
    if !filter.paths.is_empty() {
        text.push_str(&format!(
            " when it changes a file that matches {}",
            filter.paths.join(" or ")
        ));
    }
    if !filter.paths_ignore.is_empty() {
        text.push_str(&format!(
            " unless all that it changes matches {}",
            filter.paths_ignore.join(" or ")
        ));
    }
    text
}

fn why(step: &Step, starts: &Matched, runs: &BTreeSet<&Name>, ref_name: &str) -> String {
    if let Matched::No { .. } = starts {
        return "does not run: the pipeline does not start".to_owned();
    }
    let left_out = step.needs.iter().find(|need| !runs.contains(need));
    match when_matches(&step.when, EventKind::Push, ref_name) {
        Ok(()) if let Some(need) = left_out => {
            format!("does not run: it needs {need}, which does not run")
        }
        Err(why) => format!("does not run: {why}"),
        Ok(()) if step.needs.is_empty() => "runs at once".to_owned(),
        Ok(()) => {
            let needs: Vec<&str> = names(&step.needs).collect();
            format!("runs when {} passed", needs.join(" and "))
        }
    }
}

fn names(names: &[Name]) -> impl Iterator<Item = &str> {
    names.iter().map(Name::as_str)
}

fn texts(texts: &[String]) -> impl Iterator<Item = &str> {
    texts.iter().map(String::as_str)
}

/// A list of branches or tags that is not there fits none; an empty one would be a complaint.
fn filter(out: &mut Writer, filter: &Filter, all: bool) {
    for (key, patterns) in [("branches", &filter.branches), ("tags", &filter.tags)] {
        if let Some(patterns) = patterns {
            out.texts(key, texts(patterns));
        }
    }
    if all {
        out.texts("paths", texts(&filter.paths));
        out.texts("paths-ignore", texts(&filter.paths_ignore));
    }
}

fn write_step(out: &mut Writer, step: &Step) {
    out.map(step.kind.as_str(), |out| kind(out, &step.kind));
    out.texts("needs", names(&step.needs));
    if step.when != When::default() {
        out.map("when", |out| when(out, &step.when));
    }
    if !matches!(step.kind, StepKind::Build { .. }) {
        out.map("resources", |out| {
            out.raw("cpu", shown_cpu(step.resources.cpu_milli));
            out.raw("memory", shown_size(step.resources.memory_bytes));
            out.raw("work", shown_size(step.resources.work_bytes));
            out.raw("pids", step.resources.pids);
        });
    }
    out.raw("timeout", shown_duration(step.timeout_ms));
    if matches!(step.kind, StepKind::Run { .. } | StepKind::Test { .. }) {
        env(out, &step.env);
        out.map("reports", |out| out.texts("junit", texts(&step.junit)));
        out.texts("artifacts", texts(&step.artifacts));
    }
    out.raw("network", "none");
    out.texts("secrets", []);
    out.raw(
        "effects",
        if step.effects_outside {
            "outside"
        } else {
            "none"
        },
    );
}

fn kind(out: &mut Writer, kind: &StepKind) {
    match kind {
        StepKind::Build {
            dockerfile,
            context,
        } => {
            out.text("dockerfile", dockerfile);
            out.text("context", context);
        }
        StepKind::Analyze { tools } => {
            out.texts("tools", tools.iter().map(|tool| tool.as_str()));
        }
        StepKind::Scan { image } => out.text("image", image.as_str()),
        StepKind::Run {
            image,
            command: run,
            source,
        } => {
            out.text("image", &image.to_string());
            command(out, run, *source);
        }
        StepKind::Test {
            image,
            env: variables,
            ready: asked,
            services,
            probe,
            command: run,
            source,
        } => {
            out.text("image", image.as_str());
            env(out, variables);
            ready(out, asked);
            out.map("services", |out| {
                services.iter().for_each(|s| service(out, s))
            });
            out.map("probe", |out| {
                out.text("image", &probe.to_string());
                command(out, run, *source);
            });
        }
    }
}

fn command(out: &mut Writer, argv: &[String], source: ScriptSource) {
    match (source, argv.last()) {
        (ScriptSource::Script, Some(script)) => out.block("script", script),
        (ScriptSource::Command, _) | (ScriptSource::Script, None) => {
            out.texts("command", texts(argv));
        }
    }
}

fn service(out: &mut Writer, service: &Service) {
    out.map(service.name.as_str(), |out| {
        out.text("image", &service.image.to_string());
        env(out, &service.env);
        out.raw("user", service.user);
        out.texts("writable", service.writable.iter().map(String::as_str));
        ready(out, &service.ready);
    });
}

fn ready(out: &mut Writer, ready: &Ready) {
    out.map("ready", |out| {
        match &ready.probe {
            ReadyProbe::Http { url } => out.text("http", url),
            ReadyProbe::Tcp { port } => out.raw("tcp", port),
            // `check` makes none of these.
            ReadyProbe::Unsupported => out.raw("tcp", 0),
        }
        out.raw("within", shown_duration(ready.within_ms));
    });
}

fn env(out: &mut Writer, env: &BTreeMap<String, String>) {
    out.map("env", |out| {
        env.iter().for_each(|(key, value)| out.text(key, value))
    });
}

fn when(out: &mut Writer, when: &When) {
    let mut list = |key, items: Vec<&str>| {
        if !items.is_empty() {
            out.texts(key, items);
        }
    };
    list("branches", texts(&when.branches).collect());
    list("tags", texts(&when.tags).collect());
    list(
        "events",
        when.events.iter().map(|event| event.as_str()).collect(),
    );
}
