//! A line for every packet.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zajil_net::links::DropCause;

use crate::errors::LinkError;
use crate::way::{Flying, Protocol};

/// A CSV file: way, number, bytes, protocol, when it was offered, when it was due, when it was handed over, and its fate.
///
/// Times are seconds since the link came up, to the nanosecond, so that the model can be asked again. What is dropped is due and
/// handed over never.
#[derive(Debug)]
pub(crate) struct Trace {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Trace {
    /// Begins a new file.
    pub(crate) fn create(path: &Path) -> Result<Self, LinkError> {
        let failed = |source| LinkError::File { path: path.to_owned(), source };
        let mut file = BufWriter::new(File::create(path).map_err(failed)?);
        writeln!(file, "dir,id,bytes,proto,offered_s,due_s,done_s,fate").map_err(failed)?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Notes a packet that will not arrive.
    pub(crate) fn dropped(
        &mut self,
        way: &str,
        number: u64,
        packet: &[u8],
        now: Duration,
        cause: DropCause,
    ) -> Result<(), LinkError> {
        let (protocol, offered, cause) = (Protocol::of(packet).name(), now.as_secs_f64(), cause_name(cause));
        let line = format_args!("{way},{number},{},{protocol},{offered:.9},,,{cause}", packet.len());
        writeln!(self.file, "{line}").map_err(|source| LinkError::File { path: self.path.clone(), source })
    }

    /// Notes a packet that was handed over, or that the other end refused.
    pub(crate) fn handed_over(
        &mut self,
        way: &str,
        flying: &Flying,
        now: Duration,
        refused: bool,
    ) -> Result<(), LinkError> {
        let fate = if refused { "refused" } else { "delivered" };
        let [offered, due, done] = [flying.offered, flying.at, now].map(|time| time.as_secs_f64());
        let (number, bytes, protocol) = (flying.number, flying.packet.len(), Protocol::of(&flying.packet).name());
        let line = format_args!("{way},{number},{bytes},{protocol},{offered:.9},{due:.9},{done:.9},{fate}");
        writeln!(self.file, "{line}").map_err(|source| LinkError::File { path: self.path.clone(), source })
    }

    /// Writes everything out.
    pub(crate) fn finish(mut self) -> Result<(), LinkError> {
        self.file.flush().map_err(|source| LinkError::File { path: self.path, source })
    }
}

/// Returns how a cause is called in figures and traces.
pub(crate) const fn cause_name(cause: DropCause) -> &'static str {
    match cause {
        DropCause::Outage => "outage",
        DropCause::TooLarge => "oversize",
        DropCause::QueueFull => "queue_full",
        DropCause::Lost => "lost",
        DropCause::Blocked => "blocked_udp",
    }
}
