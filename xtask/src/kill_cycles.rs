//! `cargo xtask kill-cycles`: the end-to-end kill suite, for as long as one likes.

use std::process::Stdio;

use anyhow::{Result, bail};

use crate::parts::{CLIENT_PATH, RELAY_PATH, Stage};
use crate::process::Running;
use crate::setup;
use crate::workspace::{CLIENT, END_TO_END, RELAY, Workspace};

/// Tells the suite how often to kill the relay.
const CYCLES: &str = "ZAJIL_KILL_CYCLES";

/// Builds the programs and runs the suite; `true` if no note was lost.
pub(crate) fn kill_cycles(workspace: &Workspace, cycles: u32) -> Result<bool> {
    setup::install_missing(workspace)?;
    let stage = Stage::new(workspace);
    let (Some(relay), Some(client)) = (stage.program(RELAY)?, stage.program(CLIENT)?) else {
        bail!("the programs do not build");
    };
    println!("killing a relay {cycles} times");
    let mut command = workspace.cargo();
    command.args(["test", "--locked", "-p", END_TO_END, "--test", "e2e_kill", "--", "--nocapture"]);
    command.env(CYCLES, cycles.to_string()).env(RELAY_PATH, relay).env(CLIENT_PATH, client);
    // Its progress is the point here, so it prints for itself.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    Ok(Running::start(&mut command)?.wait()?.success())
}
