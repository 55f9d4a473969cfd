//! Everything that people copy is checked somewhere: examples, and the demo's own files.

use super::text::{files, read, root, shown};
use contract::language::{CheckContext, check};

/// The demo's file with its holes filled as `cargo demo` fills them.
fn filled(path: &str) -> String {
    let digest = "0".repeat(64);
    read(&root().join(path))
        .replace("@REPOSITORY@", "https://forge.example/shop.git")
        .replace("@REGISTRY@", "registry.example")
        .replace(
            "@PYTHON_DEV@",
            &format!("registry.example/base/python@sha256:{digest}"),
        )
}

#[test]
fn the_demos_files_check_clean() {
    let context = CheckContext {
        known_registries: Some(vec!["registry.example/base/*".to_owned()]),
        ..CheckContext::default()
    };
    let pipeline = filled("xtask/demo-repo/.sallyport.yml");
    let settings = filled("xtask/demo-settings.yml");
    let complaints = check(".sallyport.yml", pipeline.as_bytes(), &context)
        .err()
        .into_iter()
        .chain(contract::settings::check("settings", settings.as_bytes()).err())
        .flatten();
    let shown: Vec<String> = complaints.map(|complaint| complaint.render()).collect();
    assert!(shown.is_empty(), "{}", shown.join("\n"));
}

#[test]
fn every_example_is_seen_by_the_test_that_checks_it() {
    // contract/tests/examples.rs reads the folder flat: a file deeper down would go unchecked.
    let folder = root().join("pipelines-examples");
    for file in files(&folder, "") {
        assert_eq!(file.parent(), Some(folder.as_path()), "{}", shown(&file));
        let ending = file.extension().unwrap_or_default();
        assert_eq!(ending, "yml", "{} is no example", shown(&file));
    }
}
