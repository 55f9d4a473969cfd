//! `GET /`: what needs me, what runs, what failed.

use super::frame::visible_projects;
use super::{Frame, PageError, Tab, page};
use crate::app::App;
use crate::http::extract::SignedIn;
use crate::project::Project;
use askama::Template;
use axum::extract::State;
use axum::response::Response;
use std::sync::Arc;

#[derive(Template)]
#[template(path = "home.html")]
struct Shown {
    frame: Frame,
    projects: Vec<Project>,
}

/// The first page.
pub async fn home(State(app): State<Arc<App>>, signed_in: SignedIn) -> Result<Response, PageError> {
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Home, "Home"),
        projects: visible_projects(&app, &signed_in).await?,
    }))
}
