//! Stories about whole pipeline files: what people read when they wrote something wrong, and that nothing
//! a stranger writes takes long.

use super::{CheckContext, check_all, explain};
use std::time::{Duration, Instant};

/// A hostile file is read in a moment on the slowest machine; what grows without bound takes minutes.
const MOMENT: Duration = Duration::from_secs(5);

fn told(text: &str) -> String {
    told_of(text.as_bytes())
}

fn told_of(bytes: &[u8]) -> String {
    let began = Instant::now();
    let checked = check_all(".sallyport.yml", bytes, &CheckContext::default());
    assert!(began.elapsed() < MOMENT, "{:?}", began.elapsed());
    assert!(checked.value.is_none(), "it was accepted");
    checked.rendered()
}

const STEPS: &str = "version: 1
on: { push: { branches: [main], paths: [\"src/**\"], paths-ignore: [\"**/*.md\"] } }
steps:
  web: { build: {} }
  contents: { scan: { image: web } }
  docs:
    analyze: { tools: [gitleaks] }
    when: { branches: [\"release/*\"] }
  publish:
    analyze: { tools: [gitleaks] }
    needs: [docs]
";

#[test]
fn a_file_that_is_not_yaml() {
    insta::assert_snapshot!(told("version: 1\non: [push\nsteps: {}\n"), @"<not_yaml>");
    insta::assert_snapshot!(told("version: 1\n\tsteps: {}\n"), @"<tab>");
    insta::assert_snapshot!(told("just a text\n"), @"<text>");
}

#[test]
fn bytes_that_are_no_text() {
    insta::assert_snapshot!(told_of(b"version: 1\nname: \xff\xfe\n"), @"<not_utf8>");
    insta::assert_snapshot!(told(""), @"<empty>");
    insta::assert_snapshot!(told("# nothing yet\n"), @"<comment>");
}

#[test]
fn a_key_twice() {
    insta::assert_snapshot!(told("version: 1\non: { push: {} }\nsteps:\n  web: { build: {} }\n  web: { analyze: {} }\n"), @"<twice>");
}

#[test]
fn steps_in_a_circle() {
    let text = "version: 1
on: { push: {} }
steps:
  a: { analyze: {}, needs: [b] }
  b: { analyze: {}, needs: [c] }
  c: { analyze: {}, needs: [a] }
  alone: { analyze: {}, needs: [alone] }
";
    insta::assert_snapshot!(told(text), @"<circle>");
}

#[test]
fn unknown_keys_are_named_with_the_nearest_one() {
    let text = "version: 1
on: { push: { branch: [main] } }
stages: []
steps:
  web: { build: { dockerfil: Dockerfile }, need: [] }
";
    insta::assert_snapshot!(told(text), @"<unknown>");
}

#[test]
fn twenty_thousand_brackets() {
    let deep = format!("version: {}", "[".repeat(20_000));
    insta::assert_snapshot!(told(&deep), @"<brackets>");
    let closed = format!("version: {}{}", "[".repeat(20_000), "]".repeat(20_000));
    assert!(told(&closed).starts_with("error[too-deep]"));
    let maps = "{a: ".repeat(20_000);
    assert!(told(&maps).starts_with("error[too-deep]"));
    let block: String = (0..600).map(|i| format!("{}a:\n", " ".repeat(i))).collect();
    assert!(told(&block).starts_with("error[too-deep]"));
}

#[test]
fn a_billion_laughs() {
    let mut text = "a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]\n".to_owned();
    for (name, before) in ["b", "c", "d", "e", "f", "g", "h", "i"]
        .iter()
        .zip("abcdefgh".chars())
    {
        let many = vec![format!("*{before}"); 9].join(", ");
        text.push_str(&format!("{name}: &{name} [{many}]\n"));
    }
    insta::assert_snapshot!(told(&text), @"<laughs>");
}

#[test]
fn more_than_is_read() {
    let many = format!("version: 1\nsteps: [{}]\n", "a, ".repeat(20_000));
    assert!(told(&many).starts_with("error[too-many-values]"));
    let long = format!("version: 1 # {}\n", "x".repeat(300 * 1024));
    assert!(told(&long).starts_with("error[too-large]"));
    let unknown: String = (0..1_000).map(|i| format!("key-{i}: 1\n")).collect();
    assert!(told(&unknown).contains("error[too-many-complaints]"));
}

#[test]
fn two_documents_tags_and_odd_keys() {
    insta::assert_snapshot!(told("version: 1\n---\nversion: 1\n"), @"<two>");
    insta::assert_snapshot!(told("version: !!int 1\n"), @"<tag>");
    insta::assert_snapshot!(told("[a, b]: 1\n"), @"<odd>");
}

#[test]
fn what_a_terminal_would_obey_is_made_visible() {
    let text = told("version: 1\n\"\\e[2Jsteps\": {}\non: { push: {} }\n");
    assert!(!text.contains('\u{1b}'), "{text:?}");
}

#[test]
fn explain_says_why_each_step_runs_or_not() {
    let checked = check_all(".sallyport.yml", STEPS.as_bytes(), &CheckContext::default());
    let text = explain(&checked.value.unwrap(), "refs/heads/main");
    let said: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with('#'))
        .collect();
    insta::assert_snapshot!(said.join("\n"), @"<explain>");
}
