//! The database: SQLite embedded, or PostgreSQL, behind one SQL text.
//!
//! *Comes in*: SQL from `store.rs` files. *Goes out*: rows.
//! *Owns*: connections, transactions, migrations.
//! *Never*: a room's SQL; a transaction that is open while the outside world is called.
//! *Before / After*: `migrations/` / every `store.rs`.

mod conn;
mod error;
mod migrate;
mod open;
pub mod scratch;
mod sqlite_writer;
mod write;

pub use conn::{Conn, Inner};
pub use error::Error;
pub use open::{Db, Kind};
