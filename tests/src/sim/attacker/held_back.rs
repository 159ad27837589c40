//! Holds back what a phone says before its handshake is over, and brings it hours later: to a relay that has forgotten nothing of
//! that phone it is as good as new (RFC 8446 §8), and whoever brings it is not who said it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use zajil_net::{Network, PinnedKeys, RelayMemory, dial_early};
use zajil_proto::keys::Purpose;
use zajil_proto::wire::{Frame, WordPut};

use super::AttackScene;
use super::estate::{Estate, Keeper, Meanwhile};
use super::replay::{OWN, bring};
use super::wiretap::{Captured, Mangler, Wiretapped};
use crate::device::Device;
use crate::sessions::Raw;

/// How long the phone speaks: until all of it has left, and before it dials anew because nobody answers.
const SPEAKS: Duration = Duration::from_secs(1);
/// How long the phone's first session lasts after its last answer: what TLS gives for the next one has come by then.
const LINGERS: Duration = Duration::from_secs(5);

/// Has a phone of their own leave everything at the relay and say at once, the next time, a newer word and that its parcel is
/// withdrawn; keeps that from the relay for `hours`, brings it there, and looks what has changed by it.
///
/// The word may have come: whoever has one may pass it on. That its owner was there must not be said of that hour, and the parcel must
/// be there.
pub(super) async fn bring_late(scene: &mut AttackScene, hours: u16) -> Vec<String> {
    let (captured, mangler) = (Captured::default(), Mangler::default());
    captured.listen_to(OWN, Duration::from_hours(u64::from(hours) + 1));
    let network = Arc::clone(&scene.network);
    let tapped: Arc<dyn Network> = Arc::new(Wiretapped::new(Arc::clone(&network), OWN, &captured, &mangler));
    scene.memory = RelayMemory::new(PinnedKeys::one(scene.relay.key)).ok().map(Arc::new);
    let estate = match Keeper::open(scene, &network).await {
        Some(mut keeper) => {
            let estate = keeper.lay_out(scene).await;
            sleep(LINGERS).await;
            estate
        }
        None => None,
    };
    let Some(estate) = estate else { return Vec::new() };
    mangler.hold_back(OWN);
    let is_said = say_early(scene, &tapped, &estate).await;
    // What it says when it is given up is none of this.
    let held = captured.last(OWN, u32::MAX);
    scene.memory = None;
    let mut breaches = Vec::new();
    if is_said {
        sleep(Duration::from_hours(hours.into())).await;
        breaches = bring(scene, &held, (&captured, OWN)).await;
        let damage = estate.damage(scene, Meanwhile::WordBrought).await;
        breaches
            .extend(damage.iter().map(|damage| format!("first words, {hours} h late, changed something: {damage}")));
    }
    let _unreachable = estate.clear(scene).await;
    breaches
}

/// Says the newer word and the withdrawal before the handshake is over. Returns whether they left: a phone that was given nothing to
/// take up can say nothing early.
async fn say_early(scene: &mut AttackScene, network: &Arc<dyn Network>, estate: &Estate) -> bool {
    let options = scene.options();
    let keys = PinnedKeys::one(scene.relay.key);
    let Some(connection) = dial_early(network, &scene.relay.address, keys, &options).await else { return false };
    let device = Device::over(connection, Raw::default(), Arc::clone(&scene.clock));
    let (mailbox, id) = (estate.filled.mailbox(), estate.parcel.id());
    let withdraw = Frame::Withdraw {
        request: 2,
        write_key: estate.filled.write.public(),
        read_tag: estate.filled.read_tag(),
        parcel_key: estate.parcel.key.public(),
        signature: estate.parcel.key.sign(Purpose::Withdraw, &[&mailbox.0, &id.0]),
    };
    let said = [
        Frame::Hello { lowest: 1, highest: 1, features: 0 },
        Frame::WordPut(WordPut::passed_on(1, estate.words[2].clone())),
        withdraw,
    ];
    device.say(said.iter().flat_map(Frame::encode).collect()).await;
    sleep(SPEAKS).await;
    true
}
