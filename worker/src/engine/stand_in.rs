//! For tests: something that answers where an engine would, and remembers what it was asked.

use super::client::Engine;
use super::config::Config;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::task::TaskTracker;

/// Status and body for a `<method> <path>`.
type Answer = fn(&str) -> (u16, &'static str);

pub(crate) struct StandIn {
    _folder: tempfile::TempDir,
    asked: Arc<Mutex<Vec<String>>>,
}

impl StandIn {
    /// One worker's engine. The version is answered here.
    pub(crate) async fn of(instance: &str, worker: &str, answer: Answer) -> (Engine, Self) {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = asked.clone();
        TaskTracker::new().spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                serve(stream, answer, &heard).await;
            }
        });
        let engine = Engine::connect(&Config::at(socket), instance, worker).await;
        let stand_in = Self {
            _folder: folder,
            asked,
        };
        (engine.unwrap(), stand_in)
    }

    /// Everything so far, without the version in the path.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

/// One request a connection.
async fn serve(stream: UnixStream, answer: Answer, heard: &Mutex<Vec<String>>) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await.unwrap();
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(bytes) = line.strip_prefix("content-length: ") {
            length = bytes.parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    let asked = plain(&first);
    let (status, body) = if asked.ends_with(" /version") {
        (200, r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12"}"#)
    } else {
        answer(&asked)
    };
    heard.lock().unwrap().push(asked);
    let said = format!(
        "HTTP/1.1 {status} x\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(said.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
}

/// `GET /v1.41/x HTTP/1.1` is `GET /x`.
fn plain(first: &str) -> String {
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let path = match path.strip_prefix("/v1.") {
        Some(rest) => rest.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => path,
    };
    format!("{method} {path}")
}
