//! Every habit of Zajil's developers as a command: `cargo xtask test`, `cargo xtask demo`, `cargo xtask kill-cycles`.
//!
//! This program depends on nothing that needs a C compiler's headers or cmake, because it is what installs them.

mod demo;
mod kill_cycles;
mod parts;
mod process;
mod report;
mod scene;
mod setup;
mod tally;
mod test;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::parts::Part;
use crate::workspace::Workspace;

/// Every habit of Zajil's developers as a command.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install what is missing, then run everything that a change must pass.
    Test {
        /// Run this part alone; may be given several times.
        #[arg(long, value_name = "PART")]
        only: Vec<Part>,
        /// Say what each part does, and run nothing.
        #[arg(long)]
        list: bool,
    },
    /// Install what is missing, then carry a real recording from one person to another through a relay.
    Demo,
    /// Kill a relay again and again during uploads and deliveries, and count the notes that were lost.
    KillCycles {
        /// How often the relay is killed.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        cycles: u32,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command; `false` means that it ran to its end and found something wrong.
fn run(arguments: &Arguments) -> anyhow::Result<bool> {
    let workspace = Workspace::find()?;
    match &arguments.command {
        Command::Test { list: true, .. } => {
            test::list();
            Ok(true)
        }
        Command::Test { only, list: false } => test::test(&workspace, only),
        Command::Demo => demo::demo(&workspace),
        Command::KillCycles { cycles } => kill_cycles::kill_cycles(&workspace, *cycles),
    }
}
