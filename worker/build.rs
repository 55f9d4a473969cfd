//! Compiles the pod's program, statically, so that the worker brings it along and can put it into
//! any engine: it is one file of plain standard library.

use std::path::PathBuf;
use std::process::Command;

fn main() {
    let source = PathBuf::from("../pod/src/main.rs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let compiler = std::env::var_os("RUSTC").expect("cargo sets RUSTC");
    let target = std::env::var("TARGET").expect("cargo sets TARGET");
    println!("cargo::rerun-if-changed={}", source.display());
    let status = Command::new(compiler)
        .args(["--edition", "2024", "--crate-name", "sallyport_pod"])
        .args(["--target", &target])
        .args(["-C", "target-feature=+crt-static", "-C", "opt-level=s"])
        .args(["-C", "panic=abort", "-C", "strip=symbols"])
        .arg("-o")
        .arg(out.join("sallyport-pod"))
        .arg(&source)
        .status()
        .expect("run the compiler");
    assert!(status.success(), "the pod's program does not compile");
}
