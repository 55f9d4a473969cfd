//! One connection of either database, and the macros by which `store.rs` files speak SQL.

use super::error::{Error, is_collision};
use sqlx::pool::PoolConnection;

/// A connection, inside a transaction or for reading. Store functions take `&mut Conn`.
pub struct Conn {
    #[doc(hidden)]
    pub inner: Inner,
    /// A serialization failure was seen: the transaction will be repeated as a whole.
    pub(super) collided: bool,
    /// What is done when the transaction is durable, and not when it is not.
    pub(super) after: Vec<After>,
}

/// Something to do after a commit: a count, a line of the log.
pub(super) type After = Box<dyn FnOnce() + Send>;

/// Which database it is; only the two places whose SQL differs may ask.
pub enum Inner {
    /// SQLite.
    Sqlite(PoolConnection<sqlx::Sqlite>),
    /// PostgreSQL.
    Postgres(PoolConnection<sqlx::Postgres>),
}

impl Conn {
    pub(super) fn new(inner: Inner) -> Self {
        Self {
            inner,
            collided: false,
            after: Vec::new(),
        }
    }

    /// Does this when the transaction is durable: what is counted or told has happened. It is quick and
    /// cannot fail; the next stage's work is found in the database, never told here.
    pub fn after_commit(&mut self, act: impl FnOnce() + Send + 'static) {
        self.after.push(Box::new(act));
    }

    /// Whether this is PostgreSQL.
    pub fn is_postgres(&self) -> bool {
        matches!(self.inner, Inner::Postgres(_))
    }

    /// Notes a collision and wraps the error. Called by the macros.
    #[doc(hidden)]
    pub fn note<T>(&mut self, result: Result<T, sqlx::Error>) -> Result<T, Error> {
        result.map_err(|error| {
            self.collided |= is_collision(&error);
            Error::Sql(error)
        })
    }
}

/// Runs one statement: `execute!(conn, "UPDATE …", a, b)` gives the number of rows touched.
#[macro_export]
macro_rules! execute {
    ($conn:expr, $sql:expr $(, $bind:expr)* $(,)?) => {{
        let result = match &mut $conn.inner {
            $crate::db::Inner::Sqlite(c) => sqlx::query($sql)$(.bind($bind))*
                .execute(&mut **c).await.map(|done| done.rows_affected()),
            $crate::db::Inner::Postgres(c) => sqlx::query($sql)$(.bind($bind))*
                .execute(&mut **c).await.map(|done| done.rows_affected()),
        };
        $conn.note(result)
    }};
}

/// Reads rows: `fetch_all!(conn, Row, "SELECT …", a)` gives `Vec<Row>`; `Row: sqlx::FromRow`, or a
/// tuple.
#[macro_export]
macro_rules! fetch_all {
    ($conn:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {{
        let result = match &mut $conn.inner {
            $crate::db::Inner::Sqlite(c) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)
                $(.bind($bind))*.fetch_all(&mut **c).await,
            $crate::db::Inner::Postgres(c) => sqlx::query_as::<sqlx::Postgres, $row>($sql)
                $(.bind($bind))*.fetch_all(&mut **c).await,
        };
        $conn.note(result)
    }};
}

/// Reads at most one row: `fetch_optional!(conn, Row, "SELECT …", a)` gives `Option<Row>`.
#[macro_export]
macro_rules! fetch_optional {
    ($conn:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {{
        let result = match &mut $conn.inner {
            $crate::db::Inner::Sqlite(c) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)
                $(.bind($bind))*.fetch_optional(&mut **c).await,
            $crate::db::Inner::Postgres(c) => sqlx::query_as::<sqlx::Postgres, $row>($sql)
                $(.bind($bind))*.fetch_optional(&mut **c).await,
        };
        $conn.note(result)
    }};
}

/// Reads exactly one row, e.g. a count or what `RETURNING` gives: `fetch_one!(conn, (i64,), "…")`.
#[macro_export]
macro_rules! fetch_one {
    ($conn:expr, $row:ty, $sql:expr $(, $bind:expr)* $(,)?) => {{
        let result = match &mut $conn.inner {
            $crate::db::Inner::Sqlite(c) => sqlx::query_as::<sqlx::Sqlite, $row>($sql)
                $(.bind($bind))*.fetch_one(&mut **c).await,
            $crate::db::Inner::Postgres(c) => sqlx::query_as::<sqlx::Postgres, $row>($sql)
                $(.bind($bind))*.fetch_one(&mut **c).await,
        };
        $conn.note(result)
    }};
}
