//! The trace of a run: what must be the same again from the same seed.

use ring::digest::{Context, SHA256};

/// Lines of a trace that are kept when they are asked for: 200 bytes each, so a gigabyte at most.
const LINES_MAX: usize = 5_000_000;

/// Everything that happened in a run, as a hash and, if asked for, as lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// SHA-256 over all lines.
    pub hash: [u8; 32],
    /// How many lines there were.
    pub entries: u64,
    /// The lines, if they were to be kept.
    pub lines: Option<Vec<String>>,
}

/// Writes a trace.
pub(super) struct Tracer {
    context: Context,
    entries: u64,
    lines: Option<Vec<String>>,
}

impl Tracer {
    pub(super) fn new(keep: bool) -> Self {
        Self { context: Context::new(&SHA256), entries: 0, lines: keep.then(Vec::new) }
    }

    /// Adds a line.
    pub(super) fn add(&mut self, line: &str) {
        self.context.update(line.as_bytes());
        self.context.update(b"\n");
        self.entries += 1;
        if let Some(lines) = self.lines.as_mut().filter(|lines| lines.len() < LINES_MAX) {
            lines.push(line.to_owned());
        }
    }

    /// Ends the trace.
    pub(super) fn finish(self) -> Trace {
        let digest = self.context.finish();
        let hash = digest.as_ref().try_into().expect("SHA-256 has 32 bytes");
        Trace { hash, entries: self.entries, lines: self.lines }
    }
}
