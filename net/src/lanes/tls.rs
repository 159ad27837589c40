use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsStream;
use zajil_proto::session::{Lane, Rank};

use crate::lanes::{Gone, Loss, Step};
use crate::limits::READ_BYTES_MAX;
use crate::seams::ByteStream;

/// Lanes in turn on one ordered stream: outgoing frames by rank, and within a rank as they came. What arrives is all
/// one lane: the frames themselves say which transfer they are of.
pub(crate) struct TlsLanes {
    stream: Box<TlsStream<Box<dyn ByteStream>>>,
    waiting: Waiting,
    /// Frames of which a part has left; nothing may come between.
    leaving: Bytes,
    queued: usize,
    /// Whether something is encrypted but not yet with the kernel.
    unflushed: bool,
    /// What ended the stream; `None` while it is open.
    gone: Option<Gone>,
    end_told: bool,
}

impl TlsLanes {
    pub(crate) fn new(stream: Box<TlsStream<Box<dyn ByteStream>>>) -> Self {
        Self {
            stream,
            waiting: Waiting::default(),
            leaving: Bytes::new(),
            queued: 0,
            unflushed: false,
            gone: None,
            end_told: false,
        }
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn transmit(&mut self, lane: Lane, rank: Rank, bytes: Bytes) {
        if !bytes.is_empty() && self.gone.is_none() {
            self.queued += bytes.len();
            self.waiting.push(lane, rank, bytes);
        }
    }

    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if self.leaving.is_empty() {
            self.leaving = self.waiting.pop().unwrap_or_default();
        }
        if self.leaving.is_empty() {
            if self.unflushed && ready!(Pin::new(&mut self.stream).poll_flush(context)).is_ok() {
                self.unflushed = false;
            }
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.stream).poll_write(context, &self.leaving)) {
            Ok(count) if count > 0 => {
                self.leaving.advance(count);
                self.queued = self.queued.saturating_sub(count);
                self.unflushed = true;
                Poll::Ready(Step::Flushed(count))
            }
            // Nothing can leave any more. Reading tells why, after what had arrived.
            result => {
                let error = result.err().unwrap_or_else(|| io::ErrorKind::WriteZero.into());
                self.forget_queue();
                self.gone.get_or_insert(lost(&error));
                context.waker().wake_by_ref();
                Poll::Pending
            }
        }
    }

    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        if self.end_told {
            let gone = self.gone.unwrap_or(Gone::Closed(None));
            self.forget_queue();
            return Poll::Ready(Step::Gone(gone));
        }
        let mut room = [0; READ_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut room);
        let read = match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
            Poll::Ready(read) => read,
            // Nothing more is here, and what is broken brings nothing more.
            Poll::Pending if self.gone.is_some() => Ok(()),
            Poll::Pending => return Poll::Pending,
        };
        if let Err(error) = read {
            self.gone.get_or_insert(lost(&error));
        }
        if buffer.filled().is_empty() {
            self.end_told = true;
            return Poll::Ready(Step::Ended(Lane::Control));
        }
        Poll::Ready(Step::Received { lane: Lane::Control, bytes: buffer.filled().to_vec() })
    }

    pub(crate) async fn settle(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        // Closing a socket with unread bytes makes the kernel take back what it has sent: read until the peer is done
        // too.
        // On the heap: every connection's future would have room for it all its life.
        let mut room = vec![0; READ_BYTES_MAX];
        while self.stream.read(&mut room).await.is_ok_and(|count| count > 0) {}
    }

    fn forget_queue(&mut self) {
        self.waiting = Waiting::default();
        self.leaving = Bytes::new();
        self.queued = 0;
        self.unflushed = false;
    }
}

fn lost(error: &io::Error) -> Gone {
    Gone::Lost(match error.kind() {
        io::ErrorKind::TimedOut => Loss::Silence,
        _ => Loss::Broken,
    })
}

/// Frames that wait to leave: each lane in its own order, and of all lanes the first by rank, then by age.
#[derive(Default)]
struct Waiting {
    lanes: BTreeMap<Lane, VecDeque<(Rank, u64, Bytes)>>,
    pushed: u64,
}

impl Waiting {
    fn push(&mut self, lane: Lane, rank: Rank, bytes: Bytes) {
        self.pushed += 1;
        self.lanes.entry(lane).or_default().push_back((rank, self.pushed, bytes));
    }

    fn pop(&mut self) -> Option<Bytes> {
        let heads = self.lanes.iter().filter_map(|(lane, queue)| queue.front().map(|head| (head.0, head.1, *lane)));
        let (_, _, lane) = heads.min()?;
        let queue = self.lanes.get_mut(&lane)?;
        let (_, _, bytes) = queue.pop_front()?;
        if queue.is_empty() {
            self.lanes.remove(&lane);
        }
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_leave_by_rank_but_never_overtake_within_a_lane() {
        let mut waiting = Waiting::default();
        let push = |waiting: &mut Waiting, lane, rank, text: &'static str| {
            waiting.push(lane, rank, Bytes::from_static(text.as_bytes()));
        };
        push(&mut waiting, Lane::Transfer(1), Rank::NOTE_REST, "note 1");
        push(&mut waiting, Lane::Transfer(1), Rank::FIRST, "its end");
        push(&mut waiting, Lane::Transfer(2), Rank::NOTE_REST, "note 2");
        push(&mut waiting, Lane::Control, Rank::FIRST, "word");
        let left: Vec<_> = std::iter::from_fn(|| waiting.pop()).collect();
        assert_eq!(left, ["word", "note 1", "its end", "note 2"]);
    }
}
