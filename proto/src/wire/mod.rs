//! The frames of a session (P8): parsed once into these types, written from them.

mod code;
mod decode;
mod encode;
mod frame;
mod word;

pub use code::Code;
pub use decode::FrameBuffer;
pub use frame::{
    Frame, Held, ParcelStart, Precision, Prove, PutStart, PutState, Register, Scope, SeenAnswer, Welcome, WordLive,
    WordPut,
};
pub use word::{LinkReport, LinkState, LinkStatus, Observation, SEALED_WORD_BYTES, Word};
