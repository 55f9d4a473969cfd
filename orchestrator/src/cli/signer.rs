//! `sallyport signer`: the process that holds the provenance and release keys.

use super::{exit, say};
use crate::clock::{Clock, SystemClock};
use crate::config::Place;
use crate::id::SystemIds;
use crate::lifecycle::{Signals, Tasks};
use crate::signing::{self, Signer, SignerConfig};
use crate::telemetry;
use anyhow::Context as _;
use clap::Subcommand;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All take `--config signer.toml`.
#[derive(Debug, Subcommand)]
pub(super) enum SignerCommand {
    /// Make its keys and journal, and print the public keys; what is there is kept.
    Init {
        /// Also write `provenance.pub` and `release.pub` into this folder.
        #[arg(long)]
        public: Option<PathBuf>,
    },
    /// Say what is wrong with its configuration, without starting.
    CheckConfig,
    /// Run it.
    Run,
}

pub(super) async fn run(place: &Place, command: SignerCommand) -> anyhow::Result<u8> {
    match command {
        SignerCommand::CheckConfig => Ok(super::check_config::signer(place)),
        SignerCommand::Init { public } => init(&SignerConfig::load(place)?, public.as_deref()),
        SignerCommand::Run => serve(&SignerConfig::load(place)?).await,
    }
}

fn init(config: &SignerConfig, folder: Option<&Path>) -> anyhow::Result<u8> {
    let ids = SystemIds::new(Arc::new(SystemClock));
    for key in signing::init(config, &ids)? {
        say(&format!(
            "{} key {}\n{}",
            key.role.as_str(),
            key.id,
            key.pem.trim_end()
        ));
        if let Some(folder) = folder {
            let path = folder.join(format!("{}.pub", key.role.as_str()));
            std::fs::write(&path, &key.pem).with_context(|| format!("write {}", path.display()))?;
        }
    }
    Ok(exit::YES)
}

async fn serve(config: &SignerConfig) -> anyhow::Result<u8> {
    telemetry::start(config.log.format);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let signer = Arc::new(Signer::open(config, clock)?);
    let tasks = Tasks::default();
    let mut signals = Signals::listen()?;
    signing::serve(config, signer, &tasks).await?;
    tracing::info!(socket = %config.signer.socket.display(), "signing for uid {}", config.signer.server_uid);
    let good = tasks.run_to_end(&mut signals).await;
    Ok(if good { exit::YES } else { exit::COULD_NOT })
}
