//! Databases that live as long as one test, on both engines.
//!
//! `store_tests! { fn name(db: Db) { … } }` makes `name::sqlite` and `name::postgres`; the second one
//! is counted as ignored unless it is asked for, and then needs `SALLYPORT_TEST_POSTGRES` (which
//! `cargo ci` sets): a PostgreSQL that could not be used is never a pass.

use super::{Db, Error};
use sqlx::{AssertSqlSafe, Connection as _, Executor as _};
use std::path::PathBuf;

/// A database of its own for one test; it is gone when this is dropped (SQLite) or with the test's
/// cluster (PostgreSQL).
pub struct Scratch {
    /// The database.
    pub db: Db,
    /// Its address.
    pub url: String,
    folder: Option<PathBuf>,
}

impl Scratch {
    /// A new SQLite database.
    pub async fn sqlite() -> Result<Self, Error> {
        let folder =
            std::env::temp_dir().join(format!("sallyport-{}", uuid::Uuid::from_u128(random())));
        std::fs::create_dir_all(&folder).map_err(|source| Error::Open {
            what: folder.display().to_string(),
            source: source.into(),
        })?;
        let url = format!("sqlite:{}", folder.join("sallyport.db").display());
        Ok(Self {
            db: Db::open(&url).await?,
            url,
            folder: Some(folder),
        })
    }

    /// A new database in the cluster that `SALLYPORT_TEST_POSTGRES` names.
    pub async fn postgres() -> Result<Self, Error> {
        let url = Self::empty_postgres().await?;
        Ok(Self {
            db: Db::open(&url).await?,
            url,
            folder: None,
        })
    }

    /// The address of a new database there that no migration was applied to.
    pub async fn empty_postgres() -> Result<String, Error> {
        let missing = |e: std::env::VarError| Error::Open {
            what: "SALLYPORT_TEST_POSTGRES (cargo ci sets it)".to_owned(),
            source: e.into(),
        };
        let cluster = std::env::var("SALLYPORT_TEST_POSTGRES").map_err(missing)?;
        let name = format!("t{:032x}", random());
        let mut conn = sqlx::PgConnection::connect(&cluster).await?;
        conn.execute(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .await?;
        conn.close().await?;
        Ok(match cluster.rsplit_once('/') {
            Some((base, last)) => {
                let options = last
                    .split_once('?')
                    .map(|(_, o)| format!("?{o}"))
                    .unwrap_or_default();
                format!("{base}/{name}{options}")
            }
            None => cluster,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(folder) = &self.folder {
            drop(std::fs::remove_dir_all(folder));
        }
    }
}

fn random() -> u128 {
    let mut bytes = [0; 16];
    // Only names of test databases hang on it; a failure shows as "already exists".
    let _filled = getrandom::fill(&mut bytes);
    u128::from_le_bytes(bytes)
}

/// Makes each test run on SQLite and on PostgreSQL: `store_tests! { fn name(db: Db) { … } }`.
#[macro_export]
macro_rules! store_tests {
    ($(#[$meta:meta])* fn $name:ident($db:ident: Db) $body:block $($rest:tt)*) => {
        mod $name {
            use super::*;

            $(#[$meta])*
            async fn story($db: $crate::db::Db) $body

            #[tokio::test]
            async fn sqlite() {
                let scratch = $crate::db::scratch::Scratch::sqlite().await.unwrap();
                story(scratch.db.clone()).await;
                scratch.db.close().await;
            }

            #[tokio::test]
            #[ignore = "needs SALLYPORT_TEST_POSTGRES, which cargo ci sets"]
            async fn postgres() {
                let scratch = $crate::db::scratch::Scratch::postgres().await.unwrap();
                story(scratch.db.clone()).await;
                scratch.db.close().await;
            }
        }
        $crate::store_tests! { $($rest)* }
    };
    () => {};
}
