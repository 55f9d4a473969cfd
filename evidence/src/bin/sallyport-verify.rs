//! `sallyport-verify`: verifies what Sallyport signed, with no server and no trust in one.
//!
//! Exit codes: 0 it holds, 1 it does not, 2 usage, 3 could not find out (a file that cannot be read).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Parser, Subcommand};
use contract::digest::Digest;
use contract::image::Repository;
use evidence::{cosign, dsse, keys, names, statement};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The answer is no.
const NO: u8 = 1;
/// It could not be found out.
const COULD_NOT: u8 = 3;

/// Verify an attestation or an image signature against a public key.
#[derive(Debug, Parser)]
#[command(name = "sallyport-verify", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A DSSE envelope over an in-toto statement.
    Attestation {
        /// The provenance key, PEM.
        #[arg(long)]
        key: PathBuf,
        /// The image that it must be about.
        #[arg(long, value_parser = Digest::parse)]
        digest: Digest,
        /// The predicate type that it must be of.
        #[arg(long, default_value = names::SLSA_PROVENANCE)]
        predicate_type: String,
        /// Write the verified statement to standard output.
        #[arg(long)]
        print: bool,
        /// The envelope.
        envelope: PathBuf,
    },
    /// An image signature in cosign's layout.
    Image {
        /// The release key, PEM.
        #[arg(long)]
        key: PathBuf,
        /// The image that it must be about.
        #[arg(long, value_parser = Digest::parse)]
        digest: Digest,
        /// The repository that it must name.
        #[arg(long, value_parser = Repository::parse)]
        repository: Option<Repository>,
        /// The signature in base64, as it stands in the layer's annotation.
        #[arg(long)]
        signature: String,
        /// The payload: the layer of the manifest `sha256-<hex>.sig`.
        payload: PathBuf,
    },
}

/// Why it did not go well.
enum Failed {
    No(String),
    CouldNot(String),
}

fn main() -> ExitCode {
    let (print, result) = match Cli::parse().command {
        Command::Attestation {
            key,
            digest,
            predicate_type,
            print,
            envelope,
        } => (
            print,
            attestation(&key, &digest, &predicate_type, &envelope),
        ),
        Command::Image {
            key,
            digest,
            repository,
            signature,
            payload,
        } => {
            let result = image(&key, &digest, repository.as_ref(), &signature, &payload);
            (false, result)
        }
    };
    match result {
        Ok((bytes, said)) => {
            let mut out = std::io::stdout().lock();
            let written = if print {
                out.write_all(&bytes)
            } else {
                writeln!(out, "{said}")
            };
            // A reader that hung up changes nothing about the answer.
            drop(written);
            ExitCode::SUCCESS
        }
        Err(Failed::No(why)) => complain(&format!("refused: {why}"), NO),
        Err(Failed::CouldNot(why)) => complain(&format!("error: {why}"), COULD_NOT),
    }
}

fn complain(text: &str, code: u8) -> ExitCode {
    drop(writeln!(std::io::stderr().lock(), "{text}"));
    ExitCode::from(code)
}

fn attestation(
    key: &Path,
    digest: &Digest,
    predicate_type: &str,
    envelope: &Path,
) -> Result<(Vec<u8>, String), Failed> {
    let key = public_key(key)?;
    let envelope = read(envelope, dsse::ENVELOPE_BYTES_MAX)?;
    let no = |why: &dyn std::fmt::Display| Failed::No(why.to_string());
    let verified = dsse::verify(&envelope, names::IN_TOTO, &[key]).map_err(|e| no(&e))?;
    let heading = statement::read(&verified.payload).map_err(|e| no(&e))?;
    if !heading.subjects.contains(digest) {
        return Err(Failed::No(format!(
            "signed, but about another subject than {digest}"
        )));
    }
    if heading.predicate_type != predicate_type {
        return Err(Failed::No(format!(
            "signed, but of type `{}`, wanted `{predicate_type}`",
            heading.predicate_type
        )));
    }
    let keys: Vec<String> = verified.keys.into_iter().collect();
    let said = format!(
        "{predicate_type} about {digest}, signed by {}",
        keys.join(", ")
    );
    Ok((verified.payload, said))
}

fn image(
    key: &Path,
    digest: &Digest,
    repository: Option<&Repository>,
    signature: &str,
    payload: &Path,
) -> Result<(Vec<u8>, String), Failed> {
    let key = public_key(key)?;
    let bytes = read(payload, cosign::PAYLOAD_BYTES_MAX)?;
    let signature = STANDARD
        .decode(signature.trim())
        .map_err(|e| Failed::No(format!("the signature is not base64: {e}")))?;
    let payload =
        cosign::verify(&bytes, &signature, &key).map_err(|e| Failed::No(e.to_string()))?;
    if payload.digest != *digest {
        return Err(Failed::No(format!(
            "signed, but about {}, not {digest}",
            payload.digest
        )));
    }
    if repository.is_some_and(|wanted| *wanted != payload.repository) {
        return Err(Failed::No(format!(
            "signed, but for {}",
            payload.repository
        )));
    }
    let said = format!("{}@{digest} is signed", payload.repository);
    Ok((bytes, said))
}

fn public_key(path: &Path) -> Result<p256::ecdsa::VerifyingKey, Failed> {
    let bytes = read(path, 64 * 1024)?;
    let text = String::from_utf8_lossy(&bytes);
    keys::from_pem(&text).map_err(|e| Failed::CouldNot(format!("{}: {e}", path.display())))
}

fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failed> {
    let could_not = |e: std::io::Error| Failed::CouldNot(format!("{}: {e}", path.display()));
    let file = std::fs::File::open(path).map_err(could_not)?;
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(bound)
        .read_to_end(&mut bytes)
        .map_err(could_not)?;
    if bytes.len() > limit {
        return Err(Failed::No(format!(
            "{}: larger than {limit} bytes",
            path.display()
        )));
    }
    Ok(bytes)
}
