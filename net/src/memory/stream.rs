use core::fmt;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::memory::MemoryWorld;
use crate::seams::{ByteListener, ByteStream, Pending};

/// Bytes on their way in one direction; a writer waits above.
const PIPE_BYTES_MAX: usize = 64 << 10;
/// Streams waiting to be accepted; more are refused.
const BACKLOG_MAX: usize = 128;

/// One direction of a byte stream.
pub(super) struct Pipe {
    state: Mutex<PipeState>,
}

#[derive(Default)]
struct PipeState {
    coming: VecDeque<(Instant, Bytes)>,
    bytes: usize,
    /// The writer has ended, and when its end arrives.
    ended: Option<Instant>,
    /// The reader has gone: writing fails.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pipe {
    fn new(world: &MemoryWorld) -> Arc<Self> {
        let pipe = Arc::new(Self { state: Mutex::new(PipeState::default()) });
        world.lock().pipes.push(Arc::downgrade(&pipe));
        pipe
    }

    /// Makes whoever waits look again.
    pub(super) fn wake(&self) {
        self.lock().wake();
    }

    fn lock(&self) -> MutexGuard<'_, PipeState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PipeState {
    fn wake(&mut self) {
        [self.reader.take(), self.writer.take()].into_iter().flatten().for_each(Waker::wake);
    }

    fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        carries: bool,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reader = Some(context.waker().clone());
        let next = self.coming.front().map(|(at, _)| *at).or(self.ended);
        let Some(at) = next.filter(|_| carries) else {
            return Poll::Pending;
        };
        if at > Instant::now() {
            let timer = self.timer.insert(Box::pin(sleep_until(at)));
            if timer.as_mut().poll(context).is_pending() {
                return Poll::Pending;
            }
        }
        if let Some((_, bytes)) = self.coming.front_mut() {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes.split_to(count));
            self.bytes -= count;
            if !bytes.has_remaining() {
                self.coming.pop_front();
            }
            self.writer.take().into_iter().for_each(Waker::wake);
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write(&mut self, context: &mut Context<'_>, arrival: Instant, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.unread || self.ended.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = PIPE_BYTES_MAX.saturating_sub(self.bytes);
        let Some(taken) = bytes.get(..room.min(bytes.len())).filter(|taken| !taken.is_empty()) else {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        };
        self.bytes += taken.len();
        self.coming.push_back((arrival, Bytes::copy_from_slice(taken)));
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(taken.len()))
    }
}

/// One end of a simulated byte stream: reliable, in order, late by the network's delay, held while a link is not up.
pub(super) struct MemoryStream {
    world: MemoryWorld,
    own: IpAddr,
    peer: IpAddr,
    incoming: Arc<Pipe>,
    outgoing: Arc<Pipe>,
}

/// Makes both ends of a stream.
pub(super) fn pair(world: &MemoryWorld, a: IpAddr, b: IpAddr) -> (MemoryStream, MemoryStream) {
    let (to_a, to_b) = (Pipe::new(world), Pipe::new(world));
    let end = |own, peer, incoming: &Arc<Pipe>, outgoing: &Arc<Pipe>| MemoryStream {
        world: world.clone(),
        own,
        peer,
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
    };
    (end(a, b, &to_a, &to_b), end(b, a, &to_b, &to_a))
}

impl MemoryStream {
    fn end(&self) {
        let arrival = Instant::now() + self.world.lock().delay;
        let mut state = self.outgoing.lock();
        state.ended.get_or_insert(arrival);
        state.wake();
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let carries = self.world.carries(self.own, self.peer);
        self.incoming.lock().poll_read(context, carries, buffer)
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let arrival = Instant::now() + self.world.lock().delay;
        self.outgoing.lock().poll_write(context, arrival, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.end();
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.end();
        let mut state = self.incoming.lock();
        state.unread = true;
        state.wake();
    }
}

/// Streams that wait for a listener.
pub(super) struct Backlog(mpsc::Sender<MemoryStream>);

impl Backlog {
    pub(super) fn add(&self, stream: MemoryStream) -> io::Result<()> {
        self.0.try_send(stream).map_err(|_| io::ErrorKind::ConnectionRefused.into())
    }
}

/// Accepts simulated byte streams.
pub(super) struct MemoryListener {
    local: SocketAddr,
    waiting: mpsc::Receiver<MemoryStream>,
    /// The network reaches it only as long as this lives.
    _backlog: Arc<Backlog>,
}

impl MemoryListener {
    pub(super) fn new(local: SocketAddr) -> (Self, Arc<Backlog>) {
        let (sender, waiting) = mpsc::channel(BACKLOG_MAX);
        let backlog = Arc::new(Backlog(sender));
        let listener = Self { local, waiting, _backlog: Arc::clone(&backlog) };
        (listener, backlog)
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryListener(..)")
    }
}

impl ByteListener for MemoryListener {
    fn accept(&mut self) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let stream = self.waiting.recv().await.ok_or(io::ErrorKind::NotConnected)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}
