//! Every habit of Zajil's developers as a command: `cargo xtask test`, `demo`, `sim`, `bench`, `kill-cycles`, `machines`.
//!
//! This program depends on nothing that needs a C compiler's headers or cmake, because it is what installs them.

mod bench;
mod demo;
mod kill_cycles;
mod machines;
mod parts;
mod process;
mod report;
mod scene;
mod setup;
mod sim;
mod tally;
mod test;
mod workspace;

use std::ffi::OsString;
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
    /// Play the simulated world from seeds and judge what was seen; `cargo xtask sim --help` lists its own arguments.
    #[command(disable_help_flag = true)]
    Sim {
        /// What the program `zajil-sim` is asked for.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
    /// Time what people wait for.
    Bench {
        /// What to time.
        #[command(subcommand)]
        what: Bench,
    },
    /// Kill a relay again and again during uploads and deliveries, and count the notes that were lost.
    KillCycles {
        /// How often the relay is killed.
        #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
        cycles: u32,
    },
    /// Play random lists of operations on both machines of a session, and tell the seed of the first.
    Machines {
        /// How many lists.
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
        lists: u64,
        /// Seed of the first list; drawn if it is not given.
        #[arg(long)]
        seed: Option<u64>,
    },
}

#[derive(Debug, Subcommand)]
enum Bench {
    /// Notes over bad links, in virtual time; without arguments 200 of each kind, and the figures go to docs/benchmarks.
    /// `cargo xtask bench links --help` lists its own arguments.
    #[command(disable_help_flag = true)]
    Links {
        /// What the program `zajil-bench` is asked for.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
        arguments: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs one command and tells its exit status: failure means that it ran to its end and found something wrong.
fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let workspace = Workspace::find()?;
    let held = match &arguments.command {
        Command::Test { list: true, .. } => {
            test::list();
            true
        }
        Command::Test { only, list: false } => test::test(&workspace, only)?,
        Command::Demo => demo::demo(&workspace)?,
        Command::Sim { arguments } => return sim::sim(&workspace, arguments),
        Command::Bench { what: Bench::Links { arguments } } => return bench::links(&workspace, arguments),
        Command::KillCycles { cycles } => kill_cycles::kill_cycles(&workspace, *cycles)?,
        Command::Machines { lists, seed } => machines::machines(&workspace, *lists, *seed)?,
    };
    Ok(if held { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
