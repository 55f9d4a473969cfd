//! The instance and what can go wrong with it.

use crate::signing::KeyStoreError;
use std::path::PathBuf;

/// This instance, as `sallyport init` fixed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Where it is reached.
    pub public_url: String,
    /// The audit log's origin.
    pub log_origin: String,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The database.
    #[error("read or write the instance")]
    Db(#[from] crate::db::Error),
    /// Another process works with the data folder.
    #[error("{0}: another sallyport works with this data folder")]
    Locked(PathBuf),
    /// The data folder is other users' to look into.
    #[error(
        "{path}: other users can look into this data folder (mode {mode:03o}): `chmod 700 {path}`"
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A file of the data folder.
    #[error("{what} {path}")]
    File {
        /// What was tried.
        what: &'static str,
        /// On which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A key.
    #[error("keys of the instance")]
    Keys(#[from] KeyStoreError),
    /// The CA or a certificate.
    #[error("certificates of the instance")]
    Fleet(#[from] crate::fleet::Error),
    /// A key that init makes is not there.
    #[error("the {0} key is missing in data_dir/keys: run `sallyport init`, or restore it")]
    NoKey(&'static str),
    /// A public key that is none.
    #[error("a public key: {0}")]
    Public(String),
    /// The first administrator could not be added.
    #[error("add the first administrator")]
    Admin(#[from] crate::identity::IdentityError),
}
