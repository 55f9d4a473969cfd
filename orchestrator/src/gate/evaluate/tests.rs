use super::*;
use crate::approval::{ApprovalId, ApprovalState};
use crate::finding::{Known, TestTotals};
use crate::gate::{Candidate, Commits, Exclusion, Requester, Seats};
use crate::identity::PersonId;
use crate::image::{Release, ReleaseId};
use contract::digest::Digest;
use evidence::approval::Approval as Statement;
use std::collections::BTreeMap;

const SETTINGS: &str = "
version: 1
project: shop
source: { git: /srv/shop.git }
quarantine: r.example/quarantine/shop
environments:
  dev: { repository: r.example/dev/shop, promote: automatic, gate: {} }
  prod:
    after: [dev]
    repository: r.example/prod/shop
    promote: by-hand
    gate:
      findings: { none-at-or-above: high, accept-unmatched: [deb] }
      tests: { passed: all, at-least: 2 }
      soak: 1h
      approvals: [{ from: release-manager, count: 1 }]
";

const NOW: At = At(1_790_000_000_000_000);

fn id(n: u8) -> String {
    format!("01990000-0000-7000-8000-0000000000{n:02}")
}

fn person(n: u8) -> PersonId {
    PersonId::parse(&id(n)).unwrap()
}

fn subject() -> Subject {
    let settings = contract::settings::check("s", SETTINGS.as_bytes()).unwrap();
    let environment = settings.environment("prod").unwrap().clone();
    Subject {
        project_id: id(1),
        promotion_id: id(2),
        settings,
        settings_version: 3,
        environment,
        release: Release {
            id: ReleaseId::parse(&id(3)).unwrap(),
            project_id: id(1),
            run_id: id(4),
            digest: Digest::of(b"release"),
            images: BTreeMap::new(),
            made_at: 0,
        },
        requester: Requester::Person(person(5)),
        placements: vec![Placement {
            environment: "dev".to_owned(),
            since: NOW.minus(Duration::from_secs(7_200)),
        }],
        holds: None,
    }
}

fn ines() -> PersonId {
    person(6)
}

fn good() -> Evidence {
    Evidence {
        run_number: 7,
        run_passed: true,
        run_finished_at: Some(1),
        known: Known {
            tests: TestTotals {
                passed: 2,
                ..TestTotals::default()
            },
            ..Known::default()
        },
        unsigned: Vec::new(),
        hindered: None,
        signed_at: Some(1),
        seats: Seats {
            role: Some("release-manager".to_owned()),
            wanted: 1,
            expires_ms: 1,
            candidates: vec![
                Candidate {
                    person: ines(),
                    display_name: "Ines".to_owned(),
                    exclusions: Vec::new(),
                },
                Candidate {
                    person: person(5),
                    display_name: "Mara".to_owned(),
                    exclusions: vec![Exclusion::Requester],
                },
            ],
            one_more: Vec::new(),
            commits: Commits::Read {
                count: 1,
                complete: true,
            },
        },
        approvals: Vec::new(),
        digest: Digest::of(b"evidence"),
    }
}

fn says(answer: Answer, who: PersonId) -> Approval {
    let subject = subject();
    let statement = Statement {
        version: evidence::approval::VERSION,
        instance: id(9),
        project: "shop".to_owned(),
        promotion: id(2),
        environment: "prod".to_owned(),
        release: id(3),
        release_digest: subject.release.digest,
        images: BTreeMap::new(),
        evidence: Digest::of(b"evidence"),
        settings_version: 3,
        answer,
        reason: "tried it".to_owned(),
        approver: who.as_str().to_owned(),
        role: "release-manager".to_owned(),
        nonce: "n".to_owned(),
        given_at: NOW.0,
        expires_at: NOW.0 + 1,
    };
    Approval {
        id: ApprovalId::parse(&id(8)).unwrap(),
        person: who,
        statement,
        bytes: Vec::new(),
        state: ApprovalState::Standing,
    }
}

fn unmet(evidence: &Evidence, subject: &Subject, now: At) -> Vec<ConditionKind> {
    let judgement = evaluate(subject, evidence, now);
    judgement
        .conditions
        .iter()
        .filter(|c| !c.is_met())
        .map(|c| c.kind)
        .collect()
}

#[test]
fn the_gate_opens_when_everything_holds_and_one_person_said_yes() {
    let mut evidence = good();
    assert_eq!(
        unmet(&evidence, &subject(), NOW),
        [ConditionKind::Approvals]
    );
    evidence.approvals = vec![says(Answer::Approve, ines())];
    assert!(evaluate(&subject(), &evidence, NOW).is_open());
}

#[test]
fn a_requester_cannot_fill_the_seat() {
    let mut evidence = good();
    evidence.approvals = vec![says(Answer::Approve, person(5))];
    assert_eq!(
        unmet(&evidence, &subject(), NOW),
        [ConditionKind::Approvals]
    );
}

#[test]
fn an_approval_of_something_else_counts_for_nothing() {
    type Change = fn(&mut Statement);
    let changes: [(&str, Change); 7] = [
        ("promotion", |s| s.promotion = id(99)),
        ("release", |s| s.release = id(99)),
        ("digest", |s| s.release_digest = Digest::of(b"other")),
        ("environment", |s| s.environment = "dev".to_owned()),
        ("settings", |s| s.settings_version = 2),
        ("evidence", |s| s.evidence = Digest::of(b"older")),
        ("end", |s| s.expires_at = NOW.0),
    ];
    for (what, change) in changes {
        let mut evidence = good();
        let mut approval = says(Answer::Approve, ines());
        change(&mut approval.statement);
        evidence.approvals = vec![approval];
        assert_eq!(
            unmet(&evidence, &subject(), NOW),
            [ConditionKind::Approvals],
            "{what}"
        );
    }
}

#[test]
fn an_author_who_maps_to_nobody_asks_for_one_more() {
    let mut evidence = good();
    evidence.approvals = vec![says(Answer::Approve, ines())];
    evidence.seats.one_more = vec!["author somebody maps to nobody here".to_owned()];
    let judgement = evaluate(&subject(), &evidence, NOW);
    assert_eq!(judgement.approvals_required, 2);
    assert!(!judgement.is_open());
}

#[test]
fn a_no_stands() {
    let mut evidence = good();
    evidence.approvals = vec![says(Answer::Reject, ines())];
    let judgement = evaluate(&subject(), &evidence, NOW);
    assert!(judgement.has_failed());
}

#[test]
fn each_condition_closes_the_gate_alone() {
    type Change = fn(&mut Evidence, &mut Subject);
    let changes: [(ConditionKind, Change); 7] = [
        (ConditionKind::Run, |e, _| e.run_passed = false),
        (ConditionKind::Findings, |e, _| {
            e.known.unscanned = vec!["web".to_owned()]
        }),
        (ConditionKind::Matched, |e, _| {
            e.known.outdated = vec!["web".to_owned()]
        }),
        (ConditionKind::Tests, |e, _| e.known.tests.failed = 1),
        (ConditionKind::Tests, |e, _| e.known.tests.passed = 1),
        (ConditionKind::Signed, |e, _| {
            e.unsigned = vec!["web".to_owned()]
        }),
        (ConditionKind::Soak, |_, s| s.placements[0].since = NOW),
    ];
    for (kind, change) in changes {
        let (mut evidence, mut subject) = (good(), subject());
        evidence.approvals = vec![says(Answer::Approve, ines())];
        change(&mut evidence, &mut subject);
        assert_eq!(unmet(&evidence, &subject, NOW), [kind]);
    }
    let (mut evidence, mut subject) = (good(), subject());
    evidence.approvals = vec![says(Answer::Approve, ines())];
    subject.placements.clear();
    assert_eq!(
        unmet(&evidence, &subject, NOW),
        [ConditionKind::After, ConditionKind::Soak]
    );
}
