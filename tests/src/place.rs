//! Where the stories of the real worker find what `cargo ci` built and started.

use anyhow::Context as _;
use std::path::PathBuf;

/// Programs and an engine.
pub struct Place {
    /// The socket of the worker's engine.
    pub engine: PathBuf,
    /// The folder of the programs.
    pub binaries: PathBuf,
    /// The address at which the engine reaches a registry; nobody listens there yet.
    pub registry: String,
}

impl Place {
    /// From the environment.
    pub fn find() -> anyhow::Result<Self> {
        let of = |name: &str| std::env::var(name).with_context(|| format!("{name} is not set"));
        Ok(Self {
            engine: of("SALLYPORT_TEST_ENGINE")?.into(),
            binaries: of("SALLYPORT_TEST_BINARIES")?.into(),
            registry: of("SALLYPORT_TEST_REGISTRY")?,
        })
    }
}
