//! `init`: everything a new relay needs, in one directory.

use std::net::SocketAddr;
use std::path::Path;

use zajil_proto::keys::SigningKey;
use zajil_proto::random;
use zajil_proto::relay_link::RelayLink;

use crate::cli::{Exit, Failure};
use crate::config::{self, AdmissionRule, Config};
use crate::files::{FileError, Layout, RelayKeys, make_directory, write_secret};
use crate::system_random::SystemRandom;

pub(crate) fn init(
    directory: &Path,
    listen: &[SocketAddr],
    public: Option<&str>,
    invite_only: bool,
    json: bool,
) -> Result<(), Failure> {
    if let Some(public) = public
        && !config::is_host_and_port(public)
    {
        let text = format!("\"{public}\" is no host with a port. Write it like \"203.0.113.7:443\"");
        return Err(Failure::new(Exit::Configuration, text));
    }
    let layout = Layout::new(directory);
    let failed = |error: FileError| Failure::new(Exit::Failed, error);
    if layout.config().exists() || layout.keys().exists() {
        return Err(failed(FileError::Exists(layout.directory)));
    }
    make_directory(directory).map_err(failed)?;
    let admission = if invite_only { AdmissionRule::Code } else { AdmissionRule::Open };
    let default = Config::default().listen;
    let listen = if listen.is_empty() { &default } else { listen };
    let keys = RelayKeys::draw(&mut SystemRandom);
    let store_key: [u8; 32] = random::bytes(&mut SystemRandom);
    keys.create(&layout.keys()).map_err(failed)?;
    write_secret(&layout.store_key(), &store_key).map_err(failed)?;
    write_secret(&layout.config(), config::shipped(listen, public, admission).as_bytes()).map_err(failed)?;
    let link = public.map(|address| relay_link(&keys, admission, address));
    if json {
        let object = serde_json::json!({
            "zajil": 1, "command": "init", "ok": true,
            "directory": directory, "link": link.as_ref().map(ToString::to_string),
        });
        println!("{object}");
        return Ok(());
    }
    println!("Made a relay in {}.", directory.display());
    match link {
        Some(link) => println!("Relay link, to be handed to people:\n{link}"),
        None => println!(
            "Set public_address in {} to host:port as phones reach it; `check` then prints the relay link.",
            layout.config().display()
        ),
    }
    println!("Next: zajil-relay check --dir {0}, then zajil-relay run --dir {0}", directory.display());
    Ok(())
}

/// Makes the link that is handed to people.
pub(crate) fn relay_link(keys: &RelayKeys, admission: AdmissionRule, address: &str) -> RelayLink {
    RelayLink {
        key: SigningKey::from_seed(&keys.identity).public(),
        admission: match admission {
            AdmissionRule::Open => String::new(),
            AdmissionRule::Code => keys.admission.clone(),
        },
        address: address.to_owned(),
    }
}
