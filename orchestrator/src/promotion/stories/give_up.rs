//! An administrator gives up what does not come to its end.

use super::super::{GiveUpOutcome, PromotionId, give_up};
use super::house::{GOOD, House};
use http::StatusCode;
use std::time::Duration;

/// As long as a tag may be on its way after the wish.
const UNDER_WAY: Duration = Duration::from_secs(300);

async fn gives_up(house: &House, promotion: &PromotionId, reason: &str) -> GiveUpOutcome {
    let ada = house.signed_in("ada").await;
    let outcome = give_up(&house.ground, &ada, promotion, reason).await;
    outcome.unwrap()
}

crate::store_tests! {
    fn what_was_given_up_says_which_tags_stand_and_frees_its_environment(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        let older = house.release(GOOD).await;
        house.passes().await;
        house.release(GOOD).await;
        door.refuses("current", StatusCode::BAD_REQUEST);
        house.passes().await;
        let promotion = house.all_into("dev").await.remove(0);
        assert_eq!(gives_up(&house, &promotion.id, " \n").await, GiveUpOutcome::Reason);
        assert_eq!(gives_up(&house, &promotion.id, "a\0b").await, GiveUpOutcome::Reason);
        let locked = "the tag is locked";
        assert_eq!(gives_up(&house, &promotion.id, locked).await, GiveUpOutcome::Asked);
        assert_eq!(gives_up(&house, &promotion.id, locked).await, GiveUpOutcome::AskedBefore);

        // Not before no tag can be on its way any more; and none is begun.
        door.is_open();
        door.was_put();
        house.passes().await;
        let waits = house.promotion(&promotion.id).await;
        assert_eq!(waits.state.as_str(), "applying");
        assert!(waits.progress.unwrap().starts_with("given up by person(ada) (the tag is locked)"));
        house.clock.advance(UNDER_WAY);
        house.passes_once().await;
        assert_eq!(
            house.failure(&promotion.id).await,
            format!(
                "given up by person(ada) (the tag is locked). These tags of it stand: {}:run-2.",
                house.place("dev")
            )
        );
        assert!(door.was_put().is_empty());
        assert_eq!(house.holds("dev").await.as_deref(), Some(older.as_str()), "as the tag says");
        for kind in ["promotion.give-up-asked", "promotion.failed"] {
            assert_eq!(house.entries(kind).await, 1, "{kind}");
        }

        // The rule leaves it alone, and the next one enters.
        house.clock.advance(Duration::from_secs(601));
        house.passes().await;
        assert_eq!(house.all_into("dev").await.len(), 2);
        let next = house.release(GOOD).await;
        house.passes().await;
        assert_eq!(house.holds("dev").await.as_deref(), Some(next.as_str()));
        let late = gives_up(&house, &house.all_into("dev").await[0].id, "too late").await;
        assert_eq!(late, GiveUpOutcome::NotApplying);
    }

    fn tags_that_cannot_be_read_may_stand_and_the_environment_is_known_to_hold_nothing(db: Db) {
        let mut house = House::with_a_door(&db).await;
        house.release(GOOD).await;
        house.passes().await;
        house.release(GOOD).await;
        house.door.as_ref().unwrap().refuses("current", StatusCode::BAD_REQUEST);
        house.passes().await;
        let promotion = house.all_into("dev").await.remove(0);
        house.registry_goes();
        gives_up(&house, &promotion.id, "the registry is gone for good").await;
        house.clock.advance(UNDER_WAY);
        house.passes().await;
        let cause = house.failure(&promotion.id).await;
        let place = house.place("dev");
        let said = format!("these could not be read and may stand: {place}:run-2, {place}:current. No release is whole");
        assert!(cause.contains(&said), "{cause}");
        assert_eq!(house.holds("dev").await, None);
    }

    fn what_cannot_be_read_any_more_is_given_up_all_the_same(db: Db) {
        let house = House::with_a_door(&db).await;
        house.release(GOOD).await;
        house.passes().await;
        house.release(GOOD).await;
        house.door.as_ref().unwrap().refuses("current", StatusCode::BAD_REQUEST);
        house.passes().await;
        let promotion = house.all_into("dev").await.remove(0);
        house.happens("UPDATE release_image SET name = 'other'").await;
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applying", "a tag is there");
        gives_up(&house, &promotion.id, "its rows are broken").await;
        house.clock.advance(UNDER_WAY);
        house.passes().await;
        let cause = house.failure(&promotion.id).await;
        assert!(cause.contains("Its tags could not be determined and may stand: read or write promotions: inconsistent row"), "{cause}");
        assert!(cause.ends_with("No release is whole in the environment until the next promotion."), "{cause}");
        assert_eq!(house.holds("dev").await, None);
    }

    fn what_has_no_tags_yet_ends_at_once(db: Db) {
        let mut house = House::new(&db).await;
        let release = house.release(GOOD).await;
        let port = house.registry_goes();
        house.passes().await;
        let promotion = house.only_into("dev").await;
        gives_up(&house, &promotion.id, "it takes too long").await;
        house.passes_once().await;
        let cause = house.failure(&promotion.id).await;
        let said = "given up by person(ada) (it takes too long). No tag was written;";
        assert!(cause.starts_with(said), "{cause}");
        // Somebody may want it all the same.
        house.registry_returns(port);
        let again = house.requests_into("dev", &house.signed_in("mara").await, &release).await;
        assert_eq!(house.state(&again).await, "applied");
    }
}
