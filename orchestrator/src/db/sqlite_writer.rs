//! SQLite's one writer: a task that owns the one writing connection and commits many writes at once.
//!
//! A write waits for one fsync whether it is alone or with others; under load the queue fills while
//! the disk works, and the next commit takes all of it (group commit). Each write has a savepoint, so
//! that its failure undoes it alone.

use super::conn::{After, Conn, Inner};
use super::error::Error;
use futures::future::BoxFuture;
use sqlx::Executor as _;
use tokio::sync::{mpsc, oneshot};

/// Writes that may wait; beyond this the answer is "busy" (503), which is better than minutes.
const QUEUE_MAX: usize = 1_024;
/// Writes in one commit: bounds how long the first of them waits.
const GROUP_MAX: usize = 128;

/// How often, and with which pause, a connection that failed is replaced before the process ends.
const REOPEN_TRIES: u32 = 10;
const REOPEN_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// One write: runs inside its savepoint and says whether to keep it; tells its caller when the group
/// is durable.
type Job = Box<dyn for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Ran> + Send>;

/// A write that ran: whether its savepoint stays, and whom to tell how the commit went.
struct Ran {
    keep: bool,
    tell: Box<dyn FnOnce(Result<(), Error>) + Send>,
    after: Vec<After>,
}

pub(super) struct SqliteWriter {
    jobs: mpsc::Sender<Job>,
    ended: tokio::sync::Mutex<Option<tokio::task::JoinHandle<()>>>,
    closing: tokio_util::sync::CancellationToken,
}

impl SqliteWriter {
    pub(super) async fn start(pool: sqlx::SqlitePool) -> Result<Self, Error> {
        let conn = Conn::new(Inner::Sqlite(pool.acquire().await?));
        let (jobs, queue) = mpsc::channel(QUEUE_MAX);
        let closing = tokio_util::sync::CancellationToken::new();
        #[expect(
            clippy::disallowed_methods,
            reason = "it ends with Db::close, which awaits it"
        )]
        let task = tokio::spawn(run(conn, pool, queue, closing.clone()));
        Ok(Self {
            jobs,
            ended: tokio::sync::Mutex::new(Some(task)),
            closing,
        })
    }

    pub(super) async fn write<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Error> + Send + 'static,
        F: for<'c> FnOnce(&'c mut Conn) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
    {
        let (tell, told) = oneshot::channel::<Result<T, E>>();
        let job: Job = Box::new(move |conn| {
            Box::pin(async move {
                let result = work(conn).await;
                let keep = result.is_ok();
                let tell = Box::new(move |committed: Result<(), Error>| {
                    let answer =
                        result.and_then(|value| committed.map(|()| value).map_err(E::from));
                    // The caller may have gone away; the write stands all the same.
                    drop(tell.send(answer));
                });
                Ran {
                    keep,
                    tell,
                    after: Vec::new(),
                }
            })
        });
        self.jobs.try_send(job).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => Error::Busy(QUEUE_MAX),
            mpsc::error::TrySendError::Closed(_) => Error::Closed,
        })?;
        told.await.unwrap_or_else(|_| Err(E::from(Error::Closed)))
    }

    /// Waits until the writer has ended: by `close`, or because it cannot go on.
    pub(super) async fn ended(&self) {
        self.jobs.closed().await;
    }

    /// Takes no more writes, finishes those that wait, ends.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        if let Some(task) = self.ended.lock().await.take() {
            drop(task.await);
        }
    }
}

async fn run(
    mut conn: Conn,
    pool: sqlx::SqlitePool,
    mut queue: mpsc::Receiver<Job>,
    closing: tokio_util::sync::CancellationToken,
) {
    let mut group = Vec::with_capacity(GROUP_MAX);
    loop {
        tokio::select! {
            received = queue.recv_many(&mut group, GROUP_MAX) => {
                if received == 0 {
                    break;
                }
            }
            () = closing.cancelled() => {
                // No new ones; `recv_many` gives what waits and then 0.
                queue.close();
                continue_or_wait(&mut queue, &mut group).await;
                if group.is_empty() {
                    break;
                }
            }
        }
        if !commit_group(&mut conn, group.drain(..)).await {
            // A full disk may leave the connection in a state that only a new one is sure not to have.
            match reopen(conn, &pool).await {
                Some(fresh) => conn = fresh,
                None => {
                    tracing::error!("the database cannot be opened for writing any more");
                    return;
                }
            }
        }
    }
    drop(conn);
    pool.close().await;
}

/// A new connection in place of one that failed; none when there is none for too long.
async fn reopen(failed: Conn, pool: &sqlx::SqlitePool) -> Option<Conn> {
    match failed.inner {
        Inner::Sqlite(failed) => drop(failed.close().await),
        Inner::Postgres(_) => return None,
    }
    for _ in 0..REOPEN_TRIES {
        match pool.acquire().await {
            Ok(fresh) => return Some(Conn::new(Inner::Sqlite(fresh))),
            Err(error) => {
                tracing::error!(error = ?error, "the database cannot be opened for writing");
                tokio::time::sleep(REOPEN_PAUSE).await;
            }
        }
    }
    None
}

async fn continue_or_wait(queue: &mut mpsc::Receiver<Job>, group: &mut Vec<Job>) {
    queue.recv_many(group, GROUP_MAX).await;
}

/// Whether it was committed.
async fn commit_group(conn: &mut Conn, jobs: impl Iterator<Item = Job>) -> bool {
    let begun = sql(conn, "BEGIN IMMEDIATE").await;
    let mut ran = Vec::new();
    for job in jobs {
        if begun.is_err() {
            // Dropping a job tells its caller `Closed`; the group's error is in the log.
            continue;
        }
        ran.push(run_in_savepoint(conn, job).await);
    }
    let committed = match begun {
        Ok(()) => sql(conn, "COMMIT").await,
        Err(error) => Err(error),
    };
    if let Err(error) = &committed {
        tracing::error!(error = ?error, "a group of writes could not be committed");
        drop(sql(conn, "ROLLBACK").await);
    }
    if committed.is_ok() {
        crate::metrics::metrics().committed_together(ran.len());
    }
    for one in ran {
        if committed.is_ok() {
            one.after.into_iter().for_each(|act| act());
        }
        (one.tell)(match &committed {
            Ok(()) => Ok(()),
            Err(_) => Err(Error::Closed),
        });
    }
    committed.is_ok()
}

async fn run_in_savepoint(conn: &mut Conn, job: Job) -> Ran {
    if let Err(error) = sql(conn, "SAVEPOINT item").await {
        tracing::error!(error = ?error, "a savepoint could not be set");
    }
    let mut ran = job(conn).await;
    let after = std::mem::take(&mut conn.after);
    if ran.keep {
        ran.after = after;
    }
    let end = if ran.keep {
        "RELEASE item"
    } else {
        "ROLLBACK TO item"
    };
    if let Err(error) = sql(conn, end).await {
        tracing::error!(error = ?error, "a savepoint could not be ended");
    }
    if !ran.keep
        && let Err(error) = sql(conn, "RELEASE item").await
    {
        tracing::error!(error = ?error, "a savepoint could not be released");
    }
    ran
}

async fn sql(conn: &mut Conn, text: &'static str) -> Result<(), Error> {
    let Inner::Sqlite(sqlite) = &mut conn.inner else {
        return Err(Error::Closed);
    };
    sqlite.execute(text).await.map(|_| ()).map_err(Error::Sql)
}
