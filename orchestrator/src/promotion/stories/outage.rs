//! The gate is asked again before the first tag: what was true when it let through may not be true any more
//! when the registry is back.

use super::super::AnswerOutcome;
use super::house::{GOOD, House, SETTINGS, Said};
use evidence::approval::Answer;
use std::time::Duration;

/// Longer than the approvals of these stories are good.
const LONG: Duration = Duration::from_secs(2 * 86_400);

/// Advisories are imported: nothing is judged by them yet.
const IMPORTED: &str = "UPDATE sbom SET advisories = 'of before'";
/// Everything is judged again, by the advisories of an instance that has none.
const JUDGED: &str = "UPDATE sbom SET advisories =
    'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'";

crate::store_tests! {
    fn an_import_of_advisories_during_an_outage_is_waited_for_and_ends_nothing(db: Db) {
        let mut house = House::new(&db).await;
        let release = house.release(Said { high_findings: 1, ..GOOD }).await;
        house.passes().await;
        let promotion = house.only_into("staging").await;
        let port = house.registry_goes();
        house.happens("UPDATE finding SET gone_at = 2").await;
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applying");
        house.happens(IMPORTED).await;
        house.registry_returns(port);
        house.passes().await;
        let waits = house.promotion(&promotion.id).await;
        assert_eq!(waits.state.as_str(), "applying");
        let said = "its gate waits again for what is met by itself (Every package judged: 1 to judge again, wanted: all); no tag is written before";
        assert_eq!(waits.progress.as_deref(), Some(said));
        assert_eq!(house.tagged("staging", "run-1").await, None);
        house.happens(JUDGED).await;
        house.passes().await;
        assert_eq!(house.holds("staging").await.as_deref(), Some(release.as_str()));
    }

    fn an_import_of_advisories_while_a_release_is_copied_keeps_its_tags_back(db: Db) {
        let house = House::with_a_door(&db).await;
        house.release(Said { high_findings: 1, ..GOOD }).await;
        house.passes().await;
        house.happens("UPDATE finding SET gone_at = 2").await;
        let held = house.door.as_ref().unwrap().holds("sha256-");
        let meanwhile = async {
            held.came().await;
            house.happens(IMPORTED).await;
            held.goes_on();
        };
        tokio::join!(house.passes(), meanwhile);
        let promotion = house.only_into("staging").await;
        assert_eq!(promotion.state.as_str(), "applying");
        assert!(promotion.progress.unwrap().contains("1 to judge again"));
        assert_eq!(house.tagged("staging", "run-1").await, None);
        house.happens(JUDGED).await;
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applied");
    }

    fn what_has_left_the_environment_before_does_not_come_back_by_itself(db: Db) {
        let mut house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        let port = house.registry_goes();
        house.passes().await;
        house.happens("DELETE FROM environment_release WHERE environment = 'staging'").await;
        house.registry_returns(port);
        house.passes().await;
        let cause = house.failure(&promotion).await;
        assert!(cause.contains("In staging first: is not there"), "{cause}");
    }

    fn an_approval_that_expires_during_an_outage_lets_nothing_in(db: Db) {
        let mut house = House::new(&db).await;
        let (release, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        let port = house.registry_goes();
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applying");
        house.clock.advance(LONG);
        house.registry_returns(port);
        house.passes().await;
        let cause = house.failure(&promotion).await;
        let said = "its gate has closed since it let it through (Approvals by release managers: 0 of 1, wanted: 1)";
        assert!(cause.starts_with(said), "{cause}");
        assert!(cause.contains("No tag was written") && cause.ends_with("no signature is published there."), "{cause}");
        assert_eq!(house.tagged("prod", "run-1").await, None);
        assert_eq!(house.holds("prod").await, None);
        assert_eq!(house.entries("promotion.failed").await, 1);

        // Who still wants it asks again, and somebody looks at it as it is now.
        let again = house.requests(&house.signed_in("mara").await, &release).await;
        assert_eq!(house.state(&again).await, "waiting");
        assert_eq!(house.answers("ines", &again, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.holds("prod").await.as_deref(), Some(release.as_str()));
    }

    fn an_approval_that_still_holds_after_an_outage_lets_it_in(db: Db) {
        let mut house = House::new(&db).await;
        let (release, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        let port = house.registry_goes();
        house.passes().await;
        house.clock.advance(LONG / 4);
        house.registry_returns(port);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
        assert_eq!(house.holds("prod").await.as_deref(), Some(release.as_str()));
    }

    fn what_is_found_during_an_outage_stops_it_and_the_rule_asks_again(db: Db) {
        let mut house = House::new(&db).await;
        let release = house.release(Said { high_findings: 1, ..GOOD }).await;
        house.passes().await;
        let first = house.only_into("staging").await;
        let port = house.registry_goes();
        // It is withdrawn, and comes back while the registry is away.
        house.happens("UPDATE finding SET gone_at = 2").await;
        house.passes().await;
        assert_eq!(house.state(&first.id).await, "applying");
        house.happens("UPDATE finding SET gone_at = NULL").await;
        house.registry_returns(port);
        house.passes().await;
        let cause = house.failure(&first.id).await;
        assert!(cause.contains("Findings: 1 open, wanted: none at or above high"), "{cause}");
        assert!(cause.ends_with("It is requested again by rule, unless a later release is there by then."), "{cause}");
        assert_eq!(house.tagged("staging", "run-1").await, None);

        house.clock.advance(Duration::from_secs(5));
        house.passes().await;
        let second = house.all_into("staging").await.remove(0);
        assert_eq!(second.state.as_str(), "waiting", "with its conditions");
        house.happens("UPDATE finding SET gone_at = 2").await;
        house.passes().await;
        assert_eq!(house.state(&second.id).await, "applied");
        assert_eq!(house.holds("staging").await.as_deref(), Some(release.as_str()));
    }

    fn a_gate_that_closes_while_a_release_is_copied_lets_no_tag_be_written(db: Db) {
        let house = House::with_a_door(&db).await;
        house.release(Said { high_findings: 1, ..GOOD }).await;
        house.passes().await;
        house.happens("UPDATE finding SET gone_at = 2").await;
        // Its attestations' index: the release was judged again, and is not signed for there yet.
        let held = house.door.as_ref().unwrap().holds("sha256-");
        let meanwhile = async {
            held.came().await;
            house.happens("UPDATE finding SET gone_at = NULL").await;
            held.goes_on();
        };
        tokio::join!(house.passes(), meanwhile);
        let promotion = house.only_into("staging").await;
        let cause = house.failure(&promotion.id).await;
        let place = house.place("staging");
        assert!(cause.contains(&format!("signatures are published in {place}")), "{cause}");
        assert_eq!(house.tagged("staging", "run-1").await, None);
        assert_eq!(house.holds("staging").await, None);
    }

    fn settings_that_name_another_place_during_an_outage_stop_it(db: Db) {
        let mut house = House::new(&db).await;
        house.release(GOOD).await;
        let port = house.registry_goes();
        house.passes().await;
        let promotion = house.only_into("dev").await;
        let elsewhere = SETTINGS.replace("@REGISTRY@/dev/shop", "@REGISTRY@/elsewhere/shop");
        house.settings(&house.signed_in("ada").await, &elsewhere).await;
        house.registry_returns(port);
        house.passes().await;
        let cause = house.failure(&promotion.id).await;
        assert!(cause.contains("the settings name other repositories for it now"), "{cause}");
        house.clock.advance(Duration::from_secs(5));
        house.passes().await;
        assert!(house.tagged("elsewhere", "current").await.is_some(), "by the rule, where it belongs now");
        assert_eq!(house.tagged("dev", "current").await, None);
    }
}
