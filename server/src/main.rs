//! The relay's program.

fn main() -> std::process::ExitCode {
    zajil_relay::cli::main()
}
