//! Signs a person in with name and password.

use super::password::{PASSWORD_BYTES_MAX, Passwords};
use super::session::{COOKIE_BYTES, LIFETIME, Session, id_of};
use super::{Actor, IdentityError, PersonRow, store};
use crate::audit::{self, Record};
use crate::ground::Ground;
use crate::id::random_hex;
use zeroize::Zeroizing;

/// How it went.
pub enum SignInOutcome {
    /// The cookie's value; only the browser keeps it.
    SignedIn(Zeroizing<String>),
    /// Name or password is wrong; which of them is not said.
    Refused,
}

/// Signs in. Takes as long for a name that nobody has.
pub async fn sign_in(
    ground: &Ground,
    passwords: &Passwords,
    name: &str,
    password: Zeroizing<String>,
) -> Result<SignInOutcome, IdentityError> {
    let Some(person) = prove(ground, passwords, name, password).await? else {
        return Ok(SignInOutcome::Refused);
    };
    let cookie = Zeroizing::new(random_hex(&*ground.ids, COOKIE_BYTES));
    let (id, csrf) = (id_of(&cookie), random_hex(&*ground.ids, COOKIE_BYTES));
    let (at, ids) = (ground.now(), ground.ids.clone());
    let actor = Actor::Person {
        id: person.person_id()?,
        name: person.name.clone(),
    };
    ground
        .db
        .write("identity.sign-in", move |conn| {
            Box::pin(async move {
                store::delete_expired_sessions(conn, at).await?;
                store::insert_session(conn, &id, &person.id, &csrf, at, at.plus(LIFETIME)).await?;
                let subject = format!("person:{}", person.id);
                audit::append(
                    conn,
                    at,
                    &*ids,
                    Record::new("identity.signed-in", subject, &actor),
                )
                .await?;
                Ok::<(), IdentityError>(())
            })
        })
        .await?;
    Ok(SignInOutcome::SignedIn(cookie))
}

/// The session made fresh for one act by the password that was given with it; none when that is not
/// theirs.
pub async fn freshened(
    ground: &Ground,
    passwords: &Passwords,
    session: &Session,
    password: Zeroizing<String>,
) -> Result<Option<Session>, IdentityError> {
    let Actor::Person { id, name } = &session.caller.actor else {
        return Ok(None);
    };
    let proven = prove(ground, passwords, name, password).await?;
    let own = proven.filter(|person| person.id == id.as_str());
    Ok(own.map(|_| Session {
        signed_in_at: ground.now(),
        ..session.clone()
    }))
}

/// The person, when the password is theirs. Takes as long for a name that nobody has.
pub async fn prove(
    ground: &Ground,
    passwords: &Passwords,
    name: &str,
    password: Zeroizing<String>,
) -> Result<Option<PersonRow>, IdentityError> {
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(None);
    }
    let found = store::login(&mut ground.db.reader().await?, name).await?;
    let (person, hash) = found.map_or((None, None), |(person, hash)| (Some(person), Some(hash)));
    let good = passwords.verify(password, hash).await?;
    Ok(person.filter(|_| good))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{At, SystemClock};
    use crate::db::Db;
    use crate::id::SystemIds;
    use crate::identity::{
        AddOutcome, Grant, NewPerson, Permission, Role, add, make_token, of_cookie, of_token,
        sign_out,
    };
    use std::sync::Arc;

    fn ground(db: Db) -> Ground {
        let clock = Arc::new(SystemClock);
        Ground {
            db,
            clock: clock.clone(),
            ids: Arc::new(SystemIds::new(clock)),
        }
    }

    fn text(s: &str) -> Zeroizing<String> {
        Zeroizing::new(s.to_owned())
    }

    async fn add_mara(ground: &Ground, passwords: &Passwords) -> AddOutcome {
        let mara = NewPerson {
            name: contract::name::Name::parse("mara").unwrap(),
            display_name: "Mara Lindqvist".to_owned(),
            email: Some("Mara@Shop.example".to_owned()),
            grants: vec![Grant {
                role: Role::Developer,
                project_id: None,
            }],
            password: text("a long enough password"),
        };
        add(ground, passwords, &Actor::System, mara).await.unwrap()
    }

    crate::store_tests! {
        fn a_person_signs_in_and_out(db: Db) {
            let ground = ground(db);
            let passwords = Passwords::new().await.unwrap();
            assert!(matches!(add_mara(&ground, &passwords).await, AddOutcome::Added(_)));
            assert_eq!(add_mara(&ground, &passwords).await, AddOutcome::NameTaken);
            let wrong = sign_in(&ground, &passwords, "mara", text("guess")).await.unwrap();
            assert!(matches!(wrong, SignInOutcome::Refused));
            let right = sign_in(&ground, &passwords, "mara", text("a long enough password")).await;
            let SignInOutcome::SignedIn(cookie) = right.unwrap() else { panic!("refused") };
            let session = of_cookie(&ground, &cookie).await.unwrap().unwrap();
            assert!(session.is_fresh(ground.now()));
            assert!(session.caller.may(Permission::Request, "any"));
            assert!(!session.caller.may(Permission::Approve, "any"));
            sign_out(&ground, &cookie).await.unwrap();
            assert!(of_cookie(&ground, &cookie).await.unwrap().is_none());
        }

        fn a_password_makes_a_session_fresh_for_one_act(db: Db) {
            let ground = ground(db);
            let passwords = Passwords::new().await.unwrap();
            add_mara(&ground, &passwords).await;
            let right = sign_in(&ground, &passwords, "mara", text("a long enough password")).await;
            let SignInOutcome::SignedIn(cookie) = right.unwrap() else { panic!("refused") };
            let found = of_cookie(&ground, &cookie).await.unwrap().unwrap();
            let stale = Session { signed_in_at: At(0), ..found };
            let proves = |password| freshened(&ground, &passwords, &stale, text(password));
            assert!(proves("guess").await.unwrap().is_none());
            let fresh = proves("a long enough password").await.unwrap().unwrap();
            assert!(fresh.is_fresh(ground.now()) && !stale.is_fresh(ground.now()));
            assert_eq!(fresh.caller.actor, stale.caller.actor);
        }

        fn a_token_is_known_by_who_made_it(db: Db) {
            let ground = ground(db);
            let passwords = Passwords::new().await.unwrap();
            let AddOutcome::Added(mara) = add_mara(&ground, &passwords).await else { panic!("not added") };
            let herself = Actor::Person { id: mara.clone(), name: "mara".to_owned() };
            for (maker, is_hers) in [(herself, true), (Actor::Host { uid: 0 }, false)] {
                let made = make_token(&ground, &maker, &mara, "shell").await.unwrap();
                let caller = of_token(&ground, &made.secret).await.unwrap().unwrap();
                assert!(caller.may(Permission::Request, "any"), "it has her rights");
                assert_eq!(caller.actor.person() == Some(&mara), is_hers, "{}", caller.actor);
                // What a token of hers makes is hers as far as that token was.
                let made = make_token(&ground, &caller.actor, &mara, "another").await.unwrap();
                let caller = of_token(&ground, &made.secret).await.unwrap().unwrap();
                assert_eq!(caller.actor.person().is_some(), is_hers, "{}", caller.actor);
            }
        }

        fn an_author_is_found_by_a_verified_address_in_any_case(db: Db) {
            let ground = ground(db);
            let passwords = Passwords::new().await.unwrap();
            add_mara(&ground, &passwords).await;
            let mut conn = ground.db.reader().await.unwrap();
            let found = store::person_by_email(&mut conn, "mara@SHOP.example").await.unwrap();
            assert_eq!(found.unwrap().name, "mara");
        }
    }
}
