//! Somebody who means harm and holds no secret: knows the relay's address and key as everybody may, listens at a link,
//! tries doors, overhears an invitation.
//!
//! What they get and may not get is returned in words. What they break for others, others see.

mod crowd;
mod estate;
mod guess;
mod held_back;
mod peer;
mod replay;
#[cfg(test)]
pub(super) mod tests;
mod thief;
pub mod wiretap;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zajil_client::engine::api::Voice;
use zajil_net::{Clock, Network, RelayMemory};
use zajil_proto::ids::SlotId;
use zajil_proto::parcel::Header;
use zajil_proto::relay_link::RelayLink;

use super::plan::{AttackerDeed, PersonId};
use crate::chance::Chance;
use wiretap::{Captured, Mangler};

/// Longest time one deed takes. None waits for more than a thief does who comes by once every few minutes.
const DEED_MAX: Duration = Duration::from_secs(60 * 60);

/// Where somebody means harm, and with what.
#[derive(Debug)]
pub struct AttackScene {
    /// The network as their own machine sees it.
    pub network: Arc<dyn Network>,
    /// The relay, as everybody may know it.
    pub relay: RelayLink,
    /// The clocks of their machine.
    pub clock: Arc<dyn Clock>,
    /// Their chance.
    pub chance: Chance,
    /// What a stolen list of the relay's would tell them.
    pub known: Known,
    /// The invitation links they overheard, by inviter and invited.
    pub links: BTreeMap<(PersonId, PersonId), String>,
    /// What cuts datagrams short for them.
    pub mangler: Mangler,
    /// What their own phone remembers of the relay, while it does.
    pub memory: Option<Arc<RelayMemory>>,
    /// What they have got of invitations, up to now.
    pub loot: Rc<RefCell<Vec<Loot>>>,
    /// Questions without a key that the relay has answered: where it answers none, nothing was compared.
    pub answers: u64,
}

/// Names and public keys of other people's things, as they lie at a relay: no secret is among them.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Headers of parcels that wait: they name their mailboxes.
    pub headers: Vec<Header>,
    /// Slots.
    pub slots: Vec<SlotId>,
}

/// What came of an overheard link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loot {
    /// Who made the link.
    pub from: PersonId,
    /// For whom.
    pub to: PersonId,
    /// Whether it opened for the thief.
    pub opened: bool,
    /// Notes that the thief could open, whole or in part: at most those that the inviter sent to whoever opened the link,
    /// without comparing digits.
    pub notes: Vec<Voice>,
}

/// Does what the plan says, and returns what they got that nobody may get, in words.
///
/// Takes as long as it takes, up to an hour beyond what the plan says: a world runs it as a task of the attacker's machine. Nothing of theirs is
/// left running afterwards. Where the relay is out of reach meanwhile, or loses its disk, there is nothing to be said.
pub async fn act(deed: &AttackerDeed, scene: &mut AttackScene, captured: &Captured) -> Vec<String> {
    let doing = async {
        match *deed {
            AttackerDeed::ReplayDatagrams { of, seconds } => {
                let mut breaches = replay::others(scene, captured, of, seconds).await;
                breaches.extend(replay::own(scene).await);
                breaches
            }
            AttackerDeed::Flood { connections } => crowd::flood(scene, connections).await,
            AttackerDeed::Hoard { parcels } => crowd::hoard(scene, parcels).await,
            AttackerDeed::Pour { requests } => crowd::pour(scene, requests).await,
            AttackerDeed::Guess { tries } => guess::guess(scene, tries).await,
            AttackerDeed::Truncate { of, seconds } => {
                scene.mangler.truncate(of, Duration::from_secs(seconds.into()));
                Vec::new()
            }
            AttackerDeed::HoldBack { hours } => held_back::bring_late(scene, hours).await,
            AttackerDeed::StealLink { from, to } => thief::steal(scene, from, to).await,
        }
    };
    let waits = match deed {
        AttackerDeed::HoldBack { hours } => Duration::from_hours((*hours).into()),
        _ => Duration::ZERO,
    };
    let breaches = timeout(DEED_MAX + waits, doing).await;
    breaches.unwrap_or_else(|_| vec![format!("{deed:?} had not ended in its time")])
}
