//! Measures a link that stands, with datagrams between sockets at both ends.

use std::collections::BTreeSet;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use crate::clock::Clock;
use crate::link::Link;
use crate::namespace::Namespace;

/// Bytes of the headers of IPv4 and UDP.
const HEADER_BYTES: usize = 28;
/// Room for what arrives faster than it is looked at, bytes: two seconds at 100 Mbit/s, and what the kernel adds to each packet.
const RECEIVE_BUFFER_BYTES: usize = 64_000_000;
/// How long a silence is waited out before something is given up, beyond what the link itself takes.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often a wait looks whether the measurement was called off.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long no datagram comes after the last.
const SILENCE: Duration = Duration::from_millis(500);

/// Packets sent at a stretch: far fewer than a device holds until the link takes them.
const STRETCH: u32 = 32;
/// Time between two stretches. With packets of 1,228 bytes that makes 314 Mbit/s.
const BETWEEN_STRETCHES: Duration = Duration::from_millis(1);

/// A socket at either end.
#[derive(Debug)]
pub(crate) struct Probe {
    camp: UdpSocket,
    town: UdpSocket,
    clock: Clock,
    off: AtomicBool,
}

/// Which way is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

impl Probe {
    /// Opens a socket at either end of a link.
    pub(crate) fn new(link: &Link, camp: Ipv4Addr, town: Ipv4Addr) -> io::Result<Self> {
        let open = |namespace: &Namespace, address: Ipv4Addr| {
            let socket = namespace.inside(|| UdpSocket::bind((address, 0))).map_err(io::Error::other)??;
            set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER_BYTES)?;
            socket.set_read_timeout(Some(LOOK_EVERY))?;
            Ok::<_, io::Error>(socket)
        };
        let (camp, town) = (open(&link.camp, camp)?, open(&link.town, town)?);
        camp.connect(town.local_addr()?)?;
        town.connect(camp.local_addr()?)?;
        Ok(Self { camp, town, clock: link.clock, off: AtomicBool::new(false) })
    }

    /// Ends every measurement that goes on, with an error.
    pub(crate) fn call_off(&self) {
        self.off.store(true, Ordering::Relaxed);
    }

    /// Measures so many round trips of packets of this size, one after the other.
    pub(crate) fn round_trips(&self, count: usize, ip_bytes: usize) -> io::Result<Vec<Duration>> {
        let (packet, mut buffer) = (payload(0, ip_bytes), vec![0; ip_bytes]);
        let mut trip = || {
            let begin = self.clock.now();
            self.camp.send(&packet)?;
            self.receive(&self.town, &mut buffer, PATIENCE)?;
            self.town.send(&packet)?;
            self.receive(&self.camp, &mut buffer, PATIENCE)?;
            Ok(self.clock.now().saturating_sub(begin))
        };
        (0..count).map(|_| trip()).collect()
    }

    /// Offers so many packets of this size, faster than the link takes them; returns the time from the first arrival to the last.
    pub(crate) fn spread(&self, way: Direction, count: u32, ip_bytes: usize) -> io::Result<Duration> {
        let (from, to) = self.sockets(way);
        let mut buffer = vec![0; ip_bytes];
        thread::scope(|scope| {
            let sending = scope.spawn(|| send(from, count, ip_bytes));
            let mut arrivals = (0..count).map(|_| {
                self.receive(to, &mut buffer, PATIENCE)?;
                Ok::<_, io::Error>(self.clock.now())
            });
            let first = arrivals.next().unwrap_or_else(|| Err(ErrorKind::InvalidInput.into()))?;
            let last = arrivals.last().unwrap_or(Ok(first))?;
            sending.join().unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))?;
            Ok(last.saturating_sub(first))
        })
    }

    /// Offers so many packets of this size; returns the numbers of those that arrive.
    pub(crate) fn arrivals(&self, way: Direction, count: u32, ip_bytes: usize) -> io::Result<BTreeSet<u32>> {
        let (from, to) = self.sockets(way);
        let (mut buffer, mut arrived) = (vec![0; ip_bytes], BTreeSet::new());
        send(from, count, ip_bytes)?;
        while let Ok(length) = self.receive(to, &mut buffer, SILENCE) {
            let number = buffer.get(..length).and_then(|bytes| bytes.first_chunk());
            arrived.extend(number.map(|number| u32::from_be_bytes(*number)));
        }
        if self.off.load(Ordering::Relaxed) { Err(ErrorKind::Interrupted.into()) } else { Ok(arrived) }
    }

    fn sockets(&self, way: Direction) -> (&UdpSocket, &UdpSocket) {
        match way {
            Direction::Up => (&self.camp, &self.town),
            Direction::Down => (&self.town, &self.camp),
        }
    }

    /// Receives one datagram, unless none comes for so long.
    fn receive(&self, socket: &UdpSocket, buffer: &mut [u8], patience: Duration) -> io::Result<usize> {
        let begin = self.clock.now();
        loop {
            match socket.recv(buffer) {
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {
                    let waited = self.clock.now().saturating_sub(begin);
                    if waited >= patience || self.off.load(Ordering::Relaxed) {
                        return Err(error);
                    }
                }
                other => return other,
            }
        }
    }
}

/// Sends so many packets of this size, numbered, without a pause that a link would notice.
fn send(from: &UdpSocket, count: u32, ip_bytes: usize) -> io::Result<()> {
    for nth in 0..count {
        if nth % STRETCH == STRETCH - 1 {
            thread::sleep(BETWEEN_STRETCHES);
        }
        from.send(&payload(nth, ip_bytes))?;
    }
    Ok(())
}

/// Returns a payload with which the whole packet has this size, and that begins with a number.
fn payload(number: u32, ip_bytes: usize) -> Vec<u8> {
    let number = number.to_be_bytes();
    let rest = ip_bytes.saturating_sub(HEADER_BYTES + number.len());
    [&number[..], &vec![0; rest]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_makes_a_packet_of_the_size_wanted() {
        let payload = payload(258, 84);
        assert_eq!((payload.len() + HEADER_BYTES, &payload[..4]), (84, &[0, 0, 1, 2][..]));
    }
}
