//! `zajil-relay init | check | run | status`: thin over the library.

mod check;
mod init;
mod open;
mod run;
mod status;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The exit codes beside 0 (done) and 2 (usage, clap's own), as `--help` tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Something else failed.
    Failed = 1,
    /// The configuration or the keys cannot be used.
    Configuration = 3,
    /// The store cannot be used, or has stopped.
    Store = 4,
    /// It cannot listen.
    Listen = 5,
}

impl Exit {
    const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Configuration => "configuration",
            Self::Store => "store",
            Self::Listen => "listen",
        }
    }
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
#[command(
    name = "zajil-relay",
    version,
    after_help = "Exit codes: 0 done, 1 failed, 2 usage, 3 configuration or keys, 4 store, 5 cannot listen."
)]
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
        listen: Vec<SocketAddr>,
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
        /// Print the "ready" line, and a failure, as JSON
        #[arg(long)]
        json: bool,
        /// Write the log as JSON, an object a line
        #[arg(long)]
        json_logs: bool,
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
    // Nobody may be there to read; a panic must end as it would have.
    crate::logging::hush_panics(|line| eprintln!("{line}"));
    let (command, json, result) = match Arguments::parse().command {
        Command::Init { dir, listen, public, invite_only, json } => {
            let made = init::init(&dir, &listen, public.as_deref(), invite_only, json);
            ("init", json, made.map(|()| ExitCode::SUCCESS))
        }
        Command::Check { dir, json } => ("check", json, check::check(&dir, json)),
        Command::Run { dir, json, json_logs } => {
            ("run", json, run::run(&dir, json, json_logs).map(|()| ExitCode::SUCCESS))
        }
        Command::Status { dir, json } => ("status", json, status::status(&dir, json).map(|()| ExitCode::SUCCESS)),
    };
    let Failure { exit, text } = match result {
        Ok(code) => return code,
        Err(failure) => failure,
    };
    if json {
        let error = serde_json::json!({ "code": exit.name(), "message": text });
        let object =
            serde_json::json!({ "zajil": 1, "command": command, "ok": false, "error": error, "exit": exit as u8 });
        say(&object.to_string());
    } else {
        eprintln!("zajil-relay: {text}");
    }
    ExitCode::from(exit as u8)
}

/// Prints a line on standard output. Whoever reads may have gone: that is no reason to fail.
fn say(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _nobody_reads = writeln!(out, "{line}").and_then(|()| out.flush());
}
