//! How long a note takes over a bad link: the real relay and the real engine, in virtual time, a link model between them.
//!
//! What is measured is what a person waits for, from asking to the answer; what the link could do at best stands in [`limit()`], and
//! what our transport does with nothing on top in [`floor()`].
//! What virtual time does not have: the disk, the processor and the radio's own waking up.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "this package is nothing but measurement: what cannot go on shall fail loudly"
)]

mod bare;
mod begun;
pub mod chance;
pub mod doors;
mod limit;
mod note;
pub mod open_relay;
mod peers;
mod plot;
mod real;
mod report;
mod series;
mod standing;
mod trial;

pub use bare::floor;
pub use begun::Begun;
pub use limit::{ideal, limit, limit_of_word};
pub use note::{NOTE_BYTES, Note};
pub use peers::{OfPeer, Peer, measure_peer};
pub use plot::{NoPlot, svg};
pub use real::{Compared, Unable, compare};
pub use report::{Report, markdown, peers_markdown};
pub use series::{Case, OverIdeal, Summary, cases, measure};
pub use trial::{Link, Outcome, PATIENCE, Start, Trial, Way, play};
