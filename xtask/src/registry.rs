//! Debian's docker-registry (distribution 2.8), with a folder and a configuration of its own on the loopback.

use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// Whom the registry believes.
pub(crate) struct TokenService<'a> {
    /// Where clients ask for tokens.
    pub(crate) realm: &'a str,
    /// The instance's id.
    pub(crate) issuer: &'a str,
    /// The registry's own name.
    pub(crate) service: &'a str,
    /// Certificates of the keys that sign tokens.
    pub(crate) certificates: &'a Path,
}

/// Writes the registry's configuration; without a token service it lets everybody do everything.
pub(crate) fn configure(
    file: &Path,
    data: &Path,
    port: u16,
    tokens: Option<&TokenService<'_>>,
) -> Result<()> {
    let mut text = format!(
        "version: 0.1\n\
         log: {{ level: info, accesslog: {{ disabled: false }} }}\n\
         storage:\n  filesystem: {{ rootdirectory: \"{}\" }}\n  delete: {{ enabled: true }}\n\
         http: {{ addr: \"127.0.0.1:{port}\", secret: \"one instance, so nothing to share\" }}\n",
        data.display()
    );
    if let Some(tokens) = tokens {
        write!(
            text,
            "auth:\n  token:\n    realm: \"{}\"\n    issuer: \"{}\"\n    service: \"{}\"\n    rootcertbundle: \"{}\"\n",
            tokens.realm,
            tokens.issuer,
            tokens.service,
            tokens.certificates.display()
        )?;
    }
    std::fs::write(file, text).with_context(|| format!("write {}", file.display()))
}

/// The program.
pub(crate) fn program() -> Result<PathBuf> {
    crate::program::find("docker-registry").context("docker-registry is not installed")
}

/// Whether the registry answers, with or without asking for a token.
pub(crate) fn answers(port: u16) -> Result<bool> {
    if std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        return Ok(false);
    }
    let answer = crate::curl::Curl::default().get(&format!("http://127.0.0.1:{port}/v2/"))?;
    Ok(matches!(answer.status, 200 | 401))
}
