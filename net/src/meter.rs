//! A socket that counts, and that can be told to say no more; what dials have cost that met nobody.

use core::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use crate::limits::{IPV4_UDP_HEADER_BYTES, IPV6_UDP_HEADER_BYTES};

/// What went through one socket.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    heard: AtomicU64,
    bytes: AtomicU64,
    muted: AtomicBool,
}

impl Meter {
    /// Returns how many datagrams have come.
    pub(crate) fn heard(&self) -> u64 {
        self.heard.load(Ordering::Relaxed)
    }

    /// Returns how many bytes went either way, with the headers of IP and UDP.
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Counts datagrams to or from `peer` with so many bytes of ours in them.
    fn count(&self, peer: SocketAddr, datagrams: usize, bytes: usize) {
        let headers = if peer.is_ipv4() { IPV4_UDP_HEADER_BYTES } else { IPV6_UDP_HEADER_BYTES };
        let bytes = bytes.saturating_add(datagrams.saturating_mul(headers));
        self.bytes.fetch_add(u64::try_from(bytes).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Lets nothing out any more: what gives an attempt up has nothing to say to who never answered.
    pub(crate) fn mute(&self) {
        self.muted.store(true, Ordering::Relaxed);
    }
}

/// Bytes that dials have cost which met nobody, both ways, with the headers of IP and UDP. What TCP says to find out that nobody
/// listens is the system's and is not in it.
#[derive(Debug, Default)]
pub struct DialCost(AtomicU64);

impl DialCost {
    /// Returns how many there are since it was made.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Adds what went through a socket to a cost when it is dropped, unless somebody was met.
pub(crate) struct Costing {
    meter: Arc<Meter>,
    cost: Option<Arc<DialCost>>,
}

impl Costing {
    pub(crate) const fn new(meter: Arc<Meter>, cost: Option<Arc<DialCost>>) -> Self {
        Self { meter, cost }
    }

    /// Somebody was met: nothing was said for nothing.
    pub(crate) fn met(&mut self) {
        self.cost = None;
    }
}

impl Drop for Costing {
    fn drop(&mut self) {
        if let Some(cost) = &self.cost {
            cost.0.fetch_add(self.meter.bytes(), Ordering::Relaxed);
        }
    }
}

/// A socket with a meter.
pub(crate) struct Metered {
    inner: Arc<dyn AsyncUdpSocket>,
    meter: Arc<Meter>,
}

impl Metered {
    pub(crate) fn new(inner: Arc<dyn AsyncUdpSocket>) -> (Arc<Self>, Arc<Meter>) {
        let meter = Arc::<Meter>::default();
        (Arc::new(Self { inner, meter: Arc::clone(&meter) }), meter)
    }
}

impl fmt::Debug for Metered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metered(..)")
    }
}

impl AsyncUdpSocket for Metered {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.inner).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if self.meter.muted.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.try_send(transmit)?;
        let datagrams = transmit.segment_size.map_or(1, |each| transmit.contents.len().div_ceil(each.max(1)));
        self.meter.count(transmit.destination, datagrams, transmit.contents.len());
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        let received = self.inner.poll_recv(context, buffers, metas);
        if let Poll::Ready(Ok(count)) = &received {
            self.meter.heard.fetch_add(u64::try_from(*count).unwrap_or(u64::MAX), Ordering::Relaxed);
            for meta in metas.iter().take(*count) {
                self.meter.count(meta.addr, meta.len.div_ceil(meta.stride.max(1)), meta.len);
            }
        }
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.inner.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.inner.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.inner.may_fragment()
    }
}
