//! What is said about images and signed: provenance, SBOM, and the signature of the image itself.
//!
//! *Comes in*: releases, with all that is known of their runs.
//! *Goes out*: signed statements and signatures, attached to their images in the registry.
//! *Owns*: `attestation`; `signature` rows for an image's reference in quarantine, and how any of them is
//! signed and published.
//! *Never*: a private key; a statement about a digest that was not observed; a second text for what
//! was signed: statement and payload are stored bytes before anybody signs them.
//! *Before / After*: `image`, `finding` / `gate`, `promotion`.

mod facts;
mod publish;
mod reconcile;
mod sign;
mod state;
mod statement;
mod store;
#[cfg(test)]
pub(crate) mod stories;
mod verify;

pub use reconcile::{Hands, pass, publish_signature, sign_and_keep};
pub use state::{
    Attestation, AttestationError, AttestationId, InvalidTransition, Kind, Signature, SignatureId,
    Signed, State,
};
pub use store::{attestations_of_image, signatures_of_image};
pub use verify::{Missing, verify};
