//! A door before the registry: it hands everything through, notes which manifests were put, and refuses
//! what it is told to.

use crate::lifecycle::Tasks;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri, header};
use std::sync::{Arc, Mutex};

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
    /// References of manifests that were put, in order.
    put: Vec<String>,
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

    /// Refuses nothing any more.
    pub(super) fn is_open(&self) {
        self.told.lock().unwrap().refuse = None;
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
