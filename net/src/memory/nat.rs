use std::net::{IpAddr, SocketAddr};

use crate::memory::MachineId;
use crate::memory::machine::Nat;
use crate::memory::world::World;

/// First outside port that an address translator gives.
pub(super) const PORT_FIRST: u16 = 1_024;

impl World {
    /// Puts a machine behind an address translator, or gives it another.
    pub(super) fn set_nat(&mut self, id: MachineId, outside: IpAddr) {
        self.forget_mappings(id);
        if let Some(machine) = self.machine_mut(id) {
            machine.nat = Some(Nat { outside, ports: Default::default() });
        }
    }

    /// Returns whom others take the sender for: a mapping is made where there is none. `None` if no port is left.
    pub(super) fn seen_as(&mut self, id: MachineId, from: SocketAddr) -> Option<SocketAddr> {
        let Some(nat) = self.machines.get(id.0).and_then(|machine| machine.nat.as_ref()) else {
            return Some(from);
        };
        if nat.outside.is_ipv4() != from.is_ipv4() {
            return Some(from);
        }
        let outside = nat.outside;
        if let Some(port) = nat.ports.get(&from) {
            return Some(SocketAddr::new(outside, *port));
        }
        let port = self.outside_port(outside)?;
        let seen_as = SocketAddr::new(outside, port);
        self.mappings.insert(seen_as, from);
        if let Some(nat) = self.machine_mut(id).and_then(|machine| machine.nat.as_mut()) {
            nat.ports.insert(from, port);
        }
        Some(seen_as)
    }

    /// Returns a free port of an outside address, in turn: one just forgotten is not given again at once.
    fn outside_port(&mut self, outside: IpAddr) -> Option<u16> {
        for _ in PORT_FIRST..=u16::MAX {
            let port = self.outside_port_next;
            self.outside_port_next = port.checked_add(1).unwrap_or(PORT_FIRST);
            if !self.mappings.contains_key(&SocketAddr::new(outside, port)) {
                return Some(port);
            }
        }
        None
    }

    /// Finds the machine behind an address, and its own address there. One behind a translator is reached only by a
    /// mapping.
    pub(super) fn resolve(&self, to: SocketAddr) -> Option<(MachineId, SocketAddr)> {
        if let Some(id) = self.addresses.get(&to.ip()) {
            let nat = self.machines.get(id.0).and_then(|machine| machine.nat.as_ref());
            let hidden = nat.is_some_and(|nat| nat.outside.is_ipv4() == to.is_ipv4());
            return (!hidden).then_some((*id, to));
        }
        let inside = self.mappings.get(&to)?;
        Some((*self.addresses.get(&inside.ip())?, *inside))
    }

    /// Forgets one mapping, when its socket closes.
    pub(super) fn forget_mapping(&mut self, id: MachineId, inside: SocketAddr) {
        let Some(nat) = self.machines.get_mut(id.0).and_then(|machine| machine.nat.as_mut()) else { return };
        if let Some(port) = nat.ports.remove(&inside) {
            self.mappings.remove(&SocketAddr::new(nat.outside, port));
        }
    }

    /// Forgets all mappings of a machine. Byte streams that went through them carry nothing more.
    pub(super) fn forget_mappings(&mut self, id: MachineId) {
        let Some(nat) = self.machines.get_mut(id.0).and_then(|machine| machine.nat.as_mut()) else { return };
        for port in std::mem::take(&mut nat.ports).into_values() {
            self.mappings.remove(&SocketAddr::new(nat.outside, port));
        }
        self.cut_streams(id);
    }
}
