//! `sallyport check-config`, `sallyport signer check-config`: all that is wrong with a configuration and
//! with what it names (files, folders, sockets, and who may read them), without starting anything.

use super::{complain, exit, read_secret, say};
use crate::config::{Config, ConfigError, Fault, MasterKey, Origins, Place, known_database};
use crate::instance::ServerKeys;
use crate::reconcile::problem;
use crate::signing::SignerConfig;
use crate::vault;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;

/// A list of certificates is a few hundred KiB; what is longer is something else.
const CA_BYTES_MAX: u64 = 4 << 20;

/// Checks the server's.
pub(super) fn server(place: &Place) -> u8 {
    let found = Config::load_whole(place);
    told(
        place,
        found.map(|(config, origins)| (server_faults(&config), origins)),
    )
}

/// Checks the signer's.
pub(super) fn signer(place: &Place) -> u8 {
    let found = SignerConfig::load_whole(place);
    told(
        place,
        found.map(|(config, origins)| {
            let signer = &config.signer;
            let faults = signer_faults(&signer.data_dir, &signer.socket, &config.master_key);
            (faults, origins)
        }),
    )
}

fn told(place: &Place, found: Result<(Vec<Fault>, Origins), ConfigError>) -> u8 {
    let problems = match found {
        Ok((faults, origins)) => origins.blame(&faults),
        Err(ConfigError(problems)) => problems,
    };
    for problem in &problems {
        complain(&format!("error: {problem}"));
    }
    if problems.is_empty() {
        say(&format!("{} is good", place.path.display()));
        exit::YES
    } else {
        exit::NO
    }
}

/// Everything that is wrong with what the server's configuration names.
fn server_faults(config: &Config) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut note = |section, key, found: Result<(), String>| {
        faults.extend(found.err().map(|problem| Fault {
            section,
            key,
            problem,
        }));
    };
    let data_dir = &config.server.data_dir;
    let looked = private_folder(data_dir).and_then(|()| keys(data_dir, &config.master_key));
    note("server", "data-dir", looked);
    note(
        "signer",
        "socket",
        socket_of(&config.signer.socket, config.signer.uid),
    );
    if let Some(file) = &config.database.url_file {
        note("database", "url-file", database_in(file));
    }
    if let Some(file) = &config.registry.ca_file {
        note("registry", "ca-file", certificates(file));
    }
    if let Some(file) = &config.source.credentials_file {
        note("source", "credentials-file", private_file(file));
    }
    if let Some(file) = &config.source.ca_file {
        note("source", "ca-file", certificates(file));
    }
    faults.extend(master_key(&config.master_key));
    faults
}

/// As above, for the signer.
fn signer_faults(data_dir: &Path, socket: &Path, key: &MasterKey) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut note = |key, found: Result<(), String>| {
        faults.extend(found.err().map(|problem| Fault {
            section: "signer",
            key,
            problem,
        }));
    };
    note("data-dir", private_folder(data_dir));
    let folder = socket.parent().unwrap_or(Path::new("."));
    let there = folder.is_dir().then_some(());
    let missing = || format!("there is no folder {} to listen in", folder.display());
    note("socket", there.ok_or_else(missing));
    faults.extend(master_key(key));
    faults
}

/// The key itself is taken from where it is, and forgotten.
fn master_key(config: &MasterKey) -> Option<Fault> {
    let error = vault::MasterKey::load(config).err()?;
    let key = match (&config.file, &config.command) {
        (Some(_), _) => "file",
        (None, Some(_)) => "command",
        (None, None) => "env",
    };
    let source = std::error::Error::source(&error);
    let problem = source.map_or_else(|| error.to_string(), |source| format!("{error}: {source}"));
    Some(Fault {
        section: "master-key",
        key,
        problem,
    })
}

/// The keys that `init` made, opened and forgotten. Before `init` there are none; a master key that cannot
/// be had is complained of itself.
fn keys(data_dir: &Path, config: &MasterKey) -> Result<(), String> {
    let made = data_dir.join("keys").is_dir();
    let Some(Ok(master)) = made.then(|| vault::MasterKey::load(config)) else {
        return Ok(());
    };
    let loaded = ServerKeys::load(data_dir, &master).map(drop);
    loaded.map_err(|error| problem(&error))
}

/// A folder of our own that nobody else can look into. One that is not there is made by `init`.
fn private_folder(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let found = match std::fs::metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let parent = path
                .parent()
                .is_some_and(|parent| parent.as_os_str().is_empty() || parent.is_dir());
            return if parent {
                Err(format!("{shown} is not there: run `init` first"))
            } else {
                Err(format!("neither {shown} nor the folder above it is there"))
            };
        }
        Err(error) => return Err(format!("{shown}: {error}")),
    };
    if !found.is_dir() {
        return Err(format!("{shown} is not a folder"));
    }
    let own = nix::unistd::geteuid().as_raw();
    if found.uid() != own {
        return Err(format!(
            "{shown} belongs to uid {}, this is uid {own}",
            found.uid()
        ));
    }
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "mode {mode:03o} lets others in; run `chmod 700 {shown}`"
        ));
    }
    Ok(())
}

/// A private file with a database's address, of which nothing is shown.
fn database_in(path: &Path) -> Result<(), String> {
    private_file(path)?;
    let shown = path.display();
    let url = read_secret(path).map_err(|error| format!("{error:#}"))?;
    known_database(url.trim()).map_err(|problem| format!("{shown}: {problem}"))
}

/// A file that may hold a secret.
fn private_file(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let file =
        std::fs::File::open(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    let found = file
        .metadata()
        .map_err(|error| format!("{shown}: {error}"))?;
    let mode = found.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(format!(
            "mode {mode:03o} lets others read it; run `chmod 600 {shown}`"
        ));
    }
    Ok(())
}

/// The signer's socket: there once the signer runs, and its own.
fn socket_of(path: &Path, uid: u32) -> Result<(), String> {
    let shown = path.display();
    let found = std::fs::metadata(path)
        .map_err(|error| format!("{shown}: {error}; does `sallyport signer run` run?"))?;
    if !found.file_type().is_socket() {
        return Err(format!("{shown} is not a socket"));
    }
    if found.uid() != uid {
        return Err(format!(
            "{shown} belongs to uid {}, `uid` says {uid}",
            found.uid()
        ));
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<(), String> {
    let shown = path.display();
    let length =
        std::fs::metadata(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    if length.len() > CA_BYTES_MAX {
        return Err(format!("{shown} is longer than any list of certificates"));
    }
    let text = std::fs::read(path).map_err(|error| format!("cannot read {shown}: {error}"))?;
    match reqwest::Certificate::from_pem_bundle(&text) {
        Ok(found) if !found.is_empty() => Ok(()),
        Ok(_) | Err(_) => Err(format!("{shown} holds no certificate in PEM")),
    }
}
