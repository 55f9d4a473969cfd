//! The bytes of an entry: JSON of one struct with a version, at most 16 KiB, fixed for ever.

use crate::clock::At;
use crate::id::IdSource;
use crate::identity::Actor;
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;

crate::id_type!(
    /// An audit entry.
    AuditId
);

/// The log serves entries in bundles of 256 with 16-bit lengths; 16 KiB keeps a bundle at 4 MiB.
pub const ENTRY_BYTES_MAX: usize = 16 * 1024;
/// Salt of a commitment: as long as the hash is strong.
const SALT_BYTES: usize = 16;

/// One act, on its way into the log.
#[derive(Debug, Clone)]
pub struct Record {
    kind: &'static str,
    subject: String,
    project_id: Option<String>,
    actor: Actor,
    detail: Map<String, Value>,
    sensitive: BTreeMap<&'static str, String>,
}

impl Record {
    /// `kind` is `<room>.<what happened>` (`delivery.accepted`), `subject` is `<thing>:<id>`.
    pub fn new(kind: &'static str, subject: impl Into<String>, actor: &Actor) -> Self {
        Self {
            kind,
            subject: subject.into(),
            project_id: None,
            actor: actor.clone(),
            detail: Map::new(),
            sensitive: BTreeMap::new(),
        }
    }

    /// The project that it happened in.
    #[must_use]
    pub fn project(mut self, id: impl Into<String>) -> Self {
        self.project_id = Some(id.into());
        self
    }

    /// A fact.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.detail.insert(key.to_owned(), value.into());
        self
    }

    /// A fact about a person: the entry holds only a salted commitment, which can be made void by
    /// forgetting the salt.
    #[must_use]
    pub fn with_sensitive(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.sensitive.insert(key, value.into());
        self
    }

    pub(super) fn seal(self, at: At, id: AuditId, ids: &dyn IdSource) -> Sealed {
        let mut commitments = Vec::new();
        let mut committed = BTreeMap::new();
        for (field, value) in self.sensitive {
            let mut salt = vec![0; SALT_BYTES];
            ids.random(&mut salt);
            let hash = Sha256::new()
                .chain_update(&salt)
                .chain_update(value.as_bytes())
                .finalize();
            committed.insert(field, hex::encode(hash));
            commitments.push(Commitment { field, salt, value });
        }
        let actor = self.actor.audited();
        let entry = EntryV1 {
            v: 1,
            id: id.as_str(),
            at: at.to_string(),
            kind: self.kind,
            subject: &self.subject,
            project: self.project_id.as_deref(),
            actor: &actor,
            detail: &self.detail,
            committed: &committed,
        };
        // Only maps with text keys and plain values are in it: serde_json cannot fail on that.
        let bytes = serde_json::to_vec(&entry).unwrap_or_default();
        Sealed {
            id,
            at,
            kind: self.kind,
            subject: self.subject,
            project_id: self.project_id,
            actor,
            bytes,
            commitments,
        }
    }
}

/// The golden form, version 1.
#[derive(Serialize)]
struct EntryV1<'a> {
    v: u8,
    id: &'a str,
    at: String,
    #[serde(rename = "type")]
    kind: &'static str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
    actor: &'a str,
    detail: &'a Map<String, Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    committed: &'a BTreeMap<&'static str, String>,
}

/// An entry with its final bytes.
pub(super) struct Sealed {
    pub(super) id: AuditId,
    pub(super) at: At,
    pub(super) kind: &'static str,
    pub(super) subject: String,
    pub(super) project_id: Option<String>,
    pub(super) actor: String,
    pub(super) bytes: Vec<u8>,
    pub(super) commitments: Vec<Commitment>,
}

/// A clear value beside the log.
pub(super) struct Commitment {
    pub(super) field: &'static str,
    pub(super) salt: Vec<u8>,
    pub(super) value: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{At, SteppedClock};
    use crate::id::SystemIds;
    use crate::identity::PersonId;
    use std::sync::Arc;

    /// Ids and salts that are known before.
    struct Known;

    impl IdSource for Known {
        fn uuid(&self) -> uuid::Uuid {
            uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001)
        }

        fn random(&self, bytes: &mut [u8]) {
            bytes.fill(7);
        }
    }

    /// What was written once is read by every later version: these bytes never change.
    #[test]
    fn an_entry_of_version_1_has_these_bytes() {
        let actor = Actor::Hook { id: "h".to_owned() };
        let sealed = Record::new("delivery.accepted", "delivery:d", &actor)
            .project("p")
            .with("event", "push")
            .with("bytes", 12)
            .with("folded", false)
            .with("nothing", Value::Null)
            .with_sensitive("address", "mara@shop.example")
            .seal(At(1_790_000_000_000_000), AuditId::new(&Known), &Known);
        let golden = include_str!("golden/entry-v1.json");
        assert_eq!(String::from_utf8(sealed.bytes).unwrap(), golden.trim_end());
    }

    #[test]
    fn an_entry_names_a_person_by_id() {
        let id = PersonId::new(&Known);
        let actor = Actor::Person {
            id: id.clone(),
            name: "mara".to_owned(),
        };
        let sealed = Record::new("run.cancel-asked", "run:r", &actor).seal(
            At(1_790_000_000_000_000),
            AuditId::new(&Known),
            &Known,
        );
        let text = String::from_utf8(sealed.bytes).unwrap();
        assert!(
            text.contains(&format!(r#""actor":"person({id})""#)),
            "{text}"
        );
        assert!(!text.contains("mara"), "{text}");
        assert_eq!(
            sealed.actor,
            format!("person({id})"),
            "the column is as fixed as the bytes"
        );
    }

    #[test]
    fn an_entry_holds_a_commitment_and_never_the_clear_value() {
        let ids = SystemIds::new(Arc::new(SteppedClock::new(At(1_790_000_000_000_000))));
        let sealed = Record::new("identity.email-verified", "person:p", &Actor::System)
            .with("by", "admin")
            .with_sensitive("address", "mara@shop.example")
            .seal(At(1_790_000_000_000_000), AuditId::new(&ids), &ids);
        let text = String::from_utf8(sealed.bytes).unwrap();
        assert!(text.starts_with(r#"{"v":1,"id":""#), "{text}");
        assert!(text.contains(r#""type":"identity.email-verified","subject":"person:p","actor":"system","detail":{"by":"admin"},"committed":{"address":""#), "{text}");
        assert!(!text.contains("mara"), "{text}");
        assert_eq!(sealed.commitments.len(), 1);
    }
}
