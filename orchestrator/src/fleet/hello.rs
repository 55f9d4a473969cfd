//! A worker has started: what it is and what it holds.

use super::state::{Error, WorkerId};
use super::store;
use crate::ground::Ground;
use contract::protocol::Hello;

/// A worker that says more slots than any host has cores is a mistake in its configuration.
const SLOTS_MAX: u32 = 256;
/// The rules of the sandbox are two dozen.
const RULES_MAX: usize = 200;
/// A version or level is a word, what was seen is a sentence.
const TEXT_BYTES_MAX: usize = 2_000;

/// Stores what a worker says of itself; false when it is more than anybody can have to say.
pub async fn hello(ground: &Ground, id: &WorkerId, hello: &Hello) -> Result<bool, Error> {
    let short = |text: &str| text.len() <= TEXT_BYTES_MAX;
    let rules = &hello.isolation.rules;
    let good = (1..=SLOTS_MAX).contains(&hello.slots)
        && short(&hello.version)
        && short(&hello.isolation.level)
        && rules.len() <= RULES_MAX
        && rules.iter().all(|r| short(&r.rule) && short(&r.seen));
    if !good {
        return Ok(false);
    }
    let (now, id, hello) = (ground.now(), id.clone(), hello.clone());
    ground
        .db
        .write("fleet.hello", move |conn| {
            Box::pin(async move {
                store::set_capability(conn, &id, &hello, now).await?;
                Ok::<_, Error>(true)
            })
        })
        .await
}
