//! Every statement of every `store.rs` as SQLite would run it: none reads a whole table that grows for ever.

use super::{Sqlite, apply_sqlite};
use crate::db::migrate::{SqliteFiles, all};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Row as _, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Tables that stay small, or are emptied again: reading all of one costs nothing.
const SMALL: &[&str] = &[
    "advisory_source",
    "email",
    "enrolment_token",
    "environment_release",
    "hook",
    "hook_secret",
    "instance",
    "key",
    "login",
    "migration",
    "person",
    "project",
    "project_settings",
    "role_grant",
    "run_retry",
    "session",
    "token",
    "trigger_retry",
    "worker",
];

/// Indexes of some rows only that grow for ever, too.
const ENDED: &[&str] = &["promotion_applied", "run_ended"];

/// What reads a whole table all the same: its file, a part of its text, why. The list only shrinks.
const WHOLE: &[(&str, &str, &str)] = &[(
    "attestation/store.rs",
    "a.kind = 'provenance'",
    "what of all releases has no statement yet: rows are narrow, 80 ms for a hundred thousand",
)];

#[tokio::test]
async fn no_statement_reads_a_whole_table_that_grows() {
    let house = Sqlite::new();
    apply_sqlite(&house.options(), all::<SqliteFiles>().unwrap())
        .await
        .unwrap();
    let mut conn = house.options().connect().await.unwrap();
    let catalogue = Catalogue::read(&mut conn).await;
    let (mut seen, mut wrong, mut excused) = (0, Vec::new(), BTreeSet::new());
    for (file, sql) in statements() {
        seen += 1;
        let plan = plan(&mut conn, &sql).await;
        let tables = named(&sql);
        let whole = plan
            .iter()
            .find(|detail| catalogue.is_whole(detail, &tables));
        let Some(whole) = whole else { continue };
        match WHOLE
            .iter()
            .find(|(f, part, _)| file == *f && sql.contains(part))
        {
            Some((_, part, _)) => _ = excused.insert(*part),
            None => wrong.push(format!("{file}: {whole}: {sql}")),
        }
    }
    assert!(seen > 200, "only {seen} statements were found");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        excused.len(),
        WHOLE.len(),
        "no longer needed: all but {excused:?}"
    );
}

struct Catalogue {
    tables: BTreeSet<String>,
    /// Indexes of some rows only, those that wait for something.
    partial: BTreeSet<String>,
}

impl Catalogue {
    async fn read(conn: &mut SqliteConnection) -> Self {
        let rows = sqlx::raw_sql("SELECT type, name, COALESCE(sql, '') FROM sqlite_master")
            .fetch_all(conn)
            .await
            .unwrap();
        let (mut tables, mut partial) = (BTreeSet::new(), BTreeSet::new());
        for row in rows {
            let (kind, name, sql): (String, String, String) = (row.get(0), row.get(1), row.get(2));
            if kind == "table" {
                tables.insert(name);
            } else if sql.contains(" WHERE ") && !ENDED.contains(&name.as_str()) {
                partial.insert(name);
            }
        }
        Self { tables, partial }
    }

    /// Whether a line of a plan reads all of a table that grows; `named` tells aliases' tables.
    fn is_whole(&self, detail: &str, named: &BTreeMap<String, String>) -> bool {
        let mut words = detail.split(' ');
        if words.next() != Some("SCAN") {
            return false;
        }
        let alias = words.next().unwrap_or_default();
        let table = named.get(alias).map_or(alias, String::as_str);
        let index = detail.rsplit(' ').next().unwrap_or_default();
        self.tables.contains(table) && !SMALL.contains(&table) && !self.partial.contains(index)
    }
}

async fn plan(conn: &mut SqliteConnection, sql: &str) -> Vec<String> {
    // Without values: a plan does not hang on them.
    let explain = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::raw_sql(explain).fetch_all(conn).await;
    let rows = rows.unwrap_or_else(|error| panic!("{error}: {sql}"));
    rows.iter().map(|row| row.get("detail")).collect()
}

/// The tables that a statement names, by the names that it gives them.
fn named(sql: &str) -> BTreeMap<String, String> {
    let words: Vec<&str> = sql.split_whitespace().collect();
    let mut named = BTreeMap::new();
    for window in words.windows(3) {
        let [verb, table, alias] = window else {
            continue;
        };
        if ["FROM", "JOIN", "UPDATE"].contains(verb) {
            let alias = alias.trim_end_matches([',', ')']);
            named.insert(alias.to_owned(), (*table).to_owned());
        }
    }
    named
}

/// Each statement of SQLite's with its file, from `src` on.
fn statements() -> Vec<(String, String)> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in stores(&src) {
        let text = std::fs::read_to_string(&path).unwrap();
        let file = path.strip_prefix(&src).unwrap().display().to_string();
        let mut heads: BTreeMap<String, String> = BTreeMap::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once('"') {
            let Some((literal, after)) = after.split_once('"') else {
                break;
            };
            let literal = literal.replace("\\\n", " ");
            let speaks = ["SELECT ", "WITH ", "UPDATE ", "DELETE ", "INSERT "];
            let speaks = speaks.iter().any(|verb| literal.starts_with(verb));
            let goes_on = after.trim_start_matches([',', '\n', ' ']);
            let is_in = |name: &&String| before.trim_end().ends_with(&format!("{name}!("));
            if goes_on.starts_with("$rest") {
                // The beginning that a macro gives to several statements.
                let named = before.rsplit("macro_rules! ").next().unwrap_or_default();
                let name = named.split(' ').next().unwrap_or_default();
                heads.insert(name.to_owned(), literal);
            } else if let Some(name) = heads.keys().find(is_in) {
                found.push((file.clone(), format!("{}{literal}", heads[name])));
            } else if speaks && !literal.contains("FOR UPDATE") {
                // What locks rows is PostgreSQL's.
                found.push((file.clone(), literal));
            }
            rest = after;
        }
    }
    found
}

fn stores(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(stores(&path));
        } else if path.ends_with("store.rs") || path.parent().is_some_and(|p| p.ends_with("store"))
        {
            found.push(path);
        }
    }
    found
}
