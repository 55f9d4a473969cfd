//! What surrounds every page: the server's bar, the project's bar, the foot.

use super::PageError;
use crate::app::App;
use crate::clock::At;
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::project::{self, Project};
use askama::Template;
use axum::response::{Html, IntoResponse as _, Response};
use http::StatusCode;

/// Which entry of the bars is the current one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tab {
    /// Server: home.
    Home,
    /// Server: approvals.
    Approvals,
    /// Server: deliveries.
    Deliveries,
    /// Server: audit log.
    Audit,
    /// Server: workers.
    Workers,
    /// Project: runs.
    Runs,
    /// Project: environments.
    Environments,
    /// Project: findings.
    Findings,
}

/// A page's surroundings.
pub(super) struct Frame {
    /// The page's title.
    pub(super) title: String,
    /// The name that people read.
    pub(super) person: String,
    /// The session's token, for forms.
    pub(super) csrf: String,
    /// This server, as people call it.
    pub(super) host: String,
    /// The project, if the page is about one.
    pub(super) project: Option<String>,
    /// Promotions that wait for the reader's answer.
    pub(super) waiting: usize,
    /// Whether they may read the audit log: else the bar does not name it.
    pub(super) sees_audit: bool,
    /// Whether they may see anything at all.
    pub(super) sees_anything: bool,
    /// What the server's clock showed: times on the page are told by it.
    pub(super) now: At,
    tab: Tab,
}

impl Frame {
    /// The surroundings of a page of the server.
    pub(super) fn new(app: &App, signed_in: &SignedIn, tab: Tab, title: impl Into<String>) -> Self {
        let caller = &signed_in.session.caller;
        Self {
            title: title.into(),
            person: caller.display_name.clone(),
            csrf: signed_in.session.csrf.clone(),
            host: app.config.public_host().to_owned(),
            project: None,
            waiting: signed_in.waiting,
            sees_audit: caller.may_everywhere(Permission::SeePayload),
            sees_anything: !caller.reach(Permission::See).is_nowhere(),
            now: now(app),
            tab,
        }
    }

    /// The surroundings of a page of a project.
    pub(super) fn of_project(mut self, project: &Project) -> Self {
        self.project = Some(project.name.to_string());
        self
    }

    /// `aria-current` where the reader is.
    pub(super) fn current(&self, tab: Tab) -> &'static str {
        if self.tab == tab { "page" } else { "false" }
    }

    /// Two letters for the person.
    pub(super) fn initials(&self) -> String {
        initials(&self.person)
    }
}

/// The first letters of a name's first and last word.
pub(super) fn initials(name: &str) -> String {
    let mut words = name.split_whitespace();
    let first = words.next().and_then(|word| word.chars().next());
    let last = words.next_back().and_then(|word| word.chars().next());
    first
        .into_iter()
        .chain(last)
        .flat_map(char::to_uppercase)
        .collect()
}

/// Renders a page.
pub(super) fn page(template: &impl Template) -> Response {
    plain(StatusCode::OK, template)
}

/// Renders with another status.
pub(super) fn plain(status: StatusCode, template: &impl Template) -> Response {
    match template.render() {
        Ok(html) => (status, Html(html)).into_response(),
        Err(error) => {
            tracing::error!(%error, "a template failed");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// The project of a path, if this person may see it: else there is none.
pub(super) async fn visible_project(
    app: &App,
    signed_in: &SignedIn,
    name: &str,
) -> Result<Project, PageError> {
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = project::by_name(&mut conn, name)
        .await
        .map_err(PageError::log)?;
    match found {
        Some(project) if signed_in.may_see(project.id.as_str()) => Ok(project),
        Some(_) | None => Err(PageError::NotFound),
    }
}

/// Every project that this person may see.
pub(super) async fn visible_projects(
    app: &App,
    signed_in: &SignedIn,
) -> Result<Vec<Project>, PageError> {
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let mut all = project::list(&mut conn).await.map_err(PageError::log)?;
    all.retain(|project| signed_in.may_see(project.id.as_str()));
    Ok(all)
}

/// Now, once for a whole page.
pub(super) fn now(app: &App) -> At {
    app.ground.now()
}
