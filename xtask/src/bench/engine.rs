//! A container by hand: create, attach, start, wait, remove, through the API of the engine that steps run in.

use anyhow::{Context as _, Result, ensure};
use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Nothing that is asked here takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// The engine's socket.
pub(super) struct Engine {
    socket: PathBuf,
}

/// What a container printed, and how long the whole took, from create to removed.
pub(super) struct ByHand {
    pub(super) printed: String,
    pub(super) took: Duration,
}

impl Engine {
    pub(super) fn at(socket: &Path) -> Self {
        Self {
            socket: socket.to_owned(),
        }
    }

    /// Runs one container of an image that the engine has.
    pub(super) fn run(&self, image: &str, command: &[&str]) -> Result<ByHand> {
        let began = Instant::now();
        let wanted = serde_json::json!({
            "Image": image,
            "Cmd": command,
            "AttachStdout": true,
            "HostConfig": {"NetworkMode": "none"},
        });
        let made = self.ask("POST", "/containers/create", &wanted.to_string())?;
        let made: serde_json::Value = serde_json::from_str(json_of(&made)?)?;
        let id = made["Id"]
            .as_str()
            .with_context(|| format!("no id: {made}"))?;
        let mut output = self.attach(id)?;
        self.ask("POST", &format!("/containers/{id}/start"), "")?;
        let mut bytes = Vec::new();
        output
            .read_to_end(&mut bytes)
            .context("read what it prints")?;
        self.ask("POST", &format!("/containers/{id}/wait"), "")?;
        self.ask("DELETE", &format!("/containers/{id}"), "")?;
        Ok(ByHand {
            printed: frames(&bytes),
            took: began.elapsed(),
        })
    }

    fn attach(&self, id: &str) -> Result<UnixStream> {
        let mut stream = self.connect()?;
        write!(
            stream,
            "POST /containers/{id}/attach?stream=1&stdout=1 HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\n\
             Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).context("attach")?;
            head.push(byte[0]);
        }
        ensure!(
            head.starts_with(b"HTTP/1.1 101"),
            "attach: {}",
            String::from_utf8_lossy(&head)
        );
        Ok(stream)
    }

    fn ask(&self, method: &str, path: &str, body: &str) -> Result<String> {
        let mut stream = self.connect()?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .with_context(|| format!("{method} {path}"))?;
        ensure!(
            answer.starts_with("HTTP/1.1 2"),
            "{method} {path}: {answer}"
        );
        Ok(answer)
    }

    fn connect(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(&self.socket).context("reach the engine")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(stream)
    }
}

fn json_of(answer: &str) -> Result<&str> {
    let (from, to) = (answer.find('{'), answer.rfind('}'));
    let (from, to) = from.zip(to).with_context(|| format!("no JSON: {answer}"))?;
    Ok(&answer[from..=to])
}

/// The text in the engine's frames: one byte for the stream, three empty ones, four for the length.
fn frames(mut bytes: &[u8]) -> String {
    let mut text = String::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<8>() {
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        let length = usize::try_from(length)
            .unwrap_or(usize::MAX)
            .min(rest.len());
        text.push_str(&String::from_utf8_lossy(&rest[..length]));
        bytes = &rest[length..];
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn frames_are_taken_apart() {
        let bytes = b"\x01\0\0\0\0\0\0\x03abc\x01\0\0\0\0\0\0\x02de";
        assert_eq!(super::frames(bytes), "abcde");
        assert_eq!(super::frames(b"\x01\0\0"), "");
    }
}
