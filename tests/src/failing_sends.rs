//! A network on which sending over UDP can be made to fail as it does when a route is gone: with an error of the operating system.

use std::io::{self, IoSliceMut};
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, Runtime, UdpPoller};
use zajil_net::seams::Pending;
use zajil_net::{ByteListener, ByteStream, Network, SystemNetwork};

/// The address everything goes to while sending fails. Linux forbids it to a socket that did not ask for broadcast.
pub const FORBIDDEN: Ipv4Addr = Ipv4Addr::BROADCAST;

/// The system's network, with a switch.
#[derive(Debug, Default)]
pub struct FailingSends {
    fails: Arc<AtomicBool>,
}

impl FailingSends {
    /// Returns the switch: `true` makes every send over UDP fail.
    pub fn switch(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.fails)
    }
}

impl Network for FailingSends {
    fn runtime(&self) -> Arc<dyn Runtime> {
        SystemNetwork.runtime()
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Ok(Arc::new(FailingSocket { socket: SystemNetwork.bind_udp(local)?, fails: self.switch() }))
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        SystemNetwork.connect(remote)
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        SystemNetwork.listen(local)
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        SystemNetwork.route(remote)
    }

    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        SystemNetwork.look_up(address)
    }
}

#[derive(Debug)]
struct FailingSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    fails: Arc<AtomicBool>,
}

impl AsyncUdpSocket for FailingSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        if !self.fails.load(Ordering::Relaxed) {
            return self.socket.try_send(transmit);
        }
        // Through the same code as ever, which says what it says about failures.
        let destination = SocketAddr::new(FORBIDDEN.into(), transmit.destination.port());
        self.socket.try_send(&Transmit { destination, ..transmit.clone() })
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_recv(context, buffers, meta)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
