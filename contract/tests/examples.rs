//! Every example that people copy checks clean, and opens with what it shows.

use contract::complaint::Complaint;
use contract::language::{CheckContext, check, check_all, explain};
use std::path::PathBuf;

/// Name and text of each example.
fn examples() -> std::io::Result<Vec<(String, String)>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pipelines-examples");
    let mut examples = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        examples.push((name, std::fs::read_to_string(entry.path())?));
    }
    Ok(examples)
}

/// What the examples' project settings say.
fn context() -> CheckContext {
    CheckContext {
        known_registries: Some(vec!["registry.example/base/*".to_owned()]),
        ..CheckContext::default()
    }
}

#[test]
fn what_explain_prints_is_the_same_pipeline() {
    let mut texts: Vec<(String, String)> = examples().unwrap();
    texts.retain(|(name, _)| !name.starts_with("settings"));
    for on in ["push:", "push: { tags: [\"v*\"] }", "push: ~", "push: null"] {
        let text = format!("version: 1\non:\n  {on}\nsteps:\n  a:\n    analyze:\n");
        texts.push((on.to_owned(), text));
    }
    for (name, text) in texts {
        let told = |complaints: Vec<Complaint>| {
            let rendered: Vec<String> = complaints.iter().map(Complaint::render).collect();
            rendered.join("\n")
        };
        let pipeline = check(&name, text.as_bytes(), &context());
        let pipeline = pipeline.map_err(told).unwrap();
        for git_ref in ["refs/heads/main", "refs/tags/v1"] {
            let explained = explain(&pipeline, git_ref);
            let again = check_all(&name, explained.as_bytes(), &context());
            let said = again.rendered();
            assert_eq!(again.value.as_ref(), Some(&pipeline), "{said}\n{explained}");
            assert_eq!(said, "");
        }
    }
}

#[test]
fn every_example_checks_clean_and_says_what_it_shows() {
    let examples = examples().unwrap();
    assert!(examples.len() >= 3, "{}", examples.len());
    for (name, text) in examples {
        assert!(
            text.starts_with("# Shows "),
            "{name} does not open with what it shows"
        );
        let complaints = if name.starts_with("settings") {
            contract::settings::check(&name, text.as_bytes()).err()
        } else {
            check(&name, text.as_bytes(), &context()).err()
        };
        let rendered: Vec<String> = complaints
            .into_iter()
            .flatten()
            .map(|c: Complaint| c.render())
            .collect();
        assert!(rendered.is_empty(), "{}", rendered.join("\n"));
    }
}
