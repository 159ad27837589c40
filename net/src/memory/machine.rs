use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::Waker;

use crate::links::{LinkSettings, OneWay};
use crate::memory::passing::{Count, Traffic, Way, WayTraffic};
use crate::memory::runtime::Tasks;
use crate::memory::{LinkState, MachineId};

/// First port given to who asks for any (RFC 6335 §6).
const PORT_FIRST: u16 = 49_152;

/// One host: what it holds, and how it is joined to the others.
pub(super) struct Machine {
    pub(super) addresses: Vec<(IpAddr, LinkState)>,
    /// How often it has crashed. What was made before is of no use.
    pub(super) crashes: u64,
    /// Whether it runs: not between a crash and the next start.
    pub(super) runs: bool,
    pub(super) up: Access,
    pub(super) down: Access,
    pub(super) nat: Option<Nat>,
    /// How often its link has come or gone so that it could know.
    pub(super) changes: u64,
    /// Who waits for the next time.
    pub(super) listener: Option<Waker>,
    pub(super) sockets: BTreeMap<SocketAddr, Inbox>,
    pub(super) lost_beyond: Count,
    pub(super) sockets_opened: u64,
    /// The own addresses of streams that it dialled.
    pub(super) dialled: BTreeSet<SocketAddr>,
    pub(super) tasks: Arc<Tasks>,
    /// How many datagrams it has sent to each address.
    pub(super) sent: BTreeMap<IpAddr, u64>,
    port_next: u16,
}

/// One direction of the link between a machine and everybody else.
pub(super) struct Access {
    pub(super) link: OneWay,
    pub(super) passes: bool,
    pub(super) traffic: WayTraffic,
}

/// The machine's address translator: full cone, mappings last until the socket closes or it forgets them.
pub(super) struct Nat {
    pub(super) outside: IpAddr,
    pub(super) ports: BTreeMap<SocketAddr, u16>,
}

/// What has arrived for one socket.
pub(super) struct Inbox {
    pub(super) id: u64,
    pub(super) arrived: VecDeque<(SocketAddr, Box<[u8]>)>,
    pub(super) reader: Option<Waker>,
}

/// Streams that wait for a listener.
pub(super) struct Backlog {
    pub(super) id: u64,
    pub(super) machine: MachineId,
    pub(super) waiting: VecDeque<u64>,
    pub(super) acceptor: Option<Waker>,
}

impl Access {
    fn new(link: OneWay) -> Self {
        Self { link, passes: true, traffic: WayTraffic::default() }
    }
}

impl Machine {
    /// Makes a machine without an address. All chance of its links comes from `seed`.
    pub(super) fn new(seed: u64) -> Self {
        let (up, down) = OneWay::both(LinkSettings::default(), LinkSettings::default(), seed);
        Self {
            addresses: Vec::new(),
            crashes: 0,
            runs: true,
            up: Access::new(up),
            down: Access::new(down),
            nat: None,
            changes: 0,
            listener: None,
            sockets: BTreeMap::new(),
            dialled: BTreeSet::new(),
            lost_beyond: Count::default(),
            sockets_opened: 0,
            tasks: Arc::default(),
            sent: BTreeMap::new(),
            port_next: PORT_FIRST,
        }
    }

    pub(super) fn access(&mut self, way: Way) -> &mut Access {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Returns whether anything passes one way of its link, at this address, as far as people have switched it.
    pub(super) fn passes(&self, way: Way, address: IpAddr) -> bool {
        let access = match way {
            Way::Up => &self.up,
            Way::Down => &self.down,
        };
        access.passes && self.link_state(address) == Some(LinkState::Up)
    }

    pub(super) fn link_state(&self, address: IpAddr) -> Option<LinkState> {
        self.addresses.iter().find(|(own, _)| *own == address).map(|(_, state)| *state)
    }

    /// Changes what the link does at an address. Returns whom to wake if the machine can know of it.
    pub(super) fn set_link_state(&mut self, address: IpAddr, state: LinkState) -> Option<Waker> {
        let is_there = |state: Option<LinkState>| state.is_some_and(|state| state != LinkState::Down);
        let is_known = is_there(self.link_state(address)) != is_there(Some(state));
        match self.addresses.iter_mut().find(|(own, _)| *own == address) {
            Some((_, known)) => *known = state,
            None => self.addresses.push((address, state)),
        }
        if is_known {
            self.changes += 1;
        }
        self.listener.take_if(|_| is_known)
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            up: self.up.traffic,
            down: self.down.traffic,
            lost_beyond: self.lost_beyond,
            sockets_opened: self.sockets_opened,
        }
    }

    /// Returns a port that is free at `address`, in turn, so that one just closed is not used again at once.
    pub(super) fn port(&mut self, address: IpAddr, listeners: &BTreeMap<SocketAddr, Backlog>) -> io::Result<u16> {
        for _ in PORT_FIRST..=u16::MAX {
            let port = self.port_next;
            self.port_next = port.checked_add(1).unwrap_or(PORT_FIRST);
            let local = SocketAddr::new(address, port);
            let taken = self.sockets.contains_key(&local) || self.dialled.contains(&local);
            if !taken && !listeners.contains_key(&local) {
                return Ok(port);
            }
        }
        Err(io::ErrorKind::AddrInUse.into())
    }
}
