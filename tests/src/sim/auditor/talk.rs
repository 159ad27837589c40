//! One session of the auditor with the relay.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;
use zajil_net::{DialOptions, PinnedKeys};
use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId};
use zajil_proto::random;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent, ClientSession, ClientSettings, Registering};
use zajil_proto::wire::{Code, Observation, Scope, Word};

use super::AuditScene;
use crate::device::Device;
use crate::parcels::{OwnParcel, Pair};

/// Longest wait for anything that a session brings: the slowest disk of a plan takes 20 s for each of a few syncs.
const PATIENCE: Duration = Duration::from_secs(300);

/// A session, and what has come by it.
#[derive(Debug)]
pub(super) struct Talk {
    device: Device,
    /// The store that was met.
    pub(super) epoch: Epoch,
    /// What came of the mailboxes that are watched, since the session began.
    pub(super) found: BTreeMap<ParcelId, Found>,
    /// How often the relay said that all that waited has come, by mailbox.
    drained: BTreeMap<MailboxId, u32>,
}

/// A parcel as the relay hands it out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The mailbox in which it lay.
    pub(super) mailbox: Option<MailboxId>,
    /// Its bytes, as far as they came.
    pub(super) body: Vec<u8>,
    /// Whether the last mark has come.
    pub(super) closed: bool,
    /// Its age when it began to come, minutes.
    pub(super) age: u32,
    /// How often it came from its beginning.
    pub(super) times: u32,
}

/// What a slot tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Its newest word.
    pub(super) word: Option<Word>,
    /// When that came.
    pub(super) observation: Option<Observation>,
}

impl Talk {
    /// Opens a session. `None`: the relay cannot be reached.
    pub(super) async fn open(scene: &mut AuditScene) -> Option<Self> {
        let options = DialOptions { rng_seed: Some(random::bytes(&mut scene.chance)), ..DialOptions::default() };
        let pinned = PinnedKeys::one(scene.relay.key);
        let connection = zajil_net::dial(&*scene.network, &scene.relay.address, pinned, &options).await.ok()?;
        let session =
            ClientSession::new(ClientSettings::default(), *connection.exporter().expect("the handshake is over"));
        let device = Device::over(connection, session, Arc::clone(&scene.clock));
        let mut talk = Self { device, epoch: Epoch([0; 16]), found: BTreeMap::new(), drained: BTreeMap::new() };
        loop {
            if let ClientEvent::Welcomed(welcome) = talk.next().await? {
                talk.epoch = welcome.epoch;
                return Some(talk);
            }
        }
    }

    /// Returns what comes next, and remembers what it brings. `None`: the session is over, or as good as over.
    async fn next(&mut self) -> Option<ClientEvent> {
        let event = timeout(PATIENCE, self.device.next()).await.ok().flatten()?;
        match &event {
            ClientEvent::Arriving { mailbox, header, travel, from } => {
                let found = self.found.entry(header.id()).or_default();
                (found.mailbox, found.age) = (Some(*mailbox), travel.age.0);
                if *from == 0 {
                    *found = Found { body: Vec::new(), closed: false, times: found.times + 1, ..found.clone() };
                }
            }
            ClientEvent::Body(arrived) => {
                let found = self.found.entry(arrived.id).or_default();
                found.body.extend(&arrived.bytes);
                found.closed |= arrived.closed;
            }
            ClientEvent::Drained { mailbox } => *self.drained.entry(*mailbox).or_default() += 1,
            _ => {}
        }
        Some(event)
    }

    /// Makes a mailbox or slot. `None`: the session is over.
    pub(super) async fn register(&mut self, scene: &AuditScene, registering: Registering) -> Option<Code> {
        let Registering { scope, write_key, read_tag, .. } = &registering;
        let asked = Asked::Register { scope: *scope, id: scope.id(write_key, read_tag) };
        let admission = scene.relay.admission.clone();
        self.device.say(ClientCommand::Register(Box::new(Registering { admission, ..registering }))).await;
        self.answer(asked).await
    }

    /// Proves that one reads a mailbox or slot.
    pub(super) async fn prove(&self, scope: Scope, pair: &Pair) {
        self.device.say(pair.prove(scope)).await;
    }

    /// Watches mailboxes from now on, and waits for all that lies in them.
    pub(super) async fn watch(&mut self, mailboxes: &[MailboxId]) -> Option<()> {
        for mailbox in mailboxes {
            self.device.say(ClientCommand::Watch { mailbox: *mailbox, live: true, held: Vec::new() }).await;
        }
        while !mailboxes.iter().all(|mailbox| self.drained.contains_key(mailbox)) {
            self.next().await?;
        }
        Some(())
    }

    /// Waits until a parcel has come whole. `None`: the session is over. `Some(false)`: the relay talks, and does not bring it.
    pub(super) async fn wait_for(&mut self, id: ParcelId, slot: &Pair) -> Option<bool> {
        while !self.found.get(&id).is_some_and(|found| found.closed) {
            if self.next().await.is_none() {
                // Nothing comes any more: over, or silent on purpose?
                return self.told(slot).await.map(|_| self.found.get(&id).is_some_and(|found| found.closed));
            }
        }
        Some(true)
    }

    /// Asks what a slot tells.
    pub(super) async fn told(&mut self, slot: &Pair) -> Option<Told> {
        self.device.say(ClientCommand::GetSeen { slot: slot.slot() }).await;
        loop {
            if let ClientEvent::Seen { word, observation, .. } = self.next().await? {
                return Some(Told { word: word.map(|word| *word), observation: observation.map(|seen| *seen) });
            }
        }
    }

    /// Offers a parcel. `OK`: it is stored.
    pub(super) async fn offer(&mut self, parcel: &OwnParcel) -> Option<Code> {
        self.device.say(parcel.offer(0)).await;
        loop {
            match self.next().await? {
                ClientEvent::Stored { id } if id == parcel.id() => return Some(Code::OK),
                ClientEvent::Refused { id, code } if id == parcel.id() => return Some(code),
                _ => {}
            }
        }
    }

    /// Offers as much of a parcel as there is. Returns what the relay said it had, and what it said in the end: `OK`, all that there is is
    /// durable there.
    pub(super) async fn grow(&mut self, parcel: &OwnParcel, from: u32) -> Option<(Option<u32>, Code)> {
        let all = u32::try_from(parcel.parcel.body.len()).expect("a parcel is short");
        self.device.say(parcel.offer(from)).await;
        let mut had = None;
        loop {
            match self.next().await? {
                ClientEvent::Progress { id, durable } if id == parcel.id() => {
                    had = had.or(Some(durable));
                    if durable == all && !parcel.parcel.is_closed() {
                        return Some((had, Code::OK));
                    }
                }
                ClientEvent::Stored { id } if id == parcel.id() => return Some((had, Code::OK)),
                ClientEvent::Refused { id, code } if id == parcel.id() => return Some((had, code)),
                _ => {}
            }
        }
    }

    /// Removes a mailbox or slot, as far as one may.
    pub(super) async fn drop_scope(&mut self, scope: Scope, id: [u8; 16]) -> Option<Code> {
        self.device.say(ClientCommand::Drop { scope, id }).await;
        self.answer(Asked::Drop { scope, id }).await
    }

    /// Lets a parcel go, as a reader who has it.
    pub(super) async fn release(&mut self, mailbox: MailboxId, parcel: ParcelId) -> Option<()> {
        let ids = vec![Durable::after_sync(parcel)];
        self.device.say(ClientCommand::Release { mailbox, ids }).await;
        loop {
            match self.next().await? {
                ClientEvent::Released { ids, .. } if ids.contains(&parcel) => return Some(()),
                _ => {}
            }
        }
    }

    /// Takes a parcel back, as its writer.
    pub(super) async fn withdraw(&mut self, pair: &Pair, parcel: &OwnParcel) -> Option<Code> {
        let (write_key, read_tag) = (pair.write.public(), pair.read_tag());
        let withdraw = ClientCommand::Withdraw { write_key, read_tag, parcel_key: parcel.key.clone() };
        self.device.say(withdraw).await;
        self.answer(Asked::Withdraw { id: parcel.id() }).await
    }

    /// Puts a word; `owner`: as its owner, else as somebody who passes it on.
    pub(super) async fn put_word(&mut self, word: &Word, owner: Option<&Pair>) -> Option<Code> {
        let write_key = owner.map(|pair| pair.write.clone());
        self.device.say(ClientCommand::PutWord { word: word.clone(), write_key }).await;
        self.answer(Asked::Word { slot: word.slot(), version: word.version }).await
    }

    async fn answer(&mut self, to: Asked) -> Option<Code> {
        loop {
            match self.next().await? {
                ClientEvent::Answered { asked, code } if asked == to => return Some(code),
                _ => {}
            }
        }
    }
}
