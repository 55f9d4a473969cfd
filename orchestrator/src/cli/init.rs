//! `sallyport init`.

use super::{complain, exit, say};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Place};
use crate::db::Db;
use crate::ground::Ground;
use crate::id::SystemIds;
use crate::identity::AddOutcome;
use crate::instance::{self, FirstAdmin, InitOutcome, Lock, REGISTRY_CERTIFICATE};
use crate::signing::{KeyRole, PublicKey, SignerClient};
use crate::vault::MasterKey;
use anyhow::{Context as _, bail};
use clap::Args;
use contract::name::Name;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

#[derive(Debug, Args)]
pub(super) struct InitArgs {
    /// The first administrator's name.
    #[arg(long)]
    admin: String,
    /// A file that holds the administrator's password.
    #[arg(long)]
    admin_password_file: PathBuf,
    /// The administrator's address.
    #[arg(long)]
    admin_email: Option<String>,
}

pub(super) async fn init(place: &Place, args: InitArgs) -> anyhow::Result<u8> {
    let config = Config::load(place)?;
    let data_dir = &config.server.data_dir;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .with_context(|| format!("make {} ([server] data-dir)", data_dir.display()))?;
    let _lock = Lock::take(data_dir)?;
    let master = MasterKey::load(&config.master_key)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let db = Db::open(&config.database_url()?)
        .await
        .context("open the database")?;
    let ids = Arc::new(SystemIds::new(Arc::clone(&clock)));
    let ground = Ground { db, clock, ids };
    let admin = FirstAdmin {
        name: Name::parse(&args.admin)?,
        email: args.admin_email,
        password: super::read_secret(&args.admin_password_file)?,
    };
    let keys = signer_keys(&config).await;
    let outcome = match keys {
        Ok(keys) => instance::init(&ground, &config, &master, keys, admin)
            .await
            .map_err(anyhow::Error::from),
        Err(error) => Err(error),
    };
    ground.db.close().await;
    match outcome? {
        InitOutcome::Made(made) => {
            say(&format!(
                "instance {}\nreached at {}",
                made.id, made.public_url
            ));
            let certificate = data_dir.join(REGISTRY_CERTIFICATE);
            say(&format!(
                "the registry's rootcertbundle: {}",
                certificate.display()
            ));
            Ok(exit::YES)
        }
        InitOutcome::AlreadyMade(made) => {
            say(&format!(
                "instance {} is there already; nothing was changed",
                made.id
            ));
            Ok(exit::YES)
        }
        InitOutcome::Admin(AddOutcome::PasswordLength { min, max }) => {
            complain(&format!(
                "error: the administrator's password has to have {min} to {max} bytes"
            ));
            Ok(exit::NO)
        }
        InitOutcome::Admin(refused) => {
            complain(&format!(
                "error: the administrator could not be added: {refused:?}"
            ));
            Ok(exit::NO)
        }
    }
}

/// The signer's public halves, and no others: it holds no key of the server.
async fn signer_keys(config: &Config) -> anyhow::Result<Vec<PublicKey>> {
    let keys = SignerClient::new(&config.signer).keys().await.context(
        "record the signer's public keys ([signer] socket, uid); start `sallyport signer run` first",
    )?;
    for role in [KeyRole::Provenance, KeyRole::Release] {
        if keys.iter().filter(|key| key.role == role).count() != 1 {
            bail!("the signer does not hold exactly one {} key", role.as_str());
        }
    }
    if keys.len() != 2 {
        bail!("the signer shows keys of roles that are not its own");
    }
    Ok(keys)
}
