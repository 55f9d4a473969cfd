//! Reads a mirror at a commit, with limits.

use contract::digest::CommitId;
use git2::{Commit, ErrorCode, ObjectType, Oid, Repository};
use std::collections::BTreeMap;

/// A title longer than this is cut: it is one line of a list.
const TITLE_CHARS_MAX: usize = 200;
/// Names and addresses of people.
const PERSON_CHARS_MAX: usize = 200;
/// More changed paths than this count as "not known", which matches every filter.
const CHANGED_PATHS_MAX: usize = 10_000;
/// Commits that are read to find out who worked on a release: the first one of an old repository has
/// its whole history. It takes about a second.
const COMMITS_MAX: usize = 20_000;
/// Different addresses among them.
const CONTRIBUTORS_MAX: usize = 2_000;
/// Of these commits, the newest ones are told one by one: more is read by nobody.
const LISTED_MAX: usize = 200;
/// Outside of what a fetch writes and prunes.
const KEEP: &str = "refs/keep/";

/// What a commit says of itself: claims of whoever made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitInfo {
    /// The first line of its message.
    pub title: String,
    /// The committer's time, seconds since 1970 UTC.
    pub time: i64,
    /// The author's name.
    pub author_name: String,
    /// The author's address.
    pub author_email: String,
    /// The committer's address.
    pub committer_email: String,
}

/// Who worked on the commits between two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contribution {
    /// How many commits were read.
    pub commits: usize,
    /// Whether these are all.
    pub complete: bool,
    /// Their authors and committers, one a address.
    pub people: Vec<Contributor>,
    /// The newest of them, in the order of `git log`.
    pub listed: Vec<ListedCommit>,
}

/// One of these commits, as it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedCommit {
    /// The commit.
    pub id: String,
    /// The first line of its message.
    pub title: String,
    /// Who wrote it.
    pub author: Named,
    /// Who committed it.
    pub committer: Named,
    /// The committer's time, seconds since 1970 UTC.
    pub time: i64,
}

/// A name and an address, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// The name.
    pub name: String,
    /// The address.
    pub address: String,
}

/// Somebody who worked on a commit, as it claims.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contributor {
    /// Their name.
    pub name: String,
    /// Their address, in lower case.
    pub address: String,
    /// Whether they wrote one.
    pub wrote: bool,
    /// Whether they committed one.
    pub committed: bool,
}

/// What lies at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileAt {
    /// A file.
    Bytes(Vec<u8>),
    /// Nothing.
    Missing,
    /// A folder, a link, a submodule.
    NotAFile,
    /// A file that is longer than it may be.
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

pub(super) fn resolve(
    repository: &Repository,
    ref_name: &str,
) -> Result<Option<CommitId>, git2::Error> {
    let Some(reference) = missing_is_none(repository.find_reference(ref_name))? else {
        return Ok(None);
    };
    let commit = reference.peel_to_commit()?;
    Ok(CommitId::parse(&commit.id().to_string()).ok())
}

/// The commit that an id names: itself, or what an annotated tag with this id is about. None when the
/// mirror has no such object, or it is a tag of something else.
pub(super) fn peel(
    repository: &Repository,
    id: &CommitId,
) -> Result<Option<CommitId>, git2::Error> {
    let found = find(repository, id)?;
    Ok(found.and_then(|commit| CommitId::parse(&commit.id().to_string()).ok()))
}

/// Whether a commit is one of `heads`, or in the history of one. Heads that the mirror does not have hold
/// nothing.
pub(super) fn is_within(
    repository: &Repository,
    commit: &CommitId,
    heads: &[CommitId],
) -> Result<bool, git2::Error> {
    let sought = oid(commit)?;
    for head in heads {
        if head == commit {
            return Ok(true);
        }
        if find(repository, head)?.is_some()
            && repository.graph_descendant_of(oid(head)?, sought)?
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Holds a commit that runs are made of under a ref of its own: its branch may be deleted, and whoever
/// collects garbage in the mirror takes only what no ref names.
pub(super) fn keep(repository: &Repository, commit: &CommitId) -> Result<(), git2::Error> {
    let name = format!("{KEEP}{commit}");
    repository.reference(&name, oid(commit)?, true, "")?;
    Ok(())
}

pub(super) fn commit(
    repository: &Repository,
    commit: &CommitId,
) -> Result<Option<CommitInfo>, git2::Error> {
    let Some(found) = find(repository, commit)? else {
        return Ok(None);
    };
    let (author, committer) = (found.author(), found.committer());
    let text = |bytes: &[u8]| shown(&String::from_utf8_lossy(bytes), PERSON_CHARS_MAX);
    Ok(Some(CommitInfo {
        title: title(&found),
        time: found.time().seconds(),
        author_name: text(author.name_bytes()),
        author_email: text(author.email_bytes()),
        committer_email: text(committer.email_bytes()),
    }))
}

pub(super) fn file(
    repository: &Repository,
    commit: &CommitId,
    path: &str,
    bytes_max: usize,
) -> Result<FileAt, git2::Error> {
    let tree = repository.find_commit(oid(commit)?)?.tree()?;
    let Some(entry) = missing_is_none(tree.get_path(std::path::Path::new(path)))? else {
        return Ok(FileAt::Missing);
    };
    if entry.kind() != Some(ObjectType::Blob) || is_link(entry.filemode()) {
        return Ok(FileAt::NotAFile);
    }
    // The header first: a huge blob is not read to find out that it is huge.
    let (bytes, _) = repository.odb()?.read_header(entry.id())?;
    if bytes > bytes_max {
        return Ok(FileAt::TooLarge { bytes });
    }
    Ok(FileAt::Bytes(
        repository.find_blob(entry.id())?.content().to_vec(),
    ))
}

pub(super) fn changed_paths(
    repository: &Repository,
    before: &CommitId,
    after: &CommitId,
) -> Result<Option<Vec<String>>, git2::Error> {
    // Where a tag was moved, what it was before is an object of its own.
    let Some(old) = find(repository, before)? else {
        return Ok(None);
    };
    let new = repository.find_commit(oid(after)?)?;
    let diff = repository.diff_tree_to_tree(Some(&old.tree()?), Some(&new.tree()?), None)?;
    if diff.deltas().len() > CHANGED_PATHS_MAX {
        return Ok(None);
    }
    let mut paths = std::collections::BTreeSet::new();
    for delta in diff.deltas() {
        for file in [delta.old_file(), delta.new_file()] {
            if let Some(path) = file.path_bytes() {
                paths.insert(String::from_utf8_lossy(path).into_owned());
            }
        }
    }
    Ok(Some(paths.into_iter().collect()))
}

/// What `head` brings over `base`: every commit between the two, or all of them without a base; none
/// when the mirror does not have `head`. A base that it does not have hides nothing.
pub(super) fn contribution(
    repository: &Repository,
    base: Option<&CommitId>,
    head: &CommitId,
) -> Result<Option<Contribution>, git2::Error> {
    within(repository, base, head, (COMMITS_MAX, CONTRIBUTORS_MAX))
}

fn within(
    repository: &Repository,
    base: Option<&CommitId>,
    head: &CommitId,
    (commits_max, people_max): (usize, usize),
) -> Result<Option<Contribution>, git2::Error> {
    if missing_is_none(repository.find_commit(oid(head)?))?.is_none() {
        return Ok(None);
    }
    let mut walk = repository.revwalk()?;
    walk.push(oid(head)?)?;
    if let Some(base) = base
        && missing_is_none(repository.find_commit(oid(base)?))?.is_some()
    {
        walk.hide(oid(base)?)?;
    }
    let mut people: BTreeMap<String, Contributor> = BTreeMap::new();
    let (mut commits, mut complete, mut listed) = (0, true, Vec::new());
    for id in walk {
        if commits == commits_max || people.len() >= people_max {
            complete = false;
            break;
        }
        let commit = repository.find_commit(id?)?;
        commits += 1;
        let (author, committer) = (named(&commit.author()), named(&commit.committer()));
        for (named, wrote) in [(&author, true), (&committer, false)] {
            let person = people
                .entry(named.address.clone())
                .or_insert_with(|| Contributor {
                    name: named.name.clone(),
                    address: named.address.clone(),
                    wrote: false,
                    committed: false,
                });
            person.wrote |= wrote;
            person.committed |= !wrote;
        }
        if listed.len() < LISTED_MAX {
            listed.push(ListedCommit {
                id: commit.id().to_string(),
                title: title(&commit),
                author,
                committer,
                time: commit.time().seconds(),
            });
        }
    }
    Ok(Some(Contribution {
        commits,
        complete,
        people: people.into_values().collect(),
        listed,
    }))
}

/// The first line of a commit's message.
fn title(commit: &Commit<'_>) -> String {
    let message = String::from_utf8_lossy(commit.message_bytes());
    let first = message.trim_start().lines().next().unwrap_or("");
    shown(first, TITLE_CHARS_MAX)
}

fn named(signature: &git2::Signature<'_>) -> Named {
    let text = |bytes: &[u8]| shown(&String::from_utf8_lossy(bytes), PERSON_CHARS_MAX);
    Named {
        name: text(signature.name_bytes()),
        address: text(signature.email_bytes()).trim().to_lowercase(),
    }
}

fn find<'r>(repository: &'r Repository, id: &CommitId) -> Result<Option<Commit<'r>>, git2::Error> {
    let Some(object) = missing_is_none(repository.find_object(oid(id)?, None))? else {
        return Ok(None);
    };
    match object.peel_to_commit() {
        Ok(commit) => Ok(Some(commit)),
        Err(error)
            if matches!(
                error.code(),
                ErrorCode::NotFound | ErrorCode::Peel | ErrorCode::InvalidSpec
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

pub(super) fn oid(commit: &CommitId) -> Result<Oid, git2::Error> {
    Oid::from_str(commit.as_str())
}

/// A link is a blob to git; where it leads is nobody's business here.
pub(super) fn is_link(filemode: i32) -> bool {
    filemode == 0o120_000
}

fn missing_is_none<T>(result: Result<T, git2::Error>) -> Result<Option<T>, git2::Error> {
    match result {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Foreign text on one line, cut.
fn shown(text: &str, chars_max: usize) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .take(chars_max)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A commit of these two on top of others.
    fn commit(git: &Repository, author: &str, committer: &str, parents: &[&CommitId]) -> CommitId {
        let who = |name: &str| {
            let address = format!("{name}@Shop.example");
            git2::Signature::new(name, &address, &git2::Time::new(1_700_000_000, 0)).unwrap()
        };
        let tree = git.treebuilder(None).unwrap().write().unwrap();
        let tree = git.find_tree(tree).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|id| git.find_commit(oid(id).unwrap()).unwrap())
            .collect();
        let parents: Vec<_> = parents.iter().collect();
        let made = git.commit(None, &who(author), &who(committer), "x", &tree, &parents);
        CommitId::parse(&made.unwrap().to_string()).unwrap()
    }

    fn parts(contribution: &Contribution) -> Vec<(&str, bool, bool)> {
        let people = contribution.people.iter();
        people
            .map(|p| (p.address.as_str(), p.wrote, p.committed))
            .collect()
    }

    #[test]
    fn who_worked_on_the_commits_between_two() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let first = commit(&git, "amir", "amir", &[]);
        let branch = commit(&git, "bea", "cleo", &[&first]);
        let main = commit(&git, "dan", "dan", &[&first]);
        let merge = commit(&git, "dan", "eve", &[&main, &branch]);
        let of = |base: Option<&CommitId>, head: &CommitId| {
            contribution(&git, base, head).unwrap().unwrap()
        };
        let all = of(None, &merge);
        assert_eq!((all.commits, all.complete), (4, true));
        let since = of(Some(&main), &merge);
        assert_eq!(since.commits, 2, "the branch comes in, too");
        assert_eq!(
            parts(&since),
            [
                ("bea@shop.example", true, false),
                ("cleo@shop.example", false, true),
                ("dan@shop.example", true, false),
                ("eve@shop.example", false, true),
            ]
        );
        let listed: Vec<(&str, &str, &str)> = since
            .listed
            .iter()
            .map(|c| (c.id.as_str(), c.author.name.as_str(), c.title.as_str()))
            .collect();
        let in_order = [(merge.as_str(), "dan", "x"), (branch.as_str(), "bea", "x")];
        assert_eq!(listed, in_order);
        assert_eq!(
            of(Some(&merge), &first).commits,
            0,
            "going back brings none"
        );
        let unknown = CommitId::parse(&"1".repeat(40)).unwrap();
        assert_eq!(
            of(Some(&unknown), &merge),
            all,
            "an unknown base hides nothing"
        );
        assert_eq!(contribution(&git, None, &unknown).unwrap(), None);
    }

    #[test]
    fn more_than_is_read_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(folder.path()).unwrap();
        let first = commit(&git, "amir", "amir", &[]);
        let second = commit(&git, "bea", "bea", &[&first]);
        let of = |limits| within(&git, None, &second, limits).unwrap().unwrap();
        let seen = |c: Contribution| (c.commits, c.people.len(), c.complete);
        assert_eq!(seen(of((2, 3))), (2, 2, true));
        assert_eq!(seen(of((1, 3))), (1, 1, false));
        assert_eq!(seen(of((2, 1))), (1, 1, false));
    }
}
