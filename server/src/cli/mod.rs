//! `zajil-relay init | check | run | status`: thin over the library.

mod check;
mod init;
mod run;
mod status;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The exit codes, as documented in `--help` and `docs/ARCHITECTURE.md`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something else failed.
    Failed = 1,
    /// The configuration is wrong.
    Configuration = 3,
    /// The store cannot be used.
    Store = 4,
    /// It cannot listen.
    Listen = 5,
}

/// A failure with its exit code; the text says what happened and what to do.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(exit: Exit, text: impl ToString) -> Self {
        Self { exit, text: text.to_string() }
    }
}

/// Stores sealed parcels for people whose links drop, and forwards them. Can read none.
#[derive(Debug, Parser)]
#[command(version, after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration, 4 store, 5 cannot listen.")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a relay's directory: configuration, keys, store; print the relay link
    Init {
        /// Directory to make
        #[arg(long)]
        dir: PathBuf,
        /// Address to listen on, UDP and TCP (repeatable; default all addresses, port 443)
        #[arg(long, value_name = "ADDRESS:PORT")]
        listen: Vec<std::net::SocketAddr>,
        /// How phones reach this relay; stands in the relay link
        #[arg(long, value_name = "HOST:PORT")]
        public: Option<String>,
        /// Only who has the relay link may make mailboxes
        #[arg(long)]
        invite_only: bool,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Check configuration, keys, ports, disk, clock and store
    Check {
        /// The relay's directory
        #[arg(long)]
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
    /// Run until SIGTERM or SIGINT, then drain and stop
    Run {
        /// The relay's directory
        #[arg(long)]
        dir: PathBuf,
        /// Print the "ready" line as JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask the relay that runs in a directory how it is
    Status {
        /// The relay's directory
        #[arg(long)]
        dir: PathBuf,
        /// Print one JSON object
        #[arg(long)]
        json: bool,
    },
}

/// Runs the command line and returns the process's exit code.
pub fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Command::Init { dir, listen, public, invite_only, json } => {
            init::init(&dir, &listen, public.as_deref(), invite_only, json)
        }
        Command::Check { dir, json } => check::check(&dir, json),
        Command::Run { dir, json } => run::run(&dir, json),
        Command::Status { dir, json } => status::status(&dir, json),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("zajil-relay: {}", failure.text);
            ExitCode::from(failure.exit as u8)
        }
    }
}
