//! `zajil`, the command line.

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = zajil_client::cli::run(std::env::args_os(), |name| std::env::var(name).ok());
    ExitCode::from(exit.code())
}
