//! `db.write` is the only way to write.

use super::conn::{Conn, Inner};
use super::error::Error;
use super::open::{Db, Pools};
use crate::kill::{Side, point};
use crate::metrics::metrics;
use futures::future::BoxFuture;
use sqlx::Executor as _;
use std::time::{Duration, Instant};

/// How often a transaction that collided is repeated before the caller is told; with the pauses
/// below that is about two seconds.
const TRIES_MAX: u32 = 8;

impl Db {
    /// Runs `work` in one transaction: BEGIN IMMEDIATE in the writer task on SQLite (with others in
    /// one durable commit), SERIALIZABLE with repeats on PostgreSQL. So `work` touches nothing but
    /// its connection. `Err` rolls back. `name` is the write's kill point: `<room>.<verb>`.
    pub async fn write<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Clone + Send + 'static,
    {
        point(name, Side::Before);
        let began = Instant::now();
        let result = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.write(work).await,
            Pools::Postgres(pool) => repeat_on_postgres(pool, name, work, "SERIALIZABLE").await,
        };
        metrics().written(began.elapsed(), result.is_ok());
        point(name, Side::After);
        result
    }

    /// As [`Db::write`], for a hot path whose correctness hangs on one guarded statement or a unique
    /// key alone: on PostgreSQL READ COMMITTED is enough. The caller says which in a comment.
    pub async fn write_guarded<T, E, F>(&self, name: &'static str, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Clone + Send + 'static,
    {
        point(name, Side::Before);
        let began = Instant::now();
        let result = match &self.pools {
            Pools::Sqlite { writer, .. } => writer.write(work).await,
            Pools::Postgres(pool) => repeat_on_postgres(pool, name, work, "READ COMMITTED").await,
        };
        metrics().written(began.elapsed(), result.is_ok());
        point(name, Side::After);
        result
    }
}

async fn repeat_on_postgres<T, E, F>(
    pool: &sqlx::PgPool,
    name: &'static str,
    work: F,
    isolation: &'static str,
) -> Result<T, E>
where
    E: From<Error>,
    F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Clone,
{
    for attempt in 0..TRIES_MAX {
        if attempt > 0 {
            tokio::time::sleep(Duration::from_millis(5 << attempt)).await;
        }
        match once_on_postgres(pool, work.clone(), isolation).await? {
            Once::Done(result) => return result,
            Once::Collided => {}
        }
    }
    Err(E::from(Error::Collided(name)))
}

enum Once<R> {
    Done(R),
    Collided,
}

async fn once_on_postgres<T, E, F>(
    pool: &sqlx::PgPool,
    work: F,
    isolation: &'static str,
) -> Result<Once<Result<T, E>>, E>
where
    E: From<Error>,
    F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>>,
{
    let begin = match isolation {
        "SERIALIZABLE" => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        _ => "BEGIN ISOLATION LEVEL READ COMMITTED",
    };
    let mut guard = Open {
        conn: Conn::new(Inner::Postgres(pool.acquire().await.map_err(Error::Sql)?)),
        open: true,
    };
    guard.execute(begin).await?;
    let result = work(&mut guard.conn).await;
    let end = if result.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = guard.execute(end).await;
    guard.open = false;
    if guard.conn.collided {
        return Ok(Once::Collided);
    }
    ended?;
    if result.is_ok() {
        std::mem::take(&mut guard.conn.after)
            .into_iter()
            .for_each(|act| act());
    }
    Ok(Once::Done(result))
}

/// A connection whose transaction is open; when the caller is dropped in the middle (a client went
/// away), the connection is closed rather than handed on with a transaction open.
struct Open {
    conn: Conn,
    open: bool,
}

impl Open {
    async fn execute(&mut self, sql: &'static str) -> Result<(), Error> {
        let Inner::Postgres(conn) = &mut self.conn.inner else {
            return Err(Error::Closed);
        };
        let result = conn.execute(sql).await.map(|_| ());
        self.conn.note(result)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if self.open
            && let Inner::Postgres(conn) = &mut self.conn.inner
        {
            conn.close_on_drop();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTE: &str = "INSERT INTO migration (name, sha256) VALUES ($1, 'x')";
    const COUNT: &str = "SELECT COUNT(*) FROM migration WHERE sha256 = 'x'";

    async fn note(db: &Db, name: String, fail: bool) -> Result<(), Error> {
        db.write("test.note", move |conn| {
            Box::pin(async move {
                crate::execute!(conn, NOTE, &name)?;
                if fail { Err(Error::Closed) } else { Ok(()) }
            })
        })
        .await
    }

    async fn count(db: &Db) -> i64 {
        let mut conn = db.reader().await.unwrap();
        crate::fetch_one!(conn, (i64,), COUNT).unwrap().0
    }

    crate::store_tests! {
        fn a_write_that_fails_undoes_itself_and_not_its_neighbours(db: Db) {
            let writes = (0..40).map(|i| note(&db, format!("n{i}"), i % 4 == 0));
            let results = futures::future::join_all(writes).await;
            assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 30);
            assert_eq!(count(&db).await, 30);
        }

        fn after_a_group_that_failed_the_next_one_is_good(db: Db) {
            // Ends the transaction under the group's feet, as a full disk does.
            let failed = db.write("test.lose", |conn| Box::pin(async move {
                crate::execute!(conn, NOTE, "lost")?;
                crate::execute!(conn, "ROLLBACK")?;
                Ok::<(), Error>(())
            }));
            drop(failed.await);
            note(&db, "kept".to_owned(), false).await.unwrap();
            assert_eq!(count(&db).await, 1);
        }

        fn a_caller_that_goes_away_leaves_no_transaction_open(db: Db) {
            let slow = db.write("test.slow", |conn| Box::pin(async move {
                crate::execute!(conn, NOTE, "slow")?;
                tokio::time::sleep(Duration::from_millis(50)).await;
                Ok::<(), Error>(())
            }));
            drop(tokio::time::timeout(Duration::from_millis(10), slow).await);
            note(&db, "next".to_owned(), false).await.unwrap();
            assert!(count(&db).await >= 1);
        }

        fn two_writes_that_read_what_the_other_writes_do_not_both_miss_it(db: Db) {
            let once = |name: &'static str| db.write("test.once", move |conn| Box::pin(async move {
                let (n,): (i64,) = crate::fetch_one!(conn, (i64,), COUNT)?;
                if n == 0 {
                    crate::execute!(conn, NOTE, name)?;
                }
                Ok::<(), Error>(())
            }));
            let (a, b) = tokio::join!(once("a"), once("b"));
            a.unwrap();
            b.unwrap();
            assert_eq!(count(&db).await, 1);
        }
    }
}
