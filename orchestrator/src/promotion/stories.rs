//! Stories of promotions, on both databases, with a real registry, a real signer and a real repository:
//! who may let what in, and what becomes of it.

mod apply;
mod door;
mod four_eyes;
mod give_up;
mod house;
mod outage;
mod rows;
mod waiting;
mod withdraw;

use super::{AnswerOutcome, Asked, PromotionState, answer};
use crate::gate::{ConditionKind, ConditionState};
use evidence::approval::Answer;
use house::{GOOD, House, SETTINGS, Said};
use std::time::Duration;

/// What hinders a promotion now.
async fn unmet(
    house: &House,
    promotion: &super::PromotionId,
) -> Vec<(ConditionKind, ConditionState)> {
    let judgement = house.judged(promotion).await.unwrap();
    let unmet = judgement.conditions.iter().filter(|c| !c.is_met());
    unmet.map(|c| (c.kind, c.state)).collect()
}

crate::store_tests! {
    fn a_release_enters_dev_and_staging_by_rule_and_production_not(db: Db) {
        let house = House::new(&db).await;
        let release = house.release(GOOD).await;
        house.passes().await;
        for place in ["dev", "staging"] {
            assert_eq!(house.holds(place).await.as_deref(), Some(release.as_str()), "{place}");
            let current = house.tagged(place, "current").await.unwrap();
            assert_eq!(house.tagged(place, "run-1").await, Some(current));
            assert!(house.is_signed(place, &current).await, "{place}");
        }
        assert_eq!(house.holds("prod").await, None);
        assert_eq!(house.tagged("prod", "run-1").await, None);
        assert_eq!(house.entries("promotion.applied").await, 2);
        assert_eq!(house.entries("image.signed").await, 3, "quarantine, dev, staging");
    }

    fn what_is_found_or_fails_keeps_a_release_out_of_staging(db: Db) {
        let house = House::new(&db).await;
        let holes = Said { high_findings: 1, ..GOOD };
        house.release(holes).await;
        house.passes().await;
        assert!(house.holds("dev").await.is_some(), "dev asks for nothing");
        let promotion = house.only_into("staging").await;
        assert_eq!(promotion.state, PromotionState::Waiting);
        let hinders = unmet(&house, &promotion.id).await;
        assert_eq!(hinders, [(ConditionKind::Findings, ConditionState::Failed)]);
        house.happens("UPDATE finding SET gone_at = 2").await;
        house.passes().await;
        assert!(house.holds("staging").await.is_some(), "the advisory was withdrawn");

        let failing = Said { tests_failed: 1, ..GOOD };
        house.release(failing).await;
        house.passes().await;
        assert_eq!(house.entries("promotion.applied").await, 3, "dev only");
    }

    fn production_is_requested_by_one_and_approved_by_another(db: Db) {
        let house = House::new(&db).await;
        let (release, promotion) = house.waiting_for_prod().await;
        let hinders = unmet(&house, &promotion).await;
        assert_eq!(hinders, [(ConditionKind::Approvals, ConditionState::Unmet)]);
        let hers = house.answers("mara", &promotion, Answer::Approve).await;
        assert_eq!(hers, AnswerOutcome::MayNot(vec!["do not hold the role that this gate asks"]));

        let answered = house.answers("ines", &promotion, Answer::Approve).await;
        assert_eq!(answered, AnswerOutcome::Given);
        let again = house.answers("ines", &promotion, Answer::Reject).await;
        assert_eq!(again, AnswerOutcome::AlreadyAnswered, "one answer a person");
        house.passes().await;
        assert_eq!(house.holds("prod").await.as_deref(), Some(release.as_str()));
        let digest = house.tagged("prod", "run-1").await.unwrap();
        assert_eq!(house.tagged("staging", "run-1").await, Some(digest), "the same digest");
        assert!(house.is_signed("prod", &digest).await);
        let late = house.answers("olga", &promotion, Answer::Reject).await;
        assert_eq!(late, AnswerOutcome::NotOpen);
        for (kind, count) in [
            ("promotion.requested", 3), ("approval.approved", 1), ("promotion.authorised", 3),
            ("image.signed", 4), ("promotion.applied", 3),
        ] {
            assert_eq!(house.entries(kind).await, count, "{kind}");
        }
    }

    fn a_no_ends_it_with_its_reason(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("olga", &promotion, Answer::Reject).await, AnswerOutcome::Given);
        let state = house.promotion(&promotion).await.state;
        assert!(
            matches!(&state, PromotionState::Void { cause, .. } if cause == "rejected by olga: tried it"),
            "{state:?}"
        );
        house.passes().await;
        assert_eq!(house.holds("prod").await, None);
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::NotOpen);
        assert_eq!(house.entries("promotion.void").await, 1);
        assert_eq!(house.entries("approval.rejected").await, 1);
    }

    fn an_answer_wants_a_fresh_sign_in_a_reason_and_what_was_shown(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        let session = house.session("ines").await;
        let shown = house.judged(&promotion).await.unwrap().evidence;
        let asked = |reason: &str| Asked {
            promotion: promotion.clone(),
            answer: Answer::Approve,
            reason: reason.to_owned(),
            evidence: shown,
        };
        for reason in ["", "  \n", "x".repeat(2_001).as_str()] {
            let said = answer(&house.ground, &house.hands, &session, asked(reason)).await;
            assert_eq!(said.unwrap(), AnswerOutcome::Reason);
        }
        house.happens("UPDATE finding_report SET tests_skipped = 1").await;
        let said = answer(&house.ground, &house.hands, &session, asked("good")).await;
        assert_eq!(said.unwrap(), AnswerOutcome::Changed, "not what was shown");
        house.clock.advance(Duration::from_secs(301));
        let stale = house.answers_in(&session, &promotion, Answer::Approve).await;
        assert_eq!(stale, AnswerOutcome::NotFresh);
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
    }

    fn who_answers_to_a_page_of_other_settings_is_told(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        let session = house.session("ines").await;
        let shown = house.judged(&promotion).await.unwrap();
        let moved = SETTINGS.replace("@REGISTRY@/prod/shop", "@REGISTRY@/prod/elsewhere");
        house.settings(&house.signed_in("ada").await, &moved).await;
        let asked = Asked {
            promotion: promotion.clone(),
            answer: Answer::Approve,
            reason: "good".to_owned(),
            evidence: shown.evidence,
        };
        let said = answer(&house.ground, &house.hands, &session, asked).await;
        assert_eq!(said.unwrap(), AnswerOutcome::Changed, "another repository");
        let now = house.judged(&promotion).await.unwrap();
        assert_eq!(now.settings_version, shown.settings_version + 1);
    }

    fn what_is_signed_is_verified_anew_whenever_a_gate_is_asked(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        let nothing = "UPDATE key SET revoked_at = NULL";
        for (change, back, what) in [
            ("UPDATE key SET revoked_at = 1 WHERE role = 'provenance'", nothing, "provenance"),
            ("UPDATE key SET revoked_at = 1 WHERE role = 'release'", nothing, "signature"),
            ("UPDATE attestation SET envelope = statement", nothing, "provenance"),
        ] {
            house.happens(change).await;
            let judged = house.judged(&promotion).await.unwrap();
            let signed = judged.conditions.iter().find(|c| c.kind == ConditionKind::Signed).unwrap();
            assert!(!signed.is_met() && signed.detail.contains(what), "{signed:?}");
            house.happens(back).await;
        }
    }

    fn an_approval_is_void_when_what_it_binds_changes(db: Db) {
        let house = House::new(&db).await;
        // Two are wanted, so that one waits.
        let two = SETTINGS.replace("count: 1", "count: 2");
        house.settings(&house.signed_in("ada").await, &two).await;
        let (_, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.judged(&promotion).await.unwrap().counted.len(), 1);

        house.happens("UPDATE finding_report SET tests_skipped = 1").await;
        house.passes().await;
        assert_eq!(house.judged(&promotion).await.unwrap().counted.len(), 0);
        assert_eq!(house.entries("approval.void").await, 1, "the evidence has changed");
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);

        let other = format!("{two}limits: {{ timeout: 20m }}\n");
        house.settings(&house.signed_in("ada").await, &other).await;
        house.passes().await;
        assert_eq!(house.entries("approval.void").await, 2, "the settings have changed");
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);

        house.clock.advance(Duration::from_secs(86_400));
        house.passes().await;
        assert_eq!(house.entries("approval.void").await, 3, "it has expired");
        assert_eq!(house.state(&promotion).await, "waiting");
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        assert_eq!(house.answers("olga", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }

    fn a_promotion_that_waits_is_superseded_by_a_later_release(db: Db) {
        let house = House::new(&db).await;
        let (_, older) = house.waiting_for_prod().await;
        let (release, newer) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &older, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&older).await, "waiting", "it is no longer in staging");
        assert_eq!(house.answers("ines", &newer, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.holds("prod").await.as_deref(), Some(release.as_str()));
        let state = house.promotion(&older).await.state;
        assert!(
            matches!(&state, PromotionState::Superseded { cause, .. } if cause.contains("brought a later release")),
            "{state:?}"
        );
        assert_eq!(house.entries("promotion.superseded").await, 1);
        assert_eq!(house.answers("olga", &older, Answer::Approve).await, AnswerOutcome::NotOpen);
    }

    fn an_approval_is_of_what_a_release_brings_over_what_is_there(db: Db) {
        let house = House::new(&db).await;
        let straight = SETTINGS.replace("after: [staging]\n    repository", "repository");
        house.settings(&house.signed_in("ada").await, &straight).await;
        let (older_release, older) = house.waiting_for_prod().await;
        let (_, newer) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &older, Answer::Approve).await, AnswerOutcome::Given);
        assert_eq!(house.answers("ines", &newer, Answer::Approve).await, AnswerOutcome::Given);
        // Both gates are open. The older one enters first; what the newer one brings is then no longer
        // what was approved.
        house.passes().await;
        assert_eq!(house.holds("prod").await.as_deref(), Some(older_release.as_str()));
        assert_eq!(house.state(&newer).await, "waiting");
        assert_eq!(house.entries("approval.void").await, 1);
        assert_eq!(house.answers("ines", &newer, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&newer).await, "applied");
    }

    fn a_promotion_ends_when_its_environment_is_gone(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        let without = SETTINGS.split("  prod:").next().unwrap();
        house.settings(&house.signed_in("ada").await, without).await;
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "void");
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::NotOpen);
    }
}
