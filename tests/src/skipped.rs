//! What a test could not try on this machine is said, never passed over.

use std::io::Write;

/// Says that `what` was skipped and `why`, to whoever reads, and in the file that `cargo xtask test` names.
pub fn skipped(what: &str, why: &str) {
    println!("skipped: {what}: {why}");
    if let Some(path) = std::env::var_os("ZAJIL_SKIPPED") {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        writeln!(file.expect("skips can be noted"), "{what}: {why}").expect("skips can be noted");
    }
}
