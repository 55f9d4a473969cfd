//! Attestations in a registry: OCI 1.1 referrers, and the index under the tag `sha256-<hex>` that
//! stands in for the referrers API where a registry has none (OCI distribution-spec 1.1, "Referrers
//! tag schema").

use crate::names;
use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// Media type of an image's manifest.
pub const IMAGE_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index.
pub const IMAGE_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image's configuration.
pub const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of the empty configuration.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// The empty configuration.
pub const EMPTY_CONFIG: &[u8] = b"{}";
/// The annotation that says what an attestation is about (as BuildKit and GUAC use it).
pub const PREDICATE_ANNOTATION: &str = "in-toto.io/predicate-type";
/// Referrers of one image; an index beyond is not ours.
const REFERRERS_MAX: usize = 1_000;

/// What a manifest says of a blob or of another manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// What it is.
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its length.
    pub size: u64,
    /// What an artefact is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub artifact_type: String,
    /// More.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// An index that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the referrers' index is not one that can be added to: {0}")]
pub struct InvalidIndex(String);

impl Descriptor {
    /// Describes these bytes.
    pub fn of(media_type: &str, bytes: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: Digest::of(bytes),
            // A slice is never longer than u64 counts.
            size: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
            artifact_type: String::new(),
            annotations: BTreeMap::new(),
        }
    }
}

/// A manifest that attaches an attestation to an image, and the descriptor by which the referrers'
/// index names it. Its blobs are the envelope and [`EMPTY_CONFIG`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Referrer {
    /// The manifest, of type [`IMAGE_MANIFEST`].
    pub manifest: Vec<u8>,
    /// Its descriptor.
    pub descriptor: Descriptor,
}

/// Attaches a DSSE envelope over an in-toto statement to the image whose manifest these bytes are.
/// The same input gives the same bytes.
pub fn attestation(
    image_media_type: &str,
    image_manifest: &[u8],
    envelope: &[u8],
    predicate_type: &str,
) -> Referrer {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Manifest<'a> {
        schema_version: u32,
        media_type: &'a str,
        artifact_type: &'a str,
        config: Descriptor,
        layers: [Descriptor; 1],
        subject: Descriptor,
        annotations: &'a BTreeMap<String, String>,
    }
    let annotations =
        BTreeMap::from([(PREDICATE_ANNOTATION.to_owned(), predicate_type.to_owned())]);
    let mut layer = Descriptor::of(names::DSSE_LAYER, envelope);
    layer
        .annotations
        .insert("predicateType".to_owned(), predicate_type.to_owned());
    let manifest = Manifest {
        schema_version: 2,
        media_type: IMAGE_MANIFEST,
        artifact_type: names::IN_TOTO,
        config: Descriptor::of(EMPTY, EMPTY_CONFIG),
        layers: [layer],
        subject: Descriptor::of(image_media_type, image_manifest),
        annotations: &annotations,
    };
    // Plain structs of text and numbers: serde_json cannot fail on them.
    let manifest = serde_json::to_vec(&manifest).unwrap_or_default();
    let mut descriptor = Descriptor::of(IMAGE_MANIFEST, &manifest);
    names::IN_TOTO.clone_into(&mut descriptor.artifact_type);
    descriptor.annotations = annotations;
    Referrer {
        manifest,
        descriptor,
    }
}

/// The tag under which the referrers' index of an image lies.
pub fn referrers_tag(image: &Digest) -> String {
    format!("sha256-{}", image.hex())
}

/// The index with one referrer more; `None` when it names it already. What others wrote into it is
/// kept. Reading, adding and writing is not atomic in a registry: one at a time per image.
pub fn with_referrer(
    index: Option<&[u8]>,
    referrer: &Descriptor,
) -> Result<Option<Vec<u8>>, InvalidIndex> {
    let form = |e: serde_json::Error| InvalidIndex(e.to_string());
    let mut index: Value = match index {
        Some(bytes) => serde_json::from_slice(bytes).map_err(form)?,
        None => serde_json::json!({
            "schemaVersion": 2, "mediaType": IMAGE_INDEX, "manifests": []
        }),
    };
    if index.get("mediaType").and_then(Value::as_str) != Some(IMAGE_INDEX) {
        return Err(InvalidIndex("its mediaType is another".to_owned()));
    }
    let manifests = index
        .get_mut("manifests")
        .and_then(Value::as_array_mut)
        .ok_or_else(|| InvalidIndex("no list `manifests`".to_owned()))?;
    let digest = referrer.digest.to_string();
    if manifests
        .iter()
        .any(|entry| entry.get("digest").and_then(Value::as_str) == Some(&digest))
    {
        return Ok(None);
    }
    if manifests.len() >= REFERRERS_MAX {
        return Err(InvalidIndex(format!("{REFERRERS_MAX} referrers already")));
    }
    manifests.push(serde_json::to_value(referrer).map_err(form)?);
    serde_json::to_vec(&index).map(Some).map_err(form)
}

/// The referrers that an index names; entries that are not understood are left out.
pub fn referrers(index: &[u8]) -> Result<Vec<Descriptor>, InvalidIndex> {
    #[derive(Deserialize)]
    struct Index {
        manifests: Vec<Value>,
    }
    let index: Index = serde_json::from_slice(index).map_err(|e| InvalidIndex(e.to_string()))?;
    Ok(index
        .manifests
        .into_iter()
        .take(REFERRERS_MAX)
        .filter_map(|entry| serde_json::from_value(entry).ok())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example(predicate_type: &str) -> Referrer {
        attestation(IMAGE_MANIFEST, b"image", b"envelope", predicate_type)
    }

    #[test]
    fn an_attached_attestation_reads_as_ever() {
        let referrer = example(names::SLSA_PROVENANCE);
        let golden = include_str!("../tests/golden/referrer-manifest.json").trim_end();
        assert_eq!(String::from_utf8(referrer.manifest).unwrap(), golden);
        let index = with_referrer(None, &referrer.descriptor).unwrap().unwrap();
        let golden = include_str!("../tests/golden/referrers-index.json");
        // The order of keys follows a feature of serde_json that other crates may switch on.
        let value = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
        assert_eq!(value(&index), value(golden.as_bytes()));
    }

    #[test]
    fn an_index_takes_each_referrer_once_and_keeps_those_of_others() {
        let theirs = format!(
            r#"{{"schemaVersion":2,"mediaType":"{IMAGE_INDEX}","manifests":[{{"mediaType":"x","digest":"{}","size":1,"platform":{{"os":"linux"}}}}]}}"#,
            Digest::of(b"theirs")
        );
        let (one, two) = (example("a").descriptor, example("b").descriptor);
        let first = with_referrer(Some(theirs.as_bytes()), &one)
            .unwrap()
            .unwrap();
        let second = with_referrer(Some(&first), &two).unwrap().unwrap();
        assert_eq!(
            with_referrer(Some(&second), &one),
            Ok(None),
            "again is nothing"
        );
        assert_eq!(referrers(&second).unwrap().len(), 3);
        assert!(String::from_utf8(second).unwrap().contains("linux"));
        assert!(with_referrer(Some(b"[]"), &one).is_err());
        assert!(with_referrer(Some(b"{}"), &one).is_err());
    }
}
