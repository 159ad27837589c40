//! The two programs on one machine: a relay, and people who type commands.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{self, Running};

/// Longest time a single command may take; each does in seconds what it does.
const COMMAND_TIME_MAX: Duration = Duration::from_secs(60);

/// Longest time until a relay listens.
const READY_TIME_MAX: Duration = Duration::from_secs(20);

/// Time between two looks at a child.
const POLL: Duration = Duration::from_millis(20);

/// Where the demo plays.
#[derive(Debug)]
pub(crate) struct Scene {
    /// Holds everything; it stays when the demo is over.
    pub(crate) folder: PathBuf,
    /// What each program printed, a file each.
    pub(crate) logs: PathBuf,
    relay: PathBuf,
    client: PathBuf,
    /// Numbers the logs.
    commands: AtomicU32,
}

impl Scene {
    /// Makes a new folder that only its owner can read.
    pub(crate) fn new(relay: PathBuf, client: PathBuf) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("zajil-demo-{}", std::process::id()));
        let logs = folder.join("logs");
        // Fails if the folder is there already, so nobody else can have laid it ready.
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
        fs::create_dir(&logs)?;
        Ok(Self { folder, logs, relay, client, commands: AtomicU32::new(1) })
    }

    /// A person with a new device.
    pub(crate) fn person(&self, name: &'static str, relay_link: &str) -> Result<Person<'_>> {
        let person = Person { name, home: self.folder.join(name.to_lowercase()), scene: self };
        person.say(&["init", "--relay", relay_link])?;
        Ok(person)
    }

    /// Runs a command to its end; returns what it printed.
    fn run(&self, who: &str, mut command: Command) -> Result<(bool, String)> {
        let number = self.commands.fetch_add(1, Ordering::Relaxed);
        let log = |kind| self.logs.join(format!("{number:02}-{who}.{kind}"));
        let (out, errors) = (log("out"), log("err"));
        command.stdout(File::create(&out)?).stderr(File::create(&errors)?);
        let mut child = Running::start(&mut command)?;
        let deadline = Instant::now() + COMMAND_TIME_MAX;
        let status = loop {
            if let Some(status) = child.ended()? {
                break status;
            }
            ensure!(
                Instant::now() < deadline,
                "no answer after {} s; see {}",
                COMMAND_TIME_MAX.as_secs(),
                errors.display()
            );
            thread::sleep(POLL);
        };
        let printed = fs::read_to_string(&out)?;
        if !status.success() && printed.is_empty() {
            return Ok((false, fs::read_to_string(&errors)?));
        }
        Ok((status.success(), printed))
    }
}

/// Somebody with a device.
#[derive(Debug)]
pub(crate) struct Person<'a> {
    /// What the other calls them.
    pub(crate) name: &'static str,
    /// The device's folder.
    pub(crate) home: PathBuf,
    scene: &'a Scene,
}

impl Person<'_> {
    /// Types a command and reads its answer as JSON.
    pub(crate) fn say(&self, arguments: &[&str]) -> Result<Value> {
        let printed = self.type_in(&[&["--json"], arguments].concat())?;
        serde_json::from_str(&printed).with_context(|| format!("`zajil {}` answered {printed}", arguments.join(" ")))
    }

    /// Types a command and reads its answer as people do.
    pub(crate) fn read(&self, arguments: &[&str]) -> Result<String> {
        self.type_in(&[&["--lang", "en"], arguments].concat())
    }

    fn type_in(&self, arguments: &[&str]) -> Result<String> {
        let mut command = process::command(&self.scene.client);
        command.arg("--home").arg(&self.home).args(arguments);
        let (success, printed) = self.scene.run(&self.name.to_lowercase(), command)?;
        ensure!(success, "{}: `zajil {}` says: {}", self.name, arguments.join(" "), printed.trim());
        Ok(printed)
    }
}

/// A relay, running or not.
#[derive(Debug)]
pub(crate) struct Relay<'a> {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// What its owner hands out.
    pub(crate) link: String,
    /// Its configuration, keys and store.
    pub(crate) folder: PathBuf,
    scene: &'a Scene,
}

impl<'a> Relay<'a> {
    /// Makes a relay that listens on this machine only.
    pub(crate) fn set_up(scene: &'a Scene) -> Result<Self> {
        let folder = scene.folder.join("relay");
        let address = free_address()?;
        let mut command = process::command(&scene.relay);
        command.arg("init").arg("--dir").arg(&folder);
        command.args(["--listen", &address.to_string(), "--public", &address.to_string()]);
        let (success, printed) = scene.run("relay-init", command)?;
        ensure!(success, "the relay could not be made: {}", printed.trim());
        let link = printed.split_whitespace().find(|word| word.starts_with("zajil-relay:"));
        let link = link.with_context(|| format!("the relay printed no link: {printed}"))?.to_owned();
        Ok(Self { address, link, folder, scene })
    }

    /// Starts it and waits until it listens.
    pub(crate) fn start(&self) -> Result<Running> {
        let number = self.scene.commands.fetch_add(1, Ordering::Relaxed);
        let log = |kind| self.scene.logs.join(format!("{number:02}-relay-run.{kind}"));
        let (out, errors) = (log("out"), log("err"));
        let mut command = process::command(&self.scene.relay);
        command.arg("run").arg("--dir").arg(&self.folder);
        command.stdout(File::create(&out)?).stderr(File::create(&errors)?);
        let mut running = Running::start(&mut command)?;
        let deadline = Instant::now() + READY_TIME_MAX;
        while !fs::read_to_string(&out)?.contains("ready") {
            if running.ended()?.is_some() || Instant::now() > deadline {
                bail!("the relay does not listen: {}", fs::read_to_string(&errors)?.trim());
            }
            thread::sleep(POLL);
        }
        Ok(running)
    }
}

/// A port of this machine that is free for UDP and TCP now; the link names it, so the relay cannot choose it when it starts.
fn free_address() -> Result<SocketAddr> {
    const TRIES: usize = 100;
    for _ in 0..TRIES {
        let address = UdpSocket::bind("127.0.0.1:0")?.local_addr()?;
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("no port is free for both UDP and TCP on 127.0.0.1")
}
