//! Applies migrations, forward only. The files are in the binary.

use super::error::Error;
use rust_embed::RustEmbed;
use sha2::{Digest as _, Sha256};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _};

#[cfg(test)]
mod tests;

#[derive(RustEmbed)]
#[folder = "../migrations/sqlite"]
struct SqliteFiles;

#[derive(RustEmbed)]
#[folder = "../migrations/postgres"]
struct PostgresFiles;

const MADE: &str =
    "CREATE TABLE IF NOT EXISTS migration (name TEXT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL)";
const APPLIED: &str = "SELECT name, sha256 FROM migration ORDER BY name";
const NOTED: &str = "INSERT INTO migration (name, sha256) VALUES ($1, $2)";
/// Any number of ours: two orchestrators that start at once migrate one after the other.
const POSTGRES_LOCK: &str = "SELECT pg_advisory_xact_lock(7420)";

#[derive(Clone)]
struct Migration {
    name: String,
    sha256: String,
    sql: String,
}

pub(super) async fn sqlite(options: &SqliteConnectOptions) -> Result<(), Error> {
    apply_sqlite(options, all::<SqliteFiles>()?).await
}

/// Alone on a connection of its own, foreign keys off before BEGIN: inside a transaction the pragma
/// does nothing, and rebuilding a table would empty its children.
async fn apply_sqlite(options: &SqliteConnectOptions, all: Vec<Migration>) -> Result<(), Error> {
    let mut conn = options
        .clone()
        .foreign_keys(false)
        .connect()
        .await
        .map_err(|source| Error::Open {
            what: "sqlite".to_owned(),
            source: source.into(),
        })?;
    conn.execute("BEGIN IMMEDIATE").await?;
    conn.execute(MADE).await?;
    let applied: Vec<(String, String)> = sqlx::query_as(APPLIED).fetch_all(&mut conn).await?;
    for migration in missing(all, &applied)? {
        conn.execute(AssertSqlSafe(migration.sql.clone()))
            .await
            .map_err(|e| failed(&migration, &e))?;
        sqlx::query(NOTED)
            .bind(&migration.name)
            .bind(&migration.sha256)
            .execute(&mut conn)
            .await?;
    }
    let broken = conn.fetch_all("PRAGMA foreign_key_check").await?;
    if !broken.is_empty() {
        let problem = format!(
            "{} rows would lose what they point to; if the database was just restored, it is damaged (by a `-wal` of another one beside it?): restore it into an empty folder",
            broken.len()
        );
        return Err(Error::Migration {
            name: "foreign_key_check".to_owned(),
            problem,
        });
    }
    conn.execute("COMMIT").await?;
    conn.close().await?;
    Ok(())
}

pub(super) async fn postgres(pool: &sqlx::PgPool) -> Result<(), Error> {
    apply_postgres(pool, all::<PostgresFiles>()?).await
}

async fn apply_postgres(pool: &sqlx::PgPool, all: Vec<Migration>) -> Result<(), Error> {
    let mut transaction = pool.begin().await?;
    transaction.execute(POSTGRES_LOCK).await?;
    transaction.execute(MADE).await?;
    let applied: Vec<(String, String)> =
        sqlx::query_as(APPLIED).fetch_all(&mut *transaction).await?;
    for migration in missing(all, &applied)? {
        transaction
            .execute(AssertSqlSafe(migration.sql.clone()))
            .await
            .map_err(|e| failed(&migration, &e))?;
        sqlx::query(NOTED)
            .bind(&migration.name)
            .bind(&migration.sha256)
            .execute(&mut *transaction)
            .await?;
    }
    transaction.commit().await?;
    Ok(())
}

fn all<Files: RustEmbed>() -> Result<Vec<Migration>, Error> {
    let mut names: Vec<String> = Files::iter().map(|name| name.to_string()).collect();
    names.sort();
    let read = |name: String| {
        let wrong = |problem: &str| Error::Migration {
            name: name.clone(),
            problem: problem.to_owned(),
        };
        let file = Files::get(&name).ok_or_else(|| wrong("not in the program"))?;
        let sql = String::from_utf8(file.data.into_owned()).map_err(|_| wrong("not UTF-8"))?;
        let sha256 = hex::encode(Sha256::digest(sql.as_bytes()));
        Ok(Migration { name, sha256, sql })
    };
    names.into_iter().map(read).collect()
}

/// What is not applied yet; an applied one that is unknown or has changed stops everything.
fn missing(all: Vec<Migration>, applied: &[(String, String)]) -> Result<Vec<Migration>, Error> {
    for (name, sha256) in applied {
        let wrong = |problem: &str| Error::Migration {
            name: name.clone(),
            problem: problem.to_owned(),
        };
        let known = all.iter().find(|migration| migration.name == *name);
        let known = known.ok_or_else(|| wrong("applied by a newer version of this program"))?;
        if known.sha256 != *sha256 {
            return Err(wrong("is not the text that was applied to this database"));
        }
    }
    let is_new = |m: &Migration| !applied.iter().any(|(name, _)| *name == m.name);
    Ok(all.into_iter().filter(is_new).collect())
}

fn failed(migration: &Migration, error: &sqlx::Error) -> Error {
    Error::Migration {
        name: migration.name.clone(),
        problem: error.to_string(),
    }
}
