//! `status`: asks the relay that runs.

use std::io;
use std::path::Path;

use crate::admin::{self, Status};
use crate::cli::{Exit, Failure, say};
use crate::files::Layout;

pub(crate) fn status(directory: &Path, json: bool) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let asked = runtime.block_on(admin::ask(&Layout::new(directory).admin_socket()));
    let status = asked.map_err(|error| Failure::new(Exit::Failed, no_answer(directory, &error)))?;
    if json {
        let object = serde_json::json!({ "zajil": 1, "command": "status", "ok": true, "status": status });
        say(&object.to_string());
    } else {
        print(&status);
    }
    Ok(())
}

fn no_answer(directory: &Path, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("no relay runs in {0}. Start it: zajil-relay run --dir {0}", directory.display())
        }
        io::ErrorKind::PermissionDenied => "this relay runs as another user. Ask as that user".into(),
        _ => format!("the relay does not answer ({error}). Look at its log"),
    }
}

fn print(status: &Status) {
    say(&format!("up for {} min, listening on {}", status.uptime_minutes, status.listening.join(", ")));
    say(&format!(
        "holds {} parcels, {} kB, in {} mailboxes and {} slots",
        status.parcels,
        status.bytes / 1000,
        status.mailboxes,
        status.slots
    ));
    say(&format!(
        "disk: {} MB free, {} MB kept free; new parcels are {}",
        status.disk_free_bytes / 1_000_000,
        status.disk_reserve_bytes / 1_000_000,
        if status.accepting { "taken" } else { "refused" }
    ));
    say(&format!("sessions open: {}", status.sessions_open));
    for (name, count) in &status.counts {
        say(&format!("{name}: {count}"));
    }
}
