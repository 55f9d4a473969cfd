//! The `sallyport` binary: server, signer and command line.

use clap::Parser as _;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    // The one TLS provider of the process, before anything speaks TLS.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    orchestrator::cli::run(orchestrator::cli::Cli::parse()).await
}
