//! JUnit XML: which tests passed. There is no standard, so it is read by what writers agree on, and
//! nothing that can be counted is believed: the count attributes are never read.
//!
//! No document type and no entities of its own (they could grow without end or read files);
//! `flakyFailure` passed in the end, `rerunFailure` stands beside a `failure` (Surefire).

use super::text::{self, Unreadable, clean_line};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// A report: 10 000 cases with their output.
pub const REPORT_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Cases that are counted; more is no evidence, because the rest would go unread.
pub const CASES_MAX: usize = 20_000;
/// Nested suites.
pub const DEPTH_MAX: usize = 32;
/// Attributes of one element.
pub const ATTRIBUTES_MAX: usize = 64;
/// Characters of a name or a message.
pub const NAME_CHARS_MAX: usize = 300;
/// A test that took longer than this (30 days) has a wrong time.
const SECONDS_MAX: f64 = 30.0 * 86_400.0;
const FORMAT: &str = "JUnit";

/// What a report says, counted by ourselves.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TestResults {
    /// Tests that passed, flaky ones included.
    pub passed: u32,
    /// Tests whose assertion failed.
    pub failed: u32,
    /// Tests (or suites) that broke.
    pub errored: u32,
    /// Tests that were not run.
    pub skipped: u32,
    /// Passed only when repeated (counted under passed too).
    pub flaky: u32,
    /// Every case in the report's order.
    pub cases: Vec<TestCase>,
}

impl TestResults {
    /// Whether nothing failed.
    pub fn good(&self) -> bool {
        self.failed == 0 && self.errored == 0
    }

    /// Adds another report of the same step; the sum is bounded like one.
    pub fn add(&mut self, other: Self) -> Result<(), Unreadable> {
        for case in other.cases {
            self.count(case)?;
        }
        Ok(())
    }

    fn count(&mut self, case: TestCase) -> Result<(), Unreadable> {
        if self.cases.len() == CASES_MAX {
            return Err(Unreadable::TooMany {
                format: FORMAT,
                what: "test cases",
                limit: CASES_MAX,
            });
        }
        match case.outcome {
            CaseOutcome::Passed => self.passed += 1,
            CaseOutcome::Flaky => {
                self.passed += 1;
                self.flaky += 1;
            }
            CaseOutcome::Failed => self.failed += 1,
            CaseOutcome::Errored => self.errored += 1,
            CaseOutcome::Skipped => self.skipped += 1,
        }
        self.cases.push(case);
        Ok(())
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestCase {
    /// The suites that it stands in, outermost first, with its class.
    pub suite: String,
    /// Its name.
    pub name: String,
    /// How it went.
    pub outcome: CaseOutcome,
    /// What the framework said when it did not pass; first line.
    pub message: Option<String>,
    /// How long it took.
    pub duration_ms: Option<u64>,
}

/// How a test went. The order is the worse one's: what is seen later can only make it worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseOutcome {
    /// At once.
    Passed,
    /// When repeated.
    Flaky,
    /// Not run.
    Skipped,
    /// An assertion.
    Failed,
    /// Anything else.
    Errored,
}

impl CaseOutcome {
    /// The word in the database and the API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Flaky => "flaky",
            Self::Skipped => "skipped",
            Self::Failed => "failed",
            Self::Errored => "errored",
        }
    }

    /// Reads the word back.
    pub fn parse(word: &str) -> Option<Self> {
        [
            Self::Passed,
            Self::Flaky,
            Self::Skipped,
            Self::Failed,
            Self::Errored,
        ]
        .into_iter()
        .find(|outcome| outcome.as_str() == word)
    }
}

/// Reads a report.
pub fn parse(bytes: &[u8]) -> Result<TestResults, Unreadable> {
    text::bounded(FORMAT, bytes, REPORT_BYTES_MAX)?;
    let xml = std::str::from_utf8(bytes).map_err(|_| garbage("it is not UTF-8"))?;
    let mut reader = Reader::from_str(xml);
    let mut walk = Walk::default();
    loop {
        let event = reader.read_event().map_err(|_| {
            let at = reader.error_position();
            garbage(&format!("not well-formed XML near byte {at}"))
        })?;
        match event {
            Event::Start(element) => walk.open(&element)?,
            Event::Empty(element) => {
                walk.open(&element)?;
                walk.close()?;
            }
            Event::End(_) => walk.close()?,
            Event::DocType(_) => return Err(garbage("a document type is not accepted")),
            Event::GeneralRef(reference) => {
                let known = matches!(&*reference, "amp" | "lt" | "gt" | "apos" | "quot");
                if !known && !reference.starts_with('#') {
                    return Err(garbage("an entity of its own is not accepted"));
                }
            }
            Event::Text(found) => {
                if walk.open.is_empty() && !found.trim_ascii().is_empty() {
                    return Err(garbage("text stands outside the root element"));
                }
            }
            Event::CData(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof => break,
        }
    }
    walk.finish()
}

fn garbage(detail: &str) -> Unreadable {
    Unreadable::Garbage {
        format: FORMAT,
        detail: detail.to_owned(),
    }
}

/// The elements that are open, and what was counted.
#[derive(Default)]
struct Walk {
    open: Vec<Open>,
    results: TestResults,
    rooted: bool,
}

enum Open {
    /// `testsuites` or `testsuite`, with its name.
    Suite(String),
    Case(TestCase),
    /// Anything else.
    Other,
}

impl Walk {
    fn open(&mut self, element: &BytesStart<'_>) -> Result<(), Unreadable> {
        if self.open.len() == DEPTH_MAX {
            return Err(Unreadable::TooMany {
                format: FORMAT,
                what: "nested elements",
                limit: DEPTH_MAX,
            });
        }
        let local = element.local_name();
        let name: &str = local.as_ref();
        let in_suite = matches!(self.open.last(), Some(Open::Suite(_)));
        if self.open.is_empty() {
            if self.rooted || !matches!(name, "testsuites" | "testsuite") {
                return Err(garbage("the root is not one testsuites or testsuite"));
            }
            self.rooted = true;
        }
        let opened = match name {
            "testsuites" | "testsuite" if self.open.is_empty() || in_suite => {
                Open::Suite(Attributes::of(element)?.name("name"))
            }
            "testcase" if in_suite => Open::Case(self.case(&Attributes::of(element)?)),
            _ => {
                self.within(name, element)?;
                Open::Other
            }
        };
        self.open.push(opened);
        Ok(())
    }

    fn case(&self, attributes: &Attributes) -> TestCase {
        let suites = self.open.iter().filter_map(|open| match open {
            Open::Suite(name) if !name.is_empty() => Some(name.as_str()),
            Open::Suite(_) | Open::Case(_) | Open::Other => None,
        });
        let mut suite: Vec<&str> = suites.collect();
        let class = attributes.name("classname");
        if !class.is_empty() {
            suite.push(&class);
        }
        let not_run = matches!(
            attributes.get("status"),
            Some("notrun" | "disabled" | "skipped")
        );
        TestCase {
            suite: clean_line(&suite.join(" / "), NAME_CHARS_MAX),
            name: attributes.name("name"),
            outcome: if not_run {
                CaseOutcome::Skipped
            } else {
                CaseOutcome::Passed
            },
            message: None,
            duration_ms: attributes.get("time").and_then(duration_ms),
        }
    }

    /// A child of a case says how it went; a failure right in a suite (its set-up broke) counts as
    /// a case of its own.
    fn within(&mut self, name: &str, element: &BytesStart<'_>) -> Result<(), Unreadable> {
        let outcome = match name {
            "failure" => CaseOutcome::Failed,
            "error" => CaseOutcome::Errored,
            "skipped" => CaseOutcome::Skipped,
            "flakyFailure" | "flakyError" => CaseOutcome::Flaky,
            _ => return Ok(()),
        };
        let attributes = Attributes::of(element)?;
        let message = Some(attributes.name("message")).filter(|message| !message.is_empty());
        match self.open.last_mut() {
            Some(Open::Case(case)) => {
                if outcome > case.outcome {
                    case.outcome = outcome;
                    case.message = message;
                }
                Ok(())
            }
            Some(Open::Suite(suite)) if outcome >= CaseOutcome::Failed => {
                let case = TestCase {
                    suite: suite.clone(),
                    name: "the suite itself".to_owned(),
                    outcome: CaseOutcome::Errored,
                    message,
                    duration_ms: None,
                };
                self.results.count(case)
            }
            Some(Open::Suite(_) | Open::Other) | None => Ok(()),
        }
    }

    fn close(&mut self) -> Result<(), Unreadable> {
        match self.open.pop() {
            Some(Open::Case(case)) => self.results.count(case),
            Some(Open::Suite(_) | Open::Other) => Ok(()),
            None => Err(garbage("an element is closed that was never opened")),
        }
    }

    fn finish(self) -> Result<TestResults, Unreadable> {
        if !self.rooted {
            return Err(garbage("it is empty"));
        }
        if !self.open.is_empty() {
            return Err(garbage("it ends early"));
        }
        Ok(self.results)
    }
}

/// The few attributes that are read, by name.
struct Attributes(BTreeMap<&'static str, String>);

impl Attributes {
    fn of(element: &BytesStart<'_>) -> Result<Self, Unreadable> {
        let mut found = BTreeMap::new();
        // Without the reader's own check for repeats, which compares each with all others; the
        // first of two equal attributes is taken, and their number is bounded here.
        let mut attributes = element.attributes();
        for (index, attribute) in attributes.with_checks(false).enumerate() {
            if index == ATTRIBUTES_MAX {
                return Err(Unreadable::TooMany {
                    format: FORMAT,
                    what: "attributes of an element",
                    limit: ATTRIBUTES_MAX,
                });
            }
            let attribute = attribute.map_err(|_| garbage("an attribute is not well-formed"))?;
            let key: &str = attribute.key.as_ref();
            let wanted = ["name", "classname", "time", "message", "status"];
            let Some(known) = wanted.into_iter().find(|wanted| *wanted == key) else {
                continue;
            };
            let value = quick_xml::escape::unescape(&attribute.value)
                .map_err(|_| garbage("an entity of its own is not accepted"))?;
            found.entry(known).or_insert_with(|| value.into_owned());
        }
        Ok(Self(found))
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn name(&self, key: &str) -> String {
        clean_line(self.get(key).unwrap_or_default(), NAME_CHARS_MAX)
    }
}

/// Seconds as writers print them: `0.5`, `1,234.5` (thousands), `0,5` (a decimal comma).
fn duration_ms(text: &str) -> Option<u64> {
    let text = text.trim();
    let plain = if text.contains('.') {
        text.replace(',', "")
    } else {
        text.replacen(',', ".", 1)
    };
    let seconds: f64 = plain.parse().ok()?;
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked right above"
    )]
    let ms = (seconds * 1000.0).round() as u64;
    Some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What pytest 8 writes, shortened.
    const PYTEST: &str = r#"<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0" failures="0" skipped="0" tests="99" time="1,204.5" timestamp="2026-11-24T08:00:00+00:00" hostname="h"><testcase classname="tests.test_api" name="test_health" time="0.012" /><testcase classname="tests.test_api" name="test_sum[1 &amp; 2]" time="0,5"><failure message="assert 3 == 4&#10;more">trace &lt;x&gt;</failure></testcase><testcase classname="tests.test_api" name="test_later" time="0.000"><skipped type="pytest.skip" message="later">x</skipped></testcase><testcase classname="" name="tests.test_broken" time="0.000"><error message="collection failure">ImportError</error></testcase></testsuite></testsuites>"#;

    fn counts(xml: &str) -> (u32, u32, u32, u32) {
        let results = parse(xml.as_bytes()).unwrap();
        (
            results.passed,
            results.failed,
            results.errored,
            results.skipped,
        )
    }

    #[test]
    fn a_report_is_counted_by_its_cases_and_not_by_what_it_claims() {
        let results = parse(PYTEST.as_bytes()).unwrap();
        assert_eq!(counts(PYTEST), (1, 1, 1, 1));
        assert!(!results.good());
        let failed = &results.cases[1];
        assert_eq!(failed.name, "test_sum[1 & 2]");
        assert_eq!(failed.suite, "pytest tests / pytest / tests.test_api");
        assert_eq!(failed.message.as_deref(), Some("assert 3 == 4"));
        assert_eq!(failed.duration_ms, Some(500));
        let lying = r#"<testsuite tests="5" failures="0"><testcase name="a"><failure/></testcase></testsuite>"#;
        assert_eq!(counts(lying), (0, 1, 0, 0));
    }

    #[test]
    fn suites_nest_and_repeats_are_understood() {
        let nested = r#"<testsuites><testsuite name="a"><testsuite name="b">
            <testcase name="1"><flakyFailure message="x"/></testcase>
            <testcase name="2"><failure/><rerunFailure/></testcase>
            <testcase name="3"><system-out><![CDATA[<failure/>]]></system-out></testcase>
            <testcase name="4" status="notrun"/>
            <testcase name="5"><properties><failure/></properties></testcase>
        </testsuite></testsuite></testsuites>"#;
        assert_eq!(counts(nested), (3, 1, 0, 1));
        assert_eq!(parse(nested.as_bytes()).unwrap().flaky, 1);
        let broken_suite = r#"<testsuite name="s"><error message="no database"/></testsuite>"#;
        assert_eq!(counts(broken_suite), (0, 0, 1, 0));
        let mixed = r#"<testsuite><testcase name="a"><failure/><skipped/></testcase></testsuite>"#;
        assert_eq!(counts(mixed), (0, 1, 0, 0), "a failure is not undone");
    }

    #[test]
    fn times_are_read_as_writers_print_them() {
        for (text, ms) in [
            ("0.5", Some(500)),
            ("1,234.5", Some(1_234_500)),
            ("0,25", Some(250)),
            ("", None),
            ("-1", None),
            ("NaN", None),
            ("1e300", None),
        ] {
            assert_eq!(duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn entities_and_document_types_are_refused() {
        let laughs =
            r#"<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><testsuite name="&b;"/>"#;
        let file = r#"<!DOCTYPE x SYSTEM "file:///etc/passwd"><testsuite/>"#;
        let text = "<testsuite>&unknown;</testsuite>";
        let attribute = r#"<testsuite name="&unknown;"/>"#;
        for xml in [laughs, file, text, attribute] {
            assert!(
                matches!(parse(xml.as_bytes()), Err(Unreadable::Garbage { .. })),
                "{xml}"
            );
        }
    }

    #[test]
    fn garbage_is_refused() {
        for xml in [
            "",
            "   ",
            "not xml",
            "<html/>",
            "<testsuite>",
            "<testsuite><testcase></testsuite>",
            "<testsuite/><testsuite/>",
            "<testsuite/>trailing",
            "</testsuite>",
            "<testsuite",
            &PYTEST[..PYTEST.len() / 2],
        ] {
            assert!(
                matches!(parse(xml.as_bytes()), Err(Unreadable::Garbage { .. })),
                "{xml}"
            );
        }
        assert!(parse(b"<testsuite name=\"\xff\"/>").is_err());
    }

    #[test]
    fn every_limit_is_reached() {
        let large = vec![b' '; REPORT_BYTES_MAX + 1];
        assert!(matches!(parse(&large), Err(Unreadable::TooLarge { .. })));
        let cases = |count: usize| {
            let cases = "<testcase/>".repeat(count);
            parse(format!("<testsuite>{cases}</testsuite>").as_bytes())
        };
        assert_eq!(cases(CASES_MAX).unwrap().passed as usize, CASES_MAX);
        assert!(matches!(
            cases(CASES_MAX + 1),
            Err(Unreadable::TooMany { .. })
        ));
        let deep = format!(
            "{}{}",
            "<testsuite>".repeat(DEPTH_MAX + 1),
            "</testsuite>".repeat(DEPTH_MAX + 1)
        );
        assert!(matches!(
            parse(deep.as_bytes()),
            Err(Unreadable::TooMany { .. })
        ));
        let attributes: String = (0..=ATTRIBUTES_MAX).map(|n| format!(" a{n}='x'")).collect();
        let wide = format!("<testsuite{attributes}/>");
        assert!(matches!(
            parse(wide.as_bytes()),
            Err(Unreadable::TooMany { .. })
        ));
        let name = "n".repeat(NAME_CHARS_MAX + 10);
        let long = format!(r#"<testsuite><testcase name="{name}"/></testsuite>"#);
        let results = parse(long.as_bytes()).unwrap();
        assert_eq!(results.cases[0].name.chars().count(), NAME_CHARS_MAX + 1);
        let mut sum = cases(CASES_MAX).unwrap();
        assert!(sum.add(cases(1).unwrap()).is_err());
    }
}
