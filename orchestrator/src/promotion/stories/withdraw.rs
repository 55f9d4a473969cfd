//! Whoever asked for a promotion takes it back while it waits, and nobody else does.

use super::super::{AnswerOutcome, RequestOutcome, WithdrawOutcome, request, withdraw};
use super::house::{GOOD, House};
use crate::identity::{Actor, Caller, Grant, Role};
use evidence::approval::Answer;

/// A caller who may see everything.
fn caller(actor: &Actor) -> Caller {
    let grant = Grant {
        role: Role::Viewer,
        project_id: None,
    };
    Caller::with_grants(actor.clone(), "somebody", vec![grant])
}

crate::store_tests! {
    fn the_requester_alone_withdraws_while_it_waits(db: Db) {
        let house = House::new(&db).await;
        let (release, promotion) = house.waiting_for_prod().await;
        let asked = house.promotion(&promotion).await;
        let withdraws = async |actor: &Actor| {
            withdraw(&house.ground, &caller(actor), &promotion).await.unwrap()
        };
        let (mara, ines) = (house.signed_in("mara").await, house.signed_in("ines").await);
        assert!(asked.is_asked_by(&mara));
        for other in [&ines, &Actor::Host { uid: 0 }, &Actor::System] {
            assert_eq!(withdraws(other).await, WithdrawOutcome::NotTheirs, "{other}");
        }
        let blind = Caller::with_grants(mara.clone(), "mara", Vec::new());
        let unseen = withdraw(&house.ground, &blind, &promotion).await.unwrap();
        assert_eq!(unseen, WithdrawOutcome::NoSuchPromotion);

        assert_eq!(withdraws(&mara).await, WithdrawOutcome::Withdrawn);
        assert_eq!(house.state(&promotion).await, "void");
        assert_eq!(house.entries("promotion.void").await, 1);
        assert_eq!(withdraws(&mara).await, WithdrawOutcome::NotOpen, "once");
        let late = house.answers("ines", &promotion, Answer::Approve).await;
        assert_eq!(late, AnswerOutcome::NotOpen);
        house.passes().await;
        assert_eq!(house.holds("prod").await, None);

        // The same can be asked for again; what is on its way in cannot be taken back.
        let again = house.requests(&mara, &release).await;
        assert_ne!(again, promotion);
        house.passes().await;
        let yes = house.answers("ines", &again, Answer::Approve).await;
        assert_eq!(yes, AnswerOutcome::Given);
        house.passes().await;
        let late = withdraw(&house.ground, &caller(&mara), &again).await.unwrap();
        assert_eq!((late, house.state(&again).await), (WithdrawOutcome::NotOpen, "applied"));
    }

    fn what_somebody_took_back_the_rule_still_asks_for_and_what_was_rejected_not(db: Db) {
        let house = House::new(&db).await;
        let release = house.release(GOOD).await;
        let (mara, project) = (house.signed_in("mara").await, house.project().await.id);
        let early = request(&house.ground, &mara, project.as_str(), "staging", &release).await;
        let RequestOutcome::Requested(early) = early.unwrap() else {
            panic!("not requested");
        };
        let taken = withdraw(&house.ground, &caller(&mara), &early).await.unwrap();
        assert_eq!(taken, WithdrawOutcome::Withdrawn);
        // Had somebody said no, it would be left to people.
        house.happens("UPDATE promotion SET cause = 'rejected by Ines: not now'").await;
        house.passes().await;
        assert_eq!(house.only_into("staging").await.state.as_str(), "void");
        house.happens("UPDATE promotion SET cause = 'withdrawn by mara' WHERE state = 'void'").await;
        house.passes().await;
        assert_eq!(house.all_into("staging").await.len(), 2);
        assert_eq!(house.holds("staging").await.as_deref(), Some(release.as_str()));
    }

    fn what_the_rule_asked_for_is_nobodys_and_a_hosts_request_is_the_hosts(db: Db) {
        let house = House::new(&db).await;
        let release = house.release(GOOD).await;
        house.passes().await;
        let host = Actor::Host { uid: 7 };
        let promotion = house.requests(&host, &release).await;
        let by = async |actor: Actor| {
            withdraw(&house.ground, &caller(&actor), &promotion).await.unwrap()
        };
        assert_eq!(by(Actor::Host { uid: 8 }).await, WithdrawOutcome::NotTheirs);
        assert_eq!(by(host).await, WithdrawOutcome::Withdrawn);
        assert!(!house.only_into("dev").await.is_asked_by(&Actor::System));
    }
}
