//! What a database says when all is over, without what may differ from one run to the next.
//!
//! Every column stands in [`columns`](self::columns) as compared or as volatile with a reason; one in
//! neither list fails the test. Ids are never compared: a column that names a row is compared by that
//! row's natural key.

mod columns;

use crate::database::{Database, Look};
use crate::registry::scrubbed;
use anyhow::{Context as _, bail, ensure};
use columns::{How, MAY_REPEAT, Rows, TABLES, Table};
use std::collections::BTreeMap;
use std::path::Path;

/// Tables with their rows as text, sorted; audit entries with how many there are of each.
pub type Snapshot = BTreeMap<String, Vec<String>>;

type Cells = BTreeMap<&'static str, Option<String>>;

/// Reads all tables.
pub async fn snapshot(database: &Database, server: &Path) -> anyhow::Result<Snapshot> {
    let mut look = database.look(server).await?;
    let bytes = check_columns(&mut look).await?;
    let mut all = BTreeMap::new();
    for table in TABLES {
        all.insert(table.name, read(&mut look, table, &bytes).await?);
    }
    let tables = Tables(all);
    let mut snapshot = Snapshot::new();
    for table in TABLES {
        let mut rows = Vec::new();
        for row in tables.rows(table.name) {
            if tables.counts(table, row)? {
                rows.push(tables.shown(table, row)?);
            }
        }
        rows.sort();
        if table.rows == Rows::Each {
            rows.dedup();
        }
        snapshot.insert(table.name.to_owned(), rows);
    }
    Ok(snapshot)
}

/// Where two snapshots differ, in words.
pub fn differences(wanted: &Snapshot, got: &Snapshot) -> Vec<String> {
    let mut differences = Vec::new();
    for (table, wanted) in wanted {
        let mut more = got.get(table).cloned().unwrap_or_default();
        let mut missing = Vec::new();
        for row in wanted {
            match more.iter().position(|other| other == row) {
                Some(at) => drop(more.remove(at)),
                None => missing.push(row),
            }
        }
        more.retain(|row| !MAY_REPEAT.iter().any(|(begin, _)| row.starts_with(begin)));
        if !missing.is_empty() || !more.is_empty() {
            differences.push(format!("{table}: missing {missing:#?}\n  more {more:#?}"));
        }
    }
    differences
}

/// Fails when a column is in neither list, or listed and not there. Which columns hold bytes.
async fn check_columns(look: &mut Look) -> anyhow::Result<BTreeMap<(String, String), bool>> {
    let there = look.columns().await?;
    let listed = |table: &str, column: &str| {
        let table = TABLES.iter().find(|listed| listed.name == table);
        table.is_some_and(|table| table.columns.iter().any(|(name, _)| *name == column))
    };
    let unlisted: Vec<String> = there
        .iter()
        .filter(|(table, column, _)| !listed(table, column))
        .map(|(table, column, _)| format!("{table}.{column}"))
        .collect();
    ensure!(
        unlisted.is_empty(),
        "neither compared nor volatile with a reason (tests/src/snapshot/columns.rs): {unlisted:?}"
    );
    let bytes: BTreeMap<_, _> = there
        .into_iter()
        .map(|(table, column, bytes)| ((table, column), bytes))
        .collect();
    for table in TABLES {
        for (column, how) in table.columns {
            let said = how.reason().is_none_or(|why| !why.is_empty());
            ensure!(said, "{}.{column} is volatile without a reason", table.name);
            let known = bytes.contains_key(&(table.name.to_owned(), (*column).to_owned()));
            ensure!(known, "there is no {}.{column}", table.name);
        }
    }
    Ok(bytes)
}

async fn read(
    look: &mut Look,
    table: &Table,
    bytes: &BTreeMap<(String, String), bool>,
) -> anyhow::Result<Vec<Cells>> {
    let columns: Vec<(&str, bool)> = table
        .columns
        .iter()
        .map(|(column, _)| {
            let key = (table.name.to_owned(), (*column).to_owned());
            (*column, bytes.get(&key).copied().unwrap_or_default())
        })
        .collect();
    let sql = format!("SELECT {} FROM {}", look.array(&columns), table.name);
    let rows = look.rows(&sql).await?;
    let named = |row: Vec<Option<String>>| {
        let names = table.columns.iter().map(|(column, _)| *column);
        names.zip(row).collect()
    };
    Ok(rows.into_iter().map(named).collect())
}

struct Tables(BTreeMap<&'static str, Vec<Cells>>);

impl Tables {
    fn rows(&self, table: &str) -> &[Cells] {
        self.0.get(table).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a row is compared at all: of a step's leases only the last one is.
    fn counts(&self, table: &Table, row: &Cells) -> anyhow::Result<bool> {
        match table.rows {
            Rows::All | Rows::Each => Ok(true),
            Rows::LastLease => {
                let step = self.row("step", cell(row, "step_id"))?;
                Ok(cell(step, "fence") == cell(row, "fence"))
            }
        }
    }

    fn shown(&self, table: &Table, row: &Cells) -> anyhow::Result<String> {
        let mut text = String::new();
        for (column, how) in table.columns {
            if let Some(value) = self.value(how, cell(row, column))? {
                text.push_str(&format!("{column}={value} "));
            }
        }
        Ok(text)
    }

    /// What is compared of one cell; none when nothing is.
    fn value(&self, how: &How, cell: Option<&str>) -> anyhow::Result<Option<String>> {
        let Some(text) = cell else {
            let shown = !matches!(how, How::Id | How::Not(_));
            return Ok(shown.then(|| "NULL".to_owned()));
        };
        Ok(match how {
            How::Id | How::Not(_) => None,
            How::Same => Some(text.to_owned()),
            How::Set(_) => Some("…".to_owned()),
            How::Of(table) => Some(format!("<{}>", self.key(table, text)?)),
            How::Scrubbed(_) => Some(scrubbed(text)?),
            How::Bytes(_) => Some(scrubbed(&String::from_utf8(hex::decode(text)?)?)?),
            How::Subject => Some(self.subject(text)),
            How::Actor => Some(self.actor(text)),
        })
    }

    /// The natural key of the row with this id.
    fn key(&self, table: &str, id: &str) -> anyhow::Result<String> {
        let row = self.row(table, Some(id))?;
        let Some(table) = TABLES.iter().find(|listed| listed.name == table) else {
            bail!("there is no table {table}");
        };
        ensure!(!table.key.is_empty(), "{} has no natural key", table.name);
        let mut parts = Vec::new();
        for column in table.key {
            let how = table.columns.iter().find(|(name, _)| name == column);
            let (_, how) = how.with_context(|| format!("{}.{column}", table.name))?;
            let value = self.value(how, cell(row, column))?;
            parts.push(value.unwrap_or_default());
        }
        Ok(format!("{} {}", table.name, parts.join("/")))
    }

    fn subject(&self, text: &str) -> String {
        let Some((kind, id)) = text.split_once(':') else {
            return text.to_owned();
        };
        self.key(kind, id).unwrap_or_else(|_| kind.to_owned())
    }

    fn row(&self, table: &str, id: Option<&str>) -> anyhow::Result<&Cells> {
        let found = self.rows(table).iter().find(|row| cell(row, "id") == id);
        found.with_context(|| format!("{table} {id:?} is named and not there"))
    }

    /// `person:<id>` and the like as whom they name; others as they are.
    fn actor(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for table in ["person", "hook"] {
            for row in self.rows(table) {
                if let Some(id) = cell(row, "id")
                    && text.contains(id)
                    && let Ok(key) = self.key(table, id)
                {
                    text = text.replace(id, &key);
                }
            }
        }
        text
    }
}

fn cell<'r>(row: &'r Cells, column: &str) -> Option<&'r str> {
    row.get(column).and_then(Option::as_deref)
}
