use super::*;
use contract::digest::Digest;

const NOW: i64 = 2;

fn text(of: &str) -> String {
    of.to_owned()
}

fn applying(tagging_since: Option<i64>) -> PromotionState {
    PromotionState::Applying {
        decision_id: text("d"),
        since: 1,
        tagging_since,
    }
}

/// Every state, the two kinds of applying apart.
fn states() -> Vec<PromotionState> {
    let cause = || text("before");
    vec![
        PromotionState::Requested,
        PromotionState::Waiting,
        applying(None),
        applying(Some(1)),
        PromotionState::Applied {
            decision_id: text("d"),
            at: 1,
        },
        PromotionState::Failed {
            decision_id: text("d"),
            cause: cause(),
            at: 1,
        },
        PromotionState::Void {
            cause: cause(),
            at: 1,
        },
        PromotionState::Superseded {
            cause: cause(),
            at: 1,
        },
    ]
}

fn events() -> Vec<Event> {
    let cause = || text("why");
    vec![
        Event::Closed,
        Event::Passed {
            decision_id: text("d"),
            at: NOW,
        },
        Event::Tagging { at: NOW },
        Event::Tagged { at: NOW },
        Event::Failed {
            cause: cause(),
            at: NOW,
        },
        Event::GivenUp {
            cause: cause(),
            at: NOW,
        },
        Event::Voided {
            cause: cause(),
            at: NOW,
        },
        Event::Overtaken {
            cause: cause(),
            at: NOW,
        },
    ]
}

/// What comes of each event in each state; `-` is refused. Columns as in [`events`].
const TABLE: [[&str; 8]; 8] = [
    // Closed   Passed    Tagging    Tagged   Failed   GivenUp   Voided  Overtaken
    [
        "waiting",
        "applying",
        "-",
        "-",
        "-",
        "-",
        "void",
        "superseded",
    ],
    [
        "waiting",
        "applying",
        "-",
        "-",
        "-",
        "-",
        "void",
        "superseded",
    ],
    ["-", "-", "tagging", "-", "failed", "failed", "-", "-"],
    ["-", "-", "tagging", "applied", "-", "failed", "-", "-"],
    ["-"; 8],
    ["-"; 8],
    ["-"; 8],
    ["-"; 8],
];

fn word(state: &PromotionState) -> &'static str {
    match state {
        PromotionState::Applying {
            tagging_since: Some(_),
            ..
        } => "tagging",
        PromotionState::Requested
        | PromotionState::Waiting
        | PromotionState::Applying { .. }
        | PromotionState::Applied { .. }
        | PromotionState::Failed { .. }
        | PromotionState::Void { .. }
        | PromotionState::Superseded { .. } => state.as_str(),
    }
}

#[test]
fn every_event_in_every_state() {
    for (state, row) in states().into_iter().zip(TABLE) {
        for (event, wanted) in events().into_iter().zip(row) {
            let got = state.clone().after(event.clone());
            let got = got.as_ref().map_or("-", word);
            assert_eq!(got, wanted, "{state:?} {event:?}");
        }
    }
}

#[test]
fn tags_are_begun_once_and_the_decision_stays() {
    assert_eq!(
        applying(Some(1)).after(Event::Tagging { at: NOW }),
        Ok(applying(Some(1)))
    );
    let applied = applying(Some(1)).after(Event::Tagged { at: NOW });
    let wanted = PromotionState::Applied {
        decision_id: text("d"),
        at: NOW,
    };
    assert_eq!(applied, Ok(wanted));
}

#[test]
fn what_the_registry_says_is_lasting_or_passing() {
    let status = |status| RegistryError::Status {
        operation: "put manifest",
        what: text("x"),
        status,
    };
    let passing = [401, 403, 408, 425, 429, 500, 502, 503].map(status);
    let lasting = [400, 404, 405, 409, 413, 422].map(status);
    let other_lasting = [
        RegistryError::TooLarge {
            what: text("x"),
            limit: 1,
        },
        RegistryError::Mismatch {
            what: text("x"),
            wanted: Digest::of(b"a"),
            got: Digest::of(b"b"),
        },
        RegistryError::NotAManifest {
            what: text("x"),
            problem: text("y"),
        },
    ];
    let other_passing = [
        RegistryError::NotReadBack { what: text("x") },
        RegistryError::Setup(text("x")),
    ];
    let id = PromotionId::parse("01990000-0000-7000-8000-000000000001").unwrap();
    let is_transient = |source| {
        let id = id.clone();
        PromotionError::Registry { id, source }.is_transient()
    };
    for source in passing.into_iter().chain(other_passing) {
        let said = source.to_string();
        assert!(is_transient(source), "{said}");
    }
    for source in lasting.into_iter().chain(other_lasting) {
        let said = source.to_string();
        assert!(!is_transient(source), "{said}");
    }
}
