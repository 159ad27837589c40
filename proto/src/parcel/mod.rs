//! Parcels: header, marks, and the checked assembly of a body (P3).

mod assembly;
mod header;
mod mark;

pub use assembly::{Assembly, AssemblyError, Resumed};
pub use header::{Class, HEADER_BYTES, Header, HeaderError, Home, Travel};
pub use mark::{MARK_BYTES, Mark, MarkChain, SealedParcel};
