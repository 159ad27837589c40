//! A link between two network namespaces that `linkem` holds. Needs root.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::series::Case;

/// The end behind the bad link.
pub(crate) const CAMP: usize = 0;
/// The end where relays and servers are.
pub(crate) const TOWN: usize = 1;
/// The address of that end.
pub(crate) const TOWN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

/// A program that runs until this is dropped.
pub(crate) struct Running(pub(crate) Child);

impl Running {
    fn terminate(&self) {
        let _may_have_ended = kill_process(Pid::from_child(&self.0), Signal::TERM);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.terminate();
        let _may_have_ended = self.0.wait();
    }
}

/// A link, until it is dropped or ended. Several may stand side by side: each has namespaces of its own.
pub(crate) struct Standing {
    linkem: Running,
    told: BufReader<ChildStdout>,
    names: [String; 2],
}

impl Standing {
    /// Has `program`, which is linkem, make the link of a case.
    pub(crate) fn new(program: &Path, case: &Case, seed: u64) -> io::Result<Self> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let names = ["camp", "town"].map(|end| format!("zajil-bench-{}-{number}-{end}", std::process::id()));
        let mut command = Command::new(program);
        command.args(["up", "--profile", case.profile(), "--seed", &seed.to_string()]);
        command.args(case.spells());
        command.args(["--ns-a", &names[CAMP], "--ns-b", &names[TOWN]]);
        let mut linkem = Running(command.stdout(Stdio::piped()).spawn()?);
        let told = linkem.0.stdout.take().ok_or_else(|| io::Error::other("linkem has no output"))?;
        let mut standing = Self { linkem, told: BufReader::new(told), names };
        let mut line = String::new();
        standing.told.read_line(&mut line)?;
        if line.contains("\"ready\"") {
            Ok(standing)
        } else {
            Err(io::Error::other("linkem makes no link here; it says why above"))
        }
    }

    /// Opens the namespace of an end.
    pub(crate) fn end(&self, end: usize) -> io::Result<File> {
        File::open(Path::new("/run/netns").join(&self.names[end]))
    }

    /// Ends the link; returns how late 99 of 100 packets were at most, `None` if there were none.
    pub(crate) fn ended(mut self) -> io::Result<Option<Duration>> {
        self.linkem.terminate();
        let mut line = String::new();
        self.told.read_line(&mut line)?;
        let figures: serde_json::Value = serde_json::from_str(&line)?;
        Ok(figures["loop"]["late"]["p99_below_us"].as_u64().map(Duration::from_micros))
    }
}

/// Enters a namespace with this thread, for what it opens and starts from now on.
pub(crate) fn enter(namespace: &File) -> io::Result<()> {
    Ok(move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?)
}
