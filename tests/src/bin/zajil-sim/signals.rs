//! Ctrl-C while many worlds are played: what was played until then is told.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag::{register, register_conditional_shutdown};

use crate::commands::Verdict;

/// Returns what Ctrl-C, SIGTERM or a terminal that is closed sets from now on. A second one ends the program where it stands.
///
/// # Errors
///
/// If signals cannot be received, in words.
pub(crate) fn listen() -> Result<Arc<AtomicBool>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM, SIGHUP] {
        // In this order: the first one must not find what it sets itself.
        register_conditional_shutdown(signal, Verdict::Stopped.status().into(), Arc::clone(&stop))
            .and_then(|_| register(signal, Arc::clone(&stop)))
            .map_err(|error| format!("signals cannot be received: {error}"))?;
    }
    Ok(stop)
}
