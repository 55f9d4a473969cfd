//! Opening either database.

use super::conn::{Conn, Inner};
use super::error::Error;
use super::sqlite_writer::SqliteWriter;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use std::path::Path;
use std::str::FromStr as _;
use std::sync::Arc;
use std::time::Duration;

/// Readers of SQLite: more than a handful only wait for the same two cores.
const SQLITE_READERS: u32 = 4;
/// Connections to PostgreSQL of one orchestrator; its default allows 100 altogether.
const POSTGRES_CONNECTIONS: u32 = 16;
/// How long a connection may be waited for before the answer is an error.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Which database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
}

/// The database. Cheap to clone.
#[derive(Clone)]
pub struct Db {
    pub(super) pools: Pools,
}

#[derive(Clone)]
pub(super) enum Pools {
    Sqlite {
        readers: sqlx::SqlitePool,
        writer: Arc<SqliteWriter>,
    },
    Postgres(sqlx::PgPool),
}

impl Db {
    /// Opens `sqlite:<path>` (made when it is not there) or `postgres://…`, and applies the
    /// migrations that are missing.
    pub async fn open(url: &str) -> Result<Self, Error> {
        match url.strip_prefix("sqlite:") {
            Some(path) => Self::open_sqlite(Path::new(path)).await,
            None => Self::open_postgres(url).await,
        }
    }

    /// Which database this is.
    pub fn kind(&self) -> Kind {
        match &self.pools {
            Pools::Sqlite { .. } => Kind::Sqlite,
            Pools::Postgres(_) => Kind::Postgres,
        }
    }

    /// A connection for reading. On SQLite it cannot write.
    pub async fn reader(&self) -> Result<Conn, Error> {
        let inner = match &self.pools {
            Pools::Sqlite { readers, .. } => Inner::Sqlite(readers.acquire().await?),
            Pools::Postgres(pool) => Inner::Postgres(pool.acquire().await?),
        };
        Ok(Conn::new(inner))
    }

    /// Waits until nothing can be written any more; the process has no reason to live on then.
    pub async fn ended(&self) {
        match &self.pools {
            Pools::Sqlite { writer, .. } => writer.ended().await,
            // A pool opens new connections for as long as it lives.
            Pools::Postgres(_) => std::future::pending().await,
        }
    }

    /// Waits for writes under way and closes.
    pub async fn close(&self) {
        match &self.pools {
            Pools::Sqlite { readers, writer } => {
                writer.close().await;
                readers.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }

    async fn open_sqlite(path: &Path) -> Result<Self, Error> {
        let what = format!("sqlite:{}", path.display());
        let failed = |source: sqlx::Error| Error::Open {
            what: what.clone(),
            source: source.into(),
        };
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            // A commit that was answered survives the loss of power (P1).
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        super::migrate::sqlite(&options).await?;
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .connect_with(options.clone())
            .await
            .map_err(failed)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(SQLITE_READERS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options.create_if_missing(false).pragma("query_only", "ON"))
            .await
            .map_err(failed)?;
        let writer = Arc::new(SqliteWriter::start(writer).await?);
        Ok(Self {
            pools: Pools::Sqlite { readers, writer },
        })
    }

    async fn open_postgres(url: &str) -> Result<Self, Error> {
        // The address may hold a password: it is in no error.
        let failed = |source: sqlx::Error| Error::Open {
            what: "postgres".to_owned(),
            source: source.into(),
        };
        let options = sqlx::postgres::PgConnectOptions::from_str(url).map_err(failed)?;
        let pool = sqlx::postgres::PgPoolOptions::new()
            .max_connections(POSTGRES_CONNECTIONS)
            .acquire_timeout(ACQUIRE_TIMEOUT)
            .connect_with(options)
            .await
            .map_err(failed)?;
        super::migrate::postgres(&pool).await?;
        Ok(Self {
            pools: Pools::Postgres(pool),
        })
    }
}
