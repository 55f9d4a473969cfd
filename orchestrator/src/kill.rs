//! Named kill points for the crash sweep: every `db::write` and every call to the outside world.
//!
//! A point is (name, k-th time, before or after). With the feature `kill-points` (test builds only)
//! the environment says where this process ends itself as if by SIGKILL, or where to list the points
//! that were passed; without the feature nothing of this is in the binary.

use std::future::Future;

/// On which side of the operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing was done yet.
    Before,
    /// It was done, and nobody was told.
    After,
}

/// Calls the outside world (forge, registry, signer, file system) under a name. A call that only asks
/// needs none: dying around it leaves what dying around the act before it leaves.
pub async fn outside<T>(name: &'static str, call: impl Future<Output = T>) -> T {
    point(name, Side::Before);
    let result = call.await;
    point(name, Side::After);
    result
}

/// Passes a kill point.
#[cfg(not(feature = "kill-points"))]
pub fn point(_name: &'static str, _side: Side) {}

/// Passes a kill point: lists it in the file `SALLYPORT_KILL_LIST`, and ends this process when it is
/// the one that `SALLYPORT_KILL_AT` (`<name> <k> <before|after>`) names.
#[cfg(feature = "kill-points")]
pub fn point(name: &'static str, side: Side) {
    armed::point(name, side);
}

#[cfg(feature = "kill-points")]
mod armed {
    use super::Side;
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::sync::{Mutex, OnceLock};

    struct Points {
        list: Option<Mutex<std::fs::File>>,
        at: Option<(String, u64, Side)>,
        passed: Mutex<HashMap<(&'static str, bool), u64>>,
    }

    fn points() -> &'static Points {
        static POINTS: OnceLock<Points> = OnceLock::new();
        POINTS.get_or_init(|| Points {
            list: std::env::var_os("SALLYPORT_KILL_LIST").and_then(|path| {
                std::fs::OpenOptions::new()
                    .create(true)
                    .append(true)
                    .open(path)
                    .ok()
                    .map(Mutex::new)
            }),
            at: std::env::var("SALLYPORT_KILL_AT")
                .ok()
                .and_then(|text| parse(&text)),
            passed: Mutex::new(HashMap::new()),
        })
    }

    fn parse(text: &str) -> Option<(String, u64, Side)> {
        let mut words = text.split(' ');
        let (name, k, side) = (words.next()?, words.next()?, words.next()?);
        let side = if side == "before" {
            Side::Before
        } else {
            Side::After
        };
        Some((name.to_owned(), k.parse().ok()?, side))
    }

    pub(super) fn point(name: &'static str, side: Side) {
        let points = points();
        let Ok(mut passed) = points.passed.lock() else {
            return;
        };
        let count = passed.entry((name, side == Side::Before)).or_insert(0);
        *count += 1;
        let word = if side == Side::Before {
            "before"
        } else {
            "after"
        };
        if let Some(Ok(mut list)) = points.list.as_ref().map(Mutex::lock) {
            drop(writeln!(list, "{name} {count} {word}"));
        }
        if points
            .at
            .as_ref()
            .is_some_and(|(n, k, s)| n == name && k == count && *s == side)
        {
            let me = nix::unistd::Pid::this();
            let _ended = nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGKILL);
        }
    }
}
