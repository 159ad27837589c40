use core::time::Duration;
use std::collections::BTreeMap;
use std::future::ready;
use std::ops::Bound;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use quinn::{Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt, WriteError};
use tokio::time::timeout;
use zajil_proto::session::{Lane, Rank};
use zajil_proto::wire::Code;

use crate::congestion::measured;
use crate::connection::{Begun, OwnEnd, quic_code};
use crate::lanes::{Queue, Step};
use crate::limits::{CLOSE_LINGER, READ_BYTES_MAX};
use crate::seams::Pending;
use crate::transport::LinkClass;

/// Lanes as streams: the control lane is the device's first bidirectional one, each transfer a unidirectional one.
pub(crate) struct QuicLanes {
    connection: Connection,
    own: Option<OwnEnd>,
    /// The control lane's stream until it is there.
    control: Option<Pending<'static, Result<(SendStream, RecvStream), ConnectionError>>>,
    /// The next transfer of the peer; `None` once the connection has ended.
    next_arrival: Option<Pending<'static, Result<RecvStream, ConnectionError>>>,
    arriving: BTreeMap<Lane, RecvStream>,
    /// The transfer read last, so that they take turns.
    read_last: Lane,
    leaving: BTreeMap<Lane, Leaving>,
    /// Finished streams whose last bytes the peer has not acknowledged.
    settling: Vec<Pending<'static, ()>>,
    /// The next question of the device.
    asked: Option<NextDatagram>,
    queued: usize,
    /// What the relay may send ahead from the first bytes of a transfer on.
    widens_to: Option<u32>,
    lost: Option<ConnectionError>,
}

type NextDatagram = Pending<'static, Result<Bytes, ConnectionError>>;

fn next_datagram(connection: Connection) -> NextDatagram {
    Box::pin(async move { connection.read_datagram().await })
}

/// One lane on its way out.
struct Leaving {
    stream: Stream,
    queue: Queue,
    rank: Rank,
    end: bool,
}

enum Stream {
    /// The peer grants no further stream yet; for the control lane, the stream is not there yet.
    Awaited,
    Opening(Pending<'static, Result<SendStream, ConnectionError>>),
    Open(SendStream),
    /// The peer wants no more of it: what comes is dropped.
    Stopped,
}

impl Drop for QuicLanes {
    fn drop(&mut self) {
        if let Some((networks, place)) = self.own.as_ref().and_then(|own| own.network.as_ref())
            && let Some(measured) = measured(&self.connection)
        {
            networks.measured(*place, LinkClass::of(measured));
        }
    }
}

impl QuicLanes {
    pub(crate) fn new(connection: Connection, own: Option<OwnEnd>, begun: Option<Begun>) -> Self {
        let (opener, acceptor, listener) = (connection.clone(), connection.clone(), connection.clone());
        let (begun, first) = match begun {
            Some(Begun::Control(send, receive)) => (Some((send, receive)), None),
            Some(Begun::Transfer(receive)) => (None, Some(receive)),
            None => (None, None),
        };
        let control: Pending<'static, _> = match &own {
            _ if let Some(begun) = begun => Box::pin(ready(Ok(begun))),
            Some(_) => Box::pin(async move { opener.open_bi().await }),
            None => Box::pin(async move { opener.accept_bi().await }),
        };
        // A device asks, a relay answers.
        let asked = own.is_none().then(|| next_datagram(listener));
        let widens_to = own.as_ref().map(|own| own.window_bytes);
        let arriving = first.map(|stream| (Lane::Transfer(stream.id().index()), stream)).into_iter().collect();
        Self {
            connection,
            own,
            control: Some(control),
            next_arrival: Some(Box::pin(async move { acceptor.accept_uni().await })),
            arriving,
            read_last: Lane::Control,
            leaving: BTreeMap::new(),
            settling: Vec::new(),
            asked,
            queued: 0,
            widens_to,
            lost: None,
        }
    }

    /// Begins anew on the same connection.
    pub(crate) fn anew(&self) -> Self {
        Self::new(self.connection.clone(), self.own.clone(), None)
    }

    /// Returns whether something that was written may not have arrived.
    pub(crate) fn is_unsettled(&self) -> bool {
        let unwritten = |leaving: &Leaving| !leaving.queue.is_empty() || matches!(leaving.stream, Stream::Opening(_));
        let is_transfer = |lane: &Lane| *lane != Lane::Control;
        !self.settling.is_empty() || self.leaving.iter().any(|(lane, leaving)| is_transfer(lane) || unwritten(leaving))
    }

    /// Asks for a sign of life: an empty datagram has to be acknowledged, and holds nothing up if it is lost.
    pub(crate) fn ask(&self) {
        // An error: the peer takes none, or the connection has ended, which reading tells.
        let _ = self.connection.send_datagram(Bytes::new());
    }

    /// Answers what the device asks, likewise: the acknowledgement of this shows what else was lost on the way to it.
    fn poll_asked(&mut self, context: &mut Context<'_>) {
        while let Some(asked) = &mut self.asked {
            let Poll::Ready(asked) = asked.as_mut().poll(context) else { return };
            self.asked = asked.is_ok().then(|| next_datagram(self.connection.clone()));
            if self.asked.is_some() {
                self.ask();
            }
        }
    }

    /// Returns how many datagrams have come, and how long the way there and back takes.
    pub(crate) fn heard(&self) -> (u64, Duration) {
        let stats = self.connection.stats();
        (stats.udp_rx.datagrams, stats.path.rtt)
    }

    pub(crate) fn queued(&self) -> usize {
        self.queued
    }

    pub(crate) fn transmit(&mut self, lane: Lane, rank: Rank, bytes: Bytes, end: bool) {
        if self.lost.is_some() {
            return;
        }
        let connection = &self.connection;
        let leaving = self.leaving.entry(lane).or_insert_with(|| Leaving {
            stream: match lane {
                Lane::Control => Stream::Awaited,
                Lane::Transfer(_) => {
                    let opener = connection.clone();
                    Stream::Opening(Box::pin(async move { opener.open_uni().await }))
                }
            },
            queue: Queue::new(),
            rank,
            end: false,
        });
        if leaving.rank != rank {
            leaving.rank = rank;
            leaving.apply_rank();
        }
        leaving.end |= end;
        if !bytes.is_empty() {
            self.queued += bytes.len();
            leaving.queue.push_back(bytes);
        }
    }

    pub(crate) fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        self.settling.retain_mut(|one| one.as_mut().poll(context).is_pending());
        self.poll_control(context);
        let mut order: Vec<(Rank, Lane)> = self.leaving.iter().map(|(lane, leaving)| (leaving.rank, *lane)).collect();
        order.sort_unstable();
        for (_, lane) in order {
            let Some(leaving) = self.leaving.get_mut(&lane) else {
                continue;
            };
            let written = leaving.poll_write(context);
            if leaving.is_done() {
                self.finish(lane);
            }
            match written {
                Poll::Ready(Ok(0)) | Poll::Pending => {}
                Poll::Ready(Ok(count)) => {
                    self.queued = self.queued.saturating_sub(count);
                    return Poll::Ready(Step::Flushed(count));
                }
                Poll::Ready(Err(error)) => {
                    // Reading tells, after what had arrived; it may have waited for room that there is now.
                    self.lost.get_or_insert(error);
                    self.forget_queues();
                    context.waker().wake_by_ref();
                    return Poll::Pending;
                }
            }
        }
        Poll::Pending
    }

    pub(crate) fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Step> {
        self.poll_control(context);
        self.poll_arrivals(context);
        self.poll_asked(context);
        let after = (Bound::Excluded(self.read_last), Bound::Unbounded);
        let later = self.arriving.range(after).map(|(lane, _)| *lane);
        let earlier = self.arriving.range(..=self.read_last).map(|(lane, _)| *lane);
        // The control lane first, then the transfers in turn.
        let order: Vec<Lane> = [Lane::Control].into_iter().chain(later).chain(earlier).collect();
        for lane in order {
            let Some(stream) = self.arriving.get_mut(&lane) else {
                continue;
            };
            match poll_chunk(stream, context) {
                Poll::Pending => {}
                Poll::Ready(Ok(Some(chunk))) => {
                    self.read_last = lane;
                    if lane != Lane::Control
                        && let Some(bytes) = self.widens_to.take()
                    {
                        self.connection.set_receive_window(VarInt::from_u32(bytes));
                    }
                    let bytes = Vec::from(chunk);
                    return Poll::Ready(Step::Received { lane, bytes });
                }
                // The driver hears of it, and begins anew.
                Poll::Ready(Err(ReadError::ZeroRttRejected)) => {}
                Poll::Ready(Err(ReadError::ConnectionLost(error))) => {
                    self.lost.get_or_insert(error);
                }
                Poll::Ready(Ok(None) | Err(_)) => {
                    self.arriving.remove(&lane);
                    return Poll::Ready(Step::Ended(lane));
                }
            }
        }
        match self.lost.clone() {
            Some(error) => {
                self.forget_queues();
                Poll::Ready(Step::Gone(error.into()))
            }
            None => Poll::Pending,
        }
    }

    pub(crate) async fn settle(&mut self) {
        let lanes: Vec<Lane> = self.leaving.keys().copied().collect();
        for lane in lanes {
            self.finish(lane);
        }
        for stream in std::mem::take(&mut self.settling) {
            stream.await;
        }
    }

    pub(crate) async fn close(self, code: Code) {
        self.connection.close(quic_code(code), &[]);
        if let Some(own) = &self.own {
            // Only so that the last packet leaves; whoever misses it notices by itself.
            let _ = timeout(CLOSE_LINGER, own.endpoint.wait_idle()).await;
        }
    }

    fn poll_control(&mut self, context: &mut Context<'_>) {
        let Some(opening) = &mut self.control else { return };
        let Poll::Ready(opened) = opening.as_mut().poll(context) else {
            return;
        };
        self.control = None;
        match opened {
            Ok((send, receive)) => {
                self.arriving.insert(Lane::Control, receive);
                let leaving = self.leaving.entry(Lane::Control).or_insert_with(|| Leaving {
                    stream: Stream::Awaited,
                    queue: Queue::new(),
                    rank: Rank::FIRST,
                    end: false,
                });
                leaving.stream = Stream::Open(send);
                leaving.apply_rank();
            }
            Err(error) => {
                self.lost.get_or_insert(error);
            }
        }
    }

    fn poll_arrivals(&mut self, context: &mut Context<'_>) {
        while let Some(arrival) = &mut self.next_arrival {
            let Poll::Ready(arrived) = arrival.as_mut().poll(context) else {
                return;
            };
            let acceptor = self.connection.clone();
            self.next_arrival = match arrived {
                Ok(stream) => {
                    self.arriving.insert(Lane::Transfer(stream.id().index()), stream);
                    Some(Box::pin(async move { acceptor.accept_uni().await }))
                }
                Err(error) => {
                    self.lost.get_or_insert(error);
                    None
                }
            };
        }
    }

    /// Ends a lane whose queue is empty; its last bytes go on to be acknowledged.
    fn finish(&mut self, lane: Lane) {
        let Some(leaving) = self.leaving.remove(&lane) else {
            return;
        };
        if let Stream::Open(mut stream) = leaving.stream {
            // An error: the peer had stopped it already.
            let _ = stream.finish();
            let settled = stream.stopped();
            self.settling.push(Box::pin(async move {
                let _ = settled.await;
            }));
        }
    }

    /// Drops what can no longer leave, so that it does not hold back reading what had arrived.
    fn forget_queues(&mut self) {
        self.leaving.clear();
        self.queued = 0;
    }
}

/// Takes the next bytes of a stream, `None` at its end.
fn poll_chunk(stream: &mut RecvStream, context: &mut Context<'_>) -> Poll<Result<Option<Bytes>, ReadError>> {
    let chunk = pin!(stream.read_chunk(READ_BYTES_MAX, true)).poll(context);
    chunk.map_ok(|chunk| chunk.map(|chunk| chunk.bytes))
}

impl Leaving {
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, ConnectionError>> {
        if let Stream::Opening(opening) = &mut self.stream {
            match opening.as_mut().poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Ready(Ok(stream)) => {
                    self.stream = Stream::Open(stream);
                    self.apply_rank();
                }
            }
        }
        match &mut self.stream {
            Stream::Awaited | Stream::Opening(_) => Poll::Pending,
            Stream::Stopped => Poll::Ready(Ok(self.drop_queue())),
            Stream::Open(stream) => {
                let Some(front) = self.queue.front_mut() else {
                    return Poll::Ready(Ok(0));
                };
                match Pin::new(stream).poll_write(context, front) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Ok(count)) => {
                        front.advance(count);
                        if front.is_empty() {
                            self.queue.pop_front();
                        }
                        Poll::Ready(Ok(count))
                    }
                    Poll::Ready(Err(WriteError::ConnectionLost(error))) => Poll::Ready(Err(error)),
                    // The driver hears of it, and begins anew.
                    Poll::Ready(Err(WriteError::ZeroRttRejected)) => Poll::Pending,
                    Poll::Ready(Err(_)) => {
                        self.stream = Stream::Stopped;
                        Poll::Ready(Ok(self.drop_queue()))
                    }
                }
            }
        }
    }

    /// Returns whether nothing is left to write and nothing will come.
    fn is_done(&self) -> bool {
        self.end && self.queue.is_empty() && matches!(self.stream, Stream::Open(_) | Stream::Stopped)
    }

    /// Drops what waits and returns how much that was: for the machine it has left.
    fn drop_queue(&mut self) -> usize {
        self.queue.drain(..).map(|bytes| bytes.len()).sum()
    }

    fn apply_rank(&self) {
        if let Stream::Open(stream) = &self.stream {
            // An error: the peer stopped it, and the next write says so.
            let _ = stream.set_priority(-i32::from(self.rank.0));
        }
    }
}
