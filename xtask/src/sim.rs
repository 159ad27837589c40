//! `cargo xtask sim`: builds the simulated world's program and hands it the arguments.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::parts::Stage;
use crate::process::{self, Running};
use crate::setup;
use crate::workspace::{SIM, Workspace};

/// Builds the program and runs it where the user stands; its exit status is ours.
pub(crate) fn sim(workspace: &Workspace, arguments: &[OsString]) -> Result<ExitCode> {
    setup::install_missing(workspace)?;
    let Some(program) = Stage::new(workspace).program(SIM)? else {
        bail!("the simulated world does not build");
    };
    let mut command = process::command(program);
    command.args(arguments);
    let status = Running::start(&mut command)?.wait()?;
    let code = status.code().context("the simulated world was ended by a signal")?;
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX)))
}
