//! `zajil`, the command line.

#[cfg(fuzzing)]
compile_error!(
    "this flag is for fuzzers: with it, Olm's authentication codes are not checked. No program may have it."
);

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = zajil_client::cli::run(std::env::args_os(), |name| std::env::var(name).ok());
    ExitCode::from(exit.code())
}
