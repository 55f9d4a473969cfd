//! What is understood and has no effect yet is said, never ignored.

use crate::complaint::{Code, Complaints};
use crate::image::ImageRef;
use crate::language::pipeline::EventKind;
use crate::language::syntax::File;

pub(super) fn check(file: &File, complaints: &mut Complaints<'_>) {
    for step in &file.steps {
        for fault in &step.not_yet {
            complaints
                .error(
                    Code::NotYet,
                    fault.span,
                    fault.value,
                    "without effect in this version",
                )
                .help("take it out; a later version will accept it");
        }
    }
    for place in file.images() {
        if !place.may_be_built && file.builds(&place.image.value) {
            let message = "an image of the same run can be scanned and tested, but not run in yet";
            let step = place.step.name.value.as_str();
            let label = format!("`{step}` needs an image from outside");
            complaints.error(Code::NotYet, place.image.span, message, label);
        }
    }
    for place in file.images().iter().filter(|place| place.may_be_built) {
        if ImageRef::parse(&place.image.value).is_ok() {
            let message = "only an image of the same run can be scanned or tested yet";
            let label = "write the name of a `build` step";
            complaints.error(Code::NotYet, place.image.span, message, label);
        }
    }
    let pull_request = file.on.as_ref().and_then(|on| on.pull_request.as_ref());
    if let Some(filter) = pull_request {
        let message = "pull requests start nothing yet";
        let label = "recorded and skipped in this version";
        complaints.warn(Code::NotYet, filter.key, message, label);
    }
    let events = file
        .steps
        .iter()
        .filter_map(|step| step.when.events.as_ref());
    for event in events.flatten() {
        if event.value == EventKind::PullRequest {
            let message = "pull requests start nothing yet";
            complaints.warn(Code::NotYet, event.span, message, "no step runs for one");
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::language::rules::complaints_about;
    use crate::language::{CheckContext, check_all};

    #[test]
    fn what_has_no_effect_yet_is_said() {
        insta::assert_snapshot!(complaints_about("  a:\n    analyze: { tools: [semgrep, gitleaks] }\n    network: { allow: [\"docs.example.org:443\"] }\n    secrets: [TOKEN, { name: B, env: C }]\n    resources: { disk: 1GiB }\n"), @r#"
        error[not-yet]: this tool is not there yet: hadolint and gitleaks are
          --> .sallyport.yml:5:24
           |
         5 |     analyze: { tools: [semgrep, gitleaks] }
           |                        ^^^^^^^ without effect in this version
           = help: take it out; a later version will accept it
           = more: docs/language.md#not-yet

        error[not-yet]: steps have no network yet
          --> .sallyport.yml:6:16
           |
         6 |     network: { allow: ["docs.example.org:443"] }
           |                ^^^^^ without effect in this version
           = help: take it out; a later version will accept it
           = more: docs/language.md#not-yet

        error[not-yet]: secrets are not handed to steps yet
          --> .sallyport.yml:7:5
           |
         7 |     secrets: [TOKEN, { name: B, env: C }]
           |     ^^^^^^^ without effect in this version
           = help: take it out; a later version will accept it
           = more: docs/language.md#not-yet

        error[not-yet]: a work area on disk is not there yet
          --> .sallyport.yml:8:18
           |
         8 |     resources: { disk: 1GiB }
           |                  ^^^^ without effect in this version
           = help: take it out; a later version will accept it
           = more: docs/language.md#not-yet
        "#);
    }

    #[test]
    fn pull_requests_run_no_step_yet() {
        let text = "version: 1\non: { push: {} }\nsteps:\n  a: { analyze: {}, when: { events: [push, pull-request] } }\n";
        let checked = check_all("p.yml", text.as_bytes(), &CheckContext::default());
        assert!(checked.value.is_some(), "a warning hinders nothing");
        insta::assert_snapshot!(checked.rendered(), @r"
        warning[not-yet]: pull requests start nothing yet
          --> p.yml:4:44
           |
         4 |   a: { analyze: {}, when: { events: [push, pull-request] } }
           |                                            ^^^^^^^^^^^^ no step runs for one
           = more: docs/language.md#not-yet
        ");
    }

    #[test]
    fn a_build_has_no_resources_of_its_own() {
        insta::assert_snapshot!(complaints_about("  a: { build: {}, resources: { cpu: 2 } }\n"), @r"
        error[not-yet]: a build has no resources of its own yet
          --> .sallyport.yml:4:19
           |
         4 |   a: { build: {}, resources: { cpu: 2 } }
           |                   ^^^^^^^^^ without effect in this version
           = help: take it out; a later version will accept it
           = more: docs/language.md#not-yet
        ");
    }
}
