//! The programs that run at the ends of a link.

use std::ffi::{OsStr, OsString};
use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::errors::LinkError;
use crate::namespace::Namespace;

/// How long a program may take to end when it is asked to.
const END_TIME_MAX: Duration = Duration::from_secs(2);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// A program that runs; asked to end when it is dropped, and then made to.
#[derive(Debug)]
pub(crate) struct Program {
    child: Child,
    /// Whether it is the first of a group of its own, so that whatever it has started can be ended with it.
    leads: bool,
}

impl Program {
    /// Starts a command in a namespace, or where we are.
    ///
    /// Without a terminal it leads a group of its own. With one it stays in ours, so that it can read from there.
    pub(crate) fn start(
        command: &[OsString],
        environment: &[(&str, String)],
        namespace: Option<&Namespace>,
    ) -> Result<Self, LinkError> {
        let (name, arguments) = command.split_first().map_or((OsStr::new(""), command), |(name, rest)| (name, rest));
        let mut ready = Command::new(name);
        ready.args(arguments).envs(environment.iter().map(|(key, value)| (key, value)));
        let leads = !io::stdin().is_terminal();
        if leads {
            ready.process_group(0);
        }
        Ok(Self { child: spawn(ready, namespace)?, leads })
    }

    /// Starts a line of shell in a namespace, in a group of its own. What it prints goes to standard error.
    pub(crate) fn start_line(line: &OsStr, namespace: &Namespace) -> Result<Self, LinkError> {
        let output = io::stderr().as_fd().try_clone_to_owned();
        let output = output.map_err(LinkError::system("could not share standard error"))?;
        let mut ready = Command::new("sh");
        ready.arg("-c").arg(line).process_group(0).stdin(Stdio::null()).stdout(output);
        Ok(Self { child: spawn(ready, Some(namespace))?, leads: true })
    }

    /// Returns how it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        // It cannot fail: the child is ours and nobody else waits for it.
        self.child.try_wait().ok().flatten()
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        // What has ended in the meantime cannot be asked, and need not.
        let _ended = if self.leads { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // A group outlives the program that leads it.
        if self.leads || self.ended().is_none() {
            self.signal(Signal::TERM);
        }
        let begin = Instant::now();
        while self.ended().is_none() && begin.elapsed() < END_TIME_MAX {
            std::thread::sleep(LOOK_EVERY);
        }
        if self.ended().is_none() {
            self.signal(Signal::KILL);
            let _reaped = self.child.wait();
        }
    }
}

/// Returns the exit status that tells how a program ended, as a shell would.
pub(crate) fn exit_code(status: ExitStatus) -> u8 {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

fn spawn(mut ready: Command, namespace: Option<&Namespace>) -> Result<Child, LinkError> {
    let command = ready.get_program().to_string_lossy().into_owned();
    let child = match namespace {
        Some(namespace) => namespace.inside(|| ready.spawn())?,
        None => ready.spawn(),
    };
    child.map_err(|source| LinkError::Program { command, source })
}
