//! All SQL of the audit log's tables. There is no UPDATE and no DELETE of an entry.

use super::entry::{AuditId, ENTRY_BYTES_MAX, Record};
use crate::clock::At;
use crate::db::{Conn, Error};
use crate::id::IdSource;

/// Writes one entry in the caller's transaction.
pub async fn append(
    conn: &mut Conn,
    at: At,
    ids: &dyn IdSource,
    record: Record,
) -> Result<AuditId, Error> {
    let id = AuditId::new(ids);
    append_as(conn, at, id.clone(), ids, record).await?;
    Ok(id)
}

/// Writes one entry under an id that was made before, so that a row can name it in one statement.
pub async fn append_as(
    conn: &mut Conn,
    at: At,
    id: AuditId,
    ids: &dyn IdSource,
    record: Record,
) -> Result<(), Error> {
    let sealed = record.seal(at, id, ids);
    if sealed.bytes.is_empty() || sealed.bytes.len() > ENTRY_BYTES_MAX {
        return Err(Error::Inconsistent {
            table: "audit_entry",
            column: "entry",
            id: sealed.id.into(),
        });
    }
    crate::execute!(
        conn,
        "INSERT INTO audit_entry (id, entry, at, type, subject, project_id, actor)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        sealed.id.as_str(),
        &sealed.bytes,
        sealed.at.0,
        sealed.kind,
        &sealed.subject,
        &sealed.project_id,
        &sealed.actor
    )?;
    for commitment in &sealed.commitments {
        crate::execute!(
            conn,
            "INSERT INTO commitment (audit_id, field, salt, value) VALUES ($1, $2, $3, $4)",
            sealed.id.as_str(),
            commitment.field,
            &commitment.salt,
            &commitment.value
        )?;
    }
    Ok(())
}

/// An entry as lists show it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    /// Its id.
    pub id: String,
    /// When, µs since 1970 UTC.
    pub at: i64,
    /// `<room>.<what happened>`.
    #[sqlx(rename = "type")]
    pub kind: String,
    /// `<thing>:<id>`.
    pub subject: String,
    /// Who, as stored: people by id.
    pub actor: String,
    /// The entry's bytes.
    pub entry: Vec<u8>,
}

/// The entries about one thing, oldest first.
pub async fn by_subject(conn: &mut Conn, subject: &str, limit: i64) -> Result<Vec<Row>, Error> {
    crate::fetch_all!(
        conn,
        Row,
        "SELECT id, at, type, subject, actor, entry FROM audit_entry
         WHERE subject = $1 ORDER BY at, id LIMIT $2",
        subject,
        limit
    )
}

/// What a person wants to see of the log. The default is all of it.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// A type (`delivery.accepted`), or a room's (`delivery`).
    pub kind: Option<String>,
    /// `<thing>:<id>`.
    pub subject: Option<String>,
    /// Who, as stored: people by id (`person(0190…)`), and by name as earlier versions wrote it.
    pub actor: Option<[String; 2]>,
    /// Of one project, by its id.
    pub project_id: Option<String>,
    /// Not before.
    pub from: Option<At>,
    /// Before this moment.
    pub until: Option<At>,
}

/// The entries that are wanted, newest first, from before this (time, id).
pub async fn newest(
    conn: &mut Conn,
    wanted: &Wanted,
    (at, id): (i64, &str),
    limit: i64,
) -> Result<Vec<Row>, Error> {
    let (by_id, by_name) = match &wanted.actor {
        Some([by_id, by_name]) => (Some(by_id.as_str()), Some(by_name.as_str())),
        None => (None, None),
    };
    crate::fetch_all!(
        conn,
        Row,
        // A room's entries by comparing their beginning: LIKE would read wildcards in it.
        "SELECT id, at, type, subject, actor, entry FROM audit_entry
         WHERE (at, id) < ($1, $2)
           AND ($3 IS NULL OR type = $3 OR substr(type, 1, length($3) + 1) = $3 || '.')
           AND ($4 IS NULL OR subject = $4) AND ($5 IS NULL OR actor IN ($5, $6))
           AND ($7 IS NULL OR project_id = $7) AND at >= $8 AND at < $9
         ORDER BY at DESC, id DESC LIMIT $10",
        at,
        id,
        wanted.kind.as_deref(),
        wanted.subject.as_deref(),
        by_id,
        by_name,
        wanted.project_id.as_deref(),
        wanted.from.map_or(i64::MIN, |at| at.0),
        wanted.until.map_or(i64::MAX, |at| at.0),
        limit
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{SteppedClock, SystemClock};
    use crate::db::Db;
    use crate::id::SystemIds;
    use crate::identity::Actor;
    use std::sync::Arc;

    async fn write(db: &Db, bytes: usize) -> Result<(), Error> {
        let write = db.write("test.audit", move |conn| {
            Box::pin(async move {
                let ids = SystemIds::new(Arc::new(SteppedClock::new(At(1))));
                let record = Record::new("test.done", "thing:t", &Actor::System)
                    .with("text", "x".repeat(bytes));
                append(conn, At(1), &ids, record).await.map(drop)
            })
        });
        write.await
    }

    crate::store_tests! {
        fn an_entry_that_is_too_long_fails_its_whole_act(db: Db) {
            // The longest that fits leaves room for what is around the text.
            write(&db, ENTRY_BYTES_MAX - 256).await.unwrap();
            let refused = write(&db, ENTRY_BYTES_MAX).await;
            assert!(matches!(refused, Err(Error::Inconsistent { table: "audit_entry", .. })), "{refused:?}");
            let mut conn = db.reader().await.unwrap();
            assert_eq!(by_subject(&mut conn, "thing:t", 9).await.unwrap().len(), 1);
        }

        fn the_log_is_read_by_type_subject_and_place(db: Db) {
            let written = db.write("test.entries", |conn| Box::pin(async move {
                let ids = SystemIds::new(Arc::new(SystemClock));
                for kind in ["run.made", "runner.made", "run.ended"] {
                    for thing in ["a", "b"] {
                        let record = Record::new(kind, format!("run:{thing}"), &Actor::System);
                        append(conn, At(5), &ids, record.project("p")).await?;
                    }
                }
                Ok::<_, Error>(())
            }));
            written.await.unwrap();
            let mut conn = db.reader().await.unwrap();
            let all = Wanted::default();
            let cases = [
                (all.clone(), 6),
                (Wanted { kind: Some("run".into()), ..all.clone() }, 4),
                (Wanted { kind: Some("run.ended".into()), ..all.clone() }, 2),
                (Wanted { kind: Some("%".into()), ..all.clone() }, 0),
                (Wanted { subject: Some("run:a".into()), ..all.clone() }, 3),
                (Wanted { actor: Some(["x".into(), "system".into()]), ..all.clone() }, 6),
                (Wanted { actor: Some(["x".into(), "y".into()]), ..all.clone() }, 0),
                (Wanted { project_id: Some("q".into()), ..all.clone() }, 0),
                (Wanted { from: Some(At(5)), until: Some(At(6)), ..all.clone() }, 6),
                (Wanted { from: Some(At(6)), ..all.clone() }, 0),
                (Wanted { until: Some(At(5)), ..all.clone() }, 0),
            ];
            for (wanted, count) in cases {
                let found = newest(&mut conn, &wanted, (i64::MAX, ""), 9).await.unwrap();
                assert_eq!(found.len(), count, "{wanted:?}");
            }
            // All six are of one moment: by twos, none is lost and none comes again.
            let (mut place, mut seen) = ((i64::MAX, String::new()), Vec::new());
            while let Some(last) = {
                let page = newest(&mut conn, &all, (place.0, &place.1), 2).await.unwrap();
                seen.extend(page.iter().map(|row| row.id.clone()));
                page.into_iter().next_back()
            } {
                place = (last.at, last.id);
            }
            seen.dedup();
            assert_eq!(seen.len(), 6);
        }
    }
}
