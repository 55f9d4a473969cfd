//! Asks the signer. The signer's uid is checked before a byte is sent: whoever could take over the
//! socket's path could otherwise hand out signatures of keys that nobody knows.

use super::keystore::PublicKey;
use super::protocol::{self, Answer, Ask, Grounds, Refusal, RefusalCode, Request, Signed, VERSION};
use crate::config;
use crate::kill::outside;
use crate::metrics::metrics;
use std::path::PathBuf;
use std::time::Duration;
use tokio::net::UnixStream;

/// The signer answers in milliseconds; its journal's disk may be slow.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The way to the signer. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SignerClient {
    socket: PathBuf,
    uid: u32,
}

/// There is no signature.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The signer cannot be reached, or broke off.
    #[error("ask the signer at {socket}")]
    Unreachable {
        /// Where.
        socket: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Somebody else listens there.
    #[error("the signer's socket {socket} belongs to uid {got}, wanted {wanted} ([signer] uid)")]
    OtherPeer {
        /// Where.
        socket: String,
        /// Who it is.
        got: u32,
        /// Who it should be.
        wanted: u32,
    },
    /// It answered with something else.
    #[error("the signer's answer is not understood: {0}")]
    Answer(String),
    /// It said no.
    #[error("the signer refuses ({code:?}): {message}", code = .0.code, message = .0.message)]
    Refused(Refusal),
}

impl SigningError {
    /// Whether the same may go well later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::OtherPeer { .. } => true,
            Self::Answer(_) => false,
            Self::Refused(refusal) => {
                matches!(refusal.code, RefusalCode::TooFast | RefusalCode::Journal)
            }
        }
    }
}

fn counted(
    operation: &'static str,
    asked: Result<Answer, SigningError>,
) -> Result<Answer, SigningError> {
    let outcome = match &asked {
        Ok(Answer::Refused(_)) => "refused",
        Ok(Answer::Signed(_) | Answer::Keys { .. }) => "answered",
        Err(_) => "failed",
    };
    metrics().signer_call(operation, outcome);
    asked
}

impl SignerClient {
    /// By the server's configuration; nothing is asked yet.
    pub fn new(config: &config::Signer) -> Self {
        Self {
            socket: config.socket.clone(),
            uid: config.uid,
        }
    }

    /// Whether the signer runs under another uid than this process.
    pub fn is_apart(&self) -> bool {
        nix::unistd::geteuid().as_raw() != self.uid
    }

    /// The signer's public keys.
    pub async fn keys(&self) -> Result<Vec<PublicKey>, SigningError> {
        match self.ask(Ask::Keys).await? {
            Answer::Keys { keys } => Ok(keys),
            Answer::Refused(refusal) => Err(SigningError::Refused(refusal)),
            Answer::Signed(_) => Err(SigningError::Answer("a signature, not keys".to_owned())),
        }
    }

    /// A signature over an in-toto statement about the image with this manifest. The same
    /// `request_id` gets the same signature again.
    pub async fn sign_statement(
        &self,
        request_id: &str,
        statement: &[u8],
        manifest: &[u8],
    ) -> Result<Signed, SigningError> {
        let ask = Ask::Statement {
            request_id: request_id.to_owned(),
            statement: statement.to_vec(),
            manifest: manifest.to_vec(),
        };
        let asked = outside("signer.sign-statement", self.ask(ask)).await;
        self.signature(counted("sign-statement", asked)?)
    }

    /// A signature over a cosign payload for the image with this manifest, on these grounds. The
    /// same `request_id` gets the same signature again.
    pub async fn sign_image(
        &self,
        request_id: &str,
        payload: &[u8],
        manifest: &[u8],
        grounds: Grounds,
    ) -> Result<Signed, SigningError> {
        let ask = Ask::Image {
            request_id: request_id.to_owned(),
            payload: payload.to_vec(),
            manifest: manifest.to_vec(),
            grounds: Box::new(grounds),
        };
        let asked = outside("signer.sign-image", self.ask(ask)).await;
        self.signature(counted("sign-image", asked)?)
    }

    #[expect(clippy::unused_self, reason = "reads as a step of the client's calls")]
    fn signature(&self, answer: Answer) -> Result<Signed, SigningError> {
        match answer {
            Answer::Signed(signed) => Ok(signed),
            Answer::Refused(refusal) => Err(SigningError::Refused(refusal)),
            Answer::Keys { .. } => Err(SigningError::Answer("keys, not a signature".to_owned())),
        }
    }

    async fn ask(&self, ask: Ask) -> Result<Answer, SigningError> {
        let unreachable = |source| SigningError::Unreachable {
            socket: self.socket.display().to_string(),
            source,
        };
        let exchange = async {
            let mut stream = UnixStream::connect(&self.socket)
                .await
                .map_err(unreachable)?;
            let got = stream.peer_cred().map_err(unreachable)?.uid();
            if got != self.uid {
                return Err(SigningError::OtherPeer {
                    socket: self.socket.display().to_string(),
                    got,
                    wanted: self.uid,
                });
            }
            let broke = |error: protocol::FrameError| match error {
                protocol::FrameError::Io(source) => unreachable(source),
                other @ (protocol::FrameError::TooLarge(_) | protocol::FrameError::Form(_)) => {
                    SigningError::Answer(other.to_string())
                }
            };
            let request = Request {
                version: VERSION,
                ask,
            };
            protocol::write(&mut stream, &request)
                .await
                .map_err(broke)?;
            protocol::read(&mut stream).await.map_err(broke)
        };
        match tokio::time::timeout(TIMEOUT, exchange).await {
            Ok(result) => result,
            Err(_) => Err(unreachable(std::io::ErrorKind::TimedOut.into())),
        }
    }
}
