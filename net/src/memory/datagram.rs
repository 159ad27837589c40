use core::fmt;
use std::collections::BTreeMap;
use std::future::Future;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::memory::MemoryWorld;

/// Datagrams on their way to one socket; more are lost, as in a full queue.
const INBOX_MAX: usize = 4_096;

/// What is on its way to one socket, by the time it arrives.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<InboxState>,
}

#[derive(Default)]
struct InboxState {
    coming: BTreeMap<(Instant, u64), (SocketAddr, Vec<u8>)>,
    added: u64,
    reader: Option<Waker>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Inbox {
    pub(super) fn deliver(&self, at: Instant, from: SocketAddr, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.coming.len() >= INBOX_MAX {
            return;
        }
        state.added += 1;
        let key = (at, state.added);
        state.coming.insert(key, (from, bytes.to_vec()));
        if let Some(reader) = state.reader.take() {
            reader.wake();
        }
    }

    /// Returns the next datagram that has arrived.
    fn poll_next(&self, context: &mut Context<'_>) -> Poll<(SocketAddr, Vec<u8>)> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(((at, _), _)) = state.coming.first_key_value() else {
                state.timer = None;
                state.reader = Some(context.waker().clone());
                return Poll::Pending;
            };
            let at = *at;
            if at <= Instant::now()
                && let Some((_, datagram)) = state.coming.pop_first()
            {
                return Poll::Ready(datagram);
            }
            let timer = state.timer.insert(Box::pin(sleep_until(at)));
            if timer.as_mut().poll(context).is_pending() {
                state.reader = Some(context.waker().clone());
                return Poll::Pending;
            }
        }
    }
}

/// A UDP socket of the simulated network. Sending never blocks.
pub(super) struct MemoryUdpSocket {
    world: MemoryWorld,
    local: SocketAddr,
    inbox: Arc<Inbox>,
}

impl MemoryUdpSocket {
    pub(super) fn new(world: MemoryWorld, local: SocketAddr, inbox: Arc<Inbox>) -> Self {
        Self { world, local, inbox }
    }
}

impl fmt::Debug for MemoryUdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryUdpSocket(..)")
    }
}

impl AsyncUdpSocket for MemoryUdpSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for bytes in transmit.contents.chunks(segment) {
            self.world.send(self.local, transmit.destination, bytes);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let (Some(buffer), Some(meta)) = (buffers.first_mut(), metas.first_mut()) else {
            return Poll::Ready(Ok(0));
        };
        loop {
            let Poll::Ready((from, bytes)) = self.inbox.poll_next(context) else {
                return Poll::Pending;
            };
            // One that is longer than the receiver takes is lost, as everywhere.
            let Some(room) = buffer.get_mut(..bytes.len()) else {
                continue;
            };
            room.copy_from_slice(&bytes);
            *meta = RecvMeta {
                addr: from,
                len: bytes.len(),
                stride: bytes.len(),
                ecn: None,
                dst_ip: Some(self.local.ip()),
            };
            return Poll::Ready(Ok(1));
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
