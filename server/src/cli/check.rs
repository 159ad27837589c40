//! `check`: says of each thing a relay needs whether it is so.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;

use crate::cli::init::relay_link;
use crate::cli::run::{Opened, open, open_store};
use crate::cli::{Exit, Failure};
use crate::store::{Store, StoreError};

struct Line {
    what: &'static str,
    ok: bool,
    text: String,
}

pub(crate) fn check(directory: &Path, json: bool) -> Result<(), Failure> {
    let opened = open(directory)?;
    let mut lines = vec![Line { what: "configuration", ok: true, text: "can be read; keys are private".into() }];
    lines.extend(ports(&opened));
    lines.push(clock(&opened));
    lines.extend(store(&opened)?);
    let link = opened.config.public_address.as_deref().map(|address| {
        relay_link(&opened.keys, opened.config.admission, address).to_string()
    });
    let ok = lines.iter().all(|line| line.ok);
    if json {
        let checks: Vec<_> =
            lines.iter().map(|line| serde_json::json!({ "what": line.what, "ok": line.ok, "text": line.text })).collect();
        let object = serde_json::json!({ "zajil": 1, "command": "check", "ok": ok, "checks": checks, "link": link });
        println!("{object}");
    } else {
        for line in &lines {
            println!("{} {}: {}", if line.ok { "ok  " } else { "BAD " }, line.what, line.text);
        }
        match link {
            Some(link) => println!("Relay link, to be handed to people:\n{link}"),
            None => println!("No relay link yet: set public_address in the configuration."),
        }
    }
    if ok { Ok(()) } else { Err(Failure::new(Exit::Failed, "something above is not as it should be")) }
}

fn ports(opened: &Opened) -> Vec<Line> {
    let mut lines = Vec::new();
    for address in &opened.config.listen {
        for (what, result) in [
            ("udp port", UdpSocket::bind(address).map(drop)),
            ("tcp port", TcpListener::bind(address).map(drop)),
        ] {
            let (ok, text) = match result {
                Ok(()) => (true, format!("{address} is free")),
                Err(error) => (false, format!("{address}: {error}. Stop what uses it, or change `listen`")),
            };
            lines.push(Line { what, ok, text });
        }
    }
    lines
}

fn clock(opened: &Opened) -> Line {
    use std::time::{SystemTime, UNIX_EPOCH};
    /// 2026-01-01: this program did not exist before.
    const LEAST_SECONDS: u64 = 1_767_225_600;
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs());
    if seconds < LEAST_SECONDS {
        let text = "stands before 2026. Set it: last-seen answers would be wrong by years".into();
        return Line { what: "clock", ok: false, text };
    }
    let text = if opened.config.clock_trusted { "plausible, and declared trusted" } else { "plausible" };
    Line { what: "clock", ok: true, text: text.into() }
}

fn store(opened: &Opened) -> Result<Vec<Line>, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let engine = match open_store(opened) {
        Ok(engine) => engine,
        Err(failure) => return Ok(vec![Line { what: "store", ok: false, text: failure.text }]),
    };
    let checked: Result<_, StoreError> = runtime.block_on(async {
        let report = engine.check(true).await?;
        let usage = engine.usage().await?;
        engine.close().await?;
        Ok((report, usage))
    });
    let (report, usage) = checked.map_err(|error| Failure::new(Exit::Store, error))?;
    Ok(vec![
        Line { what: "store", ok: report.is_sound(), text: report.to_string() },
        Line {
            what: "disk",
            ok: usage.accepting,
            text: format!(
                "{} MB free, {} MB kept free for what was promised",
                usage.disk_free_bytes / 1_000_000,
                usage.disk_reserve_bytes / 1_000_000
            ),
        },
    ])
}
