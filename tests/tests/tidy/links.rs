//! Every link inside the repository's documents leads somewhere.

use super::text::{all_well, files, read, root, shown};
use regex::Regex;
use std::collections::BTreeSet;
use std::path::Path;

/// The anchors of a document: its headings as code forges name them, and explicit ones.
pub fn anchors(text: &str) -> BTreeSet<String> {
    let explicit = Regex::new(r#"<a (?:id|name)="([^"]+)""#).unwrap();
    let mut anchors: BTreeSet<String> = explicit
        .captures_iter(text)
        .map(|found| found[1].to_owned())
        .collect();
    for line in prose(text).lines().filter(|line| line.starts_with('#')) {
        let heading = line.trim_start_matches('#').trim().to_lowercase();
        let kept = heading
            .chars()
            .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
        let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
        anchors.insert(slug);
    }
    anchors
}

/// The text without fenced blocks, where brackets and hashes mean something else.
fn prose(text: &str) -> String {
    let mut fenced = false;
    let mut kept = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            kept.push_str(line);
            kept.push('\n');
        }
    }
    kept
}

fn leads_somewhere(from: &Path, link: &str) -> Result<(), String> {
    let (path, anchor) = link
        .split_once('#')
        .map_or((link, None), |(path, anchor)| (path, Some(anchor)));
    let folder = from.parent().expect("a document lies in a folder");
    let target = if path.is_empty() {
        from.to_owned()
    } else {
        folder.join(path)
    };
    if !target.exists() {
        return Err(format!("{}: there is no {path}", shown(from)));
    }
    let Some(anchor) = anchor else { return Ok(()) };
    if target.extension().is_some_and(|ending| ending == "md")
        && !anchors(&read(&target)).contains(anchor)
    {
        return Err(format!("{}: {link} has no such heading", shown(from)));
    }
    Ok(())
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    let documents = files(&root(), ".md");
    assert!(
        documents.len() >= 5,
        "only {} documents were found",
        documents.len()
    );
    let mut wrong = Vec::new();
    for document in &documents {
        let text = prose(&read(document));
        for found in link.captures_iter(&text) {
            let link = &found[1];
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            wrong.extend(leads_somewhere(document, link).err());
        }
    }
    all_well("links inside the repository", &wrong);
}
