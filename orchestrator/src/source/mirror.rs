//! The mirrors: one bare repository a project.

use super::error::SourceError;
use super::fetch::fetch;
use super::read::{self, CommitInfo, Contribution, FileAt};
use super::{Archive, archive};
use crate::config::Source;
use contract::digest::CommitId;
use git2::{Repository, RepositoryInitOptions};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// The mirrors of all projects. Cheap to clone.
#[derive(Clone)]
pub struct Mirrors {
    root: PathBuf,
    access: Source,
    /// One fetch of a project at a time: two would fight for the same refs.
    fetching: Arc<Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>>,
    /// One mirror is made at a time.
    making: Arc<Mutex<()>>,
    /// How often anything was fetched.
    #[cfg(test)]
    pub(crate) fetches: Arc<std::sync::atomic::AtomicUsize>,
}

impl Mirrors {
    /// Keeps mirrors below this folder (made when needed).
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            access: Source::default(),
            fetching: Arc::default(),
            making: Arc::default(),
            #[cfg(test)]
            fetches: Arc::default(),
        }
    }

    /// Fetches with what the operator gives.
    pub fn given(self, access: &Source) -> Self {
        let access = access.clone();
        Self { access, ..self }
    }

    /// Fetches branches and tags of the repository at `address` (a path or URL).
    pub async fn fetch(&self, project: &str, address: &str) -> Result<(), SourceError> {
        let turn = {
            let mut fetching = self.fetching.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(fetching.entry(project.to_owned()).or_default())
        };
        let _turn = turn.lock().await;
        #[cfg(test)]
        self.fetches
            .fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        // Made first, with no template: git fetches into a repository that is ours.
        self.with(project, |_, _| Ok(())).await?;
        let into = self.root.join(format!("{project}.git"));
        let config = self.root.join(format!("{project}.gitconfig"));
        let fetching = fetch(project, &into, &config, address, &self.access);
        crate::kill::outside("source.fetch", fetching).await
    }

    /// The commit that a ref of the mirror names; none when there is no such ref.
    pub async fn resolve(
        &self,
        project: &str,
        ref_name: &str,
    ) -> Result<Option<CommitId>, SourceError> {
        let ref_name = ref_name.to_owned();
        self.with(project, move |project, repository| {
            read::resolve(&repository, &ref_name).map_err(|source| SourceError::Open {
                project: project.to_owned(),
                source,
            })
        })
        .await
    }

    /// The commit that an id names; an annotated tag's id names the commit that it is about. None when
    /// the mirror has no such commit.
    pub async fn peel(
        &self,
        project: &str,
        id: &CommitId,
    ) -> Result<Option<CommitId>, SourceError> {
        self.read(project, id, read::peel).await
    }

    /// Whether a commit is one of `heads` or in the history of one, as far as the mirror has them.
    pub async fn is_within(
        &self,
        project: &str,
        commit: &CommitId,
        heads: Vec<CommitId>,
    ) -> Result<bool, SourceError> {
        self.read(project, commit, move |repository, commit| {
            read::is_within(repository, commit, &heads)
        })
        .await
    }

    /// Keeps a commit readable after its branch is gone.
    pub async fn keep(&self, project: &str, commit: &CommitId) -> Result<(), SourceError> {
        self.read(project, commit, read::keep).await
    }

    /// What a commit says of itself; none when the mirror does not have it.
    pub async fn commit(
        &self,
        project: &str,
        commit: &CommitId,
    ) -> Result<Option<CommitInfo>, SourceError> {
        self.read(project, commit, read::commit).await
    }

    /// A file at a commit.
    pub async fn file(
        &self,
        project: &str,
        commit: &CommitId,
        path: &str,
        bytes_max: usize,
    ) -> Result<FileAt, SourceError> {
        let path = path.to_owned();
        self.read(project, commit, move |repository, commit| {
            read::file(repository, commit, &path, bytes_max)
        })
        .await
    }

    /// The paths that differ between two commits; none when that cannot be said (one is not here, or
    /// too many differ).
    pub async fn changed_paths(
        &self,
        project: &str,
        before: &CommitId,
        after: &CommitId,
    ) -> Result<Option<Vec<String>>, SourceError> {
        let before = before.clone();
        self.read(project, after, move |repository, after| {
            read::changed_paths(repository, &before, after)
        })
        .await
    }

    /// Who worked on the commits that `head` brings over `base` (all of them without one); none when
    /// the mirror does not have `head`.
    pub async fn contribution(
        &self,
        project: &str,
        base: Option<&CommitId>,
        head: &CommitId,
    ) -> Result<Option<Contribution>, SourceError> {
        let base = base.cloned();
        self.read(project, head, move |repository, head| {
            read::contribution(repository, base.as_ref(), head)
        })
        .await
    }

    /// The source archive of a commit, or what hinders it.
    pub async fn archive(&self, project: &str, commit: &CommitId) -> Result<Archive, SourceError> {
        let asked = commit.clone();
        self.with(project, move |project, repository| {
            archive::archive(&repository, project, &asked)
        })
        .await
    }

    async fn read<T: Send + 'static>(
        &self,
        project: &str,
        commit: &CommitId,
        work: impl FnOnce(&Repository, &CommitId) -> Result<T, git2::Error> + Send + 'static,
    ) -> Result<T, SourceError> {
        let commit = commit.clone();
        self.with(project, move |project, repository| {
            work(&repository, &commit).map_err(|source| SourceError::Read {
                project: project.to_owned(),
                commit,
                source,
            })
        })
        .await
    }

    /// libgit2 blocks, so its work has a thread of its own.
    async fn with<T: Send + 'static>(
        &self,
        project: &str,
        work: impl FnOnce(&str, Repository) -> Result<T, SourceError> + Send + 'static,
    ) -> Result<T, SourceError> {
        let path = self.root.join(format!("{project}.git"));
        let project = project.to_owned();
        let (name, making) = (project.clone(), Arc::clone(&self.making));
        let done = tokio::task::spawn_blocking(move || {
            let repository = open(&path, &making).map_err(|source| SourceError::Open {
                project: project.clone(),
                source,
            })?;
            work(&project, repository)
        });
        done.await.unwrap_or(Err(SourceError::Panicked(name)))
    }
}

/// Opens a mirror, made when there is none yet: beside its place and then renamed, so that a process
/// that dies in the middle leaves no half a mirror, which would be refused for ever. `making` is held
/// meanwhile; a data folder belongs to one process.
fn open(path: &Path, making: &Mutex<()>) -> Result<Repository, git2::Error> {
    let io = |error: std::io::Error| git2::Error::from_str(&error.to_string());
    let _one = making.lock().unwrap_or_else(PoisonError::into_inner);
    if path.exists() {
        return Repository::open_bare(path);
    }
    let unfinished = path.with_extension("unfinished");
    match std::fs::remove_dir_all(&unfinished) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    let mut options = RepositoryInitOptions::new();
    // No template: nothing of this host's git gets in, and above all no hook.
    options.bare(true).mkpath(true).external_template(false);
    drop(Repository::init_opts(&unfinished, &options)?);
    std::fs::rename(&unfinished, path).map_err(io)?;
    Repository::open_bare(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD as BASE64;
    use http::StatusCode;

    #[tokio::test]
    async fn a_process_that_died_while_it_made_a_mirror_hinders_no_later_one() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("shop.unfinished")).unwrap();
        std::fs::write(root.path().join("shop.unfinished/HEAD"), "ref: ref").unwrap();
        let mirrors = Mirrors::new(root.path());
        let found = mirrors.resolve("shop", "refs/heads/main").await.unwrap();
        assert_eq!(found, None);
        assert!(root.path().join("shop.git/HEAD").is_file());
    }

    /// A forge at `https://localhost:<port>` with a certificate of its own, which gives a repository's files
    /// (git's older way over http) to who knows the token; and its certificate.
    async fn forge(repository: &Path, token: &str) -> (u16, String) {
        let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let certificate = own.cert.pem();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![own.cert.der().clone()],
                rustls::pki_types::PrivateKeyDer::try_from(own.signing_key.serialize_der())
                    .unwrap(),
            )
            .unwrap();
        let wanted = format!("Basic {}", BASE64.encode(format!("robot:{token}")));
        let files = repository.to_owned();
        let answer = move |headers: http::HeaderMap, uri: http::Uri| async move {
            if headers
                .get("authorization")
                .is_none_or(|given| given != wanted.as_str())
            {
                let ask = [("www-authenticate", "Basic realm=\"forge\"")];
                return (StatusCode::UNAUTHORIZED, ask, Vec::new());
            }
            let path = uri.path().trim_start_matches("/shop.git/");
            let no_more = [("cache-control", "no-store")];
            match std::fs::read(files.join(path)) {
                Ok(bytes) => (StatusCode::OK, no_more, bytes),
                Err(_) => (StatusCode::NOT_FOUND, no_more, Vec::new()),
            }
        };
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let tls = axum_server::tls_rustls::RustlsConfig::from_config(Arc::new(tls));
        let app = axum::Router::new().fallback(answer);
        let serving = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio_util::task::TaskTracker::new().spawn(serving.serve(app.into_make_service()));
        (port, certificate)
    }

    #[tokio::test]
    async fn a_private_repository_is_fetched_with_the_operators_credentials_which_stay_as_they_are()
    {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let repository = Repository::init_bare(at("shop.git")).unwrap();
        let who = git2::Signature::now("Dana", "dana@shop.example").unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        let commit = repository
            .commit(Some("refs/heads/main"), &who, &who, "first", &tree, &[])
            .unwrap();
        let told = std::process::Command::new("git")
            .arg("--git-dir")
            .arg(at("shop.git"))
            .arg("update-server-info")
            .status();
        assert!(told.unwrap().success());
        let (port, certificate) = forge(&at("shop.git"), "good").await;
        std::fs::write(at("ca.pem"), certificate).unwrap();
        let credentials = at("it's a file");
        let mirrors = Mirrors::new(&at("mirrors")).given(&Source {
            credentials_file: Some(credentials.clone()),
            ca_file: Some(at("ca.pem")),
        });
        let address = format!("https://localhost:{port}/shop.git");

        // For another host there is one that would do; it goes to no other.
        for bad in [
            format!("https://robot:bad@localhost:{port}\n"),
            "https://robot:good@other.example\n".to_owned(),
        ] {
            std::fs::write(&credentials, &bad).unwrap();
            let refused = mirrors.fetch("shop", &address).await.unwrap_err();
            let said = format!("{refused}");
            assert!(!said.contains("bad") && !said.contains("good"), "{said}");
            assert!(said.contains("[source] credentials-file"), "{said}");
            assert_eq!(std::fs::read_to_string(&credentials).unwrap(), bad);
        }
        let good = format!("https://robot:good@localhost:{port}\n");
        std::fs::write(&credentials, good).unwrap();
        mirrors.fetch("shop", &address).await.unwrap();
        let found = mirrors.resolve("shop", "refs/heads/main").await.unwrap();
        assert_eq!(found.unwrap().to_string(), commit.to_string());
    }
}
