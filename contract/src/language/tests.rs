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
    insta::assert_snapshot!(told("version: 1\non: [push\nsteps: {}\n"), @r"
    error[not-yaml]: this is not YAML: illegal placement of ':' indicator
      --> .sallyport.yml:3:6
       |
     3 | steps: {}
       |      ^ the reader stopped here
       = more: docs/language.md#not-yaml
    ");
    insta::assert_snapshot!(told("version: 1\n\tsteps: {}\n"), @r"
    error[not-yaml]: this is not YAML: while scanning a plain scalar, found a tab
      --> .sallyport.yml:1:10
       |
     1 | version: 1
       |          ^ the reader stopped here
       = more: docs/language.md#not-yaml
    ");
    insta::assert_snapshot!(told("just a text\n"), @r"
    error[wrong-type]: a pipeline file is a map (`key: value`)
      --> .sallyport.yml:1:1
       |
     1 | just a text
       | ^^^^^^^^^^^ this is a text
       = more: docs/language.md#wrong-type
    ");
}

#[test]
fn bytes_that_are_no_text() {
    insta::assert_snapshot!(told_of(b"version: 1\nname: \xff\xfe\n"), @r"
    error[not-utf8]: the file is not UTF-8
      --> .sallyport.yml:2:7
       |
     2 | name: ��
       |       ^ this byte
       = help: save the file as UTF-8
       = more: docs/language.md#not-utf8
    ");
    insta::assert_snapshot!(told(""), @r"
    error[empty-file]: the file is empty
      --> .sallyport.yml:1:1
       = more: docs/language.md#empty-file
    ");
    insta::assert_snapshot!(told("# nothing yet\n"), @r"
    error[empty-file]: the file is empty
      --> .sallyport.yml:1:1
       |
     1 | # nothing yet
       | ^ nothing stands here
       = more: docs/language.md#empty-file
    ");
}

#[test]
fn a_value_that_is_left_out() {
    let text = "version: 1\non:\nsteps:\n  a:\n    run: { image: , script: ~ }\n";
    insta::assert_snapshot!(told(text), @r"
    error[never-starts]: nothing starts this pipeline
      --> .sallyport.yml:2:1
       |
     2 | on:
       | ^^ no event here
       = help: write `push: { branches: [main] }`
       = more: docs/language.md#never-starts

    error[wrong-type]: `image` is a text
      --> .sallyport.yml:5:17
       |
     5 |     run: { image: , script: ~ }
       |                 ^ this is nothing
       = more: docs/language.md#wrong-type

    error[script-or-command]: the script is empty
      --> .sallyport.yml:5:29
       |
     5 |     run: { image: , script: ~ }
       |                             ^ nothing to run
       = help: `script` is a text for `sh -eu`; `command` is a program with its arguments, no shell
       = more: docs/language.md#script-or-command

    error[wrong-type]: `script` is a text
      --> .sallyport.yml:5:29
       |
     5 |     run: { image: , script: ~ }
       |                             ^ this is nothing
       = more: docs/language.md#wrong-type
    ");
}

#[test]
fn a_key_twice() {
    insta::assert_snapshot!(told("version: 1\non: { push: {} }\nsteps:\n  web: { build: {} }\n  web: { analyze: {} }\n"), @r"
    error[duplicate-key]: the key `web` stands twice
      --> .sallyport.yml:5:3
       |
     5 |   web: { analyze: {} }
       |   ^^^ the second one
       = help: keep one of them
       = more: docs/language.md#duplicate-key
    ");
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
    insta::assert_snapshot!(told(text), @r"
    error[needs-cycle]: steps need each other in a circle: a → b → c → a
      --> .sallyport.yml:4:3
       |
     4 |   a: { analyze: {}, needs: [b] }
       |   ^ none of them could ever start
       = help: `→` reads `needs`; naming a step's image is a need too
       = more: docs/language.md#needs-cycle

    error[needs-cycle]: steps need each other in a circle: alone → alone
      --> .sallyport.yml:7:3
       |
     7 |   alone: { analyze: {}, needs: [alone] }
       |   ^^^^^ none of them could ever start
       = help: `→` reads `needs`; naming a step's image is a need too
       = more: docs/language.md#needs-cycle
    ");
}

#[test]
fn unknown_keys_are_named_with_the_nearest_one() {
    let text = "version: 1
on: { push: { branch: [main] } }
stages: []
steps:
  web: { build: { dockerfil: Dockerfile }, need: [] }
";
    insta::assert_snapshot!(told(text), @r"
    error[unknown-key]: `push` has no key `branch`
      --> .sallyport.yml:2:15
       |
     2 | on: { push: { branch: [main] } }
       |               ^^^^^^ did you mean `branches`?
       = help: the keys here are branches, tags, paths, paths-ignore
       = more: docs/language.md#unknown-key

    error[unknown-key]: a pipeline file has no key `stages`
      --> .sallyport.yml:3:1
       |
     3 | stages: []
       | ^^^^^^ did you mean `steps`?
       = help: the keys here are version, on, steps
       = more: docs/language.md#unknown-key

    error[unknown-key]: `build` has no key `dockerfil`
      --> .sallyport.yml:5:19
       |
     5 |   web: { build: { dockerfil: Dockerfile }, need: [] }
       |                   ^^^^^^^^^ did you mean `dockerfile`?
       = help: the keys here are dockerfile, context, args, target, platforms
       = more: docs/language.md#unknown-key

    error[unknown-key]: a step has no key `need`
      --> .sallyport.yml:5:44
       |
     5 |   web: { build: { dockerfil: Dockerfile }, need: [] }
       |                                            ^^^^ did you mean `needs`?
       = help: the keys here are build, analyze, scan, test, run, needs, when, env, resources, timeout, reports, artifacts, effects, network, secrets
       = more: docs/language.md#unknown-key
    ");
}

#[test]
fn twenty_thousand_brackets() {
    let deep = format!("version: {}", "[".repeat(20_000));
    insta::assert_snapshot!(told(&deep), @r"
    error[too-deep]: lists and maps are nested too deep
      --> .sallyport.yml:1:74
       |
     1 | version: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…
       |                                                                          ^ at most 64 levels are read
       = more: docs/language.md#too-deep
    ");
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
    insta::assert_snapshot!(told(&text), @r"
    error[yaml-anchor]: anchors and aliases are not used here
      --> .sallyport.yml:1:4
       |
     1 | a: &a [ha, ha, ha, ha, ha, ha, ha, ha, ha]
       |    ^^ write the value where it belongs
       = more: docs/language.md#yaml-anchor
    ");
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
    insta::assert_snapshot!(told("version: 1\n---\nversion: 1\n"), @r"
    error[second-document]: a file is one YAML document
      --> .sallyport.yml:2:1
       |
     2 | ---
       | ^^^ a second one
       = more: docs/language.md#second-document
    ");
    insta::assert_snapshot!(told("version: !!int 1\n"), @r"
    error[yaml-tag]: tags are not used here
      --> .sallyport.yml:1:10
       |
     1 | version: !!int 1
       |          ^^^^^ a tag
       = more: docs/language.md#yaml-tag
    ");
    insta::assert_snapshot!(told("[a, b]: 1\n"), @r"
    error[odd-key]: a key is one word
      --> .sallyport.yml:1:1
       |
     1 | [a, b]: 1
       | ^^^^^^ not a word
       = more: docs/language.md#odd-key
    ");
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
    insta::assert_snapshot!(said.join("\n"), @r"
    # Every default is filled in.
    # A push to refs/heads/main starts this when it changes a file that matches src/** unless all that it changes matches **/*.md.
    # runs at once
    # runs when web passed
    # does not run: `refs/heads/main` is not among its branches and tags
    # does not run: it needs docs, which does not run
    ");
}

#[test]
fn what_explain_writes_checks_clean_again() {
    let text =
        "version: 1\non: { push: {} }\nsteps:\n  a: { build: {} }\n  b: { scan: { image: a } }\n";
    let context = CheckContext::default();
    let checked = check_all(".sallyport.yml", text.as_bytes(), &context);
    let explained = explain(&checked.value.unwrap(), "refs/heads/main");
    let again = check_all(".sallyport.yml", explained.as_bytes(), &context);
    assert!(again.complaints.is_empty(), "{explained}");
    assert_eq!(explained.matches("resources").count(), 1, "{explained}");
}
