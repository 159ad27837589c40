//! The system's network as seen from an address of one's own, so that it can be told from everybody else's.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use quinn::{AsyncUdpSocket, Runtime};
use tokio::net::TcpSocket;
use zajil_net::seams::Pending;
use zajil_net::{ByteListener, ByteStream, Network, SystemNetwork};

/// Opens every socket at one address of this machine, and remembers them.
#[derive(Debug)]
pub struct OwnAddress {
    address: Ipv4Addr,
    sockets: Arc<Mutex<Vec<SocketAddr>>>,
}

impl OwnAddress {
    /// Uses `address`, for instance one of 127.0.0.0/8.
    pub fn new(address: Ipv4Addr) -> Self {
        Self { address, sockets: Arc::default() }
    }

    /// Returns every socket it has had.
    pub fn sockets(&self) -> Vec<SocketAddr> {
        self.sockets.lock().expect("nothing panics under this lock").clone()
    }

    fn remember(&self, socket: SocketAddr) {
        self.sockets.lock().expect("nothing panics under this lock").push(socket);
    }
}

impl Network for OwnAddress {
    fn runtime(&self) -> Arc<dyn Runtime> {
        SystemNetwork.runtime()
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        // One that names an address itself, as after a move, keeps it.
        let address = if local.ip().is_unspecified() { self.address.into() } else { local.ip() };
        let socket = SystemNetwork.bind_udp(SocketAddr::new(address, local.port()))?;
        self.remember(socket.local_addr()?);
        Ok(socket)
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let socket = TcpSocket::new_v4()?;
            socket.bind((self.address, 0).into())?;
            self.remember(socket.local_addr()?);
            Ok(Box::new(socket.connect(remote).await?) as Box<dyn ByteStream>)
        })
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
