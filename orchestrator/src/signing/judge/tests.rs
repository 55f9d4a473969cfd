//! The table of what is refused, and why.

use super::*;
use crate::signing::PassedRun;
use contract::image::Repository;
use contract::name::Name;
use evidence::statement::Statement;
use std::collections::BTreeMap;

/// Payload, manifest, grounds, whether provenance is there, what is wanted.
type Case<'a> = (&'a [u8], &'a [u8], Grounds, bool, RefusalCode);

const MANIFEST: &[u8] = b"the image's manifest";

fn repository(text: &str) -> Repository {
    Repository::parse(text).unwrap()
}

fn targets(at: &str) -> BTreeMap<Name, Target> {
    let target = Target {
        repository: repository(at),
        digest: Digest::of(MANIFEST),
    };
    BTreeMap::from([(Name::parse("web").unwrap(), target)])
}

fn run(cause: &str) -> Grounds {
    Grounds::Run(PassedRun {
        project: "shop".to_owned(),
        run: "run".to_owned(),
        cause: cause.to_owned(),
        images: targets("r.example/quarantine/shop/web"),
    })
}

fn decision(approvals_required: u32) -> Decision {
    Decision {
        version: decision::VERSION,
        id: "decision".to_owned(),
        project: "shop".to_owned(),
        promotion: "promotion".to_owned(),
        environment: "prod".to_owned(),
        release: "release".to_owned(),
        images: targets("r.example/prod/shop/web"),
        evidence: Digest::of(b"evidence"),
        settings_version: 3,
        outcome: Outcome::Open,
        approvals_required,
        decided_at: 1_000,
    }
}

fn approval(change: impl FnOnce(&mut Approval)) -> String {
    let mut approval = Approval {
        version: evidence::approval::VERSION,
        instance: "instance".to_owned(),
        project: "shop".to_owned(),
        promotion: "promotion".to_owned(),
        environment: "prod".to_owned(),
        release: "release".to_owned(),
        release_digest: Digest::of(b"release"),
        images: targets("r.example/prod/shop/web"),
        evidence: Digest::of(b"evidence"),
        settings_version: 3,
        answer: Answer::Approve,
        reason: "good".to_owned(),
        approver: "robin".to_owned(),
        role: "release-manager".to_owned(),
        nonce: "n".to_owned(),
        given_at: 900,
        expires_at: 2_000,
    };
    change(&mut approval);
    String::from_utf8(approval.to_bytes().unwrap()).unwrap()
}

fn promotion(decision: Decision, approvals: Vec<String>) -> Grounds {
    Grounds::Promotion {
        decision,
        approvals,
    }
}

fn payload(at: &str, image: &[u8]) -> Vec<u8> {
    Payload {
        repository: repository(at),
        digest: Digest::of(image),
    }
    .to_bytes()
}

const QUARANTINE: &str = "r.example/quarantine/shop/web";

/// As [`image`], with provenance that names the image in quarantine, or with none.
fn judged(
    bytes: &[u8],
    manifest: &[u8],
    grounds: &Grounds,
    provenance: bool,
) -> Result<Granted, Refusal> {
    let names = BTreeSet::from([QUARANTINE.to_owned()]);
    image(bytes, manifest, grounds, provenance.then_some(&names))
}

fn code(result: Result<Granted, Refusal>) -> Option<RefusalCode> {
    result.err().map(|refusal| refusal.code)
}

#[test]
fn a_statement_is_of_a_known_type_about_the_manifest_that_came_along() {
    let about = |image: &[u8], kind| {
        Statement::about("shop/web", Digest::of(image), kind, ())
            .to_bytes()
            .unwrap()
    };
    let good = about(MANIFEST, names::SLSA_PROVENANCE);
    assert_eq!(
        statement(&good, MANIFEST).unwrap().subject,
        Digest::of(MANIFEST)
    );
    let two = String::from_utf8(good.clone()).unwrap().replace(
        r#""subject":[{"#,
        r#""subject":[{"digest":{"sha512":"00"}},{"#,
    );
    let cases: [(&[u8], &[u8], RefusalCode); 5] = [
        (
            &about(b"another", names::SLSA_PROVENANCE),
            MANIFEST,
            RefusalCode::OtherSubject,
        ),
        (&good, b"another manifest", RefusalCode::OtherSubject),
        (two.as_bytes(), MANIFEST, RefusalCode::OtherSubject),
        (
            &about(MANIFEST, "https://example.org/x"),
            MANIFEST,
            RefusalCode::OtherType,
        ),
        (
            &payload("r.example/quarantine/shop/web", MANIFEST),
            MANIFEST,
            RefusalCode::OtherType,
        ),
    ];
    for (bytes, manifest, wanted) in cases {
        assert_eq!(code(statement(bytes, manifest)), Some(wanted));
    }
}

#[test]
fn an_image_is_signed_in_quarantine_when_its_run_passed() {
    let quarantine = payload("r.example/quarantine/shop/web", MANIFEST);
    assert!(judged(&quarantine, MANIFEST, &run("passed"), true).is_ok());
    let with_more = String::from_utf8(quarantine.clone())
        .unwrap()
        .replace("\"optional\":null", "\"optional\":{\"a\":\"b\"}");
    let elsewhere = payload("r.example/prod/shop/web", MANIFEST);
    let unknown = payload("r.example/quarantine/shop/web", b"another");
    let cases: [Case<'_>; 7] = [
        (
            &quarantine,
            MANIFEST,
            run("failed"),
            true,
            RefusalCode::NotPassed,
        ),
        (
            &quarantine,
            MANIFEST,
            run("passed"),
            false,
            RefusalCode::NoProvenance,
        ),
        (
            &quarantine,
            b"another",
            run("passed"),
            true,
            RefusalCode::OtherSubject,
        ),
        (
            &elsewhere,
            MANIFEST,
            run("passed"),
            true,
            RefusalCode::OtherReference,
        ),
        (
            &unknown,
            b"another",
            run("passed"),
            true,
            RefusalCode::NotPassed,
        ),
        (
            with_more.as_bytes(),
            MANIFEST,
            run("passed"),
            true,
            RefusalCode::OtherType,
        ),
        (b"{}", MANIFEST, run("passed"), true, RefusalCode::OtherType),
    ];
    for (bytes, manifest, grounds, provenance, wanted) in cases {
        assert_eq!(
            code(judged(bytes, manifest, &grounds, provenance)),
            Some(wanted)
        );
    }
}

/// Who speaks for the server says what a run built where; the provenance was signed before.
#[test]
fn a_run_permits_no_other_reference_than_its_provenance_names() {
    let prod = "r.example/prod/shop/web";
    let Grounds::Run(passed) = run("passed") else {
        panic!("a run");
    };
    let grounds = Grounds::Run(PassedRun {
        images: targets(prod),
        ..passed
    });
    let refused = code(judged(&payload(prod, MANIFEST), MANIFEST, &grounds, true));
    assert_eq!(refused, Some(RefusalCode::OtherReference));
}

#[test]
fn an_image_is_signed_for_an_environment_when_its_gate_let_it_in() {
    let prod = payload("r.example/prod/shop/web", MANIFEST);
    let yes = || approval(|_| ());
    for grounds in [
        promotion(decision(0), vec![]),
        promotion(decision(1), vec![yes()]),
    ] {
        assert!(judged(&prod, MANIFEST, &grounds, true).is_ok());
    }
    let mut closed = decision(0);
    closed.outcome = Outcome::Closed;
    let quarantine = payload("r.example/quarantine/shop/web", MANIFEST);
    let cases = [
        (&prod, promotion(closed, vec![]), RefusalCode::NotPassed),
        (
            &quarantine,
            promotion(decision(0), vec![]),
            RefusalCode::OtherReference,
        ),
    ];
    for (bytes, grounds, wanted) in cases {
        assert_eq!(
            code(judged(bytes, MANIFEST, &grounds, true)),
            Some(wanted),
            "{grounds:?}"
        );
    }
    let open = promotion(decision(0), vec![]);
    assert_eq!(
        code(judged(&prod, MANIFEST, &open, false)),
        Some(RefusalCode::NoProvenance)
    );
}

#[test]
fn only_approvals_of_exactly_this_count() {
    let prod = payload("r.example/prod/shop/web", MANIFEST);
    let other = |change: fn(&mut Approval)| vec![approval(change)];
    let cases = [
        (1, vec![]),
        (1, vec!["{}".to_owned()]),
        // The same person twice is one person.
        (
            2,
            vec![approval(|_| ()), approval(|a| a.nonce = "m".to_owned())],
        ),
        (1, other(|a| a.answer = Answer::Reject)),
        (1, other(|a| a.expires_at = 1_000)),
        (1, other(|a| a.promotion = "x".to_owned())),
        (1, other(|a| a.environment = "staging".to_owned())),
        (1, other(|a| a.release = "x".to_owned())),
        (1, other(|a| a.settings_version = 4)),
        (1, other(|a| a.evidence = Digest::of(b"other evidence"))),
        (1, other(|a| a.images.clear())),
    ];
    for (required, approvals) in cases {
        let grounds = promotion(decision(required), approvals);
        let refused = code(judged(&prod, MANIFEST, &grounds, true));
        assert_eq!(refused, Some(RefusalCode::NotApproved), "{grounds:?}");
    }
}
