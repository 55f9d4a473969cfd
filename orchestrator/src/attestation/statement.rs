//! From facts to the statement's bytes. Pure: no I/O, no clock.

use super::facts::Facts;
use crate::clock::At;
use crate::image::Image;
use crate::run::{Plan, PlannedWork};
use contract::digest::Digest;
use contract::image::ImageRef;
use contract::level::Level;
use evidence::names;
use evidence::provenance::{
    BuildDefinition, Builder, ExternalParameters, InternalParameters, Metadata, Provenance,
    ResourceDescriptor, RunDetails,
};
use evidence::statement::Statement;
use std::collections::{BTreeMap, BTreeSet};

/// The provenance of an image as bytes, or what of the facts is off.
pub(super) fn provenance(facts: &Facts, image: &Image) -> Result<Vec<u8>, String> {
    let plan: Plan = serde_json::from_str(&facts.plan).map_err(|e| format!("the plan: {e}"))?;
    let step_page = format!(
        "{}/projects/{}/runs/{}/steps/{}",
        facts.public_url, facts.project, facts.run_number, facts.step
    );
    let predicate = Provenance {
        build_definition: BuildDefinition {
            build_type: names::BUILD_TYPE.to_owned(),
            external_parameters: ExternalParameters {
                repository: without_credentials(&facts.repository),
                ref_name: facts.ref_name.clone(),
                path: facts.pipeline_path.clone(),
            },
            internal_parameters: InternalParameters {
                project: facts.project.clone(),
                run: facts.run_number,
                step: facts.step.clone(),
                trust: facts.trust.clone(),
                settings_version: facts.settings_version,
                plan: Digest::of(facts.plan.as_bytes()),
                hermetic: !facts.report.network,
                signer_apart: facts.signer_apart,
            },
            resolved_dependencies: dependencies(facts, image, &plan),
        },
        run_details: RunDetails {
            builder: Builder {
                id: names::builder_id(&facts.public_url, &level(facts)?),
                version: BTreeMap::from([(
                    "sallyport".to_owned(),
                    env!("CARGO_PKG_VERSION").to_owned(),
                )]),
            },
            metadata: Metadata {
                invocation_id: step_page,
                started_on: At(facts.started_at).to_string(),
                finished_on: At(facts.finished_at).to_string(),
            },
            byproducts: byproducts(facts),
        },
    };
    let name = image.repository.as_str();
    Statement::about(name, image.digest, names::SLSA_PROVENANCE, predicate)
        .to_bytes()
        .map_err(|e| e.to_string())
}

/// Source, pipeline file, base images of the image, tools and outside images of the whole run.
fn dependencies(facts: &Facts, image: &Image, plan: &Plan) -> Vec<ResourceDescriptor> {
    let repository = without_credentials(&facts.repository);
    let mut dependencies = vec![
        ResourceDescriptor::commit(&repository, &facts.commit),
        ResourceDescriptor::sha256("source", facts.source_digest),
        ResourceDescriptor::sha256("pipeline", facts.pipeline_digest).at(&facts.pipeline_path),
    ];
    let of = |name: String, image: &ImageRef| {
        ResourceDescriptor::sha256(&name, image.digest).at(image.repository.as_str())
    };
    let bases: BTreeSet<&ImageRef> = image.bases.iter().collect();
    dependencies.extend(bases.into_iter().map(|base| of("base".to_owned(), base)));
    for step in &plan.steps {
        let images: Vec<(&str, &ImageRef)> = match &step.work {
            PlannedWork::Run { image, .. } => vec![("image", image)],
            PlannedWork::Analyze { tools } => {
                tools.iter().map(|t| (t.name.as_str(), &t.image)).collect()
            }
            PlannedWork::Scan { sbom, secrets, .. } => [sbom, secrets]
                .map(|tool| (tool.name.as_str(), &tool.image))
                .to_vec(),
            PlannedWork::Test {
                services, probe, ..
            } => services
                .iter()
                .map(|s| (s.name.as_str(), &s.image))
                .chain([("probe", probe)])
                .collect(),
            PlannedWork::Build { .. } => Vec::new(),
        };
        let step = &step.name;
        dependencies.extend(
            images
                .into_iter()
                .map(|(name, image)| of(format!("step/{step}/{name}"), image)),
        );
    }
    dependencies
}

fn byproducts(facts: &Facts) -> Vec<ResourceDescriptor> {
    let mut byproducts = vec![ResourceDescriptor {
        media_type: "application/json".to_owned(),
        ..ResourceDescriptor::sha256("plan", Digest::of(facts.plan.as_bytes()))
    }];
    byproducts.extend(facts.logs.iter().map(|(step, digest)| ResourceDescriptor {
        media_type: "text/plain".to_owned(),
        ..ResourceDescriptor::sha256(&format!("log/{step}"), *digest)
    }));
    byproducts
}

/// `https://user:secret@host/x` without what stands before the `@`.
fn without_credentials(repository: &str) -> String {
    let Some((scheme, rest)) = repository.split_once("://") else {
        return repository.to_owned();
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, h)| h);
    format!("{scheme}://{host}{path}")
}

/// What is believed of the worker's level: no more than was granted with its token.
fn level(facts: &Facts) -> Result<String, String> {
    let claimed = Level::parse(&facts.report.isolation.level).map_err(|error| error.to_string())?;
    Ok(claimed.at_most(&facts.granted).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_never_reach_a_statement() {
        for (from, to) in [
            (
                "https://bot:s3cret@forge.example/a/b.git",
                "https://forge.example/a/b.git",
            ),
            ("https://forge.example/a@b", "https://forge.example/a@b"),
            ("/srv/git/shop.git", "/srv/git/shop.git"),
            ("ssh://git@forge.example/x", "ssh://forge.example/x"),
        ] {
            assert_eq!(without_credentials(from), to);
        }
    }
}
