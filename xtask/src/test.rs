//! `cargo xtask test`: set-up, then every part, then what came of it.

use std::time::Instant;

use anyhow::Result;
use clap::ValueEnum;

use crate::parts::{Part, Stage};
use crate::report::Report;
use crate::setup;
use crate::workspace::Workspace;

/// Says what each part does.
pub(crate) fn list() {
    for part in Part::value_variants() {
        println!("{:<8} {}", part.name(), part.purpose());
    }
}

/// Runs the parts named, or all of them; `true` if everything held.
///
/// A part that fails does not keep the later ones from running: one run tells everything that is wrong.
pub(crate) fn test(workspace: &Workspace, only: &[Part]) -> Result<bool> {
    let chosen: Vec<Part> =
        Part::value_variants().iter().copied().filter(|part| only.is_empty() || only.contains(part)).collect();
    if chosen.iter().any(|part| part.compiles()) {
        setup::install_missing(workspace)?;
    }
    let mut report = Report::default();
    for part in chosen {
        println!("{}: {}", part.name(), part.purpose());
        let started = Instant::now();
        let mut stage = Stage::new(workspace);
        stage.run(part)?;
        report.add(part.name(), started.elapsed(), stage.into_tally());
    }
    Ok(report.print(setup::is_root()?))
}
