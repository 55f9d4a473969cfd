//! Masks the lease's secrets in everything that leaves the worker as text.
//!
//! A secret is looked for as it is, in base64 (both alphabets, at each of the three positions it
//! can have inside a longer text) and percent-encoded. Output comes in pieces, so the end of a
//! piece that could be the beginning of a secret is held back until the next one decides.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use std::sync::{Arc, RwLock};

/// What stands in a secret's place.
pub const MASK: &[u8] = b"***";
/// Anything shorter would mask ordinary text everywhere and so tell what it is.
pub const SECRET_BYTES_MIN: usize = 6;

/// The secrets of one lease. Clones share them: a token that is fetched late is masked at once.
#[derive(Clone, Default)]
pub struct Secrets {
    shared: Arc<RwLock<Arc<Patterns>>>,
}

#[derive(Default)]
struct Patterns {
    forms: Vec<Vec<u8>>,
    search: Option<AhoCorasick>,
}

impl Secrets {
    /// Masks this text from now on. Too short a text is not a secret and is left alone.
    pub fn add(&self, secret: &str) {
        if secret.len() < SECRET_BYTES_MIN {
            return;
        }
        let mut shared = self
            .shared
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut forms = shared.forms.clone();
        forms.extend(forms_of(secret.as_bytes()));
        forms.sort();
        forms.dedup();
        let search = AhoCorasick::builder()
            .match_kind(MatchKind::LeftmostLongest)
            .build(&forms)
            .ok();
        *shared = Arc::new(Patterns { forms, search });
    }

    /// A masker for one stream of output.
    pub fn masker(&self) -> Masker {
        Masker {
            secrets: self.clone(),
            held: Vec::new(),
        }
    }

    /// A whole text, masked.
    pub fn mask(&self, text: &str) -> String {
        let mut masker = self.masker();
        let mut out = masker.push(text.as_bytes());
        out.extend(masker.finish());
        String::from_utf8_lossy(&out).into_owned()
    }

    fn patterns(&self) -> Arc<Patterns> {
        self.shared
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

/// Masks one stream, piece by piece.
pub struct Masker {
    secrets: Secrets,
    held: Vec<u8>,
}

impl Masker {
    /// Takes a piece, gives back what is certain.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let patterns = self.secrets.patterns();
        let Some(search) = &patterns.search else {
            return piece.to_vec();
        };
        let mut text = std::mem::take(&mut self.held);
        text.extend_from_slice(piece);
        let mut out = Vec::with_capacity(text.len());
        let mut done = 0;
        for found in search.find_iter(&text) {
            out.extend_from_slice(&text[done..found.start()]);
            out.extend_from_slice(MASK);
            done = found.end();
        }
        let rest = &text[done..];
        let keep = beginning_of_a_secret(rest, &patterns.forms);
        out.extend_from_slice(&rest[..rest.len() - keep]);
        self.held = rest[rest.len() - keep..].to_vec();
        out
    }

    /// The stream has ended: what was held back was no secret.
    pub fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }
}

/// How many bytes at the end of `text` are the beginning of one of the forms.
fn beginning_of_a_secret(text: &[u8], forms: &[Vec<u8>]) -> usize {
    let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
    let most = longest.saturating_sub(1).min(text.len());
    (1..=most)
        .rev()
        .find(|&n| {
            let end = &text[text.len() - n..];
            forms
                .iter()
                .any(|form| form.len() > n && form.starts_with(end))
        })
        .unwrap_or(0)
}

fn forms_of(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), percent_encoded(secret)];
    for before in 0..3 {
        for engine in [&STANDARD, &URL_SAFE] {
            let form = base64_inside(engine, secret, before);
            if form.len() >= SECRET_BYTES_MIN {
                forms.push(form);
            }
        }
    }
    forms
}

/// The characters that a secret surely yields when `before` other bytes stand in front of it:
/// those that share bits with a neighbour are left out.
fn base64_inside(engine: &base64::engine::GeneralPurpose, secret: &[u8], before: usize) -> Vec<u8> {
    let mut padded = vec![0; before];
    padded.extend_from_slice(secret);
    let first = (before * 8).div_ceil(6);
    let last = padded.len() * 8 / 6;
    let text = engine.encode(&padded).into_bytes();
    text.get(first..last).unwrap_or_default().to_vec()
}

fn percent_encoded(secret: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for byte in secret {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(secrets: &Secrets, pieces: &[&str]) -> String {
        let mut masker = secrets.masker();
        let mut out = Vec::new();
        for piece in pieces {
            out.extend(masker.push(piece.as_bytes()));
        }
        out.extend(masker.finish());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_secret_is_masked_even_when_it_comes_in_pieces() {
        let secrets = Secrets::default();
        secrets.add("hunter2-very-long");
        assert_eq!(
            masked(&secrets, &["a hunt", "er2-ve", "ry-long b\n"]),
            "a *** b\n"
        );
        assert_eq!(masked(&secrets, &["a hunt", "ing"]), "a hunting");
    }

    #[test]
    fn a_secret_is_masked_in_base64_wherever_it_stands() {
        let secrets = Secrets::default();
        secrets.add("pa?ss>word~1");
        for before in ["", "x", "xy", "user:"] {
            let text = STANDARD.encode(format!("{before}pa?ss>word~1!"));
            let out = masked(&secrets, &[&text]);
            assert!(out.contains("***"), "{before}: {text} -> {out}");
            assert!(out.len() < text.len());
        }
        assert_eq!(masked(&secrets, &["q=pa%3Fss%3Eword~1"]), "q=***");
    }

    #[test]
    fn what_could_begin_a_secret_is_held_back_and_nothing_else() {
        let secrets = Secrets::default();
        secrets.add("hunter2-very-long");
        let mut masker = secrets.masker();
        assert_eq!(masker.push(b"line one\nhun"), b"line one\n");
        assert_eq!(masker.push(b"\nmore"), b"hun\nmore");
    }

    #[test]
    fn a_secret_that_is_learnt_late_is_masked_from_then_on() {
        let secrets = Secrets::default();
        let mut masker = secrets.masker();
        assert_eq!(masker.push(b"token-abcdef "), b"token-abcdef ");
        secrets.add("token-abcdef");
        assert_eq!(masker.push(b"token-abcdef "), b"*** ");
    }
}
