//! The verdict over a reported step, from its stored reports. Pure.
//!
//! A worker's word that a step passed is a claim: it stands only when every report that the plan
//! wants is there, can be read, and says that its tool ran well (P4).

use super::expected::Expected;
use super::parse::{cyclonedx, junit, sarif};
use super::state::Finding;
use contract::digest::Digest;
use contract::language::patterns_match;
use contract::protocol::{Outcome, Report};

/// Problems that are named in a verdict before the rest is only counted.
const NAMED_MAX: usize = 5;

/// What a step's reports say about it: the answer to `step::Verdicts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// All was there and good.
    Passed,
    /// The step's own work is not good enough.
    Failed(String),
    /// Something that proves it is missing, unreadable, or says that its tool did not run well.
    Incomplete(String),
    /// Not the step's fault: it may be repeated.
    Infrastructure(String),
}

impl Verdict {
    /// The word in the database.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "failed",
            Self::Incomplete(_) => "incomplete",
            Self::Infrastructure(_) => "infrastructure",
        }
    }

    /// Why, for people.
    pub fn detail(&self) -> &str {
        match self {
            Self::Passed => "",
            Self::Failed(why) | Self::Incomplete(why) | Self::Infrastructure(why) => why,
        }
    }

    pub(super) fn of_row(outcome: &str, detail: String) -> Option<Self> {
        match outcome {
            "passed" => Some(Self::Passed),
            "failed" => Some(Self::Failed(detail)),
            "incomplete" => Some(Self::Incomplete(detail)),
            "infrastructure" => Some(Self::Infrastructure(detail)),
            _ => None,
        }
    }
}

/// A stored file of the step.
#[derive(Debug, Clone)]
pub struct StoredFile {
    /// The artifact's id.
    pub artifact_id: String,
    /// Its name (`sarif/gitleaks.sarif`).
    pub name: String,
    /// Its digest.
    pub digest: Digest,
    /// Its bytes, or why they could not be read.
    pub bytes: Result<Vec<u8>, String>,
}

/// How one report was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportRead {
    /// The artifact, when there is one.
    pub artifact_id: Option<String>,
    /// The tool, or the JUnit file.
    pub tool: String,
    /// `sarif`, `junit` or `cyclonedx`.
    pub format: &'static str,
    /// `read`, `unreadable`, `missing` or `did-not-run`.
    pub outcome: &'static str,
    /// Why, or what was in it.
    pub detail: String,
    /// What it says about tests.
    pub tests: Option<junit::TestResults>,
}

/// All that a step's reports give.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// Each report.
    pub reports: Vec<ReportRead>,
    /// Findings in files.
    pub findings: Vec<Finding>,
    /// The bill of materials and its digest.
    pub sbom: Option<(Digest, cyclonedx::Sbom)>,
}

/// Judges a step.
pub fn judge(expected: &Expected, report: &Report, files: &[StoredFile]) -> Judgement {
    let mut court = Court::new(report, files);
    match &report.outcome {
        Outcome::Passed | Outcome::Failed { .. } => {}
        Outcome::Infrastructure { what } => {
            return court.close(Some(Verdict::Infrastructure(what.clone())));
        }
        Outcome::Refused { reason } => return court.close(Some(Verdict::Failed(reason.clone()))),
        Outcome::Cancelled | Outcome::Deadline | Outcome::Unsupported => {
            let why = "the work was not brought to its end".to_owned();
            return court.close(Some(Verdict::Incomplete(why)));
        }
    }
    match expected {
        Expected::Analyze { tools } => court.analysers(tools),
        Expected::Scan { sbom, secrets, .. } => {
            // It fails only when it did not run well: what it found is the gate's business.
            court.bill_of_materials(sbom);
            if let Some(read) = court.sarif(secrets, &format!("sarif/{secrets}.sarif")) {
                court.findings.extend(read.findings);
            }
        }
        Expected::Test { junit } => {
            let results = court.junit(junit);
            if !results.good() {
                let count = results.failed + results.errored;
                let all = results.cases.len();
                court
                    .failures
                    .push(format!("{count} of {all} tests failed"));
            }
        }
        Expected::Run { junit } => drop(court.junit(junit)),
    }
    court.close(None)
}

struct Court<'a> {
    report: &'a Report,
    files: &'a [StoredFile],
    reports: Vec<ReportRead>,
    findings: Vec<Finding>,
    sbom: Option<(Digest, cyclonedx::Sbom)>,
    failures: Vec<String>,
    missing: Vec<String>,
    unreachable: Vec<String>,
}

impl<'a> Court<'a> {
    fn new(report: &'a Report, files: &'a [StoredFile]) -> Self {
        Self {
            report,
            files,
            reports: Vec::new(),
            findings: Vec::new(),
            sbom: None,
            failures: Vec::new(),
            missing: Vec::new(),
            unreachable: Vec::new(),
        }
    }

    /// The verdict: what failed for certain comes before what is not known, and that before what may
    /// be repeated.
    fn close(mut self, fixed: Option<Verdict>) -> Judgement {
        if let Outcome::Failed { reason, .. } = &self.report.outcome
            && self.failures.is_empty()
            && self.missing.is_empty()
            && self.unreachable.is_empty()
        {
            self.failures.push(reason.clone());
        }
        let verdict = fixed.unwrap_or_else(|| {
            if !self.failures.is_empty() {
                let all = self.failures.iter().chain(&self.missing);
                Verdict::Failed(listed(all.cloned().collect()))
            } else if !self.unreachable.is_empty() {
                Verdict::Infrastructure(listed(self.unreachable))
            } else if !self.missing.is_empty() {
                Verdict::Incomplete(listed(self.missing))
            } else {
                Verdict::Passed
            }
        });
        Judgement {
            verdict,
            reports: self.reports,
            findings: self.findings,
            sbom: self.sbom,
        }
    }

    fn analysers(&mut self, tools: &[String]) {
        for tool in tools {
            let Some(read) = self.sarif(tool, &format!("sarif/{tool}.sarif")) else {
                continue;
            };
            let (results, errors) = (read.findings.len(), read.errors);
            self.findings.extend(read.findings);
            // gitleaks fails on any result: one leaked secret is one too many. The others fail on
            // what they themselves rate as errors (DECISIONS 18).
            if tool == "gitleaks" && results > 0 {
                self.failures
                    .push(format!("gitleaks found {}", counted(results, "secret")));
            } else if tool != "gitleaks" && errors > 0 {
                self.failures
                    .push(format!("{tool} found {}", counted(errors, "error")));
            }
        }
    }

    fn bill_of_materials(&mut self, tool: &str) {
        const NAME: &str = "sbom/cyclonedx.json";
        let ended = self.ended(tool, None);
        let Some(file) = self.file(tool, "cyclonedx", NAME) else {
            return;
        };
        let Ok(bytes) = &file.bytes else { return };
        let read = cyclonedx::parse(bytes);
        let (outcome, detail) = match (&read, &ended) {
            (Err(error), _) => ("unreadable", error.to_string()),
            (Ok(_), Err(problem)) => ("did-not-run", problem.clone()),
            (Ok(sbom), Ok(())) => ("read", counted(sbom.packages.len(), "package")),
        };
        self.note(Some(file), tool, "cyclonedx", outcome, detail);
        if let (Ok(sbom), Ok(())) = (read, ended) {
            self.sbom = Some((file.digest, sbom));
        }
    }

    fn sarif(&mut self, tool: &str, name: &str) -> Option<sarif::Sarif> {
        let file = self.file(tool, "sarif", name)?;
        let Ok(bytes) = &file.bytes else { return None };
        let read = match sarif::parse(bytes) {
            Ok(read) => read,
            Err(error) => {
                self.note(Some(file), tool, "sarif", "unreadable", error.to_string());
                return None;
            }
        };
        let mut problems = read.problems.clone();
        if !read.tools.iter().any(|named| named.name == tool) {
            problems.push(format!("the report was not written by {tool}"));
        }
        if read.holds_secrets {
            problems.push("its report holds the secrets themselves (it has to redact)".to_owned());
        }
        problems.extend(self.ended(tool, Some(read.findings.len())).err());
        if problems.is_empty() {
            let detail = counted(read.findings.len(), "finding");
            self.note(Some(file), tool, "sarif", "read", detail);
        } else {
            self.note(Some(file), tool, "sarif", "did-not-run", listed(problems));
        }
        // What a tool found before it stumbled is shown all the same.
        Some(read)
    }

    /// How a tool ended: 0, or 1 with results. `results` is none for a tool that has no such code.
    fn ended(&self, tool: &str, results: Option<usize>) -> Result<(), String> {
        let end = self.report.tools.iter().find(|end| end.name == tool);
        let Some(end) = end else {
            return Err(format!("the worker does not say how {tool} ended"));
        };
        if let Some(problem) = &end.problem {
            return Err(format!("{tool}: {}", said(problem)));
        }
        match (end.exit_code, results) {
            (Some(0), _) => Ok(()),
            (Some(1), Some(results)) if results > 0 => Ok(()),
            (Some(1), Some(_)) => Err(format!("{tool} exited with 1 and reported nothing")),
            (Some(code), _) => Err(format!("{tool} exited with {code}")),
            (None, _) => Err(format!("{tool} was ended by a signal or a limit")),
        }
    }

    /// Every pattern has to be met by a report; all are counted together.
    fn junit(&mut self, patterns: &[String]) -> junit::TestResults {
        let mut sum = junit::TestResults::default();
        let reports = self.files.iter().filter_map(|file| {
            let path = file.name.strip_prefix("junit/")?;
            Some((file, path))
        });
        let reports: Vec<(&StoredFile, &str)> = reports.collect();
        for pattern in patterns {
            let met = |path: &str| patterns_match(&[pattern], path);
            // A step that failed before it could write its report has failed: its exit says more.
            let failed = matches!(self.report.outcome, Outcome::Failed { .. });
            if !reports.iter().any(|(_, path)| met(path)) {
                if failed {
                    self.reports.push(ReportRead {
                        artifact_id: None,
                        tool: pattern.clone(),
                        format: "junit",
                        outcome: "missing",
                        detail: "the step failed before it was written".to_owned(),
                        tests: None,
                    });
                } else {
                    self.note(None, pattern, "junit", "missing", "no such file".to_owned());
                }
            }
        }
        for (file, path) in reports {
            self.junit_file(file, path, &mut sum);
        }
        sum
    }

    fn junit_file(&mut self, file: &'a StoredFile, path: &str, sum: &mut junit::TestResults) {
        let bytes = match &file.bytes {
            Ok(bytes) => bytes,
            Err(why) => return self.unreachable.push(format!("{path}: {}", said(why))),
        };
        let read = junit::parse(bytes).and_then(|results| {
            sum.add(results.clone())?;
            Ok(results)
        });
        match read {
            Ok(results) => self.reports.push(ReportRead {
                artifact_id: Some(file.artifact_id.clone()),
                tool: path.to_owned(),
                format: "junit",
                outcome: "read",
                detail: counted(results.cases.len(), "test"),
                tests: Some(results),
            }),
            Err(error) => self.note(Some(file), path, "junit", "unreadable", error.to_string()),
        }
    }

    fn file(&mut self, tool: &str, format: &'static str, name: &str) -> Option<&'a StoredFile> {
        let Some(file) = self.files.iter().find(|file| file.name == name) else {
            let detail = match self.ended(tool, None) {
                Ok(()) => "it wrote no report".to_owned(),
                Err(problem) => format!("it wrote no report ({problem})"),
            };
            self.note(None, tool, format, "missing", detail);
            return None;
        };
        if let Err(why) = &file.bytes {
            self.unreachable.push(format!("{name}: {}", said(why)));
        }
        Some(file)
    }

    fn note(
        &mut self,
        file: Option<&StoredFile>,
        tool: &str,
        format: &'static str,
        outcome: &'static str,
        detail: String,
    ) {
        if outcome != "read" {
            let what = match format {
                "junit" => format!("test report {tool}"),
                _ => tool.to_owned(),
            };
            self.missing.push(format!("{what}: {detail}"));
        }
        self.reports.push(ReportRead {
            artifact_id: file.map(|file| file.artifact_id.clone()),
            tool: tool.to_owned(),
            format,
            outcome,
            detail,
            tests: None,
        });
    }
}

fn said(text: &str) -> String {
    super::parse::clean_line(text, 200)
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn listed(mut all: Vec<String>) -> String {
    let more = all.len().saturating_sub(NAMED_MAX);
    all.truncate(NAMED_MAX);
    let text = all.join("; ");
    if more > 0 {
        format!("{text}; and {more} more")
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
