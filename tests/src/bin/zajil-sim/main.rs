//! `zajil-sim`: plays the simulated world from the command line. `cargo xtask sim` builds it and passes its arguments on.
#![allow(clippy::expect_used, reason = "this package is nothing but tests: what cannot go on shall fail loudly")]

mod arguments;
mod commands;
mod screen;
mod signals;
mod told;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match commands::run(&arguments) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("zajil-sim: {error}");
            commands::Verdict::NotDone.into()
        }
    }
}
