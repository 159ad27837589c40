//! Sessions that are not what the engine uses: one that writes down all it sees, one that says whatever bytes it is told.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use zajil_proto::session::{Input, Lane, Output, Rank, Session};
use zajil_proto::time::Instant;
use zajil_proto::wire::{Frame, FrameBuffer};

/// Text that several hands write.
pub type Notebook = Arc<Mutex<String>>;

/// Adds what `Debug` shows of a value, on one line and on many.
pub fn note(notebook: &Notebook, value: &impl Debug) {
    let mut text = notebook.lock().expect("nothing panics under this lock");
    writeln!(text, "{value:?}\n{value:#?}").expect("text takes text");
}

/// Writes down what `Debug` shows of everything that goes into and comes out of a session.
#[derive(Debug)]
pub struct Recorded<S> {
    session: S,
    notebook: Notebook,
}

impl<S> Recorded<S> {
    /// Records `session`.
    pub const fn new(session: S, notebook: Notebook) -> Self {
        Self { session, notebook }
    }
}

impl<S: Session + Debug> Session for Recorded<S>
where
    S::Command: Debug,
    S::Event: Debug,
{
    type Command = S::Command;
    type Event = S::Event;

    fn handle_input(&mut self, now: Instant, input: Input<S::Command>) {
        note(&self.notebook, &input);
        self.session.handle_input(now, input);
    }

    fn poll_output(&mut self) -> Option<Output<S::Event>> {
        let output = self.session.poll_output()?;
        note(&self.notebook, &(&output, &self.session));
        Some(output)
    }

    fn wake_at(&self) -> Option<Instant> {
        self.session.wake_at()
    }

    fn lingers(&self) -> bool {
        self.session.lingers()
    }
}

/// Says on the control lane the bytes it is told, and tells the frames it hears on any lane.
#[derive(Debug, Default)]
pub struct Raw {
    heard: BTreeMap<Lane, FrameBuffer>,
    outputs: VecDeque<Output<Frame>>,
}

impl Session for Raw {
    type Command = Vec<u8>;
    type Event = Frame;

    fn handle_input(&mut self, _now: Instant, input: Input<Vec<u8>>) {
        match input {
            Input::Command(bytes) => {
                let output = Output::Transmit { lane: Lane::Control, rank: Rank::FIRST, bytes, end: false };
                self.outputs.push_back(output);
            }
            Input::Received { lane, bytes } => {
                let heard = self.heard.entry(lane).or_default();
                heard.push(&bytes);
                while let Ok(Some(frame)) = heard.next_frame() {
                    self.outputs.push_back(Output::Event(frame));
                }
            }
            _ => {}
        }
    }

    fn poll_output(&mut self) -> Option<Output<Frame>> {
        self.outputs.pop_front()
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
