//! The workspace as cargo sees it: where it is, what is in it, where cargo puts what it builds.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// The package of the relay, and the name of its program.
pub(crate) const RELAY: Program = Program { package: "zajil-relay", name: "zajil-relay" };

/// The package of the engine and command line, and the name of its program.
pub(crate) const CLIENT: Program = Program { package: "zajil-client", name: "zajil" };

/// The package of the tests of the whole, and the program that plays the simulated world.
pub(crate) const SIM: Program = Program { package: "zajil-tests", name: "zajil-sim" };

/// The program that puts bad links between network namespaces.
pub(crate) const LINKEM: Program = Program { package: "linkem", name: "linkem" };

/// The program that times notes over bad links.
pub(crate) const BENCH: Program = Program { package: "zajil-bench", name: "zajil-bench" };

/// The package of the end-to-end tests.
pub(crate) const END_TO_END: &str = "zajil-tests";

/// The test binary of [`END_TO_END`] that plays the simulated world.
pub(crate) const SIMULATION: &str = "simulation";

/// A program of ours.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Program {
    /// The package it is built from.
    pub(crate) package: &'static str,
    /// Its own name.
    pub(crate) name: &'static str,
}

/// One member of the workspace.
#[derive(Debug)]
pub(crate) struct Package {
    /// Its name.
    pub(crate) name: String,
    /// Whether it has a library, and so may have doc tests.
    pub(crate) library: bool,
    /// Whether it has the feature that links the sound system.
    pub(crate) sound: bool,
    /// The names of its test binaries, those in its library and programs left out.
    pub(crate) tests: Vec<String>,
}

/// The workspace this program was started in.
#[derive(Debug)]
pub(crate) struct Workspace {
    /// Its top folder.
    pub(crate) root: PathBuf,
    /// Its members.
    pub(crate) packages: Vec<Package>,
    /// Where cargo puts what it builds.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo for the workspace this program belongs to.
    pub(crate) fn find() -> Result<Self> {
        // `cargo run` says where our manifest is now; the compiled-in place is right unless the tree has moved since.
        let manifest = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&manifest).parent().context("xtask lies in no workspace")?.to_owned();
        let mut metadata = cargo_in(&root);
        metadata.args(["metadata", "--no-deps", "--locked", "--format-version", "1"]);
        let output = metadata.output().context("could not start cargo")?;
        if !output.status.success() {
            bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout)?;
        let target = metadata.pointer("/target_directory").and_then(Value::as_str).context("no target directory")?;
        let packages = metadata.pointer("/packages").and_then(Value::as_array).context("no packages")?;
        let packages = packages.iter().map(package).collect::<Result<_>>()?;
        Ok(Self { root, packages, target: target.into() })
    }

    /// Cargo, in the top folder, as a person would start it there.
    pub(crate) fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// The file that keeps what one command prints.
    pub(crate) fn log(&self, label: &str) -> Result<PathBuf> {
        let folder = self.target.join("xtask");
        std::fs::create_dir_all(&folder).with_context(|| format!("could not make {}", folder.display()))?;
        Ok(folder.join(label.replace(' ', "-")).with_extension("log"))
    }

    /// The program's path, from the messages of the cargo run that built it.
    ///
    /// # Errors
    ///
    /// If no message names it: then cargo did not build it.
    pub(crate) fn executable(program: Program, messages: &str) -> Result<PathBuf> {
        let built = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mut paths = built.filter_map(|message| {
            let is_ours = message.pointer("/reason")? == "compiler-artifact"
                && message.pointer("/target/name")? == program.name
                && message.pointer("/target/kind")?.as_array()?.iter().any(|kind| kind == "bin");
            is_ours.then(|| message.pointer("/executable")?.as_str().map(PathBuf::from))?
        });
        paths.next().with_context(|| format!("cargo built {} but named no program {}", program.package, program.name))
    }
}

/// Cargo in a folder, without what the cargo that runs us has set for us.
///
/// `cargo run` gives us variables that describe our own package. Build scripts (ring's is one) ask cargo to run them again
/// whenever such a variable has changed; passed on, they would rebuild half the tree each time.
fn cargo_in(root: &Path) -> Command {
    let mut command = process::command(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).env("CARGO_TERM_COLOR", "never");
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let ours = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_", "CARGO_PRIMARY_"];
        if ours.iter().any(|prefix| text.starts_with(prefix)) {
            command.env_remove(&name);
        }
    }
    command
}

fn package(package: &Value) -> Result<Package> {
    let name = package.pointer("/name").and_then(Value::as_str).context("a package without a name")?.to_owned();
    let targets = package.pointer("/targets").and_then(Value::as_array).context("a package without targets")?;
    let is = |target: &Value, kind: &str| target.pointer("/kind/0").is_some_and(|own| own == kind);
    let library = targets.iter().any(|target| is(target, "lib"));
    let tests = targets.iter().filter(|target| is(target, "test"));
    let tests = tests.filter_map(|target| target.pointer("/name")?.as_str().map(str::to_owned)).collect();
    Ok(Package { name, library, sound: package.pointer("/features/sound").is_some(), tests })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_in_cargos_messages_and_nowhere_else() {
        let messages = r#"   Compiling zajil-relay
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"zajil_relay"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"zajil-relay"},"executable":"/elsewhere/debug/zajil-relay"}
"#;
        let found = Workspace::executable(RELAY, messages).expect("the message is there");
        assert_eq!(found, Path::new("/elsewhere/debug/zajil-relay"));
        assert!(Workspace::executable(CLIENT, messages).is_err());
    }
}
