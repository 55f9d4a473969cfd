//! SLSA provenance v1 (slsa.dev/spec/v1.2/build-provenance), as far as it is written here.

use contract::digest::Digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How an image came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Provenance {
    /// What was asked for, by whom, and from what.
    pub build_definition: BuildDefinition,
    /// Who did it, when, and what else came out.
    pub run_details: RunDetails,
}

/// The inputs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildDefinition {
    /// [`crate::names::BUILD_TYPE`].
    pub build_type: String,
    /// What came from outside: complete, so that a verifier can refuse what it does not expect.
    pub external_parameters: ExternalParameters,
    /// What the instance set.
    pub internal_parameters: InternalParameters,
    /// What it was made from, by digest.
    pub resolved_dependencies: Vec<ResourceDescriptor>,
}

/// What came from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExternalParameters {
    /// The repository, as the project's settings name it.
    pub repository: String,
    /// The full ref that was pushed.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// The pipeline file's path at the commit.
    pub path: String,
}

/// What the instance set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InternalParameters {
    /// The project.
    pub project: String,
    /// The run's number in the project.
    pub run: i64,
    /// The step that built the image.
    pub step: String,
    /// `trusted` or `untrusted`.
    pub trust: String,
    /// The version of the project's settings that the plan was made under.
    pub settings_version: i64,
    /// SHA-256 of the frozen plan, which stands in the byproducts by this digest.
    pub plan: Digest,
    /// Whether no container of the build had a network.
    pub hermetic: bool,
    /// Whether the signer runs under another uid than the server.
    pub signer_apart: bool,
}

/// Who, when, and what else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunDetails {
    /// Who.
    pub builder: Builder,
    /// Which run, when.
    pub metadata: Metadata,
    /// Logs, the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<ResourceDescriptor>,
}

/// Who built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Builder {
    /// [`crate::names::builder_id`]: the sole determiner of the level.
    pub id: String,
    /// Versions of the programs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run, when (RFC 3339, UTC).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Metadata {
    /// The run's page and the step: unique in the world.
    pub invocation_id: String,
    /// The step's start.
    pub started_on: String,
    /// The step's end.
    pub finished_on: String,
}

/// A thing by what it is and where it was.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ResourceDescriptor {
    /// What it is called here.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Where it is.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub uri: String,
    /// Algorithm and lower-case hex (`sha256`, `gitCommit`).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub digest: BTreeMap<String, String>,
    /// Its media type.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub media_type: String,
}

impl ResourceDescriptor {
    /// Something by its SHA-256.
    pub fn sha256(name: &str, digest: Digest) -> Self {
        Self {
            name: name.to_owned(),
            digest: BTreeMap::from([("sha256".to_owned(), digest.hex())]),
            ..Self::default()
        }
    }

    /// A commit of a git repository.
    pub fn commit(uri: &str, commit: &str) -> Self {
        Self {
            uri: uri.to_owned(),
            digest: BTreeMap::from([("gitCommit".to_owned(), commit.to_owned())]),
            ..Self::default()
        }
    }

    /// The same, with the place where it was.
    #[must_use]
    pub fn at(mut self, uri: &str) -> Self {
        self.uri = uri.to_owned();
        self
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::names;
    use crate::statement::Statement;

    pub(crate) fn example() -> Provenance {
        let base = ResourceDescriptor::sha256("base", Digest::of(b"base"));
        Provenance {
            build_definition: BuildDefinition {
                build_type: names::BUILD_TYPE.to_owned(),
                external_parameters: ExternalParameters {
                    repository: "file:///srv/git/shop.git".to_owned(),
                    ref_name: "refs/heads/main".to_owned(),
                    path: ".sallyport.yml".to_owned(),
                },
                internal_parameters: InternalParameters {
                    project: "shop".to_owned(),
                    run: 7,
                    step: "web".to_owned(),
                    trust: "trusted".to_owned(),
                    settings_version: 3,
                    plan: Digest::of(b"plan"),
                    hermetic: true,
                    signer_apart: true,
                },
                resolved_dependencies: vec![
                    ResourceDescriptor::commit("file:///srv/git/shop.git", &"a1".repeat(20)),
                    base.at("127.0.0.1:5000/base/python"),
                ],
            },
            run_details: RunDetails {
                builder: Builder {
                    id: names::builder_id("http://localhost:7420", "docker-runc-userns"),
                    version: BTreeMap::from([("sallyport".to_owned(), "0.1.0".to_owned())]),
                },
                metadata: Metadata {
                    invocation_id: "http://localhost:7420/projects/shop/runs/7/steps/web"
                        .to_owned(),
                    started_on: "2026-11-24T09:00:00.000Z".to_owned(),
                    finished_on: "2026-11-24T09:00:09.000Z".to_owned(),
                },
                byproducts: vec![ResourceDescriptor::sha256("log/web", Digest::of(b"log"))],
            },
        }
    }

    /// Stored and sent: this text may only change with a new predicate or field.
    #[test]
    fn a_statement_of_provenance_reads_as_ever() {
        let image = Digest::of(b"image");
        let statement = Statement::about(
            "127.0.0.1:5000/quarantine/shop/web",
            image,
            names::SLSA_PROVENANCE,
            example(),
        );
        let golden = include_str!("../tests/golden/provenance.json").trim_end();
        assert_eq!(
            String::from_utf8(statement.to_bytes().unwrap()).unwrap(),
            golden
        );
    }
}
