//! `GET /log-entries`: the audit log, newest first, for those who may see everything.

use super::frame::{now, visible_projects};
use super::query::{Chip, Choice, Filters, Query, choices, moment, no_moment};
use super::{Copied, Frame, PageError, Tab, When, page};
use crate::app::App;
use crate::audit::{self, Wanted};
use crate::clock::At;
use crate::http::extract::SignedIn;
use crate::identity::{self, Permission};
use askama::Template;
use axum::extract::{Query as Read, State};
use axum::response::Response;
use std::sync::Arc;

/// Entries of one page.
const ROWS_MAX: usize = 50;

struct Row {
    kind: String,
    subject: String,
    link: Option<String>,
    actor: String,
    when: When,
    id: Copied,
    entry: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Shown {
    frame: Frame,
    rows: Vec<Row>,
    filters: Filters,
    chips: Vec<Chip>,
    projects: Vec<Choice>,
    older: Option<String>,
}

/// The page.
pub async fn audit_entries(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Read(query): Read<Query>,
) -> Result<Response, PageError> {
    let caller = &signed_in.session.caller;
    if !caller.may_everywhere(Permission::SeePayload) {
        return Err(PageError::NotFound);
    }
    let names = ["type", "subject", "actor", "project", "from", "to"];
    let filters = Filters::read("/log-entries", &query, &names)?;
    let place = filters.place()?;
    let projects = visible_projects(&app, &signed_in).await?;
    let text = |name| filters.given(name).map(str::to_owned);
    let mut wanted = Wanted {
        kind: text("type"),
        subject: text("subject"),
        from: bound(&filters, "from")?,
        until: bound(&filters, "to")?,
        ..Wanted::default()
    };
    if let Some(name) = filters.given("project") {
        let project = projects
            .iter()
            .find(|project| project.name.as_str() == name);
        wanted.project_id = Some(project.ok_or(PageError::NotFound)?.id.to_string());
    }
    let now = now(&app);
    let (at, id) = place.unwrap_or((i64::MAX, String::new()));
    let limit = i64::try_from(ROWS_MAX + 1).unwrap_or(i64::MAX);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    if let Some(told) = text("actor") {
        let by_id = identity::with_ids(&mut conn, &told).await;
        wanted.actor = Some([by_id.map_err(PageError::log)?, told]);
    }
    let mut all = audit::newest(&mut conn, &wanted, (at, &id), limit)
        .await
        .map_err(PageError::log)?;
    let is_more = all.len() > ROWS_MAX;
    all.truncate(ROWS_MAX);
    let last = all.last().filter(|_| is_more);
    let older = last.map(|last| filters.after(last.at, &last.id));
    for entry in &mut all {
        let named = identity::with_names(&mut conn, &entry.actor).await;
        entry.actor = named.map_err(PageError::log)?;
    }
    let row = |entry: audit::Row| Row {
        link: page_of(&entry.subject),
        kind: entry.kind,
        subject: entry.subject,
        actor: entry.actor,
        when: When::micros(entry.at, now),
        id: Copied::new("audit entry", entry.id),
        entry: String::from_utf8_lossy(&entry.entry).into_owned(),
    };
    let named = projects
        .iter()
        .map(|project| (project.name.to_string(), project.name.to_string()));
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Audit, "Audit log"),
        rows: all.into_iter().map(row).collect(),
        chips: filters.chips(chip_words),
        projects: choices(&filters, "project", "All projects", named),
        filters,
        older,
    }))
}

/// A moment that the list begins or ends at.
fn bound(filters: &Filters, name: &str) -> Result<Option<At>, PageError> {
    let Some(text) = filters.given(name) else {
        return Ok(None);
    };
    let at = moment(text).ok_or_else(|| PageError::BadQuery(no_moment(text)))?;
    Ok(Some(at))
}

fn chip_words(name: &str, value: &str) -> String {
    match name {
        "from" => format!("from {value} UTC"),
        "to" => format!("before {value} UTC"),
        _ => format!("{name} {value}"),
    }
}

/// The page of what an entry is about, where its subject alone names one.
fn page_of(subject: &str) -> Option<String> {
    let (thing, id) = subject.split_once(':')?;
    match thing {
        "delivery" | "refusal" => Some(format!("/deliveries/{id}")),
        "promotion" => Some(format!("/promotions/{id}")),
        "worker" => Some("/workers".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::page_of;

    #[test]
    fn a_subject_leads_to_its_page_where_it_has_one() {
        assert_eq!(page_of("delivery:7").as_deref(), Some("/deliveries/7"));
        assert_eq!(page_of("refusal:7").as_deref(), Some("/deliveries/7"));
        assert_eq!(page_of("person:7"), None);
        assert_eq!(page_of("instance"), None);
    }
}
