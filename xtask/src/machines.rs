//! `cargo xtask machines`: both machines of a session against each other over random lists of operations.

use std::process::Stdio;

use anyhow::Result;

use crate::process::Running;
use crate::setup;
use crate::workspace::Workspace;

/// Tells the test how many lists it plays, and the seed of the first.
const LISTS: &str = "ZAJIL_MACHINE_LISTS";
const SEED: &str = "ZAJIL_MACHINE_SEED";
const TEST: &str = "random_operations::no_order_of_events_loses_or_changes_a_stored_parcel";
/// As many lists as the closing of an issue wants take ten minutes with this and an hour without.
const OPTIMISED: &str = "profile.dev.package.zajil-proto.opt-level=2";

/// Plays the lists; `true` if all held. Without a seed one is drawn, and told at the end.
pub(crate) fn machines(workspace: &Workspace, lists: u64, seed: Option<u64>) -> Result<bool> {
    setup::install_missing(workspace)?;
    println!("playing {lists} lists of operations");
    let mut command = workspace.cargo();
    command.args(["test", "--locked", "--config", OPTIMISED, "-p", "zajil-proto", "--test", "pair", "--"]);
    command.args(["--exact", TEST, "--nocapture"]);
    command.env(LISTS, lists.to_string());
    if let Some(seed) = seed {
        command.env(SEED, seed.to_string());
    }
    // Its progress is the point here, so it prints for itself.
    command.stdout(Stdio::inherit()).stderr(Stdio::inherit());
    Ok(Running::start(&mut command)?.wait()?.success())
}
