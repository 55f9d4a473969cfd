//! Stories of what waits for long: it holds up nothing else, and ends when it is no longer wanted.

use super::super::reconcile::ask_gates;
use super::super::{
    PromotionState, RequestOutcome, asking, is_left_to_people, open_of_project, request,
};
use super::house::{GOOD, House, SETTINGS, Said};
use crate::identity::{Caller, Permission};
use evidence::approval::Answer;
use std::time::Duration;

const HOLES: Said = Said {
    high_findings: 1,
    ..GOOD
};

crate::store_tests! {
    fn however_much_waits_each_gate_is_asked(db: Db) {
        let house = House::new(&db).await;
        let settings = SETTINGS
            .replace("tests: { passed: all, at-least: 1 }", "soak: 1h")
            .replace("after: [staging]\n    repository", "repository")
            .replace("approvals: [{ from: release-manager, count: 1, expires: 24h }]", "tests: { passed: all, at-least: 1 }");
        house.settings(&house.signed_in("ada").await, &settings).await;
        house.release(GOOD).await;
        house.passes().await;
        let release = house.release(GOOD).await;
        house.passes().await;
        assert_eq!(house.all_into("staging").await.len(), 2, "both wait for their time");
        let (by, project) = (house.signed_in("mara").await, house.project().await.id);
        let asked = request(&house.ground, &by, project.as_str(), "prod", &release).await.unwrap();
        let RequestOutcome::Requested(id) = asked else {
            panic!("{asked:?}");
        };
        // The oldest alone would be asked about for ever.
        ask_gates(&house.ground, &house.hands, 1).await.unwrap();
        assert_eq!(house.state(&id).await, "applying");
    }

    fn what_failed_its_gate_is_superseded_when_the_rule_asks_for_a_later_release(db: Db) {
        let house = House::new(&db).await;
        house.release(HOLES).await;
        house.passes().await;
        let failed = house.only_into("staging").await;
        house.release(HOLES).await;
        house.passes().await;
        let state = house.promotion(&failed.id).await.state;
        assert!(
            matches!(&state, PromotionState::Superseded { cause, .. } if cause.contains("asks for a later release")),
            "{state:?}"
        );
        let waiting = house.all_into("staging").await;
        assert_eq!(waiting.iter().filter(|p| p.state.is_open()).count(), 1);
        let project = house.project().await.id;
        let mut conn = db.reader().await.unwrap();
        let open = open_of_project(&mut conn, project.as_str(), 9).await.unwrap();
        let open: Vec<&str> = open.iter().map(|p| p.environment.as_str()).collect();
        assert_eq!(open, ["staging"], "what has ended is not among them");
    }

    fn what_only_waits_for_its_time_is_not_overtaken_by_every_push(db: Db) {
        let house = House::new(&db).await;
        let soaks = SETTINGS.replace("tests: { passed: all, at-least: 1 }", "soak: 1h");
        house.settings(&house.signed_in("ada").await, &soaks).await;
        house.release(GOOD).await;
        house.passes().await;
        let soaking = house.only_into("staging").await;
        house.clock.advance(Duration::from_secs(600));
        house.release(HOLES).await;
        house.passes().await;
        assert_eq!(house.state(&soaking.id).await, "waiting");
    }

    fn what_the_rule_no_longer_asks_for_is_left_to_people(db: Db) {
        let house = House::new(&db).await;
        let straight = SETTINGS.replace("promote: by-hand", "promote: automatic");
        house.settings(&house.signed_in("ada").await, &straight).await;
        let release = house.release(GOOD).await;
        let project = house.project().await.id;
        let left = async || {
            let mut conn = house.ground.db.reader().await.unwrap();
            is_left_to_people(&mut conn, project.as_str(), "prod", &release).await.unwrap()
        };
        assert!(!left().await, "the rule will ask");
        house.passes().await;
        let asked = house.only_into("prod").await;
        house.answers("ines", &asked.id, Answer::Reject).await;
        house.passes().await;
        assert!(left().await, "somebody said no");
    }

    fn what_waits_for_a_mending_commit_hides_nothing_that_waits_for_an_answer(db: Db) {
        let house = House::new(&db).await;
        house.release(HOLES).await;
        house.passes().await;
        let (_, promotion) = house.waiting_for_prod().await;
        let all = Caller::host(0).reach(Permission::See);
        let ines = house.id_of("ines").await;
        let mut conn = house.ground.db.reader().await.unwrap();
        let (mine, others) = asking(&mut conn, Some(&ines), &all, house.ground.now()).await.unwrap();
        assert_eq!(mine.iter().map(|p| p.id.clone()).collect::<Vec<_>>(), [promotion]);
        assert!(others.iter().all(|p| p.environment.as_str() == "staging"));
    }
}
