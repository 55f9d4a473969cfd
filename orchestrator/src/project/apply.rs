//! Applies a settings document: a new version, or everything that is wrong with it.

use super::difference::difference;
use super::state::{Project, ProjectError, ProjectId};
use super::store;
use crate::audit::{self, Record};
use crate::db::Conn;
use crate::ground::Ground;
use crate::identity::Actor;
use contract::complaint::Complaint;
use contract::digest::Digest;

/// How it went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplyOutcome {
    /// It holds from now on.
    Applied {
        /// The project's id.
        project_id: ProjectId,
        /// The new version.
        version: i64,
    },
    /// It says what holds already.
    Unchanged {
        /// The version that holds.
        version: i64,
    },
    /// It was made from another version than the one that holds.
    Conflict {
        /// The version that holds; 0 when there is no such project.
        current: i64,
        /// What has changed since the version that it was made from, line by line (DECISIONS 20).
        difference: String,
    },
    /// It is wrong.
    Complaints(Vec<Complaint>),
}

/// Applies `document`, which was made from version `from` (0: a new project).
pub async fn apply(
    ground: &Ground,
    actor: &Actor,
    from: i64,
    document: Vec<u8>,
) -> Result<ApplyOutcome, ProjectError> {
    let settings = match contract::settings::check("settings", &document) {
        Ok(settings) => settings,
        Err(complaints) => return Ok(ApplyOutcome::Complaints(complaints)),
    };
    let (ground_in, actor, name) = (ground.clone(), actor.clone(), settings.project);
    ground
        .db
        .write("project.apply", move |conn| {
            Box::pin(async move {
                let now = ground_in.now();
                let found = store::by_name(conn, name.as_str()).await?;
                let current = found.as_ref().map_or(0, |project| project.settings_version);
                if let Some(project) = &found {
                    let holds =
                        store::settings_document(conn, project.id.as_str(), current).await?;
                    if holds.as_deref() == Some(document.as_slice()) {
                        return Ok(ApplyOutcome::Unchanged { version: current });
                    }
                }
                if current != from {
                    return conflict(conn, found.as_ref(), from).await;
                }
                let id = match found {
                    Some(project) => project.id,
                    None => ProjectId::new(&*ground_in.ids),
                };
                let version = from + 1;
                let moved = if from == 0 {
                    let project = Project {
                        id: id.clone(),
                        name: name.clone(),
                        settings_version: 1,
                    };
                    store::insert(conn, &project, now).await?
                } else {
                    store::advance(conn, &id, from).await?
                };
                if !moved {
                    let found = store::by_name(conn, name.as_str()).await?;
                    return conflict(conn, found.as_ref(), from).await;
                }
                store::insert_version(conn, &id, version, &document, now, &actor).await?;
                let record = Record::new("project.applied", format!("project:{id}"), &actor)
                    .project(id.as_str())
                    .with("name", name.as_str())
                    .with("version", version)
                    .with("digest", Digest::of(&document).to_string());
                audit::append(conn, now, &*ground_in.ids, record).await?;
                Ok(ApplyOutcome::Applied {
                    project_id: id,
                    version,
                })
            })
        })
        .await
}

/// Another version came first: the editor is told what it changed.
async fn conflict(
    conn: &mut Conn,
    found: Option<&Project>,
    from: i64,
) -> Result<ApplyOutcome, ProjectError> {
    let Some(project) = found else {
        return Ok(ApplyOutcome::Conflict {
            current: 0,
            difference: String::new(),
        });
    };
    let (id, current) = (project.id.as_str(), project.settings_version);
    let old = store::settings_document(conn, id, from).await?;
    let new = store::settings_document(conn, id, current).await?;
    let text = |document: Option<Vec<u8>>| {
        String::from_utf8_lossy(&document.unwrap_or_default()).into_owned()
    };
    Ok(ApplyOutcome::Conflict {
        current,
        difference: difference(&text(old), &text(new)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::id::SystemIds;
    use std::sync::Arc;

    const SHOP: &str = "version: 1\nproject: shop\nsource: { git: /srv/shop.git }\nquarantine: r.example/quarantine/shop\n";

    crate::store_tests! {
        fn settings_are_versions_and_the_later_of_two_editors_is_told(db: Db) {
            let clock = Arc::new(SystemClock);
            let ground = Ground { db, clock: clock.clone(), ids: Arc::new(SystemIds::new(clock)) };
            let apply_text = |from, text: String| {
                let ground = ground.clone();
                async move { apply(&ground, &Actor::System, from, text.into_bytes()).await.unwrap() }
            };
            let made = apply_text(0, SHOP.to_owned()).await;
            assert!(matches!(made, ApplyOutcome::Applied { version: 1, .. }));
            assert_eq!(apply_text(0, SHOP.to_owned()).await, ApplyOutcome::Unchanged { version: 1 });
            let longer = format!("{SHOP}limits: {{ timeout: 30m }}\n");
            assert!(matches!(apply_text(1, longer).await, ApplyOutcome::Applied { version: 2, .. }));
            let other = format!("{SHOP}limits: {{ timeout: 20m }}\n");
            let ApplyOutcome::Conflict { current: 2, difference } = apply_text(1, other).await else {
                panic!("the later of two editors is told")
            };
            assert_eq!(difference, "+limits: { timeout: 30m }\n");
            let wrong = apply_text(2, format!("{SHOP}colour: red\n")).await;
            assert!(matches!(wrong, ApplyOutcome::Complaints(c) if c[0].code == "unknown-key"));
            let mut conn = ground.db.reader().await.unwrap();
            let project = store::by_name(&mut conn, "shop").await.unwrap().unwrap();
            let now = store::current_settings(&mut conn, project.id.as_str()).await.unwrap().unwrap();
            assert_eq!((now.version, now.settings.timeout_ms), (2, 1_800_000));
        }
    }
}
