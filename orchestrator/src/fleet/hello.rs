//! A worker has started: what it is and what it holds.

use super::state::{Error, WorkerId};
use super::store;
use crate::ground::Ground;
use contract::level::Level;
use contract::protocol::Hello;

/// A worker that says more slots than any host has cores is a mistake in its configuration.
const SLOTS_MAX: u32 = 256;
/// The rules of the sandbox are two dozen.
const RULES_MAX: usize = 200;
/// A version is a word, what was seen is a sentence.
const TEXT_BYTES_MAX: usize = 2_000;

/// Stores what a worker says of itself; false when it is more than anybody can have to say. Of its level
/// no more is believed than was granted with its token.
pub async fn hello(ground: &Ground, id: &WorkerId, hello: &Hello) -> Result<bool, Error> {
    let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
    let rules = &hello.isolation.rules;
    let good = (1..=SLOTS_MAX).contains(&hello.slots)
        && short(&hello.version)
        && rules.len() <= RULES_MAX
        && rules.iter().all(|r| short(&r.rule) && short(&r.seen));
    let claimed = Level::parse(&hello.isolation.level).ok().filter(|_| good);
    let Some(claimed) = claimed else {
        return Ok(false);
    };
    let (now, id, hello) = (ground.now(), id.clone(), hello.clone());
    ground
        .db
        .write("fleet.hello", move |conn| {
            Box::pin(async move {
                let Some(worker) = store::by_id(conn, &id).await? else {
                    return Ok(false);
                };
                let level = claimed.at_most(&worker.granted);
                store::set_capability(conn, &id, &hello, &level, now).await?;
                Ok::<_, Error>(true)
            })
        })
        .await
}
