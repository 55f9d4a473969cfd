//! What is known to be wrong with packages: OSV records, and which installed package they hit.
//!
//! *Comes in*: a folder or zip of OSV records; the packages of an image.
//! *Goes out*: findings, and what could not be judged.
//! *Owns*: `advisory_source`, `advisory`, `advisory_package`.
//! *Never*: a guess. A package whose ecosystem, version or advisory cannot be judged is *not
//! checked*, or counted as affected; it is never called clean.
//! *Before / After*: see the room.

pub mod archive;
mod store;
mod import;
mod debian_version;
pub mod ecosystem;
pub mod matching;
pub mod osv;

pub use archive::{ARCHIVE_BYTES_MAX, Archive, ENTRIES_MAX, NotImported};
pub use ecosystem::{Ecosystem, Subject};
pub use import::{ImportOutcome, Imported, import};
pub use matching::{
    Advisories, Judged, NotChecked, TOOL, ecosystems_of, judge, not_checked_by_kind,
};
pub use osv::{RECORD_BYTES_MAX, Record};
pub use store::{Source, about, sources, version_of};
