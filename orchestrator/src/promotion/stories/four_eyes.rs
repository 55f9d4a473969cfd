//! Four eyes, end to end: nobody who had a part in a release approves it, and who cannot be matched to a
//! person asks for one more.

use super::super::{AnswerOutcome, PromotionId};
use super::house::{GOOD, House, SETTINGS};
use crate::gate::{Commits, ConditionKind, Exclusion};
use crate::identity::{Actor, Minted};
use evidence::approval::Answer;

/// How many approvals a promotion wants, and why.
async fn wanted(house: &House, promotion: &PromotionId) -> (u32, String) {
    let judgement = house.judged(promotion).await.unwrap();
    let approvals = judgement
        .conditions
        .iter()
        .find(|condition| condition.kind == ConditionKind::Approvals);
    (
        judgement.approvals_required,
        approvals.unwrap().detail.clone(),
    )
}

/// Why a person may not approve; empty: they may.
async fn parts(house: &House, promotion: &PromotionId, name: &str) -> Vec<Exclusion> {
    let judgement = house.judged(promotion).await.unwrap();
    let person = house.id_of(name).await;
    judgement.seats.exclusions(&person).unwrap().to_vec()
}

crate::store_tests! {
    fn whoever_had_a_part_in_it_may_not_approve_and_administrators_are_no_exception(db: Db) {
        let house = House::new(&db).await;
        for name in ["amir", "cleo", "pat", "rita", "gil"] {
            house.person(name, &["release-manager", "admin"]).await;
        }
        let more = SETTINGS.replace("base/*\"]", "base/*\", \"@REGISTRY@/more/*\"]");
        house.settings(&house.signed_in("gil").await, &more).await;
        // Amir wrote and Cleo committed one that comes in with the last one, which is somebody else's.
        house.commit("amir", "cleo");
        let head = house.commit("mara", "mara");
        let release = house.release_of(&head, Some("pat"), GOOD).await;
        house.passes().await;
        let rita = house.signed_in("rita").await;
        let promotion = house.requests(&rita, &release).await;
        let table = [
            ("amir", Exclusion::Author, "wrote a commit of this release"),
            ("cleo", Exclusion::Committer, "committed one of its commits"),
            ("pat", Exclusion::Triggerer, "triggered the run"),
            ("rita", Exclusion::Requester, "requested this promotion"),
            ("gil", Exclusion::GateEditor, "edited the gate's settings"),
        ];
        for (name, part, words) in table {
            assert_eq!(parts(&house, &promotion, name).await, [part], "{name}");
            let answered = house.answers(name, &promotion, Answer::Approve).await;
            assert_eq!(answered, AnswerOutcome::MayNot(vec![words]), "{name}");
            let answered = house.answers(name, &promotion, Answer::Reject).await;
            assert_eq!(answered, AnswerOutcome::MayNot(vec![words]), "{name}");
        }
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "waiting");
        assert_eq!(wanted(&house, &promotion).await.0, 1, "everybody is known");
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }

    fn whoever_ran_a_run_again_triggered_it(db: Db) {
        let house = House::new(&db).await;
        house.person("rae", &["release-manager"]).await;
        let rae = house.signed_in("rae").await;
        let commit = house.commit("mara", "mara");
        let release = house.release_by(&commit, Some("mara"), Some(rae), GOOD).await;
        house.passes().await;
        let promotion = house.requests(&house.signed_in("mara").await, &release).await;
        assert_eq!(parts(&house, &promotion, "rae").await, [Exclusion::Triggerer]);
        let answered = house.answers("rae", &promotion, Answer::Approve).await;
        assert_eq!(answered, AnswerOutcome::MayNot(vec!["triggered the run"]));
        assert_eq!(wanted(&house, &promotion).await.0, 1);
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }

    fn who_ran_it_again_and_cannot_be_matched_asks_for_one_more(db: Db) {
        let house = House::new(&db).await;
        let commit = house.commit("mara", "mara");
        let host = Actor::Host { uid: 0 };
        let release = house.release_by(&commit, Some("mara"), Some(host), GOOD).await;
        house.passes().await;
        let promotion = house.requests(&house.signed_in("mara").await, &release).await;
        let (count, why) = wanted(&house, &promotion).await;
        assert_eq!(count, 2, "{why}");
        assert!(why.contains("host(0) ran it again and maps to nobody here"), "{why}");
    }

    fn a_part_taken_after_the_yes_takes_it_back(db: Db) {
        let house = House::new(&db).await;
        let two = SETTINGS.replace("count: 1", "count: 2");
        house.settings(&house.signed_in("ada").await, &two).await;
        house.person("kim", &["release-manager"]).await;
        let (_, promotion) = house.waiting_for_prod().await;
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        // Her role is taken away before the second yes.
        house.happens(
            "DELETE FROM role_grant WHERE person_id = (SELECT id FROM person WHERE name = 'ines')",
        ).await;
        assert_eq!(house.answers("olga", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "waiting", "one of two counts");
        assert_eq!(house.answers("kim", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }

    fn a_requester_who_cannot_be_matched_asks_for_one_more(db: Db) {
        let house = House::new(&db).await;
        let release = house.release(GOOD).await;
        house.passes().await;
        let olga = house.id_of("olga").await;
        let token = |minted| Actor::Token {
            id: "t".to_owned(),
            person: olga.clone(),
            name: "olga".to_owned(),
            minted,
        };
        let by_another = token(Minted::By("host(0)".to_owned()));
        for (requester, said) in [
            (Actor::Host { uid: 0 }, "host(0) requested it"),
            (by_another, "token(t) of person(olga) made by host(0) requested it"),
        ] {
            let promotion = house.requests(&requester, &release).await;
            let (count, why) = wanted(&house, &promotion).await;
            assert_eq!(count, 2, "{why}");
            assert!(why.contains(said), "{why}");
            assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
            house.passes().await;
            assert_eq!(house.state(&promotion).await, "waiting", "one is not enough");
            assert_eq!(house.answers("olga", &promotion, Answer::Reject).await, AnswerOutcome::Given);
        }
        // By a token that she made herself it is hers.
        let promotion = house.requests(&token(Minted::ByThemself), &release).await;
        assert_eq!(wanted(&house, &promotion).await.0, 1);
        assert_eq!(parts(&house, &promotion, "olga").await, [Exclusion::Requester]);
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }

    fn an_author_pusher_or_editor_who_cannot_be_matched_asks_for_one_more_in_all(db: Db) {
        let house = House::new(&db).await;
        let more = SETTINGS.replace("base/*\"]", "base/*\", \"@REGISTRY@/more/*\"]");
        house.settings(&Actor::Host { uid: 7 }, &more).await;
        house.commit("stranger", "stranger");
        let head = house.commit("mara", "mara");
        let release = house.release_of(&head, None, GOOD).await;
        house.passes().await;
        let promotion = house.requests(&house.signed_in("mara").await, &release).await;
        let (count, why) = wanted(&house, &promotion).await;
        assert_eq!(count, 2, "one more, not one for each: {why}");
        for said in [
            "author stranger maps to nobody here",
            "whoever pushed it maps to nobody here",
            "host(7) edited this gate and maps to nobody here",
        ] {
            assert!(why.contains(said), "{why}");
        }
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        assert_eq!(house.answers("olga", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied", "the signer counts two");
    }

    fn only_what_comes_in_counts(db: Db) {
        let house = House::new(&db).await;
        house.person("amir", &["release-manager"]).await;
        let first = house.commit("amir", "amir");
        let release = house.release_of(&first, Some("mara"), GOOD).await;
        house.passes().await;
        let mara = house.signed_in("mara").await;
        let promotion = house.requests(&mara, &release).await;
        assert_eq!(
            parts(&house, &promotion, "amir").await,
            [Exclusion::Author, Exclusion::Committer]
        );
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;

        house.commit("olga", "mara");
        let head = house.commit("mara", "mara");
        let next = house.release_of(&head, Some("mara"), GOOD).await;
        house.passes().await;
        let promotion = house.requests(&mara, &next).await;
        let judgement = house.judged(&promotion).await.unwrap();
        let two = Commits::Read { count: 2, complete: true };
        assert_eq!(judgement.seats.commits, two, "those since the one that is there");
        assert_eq!(parts(&house, &promotion, "amir").await, []);
        assert_eq!(parts(&house, &promotion, "olga").await, [Exclusion::Author]);
        assert_eq!(house.answers("amir", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.holds("prod").await.as_deref(), Some(next.as_str()));

        // Going back brings no commits, but the one that it goes back to is somebody's.
        let promotion = house.requests(&mara, &release).await;
        let judgement = house.judged(&promotion).await.unwrap();
        assert_eq!(judgement.seats.commits, Commits::Read { count: 0, complete: true });
        assert_eq!(
            parts(&house, &promotion, "amir").await,
            [Exclusion::Author, Exclusion::Committer]
        );
    }

    fn until_it_is_known_who_worked_on_it_nobodys_yes_counts(db: Db) {
        let house = House::new(&db).await;
        let (_, promotion) = house.waiting_for_prod().await;
        house.happens("DELETE FROM contribution_commit").await;
        house.happens("DELETE FROM contributor").await;
        house.happens("DELETE FROM contribution").await;
        let judgement = house.judged(&promotion).await.unwrap();
        let unmet = judgement.conditions.iter().filter(|c| !c.is_met()).map(|c| c.kind);
        let unmet: Vec<ConditionKind> = unmet.collect();
        assert_eq!(unmet, [ConditionKind::Approvals, ConditionKind::Contributors]);
        // It is found out by itself; an answer to what was shown before says nothing then.
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "waiting");
        assert_eq!(house.entries("approval.void").await, 1);
        assert_eq!(house.answers("ines", &promotion, Answer::Approve).await, AnswerOutcome::Given);
        house.passes().await;
        assert_eq!(house.state(&promotion).await, "applied");
    }
}
