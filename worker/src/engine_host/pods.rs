//! Pods: a cgroup for each, so that the containers of one step together use no more than the step may.
//! Only root makes cgroups and the agent is not root, so it asks here, one line for one answer:
//! `make <name> <memory bytes> <cpu thousandths> <processes>`, `remove <name>`, `clear <whose>` for all
//! `<whose>-<number>`, `here <whose>` of an agent that lives. The answer is `ok <path>`, `more <what the engine
//! has>` to who asks for more than that, or `no <why>`.
//!
//! What runs in the pods of an agent that has not been heard for a while is ended: no step runs for ever
//! because its agent never came back.

use super::cgroup::{self, Limits};
use super::{Config, EngineHostError, file_error};
use crate::engine::HERE_EVERY;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a pod's own first container has on top of what its step asks for, in bytes and processes
/// (`sandbox::policy`): a step may have all that the engine has.
const POD_SHARE: (u64, u64) = (32 << 20, 32);
/// Pods at once: far more than a worker has slots.
const PODS_MAX: usize = 256;
/// A line is a verb, a name and three numbers.
const LINE_BYTES_MAX: u64 = 256;
/// A worker's name and a number.
const NAME_BYTES_MAX: usize = 80;
/// Whoever connects asks at once.
const PATIENCE: Duration = Duration::from_secs(2);
/// An agent that was not heard for so long is gone: its steps have been given to others.
const ABANDONED: Duration = HERE_EVERY.saturating_mul(10);
/// How often it is looked for abandoned pods.
const LOOK: Duration = Duration::from_secs(30);
/// After a connection that could not be taken, before the next.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A request, understood.
#[derive(Debug, PartialEq, Eq)]
enum Wish {
    Make(String, Limits),
    Remove(String),
    Clear(String),
    Here(String),
}

/// The pods there are, and when each agent was last heard.
#[derive(Default)]
struct Pods {
    names: BTreeSet<String>,
    heard: BTreeMap<String, Instant>,
}

impl Pods {
    fn hears(&mut self, whose: String, now: Instant) -> Result<(), No> {
        if !self.heard.contains_key(&whose) && self.heard.len() >= PODS_MAX {
            return Err(No::Trouble(format!("there are {PODS_MAX} agents")));
        }
        self.heard.insert(whose, now);
        Ok(())
    }

    /// The pods of agents that were heard and then no more; each agent's are told once.
    fn abandoned(&mut self, now: Instant) -> Vec<String> {
        let silent = |heard: &Instant| now.duration_since(*heard) > ABANDONED;
        let gone: Vec<String> = self
            .heard
            .extract_if(.., |_, heard| silent(heard))
            .map(|(whose, _)| whose)
            .collect();
        let names = self.names.iter();
        names
            .filter(|name| gone.iter().any(|whose| is_of(whose, name)))
            .cloned()
            .collect()
    }
}

/// Why there is no such pod.
#[derive(Debug, PartialEq, Eq)]
enum No {
    /// The step asks for more than all containers of this engine have together.
    More(String),
    /// This process is in trouble.
    Trouble(String),
}

/// Answers until the process ends.
pub(super) fn serve(config: &Config) -> Result<(), EngineHostError> {
    let path = config.pods_socket();
    let listener = UnixListener::bind(&path).map_err(file_error("listen on", &path))?;
    chown(&path, None, Some(config.group)).map_err(file_error("chown", &path))?;
    let mode = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(&path, mode).map_err(file_error("chmod", &path))?;
    let config = config.clone();
    let pods = Arc::new(Mutex::new(Pods::default()));
    {
        let (config, pods) = (config.clone(), pods.clone());
        std::thread::spawn(move || watch(&config, &pods));
    }
    // One at a time: nobody waits long, and two requests about one pod cannot meet.
    std::thread::spawn(move || {
        loop {
            let answered = listener
                .accept()
                .and_then(|(stream, _)| answer(&config, &pods, &stream));
            if let Err(error) = answered {
                tracing::warn!(%error, "a request for a pod's cgroup was not answered");
                std::thread::sleep(ACCEPT_PAUSE);
            }
        }
    });
    Ok(())
}

/// Ends what agents left behind that are not heard any more.
fn watch(config: &Config, pods: &Mutex<Pods>) {
    loop {
        std::thread::sleep(LOOK);
        let mut pods = pods.lock().unwrap_or_else(PoisonError::into_inner);
        for name in pods.abandoned(Instant::now()) {
            let ended = cgroup::kill_below(config, &folder(&name));
            tracing::warn!(
                pod = name,
                ended,
                "its agent is not heard any more: what ran in it was ended"
            );
        }
    }
}

fn answer(config: &Config, pods: &Mutex<Pods>, mut stream: &UnixStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = String::new();
    BufReader::new(stream)
        .take(LINE_BYTES_MAX)
        .read_line(&mut line)?;
    let said = match read(&line) {
        Some(wish) => {
            let mut pods = pods.lock().unwrap_or_else(PoisonError::into_inner);
            granted(config, &mut pods, wish)
        }
        None => Err(No::Trouble("not a request".to_owned())),
    };
    let said = match said {
        Ok(path) => format!("ok {path}\n"),
        Err(No::More(what)) => format!("more {what}\n"),
        Err(No::Trouble(why)) => format!("no {}\n", why.replace('\n', " ")),
    };
    stream.write_all(said.as_bytes())
}

fn granted(config: &Config, pods: &mut Pods, wish: Wish) -> Result<String, No> {
    match wish {
        Wish::Make(name, limits) => {
            fits(config, limits)?;
            if !pods.names.contains(&name) && pods.names.len() >= PODS_MAX {
                return Err(No::Trouble(format!("there are {PODS_MAX} pods")));
            }
            let path = cgroup::make_below(config, &folder(&name), limits)
                .map_err(|error| No::Trouble(error.to_string()))?;
            pods.names.insert(name);
            Ok(path)
        }
        Wish::Remove(name) => {
            if pods.names.remove(&name) {
                cgroup::remove_below(config, &folder(&name));
            }
            Ok(String::new())
        }
        Wish::Clear(whose) => {
            pods.names.retain(|name| !is_of(&whose, name));
            for found in cgroup::below(config) {
                if found
                    .strip_prefix(&folder(""))
                    .is_some_and(|name| is_of(&whose, name))
                {
                    cgroup::remove_below(config, &found);
                }
            }
            Ok(String::new())
        }
        Wish::Here(whose) => {
            pods.hears(whose, Instant::now())?;
            Ok(String::new())
        }
    }
}

/// A step that asks for more than there is would wait for it in vain: the kernel takes no larger share of
/// CPU time than the cgroup above has, and what it takes of the rest is never had.
fn fits(config: &Config, limits: Limits) -> Result<(), No> {
    let mib = |bytes: u64| bytes >> 20;
    let (memory, pids) = POD_SHARE;
    for (key, unit, asked, has) in [
        (
            "cpu",
            "thousandths of a CPU",
            limits.cpu_milli,
            config.cpu_milli,
        ),
        (
            "memory",
            "MiB",
            mib(limits.memory_bytes.saturating_sub(memory)),
            mib(config.memory_bytes),
        ),
        (
            "pids",
            "processes",
            limits.pids.saturating_sub(pids),
            config.pids,
        ),
    ] {
        if asked > has {
            return Err(No::More(format!(
                "it asks for {asked} {unit} (`resources.{key}`), and this worker's engine has {has} for all its containers"
            )));
        }
    }
    Ok(())
}

/// Whether a pod is this worker's: `a-1` is, also where there is a worker `a-1`, whose pods are `a-1-1` and so
/// on.
fn is_of(whose: &str, name: &str) -> bool {
    let number = name
        .strip_prefix(whose)
        .and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
}

fn folder(name: &str) -> String {
    format!("pod-{name}")
}

/// A line that is exactly what is understood; names can be no paths.
fn read(line: &str) -> Option<Wish> {
    let words: Vec<&str> = line.strip_suffix('\n')?.split(' ').collect();
    let name = |text: &str| {
        let good = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        good.then(|| text.to_owned())
    };
    match words[..] {
        ["make", text, memory, cpu, pids] => {
            let limits = Limits {
                memory_bytes: memory.parse().ok()?,
                cpu_milli: cpu.parse().ok()?,
                pids: pids.parse().ok()?,
            };
            Some(Wish::Make(name(text)?, limits))
        }
        ["remove", text] => Some(Wish::Remove(name(text)?)),
        ["clear", text] => Some(Wish::Clear(name(text)?)),
        ["here", text] => Some(Wish::Here(name(text)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_more_than_there_is_hears_what_there_is() {
        let text =
            "cgroup = \"c\"\ndata-dir = \"/d\"\nrun-dir = \"/r\"\ngroup = 0\nregistries = []\n";
        let config: Config = toml::from_str(text).unwrap();
        let (memory, pids) = POD_SHARE;
        let all = Limits {
            memory_bytes: (4 << 30) + memory,
            cpu_milli: 2_000,
            pids: 4_096 + pids,
        };
        assert_eq!(fits(&config, all), Ok(()));
        let said = |limits| match fits(&config, limits) {
            Err(No::More(what)) => what,
            other => panic!("{other:?}"),
        };
        let cpu = said(Limits {
            cpu_milli: 2_001,
            ..all
        });
        assert_eq!(
            cpu,
            "it asks for 2001 thousandths of a CPU (`resources.cpu`), and this worker's engine has 2000 for all its containers"
        );
        let memory = said(Limits {
            memory_bytes: (5 << 30) + memory,
            ..all
        });
        assert!(memory.contains("5120 MiB (`resources.memory`)"), "{memory}");
        let pids = said(Limits { pids: 5_000, ..all });
        assert!(pids.contains("has 4096"), "{pids}");
    }

    #[test]
    fn who_clears_clears_what_is_its_own() {
        for own in ["a-0", "a-17"] {
            assert!(is_of("a", own), "{own}");
        }
        for another in ["b-0", "ab-0", "a-1-0", "a-", "a"] {
            assert!(!is_of("a", another), "{another}");
        }
    }

    #[test]
    fn an_agent_that_is_heard_no_more_leaves_its_pods_and_no_others() {
        let mut pods = Pods::default();
        let names = ["a-0", "a-1", "a-1-0", "b-0"];
        pods.names.extend(names.map(str::to_owned));
        let start = Instant::now();
        for whose in ["a", "a-1"] {
            pods.hears(whose.to_owned(), start).unwrap();
        }
        let late = start + ABANDONED + Duration::from_secs(1);
        assert!(pods.abandoned(start + ABANDONED).is_empty());
        pods.hears("a-1".to_owned(), late).unwrap();
        assert_eq!(pods.abandoned(late), ["a-0", "a-1"], "nobody speaks of b");
        assert!(pods.abandoned(late).is_empty(), "once is enough");
    }

    #[test]
    fn a_request_names_no_path_and_nothing_is_guessed() {
        let limits = Limits {
            memory_bytes: 1,
            cpu_milli: 2,
            pids: 3,
        };
        assert_eq!(
            read("make 0190-ab-1 1 2 3\n"),
            Some(Wish::Make("0190-ab-1".to_owned(), limits))
        );
        assert_eq!(read("remove a-1\n"), Some(Wish::Remove("a-1".to_owned())));
        assert_eq!(read("clear a\n"), Some(Wish::Clear("a".to_owned())));
        assert_eq!(read("here a\n"), Some(Wish::Here("a".to_owned())));
        for bad in [
            "make ../x 1 2 3\n",
            "make a/b 1 2 3\n",
            "make a -1 2 3\n",
            "make a 1 2\n",
            "make a 1 2 3",
            "remove \n",
            "clear\n",
            "clear a *\n",
            "",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
