//! From the tree to `syntax`.

use crate::complaint::{Complaints, Spanned};
use crate::name::Name;
use crate::settings::model::{
    ApprovalRule, FindingsRule, Gate, Outsiders, Promote, SeverityLevel, TestsRule,
};
use crate::settings::syntax::{Environment, File};
use crate::yaml::{
    self, Node, byte_size, duration_ms, entries, fields, integer, keyed, list, name, one_of, text,
    texts,
};

/// Patterns of known registries.
const REGISTRIES_MAX: usize = 100;
/// More places than that are a fleet, not a path.
const ENVIRONMENTS_MAX: usize = 30;
/// Roles in one list.
const ROLES_MAX: usize = 10;
/// People that one rule may ask for.
const APPROVALS_MAX: u64 = 20;
/// Ecosystems in one list.
const ECOSYSTEMS_MAX: usize = 20;
/// An approval that nobody used in a day was about something else.
const EXPIRES_MS_DEFAULT: u64 = 24 * 3_600_000;
/// And never longer than a week.
const EXPIRES_MS_MAX: u64 = 7 * 24 * 3_600_000;
/// The longest time that a gate may ask for.
const GATE_MS_MAX: u64 = 90 * 24 * 3_600_000;
/// The longest that a project may let one step take.
const TIMEOUT_MS_MAX: u64 = 24 * 3_600_000;
/// The most memory that a project may let one step have.
const MEMORY_BYTES_MAX: u64 = 256 << 30;

/// Reads the whole document.
pub(crate) fn file(node: &Node, complaints: &mut Complaints<'_>) -> Option<File> {
    let mut keys = fields(node, "a settings document", complaints)?;
    let mut not_yet = Vec::new();
    yaml::version(&mut keys, complaints);
    let project = keys.required("project", complaints);
    let project = project.and_then(|node| name(node, "`project`", complaints));
    let source = keys.required("source", complaints);
    let git = source.and_then(|node| {
        let mut keys = fields(node, "`source`", complaints)?;
        let git = keys.required("git", complaints);
        let git = git.and_then(|node| text(node, "`git`", complaints));
        keys.finish(complaints);
        git
    });
    let pipeline = keys.optional("pipeline");
    let pipeline = pipeline.and_then(|node| text(node, "`pipeline`", complaints));
    let outsiders = keys.optional("trust");
    let outsiders = outsiders.and_then(|node| read_trust(node, complaints));
    let known = keys.optional("known-registries");
    let known =
        known.and_then(|node| texts(node, "`known-registries`", REGISTRIES_MAX, complaints));
    let quarantine = keys.required("quarantine", complaints);
    let quarantine = quarantine.and_then(|node| text(node, "`quarantine`", complaints));
    let limits = keys.optional("limits");
    let (timeout, memory, parallel_steps) =
        limits.map_or((None, None, None), |node| read_limits(node, complaints));
    let environments = keys.optional("environments");
    let environments = environments.map_or_else(Vec::new, |node| {
        read_environments(node, &mut not_yet, complaints)
    });
    keys.finish(complaints);
    Some(File {
        project,
        git,
        pipeline,
        outsiders,
        known_registries: known.unwrap_or_default(),
        quarantine,
        timeout,
        memory,
        parallel_steps,
        environments,
        not_yet,
    })
}

fn read_trust(node: &Node, complaints: &mut Complaints<'_>) -> Option<Spanned<Outsiders>> {
    let words = [
        ("never", Outsiders::Never),
        ("hold", Outsiders::Hold),
        ("untrusted", Outsiders::Untrusted),
    ];
    let mut keys = fields(node, "`trust`", complaints)?;
    let outsiders = keys.optional("outsiders");
    let outsiders = outsiders.and_then(|node| one_of(node, "`outsiders`", &words, complaints));
    keys.finish(complaints);
    outsiders
}

type Limit = Option<Spanned<u64>>;

fn read_limits(node: &Node, complaints: &mut Complaints<'_>) -> (Limit, Limit, Limit) {
    let Some(mut keys) = fields(node, "`limits`", complaints) else {
        return (None, None, None);
    };
    let timeout = keys.optional("timeout");
    let timeout =
        timeout.and_then(|node| duration_ms(node, "`timeout`", TIMEOUT_MS_MAX, complaints));
    let memory = keys.optional("memory");
    let memory = memory.and_then(|node| byte_size(node, "`memory`", MEMORY_BYTES_MAX, complaints));
    let steps = keys.optional("parallel-steps");
    let steps = steps.and_then(|node| integer(node, "`parallel-steps`", 1..=100, complaints));
    keys.finish(complaints);
    (timeout, memory, steps)
}

fn read_environments(
    node: &Node,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Vec<Environment> {
    let Some(found) = entries(node, "`environments`", complaints) else {
        return Vec::new();
    };
    if found.len() > ENVIRONMENTS_MAX {
        let message = format!("the project has {} environments", found.len());
        let label = format!("at most {ENVIRONMENTS_MAX}");
        let span = found[ENVIRONMENTS_MAX].0.span;
        complaints.error(crate::complaint::Code::TooLong, span, message, label);
        return Vec::new();
    }
    found
        .iter()
        .filter_map(|(key, node)| {
            let name = keyed(key, complaints)?;
            read_environment(name, node, not_yet, complaints)
        })
        .collect()
}

fn read_environment(
    name: Spanned<Name>,
    node: &Node,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Option<Environment> {
    let mut keys = fields(node, "an environment", complaints)?;
    let after = keys.optional("after");
    let after = after.and_then(|node| texts(node, "`after`", ENVIRONMENTS_MAX, complaints));
    let repository = keys.required("repository", complaints);
    let repository = repository.and_then(|node| text(node, "`repository`", complaints));
    let words = [
        ("automatic", Promote::Automatic),
        ("by-hand", Promote::ByHand),
    ];
    let promote = keys.required("promote", complaints);
    let promote = promote.and_then(|node| one_of(node, "`promote`", &words, complaints));
    let mut approvers = Vec::new();
    let gate = keys.required("gate", complaints);
    let gate = gate.and_then(|node| read_gate(node, &mut approvers, not_yet, complaints));
    let freeze = keys.key("freeze");
    not_yet.extend(freeze.map(|span| Spanned::new("freeze windows are not there yet", span)));
    keys.finish(complaints);
    Some(Environment {
        name,
        after: after.unwrap_or_default(),
        repository,
        promote,
        gate,
        approvers,
    })
}

fn read_gate(
    node: &Node,
    approvers: &mut Vec<Spanned<Name>>,
    not_yet: &mut Vec<Spanned<&'static str>>,
    complaints: &mut Complaints<'_>,
) -> Option<Gate> {
    let mut keys = fields(node, "`gate`", complaints)?;
    // Said or not, the run has to have succeeded; the key is there for whoever reads the settings.
    let run = keys.optional("run");
    run.and_then(|node| one_of(node, "`run`", &[("succeeded", ())], complaints));
    let findings = keys.optional("findings");
    let findings = findings.and_then(|node| read_findings(node, complaints));
    let tests = keys.optional("tests");
    let tests = tests.and_then(|node| read_tests(node, complaints));
    let soak = keys.optional("soak");
    let soak = soak.and_then(|node| duration_ms(node, "`soak`", GATE_MS_MAX, complaints));
    let approvals = keys.optional("approvals");
    let approvals = approvals.and_then(|node| list(node, "`approvals`", ROLES_MAX, complaints));
    let approvals = approvals.unwrap_or_default().iter();
    let approvals = approvals
        .filter_map(|node| read_approval(node, approvers, complaints))
        .collect();
    for (key, what) in [
        ("freeze", "freeze windows are not there yet"),
        ("rego", "rules in Rego are not there yet"),
        ("hermetic", "every build is hermetic in this version"),
    ] {
        not_yet.extend(keys.key(key).map(|span| Spanned::new(what, span)));
    }
    keys.finish(complaints);
    Some(Gate {
        findings,
        tests,
        soak_ms: soak.map(|soak| soak.value),
        approvals,
    })
}

fn read_findings(node: &Node, complaints: &mut Complaints<'_>) -> Option<FindingsRule> {
    let words = [
        ("low", SeverityLevel::Low),
        ("medium", SeverityLevel::Medium),
        ("high", SeverityLevel::High),
        ("critical", SeverityLevel::Critical),
    ];
    let mut keys = fields(node, "`findings`", complaints)?;
    let level = keys.required("none-at-or-above", complaints);
    let level = level.and_then(|node| one_of(node, "`none-at-or-above`", &words, complaints));
    let what = "`advisories-confirmed-within`";
    let within = keys.optional("advisories-confirmed-within");
    let within = within.and_then(|node| duration_ms(node, what, GATE_MS_MAX, complaints));
    let accept = keys.optional("accept-unmatched");
    let accept =
        accept.and_then(|node| texts(node, "`accept-unmatched`", ECOSYSTEMS_MAX, complaints));
    keys.finish(complaints);
    let accept = accept.unwrap_or_default();
    Some(FindingsRule {
        none_at_or_above: level?.value,
        advisories_confirmed_within_ms: within.map(|within| within.value),
        accept_unmatched: accept.into_iter().map(|text| text.value).collect(),
    })
}

fn read_tests(node: &Node, complaints: &mut Complaints<'_>) -> Option<TestsRule> {
    let mut keys = fields(node, "`tests`", complaints)?;
    let passed = keys.optional("passed");
    passed.and_then(|node| one_of(node, "`passed`", &[("all", ())], complaints));
    let at_least = keys.optional("at-least");
    let at_least = at_least.and_then(|node| integer(node, "`at-least`", 1..=1_000_000, complaints));
    keys.finish(complaints);
    Some(TestsRule {
        at_least: at_least.map_or(1, |at_least| at_least.value),
    })
}

fn read_approval(
    node: &Node,
    approvers: &mut Vec<Spanned<Name>>,
    complaints: &mut Complaints<'_>,
) -> Option<ApprovalRule> {
    let mut keys = fields(node, "an approval", complaints)?;
    let from = keys.required("from", complaints);
    let from = from.and_then(|node| name(node, "`from`", complaints));
    let count = keys.optional("count");
    let count = count.and_then(|node| integer(node, "`count`", 1..=APPROVALS_MAX, complaints));
    let not_also = keys.optional("not-also");
    let not_also = not_also.and_then(|node| list(node, "`not-also`", ROLES_MAX, complaints));
    let not_also = not_also.unwrap_or_default().iter();
    let not_also = not_also
        .filter_map(|node| name(node, "a role", complaints))
        .map(|role| role.value)
        .collect();
    let expires = keys.optional("expires");
    let expires =
        expires.and_then(|node| duration_ms(node, "`expires`", EXPIRES_MS_MAX, complaints));
    keys.finish(complaints);
    let from = from?;
    approvers.push(from.clone());
    Some(ApprovalRule {
        from: from.value,
        count: u32::try_from(count.map_or(1, |count| count.value)).ok()?,
        not_also,
        expires_ms: expires.map_or(EXPIRES_MS_DEFAULT, |expires| expires.value),
    })
}
