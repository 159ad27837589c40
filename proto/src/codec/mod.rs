//! Bytes to values and back (P1). Never panics on any input; never reads past an end.

mod reader;
mod writer;

pub use reader::Reader;
pub use writer::Writer;

/// Why bytes could not be read. The fault is the sender's, or the disk's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes end before the value does.
    #[error("{expected} more bytes expected, got {got}")]
    Short {
        /// Bytes the value still needs.
        expected: usize,
        /// Bytes there are.
        got: usize,
    },
    /// A variable-length integer is not in its shortest form (P1.1).
    #[error("a variable-length integer is longer than it need be")]
    LongVarint,
    /// A number is outside the range its field allows.
    #[error("{field} is out of range: {got}")]
    Range {
        /// Which field.
        field: &'static str,
        /// What it says.
        got: u64,
    },
    /// A length is above its limit.
    #[error("{field} is too long: {got}, at most {expected}")]
    TooLong {
        /// Which field.
        field: &'static str,
        /// What it says.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// Text is not UTF-8.
    #[error("{field} is not UTF-8")]
    Text {
        /// Which field.
        field: &'static str,
    },
    /// A check value or a hash does not fit.
    #[error("{field} does not fit")]
    Check {
        /// Which field.
        field: &'static str,
    },
    /// A frame type that nobody knows and that may not be skipped (P1.3).
    #[error("unknown frame type {got}")]
    UnknownFrame {
        /// The type.
        got: u64,
    },
}
