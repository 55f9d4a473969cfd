//! What a database says when all is over, without what may differ from one run to the next: every
//! column is compared, or volatile for a reason that stands here.

use anyhow::{Context as _, bail};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{
    AssertSqlSafe, Column as _, ConnectOptions as _, Row as _, SqliteConnection, ValueRef as _,
};
use std::collections::BTreeMap;
use std::path::Path;

/// Columns that differ from run to run, and why.
const VOLATILE: &[(&str, &str)] = &[
    ("*.id", "random"),
    (
        "*.*_id",
        "random; what it names is compared in its own table",
    ),
    ("*.*_at", "the clock; that it is set is compared"),
    ("*.audit_id", "random"),
    ("*.fence", "a crash may cost a lease"),
    ("*.attempts", "a crash may cost a lease"),
    ("*.envelope", "a signature is random"),
    ("*.payload", "holds the fence"),
    ("audit_entry.at", "the clock"),
    ("audit_entry.entry", "holds ids and times"),
    ("audit_entry.subject", "holds an id; its kind is compared"),
    ("delivery.headers", "the sender's time and signature"),
    ("worker.version", "said at each hello"),
];
/// Rows of leases that were lost on the way are not compared: only the last one of each step.
const LAST_LEASE_ONLY: &[&str] = &[
    "lease",
    "log_chunk",
    "artifact",
    "report",
    "verdict",
    "finding_report",
    "finding",
    "image",
];
/// Audit entries that a restart or a further attempt may add.
const REPEATED_ACTS: &[&str] = &["fleet."];

/// Tables with their rows as text, sorted.
pub type Snapshot = BTreeMap<String, Vec<String>>;

/// Reads all tables of a SQLite database.
pub async fn snapshot(database: &Path) -> anyhow::Result<Snapshot> {
    let mut conn = open(database).await?;
    let tables: Vec<(String,)> = sqlx::query_as(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY name",
    )
    .fetch_all(&mut conn)
    .await?;
    let mut snapshot = Snapshot::new();
    for (table,) in tables {
        let mut rows = rows(&mut conn, &table).await?;
        rows.sort();
        snapshot.insert(table, rows);
    }
    Ok(snapshot)
}

/// Where two snapshots differ, in words.
pub fn differences(wanted: &Snapshot, got: &Snapshot) -> Vec<String> {
    let mut differences = Vec::new();
    for (table, wanted) in wanted {
        let got = got.get(table).map(Vec::as_slice).unwrap_or_default();
        if wanted != got {
            let missing: Vec<_> = wanted.iter().filter(|row| !got.contains(row)).collect();
            let more: Vec<_> = got.iter().filter(|row| !wanted.contains(row)).collect();
            differences.push(format!(
                "{table}: {} rows, wanted {}\n  missing {missing:#?}\n  more {more:#?}",
                got.len(),
                wanted.len()
            ));
        }
    }
    differences
}

/// One value of one row, as text.
pub async fn one(database: &Path, sql: &'static str) -> anyhow::Result<Option<String>> {
    let mut conn = open(database).await?;
    let row: Option<(Option<String>,)> = sqlx::query_as(sql).fetch_optional(&mut conn).await?;
    Ok(row.and_then(|(value,)| value))
}

async fn open(database: &Path) -> anyhow::Result<SqliteConnection> {
    let options = SqliteConnectOptions::new()
        .filename(database)
        .read_only(true);
    options.connect().await.context("open the database")
}

async fn rows(conn: &mut SqliteConnection, table: &str) -> anyhow::Result<Vec<String>> {
    let sql = if LAST_LEASE_ONLY.contains(&table) {
        format!("SELECT t.* FROM {table} t JOIN step s ON s.id = t.step_id AND s.fence = t.fence")
    } else {
        format!("SELECT * FROM {table}")
    };
    let mut texts = Vec::new();
    for row in sqlx::query(AssertSqlSafe(sql))
        .fetch_all(&mut *conn)
        .await?
    {
        let mut text = String::new();
        let mut repeated = false;
        for column in row.columns() {
            let name = column.name();
            let value = value(&row, name)?;
            repeated |= table == "audit_entry"
                && name == "type"
                && REPEATED_ACTS.iter().any(|act| value.contains(act));
            let shown = match volatile(table, name) {
                Some(_) if table == "audit_entry" && name == "subject" => {
                    value.split(':').next().unwrap_or("").to_owned()
                }
                Some(_) if value == "NULL" => value,
                Some(_) => "…".to_owned(),
                None => value,
            };
            text.push_str(&format!("{name}={shown} "));
        }
        if !repeated {
            texts.push(text);
        }
    }
    Ok(texts)
}

fn value(row: &sqlx::sqlite::SqliteRow, column: &str) -> anyhow::Result<String> {
    if row.try_get_raw(column)?.is_null() {
        return Ok("NULL".to_owned());
    }
    if let Ok(text) = row.try_get::<String, _>(column) {
        return Ok(text);
    }
    if let Ok(number) = row.try_get::<i64, _>(column) {
        return Ok(number.to_string());
    }
    match row.try_get::<Vec<u8>, _>(column) {
        Ok(bytes) => Ok(hex::encode(bytes)),
        Err(error) => bail!("{column}: {error}"),
    }
}

/// Why a column is not compared; none when it is.
fn volatile(table: &str, column: &str) -> Option<&'static str> {
    VOLATILE
        .iter()
        .find(|(rule, _)| matches(rule, table, column))
        .map(|(_, why)| *why)
}

fn matches(rule: &str, table: &str, column: &str) -> bool {
    let Some((wanted_table, wanted)) = rule.split_once('.') else {
        return false;
    };
    let column_fits = match wanted.strip_prefix('*') {
        Some(end) => column.ends_with(end),
        None => column == wanted,
    };
    (wanted_table == "*" || wanted_table == table) && column_fits
}
