//! The relay's program as a process of its own, in a directory of its own.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};

use tempfile::TempDir;
use zajil_proto::relay_link::RelayLink;

use crate::binaries;

/// A relay's directory.
#[derive(Debug)]
pub struct RelayHome {
    directory: TempDir,
    link: RelayLink,
}

impl RelayHome {
    /// Makes a relay that listens on any port of this machine, with more arguments for `init`.
    pub fn init(more: &[&str]) -> Self {
        // The link must name an address; the port is only known once the relay runs.
        Self::make("127.0.0.1:0", "127.0.0.1:1", more)
    }

    /// Makes a relay that listens at this address, which its link names too, with more arguments for `init`.
    pub fn init_at(address: &str, more: &[&str]) -> Self {
        Self::make(address, address, more)
    }

    fn make(listen: &str, public: &str, more: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("there is room for a relay");
        let mut command = command(&directory.path().join("relay"), "init");
        command.args(["--json", "--listen", listen, "--public", public]).args(more);
        let output = command.output().expect("the relay's program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout).expect("init answers in JSON");
        let link = answer["link"].as_str().expect("init gives the relay link");
        let link = link.parse().expect("the relay link can be read");
        Self { directory, link }
    }

    /// Returns the relay's directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("relay")
    }

    /// Returns what is handed to people. Its address is not where the relay listens: [`RunningRelay::address`] is.
    pub const fn link(&self) -> &RelayLink {
        &self.link
    }

    /// Adds lines to the configuration.
    pub fn configure(&self, lines: &str) {
        let file = OpenOptions::new().append(true).open(self.path().join("zajil-relay.toml"));
        writeln!(file.expect("the configuration is there"), "{lines}").expect("the configuration can be written");
    }

    /// Starts the relay and waits until it listens.
    pub fn start(&self) -> RunningRelay {
        let log = OpenOptions::new().create(true).append(true).open(self.log_file()).expect("the log can be written");
        let mut command = command(&self.path(), "run");
        let child = command.stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.expect("the relay's program starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("its output is piped"));
        stdout.read_line(&mut line).expect("its output can be read");
        let address = line.strip_prefix("ready on ").and_then(|rest| rest.trim().parse().ok());
        let address = address.unwrap_or_else(|| panic!("the relay is not ready: {line:?}, {}", self.log()));
        RunningRelay { child, address }
    }

    /// Runs `zajil-relay NAME --dir DIR ARGUMENTS` to its end.
    pub fn run(&self, name: &str, arguments: &[&str]) -> Output {
        command(&self.path(), name).args(arguments).output().expect("the relay's program starts")
    }

    /// Returns what all runs of the relay have logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.directory.path().join("relay.log")
    }

    /// Opens the file that one of the relay's files is, for damage.
    pub fn file(&self, name: &str) -> File {
        let opened = OpenOptions::new().read(true).write(true).open(self.path().join(name));
        opened.unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// A relay's process. Dropped, it is killed.
#[derive(Debug)]
pub struct RunningRelay {
    child: Child,
    address: SocketAddr,
}

impl RunningRelay {
    /// Returns where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the relay can be killed");
        self.child.wait().expect("the relay ends");
    }

    /// Asks it with SIGTERM to stop, and waits for that.
    pub fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the relay ends")
    }

    /// Lets it stand still while `meanwhile` happens, as a machine does that sleeps: it is not told.
    pub fn sleeps<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        crate::person::suspended(&self.child, meanwhile)
    }

    /// Asks it with SIGTERM to stop.
    pub fn ask_to_stop(&self) {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("the relay can be asked to stop");
    }
}

impl Drop for RunningRelay {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _may_have_ended = self.child.wait();
    }
}

/// Returns `zajil-relay NAME --dir DIRECTORY`.
pub fn command(directory: &Path, name: &str) -> Command {
    let mut command = Command::new(binaries::relay());
    command.arg(name).arg("--dir").arg(directory).env("NO_COLOR", "1");
    command
}
