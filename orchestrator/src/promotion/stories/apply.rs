//! What becomes of a promotion when the registry or the signer does not do what they should.

use super::super::PromotionState;
use super::house::{GOOD, House, SETTINGS};
use crate::config;
use crate::gate::{ConditionKind, ConditionState};
use crate::lifecycle::Tasks;
use crate::reconcile::Lanes;
use crate::signing::SignerClient;
use evidence::oci;
use http::StatusCode;
use std::time::Duration;

/// The way to a signer that is not there.
fn nobody(house: &House) -> SignerClient {
    SignerClient::new(&config::Signer {
        socket: house.folder.path().join("nobody"),
        uid: 0,
    })
}

crate::store_tests! {
    fn a_promotion_waits_for_the_registry_and_completes_by_itself(db: Db) {
        let mut house = House::new(&db).await;
        let release = house.release(GOOD).await;
        let port = house.registry_goes();
        house.passes().await;
        let promotion = house.only_into("dev").await;
        assert_eq!(promotion.state.as_str(), "applying");
        let said = promotion.progress.unwrap();
        assert!(said.contains("registry") && said.contains("no answer"), "{said}");
        assert_eq!(house.holds("dev").await, None);

        house.registry_returns(port);
        assert_eq!(house.tagged("dev", "run-1").await, None, "no tag before all else");
        assert_eq!(house.tagged("dev", "current").await, None);
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applied");
        assert_eq!(house.holds("dev").await.as_deref(), Some(release.as_str()));
        assert_eq!(house.promotion(&promotion.id).await.progress, None);
        assert_eq!(house.entries("promotion.failed").await, 0);
    }

    fn tags_are_put_last(db: Db) {
        let house = House::with_a_door(&db).await;
        house.release(GOOD).await;
        house.door.as_ref().unwrap().was_put();
        house.passes_once().await;
        let put = house.door.as_ref().unwrap().was_put();
        let digest = house.tagged("dev", "current").await.unwrap();
        let hex = digest.hex();
        let kinds: Vec<&str> = put.iter().map(|reference| match reference.as_str() {
            "run-1" | "current" => "tag",
            other if *other == digest.to_string() => "copy",
            other if other.ends_with(".sig") => "signature",
            other if other.starts_with("sha256-") && other.contains(&hex) => "index",
            _ => "attestation",
        }).collect();
        assert_eq!(
            kinds,
            ["copy", "attestation", "index", "attestation", "index", "signature", "tag", "tag"]
        );
    }

    fn a_failure_that_does_not_mend_itself_ends_it_and_frees_the_environment(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        house.release(GOOD).await;
        door.refuses("sha256-", StatusCode::BAD_REQUEST);
        house.passes().await;
        let promotion = house.only_into("dev").await;
        let PromotionState::Failed { cause, .. } = &promotion.state else {
            panic!("{promotion:?}");
        };
        assert!(cause.contains("status 400"), "{cause}");
        let left = format!(
            "No tag was written; copies and attestations may lie in {}, no signature is published there. It is requested again by rule, unless a later release is there by then.",
            house.place("dev")
        );
        assert!(cause.ends_with(&left), "{cause}");
        assert_eq!(house.tagged("dev", "current").await, None);
        assert_eq!(house.entries("promotion.failed").await, 1);

        door.is_open();
        let next = house.release(GOOD).await;
        house.passes().await;
        assert_eq!(house.holds("dev").await.as_deref(), Some(next.as_str()), "the way is free");
    }

    fn a_registry_that_does_not_let_us_in_is_waited_for(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        house.release(GOOD).await;
        for status in [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN] {
            door.refuses("sha256:", status);
            house.passes().await;
            let promotion = house.only_into("dev").await;
            assert_eq!(promotion.state.as_str(), "applying", "{status}");
            let said = promotion.progress.unwrap();
            assert!(said.contains(&format!("status {}", status.as_u16())), "{said}");
            assert_eq!(house.tagged("dev", "run-1").await, None);
        }
        door.is_open();
        house.passes().await;
        assert_eq!(house.only_into("dev").await.state.as_str(), "applied");
        assert_eq!(house.entries("promotion.failed").await, 0);
    }

    fn a_signature_that_is_another_when_it_is_read_back_lets_no_tag_be_written(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        house.release(GOOD).await;
        door.falsifies(".sig");
        house.passes().await;
        let promotion = house.only_into("dev").await;
        let cause = house.failure(&promotion.id).await;
        assert!(cause.contains(".sig"), "{cause}");
        assert!(cause.contains("no signature is published there"), "{cause}");
        door.is_open();
        assert_eq!(house.tagged("dev", "run-1").await, None);
        assert_eq!(house.tagged("dev", "current").await, None);
        assert_eq!(house.holds("dev").await, None);
    }

    fn what_failed_is_requested_again_by_rule_ten_times_and_then_left_to_people(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        let release = house.release(GOOD).await;
        door.refuses("sha256-", StatusCode::BAD_REQUEST);
        for attempt in 1..=10 {
            house.passes().await;
            let all = house.all_into("dev").await;
            assert_eq!(all.len(), attempt, "one after each pause, which is not over before");
            let cause = house.failure(&all[0].id).await;
            let said = match attempt {
                10 => "It failed 10 times and is no longer requested by rule.",
                _ => "It is requested again by rule, unless a later release is there by then.",
            };
            assert!(cause.ends_with(said), "{cause}");
            house.clock.advance(Duration::from_secs(601));
        }
        door.is_open();
        house.passes().await;
        assert_eq!(house.all_into("dev").await.len(), 10);
        let mara = house.signed_in("mara").await;
        let promotion = house.requests_into("dev", &mara, &release).await;
        assert_eq!(house.state(&promotion).await, "applied");
        assert_eq!(house.holds("dev").await.as_deref(), Some(release.as_str()));
    }

    fn a_repository_that_hangs_keeps_only_the_gates_shut_that_ask_who_worked_on_it(db: Db) {
        let mut house = House::new(&db).await;
        house.hands.lanes = Lanes::new(&Tasks::default(), Duration::from_millis(50), Vec::new());
        // It takes every connection, and never says a word.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("https://{}/shop.git", silent.local_addr().unwrap());
        let settings = SETTINGS.replace("@GIT@", &address);
        house.settings(&house.signed_in("ada").await, &settings).await;
        let (release, promotion) = house.waiting_for_prod().await;
        for place in ["dev", "staging"] {
            assert_eq!(house.holds(place).await.as_deref(), Some(release.as_str()), "{place}");
        }
        let judgement = house.judged(&promotion).await.unwrap();
        let known = judgement.conditions.iter().find(|c| c.kind == ConditionKind::Contributors).unwrap();
        assert_eq!((known.state, known.value.as_str()), (ConditionState::Waiting, "not read yet"));
    }

    fn from_the_first_tag_on_it_only_goes_on(db: Db) {
        let house = House::with_a_door(&db).await;
        let door = house.door.clone().unwrap();
        let release = house.release(GOOD).await;
        // The same answer ended it before the tags.
        door.refuses("current", StatusCode::BAD_REQUEST);
        house.passes().await;
        let promotion = house.only_into("dev").await;
        let tagging = PromotionState::Applying {
            decision_id: String::new(),
            since: 0,
            tagging_since: Some(0),
        };
        assert_eq!(
            std::mem::discriminant(&promotion.state),
            std::mem::discriminant(&tagging)
        );
        assert!(promotion.progress.unwrap().contains("current"), "it says what hinders");
        assert!(house.tagged("dev", "run-1").await.is_some(), "a tag is there");
        assert_eq!(house.tagged("dev", "current").await, None);

        // Not even the loss of what it was copied from stops it now.
        let quarantine = house.folder.path()
            .join("registry/docker/registry/v2/repositories/quarantine");
        std::fs::remove_dir_all(quarantine).unwrap();
        door.is_open();
        door.was_put();
        house.passes_once().await;
        assert_eq!(door.was_put(), ["current"], "all else was read back before");
        assert_eq!(house.holds("dev").await.as_deref(), Some(release.as_str()));
    }

    fn what_is_gone_from_quarantine_ends_it(db: Db) {
        let house = House::new(&db).await;
        house.release(GOOD).await;
        let quarantine = house.folder.path()
            .join("registry/docker/registry/v2/repositories/quarantine");
        std::fs::remove_dir_all(quarantine).unwrap();
        house.passes().await;
        let promotion = house.only_into("dev").await;
        assert!(
            matches!(&promotion.state, PromotionState::Failed { cause, .. } if cause.contains("status 404")),
            "{promotion:?}"
        );
        assert_eq!(house.tagged("dev", "run-1").await, None);
    }

    fn without_a_signature_nothing_is_tagged_and_the_state_says_why(db: Db) {
        let mut house = House::new(&db).await;
        house.release(GOOD).await;
        let signer = house.hands.signer.clone();
        house.hands.signer = nobody(&house);
        house.passes().await;
        let promotion = house.only_into("dev").await;
        assert_eq!(promotion.state.as_str(), "applying");
        let said = promotion.progress.unwrap();
        assert!(said.contains("ask the signer"), "{said}");
        assert_eq!(house.tagged("dev", "run-1").await, None);
        house.hands.signer = signer;
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applied");
    }

    fn a_gate_says_what_hinders_the_signature_that_it_waits_for(db: Db) {
        let mut house = House::new(&db).await;
        let signer = house.hands.signer.clone();
        house.hands.signer = nobody(&house);
        house.release(GOOD).await;
        house.passes().await;
        let promotion = house.only_into("dev").await;
        assert_eq!(promotion.state.as_str(), "waiting");
        let judgement = house.judged(&promotion.id).await.unwrap();
        let signed = judgement.conditions.iter().find(|c| c.kind == ConditionKind::Signed).unwrap();
        assert_eq!(signed.state, ConditionState::Waiting);
        assert!(signed.detail.contains("ask the signer"), "{}", signed.detail);
        house.hands.signer = signer;
        house.attests().await;
        house.passes().await;
        assert_eq!(house.state(&promotion.id).await, "applied");
    }

    fn everything_of_an_image_lies_in_its_environment(db: Db) {
        let house = House::new(&db).await;
        house.release(GOOD).await;
        house.passes().await;
        let digest = house.tagged("dev", "current").await.unwrap();
        let (registry, place) = (&house.hands.registry, house.place("dev"));
        let manifest = registry.manifest(&place, &digest).await.unwrap().unwrap();
        let children = crate::registry::children(&manifest).unwrap();
        for (blob, _) in children.blobs {
            assert!(registry.has_blob(&place, &blob).await.unwrap());
        }
        let index = crate::registry::Tag::parse(&oci::referrers_tag(&digest)).unwrap();
        let index = registry.manifest_of_tag(&place, &index).await.unwrap().unwrap();
        let attached = oci::referrers(&index.bytes).unwrap();
        assert_eq!(attached.len(), 2, "provenance and bill of materials");
        for referrer in attached {
            let found = registry.manifest(&place, &referrer.digest).await.unwrap().unwrap();
            for (blob, _) in crate::registry::children(&found).unwrap().blobs {
                assert!(registry.has_blob(&place, &blob).await.unwrap());
            }
        }
    }
}
