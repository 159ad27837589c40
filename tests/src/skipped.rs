//! What a test could not try on this machine is said, never passed over.

use std::io::Write;

/// Says that `what` was skipped and `why`, to whoever reads, and in the file that `cargo xtask test` names.
pub fn skipped(what: &str, why: &str) {
    note(&format!("{what}: {why}"));
}

/// The same of what nobody could try on this machine, root neither: its kernel has not what that needs.
#[allow(dead_code, reason = "one file for several packages, and not all need both")]
pub fn impossible(what: &str, why: &str) {
    // `cargo xtask test` (xtask/src/tally.rs) knows these by how they end.
    note(&format!("{what}: {why}, and nobody could"));
}

fn note(skip: &str) {
    println!("skipped: {skip}");
    if let Some(path) = std::env::var_os("ZAJIL_SKIPPED") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("skips can be noted"), "{skip}").expect("skips can be noted");
    }
}
