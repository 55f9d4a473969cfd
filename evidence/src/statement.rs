//! In-toto statements, version 1 (in-toto/attestation, spec/v1/statement.md).

use crate::names;
use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What is said (`predicate`) about what (`subject`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statement<P> {
    #[serde(rename = "_type")]
    kind: &'static str,
    subject: Vec<Subject>,
    #[serde(rename = "predicateType")]
    predicate_type: &'static str,
    predicate: P,
}

/// One thing that a statement is about. Only the digest says which; the name is for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subject {
    /// For people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Algorithm and lower-case hex.
    pub digest: BTreeMap<String, String>,
}

/// The bytes are not a statement that is understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStatement {
    /// Not JSON of the form.
    #[error("not an in-toto statement: {0}")]
    Form(String),
    /// Another version.
    #[error("the statement's _type is `{0}`, wanted `{wanted}`", wanted = names::STATEMENT)]
    Type(String),
}

/// What a verifier needs of a statement before it looks at the predicate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The SHA-256 digests of the subjects; subjects without one are left out.
    pub subjects: Vec<Digest>,
    /// What those subjects are called; an image by its repository.
    pub names: Vec<String>,
    /// How many subjects there are, with and without SHA-256.
    pub subject_count: usize,
    /// The predicate's type.
    pub predicate_type: String,
}

impl<P: Serialize> Statement<P> {
    /// A statement about one image.
    pub fn about(name: &str, digest: Digest, predicate_type: &'static str, predicate: P) -> Self {
        Self {
            kind: names::STATEMENT,
            subject: vec![Subject {
                name: name.to_owned(),
                digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]),
            }],
            predicate_type,
            predicate,
        }
    }

    /// The bytes that are stored and signed; made once, never again (DECISIONS 8).
    pub fn to_bytes(&self) -> Result<Vec<u8>, InvalidStatement> {
        serde_json::to_vec(self).map_err(|e| InvalidStatement::Form(e.to_string()))
    }
}

/// The SBOM statement of an image: the CycloneDX document goes in as it is, byte for byte.
pub fn sbom(name: &str, digest: Digest, cyclonedx: &[u8]) -> Result<Vec<u8>, InvalidStatement> {
    let document: &serde_json::value::RawValue =
        serde_json::from_slice(cyclonedx).map_err(|e| InvalidStatement::Form(e.to_string()))?;
    Statement::about(name, digest, names::CYCLONEDX, document).to_bytes()
}

/// Reads what a statement is about and of which type it is; unknown fields are ignored.
pub fn read(bytes: &[u8]) -> Result<Heading, InvalidStatement> {
    #[derive(Deserialize)]
    struct Read {
        #[serde(rename = "_type")]
        kind: String,
        subject: Vec<Subject>,
        #[serde(rename = "predicateType")]
        predicate_type: String,
    }
    let read: Read =
        serde_json::from_slice(bytes).map_err(|e| InvalidStatement::Form(e.to_string()))?;
    if read.kind != names::STATEMENT {
        return Err(InvalidStatement::Type(
            read.kind.chars().take(100).collect(),
        ));
    }
    let subject_count = read.subject.len();
    let sha256 = |subject: Subject| {
        let hex = subject.digest.get("sha256")?;
        Some((Digest::parse_hex(hex).ok()?, subject.name))
    };
    let (subjects, names) = read.subject.into_iter().filter_map(sha256).unzip();
    Ok(Heading {
        subjects,
        names,
        subject_count,
        predicate_type: read.predicate_type,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_sbom_goes_in_byte_for_byte() {
        let document = br#"{ "bomFormat" : "CycloneDX","specVersion":"1.6", "z":1,"a":2 }"#;
        let bytes = sbom("r.example/shop/web", Digest::of(b"image"), document).unwrap();
        insta::assert_snapshot!(String::from_utf8(bytes.clone()).unwrap(), @r#"{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"r.example/shop/web","digest":{"sha256":"6105d6cc76af400325e94d588ce511be5bfdbb73b437dc51eca43917d7a43e3d"}}],"predicateType":"https://cyclonedx.org/bom","predicate":{ "bomFormat" : "CycloneDX","specVersion":"1.6", "z":1,"a":2 }}"#);
        let heading = read(&bytes).unwrap();
        assert_eq!(heading.subjects, [Digest::of(b"image")]);
        assert_eq!(heading.predicate_type, names::CYCLONEDX);
        assert!(sbom("n", Digest::of(b"image"), b"not json").is_err());
    }

    #[test]
    fn another_version_is_refused_and_an_unknown_field_is_not() {
        let old =
            br#"{"_type":"https://in-toto.io/Statement/v0.1","subject":[],"predicateType":"x"}"#;
        assert!(matches!(read(old), Err(InvalidStatement::Type(_))));
        let newer = br#"{"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"x","more":1}"#;
        assert!(read(newer).is_ok());
    }
}
