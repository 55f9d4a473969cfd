//! What a stored body says, read after it was stored: refs and who moved them.

use super::state::Provider;
use contract::digest::CommitId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One push of our own hook tells so many refs; it makes several deliveries of more.
pub const REFS_MAX: usize = 100;
/// Git itself lets a ref's name be a path of the file system, which ends at 255 a part.
const REF_CHARS_MAX: usize = 512;
/// The sender's name, as shown.
const SENDER_CHARS_MAX: usize = 100;
/// How GitHub's other content type begins, `application/x-www-form-urlencoded`.
const FORM: &[u8] = b"payload=";

/// What a delivery tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Understood {
    /// Refs moved.
    Push(Push),
    /// Something about a pull request.
    PullRequest,
    /// Anything else; nothing is done with it.
    Other,
    /// It is not what the event's name says.
    Broken {
        /// What is wrong, in words.
        problem: String,
    },
}

/// A push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The refs, each once, by name.
    pub refs: Vec<RefChange>,
    /// Who pushed, as the sender claims.
    pub sender: Option<String>,
    /// Whose refs these are.
    pub repository: Pushed,
}

/// The repository that a push is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    /// The one that our own hook lies in: its secret is no other repository's.
    Own,
    /// `owner/name` at a forge, where one secret may sign for many; none: the sender named none.
    Named(Option<String>),
}

impl Push {
    /// In words, why this push is not about the repository at `source`; none when it is. The host is not
    /// compared: forges have several (`github.com`, `ssh.github.com`). A path of this server is a mirror
    /// of something, and says nothing of its name.
    pub fn other_than(&self, source: &str) -> Option<String> {
        let (Pushed::Named(named), Some(wanted)) = (&self.repository, path_at_host(source)) else {
            return None;
        };
        match named {
            Some(named) if named.eq_ignore_ascii_case(wanted) => None,
            Some(named) => Some(format!(
                "the push is to {named}, the project's source is {wanted}"
            )),
            None => Some(format!(
                "the push names no repository, the project's source is {wanted}"
            )),
        }
    }
}

/// `owner/name` of an address at a host; none for a path.
fn path_at_host(source: &str) -> Option<&str> {
    let path = match source.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
        None if source.starts_with('/') => return None,
        None => source.split_once(':')?.1,
    };
    let path = path.trim_matches('/');
    Some(path.strip_suffix(".git").unwrap_or(path))
}

/// One ref before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefChange {
    /// `refs/heads/main`.
    pub ref_name: String,
    /// Where it was; none: it is new.
    pub before: Option<CommitId>,
    /// Where it is; none: it was deleted.
    pub after: Option<CommitId>,
}

/// The body that our own hook sends, version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitBody {
    /// 1.
    pub v: u32,
    /// `push`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Random: no two bodies are alike.
    pub nonce: String,
    /// The account that ran `receive-pack`.
    pub pusher: Option<String>,
    /// The refs that moved.
    pub refs: Vec<GitRef>,
}

/// A line of `post-receive`'s standard input.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GitRef {
    /// `refs/heads/main`.
    #[serde(rename = "ref")]
    pub ref_name: String,
    /// Where it was; zeros: it is new.
    pub before: String,
    /// Where it is; zeros: it was deleted.
    pub after: String,
}

/// Of GitHub's push payload, what is used.
#[derive(Deserialize)]
struct GithubPush {
    #[serde(rename = "ref")]
    ref_name: String,
    before: String,
    after: String,
    sender: Option<GithubUser>,
    repository: Option<GithubRepository>,
}

#[derive(Deserialize)]
struct GithubRepository {
    full_name: String,
}

#[derive(Deserialize)]
struct GithubUser {
    login: String,
}

/// Reads a body. It is bounded by the intake; its depth by `serde_json` (128).
pub fn understand(provider: Provider, event: &str, body: &[u8]) -> Understood {
    let read = match (provider, event) {
        (Provider::Github, "push") => github_push(body),
        (Provider::Github, "pull_request") => return Understood::PullRequest,
        (Provider::Github, _) => return Understood::Other,
        (Provider::Git, _) => git_push(body),
    };
    match read {
        Ok(Some(push)) => Understood::Push(push),
        Ok(None) => Understood::Other,
        Err(problem) => Understood::Broken { problem },
    }
}

fn github_push(body: &[u8]) -> Result<Option<Push>, String> {
    if body.starts_with(FORM) {
        return Err(
            "the body is a form: set the webhook's content type to application/json".to_owned(),
        );
    }
    let push: GithubPush = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    let change = change(&push.ref_name, &push.before, &push.after)?;
    Ok(Some(Push {
        refs: vec![change],
        sender: push.sender.map(|user| shown(&user.login)),
        repository: Pushed::Named(push.repository.map(|named| shown(&named.full_name))),
    }))
}

fn git_push(body: &[u8]) -> Result<Option<Push>, String> {
    let body: GitBody = serde_json::from_slice(body).map_err(|e| e.to_string())?;
    if body.v != 1 {
        return Err(format!("version {} is not known here", body.v));
    }
    if body.kind != "push" {
        return Ok(None);
    }
    if body.refs.is_empty() || body.refs.len() > REFS_MAX {
        return Err(format!("{} refs: wanted 1 to {REFS_MAX}", body.refs.len()));
    }
    // A ref twice is one ref: where it ended.
    let mut refs = BTreeMap::new();
    for one in &body.refs {
        let change = change(&one.ref_name, &one.before, &one.after)?;
        refs.insert(change.ref_name.clone(), change);
    }
    Ok(Some(Push {
        refs: refs.into_values().collect(),
        sender: body.pusher.as_deref().map(shown),
        repository: Pushed::Own,
    }))
}

/// Whether a ref's name can be told: below `refs/`, not endless, nothing that a terminal obeys.
pub fn is_ref_name(text: &str) -> bool {
    text.starts_with("refs/")
        && text.chars().count() <= REF_CHARS_MAX
        && !text.chars().any(char::is_control)
}

fn change(ref_name: &str, before: &str, after: &str) -> Result<RefChange, String> {
    if !is_ref_name(ref_name) {
        return Err("a ref's name is not one of git's".to_owned());
    }
    let commit = |text: &str| {
        let commit = CommitId::parse(text).map_err(|error| error.to_string())?;
        Ok::<_, String>((!commit.is_zero()).then_some(commit))
    };
    Ok(RefChange {
        ref_name: ref_name.to_owned(),
        before: commit(before)?,
        after: commit(after)?,
    })
}

fn shown(text: &str) -> String {
    let clean = text.chars().filter(|c| !c.is_control());
    clean.take(SENDER_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "1111111111111111111111111111111111111111";
    const NEW: &str = "2222222222222222222222222222222222222222";
    const ZERO: &str = "0000000000000000000000000000000000000000";

    fn github(ref_name: &str, before: &str, after: &str) -> Understood {
        let body = serde_json::json!({ "ref": ref_name, "before": before, "after": after,
            "repository": { "full_name": "shop/shop" }, "sender": { "login": "mara" } });
        understand(Provider::Github, "push", body.to_string().as_bytes())
    }

    #[test]
    fn a_push_of_github_tells_one_ref() {
        let Understood::Push(push) = github("refs/heads/main", OLD, NEW) else {
            panic!("not a push");
        };
        assert_eq!(push.sender.as_deref(), Some("mara"));
        assert_eq!(push.refs[0].after.as_ref().unwrap().as_str(), NEW);
        let Understood::Push(push) = github("refs/heads/main", OLD, ZERO) else {
            panic!("not a push");
        };
        assert_eq!(push.refs[0].after, None, "deleted");
    }

    #[test]
    fn what_is_no_push_is_told_apart_from_what_is_broken() {
        let of = |event, body: &[u8]| understand(Provider::Github, event, body);
        assert_eq!(of("ping", b"{}"), Understood::Other);
        assert_eq!(of("pull_request", b"{}"), Understood::PullRequest);
        for body in [&b"{\"ref\":\"refs/he"[..], b"[]", b"", b"\xff\xfe", b"null"] {
            let got = of("push", body);
            assert!(matches!(got, Understood::Broken { .. }), "{got:?}");
        }
        for name in [
            "main",
            "refs/heads/\u{7}",
            &format!("refs/{}", "x".repeat(600)),
        ] {
            let got = github(name, OLD, NEW);
            assert!(matches!(got, Understood::Broken { .. }), "{got:?}");
        }
        let got = github("refs/heads/main", "HEAD", NEW);
        assert!(matches!(got, Understood::Broken { .. }), "{got:?}");
    }

    #[test]
    fn a_push_is_about_the_projects_own_repository() {
        let Understood::Push(push) = github("refs/heads/main", OLD, NEW) else {
            panic!("not a push");
        };
        for own in [
            "https://github.com/shop/shop.git",
            "https://github.com/Shop/shop",
            "ssh://git@ssh.github.com:443/shop/shop.git",
            "git@github.com:shop/shop.git",
            "/srv/mirrors/anything.git",
            "file:///srv/mirrors/anything.git",
        ] {
            assert_eq!(push.other_than(own), None, "{own}");
        }
        assert_eq!(
            push.other_than("https://github.com/acme/shop.git").unwrap(),
            "the push is to shop/shop, the project's source is acme/shop"
        );
        let nameless = Push {
            repository: Pushed::Named(None),
            ..push
        };
        assert!(
            nameless
                .other_than("git@github.com:shop/shop.git")
                .is_some()
        );
    }

    #[test]
    fn a_form_is_told_how_to_become_json() {
        let got = understand(Provider::Github, "push", b"payload=%7B%22ref%22%3A");
        let Understood::Broken { problem } = got else {
            panic!("{got:?}");
        };
        assert!(problem.contains("application/json"), "{problem}");
    }

    #[test]
    fn a_push_of_a_plain_repository_tells_each_ref_once() {
        let one = |name: &str, after: &str| GitRef {
            ref_name: name.to_owned(),
            before: ZERO.to_owned(),
            after: after.to_owned(),
        };
        let mut body = GitBody {
            v: 1,
            kind: "push".to_owned(),
            nonce: "n".to_owned(),
            pusher: Some("mara".to_owned()),
            refs: vec![
                one("refs/heads/b", OLD),
                one("refs/heads/a", OLD),
                one("refs/heads/b", NEW),
            ],
        };
        let read =
            |body: &GitBody| understand(Provider::Git, "push", &serde_json::to_vec(body).unwrap());
        let Understood::Push(push) = read(&body) else {
            panic!("not a push");
        };
        let names: Vec<_> = push.refs.iter().map(|r| r.ref_name.as_str()).collect();
        assert_eq!(names, ["refs/heads/a", "refs/heads/b"]);
        assert_eq!(push.refs[1].after.as_ref().unwrap().as_str(), NEW);
        body.refs = vec![one("refs/heads/b", OLD); REFS_MAX + 1];
        assert!(matches!(read(&body), Understood::Broken { .. }));
        body.v = 2;
        assert!(matches!(read(&body), Understood::Broken { .. }));
    }
}
