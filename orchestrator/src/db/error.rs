//! What can go wrong in the database.

/// An operation of the database did not happen.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database answered with an error.
    #[error("database")]
    Sql(#[source] sqlx::Error),
    /// A row that no code of ours could have written.
    #[error("inconsistent row in {table}: {column} of {id}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// The column, or what does not go together.
        column: &'static str,
        /// The row's id.
        id: String,
    },
    /// The database could not be opened.
    #[error("open database {what}")]
    Open {
        /// Which.
        what: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A migration could not be applied.
    #[error("migration {name}: {problem}")]
    Migration {
        /// The file's name.
        name: String,
        /// What went wrong.
        problem: String,
    },
    /// Too many writes wait: the answer is "later".
    #[error("the database is busy: {0} writes wait")]
    Busy(usize),
    /// The writer has ended: the process stops.
    #[error("the database is closed")]
    Closed,
    /// Serializable transactions collided too often.
    #[error("write {0} collided with others too often")]
    Collided(&'static str),
}

impl From<sqlx::Error> for Error {
    fn from(source: sqlx::Error) -> Self {
        Self::Sql(source)
    }
}

/// SQLSTATE of a serialization failure and of a deadlock: the transaction may be repeated.
pub(super) fn is_collision(error: &sqlx::Error) -> bool {
    error
        .as_database_error()
        .and_then(sqlx::error::DatabaseError::code)
        .is_some_and(|code| code == "40001" || code == "40P01")
}
