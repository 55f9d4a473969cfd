//! `GET /projects/{project}/environments`: what is where, and what could come next.

use super::frame::{now, visible_project};
use super::promotion::status;
use super::{Copied, Frame, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::image::ReleaseId;
use crate::promotion::{self, Promotion, RequestOutcome};
use crate::{image, project, run};
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::{IntoResponse as _, Redirect, Response};
use contract::settings::Promote;
use serde::Deserialize;
use std::sync::Arc;

/// Promotions that the page lists.
const PROMOTIONS_MAX: i64 = 50;

/// What an environment holds.
struct Held {
    run_number: i64,
    digests: Vec<Copied>,
    since: When,
    promotion_id: String,
    release_id: String,
}

struct Lane {
    name: String,
    by_hand: bool,
    held: Option<Held>,
    waiting: Vec<(Promotion, Status)>,
    /// What a person may ask for now: release and run number.
    next: Option<(String, i64)>,
}

struct Listed {
    promotion: Promotion,
    status: Status,
    requested: When,
}

#[derive(Template)]
#[template(path = "environments.html")]
struct Shown {
    frame: Frame,
    project: String,
    lanes: Vec<Lane>,
    promotions: Vec<Listed>,
    may_request: bool,
}

/// The lanes.
pub async fn environments(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(name): Path<String>,
) -> Result<Response, PageError> {
    let project = visible_project(&app, &signed_in, &name).await?;
    let (now, id) = (now(&app), project.id.as_str());
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let settings = project::current_settings(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let settings = settings.ok_or(PageError::NotFound)?.settings;
    let placed = promotion::in_environments(&mut conn, id)
        .await
        .map_err(PageError::log)?;
    let promotions = promotion::of_project(&mut conn, id, PROMOTIONS_MAX)
        .await
        .map_err(PageError::log)?;
    let mut lanes: Vec<Lane> = Vec::new();
    for environment in &settings.environments {
        let place = placed
            .iter()
            .find(|place| place.environment == environment.name.as_str());
        let held = match place {
            Some(place) => Some(held(&mut conn, place, now).await?),
            None => None,
        };
        // What the one before holds, where this one does not hold it and nobody has asked yet.
        let before = environment.after.last().and_then(|after| {
            lanes
                .iter()
                .find(|lane| lane.name == after.as_str())
                .and_then(|lane| lane.held.as_ref())
        });
        let waiting: Vec<(Promotion, Status)> = promotions
            .iter()
            .filter(|p| p.environment == environment.name && !ended(p))
            .map(|p| (p.clone(), status(&p.state)))
            .collect();
        let next = before
            .filter(|_| environment.promote == Promote::ByHand)
            .filter(|before| {
                held.as_ref()
                    .is_none_or(|held| held.release_id != before.release_id)
            })
            .filter(|before| {
                !waiting
                    .iter()
                    .any(|(p, _)| p.release_id.as_str() == before.release_id)
            })
            .map(|before| (before.release_id.clone(), before.run_number));
        let by_hand = environment.promote == Promote::ByHand;
        lanes.push(Lane {
            name: environment.name.to_string(),
            by_hand,
            held,
            waiting,
            next,
        });
    }
    let listed = |promotion: Promotion| Listed {
        status: status(&promotion.state),
        requested: When::micros(promotion.requested_at, now),
        promotion,
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Environments, "Environments").of_project(&project),
        may_request: signed_in.session.caller.may(Permission::Request, id),
        project: name,
        lanes,
        promotions: promotions.into_iter().map(listed).collect(),
    }))
}

fn ended(promotion: &Promotion) -> bool {
    use crate::promotion::PromotionState as S;
    match promotion.state {
        S::Requested | S::Waiting | S::Applying { .. } => false,
        S::Applied { .. } | S::Failed { .. } | S::Void { .. } | S::Superseded { .. } => true,
    }
}

async fn held(
    conn: &mut crate::db::Conn,
    place: &promotion::Placed,
    now: crate::clock::At,
) -> Result<Held, PageError> {
    let id = ReleaseId::parse(&place.release_id).map_err(|_| PageError::NotFound)?;
    let release = image::release(conn, &id)
        .await
        .map_err(PageError::log)?
        .ok_or(PageError::NotFound)?;
    let run = run::RunId::parse(&release.run_id).map_err(|_| PageError::NotFound)?;
    let run = run::by_id(conn, &run).await.map_err(PageError::log)?;
    Ok(Held {
        run_number: run.map_or(0, |run| run.number),
        digests: release
            .images
            .values()
            .map(|i| Copied::new("digest", i.digest.to_string()))
            .collect(),
        since: When::micros(place.since_at, now),
        promotion_id: place.promotion_id.clone(),
        release_id: place.release_id.clone(),
    })
}

/// A request as the form sends it.
#[derive(Deserialize)]
pub struct RequestForm {
    csrf: String,
    release: String,
}

/// Requests a promotion.
pub async fn request(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path((name, environment)): Path<(String, String)>,
    Form(form): Form<RequestForm>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(&form.csrf) {
        return Err(PageError::foreign_form());
    }
    let project = visible_project(&app, &signed_in, &name).await?;
    let id = project.id.as_str();
    if !signed_in.session.caller.may(Permission::Request, id) {
        return Err(PageError::NotFound);
    }
    let release = ReleaseId::parse(&form.release).map_err(|_| PageError::NotFound)?;
    let actor = &signed_in.session.caller.actor;
    let outcome = promotion::request(&app.ground, actor, id, &environment, &release).await;
    let to = match outcome.map_err(PageError::log)? {
        RequestOutcome::Requested(id) => {
            app.bells.promotion.ring();
            format!("/promotions/{id}")
        }
        RequestOutcome::AlreadyOpen(id) => format!("/promotions/{id}"),
        RequestOutcome::AlreadyThere => format!("/projects/{name}/environments"),
        RequestOutcome::NoSuchEnvironment | RequestOutcome::NoSuchRelease => {
            return Err(PageError::NotFound);
        }
    };
    Ok(Redirect::to(&to).into_response())
}
