//! What a device keeps of the networks that it has been in. In memory only: on disk it would tell where somebody was.

use core::fmt;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::connection::ConnectionKind;
use crate::limits::NETWORKS_MAX;
use crate::transport::LinkClass;

/// Which network a machine is in: the same for the same one as long as a program runs, and of no meaning to any other. Does not print.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Place(pub u64);

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place(..)")
    }
}

/// What is remembered of networks: what their link carries, and where TLS over TCP was faster than QUIC, as it is where UDP does not
/// pass. Machines that cannot tell where they are have one network.
///
/// Hand the same one to every dial ([`DialOptions::networks`](crate::DialOptions)). Does not print.
#[derive(Default)]
pub struct Networks {
    /// The one that was used last is the last.
    known: Mutex<VecDeque<(Option<Place>, Known)>>,
}

/// What is known of one network.
#[derive(Debug, Clone, Copy, Default)]
struct Known {
    blocks_udp: bool,
    class: Option<LinkClass>,
}

impl Networks {
    /// Returns whether UDP did not pass when a relay was met there last.
    pub fn blocks_udp(&self, place: Option<Place>) -> bool {
        self.of(place).blocks_udp
    }

    /// Returns what the link there was found to carry when it was full last; `None` if it never was.
    pub fn class(&self, place: Option<Place>) -> Option<LinkClass> {
        self.of(place).class
    }

    /// Notes what won where both were tried.
    pub(crate) fn met(&self, place: Option<Place>, by: ConnectionKind) {
        self.change(place, |known| known.blocks_udp = by == ConnectionKind::Tls);
    }

    /// Notes what the link was found to carry.
    pub(crate) fn measured(&self, place: Option<Place>, class: LinkClass) {
        self.change(place, |known| known.class = Some(class));
    }

    fn of(&self, place: Option<Place>) -> Known {
        self.all().iter().find(|(here, _)| *here == place).map(|(_, known)| *known).unwrap_or_default()
    }

    fn change(&self, place: Option<Place>, change: impl FnOnce(&mut Known)) {
        let mut known = self.of(place);
        change(&mut known);
        let mut all = self.all();
        all.retain(|(here, _)| *here != place);
        if all.len() >= NETWORKS_MAX {
            all.pop_front();
        }
        all.push_back((place, known));
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<(Option<Place>, Known)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Networks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Networks(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_winner_counts_for_each_network() {
        let networks = Networks::default();
        let places = [Some(Place(1)), Some(Place(2)), None];
        assert!(places.iter().all(|place| !networks.blocks_udp(*place)));
        networks.met(places[0], ConnectionKind::Tls);
        networks.met(places[2], ConnectionKind::Tls);
        assert_eq!(places.map(|place| networks.blocks_udp(place)), [true, false, true]);
        networks.met(places[0], ConnectionKind::Quic);
        assert_eq!(places.map(|place| networks.blocks_udp(place)), [false, false, true]);
    }

    #[test]
    fn what_was_measured_last_counts_and_changes_nothing_else() {
        let networks = Networks::default();
        networks.met(None, ConnectionKind::Tls);
        assert_eq!(networks.class(None), None);
        networks.measured(None, LinkClass::Slowest);
        networks.measured(None, LinkClass::Ordinary);
        assert_eq!((networks.class(None), networks.blocks_udp(None)), (Some(LinkClass::Ordinary), true));
    }

    #[test]
    fn no_more_networks_are_kept_than_the_limit_says() {
        let networks = Networks::default();
        for place in 0..=NETWORKS_MAX as u64 {
            networks.met(Some(Place(place)), ConnectionKind::Tls);
        }
        assert!(!networks.blocks_udp(Some(Place(0))), "the one of longest ago is forgotten");
        assert!((1..=NETWORKS_MAX as u64).all(|place| networks.blocks_udp(Some(Place(place)))));
        assert_eq!(format!("{networks:?} {:?}", Place(7)), "Networks(..) Place(..)");
    }
}
