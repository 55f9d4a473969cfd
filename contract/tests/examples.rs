//! Every example that people copy checks clean, and opens with what it shows.

use contract::complaint::Complaint;
use contract::language::{CheckContext, check};
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
            let context = CheckContext {
                known_registries: Some(vec!["registry.example/base/*".to_owned()]),
                ..CheckContext::default()
            };
            check(&name, text.as_bytes(), &context).err()
        };
        let rendered: Vec<String> = complaints
            .into_iter()
            .flatten()
            .map(|c: Complaint| c.render())
            .collect();
        assert!(rendered.is_empty(), "{}", rendered.join("\n"));
    }
}
