//! Reads from the repositories what gates will want to know: who worked on what is to enter.
//!
//! In lanes: a repository that hangs holds up the gates of its own project, which stay closed as long as
//! that is not known, and no other project's.

use super::reconcile::noted;
use super::state::{Hands, Promotion, PromotionError};
use super::store;
use super::subject::subject;
use crate::db::Conn;
use crate::gate::{self, Entering};
use crate::ground::Ground;
use crate::image;
use crate::project::{self, Project};
use crate::reconcile::Progress;

/// Learns it of promotions that wait.
pub(super) async fn learn(
    ground: &Ground,
    hands: &Hands,
    waiting: &[Promotion],
) -> Result<Progress, PromotionError> {
    let mut entering = Vec::new();
    let mut conn = ground.db.reader().await?;
    for promotion in waiting {
        let of = of(&mut conn, promotion).await;
        entering.extend(noted(promotion.id.as_str(), of));
    }
    drop(conn);
    Ok(learn_all(ground, hands, entering).await)
}

/// Learns it of the newest releases before anybody asks for them, so that whoever asks and whoever answers
/// sees who may.
pub(super) async fn learn_ahead(
    ground: &Ground,
    hands: &Hands,
    projects: &[Project],
) -> Result<Progress, PromotionError> {
    let mut entering = Vec::new();
    let mut conn = ground.db.reader().await?;
    for project in projects {
        let ahead = ahead(&mut conn, project).await;
        entering.extend(noted(project.name.as_str(), ahead));
    }
    drop(conn);
    Ok(learn_all(ground, hands, entering).await)
}

async fn learn_all(ground: &Ground, hands: &Hands, entering: Vec<Entering>) -> Progress {
    let items = entering.into_iter();
    let items = items.map(|entering| (entering.project_id.clone(), entering));
    let given = (ground.clone(), hands.mirrors.clone());
    let learnt = hands.lanes.work(items, move |entering| {
        let (ground, mirrors) = given.clone();
        async move {
            let run = entering.run_id.clone();
            let learnt = gate::learn(&ground, &mirrors, entering).await;
            noted(&run, learnt.map_err(PromotionError::from))
        }
    });
    learnt.await
}

/// What a promotion that waits brings: its gate may ask who worked on that, and people read the commits.
async fn of(conn: &mut Conn, promotion: &Promotion) -> Result<Option<Entering>, PromotionError> {
    let subject = subject(conn, promotion).await?;
    Ok(subject.map(|subject| Entering {
        base: subject.base().to_owned(),
        project_id: subject.project_id,
        git: subject.settings.git,
        run_id: subject.release.run_id,
    }))
}

/// What the newest release would bring into each environment whose gate asks that and that does not hold it.
async fn ahead(conn: &mut Conn, project: &Project) -> Result<Vec<Entering>, PromotionError> {
    let id = project.id.as_str();
    let settings = project::current_settings(conn, id).await?;
    let newest = image::releases_of_project(conn, id, 1).await?;
    let (Some(settings), Some(release)) = (settings, newest.into_iter().next()) else {
        return Ok(Vec::new());
    };
    let placed = store::placements(conn, id, &release.id).await?;
    let mut entering = Vec::new();
    for environment in &settings.settings.environments {
        let is_there = placed.iter().any(|(at, _)| at == environment.name.as_str());
        if is_there || environment.gate.approvals.is_empty() {
            continue;
        }
        let holds = store::holding(conn, id, environment.name.as_str()).await?;
        entering.push(Entering {
            project_id: id.to_owned(),
            git: settings.settings.git.clone(),
            run_id: release.run_id.clone(),
            base: holds.map(|holds| holds.commit).unwrap_or_default(),
        });
    }
    Ok(entering)
}
