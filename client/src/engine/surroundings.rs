//! What this machine tells of its own network: a link, an address or a route that came or went is the best sign that a relay can be
//! reached now.

use std::fmt;

use zajil_net::{Changes, Network, Place};
use zajil_proto::time::Instant;

use crate::limits::HUNT_OFTEN_MILLIS;

/// What is known of the network around this device.
#[derive(Default)]
pub(crate) struct Surroundings {
    /// `None`: nobody has begun to listen. `Some(None)`: this machine tells nothing.
    changes: Option<Option<Box<dyn Changes>>>,
    /// In which network the device was when it last looked.
    place: Option<Place>,
    /// When a change was last taken for a sign.
    changed_at: Option<Instant>,
}

/// What a change means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Change {
    /// The device is in another network than before: what it has under way goes by other routes.
    pub(crate) has_moved: bool,
    /// The last one was so shortly before that little may be said for this one.
    pub(crate) is_one_of_many: bool,
}

impl Surroundings {
    /// Waits until something has changed. Cancelling it forgets nothing.
    pub(crate) async fn changed(&mut self, network: &dyn Network) {
        if self.changes.is_none() {
            self.place = network.place();
        }
        match self.changes.get_or_insert_with(|| network.changes()) {
            Some(changes) => changes.next().await,
            None => std::future::pending().await,
        }
    }

    /// Returns what the change that there has been means.
    pub(crate) fn look(&mut self, network: &dyn Network, now: Instant) -> Change {
        let place = network.place();
        // Between two networks there is none; what is under way is moved when there is one again.
        let has_moved = place.is_some() && place != self.place;
        if has_moved {
            self.place = place;
        }
        let before = self.changed_at.replace(now);
        let is_one_of_many = before.is_some_and(|before| now.since(before).as_millis() < u128::from(HUNT_OFTEN_MILLIS));
        Change { has_moved, is_one_of_many }
    }
}

impl fmt::Debug for Surroundings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Surroundings(..)")
    }
}
