//! Stories of deliveries, on both databases: what is accepted, repeated, replayed, refused, folded.

use super::*;
use crate::blob::Blobs;
use crate::clock::{At, Clock as _, SteppedClock};
use crate::db::Db;
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::Actor;
use crate::project::{self, ApplyOutcome, ProjectId};
use crate::vault::MasterKey;
use bytes::Bytes;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

const SETTINGS: &str = "version: 1\nproject: shop\nsource: { git: /srv/shop.git }\nquarantine: r.example/quarantine/shop\n";
const GITHUB_SECRET: &str = "It's a Secret to Everybody";
const GIT_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const DAY: Duration = Duration::from_secs(24 * 3_600);

struct House {
    intake: Intake,
    clock: Arc<SteppedClock>,
    github: HookId,
    git: HookId,
    _folder: tempfile::TempDir,
}

/// What came of a request, as its sender sees it.
#[derive(Debug, PartialEq, Eq)]
enum Got {
    Received(Received),
    Refused(RefusalReason),
}

impl House {
    async fn on(db: Db) -> Self {
        let clock = Arc::new(SteppedClock::new(At(1_790_000_040_000_000)));
        let ids = Arc::new(SystemIds::new(clock.clone()));
        let ground = Ground {
            db,
            clock: clock.clone(),
            ids,
        };
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("master.key");
        MasterKey::create_file(&key, &*ground.ids).unwrap();
        let config = crate::config::MasterKey {
            file: Some(key),
            command: None,
            env: None,
        };
        let sealer = MasterKey::load(&config).unwrap().sealer("hook-secrets");
        let blobs = Blobs::new(&folder.path().join("blobs"));
        let url = "https://pipeline.example";
        let intake = Intake::open(&ground, &blobs, sealer, url, 1 << 20)
            .await
            .unwrap();
        let applied = project::apply(&ground, &Actor::System, 0, SETTINGS.into()).await;
        let Ok(ApplyOutcome::Applied { project_id, .. }) = applied else {
            panic!("{applied:?}");
        };
        let github = add(&intake, &project_id, Provider::Github, GITHUB_SECRET).await;
        let git = add(&intake, &project_id, Provider::Git, GIT_SECRET).await;
        Self {
            intake,
            clock,
            github,
            git,
            _folder: folder,
        }
    }

    async fn request(&self, hook: &str, headers: HeaderMap, body: &[u8]) -> Got {
        let request = Request {
            hook_id: hook,
            headers: &headers,
            body: Ok(Bytes::copy_from_slice(body)),
            address: [198, 51, 100, 7].into(),
        };
        match SignedBody::verify(&self.intake, request).await {
            Ok(signed) => Got::Received(receive(&self.intake, signed).await.unwrap()),
            Err(refused) => {
                refuse(&self.intake, &refused).await;
                Got::Refused(refused.reason())
            }
        }
    }

    async fn github_sends(&self, id: &str, body: &[u8]) -> Got {
        let headers = github_headers(GITHUB_SECRET, id, body);
        self.request(self.github.as_str(), headers, body).await
    }

    async fn git_sends(&self, id: &str, body: &[u8]) -> Got {
        let key = key_of_git(GIT_SECRET).unwrap();
        let now = self.clock.now().seconds();
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", id.parse().unwrap());
        headers.insert("webhook-timestamp", now.into());
        headers.insert(
            "webhook-signature",
            sign_git(&key, id, now, body).parse().unwrap(),
        );
        self.request(self.git.as_str(), headers, body).await
    }

    async fn project(&self) -> ProjectId {
        let mut conn = self.intake.ground().db.reader().await.unwrap();
        project::by_name(&mut conn, "shop")
            .await
            .unwrap()
            .unwrap()
            .id
    }

    async fn one(&self, sql: &'static str) -> i64 {
        let mut conn = self.intake.ground().db.reader().await.unwrap();
        crate::fetch_one!(conn, (i64,), sql).unwrap().0
    }
}

async fn add(intake: &Intake, project: &ProjectId, provider: Provider, secret: &str) -> HookId {
    let hook = AddHook {
        project_id: project.clone(),
        provider,
        secret: Zeroizing::new(secret.to_owned()),
        pusher: None,
    };
    add_hook(intake, &Actor::System, hook)
        .await
        .unwrap()
        .unwrap()
        .id
}

fn github_headers(secret: &str, id: &str, body: &[u8]) -> HeaderMap {
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body);
    let tag = hex::encode(mac.finalize().into_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(
        "x-hub-signature-256",
        format!("sha256={tag}").parse().unwrap(),
    );
    headers.insert("x-github-delivery", id.parse().unwrap());
    headers.insert("x-github-event", "push".parse().unwrap());
    headers.insert("cookie", "session=do-not-keep".parse().unwrap());
    headers
}

fn id_of(got: &Got) -> DeliveryId {
    match got {
        Got::Received(
            Received::Accepted { id } | Received::Repeated { id } | Received::Replayed { id, .. },
        ) => id.clone(),
        Got::Received(Received::IdReused) | Got::Refused(_) => panic!("{got:?}"),
    }
}

const DELIVERIES: &str = "SELECT COUNT(*) FROM delivery";
const REFUSED: &str = "SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) FROM refusal";
const ENTRIES: &str = "SELECT COUNT(*) FROM audit_entry WHERE type LIKE 'delivery.%'";

crate::store_tests! {
    fn a_delivery_is_stored_verbatim_with_its_audit_entry(db: Db) {
        let house = House::on(db).await;
        let body = br#"{"ref":"refs/heads/main"}"#;
        let got = house.github_sends("guid-1", body).await;
        assert!(matches!(got, Got::Received(Received::Accepted { .. })), "{got:?}");
        let mut conn = house.intake.ground().db.reader().await.unwrap();
        let row = delivery(&mut conn, id_of(&got).as_str()).await.unwrap().unwrap();
        assert_eq!((row.event.as_str(), row.external_id.as_str()), ("push", "guid-1"));
        assert!(!row.headers.contains("do-not-keep"), "{}", row.headers);
        assert_eq!(super::body(&mut conn, &row.id).await.unwrap(), Some(BodyAt::Row(body.to_vec())));
        let entries = crate::audit::by_subject(&mut conn, &format!("delivery:{}", row.id), 9).await.unwrap();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].id.as_str(), entries[0].kind.as_str()), (row.audit_id.as_str(), "delivery.accepted"));
        assert_eq!(&row.address[12..], [198, 51, 100, 7]);
    }

    fn a_large_body_is_a_blob_and_comes_back_whole(db: Db) {
        let house = House::on(db).await;
        let large = vec![b'x'; 65 * 1024];
        let id = id_of(&house.git_sends("large", &large).await);
        let mut conn = house.intake.ground().db.reader().await.unwrap();
        let Some(BodyAt::Blob(digest)) = super::body(&mut conn, id.as_str()).await.unwrap() else {
            panic!("not a blob");
        };
        assert_eq!(house.intake.blobs().get(&digest).await.unwrap(), large);
    }

    fn a_repeat_gets_the_first_id_and_another_body_under_it_is_refused(db: Db) {
        let house = House::on(db).await;
        let first = id_of(&house.github_sends("guid-1", b"{}").await);
        let again = house.github_sends("guid-1", b"{}").await;
        assert_eq!(again, Got::Received(Received::Repeated { id: first }));
        let other = house.github_sends("guid-1", b"{ }").await;
        assert_eq!(other, Got::Received(Received::IdReused));
        assert_eq!((house.one(DELIVERIES).await, house.one(REFUSED).await), (1, 1));
        assert_eq!(house.one(ENTRIES).await, 2);
    }

    fn a_body_under_another_unsigned_id_is_a_replay_for_seven_days(db: Db) {
        let house = House::on(db).await;
        let first = id_of(&house.github_sends("guid-1", b"{}").await);
        house.clock.advance(6 * DAY);
        let second = house.github_sends("guid-2", b"{}").await;
        assert!(matches!(&second, Got::Received(Received::Replayed { of, .. }) if *of == first), "{second:?}");
        let repeated = house.github_sends("guid-2", b"{}").await;
        assert_eq!(repeated, Got::Received(Received::Repeated { id: id_of(&second) }));
        house.clock.advance(2 * DAY);
        let late = house.github_sends("guid-3", b"{}").await;
        assert!(matches!(late, Got::Received(Received::Accepted { .. })), "{late:?}");
        assert_eq!(house.one(DELIVERIES).await, 3);
    }

    fn where_the_id_is_signed_the_same_body_under_another_id_is_new(db: Db) {
        let house = House::on(db).await;
        for id in ["a", "b"] {
            let got = house.git_sends(id, b"{}").await;
            assert!(matches!(got, Got::Received(Received::Accepted { .. })), "{got:?}");
        }
    }

    fn of_one_body_sent_at_once_under_many_ids_one_is_accepted(db: Db) {
        let house = House::on(db).await;
        let ids: Vec<String> = (0..24).map(|i| format!("guid-{i}")).collect();
        let all = futures::future::join_all(ids.iter().map(|id| house.github_sends(id, b"{}"))).await;
        let accepted = all.iter().filter(|got| matches!(got, Got::Received(Received::Accepted { .. })));
        assert_eq!(accepted.count(), 1, "{all:?}");
        assert_eq!(house.one(DELIVERIES).await, 24);
        assert_eq!(house.one("SELECT COUNT(*) FROM delivery WHERE replays_id IS NOT NULL").await, 23);
    }

    fn what_is_forged_empty_or_nameless_is_refused_and_counted(db: Db) {
        let house = House::on(db).await;
        let hook = house.github.to_string();
        let signed = |body: &[u8]| github_headers(GITHUB_SECRET, "guid-1", body);
        let without = |name: &str, body: &[u8]| {
            let mut headers = signed(body);
            headers.remove(name);
            headers
        };
        let forged = github_headers("another secret of 16 bytes", "guid-1", b"{}");
        let unknown = "0123456789abcdef0123456789abcdef";
        let requests: [(&str, HeaderMap, &[u8], RefusalReason); 7] = [
            (&hook, forged, b"{}", RefusalReason::SignatureWrong),
            (&hook, without("x-hub-signature-256", b"{}"), b"{}", RefusalReason::SignatureMissing),
            (&hook, without("x-github-delivery", b"{}"), b"{}", RefusalReason::DeliveryIdMalformed),
            (&hook, signed(b"{}"), b"{", RefusalReason::SignatureWrong),
            (&hook, signed(b""), b"", RefusalReason::BodyEmpty),
            (unknown, signed(b"{}"), b"{}", RefusalReason::UnknownHook),
            ("../../etc", signed(b"{}"), b"{}", RefusalReason::UnknownHook),
        ];
        for (hook, headers, body, reason) in requests {
            assert_eq!(house.request(hook, headers, body).await, Got::Refused(reason));
        }
        assert_eq!((house.one(DELIVERIES).await, house.one(REFUSED).await), (0, 7));
        // What was refused can be sent again: only accepted deliveries occupy the keys.
        let good = house.github_sends("guid-1", b"{}").await;
        assert!(matches!(good, Got::Received(Received::Accepted { .. })), "{good:?}");
    }

    fn a_late_signature_of_a_plain_repository_is_refused(db: Db) {
        let house = House::on(db).await;
        let key = key_of_git(GIT_SECRET).unwrap();
        let now = house.clock.now().seconds() - 301;
        let mut headers = HeaderMap::new();
        headers.insert("webhook-id", "late".parse().unwrap());
        headers.insert("webhook-timestamp", now.into());
        headers.insert("webhook-signature", sign_git(&key, "late", now, b"{}").parse().unwrap());
        let got = house.request(house.git.as_str(), headers, b"{}").await;
        assert_eq!(got, Got::Refused(RefusalReason::TimestampOutside));
    }

    fn a_hook_that_is_switched_off_is_no_entrance_any_more(db: Db) {
        let house = House::on(db).await;
        let project = house.project().await;
        let other = ProjectId::new(&*house.intake.ground().ids);
        let off = |project| disable_hook(&house.intake, &Actor::System, project, &house.git);
        assert!(!off(&other).await.unwrap(), "it is not that project's");
        assert!(off(&project).await.unwrap());
        assert!(!off(&project).await.unwrap(), "it is off");
        assert_eq!(house.git_sends("a", b"{}").await, Got::Refused(RefusalReason::UnknownHook));
        let good = house.github_sends("b", b"{}").await;
        assert!(matches!(good, Got::Received(Received::Accepted { .. })), "{good:?}");
    }

    fn bodies_together_take_no_more_room_than_there_is(db: Db) {
        let house = House::on(db).await;
        let mut rooms: Vec<BodyRoom> = (0..65).map(|_| house.intake.no_room()).collect();
        let took: Vec<bool> = rooms.iter_mut().map(|room| room.grow(1 << 20)).collect();
        assert_eq!(took.iter().filter(|took| **took).count(), 64);
        let mut last = rooms.pop().unwrap();
        assert!(!last.grow(1));
        rooms.pop();
        assert!(last.grow(1 << 19) && last.grow(1 << 19), "what was answered is free again");
        drop((rooms, last));
        assert!(house.intake.no_room().grow(1 << 26));
    }

    fn a_flood_is_folded_and_every_request_is_counted(db: Db) {
        let house = House::on(db).await;
        let flood = |count: usize| {
            let house = &house;
            async move {
                for _ in 0..count {
                    let headers = github_headers("another secret of 16 bytes", "g", b"{}");
                    house.request(house.github.as_str(), headers, b"{}").await;
                }
            }
        };
        flood(137).await;
        pass(&house.intake).await.unwrap();
        assert_eq!(house.one(REFUSED).await, 20, "before the minute closes twenty stand");
        house.clock.advance(Duration::from_secs(60));
        flood(25).await;
        pass(&house.intake).await.unwrap();
        assert_eq!(house.one(REFUSED).await, 137 + 20);
        flush(&house.intake).await.unwrap();
        assert_eq!(house.one(REFUSED).await, 137 + 25, "the stop writes what is counted");
        assert_eq!(house.one("SELECT COUNT(*) FROM refusal WHERE folded = 1").await, 2);
        assert_eq!(house.one(ENTRIES).await, 42);
    }

    fn both_secrets_hold_during_a_rotation_and_the_old_one_ends(db: Db) {
        let house = House::on(db).await;
        let project = house.project().await;
        let rotates = async |hook, secret, keep| {
            let actor = Actor::System;
            rotate_hook(&house.intake, &actor, &project, hook, secret, keep).await.unwrap()
        };
        let send = |secret: &'static str, id: &'static str| {
            let headers = github_headers(secret, id, id.as_bytes());
            house.request(house.github.as_str(), headers, id.as_bytes())
        };
        let taken = |got: Got| matches!(got, Got::Received(Received::Accepted { .. }));
        let (second, third) = ("the next secret of theirs", "and the one after that");
        assert!(rotates(&house.github, "short", DAY).await.is_err());
        assert_eq!(rotates(&house.github, second, DAY).await, Ok(Some(Provider::Github)));
        assert!(taken(send(GITHUB_SECRET, "a").await));
        assert!(taken(send(second, "b").await));
        house.clock.advance(DAY);
        assert_eq!(send(GITHUB_SECRET, "c").await, Got::Refused(RefusalReason::SignatureWrong));
        assert!(taken(send(second, "d").await));

        // Two hold at most, and one that leaked can go at once.
        assert_eq!(rotates(&house.github, GITHUB_SECRET, DAY).await, Ok(Some(Provider::Github)));
        assert_eq!(rotates(&house.github, third, Duration::ZERO).await, Ok(Some(Provider::Github)));
        for (secret, id) in [(second, "e"), (GITHUB_SECRET, "f")] {
            assert_eq!(send(secret, id).await, Got::Refused(RefusalReason::SignatureWrong), "{id}");
        }
        assert!(taken(send(third, "g").await));
        assert!(disable_hook(&house.intake, &Actor::System, &project, &house.github).await.unwrap());
        assert_eq!(rotates(&house.github, second, DAY).await, Ok(None), "it is off");
    }
}
