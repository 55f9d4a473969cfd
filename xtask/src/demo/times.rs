//! How long a demo takes, beside how long the first one took that made the images: both are told.

use super::start::Demo;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// A later demo takes at most this part of the first.
const PART: f64 = 3.0;

/// Tells how long it took until something (`what`) was reached, now and in the first run.
pub(crate) fn tell(demo: &Demo, what: &str) -> Result<()> {
    let file = demo.kept.join("first.json");
    let now = demo.took().as_secs_f64();
    let mut first = read(&file)?;
    if demo.is_first {
        first.insert(what.to_owned(), now);
        std::fs::write(&file, serde_json::to_vec_pretty(&first)?)
            .with_context(|| format!("write {}", file.display()))?;
    }
    demo.say(&sentence(
        what,
        now,
        first.get(what).copied(),
        demo.is_first,
    ));
    Ok(())
}

fn read(file: &Path) -> Result<BTreeMap<String, f64>> {
    match std::fs::read(file) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).with_context(|| format!("read {}", file.display()))
        }
        Err(_) => Ok(BTreeMap::new()),
    }
}

fn sentence(what: &str, now: f64, first: Option<f64>, is_first: bool) -> String {
    match first {
        _ if is_first => format!("{what} after {now:.1} s, the first time: images were made"),
        None => format!("{what} after {now:.1} s; how long the first time took is not known"),
        Some(first) if now * PART <= first => {
            format!("{what} after {now:.1} s, at most a third of the first time's {first:.1} s")
        }
        Some(first) => {
            format!("{what} after {now:.1} s, more than a third of the first time's {first:.1} s")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::sentence;

    #[test]
    fn both_times_are_told_and_whether_it_is_a_third() {
        let told = |now, first, is_first| sentence("ready", now, first, is_first);
        assert!(told(300.0, Some(300.0), true).contains("the first time: images"));
        assert!(
            told(100.0, Some(300.0), false).contains("at most a third of the first time's 300.0 s")
        );
        assert!(told(100.1, Some(300.0), false).contains("more than a third"));
        assert!(told(50.0, None, false).contains("not known"));
    }
}
