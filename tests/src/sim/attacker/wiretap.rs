//! What an eavesdropper at a phone's link sees and does: keeps datagrams to send them again, and cuts them short.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use tokio::time::Instant;
use zajil_net::seams::Pending;
use zajil_net::{ByteListener, ByteStream, Changes, Network, Place};
use zajil_proto::uncounted;

use crate::sim::plan::{AttackerDeed, Deed, PersonId, Plan};

/// Datagrams kept of one phone. A minute of a full upload at 500 kbit/s has 3 100.
const DATAGRAMS_MAX: usize = 4_096;

/// How much longer than a plan asks datagrams are kept: they are sent again for a while, and what the phone itself sends then is
/// asked for too.
const AFTERWARDS: Duration = Duration::from_secs(120);

/// One datagram as it left a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// When.
    pub at: Instant,
    /// The phone's own socket, before any translation.
    pub from: SocketAddr,
    /// Where to.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

/// What was overheard: of each phone that is listened to, the newest datagrams. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub struct Captured {
    rings: Arc<Mutex<BTreeMap<PersonId, Ring>>>,
}

/// The newest datagrams of one phone.
#[derive(Debug)]
struct Ring {
    /// How far back anybody will ask.
    reaches: Duration,
    datagrams: VecDeque<Datagram>,
    /// When the attacker sent some of them again, and how many bytes.
    again: Vec<(Instant, usize)>,
}

impl Captured {
    /// Listens to exactly the phones whose datagrams the plan has sent again, as far back as it asks.
    pub fn of(plan: &Plan) -> Self {
        let captured = Self::default();
        for event in &plan.events {
            if let Deed::Attacker(AttackerDeed::ReplayDatagrams { of, seconds }) = event.deed {
                captured.listen_to(of, Duration::from_secs(seconds.into()) + AFTERWARDS);
            }
        }
        captured
    }

    /// Listens to a phone from here on.
    pub fn listen_to(&self, of: PersonId, reaches: Duration) {
        let mut rings = self.lock();
        let ring = rings.entry(of).or_insert_with(|| Ring { reaches, datagrams: VecDeque::new(), again: Vec::new() });
        ring.reaches = ring.reaches.max(reaches);
    }

    /// Returns whether a phone is listened to.
    pub fn listens_to(&self, of: PersonId) -> bool {
        self.lock().contains_key(&of)
    }

    /// Returns what a phone sent in the last `seconds`, oldest first, as far as it was kept.
    pub fn last(&self, of: PersonId, seconds: u32) -> Vec<Datagram> {
        let reaches = Duration::from_secs(seconds.into());
        let rings = self.lock();
        let kept = rings.get(&of).into_iter().flat_map(|ring| &ring.datagrams);
        kept.filter(|datagram| datagram.at.elapsed() <= reaches).cloned().collect()
    }

    /// Notes that datagrams of a phone were sent again.
    pub fn sent_again(&self, of: PersonId, bytes: usize) {
        if let Some(ring) = self.lock().get_mut(&of) {
            ring.again.push((Instant::now(), bytes));
        }
    }

    /// Returns how many bytes of a phone's datagrams were sent again since a moment.
    pub fn again_since(&self, of: PersonId, since: Instant) -> usize {
        let rings = self.lock();
        let again = rings.get(&of).into_iter().flat_map(|ring| &ring.again);
        again.filter(|(at, _)| *at >= since).map(|(_, bytes)| bytes).sum()
    }

    fn keep(&self, of: PersonId, datagram: Datagram) {
        let mut rings = self.lock();
        let Some(ring) = rings.get_mut(&of) else { return };
        let reaches = ring.reaches;
        while ring.datagrams.len() >= DATAGRAMS_MAX
            || ring.datagrams.front().is_some_and(|oldest| oldest.at.elapsed() > reaches)
        {
            ring.datagrams.pop_front();
        }
        ring.datagrams.push_back(datagram);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PersonId, Ring>> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Says whose datagrams lose their last byte, and until when, and whose are held back. Clones are handles to the same.
#[derive(Debug, Clone, Default)]
pub struct Mangler {
    until: Arc<Mutex<BTreeMap<PersonId, Instant>>>,
    held: Arc<Mutex<BTreeSet<PersonId>>>,
}

impl Mangler {
    /// Cuts short what a phone sends from now on, for so long.
    pub fn truncate(&self, of: PersonId, lasts: Duration) {
        self.lock().insert(of, Instant::now() + lasts);
    }

    /// Returns whether what a phone sends now loses its last byte.
    pub fn truncates(&self, of: PersonId) -> bool {
        self.lock().get(&of).is_some_and(|until| Instant::now() < *until)
    }

    /// Lets nothing through of what a phone sends from now on; it is kept if the phone is listened to.
    pub fn hold_back(&self, of: PersonId) {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).insert(of);
    }

    /// Returns whether nothing of what a phone sends is let through.
    pub fn holds_back(&self, of: PersonId) -> bool {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).contains(&of)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<PersonId, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The network as one phone sees it, with an eavesdropper in between.
#[derive(Debug)]
pub struct Wiretapped {
    network: Arc<dyn Network>,
    whose: PersonId,
    captured: Captured,
    mangler: Mangler,
}

impl Wiretapped {
    /// Puts an eavesdropper between a phone and its network.
    pub fn new(network: Arc<dyn Network>, whose: PersonId, captured: &Captured, mangler: &Mangler) -> Self {
        Self { network, whose, captured: captured.clone(), mangler: mangler.clone() }
    }
}

impl Network for Wiretapped {
    fn bind_udp(&self, local: SocketAddr) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        let socket = self.network.bind_udp(local)?;
        let from = socket.local_addr()?;
        let (captured, mangler) = (self.captured.clone(), self.mangler.clone());
        Ok(Arc::new(TappedSocket { socket, from, whose: self.whose, captured, mangler }))
    }

    fn connect(&self, remote: SocketAddr) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        self.network.connect(remote)
    }

    fn listen(&self, local: SocketAddr) -> io::Result<Box<dyn ByteListener>> {
        self.network.listen(local)
    }

    fn route(&self, remote: SocketAddr) -> io::Result<()> {
        self.network.route(remote)
    }

    fn look_up<'a>(&'a self, address: &'a str) -> Pending<'a, io::Result<Vec<SocketAddr>>> {
        self.network.look_up(address)
    }

    fn place(&self) -> Option<Place> {
        self.network.place()
    }

    fn changes(&self) -> Option<Box<dyn Changes>> {
        self.network.changes()
    }

    fn runtime(&self) -> Arc<dyn quinn::Runtime> {
        self.network.runtime()
    }
}

#[derive(Debug)]
struct TappedSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    from: SocketAddr,
    whose: PersonId,
    captured: Captured,
    mangler: Mangler,
}

impl AsyncUdpSocket for TappedSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for whole in transmit.contents.chunks(segment) {
            let (at, to) = (Instant::now(), transmit.destination);
            uncounted!(self.captured.keep(self.whose, Datagram { at, from: self.from, to, bytes: whole.to_vec() }));
            if self.mangler.holds_back(self.whose) {
                continue;
            }
            let contents = match whole.split_last() {
                Some((_, short)) if self.mangler.truncates(self.whose) => short,
                _ => whole,
            };
            self.socket.try_send(&Transmit { contents, segment_size: None, ..transmit.clone() })?;
        }
        Ok(())
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
