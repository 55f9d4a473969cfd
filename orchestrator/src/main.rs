//! The `sallyport` binary: server, signer and command line.

use clap::Parser as _;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The one TLS provider of the process, before anything speaks TLS.
    drop(rustls::crypto::aws_lc_rs::default_provider().install_default());
    let cli = orchestrator::cli::Cli::parse();
    match orchestrator::lifecycle::run(orchestrator::cli::run(cli)) {
        Ok(code) => code,
        Err(_) => ExitCode::from(orchestrator::cli::exit::COULD_NOT),
    }
}
