//! A person at a terminal: a home of their own, and the program `zajil` as it is installed.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use serde_json::Value;
use tempfile::TempDir;
use zajil_proto::relay_link::RelayLink;

use crate::binaries;

/// A person with a folder that is gone with them.
#[derive(Debug)]
pub struct Person {
    folder: TempDir,
}

/// What a command wrote, and how it ended.
#[derive(Debug)]
pub struct Ended {
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub errors: String,
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
}

impl Ended {
    /// Reads the one JSON object on standard output.
    pub fn json(&self) -> Value {
        assert_eq!(self.out.lines().count(), 1, "one object on one line: {:?} {:?}", self.out, self.errors);
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {:?}", self.out))
    }

    /// Demands this exit code.
    #[must_use]
    pub fn with_code(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerrors: {}", self.out, self.errors);
        self
    }
}

impl Person {
    /// Somebody whose device is not set up.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("there is room for a person") }
    }

    /// Somebody whose device is set up with this relay.
    pub fn with_relay(link: &RelayLink) -> Self {
        let person = Self::new();
        let _told = person.zajil(["init", "--relay", &link.to_string()]).with_code(0);
        person
    }

    /// Where everything of this device lies.
    pub fn home(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    /// A place for a file of this person.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `zajil` with these words in a clean environment: English, UTC, this person's home.
    pub fn command<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Command {
        let mut command = Command::new(binaries::client());
        self.environment(&mut command);
        command.args(words).stdin(Stdio::null());
        command
    }

    /// Gives any program the clean environment.
    pub fn environment(&self, command: &mut Command) {
        command.env_clear();
        command.env("HOME", self.folder.path()).env("ZAJIL_HOME", self.home()).env("TZ", "UTC").env("LANG", "C.UTF-8");
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    }

    /// Runs `zajil` to its end.
    pub fn zajil<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Ended {
        ended(&mut self.command(words))
    }

    /// Runs `zajil --json` to its end and reads its answer.
    pub fn json<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>) -> Value {
        let mut command = self.command(["--json"]);
        ended(command.args(words)).json()
    }

    /// Runs `zajil` with bytes on its standard input.
    pub fn zajil_reading<S: AsRef<OsStr>>(&self, words: impl IntoIterator<Item = S>, input: &[u8]) -> Ended {
        let mut command = self.command(words);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
        let mut child = child.expect("the program starts");
        // One that refuses early closes its end, which is no error of this test.
        let _may_be_closed = child.stdin.take().expect("its input is piped").write_all(input);
        from_output(child.wait_with_output().expect("it ends"))
    }

    /// Starts the daemon and waits until it is ready.
    pub fn daemon(&self) -> RunningDaemon {
        self.daemon_with(&[])
    }

    /// Starts the daemon with more variables.
    pub fn daemon_with(&self, variables: &[(&str, &str)]) -> RunningDaemon {
        let mut command = self.command(["daemon", "--json"]);
        let log = std::fs::File::create(self.file("daemon.log")).expect("the log can be written");
        let child = command.envs(variables.iter().copied()).stdout(Stdio::piped()).stderr(log).spawn();
        let mut child = child.expect("the daemon starts");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("its output is piped"));
        out.read_line(&mut line).expect("its output can be read");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("the daemon is not ready: {line:?}"));
        assert_eq!(ready["ok"], true, "{ready}");
        RunningDaemon { child }
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

/// A daemon as a process. Dropped, it is killed.
#[derive(Debug)]
pub struct RunningDaemon {
    child: Child,
}

impl RunningDaemon {
    /// Kills it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) {
        self.child.kill().expect("the daemon can be killed");
        self.wait();
    }

    /// Asks it with a signal to stop, and waits for that.
    pub fn stop(&mut self, signal: rustix::process::Signal) -> ExitStatus {
        let id = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(id, signal).expect("the daemon can be asked to stop");
        self.wait()
    }

    /// Lets it stand still while `meanwhile` happens, as a machine does that sleeps: it is not told.
    pub fn sleeps<T>(&self, meanwhile: impl FnOnce() -> T) -> T {
        suspended(&self.child, meanwhile)
    }

    /// Waits until it has ended.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the daemon ends")
    }
}

impl Drop for RunningDaemon {
    fn drop(&mut self) {
        let _may_have_ended = self.child.kill();
        let _may_have_ended = self.child.wait();
    }
}

/// Suspends a process while `meanwhile` happens.
pub(crate) fn suspended<T>(child: &Child, meanwhile: impl FnOnce() -> T) -> T {
    let id = rustix::process::Pid::from_child(child);
    let signal = |signal| rustix::process::kill_process(id, signal).expect("a process takes signals");
    signal(rustix::process::Signal::STOP);
    let result = meanwhile();
    signal(rustix::process::Signal::CONT);
    result
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    from_output(command.output().expect("the program starts"))
}

fn from_output(output: std::process::Output) -> Ended {
    let text = |bytes| String::from_utf8(bytes).expect("what is written is UTF-8");
    Ended { out: text(output.stdout), errors: text(output.stderr), code: output.status.code().unwrap_or(-1) }
}

/// A real recording of eleven seconds that lies in the sources.
pub fn recording() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../client/assets/voices/jfk.wav")
}
