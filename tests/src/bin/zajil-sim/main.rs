//! `zajil-sim`: plays the simulated world from the command line. `cargo xtask sim` builds it and passes its arguments on.
#![allow(clippy::expect_used, reason = "this package is nothing but tests: what cannot go on shall fail loudly")]

mod arguments;
mod commands;
mod screen;
mod signals;
mod told;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::arguments::Arguments;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.seeds_exist() {
        let error = "fewer seeds are left from --seed on than --seeds asks for: the last is 18446744073709551615";
        Arguments::command().error(ErrorKind::ValueValidation, error).exit();
    }
    match commands::run(&arguments) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            eprintln!("zajil-sim: {error}");
            commands::Verdict::NotDone.into()
        }
    }
}
