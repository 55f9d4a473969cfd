//! `GET /deliveries/{id}`: one delivery, accepted or refused, and what came of it.
//! `POST /deliveries/{id}/payload` shows its body, and notes who saw it.

use super::deliveries::decision;
use super::frame::now;
use super::sign_in::Csrf;
use super::{Copied, Frame, Look, PageError, Status, Tab, When, page, parts, words};
use crate::app::App;
use crate::clock::At;
use crate::db::Conn;
use crate::delivery::{self, DeliveryId, DeliveryRow, Provider, RefusalRow};
use crate::history::{self, Outcome};
use crate::http::extract::SignedIn;
use crate::identity::Permission;
use crate::{project, trigger};
use askama::Template;
use axum::extract::{Form, Path, State};
use axum::response::Response;
use std::net::Ipv6Addr;
use std::sync::Arc;

/// Refs of a delivery, with each run again: a push tells at most a few hundred.
const DECISIONS_MAX: i64 = 300;
/// Runs whose chain is drawn; the others stand in the table.
const CHAINS_MAX: usize = 5;
/// Repeats that are named.
const REPEATS_MAX: i64 = 20;
/// What of a payload is shown; forges send some 10 KB.
const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Headers that prove the sender: their value says nothing to people.
const SIGNATURES: [&str; 3] = [
    "x-hub-signature",
    "x-hub-signature-256",
    "webhook-signature",
];

/// Facts that stand in the page's head, after the time: whose it was.
const HEAD: [&str; 4] = ["Sender", "Address", "Signature", "Delivery id"];
/// Digits of a commit in a title.
const COMMIT_DIGITS: usize = 7;

/// One decision as a row.
struct Row {
    ref_name: String,
    commit: Option<Copied>,
    status: Status,
    reason: String,
    detail: String,
    decided: When,
    run: Option<(i64, Status)>,
}

/// One link of a chain.
struct Link {
    what: &'static str,
    status: Status,
    value: String,
    link: Option<String>,
    digest: Option<Copied>,
    detail: String,
}

/// A run and all that came of it.
struct Chain {
    title: String,
    links: Vec<Link>,
}

/// A fact and its value.
struct Fact {
    name: &'static str,
    value: String,
    code: Option<Copied>,
    link: Option<String>,
}

/// Why nobody has decided yet: what hindered the last try.
struct Hindered {
    tries: i64,
    problem: String,
    next: When,
}

#[derive(Template)]
#[template(path = "delivery.html")]
struct Shown {
    frame: Frame,
    title: String,
    status: Status,
    /// Whose it was, as the head of the page says it.
    head: Vec<Fact>,
    reason: String,
    project: String,
    received: When,
    rows: Vec<Row>,
    hindered: Option<Hindered>,
    accepted: bool,
    chains: Vec<Chain>,
    facts: Vec<Fact>,
    headers: Vec<(String, String)>,
    payload_of: Option<String>,
}

/// The page.
pub async fn delivery_page(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
    let found = delivery::delivery(&mut conn, &id).await;
    if let Some(found) = found.map_err(PageError::log)? {
        if !signed_in.may_see(&found.project_id) {
            return Err(PageError::NotFound);
        }
        return Ok(page(&accepted(&mut conn, &app, &signed_in, found).await?));
    }
    let found = delivery::refusal(&mut conn, &id).await;
    let found = found.map_err(PageError::log)?.ok_or(PageError::NotFound)?;
    let may = match &found.project_id {
        Some(project) => signed_in.may_see(project),
        // Requests of strangers belong to no project: they are for those who see every payload.
        None => sees_all(&signed_in),
    };
    if !may {
        return Err(PageError::NotFound);
    }
    Ok(page(&refused(&mut conn, &app, &signed_in, found).await?))
}

fn sees_all(signed_in: &SignedIn) -> bool {
    let caller = &signed_in.session.caller;
    caller.may_everywhere(Permission::SeePayload)
}

async fn accepted(
    conn: &mut Conn,
    app: &App,
    signed_in: &SignedIn,
    found: DeliveryRow,
) -> Result<Shown, PageError> {
    let now = now(app);
    let project = project::by_id(conn, &found.project_id).await;
    let project = project.map_err(PageError::log)?;
    let project = project.ok_or(PageError::NotFound)?;
    let decisions = history::decisions(conn, &found.id, DECISIONS_MAX).await;
    let decisions = decisions.map_err(PageError::log)?;
    let mut chains = Vec::new();
    for one in decisions.iter().filter(|one| one.run_id.is_some()) {
        if chains.len() < CHAINS_MAX {
            chains.push(chain(conn, project.name.as_str(), one).await?);
        }
    }
    let sees_payload = signed_in
        .session
        .caller
        .may(Permission::SeePayload, &found.project_id);
    let outcome = decisions
        .iter()
        .filter_map(|one| Outcome::parse(&one.decision))
        .min()
        .unwrap_or(Outcome::Waiting);
    let facts = accepted_facts(conn, signed_in, &found).await?;
    let (head, facts) = parted(facts);
    let title = title(&found);
    let retry = trigger::retry_of(conn, &found.id).await;
    let retry = retry.map_err(PageError::log)?;
    Ok(Shown {
        frame: Frame::new(app, signed_in, Tab::Deliveries, title.clone()).of_project(&project),
        title,
        head,
        status: decision(outcome),
        reason: String::new(),
        received: When::micros(found.received_at, now),
        rows: decisions.into_iter().map(|one| row(one, now)).collect(),
        hindered: retry.map(|retry| Hindered {
            tries: retry.tries,
            problem: retry.problem,
            next: When::micros(retry.next_at, now),
        }),
        accepted: true,
        chains,
        facts,
        headers: headers(&found.headers, sees_payload),
        payload_of: sees_payload.then_some(found.id),
        project: project.name.to_string(),
    })
}

/// What it was, in the sender's words: event, ref, who and commit, as far as they were told.
fn title(found: &DeliveryRow) -> String {
    let mut title = found.event.clone();
    if let Some(name) = &found.ref_name {
        title.push_str(&format!(" of {}", super::runs::short_ref(name)));
    }
    if let Some(sender) = &found.sender {
        title.push_str(&format!(" by {sender}"));
    }
    if let Some(commit) = &found.commit_id {
        let short: String = commit.chars().take(COMMIT_DIGITS).collect();
        title.push_str(&format!(", {short}"));
    }
    title
}

/// The facts for the page's head, and the others.
fn parted(facts: Vec<Fact>) -> (Vec<Fact>, Vec<Fact>) {
    let (mut head, others): (Vec<Fact>, Vec<Fact>) = facts
        .into_iter()
        .partition(|fact| HEAD.contains(&fact.name));
    head.sort_by_key(|fact| HEAD.iter().position(|name| *name == fact.name));
    (head, others)
}

fn row(one: history::Decision, now: At) -> Row {
    let outcome = Outcome::parse(&one.decision).unwrap_or(Outcome::Waiting);
    let state = one
        .run_state
        .as_deref()
        .map(|state| words::stored_run(state, one.run_cause.as_deref(), one.run_detail.as_deref()));
    Row {
        ref_name: match super::runs::short_ref(&one.ref_name) {
            "" => "the whole delivery".to_owned(),
            name => name.to_owned(),
        },
        commit: one.commit_id.map(|commit| Copied::new("commit", commit)),
        status: decision(outcome),
        reason: one.reason,
        detail: one.detail,
        decided: When::micros(one.decided_at, now),
        run: one.run_number.zip(state),
    }
}

/// Trigger, run, digests, findings, promotions.
async fn chain(
    conn: &mut Conn,
    project: &str,
    one: &history::Decision,
) -> Result<Chain, PageError> {
    let (run_id, number) = (
        one.run_id.as_deref().unwrap_or_default(),
        one.run_number.unwrap_or_default(),
    );
    let images = history::images_of_run(conn, run_id).await;
    let images = images.map_err(PageError::log)?;
    let findings = history::findings_of_run(conn, run_id).await;
    let findings = findings.map_err(PageError::log)?;
    let promotions = history::promotions_of_run(conn, run_id).await;
    let promotions = promotions.map_err(PageError::log)?;
    let state = one.run_state.as_deref().unwrap_or_default();
    let ended = !matches!(state, "waiting" | "running");
    let mut links = vec![
        Link {
            what: "Trigger",
            status: decision(Outcome::Start),
            value: "Start".to_owned(),
            link: None,
            digest: None,
            detail: one.reason.clone(),
        },
        run_link(project, number, one),
    ];
    links.extend(images.into_iter().map(|(name, digest)| Link {
        what: "Digest",
        status: Status::new(Look::Pass, "pass", "read from the registry"),
        value: String::new(),
        link: None,
        digest: Some(Copied::new("digest", digest)),
        detail: format!("{name}, read from the registry"),
    }));
    links.push(findings_link(project, number, ended, &findings));
    links.extend(promotions.iter().map(|promotion| Link {
        what: "Promotion",
        status: words::stored_promotion(&promotion.state),
        value: promotion.environment.clone(),
        link: Some(format!("/promotions/{}", promotion.id)),
        digest: None,
        detail: {
            let state = words::stored_promotion(&promotion.state);
            format!("{}, promotion {}", state.word, promotion.number)
        },
    }));
    if promotions.is_empty() {
        links.push(nothing("Promotion", "none yet"));
    }
    let ref_name = super::runs::short_ref(&one.ref_name);
    Ok(Chain {
        title: format!("From {ref_name} to its environments"),
        links,
    })
}

fn nothing(what: &'static str, word: &'static str) -> Link {
    Link {
        what,
        status: Status::new(Look::Idle, "queue", word),
        value: String::new(),
        link: None,
        digest: None,
        detail: word.to_owned(),
    }
}

fn run_link(project: &str, number: i64, one: &history::Decision) -> Link {
    let state = one.run_state.as_deref().unwrap_or_default();
    let detail = one.run_detail.as_deref();
    let status = words::stored_run(state, one.run_cause.as_deref(), detail);
    Link {
        what: "Run",
        value: number.to_string(),
        link: Some(format!("/projects/{project}/runs/{number}")),
        digest: None,
        detail: match detail {
            Some(detail) => format!("{}: {detail}", status.word),
            None => status.word.to_owned(),
        },
        status,
    }
}

fn findings_link(project: &str, number: i64, ended: bool, findings: &[(String, i64)]) -> Link {
    let total: i64 = findings.iter().map(|(_, count)| count).sum();
    let by_severity: Vec<String> = findings
        .iter()
        .map(|(severity, count)| format!("{count} {severity}"))
        .collect();
    let status = match (total, ended) {
        (0, false) => return nothing("Findings", "not yet"),
        (0, true) => Status::new(Look::Idle, "seal", "none open"),
        (_, _) => Status::new(Look::Wait, "warn", "open"),
    };
    Link {
        what: "Findings",
        status,
        value: total.to_string(),
        link: Some(format!("/projects/{project}/findings?in={number}")),
        digest: None,
        detail: if by_severity.is_empty() {
            "none open".to_owned()
        } else {
            by_severity.join(", ")
        },
    }
}

fn plain(name: &'static str, value: impl Into<String>) -> Fact {
    Fact {
        name,
        value: value.into(),
        code: None,
        link: None,
    }
}

fn code(name: &'static str, what: &'static str, value: &str, after: impl Into<String>) -> Fact {
    Fact {
        name,
        value: after.into(),
        code: Some(Copied::new(what, value)),
        link: None,
    }
}

async fn accepted_facts(
    conn: &mut Conn,
    signed_in: &SignedIn,
    found: &DeliveryRow,
) -> Result<Vec<Fact>, PageError> {
    let secret = history::secret(conn, &found.secret_id).await;
    let secret = match secret.map_err(PageError::log)? {
        Some(secret) => match secret.until_at {
            None => "the hook's current secret".to_owned(),
            Some(until) => format!("a secret that was good until {}", At(until)),
        },
        None => "a secret that is gone".to_owned(),
    };
    let repeats = history::repeats(conn, &found.id, REPEATS_MAX).await;
    let repeats = repeats.map_err(PageError::log)?;
    let mut facts = vec![
        code("Hook", "hook", &found.hook_id, found.provider.as_str()),
        code("Delivery id", "delivery id", &found.external_id, ""),
        plain("Event", found.event.as_str()),
        plain("Sender", sender(found.sender.as_deref())),
        plain("Address", address(&found.address)),
        plain(
            "Signature",
            format!("{}, valid, by {secret}", found.signature),
        ),
        replay(found),
    ];
    facts.extend(repeats.into_iter().map(|repeat| Fact {
        name: "Repeated by",
        value: format!("a delivery of {}", At(repeat.received_at)),
        code: None,
        link: Some(format!("/deliveries/{}", repeat.id)),
    }));
    let bytes = parts::size(found.body_bytes);
    facts.push(code("Body digest", "digest", &found.body_digest, bytes));
    facts.push(audit_fact(
        signed_in,
        "delivery",
        &found.id,
        &found.audit_id,
    ));
    Ok(facts)
}

fn sender(claimed: Option<&str>) -> String {
    match claimed {
        Some(name) => format!("{name}, as the sender says"),
        None => "not said".to_owned(),
    }
}

fn replay(found: &DeliveryRow) -> Fact {
    let signs_the_id = Provider::parse(&found.provider).is_some_and(Provider::signs_the_id);
    match &found.replays_id {
        Some(of) => Fact {
            name: "Replay check",
            value: "the body came before under another id: it starts nothing".to_owned(),
            code: None,
            link: Some(format!("/deliveries/{of}")),
        },
        None if signs_the_id => plain("Replay check", "new: its id and time are signed"),
        None => plain(
            "Replay check",
            "new: its body came under no other id in the 7 days before; after those a commit that is behind what \
             ran for its ref starts nothing",
        ),
    }
}

/// The entry's id, and the way to it for those who read the log.
fn audit_fact(signed_in: &SignedIn, thing: &str, id: &str, audit_id: &str) -> Fact {
    Fact {
        link: sees_all(signed_in).then(|| format!("/log-entries?subject={thing}:{id}")),
        ..code("Audit entry", "audit entry", audit_id, "")
    }
}

fn address(bytes: &[u8]) -> String {
    match <[u8; 16]>::try_from(bytes) {
        Ok(octets) => words::address(Ipv6Addr::from(octets)),
        Err(_) => "unknown".to_owned(),
    }
}

async fn refused(
    conn: &mut Conn,
    app: &App,
    signed_in: &SignedIn,
    found: RefusalRow,
) -> Result<Shown, PageError> {
    let now = now(app);
    let project = match &found.project_id {
        Some(id) => project::by_id(conn, id).await.map_err(PageError::log)?,
        None => None,
    };
    let mut frame = Frame::new(app, signed_in, Tab::Deliveries, "Refused delivery");
    if let Some(project) = &project {
        frame = frame.of_project(project);
    }
    let reason = words::refusal(&found.reason);
    let (head, facts) = parted(refused_facts(signed_in, &found, now));
    Ok(Shown {
        title: match &project {
            Some(project) => format!("Refused delivery to {}", project.name),
            None => "Refused delivery".to_owned(),
        },
        head,
        frame,
        status: decision(Outcome::Refused),
        reason: reason.map_or_else(String::new, |r| words::refusal_words(r).to_owned()),
        project: project.map_or_else(String::new, |project| project.name.to_string()),
        received: When::micros(found.received_at, now),
        rows: Vec::new(),
        hindered: None,
        accepted: false,
        chains: Vec::new(),
        facts,
        headers: Vec::new(),
        payload_of: None,
    })
}

fn refused_facts(signed_in: &SignedIn, found: &RefusalRow, now: At) -> Vec<Fact> {
    let received = When::micros(found.received_at, now);
    let signature = words::refused_signature(words::refusal(&found.reason));
    let claimed = |text: &Option<String>| match text {
        Some(text) => format!("{text}, as claimed"),
        None => "not told".to_owned(),
    };
    let mut facts = Vec::new();
    if found.folded != 0 {
        let requests = found.requests;
        let minute = received.exact();
        facts.push(plain(
            "Counted",
            format!("{requests} requests of this kind in the minute before {minute}"),
        ));
    }
    facts.push(code("Reason", "reason", &found.reason, ""));
    facts.push(match &found.hook_id {
        Some(hook) => code("Hook", "hook", hook, ""),
        None => plain("Hook", "none of this server's"),
    });
    if found.folded == 0 {
        facts.push(plain("Event", claimed(&found.event)));
        facts.push(plain("Delivery id", claimed(&found.external_id)));
    }
    facts.push(plain("Address", network_of(found)));
    facts.push(plain("Signature", signature.word));
    match (&found.body_digest, found.body_bytes) {
        (Some(digest), Some(bytes)) => facts.push(code(
            "Body digest",
            "digest",
            digest,
            format!("{}, not kept", parts::size(bytes)),
        )),
        (Some(_) | None, _) => facts.push(plain("Body", "not kept")),
    }
    facts.push(audit_fact(signed_in, "refusal", &found.id, &found.audit_id));
    facts
}

fn network_of(found: &RefusalRow) -> String {
    let one = address(&found.address);
    match (found.folded, found.address.starts_with(&[0; 10])) {
        (0, _) => one,
        (_, true) if found.address.iter().all(|byte| *byte == 0) => "several networks".to_owned(),
        (_, true) => format!("{one}/24"),
        (_, false) => format!("{one}/64"),
    }
}

/// The stored headers. Values are for those who may see the payload; proofs of the sender are for
/// nobody.
fn headers(stored: &str, sees_payload: bool) -> Vec<(String, String)> {
    let pairs: Vec<(String, String)> = serde_json::from_str(stored).unwrap_or_default();
    let shown = |(name, value): (String, String)| {
        let value = if SIGNATURES.contains(&name.as_str()) {
            "(redacted)".to_owned()
        } else if sees_payload {
            value
        } else {
            "(for auditors)".to_owned()
        };
        (name, value)
    };
    pairs.into_iter().map(shown).collect()
}

#[derive(Template)]
#[template(path = "payload.html")]
struct Payload {
    frame: Frame,
    id: String,
    text: String,
    bytes: String,
    cut: bool,
    is_text: bool,
}

/// The body, verbatim, for those who may see it.
pub async fn payload(
    State(app): State<Arc<App>>,
    signed_in: SignedIn,
    Path(id): Path<String>,
    Form(form): Form<Csrf>,
) -> Result<Response, PageError> {
    if !signed_in.is_own_form(form.csrf()) {
        return Err(PageError::foreign_form());
    }
    let found = {
        let mut conn = app.ground.db.reader().await.map_err(PageError::log)?;
        delivery::delivery(&mut conn, &id).await
    };
    let found = found.map_err(PageError::log)?.ok_or(PageError::NotFound)?;
    let caller = &signed_in.session.caller;
    if !caller.may(Permission::See, &found.project_id) {
        return Err(PageError::NotFound);
    }
    if !caller.may(Permission::SeePayload, &found.project_id) {
        let words = "Payloads of this project are for auditors. An administrator gives that role.";
        return Err(PageError::NotPermitted(words.to_owned()));
    }
    let id = DeliveryId::parse(&found.id).map_err(|_| PageError::NotFound)?;
    let body = delivery::payload(&app.intake, &id, &caller.actor).await;
    let body = body.map_err(PageError::log)?.ok_or(PageError::NotFound)?;
    let cut = body.len() > PAYLOAD_BYTES_MAX;
    let shown = body.get(..PAYLOAD_BYTES_MAX).unwrap_or(&body);
    let text = std::str::from_utf8(&body).is_ok();
    Ok(page(&Payload {
        frame: Frame::new(&app, &signed_in, Tab::Deliveries, "Payload"),
        id: found.id,
        text: String::from_utf8_lossy(shown).into_owned(),
        bytes: parts::size(found.body_bytes),
        cut,
        is_text: text,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_show_no_proof_of_the_sender_and_no_value_to_the_curious() {
        let stored = r#"[["x-hub-signature-256","sha256=ab"],["x-github-event","push"]]"#;
        let seen = headers(stored, true);
        assert_eq!(seen[0].1, "(redacted)");
        assert_eq!(seen[1].1, "push");
        let hidden = headers(stored, false);
        assert_eq!(
            hidden[1],
            ("x-github-event".to_owned(), "(for auditors)".to_owned())
        );
    }
}
