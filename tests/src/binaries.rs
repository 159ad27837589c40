//! Where the programs are that people run.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Returns the relay's program: what `ZAJIL_RELAY_EXE` names, or what cargo builds.
pub fn relay() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("ZAJIL_RELAY_EXE", "zajil-relay", "zajil-relay"))
}

/// Returns the command line's program: what `ZAJIL_CLI_EXE` names, or what cargo builds.
pub fn client() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| program("ZAJIL_CLI_EXE", "zajil-client", "zajil"))
}

fn program(variable: &str, package: &str, name: &str) -> PathBuf {
    if let Some(given) = std::env::var_os(variable) {
        return given.into();
    }
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--locked", "-p", package, "--bin", name, "--message-format", "json-render-diagnostics"]);
    // What cargo told this test about its own package would make build scripts that look at it (ring's) start over.
    let inherited = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"];
    for (variable, _) in std::env::vars_os() {
        if variable.to_str().is_some_and(|variable| inherited.iter().any(|start| variable.starts_with(start))) {
            cargo.env_remove(&variable);
        }
    }
    let built = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).stderr(Stdio::inherit()).output().expect("cargo starts");
    assert!(built.status.success(), "{name} does not build");
    let messages = cargo_metadata::Message::parse_stream(built.stdout.as_slice());
    let executable = messages.filter_map(Result::ok).find_map(|message| match message {
        cargo_metadata::Message::CompilerArtifact(artifact) if artifact.target.name == name => artifact.executable,
        _ => None,
    });
    executable.unwrap_or_else(|| panic!("cargo names no program {name}")).into()
}
