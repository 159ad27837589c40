//! What the attacker keeps at the relay himself, so that one hand can try to get at what the other holds the keys of: a
//! mailbox or slot in every state there is.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zajil_net::Network;
use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, ParcelId};
use zajil_proto::keys::SigningKey;
use zajil_proto::random;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent, Registering};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Observation, Scope, Word};

use super::AttackScene;
use crate::device::Device;
use crate::parcels::{OwnParcel, Pair};

/// Sealed chunks of the parcel that is kept: three marks' distances.
const CHUNKS: usize = 20;
/// Longest wait for anything that one session of its keeper brings.
const PATIENCE: Duration = Duration::from_secs(300);

/// Everything the attacker keeps.
#[derive(Debug)]
pub(super) struct Estate {
    /// A mailbox with [`Estate::parcel`] in it.
    pub(super) filled: Pair,
    /// A parcel, whole and stored.
    pub(super) parcel: OwnParcel,
    /// A mailbox with nothing in it.
    pub(super) empty: Pair,
    /// A mailbox that was there, with a parcel, and was dropped.
    pub(super) dropped: Pair,
    /// A slot with the newer of [`Estate::words`] in it.
    pub(super) told: Pair,
    /// An older word, the one that was put last, and one that was not put.
    pub(super) words: [Word; 3],
    /// A slot without a word.
    pub(super) untold: Pair,
    /// A slot that was there, with a word, and was dropped: what a contact who was cut off asks for.
    pub(super) revoked: Pair,
    /// The store in which all this is.
    pub(super) epoch: Epoch,
    /// What the relay observed of the newer word.
    observation: Option<Box<Observation>>,
}

/// What has become of an estate since it was laid out, as far as its owner knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meanwhile {
    /// Nothing.
    Nothing,
    /// The parcel was released.
    Released,
    /// Somebody may have brought the word that had not been put.
    WordBrought,
}

/// Whoever holds the keys, in a session.
#[derive(Debug)]
pub(super) struct Keeper {
    device: Device,
    /// The store that was met.
    pub(super) epoch: Epoch,
}

/// What lies in the mailbox and the slot that were filled.
#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    parcels: Vec<ParcelId>,
    body: Vec<u8>,
    word: Option<Box<Word>>,
    observation: Option<Box<Observation>>,
}

impl Keeper {
    /// Opens a session over `network`. `None`: the relay cannot be reached.
    pub(super) async fn open(scene: &mut AttackScene, network: &Arc<dyn Network>) -> Option<Self> {
        let mut device = scene.device_on(network).await?;
        let epoch = loop {
            if let ClientEvent::Welcomed(welcome) = next(&mut device).await? {
                break welcome.epoch;
            }
        };
        Some(Self { device, epoch })
    }

    /// Lays everything out. `None`: the relay had no room, or went away.
    pub(super) async fn lay_out(&mut self, scene: &mut AttackScene) -> Option<Estate> {
        let [filled, empty, dropped, told, untold, revoked] = core::array::from_fn(|_| Pair::draw(&mut scene.chance));
        let chance = &mut scene.chance;
        let parcel = filled.parcel(chance, CHUNKS, Lifetime::DEFAULT);
        let lost = dropped.parcel(chance, 1, Lifetime::DEFAULT);
        let words = [1, 2, 3].map(|version| word(chance, &told, version));
        let cut_off = word(chance, &revoked, 1);
        let mailboxes = [&filled, &empty, &dropped].map(|pair| (Scope::Mailbox, pair));
        let slots = [&told, &untold, &revoked].map(|pair| (Scope::Slot, pair));
        for (scope, pair) in mailboxes.into_iter().chain(slots) {
            self.register(scene, scope, pair).await?;
        }
        self.put(&parcel).await?;
        self.put(&lost).await?;
        for (word, pair) in [(&words[0], &told), (&words[1], &told), (&cut_off, &revoked)] {
            self.put_word(word, Some(&pair.write)).await?;
        }
        self.drop_scope(Scope::Mailbox, dropped.mailbox().0).await?;
        self.drop_scope(Scope::Slot, revoked.slot().0).await?;
        let mut estate = Estate {
            filled,
            parcel,
            empty,
            dropped,
            told,
            words,
            untold,
            revoked,
            epoch: self.epoch,
            observation: None,
        };
        estate.observation = self.find(&estate).await?.observation;
        Some(estate)
    }

    /// Makes a mailbox or slot. `None`: refused.
    pub(super) async fn register(&mut self, scene: &AttackScene, scope: Scope, pair: &Pair) -> Option<()> {
        let admission = scene.relay.admission.clone();
        self.device.say(pair.prove(scope)).await;
        let registering = Registering { admission, ..pair.registering(scope) };
        self.device.say(ClientCommand::Register(Box::new(registering))).await;
        let asked = Asked::Register { scope, id: scope.id(&pair.write.public(), &pair.read_tag()) };
        (self.answer(asked).await? == Code::OK).then_some(())
    }

    /// Puts a parcel. `None`: the session ended. Returns why it was refused, `OK` if it is stored.
    pub(super) async fn offer(&mut self, parcel: &OwnParcel) -> Option<Code> {
        self.device.say(parcel.offer(0)).await;
        loop {
            match next(&mut self.device).await? {
                ClientEvent::Stored { id } if id == parcel.id() => return Some(Code::OK),
                ClientEvent::Refused { id, code } if id == parcel.id() => return Some(code),
                _ => {}
            }
        }
    }

    async fn put(&mut self, parcel: &OwnParcel) -> Option<()> {
        (self.offer(parcel).await? == Code::OK).then_some(())
    }

    async fn put_word(&mut self, word: &Word, write_key: Option<&SigningKey>) -> Option<()> {
        self.device.say(ClientCommand::PutWord { word: word.clone(), write_key: write_key.cloned() }).await;
        let asked = Asked::Word { slot: word.slot(), version: word.version };
        (self.answer(asked).await? == Code::OK).then_some(())
    }

    async fn drop_scope(&mut self, scope: Scope, id: [u8; 16]) -> Option<()> {
        self.device.say(ClientCommand::Drop { scope, id }).await;
        (self.answer(Asked::Drop { scope, id }).await? == Code::OK).then_some(())
    }

    async fn answer(&mut self, to: Asked) -> Option<Code> {
        loop {
            match next(&mut self.device).await? {
                ClientEvent::Answered { asked, code } if asked == to => return Some(code),
                _ => {}
            }
        }
    }

    /// Lets the parcel that is kept go, as a reader does who has it.
    pub(super) async fn release(&mut self, estate: &Estate) -> Option<()> {
        let mailbox = estate.filled.mailbox();
        self.device.say(estate.filled.prove(Scope::Mailbox)).await;
        let ids = vec![Durable::after_sync(estate.parcel.id())];
        self.device.say(ClientCommand::Release { mailbox, ids }).await;
        loop {
            if matches!(next(&mut self.device).await?, ClientEvent::Released { .. }) {
                return Some(());
            }
        }
    }

    async fn find(&mut self, estate: &Estate) -> Option<Found> {
        let (mailbox, slot) = (estate.filled.mailbox(), estate.told.slot());
        self.device.say(estate.filled.prove(Scope::Mailbox)).await;
        self.device.say(estate.told.prove(Scope::Slot)).await;
        self.device.say(ClientCommand::Watch { mailbox, live: false, held: Vec::new() }).await;
        self.device.say(ClientCommand::GetSeen { slot }).await;
        let (mut found, mut drained, mut seen) = (Found::default(), false, false);
        while !(drained && seen) {
            match next(&mut self.device).await? {
                ClientEvent::Arriving { header, .. } => found.parcels.push(header.id()),
                ClientEvent::Body(arrived) => found.body.extend(arrived.bytes),
                ClientEvent::Drained { .. } => drained = true,
                ClientEvent::Seen { word, observation, .. } => {
                    (found.word, found.observation, seen) = (word, observation, true);
                }
                _ => {}
            }
        }
        Some(found)
    }
}

impl Estate {
    /// Looks whether all is as it was left; what is not is returned in words. Nothing is said of a relay that cannot be reached, or has
    /// another store by now.
    pub(super) async fn damage(&self, scene: &mut AttackScene, meanwhile: Meanwhile) -> Vec<String> {
        let network = Arc::clone(&scene.network);
        let Some(mut keeper) = Keeper::open(scene, &network).await.filter(|keeper| keeper.epoch == self.epoch) else {
            return Vec::new();
        };
        let Some(found) = keeper.find(self).await else { return Vec::new() };
        let mut damage = Vec::new();
        let (parcels, body) = match meanwhile {
            Meanwhile::Released => (Vec::new(), Vec::new()),
            Meanwhile::Nothing | Meanwhile::WordBrought => (vec![self.parcel.id()], self.parcel.parcel.body.clone()),
        };
        let (newest, brought) = (Some(&self.words[1]), (meanwhile == Meanwhile::WordBrought).then_some(&self.words[2]));
        if found.parcels != parcels {
            damage.push(format!("{} parcels where {} were left", found.parcels.len(), parcels.len()));
        } else if found.body != body {
            damage.push("a parcel's bytes are others than were put".to_owned());
        }
        if ![newest, brought].contains(&found.word.as_deref()) {
            damage.push("another word than the newest that was put".to_owned());
        } else if found.observation != self.observation {
            damage.push("what the relay observed of a word has changed without its owner".to_owned());
        }
        damage
    }

    /// Gives back what the relay keeps of all this.
    pub(super) async fn clear(&self, scene: &mut AttackScene) -> Option<()> {
        let network = Arc::clone(&scene.network);
        let mut keeper = Keeper::open(scene, &network).await?;
        for pair in [&self.filled, &self.empty] {
            keeper.device.say(pair.prove(Scope::Mailbox)).await;
            keeper.drop_scope(Scope::Mailbox, pair.mailbox().0).await?;
        }
        for pair in [&self.told, &self.untold] {
            keeper.device.say(pair.prove(Scope::Slot)).await;
            keeper.drop_scope(Scope::Slot, pair.slot().0).await?;
        }
        Some(())
    }
}

async fn next(device: &mut Device) -> Option<ClientEvent> {
    timeout(PATIENCE, device.next()).await.ok().flatten()
}

/// Makes a word of bytes as they look sealed.
pub(super) fn word(chance: &mut impl random::Random, slot: &Pair, version: u64) -> Word {
    Word::sign(&slot.write, slot.read_tag(), version, random::bytes(chance))
}
