//! `cargo xtask bench links`: builds the program that times notes over bad links and hands it the arguments.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::parts::Stage;
use crate::setup;
use crate::workspace::{BENCH, LINKEM, Workspace};

/// Where the figures of a whole run stand.
const FIGURES: &str = "docs/benchmarks";
/// Where, in the target folder, stands what a run that was stopped had measured.
const BEGUN: &str = "xtask/links.begun.json";

/// Builds the program and becomes it: its exit status is ours. Without arguments it plays everything and writes the figures.
pub(crate) fn links(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    setup::install_missing(workspace)?;
    let Some(program) = Stage::new(workspace).program(BENCH)? else {
        bail!("the bench does not build");
    };
    let mut command = Command::new(&program);
    if arguments.is_empty() {
        command.arg("--write").arg(workspace.root.join(FIGURES));
    }
    let asks = |option: &str| arguments.iter().any(|argument| argument == option);
    if asks("--peers") {
        setup::install_peers(workspace)?;
    }
    if !asks("--real") && !asks("--peers") && !asks("--begun") {
        command.arg("--begun").arg(workspace.target.join(BEGUN));
    }
    if asks("--real") || asks("--peers") {
        let Some(linkem) = Stage::new(workspace).program(LINKEM)? else {
            bail!("linkem does not build");
        };
        command.arg("--linkem").arg(linkem);
    }
    // This returns only if it could not be started.
    let failed = command.args(arguments).exec();
    Err(failed).with_context(|| format!("could not start {}", program.display()))
}
