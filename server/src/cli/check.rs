//! `check`: says of each thing a relay needs whether it is so.

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::admin::{self, Status};
use crate::cli::open::{self, Opened};
use crate::cli::{Exit, Failure, say};
use crate::store::{Engine, Store, StoreError};

/// 2026-01-01, seconds since 1970: this program did not exist before.
const LEAST_SECONDS: u64 = 1_767_225_600;

struct Line {
    what: &'static str,
    ok: bool,
    text: String,
}

impl Line {
    fn ok(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, ok: true, text: text.into() }
    }

    fn bad(what: &'static str, text: impl Into<String>) -> Self {
        Self { what, ok: false, text: text.into() }
    }
}

/// Its answer is the exit code: what is wrong stands among the lines.
pub(crate) fn check(directory: &Path, json: bool) -> Result<ExitCode, Failure> {
    let opened = open::open(directory)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(Exit::Failed, error))?;
    let running = runtime.block_on(admin::ask(&opened.layout.admin_socket())).ok();
    let mut lines = vec![Line::ok("configuration", "can be read"), Line::ok("keys", "whole, and private")];
    lines.push(clock(&opened));
    match &running {
        Some(status) => lines.extend(of_running(status)),
        None => {
            lines.extend(ports(&opened));
            match opened.store() {
                Ok(store) => lines.extend(runtime.block_on(store_and_disk(&store))),
                Err(failure) => lines.push(Line::bad("store", failure.text)),
            }
        }
    }
    let ok = lines.iter().all(|line| line.ok);
    print(&lines, opened.link().map(|link| link.to_string()), ok, json);
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::from(Exit::Failed as u8) })
}

fn print(lines: &[Line], link: Option<String>, ok: bool, json: bool) {
    if json {
        let checks: Vec<_> = lines
            .iter()
            .map(|line| serde_json::json!({ "what": line.what, "ok": line.ok, "text": line.text }))
            .collect();
        let object = serde_json::json!({ "zajil": 1, "command": "check", "ok": ok, "checks": checks, "link": link });
        say(&object.to_string());
        return;
    }
    for line in lines {
        say(&format!("{} {}: {}", if line.ok { "ok  " } else { "BAD " }, line.what, line.text));
    }
    match link {
        Some(link) => say(&format!("Relay link, to be handed to people:\n{link}")),
        None => say("No relay link yet: set public_address in the configuration."),
    }
}

/// A relay runs here: what it holds cannot be taken from it to be looked at, and need not.
fn of_running(status: &Status) -> Vec<Line> {
    let listening = format!("this relay runs and listens on {}", status.listening.join(", "));
    let holds = format!("open in the relay that runs; {} parcels. Stop it to check every row", status.parcels);
    let disk = disk(status.accepting, status.disk_free_bytes, status.disk_reserve_bytes);
    vec![Line::ok("ports", listening), Line::ok("store", holds), disk]
}

fn ports(opened: &Opened) -> Vec<Line> {
    let mut lines = Vec::new();
    for address in &opened.config.listen {
        let (udp, tcp) = (UdpSocket::bind(address).map(drop), TcpListener::bind(address).map(drop));
        for (what, result) in [("udp port", udp), ("tcp port", tcp)] {
            lines.push(match result {
                Ok(()) => Line::ok(what, format!("{address} is free")),
                Err(error) => Line::bad(what, format!("{address}: {error}. Stop what uses it, or change `listen`")),
            });
        }
    }
    lines
}

fn clock(opened: &Opened) -> Line {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |duration| duration.as_secs());
    if seconds < LEAST_SECONDS {
        return Line::bad("clock", "stands before 2026. Set it: last-seen answers would be wrong by years");
    }
    Line::ok("clock", if opened.config.clock_trusted { "plausible, and declared trusted" } else { "plausible" })
}

async fn store_and_disk(store: &Engine) -> Vec<Line> {
    let checked: Result<_, StoreError> = async {
        let report = store.check(true).await?;
        let usage = store.usage().await?;
        store.close().await?;
        Ok((report, usage))
    }
    .await;
    match checked {
        Ok((report, usage)) => {
            let mut lines: Vec<_> = report.problems.iter().map(|problem| Line::bad("store", problem)).collect();
            if report.is_sound() {
                lines.push(Line::ok("store", format!("sound: {} rows, {} parcels", report.rows, usage.parcels)));
            }
            lines.push(disk(!usage.refusing, usage.free_bytes, usage.reserve_bytes));
            lines
        }
        Err(error) => vec![Line::bad("store", error.to_string())],
    }
}

fn disk(accepting: bool, free_bytes: u64, reserve_bytes: u64) -> Line {
    let (free, reserve) = (free_bytes / 1_000_000, reserve_bytes / 1_000_000);
    let room = format!("{free} MB free, {reserve} MB kept free for what was promised");
    match accepting {
        true => Line::ok("disk", room),
        false => Line::bad("disk", format!("{room}. New parcels are refused: free space, or lower disk_reserve_bytes")),
    }
}
