//! The plain lists: trigger history, one delivery, approvals, workers, audit entries.

use super::frame::now;
use super::promotion::status;
use super::{Frame, Look, PageError, Status, Tab, When, page};
use crate::app::App;
use crate::clock::At;
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::{audit, delivery, fleet, project, promotion, trigger};
use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use serde::Deserialize;
use std::sync::Arc;

/// Rows of one page.
const ROWS_MAX: i64 = 100;

/// One row of a list.
struct Row {
    title: String,
    link: Option<String>,
    sub: String,
    when: Option<When>,
    status: Status,
}

#[derive(Template)]
#[template(path = "list.html")]
struct Shown {
    frame: Frame,
    heading: &'static str,
    empty: &'static str,
    rows: Vec<Row>,
    older: Option<String>,
}

/// From where to go on.
#[derive(Deserialize)]
pub struct Older {
    before: Option<i64>,
    decision: Option<String>,
}

/// The trigger history: accepted and refused, newest first.
pub async fn deliveries(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Query(older): Query<Older>,
) -> Result<Response, PageError> {
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let before = At(older.before.unwrap_or(i64::MAX));
    let all = delivery::history(&mut conn, before, ROWS_MAX)
        .await
        .map_err(PageError::log)?;
    let older_link = (i64::try_from(all.len()).unwrap_or(0) == ROWS_MAX)
        .then(|| {
            all.last()
                .map(|last| format!("/deliveries?before={}", last.at))
        })
        .flatten();
    let sees_all = signed_in
        .session
        .caller
        .may_everywhere(Permission::SeePayload);
    let rows =
        all.into_iter()
            .filter(|row| match &row.project_id {
                Some(project) => signed_in.may_see(project),
                None => sees_all,
            })
            .filter(|row| {
                older.decision.as_ref().is_none_or(|word| {
                    row.outcome == *word || row.reason.starts_with(word.as_str())
                })
            })
            .map(|row| history_row(row, now))
            .collect();
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Deliveries, "Trigger history"),
        heading: "Trigger history",
        empty: "Nothing has arrived. `sallyport hook add` or `sallyport hook install` makes an entrance.",
        rows,
        older: older_link,
    }))
}

fn history_row(row: delivery::HistoryRow, now: At) -> Row {
    let accepted = row.outcome == "accepted";
    let decision = row.reason.split(',').next().unwrap_or_default();
    let status = match (accepted, decision) {
        (false, _) => Status::new(Look::Fail, "refuse", "Refused"),
        (true, "start") => Status::new(Look::Pass, "pass", "Started"),
        (true, "skip") => Status::new(Look::Idle, "skip", "Skipped"),
        (true, "hold") => Status::new(Look::Wait, "hold", "Held"),
        (true, _) => Status::new(Look::Work, "work", "Being decided"),
    };
    let times = if row.requests > 1 {
        format!(", {} requests", row.requests)
    } else {
        String::new()
    };
    Row {
        title: row.ref_name.unwrap_or_else(|| row.outcome.clone()),
        link: accepted.then(|| format!("/deliveries/{}", row.id)),
        sub: format!("{}{times}", row.reason),
        when: Some(When::micros(row.at, now)),
        status,
    }
}

/// One delivery: what it decided, ref by ref.
pub async fn delivery_page(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = delivery::delivery(&mut conn, &id)
        .await
        .map_err(PageError::log)?;
    let found = found
        .filter(|d| signed_in.may_see(&d.project_id))
        .ok_or(PageError::NotFound)?;
    let project = project::by_id(&mut conn, &found.project_id)
        .await
        .map_err(PageError::log)?;
    let project = project.ok_or(PageError::NotFound)?;
    let triggers = trigger::of_delivery(&mut conn, &id)
        .await
        .map_err(PageError::log)?;
    let fact = |title: &str, sub: String| Row {
        title: title.to_owned(),
        link: None,
        sub,
        when: None,
        status: Status::new(Look::Idle, "seal", "Recorded"),
    };
    let mut rows: Vec<Row> = triggers
        .into_iter()
        .map(|t| Row {
            title: if t.ref_name.is_empty() {
                "the whole delivery".to_owned()
            } else {
                t.ref_name
            },
            link: t
                .run_number
                .map(|n| format!("/projects/{}/runs/{n}", project.name)),
            sub: format!("{}: {}", t.reason, t.detail),
            when: Some(When::micros(t.decided_at, now)),
            status: match t.decision.as_str() {
                "start" => Status::new(Look::Pass, "pass", "Started"),
                _ => Status::new(Look::Idle, "skip", "Skipped"),
            },
        })
        .collect();
    rows.push(fact("Signature", format!("{}, valid", found.signature)));
    rows.push(fact(
        "Payload",
        format!("{} bytes, {}", found.body_bytes, found.body_digest),
    ));
    rows.push(fact(
        "Sender",
        found.sender.unwrap_or_else(|| "not said".to_owned()),
    ));
    rows.push(fact("Audit entry", found.audit_id));
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Deliveries, "Delivery").of_project(&project),
        heading: "Delivery",
        empty: "It is being looked at.",
        rows,
        older: None,
    }))
}

/// Promotions that wait for somebody.
pub async fn approvals(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let waiting = promotion::waiting_everywhere(&mut conn, ROWS_MAX)
        .await
        .map_err(PageError::log)?;
    let mut rows = Vec::new();
    for one in waiting
        .into_iter()
        .filter(|one| signed_in.may_see(&one.project_id))
    {
        let project = project::by_id(&mut conn, &one.project_id)
            .await
            .map_err(PageError::log)?;
        let name = project
            .map(|project| project.name.to_string())
            .unwrap_or_default();
        rows.push(Row {
            title: format!("{name}: promotion {} to {}", one.number, one.environment),
            link: Some(format!("/promotions/{}", one.id)),
            sub: one.requested_by.clone(),
            when: Some(When::micros(one.requested_at, now)),
            status: status(&one.state),
        });
    }
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Approvals, "My approvals"),
        heading: "Promotions that wait",
        empty: "Nothing waits. A project's environments page is where a promotion is requested.",
        rows,
        older: None,
    }))
}

/// Workers, with what their self-test found.
pub async fn workers(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let all = fleet::list(&mut conn).await.map_err(PageError::log)?;
    let rows = all
        .into_iter()
        .map(|worker| Row {
            title: worker.name.to_string(),
            link: None,
            sub: worker.capability.map_or_else(
                || "has not said hello yet".to_owned(),
                |can| {
                    format!(
                        "{}, {} steps at once, version {}",
                        can.isolation.level, can.slots, can.version
                    )
                },
            ),
            when: worker.seen_at.map(|at| When::new(at, now)),
            status: match worker.standing {
                fleet::Standing::Active => Status::new(Look::Pass, "pass", "Active"),
                fleet::Standing::Drained { .. } => Status::new(Look::Wait, "hold", "Drained"),
                fleet::Standing::Revoked { .. } => Status::new(Look::Fail, "refuse", "Revoked"),
            },
        })
        .collect();
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Workers, "Workers"),
        heading: "Workers",
        empty: "No worker is enrolled. `sallyport worker token` lets one in.",
        rows,
        older: None,
    }))
}

/// The newest audit entries, for auditors.
pub async fn audit_entries(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
) -> Result<Response, PageError> {
    if !signed_in
        .session
        .caller
        .may_everywhere(Permission::SeePayload)
    {
        return Err(PageError::NotFound);
    }
    let now = now(&app);
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let all = audit::newest(&mut conn, ROWS_MAX)
        .await
        .map_err(PageError::log)?;
    let row = |entry: audit::Row| Row {
        title: entry.kind,
        link: None,
        sub: format!("{}, {}", entry.actor, entry.subject),
        when: Some(When::micros(entry.at, now)),
        status: Status::new(Look::Idle, "seal", "Recorded"),
    };
    Ok(page(&Shown {
        frame: Frame::new(&app, &signed_in, Tab::Audit, "Audit log"),
        heading: "Audit log, newest first",
        empty: "Nothing has happened yet.",
        rows: all.into_iter().map(row).collect(),
        older: None,
    }))
}
