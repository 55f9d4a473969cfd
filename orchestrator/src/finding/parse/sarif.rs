//! SARIF 2.1.0 (Errata 01): what an analyser found, and whether it ran well at all.
//!
//! A report that says `executionSuccessful: false`, carries an error-level notification, or has no
//! `results` (§3.14.23: empty means ran and found nothing, absent or null that it did not) is no
//! clean report.

use super::text::{self, Unreadable, clean, clean_line};
use crate::finding::fingerprint::{InFile, Matched, Ordinals};
use crate::finding::state::{Finding, Location, Severity};
use schema::{Log, Message, PhysicalLocation, Region, Rule, Run, SarifResult};
use std::collections::HashMap;

mod schema;

/// A report: gitleaks lists its 200 rules in 50 KB, a finding takes about 1 KB.
pub const REPORT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Runs in a report: one tool writes one, aggregated reports a few.
pub const RUNS_MAX: usize = 16;
/// Results in a report: nobody reads more, they are written in one transaction, and a report that
/// was cut is no evidence.
pub const RESULTS_MAX: usize = 5_000;
/// Rules in a run: semgrep's largest sets have some thousands.
pub const RULES_MAX: usize = 20_000;
/// Overrides and notifications of a run.
pub const INVOCATION_ITEMS_MAX: usize = 10_000;
/// Characters of a message.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
/// Characters of a title.
pub const TITLE_CHARS_MAX: usize = 200;
/// Characters of a tool's name or a rule's id.
pub const ID_CHARS_MAX: usize = 200;
/// Characters of a path (Linux allows 4096 bytes; pages do not).
pub const PATH_CHARS_MAX: usize = 1_024;
/// A snippet shorter than this is not looked for in the message: it would mask ordinary words.
const MASKED_CHARS_MIN: usize = 6;

/// Tools whose matches are secrets. Of their reports neither snippet nor message is kept.
const SECRET_TOOLS: [&str; 4] = ["gitleaks", "betterleaks", "kingfisher", "trufflehog"];
/// Where workers unpack the source: what stands below is a path in the repository.
const SOURCE_ROOT: &str = "work/src/";
const FORMAT: &str = "SARIF";

/// What a report says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sarif {
    /// The tools that wrote it.
    pub tools: Vec<ToolName>,
    /// Reasons why it proves nothing: the tool did not run well. Empty when it did.
    pub problems: Vec<String>,
    /// The findings, by path, line and rule.
    pub findings: Vec<Finding>,
    /// Findings that the tool itself rates as errors (hadolint's verdict).
    pub errors: usize,
    /// Matches of a secret scanner that stand readable in the report (it ran without `--redact`):
    /// the report's bytes must not be shown.
    pub holds_secrets: bool,
}

/// A tool by name and version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolName {
    /// Lower-case.
    pub name: String,
    /// As the tool says it.
    pub version: Option<String>,
}

/// Reads a report.
pub fn parse(bytes: &[u8]) -> Result<Sarif, Unreadable> {
    text::bounded(FORMAT, bytes, REPORT_BYTES_MAX)?;
    let log: Log = text::json(FORMAT, bytes)?;
    if log.version != "2.1.0" {
        return Err(garbage("its version is not 2.1.0"));
    }
    if log.runs.is_empty() {
        return Err(garbage("it holds no run"));
    }
    limited("runs", log.runs.len(), RUNS_MAX)?;
    let results = log
        .runs
        .iter()
        .map(|run| run.results.as_ref().map_or(0, Vec::len))
        .sum();
    limited("results", results, RESULTS_MAX)?;
    let mut report = Sarif {
        tools: Vec::new(),
        problems: Vec::new(),
        findings: Vec::new(),
        errors: 0,
        holds_secrets: false,
    };
    let mut found = Vec::new();
    for run in &log.runs {
        read_run(run, &mut report, &mut found)?;
    }
    report.findings = in_order(found);
    Ok(report)
}

fn garbage(detail: &str) -> Unreadable {
    Unreadable::Garbage {
        format: FORMAT,
        detail: detail.to_owned(),
    }
}

fn limited(what: &'static str, count: usize, limit: usize) -> Result<(), Unreadable> {
    if count > limit {
        return Err(Unreadable::TooMany {
            format: FORMAT,
            what,
            limit,
        });
    }
    Ok(())
}

/// A result with all but its fingerprint, which depends on its equals.
struct Found {
    tool: String,
    rule: String,
    severity: Severity,
    title: String,
    message: String,
    path: Option<String>,
    line: Option<u32>,
    column: u32,
    matched: Matched,
    suppressed: bool,
}

fn read_run(run: &Run, report: &mut Sarif, found: &mut Vec<Found>) -> Result<(), Unreadable> {
    let name = clean_line(&run.tool.driver.name, ID_CHARS_MAX).to_lowercase();
    if name.is_empty() {
        return Err(garbage("a run does not name its tool"));
    }
    let secret_tool = SECRET_TOOLS.contains(&name.as_str());
    let rules = Rules::index(run)?;
    problems_of(run, &name, &mut report.problems)?;
    for result in run.results.iter().flatten() {
        let Some(level) = level_of(result, &rules, run) else {
            continue;
        };
        if result.baseline_state.as_deref() == Some("absent") {
            continue;
        }
        if level == Level::Error {
            report.errors += 1;
        }
        let rule = rules.of(result);
        if secret_tool && snippet_of(result).is_some_and(|s| !is_redacted(s)) {
            report.holds_secrets = true;
        }
        found.push(read_result(result, rule, level, &name, run, secret_tool));
    }
    report.tools.push(ToolName {
        name,
        version: [&run.tool.driver.version, &run.tool.driver.semantic_version]
            .into_iter()
            .flatten()
            .next()
            .map(|version| clean_line(version, ID_CHARS_MAX)),
    });
    Ok(())
}

/// Why this run proves nothing, if it does not.
fn problems_of(run: &Run, tool: &str, problems: &mut Vec<String>) -> Result<(), Unreadable> {
    if run.results.is_none() {
        problems.push(format!(
            "{tool} wrote no results: it did not run to its end"
        ));
    }
    let mut items = 0;
    for invocation in &run.invocations {
        items += invocation.notifications.len()
            + invocation.configuration_notifications.len()
            + invocation.overrides.len();
        limited("notifications", items, INVOCATION_ITEMS_MAX)?;
        if invocation.execution_successful != Some(true) {
            problems.push(format!("{tool} says that its run was not successful"));
        }
        let errors = invocation
            .notifications
            .iter()
            .chain(&invocation.configuration_notifications)
            .filter(|notification| notification.level.as_deref() == Some("error"));
        for error in errors.take(5) {
            let said = error.message.as_ref().and_then(Message::said);
            let said = clean_line(said.unwrap_or("an error"), TITLE_CHARS_MAX);
            problems.push(format!("{tool} reports: {said}"));
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Note,
}

impl Level {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "none" => None,
            "note" => Some(Self::Note),
            "error" => Some(Self::Error),
            // An unknown word is not allowed by the schema; the specification's default is safer
            // than dropping the result.
            _ => Some(Self::Warning),
        }
    }
}

/// §3.27.10: the result's level, else an override of this run, else the rule's default, else
/// `warning`; a kind other than `fail` without a level is no finding. None: no finding.
fn level_of(result: &SarifResult, rules: &Rules<'_>, run: &Run) -> Option<Level> {
    if let Some(word) = &result.level {
        return Level::parse(word);
    }
    if result.kind.as_deref().is_some_and(|kind| kind != "fail") {
        return None;
    }
    let id = rules.id_of(result);
    let overridden = run
        .invocations
        .iter()
        .flat_map(|invocation| &invocation.overrides)
        .filter(|o| o.descriptor.id.as_deref().is_some_and(|named| named == id))
        .find_map(|o| o.configuration.level.as_deref());
    let default = || {
        rules
            .of(result)
            .and_then(|rule| rule.default_configuration.as_ref())
            .and_then(|configuration| configuration.level.as_deref())
    };
    Level::parse(overridden.or_else(default).unwrap_or("warning"))
}

fn read_result(
    result: &SarifResult,
    rule: Option<&Rule>,
    level: Level,
    tool: &str,
    run: &Run,
    secret_tool: bool,
) -> Found {
    let place = result.locations.first().map(|l| &l.physical_location);
    let region = place.and_then(|place| place.region.as_ref());
    let path = place
        .and_then(|place| uri_of(place, run))
        .map(normalised_path);
    let id = rule.map(|rule| rule.id.as_str()).or_else(|| result.id());
    let id = clean_line(id.unwrap_or("unnamed"), ID_CHARS_MAX);
    let about = rule.and_then(Rule::about);
    let message = if secret_tool {
        format!("A secret matches the rule {id}. Take it back at its issuer, then remove it.")
    } else {
        masked(result.message.said().unwrap_or_default(), result)
    };
    let title = clean_line(about.unwrap_or(&message), TITLE_CHARS_MAX);
    Found {
        tool: tool.to_owned(),
        severity: if secret_tool {
            Severity::High
        } else {
            severity_of(rule, level)
        },
        matched: matched(result, region, secret_tool, &message),
        title: if title.is_empty() { id.clone() } else { title },
        rule: id,
        message: clean(&message, MESSAGE_CHARS_MAX),
        path,
        line: region.and_then(|region| region.start_line),
        column: region.and_then(|region| region.start_column).unwrap_or(0),
        suppressed: result.is_suppressed(),
    }
}

fn severity_of(rule: Option<&Rule>, level: Level) -> Severity {
    let score = rule
        .and_then(|rule| rule.properties.as_ref())
        .and_then(|properties| properties.security_severity.as_ref())
        .and_then(|value| match value {
            serde_json::Value::String(text) => text.parse::<f64>().ok(),
            serde_json::Value::Number(number) => number.as_f64(),
            serde_json::Value::Null
            | serde_json::Value::Bool(_)
            | serde_json::Value::Array(_)
            | serde_json::Value::Object(_) => None,
        })
        .filter(|score| (0.0..=10.0).contains(score));
    match (score, level) {
        (Some(score), _) => Severity::from_cvss_score(score),
        (None, Level::Error) => Severity::High,
        (None, Level::Warning) => Severity::Medium,
        (None, Level::Note) => Severity::Low,
    }
}

fn matched(
    result: &SarifResult,
    region: Option<&Region>,
    secret_tool: bool,
    message: &str,
) -> Matched {
    if secret_tool {
        let start = region.and_then(|r| r.start_line).unwrap_or(0);
        let end = region.and_then(|r| r.end_line).unwrap_or(start);
        let columns = region
            .and_then(|r| r.end_column?.checked_sub(r.start_column?))
            .filter(|_| start == end);
        return Matched::Shape {
            lines: end.saturating_sub(start),
            columns,
        };
    }
    match snippet_of(result) {
        Some(snippet) => Matched::text(snippet),
        None => Matched::text(message),
    }
}

fn snippet_of(result: &SarifResult) -> Option<&str> {
    let place = &result.locations.first()?.physical_location;
    let text = place.region.as_ref()?.snippet.as_ref()?.text.as_deref()?;
    (!text.trim().is_empty()).then_some(text)
}

fn is_redacted(snippet: &str) -> bool {
    snippet.contains("REDACTED") || snippet.chars().all(|c| c == '*')
}

/// A message without the matched text, which is not ours to repeat.
fn masked(message: &str, result: &SarifResult) -> String {
    match snippet_of(result).map(str::trim) {
        Some(snippet) if snippet.chars().count() >= MASKED_CHARS_MIN => {
            message.replace(snippet, "[matched text]")
        }
        _ => message.to_owned(),
    }
}

fn uri_of<'a>(place: &'a PhysicalLocation, run: &'a Run) -> Option<&'a str> {
    let artifact = place.artifact_location.as_ref()?;
    match (&artifact.uri, artifact.index) {
        (Some(uri), _) => Some(uri),
        (None, Some(index)) => {
            let index = usize::try_from(index).ok()?;
            run.artifacts.get(index)?.location.as_ref()?.uri.as_deref()
        }
        (None, None) => None,
    }
}

/// An untrusted URI as a relative path: no scheme, no percent-encoding, no `.` and `..`, nothing
/// above the root. `uriBaseId` is the report's own claim and not followed.
fn normalised_path(uri: &str) -> String {
    let uri = uri.strip_prefix("file://").unwrap_or(uri);
    let decoded = percent_decoded(uri).replace('\\', "/");
    let mut parts: Vec<&str> = Vec::new();
    for part in decoded.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let path = parts.join("/");
    clean_line(
        path.strip_prefix(SOURCE_ROOT).unwrap_or(&path),
        PATH_CHARS_MAX,
    )
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3);
        let digits = pair.and_then(|pair| std::str::from_utf8(pair).ok());
        let value = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if bytes[at] == b'%'
            && let Some(value) = value
        {
            out.push(value);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// Fingerprints in the order of the places, so that equals keep their ordinals.
fn in_order(mut found: Vec<Found>) -> Vec<Finding> {
    found.sort_by(|a, b| {
        (&a.path, a.line, a.column, &a.tool, &a.rule)
            .cmp(&(&b.path, b.line, b.column, &b.tool, &b.rule))
    });
    let mut ordinals = Ordinals::default();
    found
        .into_iter()
        .map(|one| {
            let fingerprint = ordinals.in_file(InFile {
                tool: one.tool.clone(),
                rule: one.rule.clone(),
                path: one.path.clone().unwrap_or_default(),
                matched: one.matched,
            });
            Finding {
                tool: one.tool,
                rule: one.rule,
                severity: one.severity,
                title: one.title,
                message: one.message,
                location: match one.path {
                    Some(path) => Location::File {
                        path,
                        line: one.line,
                    },
                    None => Location::Nowhere,
                },
                fingerprint,
                suppressed: one.suppressed,
                aliases: Vec::new(),
            }
        })
        .collect()
}

/// The rules of a run, found by id or by index, in the driver or an extension.
struct Rules<'a> {
    by_id: HashMap<&'a str, &'a Rule>,
    run: &'a Run,
}

impl<'a> Rules<'a> {
    fn index(run: &'a Run) -> Result<Self, Unreadable> {
        let components = std::iter::once(&run.tool.driver).chain(&run.tool.extensions);
        let rules = || components.clone().flat_map(|component| &component.rules);
        limited("rules", rules().count(), RULES_MAX)?;
        let mut by_id = HashMap::new();
        for rule in rules() {
            by_id.entry(rule.id.as_str()).or_insert(rule);
        }
        Ok(Self { by_id, run })
    }

    /// §3.52: `rule.index`/`ruleIndex` counts in the component that `rule.toolComponent` names, else
    /// in the driver; an id may be hierarchical (`CA2101/1` belongs to `CA2101`).
    fn of(&self, result: &SarifResult) -> Option<&'a Rule> {
        let reference = result.rule.as_ref();
        let index = reference.and_then(|r| r.index).or(result.rule_index);
        let component = reference.and_then(|r| r.tool_component.as_ref());
        let component = match component {
            None => Some(&self.run.tool.driver),
            Some(named) => self
                .run
                .tool
                .extensions
                .iter()
                .enumerate()
                .find_map(|(at, e)| {
                    let by_index = named.index.is_some_and(|i| usize::try_from(i) == Ok(at));
                    let by_name = named.name.as_deref() == Some(e.name.as_str());
                    (by_index || by_name).then_some(e)
                }),
        };
        let by_index = index
            .and_then(|index| usize::try_from(index).ok())
            .and_then(|index| component?.rules.get(index))
            .filter(|rule| result.id().is_none_or(|id| belongs(id, &rule.id)));
        by_index.or_else(|| {
            let id = result.id()?;
            let parent = id.rsplit_once('/').map(|(parent, _)| parent);
            (self.by_id.get(id).or_else(|| self.by_id.get(parent?))).copied()
        })
    }

    fn id_of(&self, result: &'a SarifResult) -> &'a str {
        match self.of(result) {
            Some(rule) => &rule.id,
            None => result.id().unwrap_or_default(),
        }
    }
}

fn belongs(id: &str, rule: &str) -> bool {
    id == rule
        || id
            .strip_prefix(rule)
            .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
