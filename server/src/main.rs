//! The relay's program.

#[cfg(fuzzing)]
compile_error!(
    "this flag is for fuzzers: with it, Olm's authentication codes are not checked. No program may have it."
);

fn main() -> std::process::ExitCode {
    zajil_relay::cli::main()
}
