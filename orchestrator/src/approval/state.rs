//! A person's answer.

use crate::identity::PersonId;
use evidence::approval::Approval as Statement;

crate::id_type!(
    /// An answer.
    ApprovalId
);

/// One standing answer.
#[derive(Debug, Clone)]
pub struct Approval {
    /// Its id.
    pub id: ApprovalId,
    /// Who gave it.
    pub person: PersonId,
    /// What they said yes or no to, read from the stored bytes.
    pub statement: Statement,
    /// The stored bytes.
    pub bytes: Vec<u8>,
}

/// The room could not do it.
#[derive(Debug, thiserror::Error)]
pub enum ApprovalError {
    /// The database.
    #[error("read or write approvals")]
    Db(#[from] crate::db::Error),
    /// The statement has no bytes.
    #[error("write an approval's statement")]
    Statement(#[from] evidence::approval::InvalidApproval),
}
