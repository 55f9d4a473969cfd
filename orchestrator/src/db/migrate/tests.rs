//! Migrations on real databases: both have the same shape, what was there before is there after, and
//! nothing but forward is possible.

mod plans;

use super::{Migration, PostgresFiles, SqliteFiles, all, apply_postgres, apply_sqlite, missing};
use crate::db::scratch::Scratch;
use crate::db::{Db, Error};
use sha2::{Digest as _, Sha256};
use sqlx::postgres::PgPoolOptions;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Executor as _, PgPool, Row as _};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn migration(name: &str, sql: &str) -> Migration {
    Migration {
        name: name.to_owned(),
        sha256: hex::encode(Sha256::digest(sql)),
        sql: sql.to_owned(),
    }
}

/// The sample data that stand in a database after a migration, as this engine's SQL.
fn sample(name: &str, postgres: bool) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/migrations");
    let path = folder.join(name);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!(
            "every migration has sample data: {}: {error}",
            path.display()
        )
    });
    if !postgres {
        return text;
    }
    // X'7b7d' are bytes to SQLite; PostgreSQL writes them '\x7b7d'.
    let mut parts = text.split("X'");
    let mut sql = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        sql.push_str("'\\x");
        sql.push_str(part);
    }
    sql
}

/// Rows of each table.
type Counts = BTreeMap<String, i64>;

/// Every table that had rows has as many now; a table may be new.
fn nothing_was_lost(before: &Counts, after: &Counts, by: &str) {
    for (table, rows) in before {
        assert_eq!(
            after.get(table),
            Some(rows),
            "{by} changed the rows of {table}"
        );
    }
}

fn every_table_has_a_sample(counts: &Counts) {
    let empty: Vec<&String> = counts
        .iter()
        .filter(|(_, rows)| **rows == 0)
        .map(|(t, _)| t)
        .collect();
    assert!(empty.is_empty(), "tables without sample data: {empty:?}");
    assert!(counts.len() > 40, "only {} tables", counts.len());
}

struct Sqlite {
    folder: tempfile::TempDir,
}

impl Sqlite {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("sallyport.db")
    }

    fn options(&self) -> SqliteConnectOptions {
        SqliteConnectOptions::new()
            .filename(self.path())
            .create_if_missing(true)
            .foreign_keys(true)
    }

    async fn run(&self, sql: String) {
        let mut conn = self.options().connect().await.unwrap();
        conn.execute(AssertSqlSafe(sql)).await.unwrap();
        conn.close().await.unwrap();
    }

    async fn counts(&self) -> Counts {
        let mut conn = self.options().connect().await.unwrap();
        let tables: Vec<(String,)> = sqlx::query_as(
            "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'migration'",
        )
        .fetch_all(&mut conn)
        .await
        .unwrap();
        let mut counts = Counts::new();
        for (table,) in tables {
            let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
            let row = conn.fetch_one(sql).await.unwrap();
            counts.insert(table, row.get(0));
        }
        conn.close().await.unwrap();
        counts
    }
}

async fn postgres_counts(pool: &PgPool) -> Counts {
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT table_name::TEXT FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'migration'",
    )
    .fetch_all(pool)
    .await
    .unwrap();
    let mut counts = Counts::new();
    for (table,) in tables {
        let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
        let row = pool.fetch_one(sql).await.unwrap();
        counts.insert(table, row.get(0));
    }
    counts
}

#[test]
fn both_databases_have_the_same_migrations_in_one_unbroken_row() {
    let sqlite: Vec<String> = all::<SqliteFiles>()
        .unwrap()
        .into_iter()
        .map(|m| m.name)
        .collect();
    let postgres: Vec<String> = all::<PostgresFiles>()
        .unwrap()
        .into_iter()
        .map(|m| m.name)
        .collect();
    assert_eq!(sqlite, postgres);
    for (at, name) in sqlite.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", at + 1)), "{name}");
    }
}

mod what_was_there_before_a_migration_is_there_after_it {
    use super::*;

    #[tokio::test]
    async fn sqlite() {
        let house = Sqlite::new();
        let migrations = all::<SqliteFiles>().unwrap();
        let mut before = Counts::new();
        for at in 0..migrations.len() {
            apply_sqlite(&house.options(), migrations[..=at].to_vec())
                .await
                .unwrap();
            nothing_was_lost(&before, &house.counts().await, &migrations[at].name);
            house.run(sample(&migrations[at].name, false)).await;
            before = house.counts().await;
        }
        every_table_has_a_sample(&before);
        // The program opens it as it is, and does nothing to it.
        let db = Db::open(&format!("sqlite:{}", house.path().display()))
            .await
            .unwrap();
        db.close().await;
        assert_eq!(house.counts().await, before);
    }

    #[tokio::test]
    #[ignore = "needs SALLYPORT_TEST_POSTGRES, which cargo ci sets"]
    async fn postgres() {
        let url = Scratch::empty_postgres().await.unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(2)
            .connect(&url)
            .await
            .unwrap();
        let migrations = all::<PostgresFiles>().unwrap();
        let mut before = Counts::new();
        for at in 0..migrations.len() {
            apply_postgres(&pool, migrations[..=at].to_vec())
                .await
                .unwrap();
            nothing_was_lost(&before, &postgres_counts(&pool).await, &migrations[at].name);
            pool.execute(AssertSqlSafe(sample(&migrations[at].name, true)))
                .await
                .unwrap();
            before = postgres_counts(&pool).await;
        }
        every_table_has_a_sample(&before);
        let db = Db::open(&url).await.unwrap();
        db.close().await;
        assert_eq!(postgres_counts(&pool).await, before);
    }
}

/// A column: its kind, whether it may be null, and what it points to.
type Shape = BTreeMap<(String, String), (String, bool, String)>;

const SQLITE_COLUMNS: &str = "SELECT t.name, c.name, c.type, c.\"notnull\",
        COALESCE((SELECT MIN(f.\"table\" || '.' || f.\"to\") FROM pragma_foreign_key_list(t.name) f
                  WHERE f.\"from\" = c.name), '')
    FROM sqlite_schema t JOIN pragma_table_info(t.name) c
    WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite%' AND t.name <> 'migration'";

const POSTGRES_COLUMNS: &str = "SELECT c.table_name::TEXT, c.column_name::TEXT, c.data_type::TEXT,
        CASE c.is_nullable WHEN 'NO' THEN 1::BIGINT ELSE 0::BIGINT END,
        COALESCE((SELECT MIN(f.relname || '.' || fa.attname) FROM pg_constraint k
                  JOIN pg_class r ON r.oid = k.conrelid
                  CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (own, other)
                  JOIN pg_attribute a ON a.attrelid = r.oid AND a.attnum = u.own
                  JOIN pg_class f ON f.oid = k.confrelid
                  JOIN pg_attribute fa ON fa.attrelid = f.oid AND fa.attnum = u.other
                  WHERE k.contype = 'f' AND r.relname = c.table_name AND a.attname = c.column_name), '')::TEXT
    FROM information_schema.columns c
    WHERE c.table_schema = 'public' AND c.table_name <> 'migration'";

fn shape(rows: Vec<(String, String, String, i64, String)>) -> Shape {
    let of = |kind: &str| match kind {
        "TEXT" | "text" => "text",
        "INTEGER" | "bigint" => "integer",
        "BLOB" | "bytea" => "bytes",
        other => panic!("a kind of column that only one of the databases has: {other}"),
    };
    rows.into_iter()
        .map(|(table, column, kind, not_null, points_to)| {
            let kind = of(&kind).to_owned();
            ((table, column), (kind, not_null == 1, points_to))
        })
        .collect()
}

/// Indexes by name with their columns, as far as both catalogues say it alike; those that a UNIQUE or
/// a key makes have names of the engine, so they are counted.
const SQLITE_INDEXES: &str = "SELECT t.name,
        SUM(CASE WHEN i.\"unique\" = 1 THEN 1 ELSE 0 END), COALESCE(MAX(n.names), '')
    FROM sqlite_schema t JOIN pragma_index_list(t.name) i
    LEFT JOIN (SELECT tbl_name, group_concat(name, ',') AS names FROM
               (SELECT tbl_name, name FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL ORDER BY name)
               GROUP BY tbl_name) n ON n.tbl_name = t.name
    WHERE t.type = 'table' AND t.name <> 'migration' GROUP BY t.name";

const POSTGRES_INDEXES: &str = "SELECT t.relname::TEXT,
        CAST(SUM(CASE WHEN i.indisunique THEN 1 ELSE 0 END) AS BIGINT),
        COALESCE(string_agg(x.relname::TEXT, ',' ORDER BY x.relname::TEXT COLLATE \"C\")
                 FILTER (WHERE k.oid IS NULL), '')
    FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid JOIN pg_class x ON x.oid = i.indexrelid
    JOIN pg_namespace s ON s.oid = t.relnamespace AND s.nspname = 'public'
    LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.contype IN ('p', 'u')
    WHERE t.relname <> 'migration' GROUP BY t.relname";

/// Each table's CHECKs, as they are written in the DDL.
fn checks(files: &[Migration]) -> BTreeMap<String, Vec<String>> {
    let mut checks = BTreeMap::new();
    for file in files {
        let mut table = String::new();
        for line in file.sql.lines() {
            let named = ["CREATE TABLE ", "ALTER TABLE "]
                .iter()
                .find_map(|words| line.strip_prefix(words));
            if let Some(rest) = named {
                table = rest.split(' ').next().unwrap_or_default().to_owned();
            }
            if let Some((_, check)) = line.split_once("CHECK (") {
                let of = checks.entry(table.clone()).or_insert_with(Vec::new);
                of.push(check.trim_end_matches(',').to_owned());
            }
        }
    }
    checks
}

#[test]
fn both_databases_check_the_same() {
    let sqlite = checks(&all::<SqliteFiles>().unwrap());
    assert!(
        sqlite.len() > 15,
        "only {} tables with a CHECK",
        sqlite.len()
    );
    assert_eq!(sqlite, checks(&all::<PostgresFiles>().unwrap()));
}

mod both_databases_have_the_same_shape {
    use super::*;

    #[tokio::test]
    #[ignore = "needs SALLYPORT_TEST_POSTGRES, which cargo ci sets"]
    async fn postgres() {
        let house = Sqlite::new();
        apply_sqlite(&house.options(), all::<SqliteFiles>().unwrap())
            .await
            .unwrap();
        let mut sqlite = house.options().connect().await.unwrap();
        let url = Scratch::empty_postgres().await.unwrap();
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect(&url)
            .await
            .unwrap();
        let migrations = all::<PostgresFiles>().unwrap();
        apply_postgres(&pool, migrations.clone()).await.unwrap();

        let here = shape(
            sqlx::query_as(SQLITE_COLUMNS)
                .fetch_all(&mut sqlite)
                .await
                .unwrap(),
        );
        let there = shape(
            sqlx::query_as(POSTGRES_COLUMNS)
                .fetch_all(&pool)
                .await
                .unwrap(),
        );
        assert!(here.len() > 300, "only {} columns", here.len());
        pretty(&here, &there);

        let of = |rows: Vec<(String, i64, String)>| -> BTreeMap<String, (i64, String)> {
            rows.into_iter()
                .map(|(table, unique, names)| (table, (unique, names)))
                .collect()
        };
        let here = of(sqlx::query_as(SQLITE_INDEXES)
            .fetch_all(&mut sqlite)
            .await
            .unwrap());
        let there = of(sqlx::query_as(POSTGRES_INDEXES)
            .fetch_all(&pool)
            .await
            .unwrap());
        pretty(&here, &there);

        // The catalogue has as many CHECKs as the text says.
        let counted: Vec<(String, i64)> = sqlx::query_as(
        "SELECT r.relname::TEXT, COUNT(*) FROM pg_constraint k JOIN pg_class r ON r.oid = k.conrelid
         JOIN pg_namespace s ON s.oid = r.relnamespace AND s.nspname = 'public'
         WHERE k.contype = 'c' GROUP BY r.relname",
    )
    .fetch_all(&pool)
    .await
    .unwrap();
        let written = checks(&migrations).into_iter();
        let written: BTreeMap<String, i64> = written
            .map(|(t, c)| (t, i64::try_from(c.len()).unwrap()))
            .collect();
        assert_eq!(counted.into_iter().collect::<BTreeMap<_, _>>(), written);
        sqlite.close().await.unwrap();
    }
}

/// Says which entries differ, not both maps.
fn pretty<K: Ord + std::fmt::Debug + Clone, V: PartialEq + std::fmt::Debug + Clone>(
    here: &BTreeMap<K, V>,
    there: &BTreeMap<K, V>,
) {
    let keys = here.keys().chain(there.keys());
    let differing: Vec<_> = keys
        .filter(|key| here.get(key) != there.get(key))
        .map(|key| (key, here.get(key), there.get(key)))
        .collect();
    assert!(differing.is_empty(), "sqlite, postgres: {differing:#?}");
}

#[test]
fn an_applied_migration_that_changed_or_is_unknown_stops_the_program() {
    let known = vec![
        migration("0001_a.sql", "one"),
        migration("0002_b.sql", "two"),
    ];
    let noted = |m: &Migration| (m.name.clone(), m.sha256.clone());
    let applied = vec![noted(&known[0])];
    let left = missing(known.clone(), &applied).ok().unwrap();
    assert_eq!(
        left.iter().map(|m| m.name.as_str()).collect::<Vec<_>>(),
        ["0002_b.sql"]
    );

    let edited = vec![migration("0001_a.sql", "one, mended"), known[1].clone()];
    let error = missing(edited, &applied).err().unwrap().to_string();
    assert!(
        error.contains("0001_a.sql") && error.contains("not the text"),
        "{error}"
    );

    let of_later = vec![noted(&known[0]), noted(&migration("0003_c.sql", "three"))];
    let error = missing(known, &of_later).err().unwrap().to_string();
    assert!(error.contains("newer version"), "{error}");
}

#[tokio::test]
async fn a_database_of_a_newer_version_is_not_opened() {
    let house = Sqlite::new();
    let mut newer = all::<SqliteFiles>().unwrap();
    newer.push(migration(
        "9999_later.sql",
        "CREATE TABLE later (id TEXT NOT NULL PRIMARY KEY) STRICT",
    ));
    apply_sqlite(&house.options(), newer).await.unwrap();
    let opened = Db::open(&format!("sqlite:{}", house.path().display())).await;
    assert!(
        matches!(opened.err(), Some(Error::Migration { name, .. }) if name == "9999_later.sql")
    );
}

/// As SQLite wants a table rebuilt: a new one is filled, the old one dropped, the new one renamed.
const REBUILT: &str = "CREATE TABLE person_new (
        id TEXT NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, display_name TEXT NOT NULL,
        created_at INTEGER NOT NULL, disabled_at INTEGER) STRICT;
    INSERT INTO person_new SELECT * FROM person WHERE KEPT;
    DROP TABLE person;
    ALTER TABLE person_new RENAME TO person;";

#[tokio::test]
async fn rebuilding_a_table_keeps_its_children() {
    let house = Sqlite::new();
    let mut migrations = all::<SqliteFiles>().unwrap();
    apply_sqlite(&house.options(), migrations.clone())
        .await
        .unwrap();
    house.run(sample("0001_spine.sql", false)).await;
    let before = house.counts().await;
    migrations.push(migration(
        "9998_rebuild.sql",
        &REBUILT.replace("KEPT", "1 = 1"),
    ));
    apply_sqlite(&house.options(), migrations.clone())
        .await
        .unwrap();
    assert_eq!(house.counts().await, before);

    // One that loses what others point to is refused as a whole.
    migrations.push(migration(
        "9999_lossy.sql",
        &REBUILT.replace("KEPT", "1 = 0"),
    ));
    let error = apply_sqlite(&house.options(), migrations)
        .await
        .unwrap_err();
    assert!(
        matches!(&error, Error::Migration { name, .. } if name == "foreign_key_check"),
        "{error}"
    );
    assert_eq!(house.counts().await, before, "nothing of it was kept");
}
