//! A door before the registry: it hands everything through, notes which manifests were put, and refuses,
//! holds up or falsifies what it is told to.

use crate::lifecycle::Tasks;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use std::sync::{Arc, Mutex};
use tokio::sync::Notify;

#[derive(Clone)]
pub(super) struct Door {
    pub(super) port: u16,
    behind: u16,
    http: reqwest::Client,
    told: Arc<Mutex<Told>>,
}

#[derive(Default)]
struct Told {
    /// The status with which a put manifest is refused whose reference begins so.
    refuse: Option<(&'static str, StatusCode)>,
    /// The next put manifest whose reference begins so is held up: it says when it came, and goes on
    /// when it is told to.
    hold: Option<(&'static str, Held)>,
    /// What is read of manifests whose reference ends so is something else.
    falsify: Option<&'static str>,
    /// References of manifests that were put, in order.
    put: Vec<String>,
}

/// A request that is held up.
#[derive(Clone, Default)]
pub(super) struct Held(Arc<(Notify, Notify)>);

impl Held {
    /// Waits until it has come to the door.
    pub(super) async fn came(&self) {
        self.0.0.notified().await;
    }

    /// Lets it through.
    pub(super) fn goes_on(&self) {
        self.0.1.notify_one();
    }
}

impl Door {
    pub(super) fn before(behind: u16, tasks: &Tasks) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let door = Self {
            port: listener.local_addr().unwrap().port(),
            behind,
            http: reqwest::Client::builder().build().unwrap(),
            told: Arc::default(),
        };
        let app = axum::Router::new()
            .fallback(through)
            .with_state(door.clone());
        let stop = tasks.stop();
        tasks.work(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            let serve = axum::serve(listener, app).with_graceful_shutdown(stop.cancelled_owned());
            serve.await.unwrap();
        });
        door
    }

    /// Refuses manifests under references that begin so.
    pub(super) fn refuses(&self, reference: &'static str, status: StatusCode) {
        self.told.lock().unwrap().refuse = Some((reference, status));
    }

    /// Holds up the next manifest under a reference that begins so.
    pub(super) fn holds(&self, reference: &'static str) -> Held {
        let held = Held::default();
        self.told.lock().unwrap().hold = Some((reference, held.clone()));
        held
    }

    /// Gives something else for manifests under references that end so.
    pub(super) fn falsifies(&self, reference: &'static str) {
        self.told.lock().unwrap().falsify = Some(reference);
    }

    /// Does nothing of the kind any more.
    pub(super) fn is_open(&self) {
        let mut told = self.told.lock().unwrap();
        (told.refuse, told.hold, told.falsify) = (None, None, None);
    }

    /// References of manifests that were put since the last question, in order.
    pub(super) fn was_put(&self) -> Vec<String> {
        std::mem::take(&mut self.told.lock().unwrap().put)
    }

    fn judge(&self, method: &Method, uri: &Uri) -> Option<StatusCode> {
        let (_, reference) = uri.path().split_once("/manifests/")?;
        if method != Method::PUT {
            return None;
        }
        let mut told = self.told.lock().unwrap();
        match told.refuse {
            Some((start, status)) if reference.starts_with(start) => Some(status),
            Some(_) | None => {
                told.put.push(reference.to_owned());
                None
            }
        }
    }

    /// Who is to be waited for before this goes on.
    fn holds_up(&self, method: &Method, uri: &Uri) -> Option<Held> {
        let (_, reference) = uri.path().split_once("/manifests/")?;
        let mut told = self.told.lock().unwrap();
        let held = |(start, _): &mut (&'static str, Held)| {
            method == Method::PUT && reference.starts_with(*start)
        };
        told.hold.take_if(held).map(|(_, held)| held)
    }

    fn is_false(&self, method: &Method, uri: &Uri) -> bool {
        let falsify = self.told.lock().unwrap().falsify;
        method == Method::GET && falsify.is_some_and(|end| uri.path().ends_with(end))
    }
}

async fn through(
    State(door): State<Door>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if let Some(status) = door.judge(&method, &uri) {
        return status.into_response();
    }
    if let Some(held) = door.holds_up(&method, &uri) {
        held.0.0.notify_one();
        held.0.1.notified().await;
    }
    if door.is_false(&method, &uri) {
        return "{}".into_response();
    }
    let url = format!("http://127.0.0.1:{}{uri}", door.behind);
    let sent = door
        .http
        .request(method, url)
        .headers(headers)
        .body(body)
        .send();
    let Ok(got) = sent.await else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (got.status(), got.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let mut response = Response::new(Body::from(got.bytes().await.unwrap()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
