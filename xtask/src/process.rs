//! Child processes: started so that they end with us, read so that they cannot block us, watched so that a person sees
//! that something is going on.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{BufRead, BufReader, IsTerminal, PipeReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// How long to wait for a line before looking at the clock and at the child again.
const POLL: Duration = Duration::from_millis(200);

/// How long to go on reading once the child has ended but something it started still holds its output.
const STRAGGLERS: Duration = Duration::from_secs(5);

/// Time between two signs of life where output goes to a file: often enough to see progress, rare enough to read.
const SIGN_OF_LIFE_FILE: Duration = Duration::from_secs(15);

/// Time between two signs of life on a terminal, where one line is written over and over.
const SIGN_OF_LIFE_TERMINAL: Duration = Duration::from_secs(1);

/// Columns of a sign of life: fits the narrowest usual terminal without a line break.
const SIGN_OF_LIFE_COLUMNS: usize = 78;

/// Lines between the reader and us; it waits when we are behind.
const LINES_IN_FLIGHT: usize = 256;

/// Bytes of a child's output that are kept to be read back; the log file has all of it.
const OUTPUT_BYTES_MAX: usize = 32 << 20;

/// A command whose process is killed by the kernel when this one ends, however it ends.
///
/// A process group would do for Ctrl-C on a terminal, but not when a CI runner kills us alone. `setpriv` asks the kernel for
/// that signal (`PR_SET_PDEATHSIG`) and then becomes the program; without unsafe code there is no other way to ask.
/// Where there is no `setpriv` (not Linux), Ctrl-C still reaches the whole group.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = if on_path("setpriv") {
        let mut wrapped = Command::new("setpriv");
        wrapped.args(["--pdeathsig", "KILL", "--"]).arg(program);
        wrapped
    } else {
        Command::new(program)
    };
    command.stdin(Stdio::null());
    command
}

/// Whether a program can be found on the search path or among the administrator's programs.
pub(crate) fn on_path(program: &str) -> bool {
    let search = std::env::var_os("PATH").unwrap_or_default();
    let administrators = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&search).chain(administrators).any(|folder| folder.join(program).is_file())
}

/// A child that is killed and awaited when it is dropped, so that an error leaves nobody behind.
#[derive(Debug)]
pub(crate) struct Running(Child);

impl Running {
    /// Starts a command.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let program = command.get_program().to_string_lossy().into_owned();
        Ok(Self(command.spawn().with_context(|| format!("could not start {program}"))?))
    }

    /// The status if the child has ended.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Waits until the child has ended.
    pub(crate) fn wait(mut self) -> Result<ExitStatus> {
        Ok(self.0.wait()?)
    }

    /// Kills the child without warning, as a power cut would, and waits until it is gone.
    pub(crate) fn kill(mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only for a child that is already gone.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is left of a command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Whether it ended with status 0.
    pub(crate) success: bool,
    /// Its standard output and standard error, in the order of arrival.
    pub(crate) output: String,
}

/// Runs a command to its end, keeps its output in `log`, and shows signs of life.
pub(crate) fn run_logged(mut command: Command, label: &str, log: &Path) -> Result<Finished> {
    let mut file = File::create(log).with_context(|| format!("could not write {}", log.display()))?;
    let (reader, writer) = std::io::pipe()?;
    command.stdout(writer.try_clone()?).stderr(writer);
    let mut child = Running::start(&mut command)?;
    drop(command); // It holds the writing ends; the reader would never see the end of the file.

    let (sender, lines) = sync_channel(LINES_IN_FLIGHT);
    let thread = std::thread::spawn(move || read_lines(reader, &sender));
    let mut output = String::new();
    let mut progress = Progress::new(label);
    let status = loop {
        if drain(&lines, &mut file, &mut output, &mut progress)? == Pipe::Closed {
            let status = child.0.wait()?;
            let _ = thread.join(); // It has closed the channel, so it is at its end.
            break status;
        }
        if let Some(status) = child.ended()? {
            // A grandchild may hold the pipe open for ever: what it has written by now is read, the rest is not waited for.
            let deadline = Instant::now() + STRAGGLERS;
            while Instant::now() < deadline && drain(&lines, &mut file, &mut output, &mut progress)? == Pipe::Open {}
            break status;
        }
    };
    progress.clear()?;
    Ok(Finished { success: status.success(), output })
}

/// Whether more output may come.
#[derive(Debug, PartialEq, Eq)]
enum Pipe {
    Open,
    Closed,
}

/// Takes lines until none comes for a moment.
fn drain(lines: &Receiver<String>, file: &mut File, output: &mut String, progress: &mut Progress) -> Result<Pipe> {
    loop {
        match lines.recv_timeout(POLL) {
            Ok(line) => {
                file.write_all(line.as_bytes())?;
                progress.show(&line)?;
                if output.len() + line.len() <= OUTPUT_BYTES_MAX {
                    output.push_str(&line);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                progress.show("")?;
                return Ok(Pipe::Open);
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(Pipe::Closed),
        }
    }
}

/// Reads until the last writer is gone, or until nobody listens.
fn read_lines(reader: PipeReader, sender: &SyncSender<String>) {
    let mut reader = BufReader::new(reader);
    let mut bytes = Vec::new();
    while matches!(reader.read_until(b'\n', &mut bytes), Ok(count) if count > 0) {
        if sender.send(String::from_utf8_lossy(&bytes).into_owned()).is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Shows that a command goes on: one line rewritten on a terminal, a line now and then elsewhere.
struct Progress<'a> {
    label: &'a str,
    started: Instant,
    shown: Instant,
    latest: String,
    terminal: bool,
}

impl<'a> Progress<'a> {
    fn new(label: &'a str) -> Self {
        let now = Instant::now();
        Self { label, started: now, shown: now, latest: String::new(), terminal: std::io::stdout().is_terminal() }
    }

    fn show(&mut self, line: &str) -> Result<()> {
        // What cargo says in JSON is for us, not for people.
        if !line.trim().is_empty() && !line.starts_with('{') {
            line.trim().clone_into(&mut self.latest);
        }
        let pause = if self.terminal { SIGN_OF_LIFE_TERMINAL } else { SIGN_OF_LIFE_FILE };
        if self.shown.elapsed() < pause {
            return Ok(());
        }
        self.shown = Instant::now();
        let whole = format!("  {} s  {}: {}", self.started.elapsed().as_secs(), self.label, self.latest);
        let text: String =
            whole.chars().filter(|character| !character.is_control()).take(SIGN_OF_LIFE_COLUMNS).collect();
        let mut out = std::io::stdout().lock();
        if self.terminal {
            write!(out, "\r\x1b[2K{text}")?;
        } else {
            writeln!(out, "{text}")?;
        }
        out.flush()?;
        Ok(())
    }

    fn clear(&self) -> Result<()> {
        if self.terminal {
            let mut out = std::io::stdout().lock();
            write!(out, "\r\x1b[2K")?;
            out.flush()?;
        }
        Ok(())
    }
}
