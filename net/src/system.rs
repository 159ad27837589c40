use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use quinn::{AsyncUdpSocket, Runtime, TokioRuntime};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tokio::net::{TcpListener, TcpStream};

use crate::limits::{
    ADDRESSES_PER_NAME_MAX, LOOK_UP_TIMEOUT, TCP_BACKLOG, TCP_KEEP_ALIVE, TCP_KEEP_ALIVE_RETRIES, TCP_UNSENT_BYTES_MAX,
    UDP_BUFFER_BYTES,
};
use crate::networks::Place;
use crate::seams::{ByteListener, ByteStream, Changes, Network, Pending};

/// The operating system's network. Its methods must be called within a tokio runtime that drives I/O and time.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNetwork;

impl Network for SystemNetwork {
    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(TokioRuntime)
    }

    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = open(local, Type::DGRAM, Protocol::UDP)?;
        // The kernel gives what its own limit allows, and an error means it stays as it was.
        let _ = socket.set_recv_buffer_size(UDP_BUFFER_BYTES);
        let _ = socket.set_send_buffer_size(UDP_BUFFER_BYTES);
        socket.bind(&local.into())?;
        TokioRuntime.wrap_udp_socket(socket.into())
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let stream = TcpStream::connect(remote).await?;
            prepare(&stream)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        let socket = open(local, Type::STREAM, Protocol::TCP)?;
        // Without it a relay could not start again for minutes after it stopped with connections open.
        #[cfg(unix)]
        socket.set_reuse_address(true)?;
        socket.bind(&local.into())?;
        socket.listen(TCP_BACKLOG)?;
        Ok(Box::new(SystemListener(TcpListener::from_std(socket.into())?)))
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        // Connecting a UDP socket asks the routing table and sends nothing.
        let socket = std::net::UdpSocket::bind(unspecified(remote))?;
        socket.connect(remote)
    }

    fn place(&self) -> Option<Place> {
        // Not on every system, and on Android no program may read it.
        default_route(&std::fs::read_to_string("/proc/net/route").ok()?)
    }

    #[cfg(target_os = "linux")]
    fn changes(&self) -> Option<Box<dyn Changes>> {
        crate::changes::KernelChanges::listen().ok().map(|changes| Box::new(changes) as Box<dyn Changes>)
    }

    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            let found = tokio::time::timeout(LOOK_UP_TIMEOUT, tokio::net::lookup_host(address)).await;
            Ok(alternate(found.map_err(|_| io::ErrorKind::TimedOut)??.collect()))
        })
    }
}

/// Returns which network the default route with the least metric leads to, by its interface and its gateway. `table` is that of Linux,
/// `/proc/net/route`: interface, destination, gateway, four numbers of which the last is the metric, mask.
fn default_route(table: &str) -> Option<Place> {
    const NOWHERE: &str = "00000000";
    let routes = table.lines().skip(1).filter_map(|line| {
        let columns: Vec<&str> = line.split_ascii_whitespace().collect();
        match columns.as_slice() {
            [interface, NOWHERE, gateway, _, _, _, metric, NOWHERE, ..] => {
                Some((metric.parse::<u32>().ok()?, *interface, *gateway))
            }
            _ => None,
        }
    });
    let (_, interface, gateway) = routes.min()?;
    let mut hasher = DefaultHasher::new();
    (interface, gateway).hash(&mut hasher);
    Some(Place(hasher.finish()))
}

/// Returns the wildcard address of the family of `remote`, with any port.
pub(crate) fn unspecified(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    }
}

fn open(local: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(local), kind, Some(protocol))?;
    if local.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Makes TCP fit for us: small frames leave at once, a dead peer is noticed, and little waits in the kernel.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    let keep_alive = TcpKeepalive::new().with_time(TCP_KEEP_ALIVE).with_interval(TCP_KEEP_ALIVE);
    socket.set_tcp_keepalive(&keep_alive.with_retries(TCP_KEEP_ALIVE_RETRIES))?;
    #[cfg(any(target_os = "android", target_os = "linux"))]
    {
        socket.set_tcp_user_timeout(Some(crate::limits::IDLE_TIMEOUT))?;
        socket.set_tcp_notsent_lowat(TCP_UNSENT_BYTES_MAX)?;
    }
    Ok(())
}

/// Puts the families in turn, the resolver's first choice first (RFC 8305 §4), and keeps only so many.
pub(crate) fn alternate(found: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = found.first().is_some_and(SocketAddr::is_ipv6);
    let (mut first, mut second): (Vec<_>, Vec<_>) = found.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut ordered = Vec::new();
    (first, second) = (reversed(first), reversed(second));
    while ordered.len() < ADDRESSES_PER_NAME_MAX {
        let Some(address) = first.pop().or_else(|| second.pop()) else {
            break;
        };
        if !ordered.contains(&address) {
            ordered.push(address);
        }
        std::mem::swap(&mut first, &mut second);
    }
    ordered
}

fn reversed(mut addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    addresses.reverse();
    addresses
}

#[derive(Debug)]
struct SystemListener(TcpListener);

impl ByteListener for SystemListener {
    fn accept(&mut self) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let (stream, _) = self.0.accept().await?;
            prepare(&stream)?;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_resolvers_choice_goes_first() {
        let found = addresses(&["[::1]:1", "[::2]:1", "[::1]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let tried = addresses(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1"]);
        assert_eq!(alternate(found), tried);
    }

    #[test]
    fn a_network_is_known_again_by_its_interface_and_gateway() {
        let row = |name: &str, to: &str, gateway: &str, metric: u32| {
            format!(
                "{name}\t{to}\t{gateway}\t0003\t0\t0\t{metric}\t{}\t0\t0\t0",
                if to == "00000000" { to } else { "00FFFFFF" }
            )
        };
        let table = |rows: &[String]| format!("Iface\tDestination\tGateway\n{}\n", rows.join("\n"));
        let (near, wifi) = (row("wlan0", "0000A8C0", "00000000", 0), row("wlan0", "00000000", "0100A8C0", 600));
        let mobile = row("wwan0", "00000000", "01000A0A", 700);
        let at_home = default_route(&table(&[near.clone(), wifi.clone()]));
        assert!(at_home.is_some());
        assert_eq!(default_route(&table(&[mobile.clone(), wifi])), at_home, "the least metric counts");
        assert_ne!(default_route(&table(&[mobile])), at_home);
        assert_ne!(default_route(&table(&[row("wlan0", "00000000", "FE00A8C0", 600)])), at_home);
        for nowhere in
            ["", "Iface\n", &table(&[near]), "Iface\nwlan0 00000000", "Iface\nwlan0 00000000 1 2 3 4 x 00000000"]
        {
            assert_eq!(default_route(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn a_name_with_many_addresses_gives_only_so_many() {
        let found = addresses(&["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1", "1.1.1.4:1", "1.1.1.5:1"]);
        assert_eq!(alternate(found).len(), ADDRESSES_PER_NAME_MAX);
    }
}
