//! `init`: everything a new relay needs, in one directory.

use std::net::SocketAddr;
use std::path::Path;

use zajil_net::SystemRandom;

use crate::cli::open::{self, Opened};
use crate::cli::{Exit, Failure, say};
use crate::config::{self, AdmissionRule, Config};
use crate::files::{FileError, Layout, RelayKeys, make_directory, write_secret};
use crate::limits::LISTEN_ADDRESSES_MAX;
use crate::store::StoreKey;

pub(crate) fn init(
    directory: &Path,
    listen: &[SocketAddr],
    public: Option<&str>,
    invite_only: bool,
    json: bool,
) -> Result<(), Failure> {
    if let Some(public) = public.filter(|public| !config::is_host_and_port(public)) {
        let text = format!("\"{public}\" is no host with a port. Write it like \"203.0.113.7:443\"");
        return Err(Failure::new(Exit::Configuration, text));
    }
    if listen.len() > LISTEN_ADDRESSES_MAX {
        let text = format!("--listen is given {} times. Give it at most {LISTEN_ADDRESSES_MAX} times", listen.len());
        return Err(Failure::new(Exit::Configuration, text));
    }
    let layout = Layout::new(directory);
    let own = [layout.config(), layout.keys(), layout.store_key(), layout.store()];
    if own.iter().any(|path| path.exists()) {
        return Err(Failure::new(Exit::Failed, FileError::Exists(layout.directory)));
    }
    make_directory(directory).map_err(|error| Failure::new(Exit::Failed, error))?;
    let admission = if invite_only { AdmissionRule::Code } else { AdmissionRule::Open };
    let opened = make(&layout, listen, public, admission).inspect_err(|_| take_back(&layout))?;
    tell(&opened, directory, json);
    Ok(())
}

fn make(
    layout: &Layout,
    listen: &[SocketAddr],
    public: Option<&str>,
    admission: AdmissionRule,
) -> Result<Opened, Failure> {
    let failed = |error: FileError| Failure::new(Exit::Failed, error);
    let default = Config::default().listen;
    let listen = if listen.is_empty() { &default } else { listen };
    let mut random = SystemRandom::new();
    RelayKeys::draw(&mut random).create(&layout.keys()).map_err(failed)?;
    write_secret(&layout.store_key(), StoreKey::draw(&mut random).as_bytes()).map_err(failed)?;
    write_secret(&layout.config(), config::shipped(listen, public, admission).as_bytes()).map_err(failed)?;
    let opened = open::open(&layout.directory)?;
    // Dropped, it is closed: an empty store is left.
    drop(opened.store()?);
    Ok(opened)
}

/// Removes what a failed `init` has made, so that it can be tried again. None of it was there before.
fn take_back(layout: &Layout) {
    for file in [layout.config(), layout.keys(), layout.store_key()] {
        let _may_be_missing = std::fs::remove_file(file);
    }
    let _may_be_missing = std::fs::remove_dir_all(layout.store());
}

fn tell(opened: &Opened, directory: &Path, json: bool) {
    let link = opened.link().map(|link| link.to_string());
    if json {
        let object =
            serde_json::json!({ "zajil": 1, "command": "init", "ok": true, "directory": directory, "link": link });
        say(&object.to_string());
        return;
    }
    say(&format!("Made a relay in {}.", directory.display()));
    match link {
        Some(link) => say(&format!("Relay link, to be handed to people:\n{link}")),
        None => say(&format!(
            "Set public_address in {} to host:port as phones reach it; `check` then prints the relay link.",
            opened.layout.config().display()
        )),
    }
    say(&format!("Next: zajil-relay check --dir {0}, then zajil-relay run --dir {0}", directory.display()));
}
