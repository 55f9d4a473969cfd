//! Stories about whole settings documents.

use super::check;

/// The document of the manual.
const MANUAL: &str = r#"
version: 1
project: shop
source: { git: "https://forge.example/acme/shop.git" }
pipeline: .sallyport.yml
trust: { outsiders: hold }
known-registries: ["registry.example/base/*"]
quarantine: registry.example/quarantine/shop
limits: { timeout: 1h, memory: 4GiB, parallel-steps: 4 }
environments:
  dev:
    repository: registry.example/dev/shop
    promote: automatic
    gate: { run: succeeded }
  staging:
    after: [dev]
    repository: registry.example/staging/shop
    promote: automatic
    gate:
      run: succeeded
      findings: { none-at-or-above: high, accept-unmatched: [deb] }
      tests: { passed: all, at-least: 1 }
  prod:
    after: [staging]
    repository: registry.example/prod/shop
    promote: by-hand
    gate:
      findings: { none-at-or-above: medium, advisories-confirmed-within: 24h }
      soak: 1h
      approvals:
        - { from: release-manager, count: 1, not-also: [team-lead], expires: 24h }
"#;

#[test]
fn the_manuals_settings_are_accepted_and_stored_as_they_are() {
    let settings = check("settings.yml", MANUAL.as_bytes()).unwrap();
    let stored = serde_json::to_string(&settings).unwrap();
    assert_eq!(
        serde_json::from_str::<super::Settings>(&stored).unwrap(),
        settings
    );
    let prod = settings.environment("prod").unwrap();
    assert_eq!(prod.gate.soak_ms, Some(3_600_000));
    assert_eq!(prod.gate.approvals[0].not_also[0].as_str(), "team-lead");
}

#[test]
fn all_complaints_come_at_once_in_the_order_of_the_file() {
    let text = "version: 2\nproject: Shop\nsuorce: { git: /srv/a.git }\nquarantine: registry.example/q\nlimits: { timeout: 60, memory: 4GB }\n";
    let complaints = check("settings.yml", text.as_bytes()).unwrap_err();
    let shown: Vec<String> = complaints.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n\n"), @r"
    error[missing-key]: a settings document has no `source`
      --> settings.yml:1:1
       |
     1 | version: 2
       | ^^^^^^^^^^ `source` is missing here
       = more: docs/language.md#missing-key

    error[unsupported-version]: this version of the language is not known
      --> settings.yml:1:10
       |
     1 | version: 2
       |          ^ only 1 is known
       = help: write `version: 1`
       = more: docs/language.md#unsupported-version

    error[bad-name]: `Shop` is not a name
      --> settings.yml:2:10
       |
     2 | project: Shop
       |          ^^^^ not a name
       = help: 1 to 39 lower-case letters, digits and inner hyphens, a letter first
       = more: docs/language.md#bad-name

    error[unknown-key]: a settings document has no key `suorce`
      --> settings.yml:3:1
       |
     3 | suorce: { git: /srv/a.git }
       | ^^^^^^ did you mean `source`?
       = help: the keys here are version, project, source, pipeline, trust, known-registries, quarantine, limits, environments
       = more: docs/language.md#unknown-key

    error[bad-unit]: `timeout` has no unit
      --> settings.yml:5:20
       |
     5 | limits: { timeout: 60, memory: 4GB }
       |                    ^^ which unit?
       = help: a whole number and a unit: 500ms, 30s, 10m, 1h, 7d
       = more: docs/language.md#bad-unit

    error[bad-unit]: `memory` is a size
      --> settings.yml:5:32
       |
     5 | limits: { timeout: 60, memory: 4GB }
       |                                ^^^ not one
       = help: a whole number and a unit: 64KiB, 512MiB, 4GiB
       = more: docs/language.md#bad-unit
    ");
}
