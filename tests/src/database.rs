//! The database of a story: SQLite in its folder, or one of its own in the tests' PostgreSQL.

use anyhow::{Context as _, bail};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgConnection,
    SqliteConnection,
};
use std::path::Path;

/// Where the tests' PostgreSQL is; `cargo ci` sets it.
pub const POSTGRES_VARIABLE: &str = "SALLYPORT_TEST_POSTGRES";

/// Which database, and where.
#[derive(Debug, Clone)]
pub enum Database {
    /// A file below the server's folder.
    Sqlite,
    /// A database of this name in the cluster at this address.
    Postgres {
        /// `postgres://user@host:port/postgres`.
        cluster: String,
        /// The database.
        name: String,
    },
}

impl Database {
    /// A new, empty one in PostgreSQL.
    pub async fn postgres() -> anyhow::Result<Self> {
        let cluster = std::env::var(POSTGRES_VARIABLE)
            .with_context(|| format!("{POSTGRES_VARIABLE} (cargo ci sets it)"))?;
        let name = fresh_name();
        administer(&cluster, &format!("CREATE DATABASE {name}")).await?;
        Ok(Self::Postgres { cluster, name })
    }

    /// One that begins as a copy of this one, which nobody may be connected to.
    pub async fn copy(&self) -> anyhow::Result<Self> {
        match self {
            // It lies in the folder, which is copied.
            Self::Sqlite => Ok(Self::Sqlite),
            Self::Postgres { cluster, name } => {
                let copy = fresh_name();
                let sql = format!("CREATE DATABASE {copy} TEMPLATE {name}");
                administer(cluster, &sql).await?;
                Ok(Self::Postgres {
                    cluster: cluster.clone(),
                    name: copy,
                })
            }
        }
    }

    /// Removes it, whoever is connected.
    pub async fn remove(&self) -> anyhow::Result<()> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres { cluster, name } => {
                administer(cluster, &format!("DROP DATABASE {name} WITH (FORCE)")).await
            }
        }
    }

    /// Its address for a server with this folder.
    pub fn url(&self, server: &Path) -> String {
        match self {
            Self::Sqlite => format!("sqlite:{}", server.join("data/sallyport.db").display()),
            Self::Postgres { cluster, name } => match cluster.rsplit_once('/') {
                Some((base, _)) => format!("{base}/{name}"),
                None => cluster.clone(),
            },
        }
    }

    /// Opens it for looking, beside the server.
    pub async fn look(&self, server: &Path) -> anyhow::Result<Look> {
        let url = self.url(server);
        Ok(match self {
            Self::Sqlite => {
                let options = SqliteConnectOptions::new()
                    .filename(server.join("data/sallyport.db"))
                    .read_only(true);
                Look::Sqlite(options.connect().await.context("open the database")?)
            }
            Self::Postgres { .. } => Look::Postgres(PgConnection::connect(&url).await?),
        })
    }
}

fn fresh_name() -> String {
    use orchestrator::id::IdSource as _;
    let ids =
        orchestrator::id::SystemIds::new(std::sync::Arc::new(orchestrator::clock::SystemClock));
    format!("t{}", ids.uuid().simple())
}

async fn administer(cluster: &str, sql: &str) -> anyhow::Result<()> {
    let mut conn = PgConnection::connect(cluster).await?;
    let done = conn.execute(AssertSqlSafe(sql.to_owned())).await;
    conn.close().await?;
    done.with_context(|| sql.to_owned())?;
    Ok(())
}

/// A connection that only reads.
pub enum Look {
    /// Of SQLite.
    Sqlite(SqliteConnection),
    /// Of PostgreSQL.
    Postgres(PgConnection),
}

/// One row: each column as text, in the order of the SELECT.
pub type Row = Vec<Option<String>>;

impl Look {
    /// Rows of a SELECT whose only column is a JSON array of texts ([`Look::array`]).
    pub async fn rows(&mut self, sql: &str) -> anyhow::Result<Vec<Row>> {
        let sql_safe = AssertSqlSafe(sql.to_owned());
        let rows: Vec<(String,)> = match self {
            Self::Sqlite(conn) => sqlx::query_as(sql_safe).fetch_all(conn).await,
            Self::Postgres(conn) => sqlx::query_as(sql_safe).fetch_all(conn).await,
        }
        .with_context(|| sql.to_owned())?;
        rows.iter()
            .map(|(json,)| Ok(serde_json::from_str(json)?))
            .collect()
    }

    /// The expression that makes one text of several columns, each (expression, whether it is bytes).
    pub fn array(&self, columns: &[(&str, bool)]) -> String {
        let one = |(column, bytes): &(&str, bool)| match (self, bytes) {
            (Self::Sqlite(_), false) => format!("CAST({column} AS TEXT)"),
            (Self::Sqlite(_), true) => {
                format!("CASE WHEN {column} IS NULL THEN NULL ELSE lower(hex({column})) END")
            }
            (Self::Postgres(_), false) => format!("{column}::text"),
            (Self::Postgres(_), true) => format!("encode({column}, 'hex')"),
        };
        let columns: Vec<String> = columns.iter().map(one).collect();
        match self {
            Self::Sqlite(_) => format!("json_array({})", columns.join(", ")),
            Self::Postgres(_) => format!("json_build_array({})::text", columns.join(", ")),
        }
    }

    /// Every column of our tables: table, column, whether it holds bytes.
    pub async fn columns(&mut self) -> anyhow::Result<Vec<(String, String, bool)>> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT json_array(m.name, p.name, p.type) FROM sqlite_schema m, pragma_table_info(m.name) p
                 WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite%' ORDER BY m.name, p.cid"
            }
            Self::Postgres(_) => {
                "SELECT json_build_array(table_name, column_name, data_type)::text
                 FROM information_schema.columns WHERE table_schema = 'public'
                 ORDER BY table_name, ordinal_position"
            }
        };
        let rows = self.rows(sql).await?;
        rows.into_iter()
            .map(|row| match <[Option<String>; 3]>::try_from(row) {
                Ok([Some(table), Some(column), Some(kind)]) => {
                    Ok((table, column, kind == "BLOB" || kind == "bytea"))
                }
                _ => bail!("a column without a name"),
            })
            .collect()
    }
}
