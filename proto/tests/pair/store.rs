//! The relay's verbs over maps: what a store must do, in as few words as possible. Everything it says is durable at
//! once.

use std::collections::{BTreeMap, BTreeSet};

use zajil_proto::durable::Durable;
use zajil_proto::ids::{MailboxId, ParcelId};
use zajil_proto::parcel::{Header, Mark, MarkChain, Resumed, Travel};
use zajil_proto::session::custody::{Extended, Extension, Registration, SlotState, StoreReply, StoreRequest, Waiting};
use zajil_proto::wire::{Code, Observation, Precision, Scope, Word};

#[derive(Default)]
pub(crate) struct Store {
    pub(crate) mailboxes: BTreeMap<[u8; 16], Registration>,
    pub(crate) slots: BTreeMap<[u8; 16], (Registration, Option<Word>, Observation)>,
    pub(crate) parcels: BTreeMap<ParcelId, Row>,
    pub(crate) tombstones: BTreeSet<ParcelId>,
    arrivals: u64,
    /// What the next requests that write are answered with, instead of being done.
    pub(crate) refuse: Vec<Code>,
    /// The next request fails.
    pub(crate) fail: bool,
    /// Requests carried out.
    pub(crate) requests: u64,
}

pub(crate) struct Row {
    pub(crate) header: Header,
    pub(crate) travel: Travel,
    pub(crate) body: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) chain: ([u8; 32], u32),
    pub(crate) closed: bool,
    pub(crate) arrival: u64,
}

impl Store {
    pub(crate) fn execute(&mut self, request: StoreRequest) -> StoreReply {
        self.requests += 1;
        if std::mem::take(&mut self.fail) {
            return StoreReply::Failed;
        }
        let writes = matches!(
            request,
            StoreRequest::Put { .. }
                | StoreRequest::Extend(_)
                | StoreRequest::Register(_)
                | StoreRequest::PutWord { .. }
        );
        if writes && !self.refuse.is_empty() {
            return StoreReply::Refused(self.refuse.remove(0));
        }
        match request {
            StoreRequest::Register(registration) => self.register(registration),
            StoreRequest::Put { header, travel } => self.put(header, travel),
            StoreRequest::Extend(extension) => self.extend(extension),
            StoreRequest::Cut { id, to } => {
                if let Some(row) = self.parcels.get_mut(&id) {
                    row.body.truncate(usize::try_from(to).unwrap());
                }
                done()
            }
            StoreRequest::Withdraw { id, .. } => {
                self.parcels.remove(&id);
                self.tombstones.insert(id);
                done()
            }
            StoreRequest::List { mailbox } => StoreReply::Waiting(self.list(mailbox)),
            StoreRequest::Read { id, offset, bytes_max } => self.read(id, offset, bytes_max),
            StoreRequest::Release { mailbox, ids } => {
                let is_pair = self.mailboxes.get(&mailbox.0).is_some_and(|registration| !registration.audience);
                let gone: Vec<ParcelId> =
                    ids.into_iter().filter(|id| is_pair && self.parcels.contains_key(id)).collect();
                for id in &gone {
                    self.parcels.remove(id);
                    self.tombstones.insert(*id);
                }
                StoreReply::Released(Durable::after_sync(gone))
            }
            StoreRequest::PutWord { word, observation } => self.put_word(word, observation),
            StoreRequest::Seen { slot } => StoreReply::Slot(match self.slots.get(&slot.0) {
                Some((registration, word, observation)) => SlotState {
                    registered: true,
                    precision: registration.precision,
                    word: word.clone(),
                    observation: *observation,
                },
                None => SlotState {
                    registered: false,
                    precision: Precision::Off,
                    word: None,
                    observation: Observation::NONE,
                },
            }),
            StoreRequest::Drop { scope, id } => {
                match scope {
                    Scope::Mailbox => {
                        self.mailboxes.remove(&id);
                        self.parcels.retain(|_, row| row.header.mailbox().0 != id);
                    }
                    Scope::Slot => _ = self.slots.remove(&id),
                }
                done()
            }
        }
    }

    fn register(&mut self, registration: Registration) -> StoreReply {
        match registration.scope {
            Scope::Mailbox => _ = self.mailboxes.insert(registration.id, registration),
            Scope::Slot => {
                let fresh = (registration.clone(), None, Observation::NONE);
                let slot = self.slots.entry(registration.id).or_insert(fresh);
                slot.0 = registration;
            }
        }
        done()
    }

    fn put(&mut self, header: Header, travel: Travel) -> StoreReply {
        let (id, mailbox) = (header.id(), header.mailbox());
        if self.tombstones.contains(&id) || self.parcels.get(&id).is_some_and(|row| row.closed) {
            return StoreReply::Stored(Durable::after_sync(id));
        }
        if !self.mailboxes.contains_key(&mailbox.0) {
            return StoreReply::Refused(Code::NOT_HERE);
        }
        self.arrivals += 1;
        let arrival = self.arrivals;
        let chain = MarkChain::new(&header).state();
        let row = self.parcels.entry(id).or_insert(Row {
            header,
            travel,
            body: Vec::new(),
            marks: Vec::new(),
            chain,
            closed: false,
            arrival,
        });
        let tail = row.body[usize::try_from(row.chain.1).unwrap()..].to_vec();
        StoreReply::Open(Resumed { chain: row.chain, tail, closed: false })
    }

    fn extend(&mut self, extension: Extension) -> StoreReply {
        let Some(row) = self.parcels.get_mut(&extension.id) else {
            return self.gone(extension.id);
        };
        if row.body.len() != usize::try_from(extension.offset).unwrap() || row.closed {
            return StoreReply::Refused(Code::BAD_OFFSET);
        }
        row.body.extend(extension.bytes);
        // Another session may have brought the same marks.
        let (marked, known) = (row.chain.1, row.marks.len());
        row.marks.extend(extension.marks.into_iter().filter(|mark| mark.end > marked));
        if row.marks.len() > known {
            (row.chain, row.closed) = (extension.chain, extension.closed);
        }
        let held = u32::try_from(row.body.len()).unwrap();
        StoreReply::Extended(Durable::after_sync(Extended { id: extension.id, held, closed: row.closed }))
    }

    fn put_word(&mut self, word: Word, observation: Option<Observation>) -> StoreReply {
        let Some((_, held, observed)) = self.slots.get_mut(&word.slot().0) else {
            return StoreReply::Refused(Code::NOT_HERE);
        };
        let (version, before) = (word.version, held.as_ref().map_or(0, |held| held.version));
        if let Some(observation) = observation.filter(|_| version >= before && version > observed.version) {
            *observed = observation;
        }
        if version > before {
            *held = Some(word);
        }
        done()
    }

    fn gone(&self, id: ParcelId) -> StoreReply {
        if self.tombstones.contains(&id) {
            StoreReply::Stored(Durable::after_sync(id))
        } else {
            StoreReply::Refused(Code::NOT_HERE)
        }
    }

    fn list(&self, mailbox: MailboxId) -> Vec<Waiting> {
        let mut rows: Vec<&Row> = self.parcels.values().filter(|row| row.header.mailbox() == mailbox).collect();
        rows.sort_by_key(|row| row.arrival);
        rows.into_iter()
            .map(|row| Waiting {
                header: row.header.clone(),
                travel: row.travel,
                held: u32::try_from(row.body.len()).unwrap(),
                closed: row.closed,
            })
            .collect()
    }

    fn read(&self, id: ParcelId, offset: u32, bytes_max: u32) -> StoreReply {
        let Some(row) = self.parcels.get(&id) else {
            return StoreReply::Refused(Code::NOT_HERE);
        };
        let start = usize::try_from(offset).unwrap().min(row.body.len());
        let stop = (start + usize::try_from(bytes_max).unwrap()).min(row.body.len());
        let end = u32::try_from(stop).unwrap();
        StoreReply::Bytes {
            bytes: row.body[start..stop].to_vec(),
            marks: row.marks.iter().filter(|mark| mark.end > offset && mark.end <= end).copied().collect(),
        }
    }
}

fn done() -> StoreReply {
    StoreReply::Done(Durable::after_sync(()))
}
