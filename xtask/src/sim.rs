//! `cargo xtask sim`: builds the simulated world's program and hands it the arguments.

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::parts::Stage;
use crate::setup;
use crate::workspace::{SIM, Workspace};

/// Builds the program and becomes it, where the user stands: its exit status is ours, and Ctrl-C reaches it alone.
pub(crate) fn sim(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    setup::install_missing(workspace)?;
    let Some(program) = Stage::new(workspace).program(SIM)? else {
        bail!("the simulated world does not build");
    };
    // This returns only if it could not be started.
    let failed = Command::new(&program).args(arguments).exec();
    Err(failed).with_context(|| format!("could not start {}", program.display()))
}
