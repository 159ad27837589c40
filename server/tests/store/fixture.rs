//! Parcels, mailboxes and stores for the tests. Everything is drawn from numbers: the same number gives the same bytes.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;
use zajil_proto::ids::{MailboxId, ParcelId, ReadTag, RelayHash, SlotId};
use zajil_proto::keys::{Secret, SigningKey};
use zajil_proto::parcel::{Class, Header, Mark, MarkChain, Travel};
use zajil_proto::random::Random;
use zajil_proto::session::custody::{Extension, Registration};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Precision, Scope, Word};
use zajil_relay::store::{
    Engine, MemoryStore, Opened, SpaceProbe, SqliteOptions, SqliteStore, Store, StoreError, StoreKey, StoreLimits,
};

/// A generator that counts (splitmix64): good enough to be different, bad enough to be repeated.
pub(crate) struct Counting(pub(crate) u64);

impl Counting {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

impl Random for Counting {
    fn fill(&mut self, bytes: &mut [u8]) {
        for part in bytes.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            part.copy_from_slice(&word[..part.len()]);
        }
    }
}

/// A length as the wire counts it.
pub(crate) fn short(length: usize) -> u32 {
    u32::try_from(length).expect("shorter than 4 GB")
}

/// 32 bytes that only this kind and number give.
pub(crate) fn seed(kind: u8, number: u64) -> Secret {
    let mut bytes = [kind; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Secret(bytes)
}

/// A mailbox's write key and read tag, by number.
pub(crate) fn mailbox_keys(number: u64) -> (SigningKey, ReadTag) {
    (SigningKey::from_seed(&seed(1, number)), ReadTag::of(&SigningKey::from_seed(&seed(2, number)).public()))
}

pub(crate) fn mailbox(number: u64) -> MailboxId {
    let (write, tag) = mailbox_keys(number);
    MailboxId::of(&write.public(), &tag)
}

pub(crate) fn slot(number: u64) -> SlotId {
    let (write, tag) = mailbox_keys(number);
    SlotId::of(&write.public(), &tag)
}

/// An ordinary pair mailbox.
pub(crate) fn registration(number: u64) -> Registration {
    Registration {
        scope: Scope::Mailbox,
        id: mailbox(number).0,
        read_tag: mailbox_keys(number).1,
        parcels_max: None,
        bytes_max: None,
        audience: false,
        valid_hours: None,
        precision: Precision::Off,
        homes: vec![RelayHash([7; 8])],
    }
}

pub(crate) fn slot_registration(number: u64, precision: Precision) -> Registration {
    Registration { scope: Scope::Slot, id: slot(number).0, precision, ..registration(number) }
}

pub(crate) fn word(number: u64, version: u64) -> Word {
    let (write, tag) = mailbox_keys(number);
    let mut sealed = [0; 200];
    Counting(number ^ version << 20).fill(&mut sealed);
    Word::sign(&write, tag, version, sealed)
}

/// A whole parcel with the chain at each of its marks.
#[derive(Clone)]
pub(crate) struct Parcel {
    pub(crate) header: Header,
    pub(crate) body: Vec<u8>,
    pub(crate) marks: Vec<Mark>,
    chains: Vec<[u8; 32]>,
    start: [u8; 32],
}

impl Parcel {
    /// Seals `length` bytes for a mailbox with a mark every `distance` bytes. A live one does not tell its length.
    pub(crate) fn new(mailbox: u64, number: u64, hours: u16, length: u32, distance: usize, live: bool) -> Self {
        let (write, tag) = mailbox_keys(mailbox);
        let key = SigningKey::from_seed(&seed(3, number));
        let lifetime = Lifetime::from_hours(hours).expect("1 to 2160 hours");
        let told = if live { 0 } else { length };
        let header = Header::sign(Class::Voice, &write, tag, key.public(), lifetime, told);
        let mut body = vec![0; usize::try_from(length).expect("it fits")];
        Counting(number).fill(&mut body);
        let mut chain = MarkChain::new(&header);
        let (start, _) = chain.state();
        let (mut marks, mut chains) = (Vec::new(), Vec::new());
        let count = body.len().div_ceil(distance);
        for (index, part) in body.chunks(distance).enumerate() {
            marks.push(chain.sign(&key, part, index + 1 == count));
            chains.push(chain.state().0);
        }
        Self { header, body, marks, chains, start }
    }

    /// A parcel of `length` bytes for a mailbox, that lives for 30 days.
    pub(crate) fn plain(mailbox: u64, number: u64, length: u32) -> Self {
        Self::new(mailbox, number, 720, length, 8_192, false)
    }

    pub(crate) fn id(&self) -> ParcelId {
        self.header.id()
    }

    pub(crate) fn length(&self) -> u32 {
        short(self.body.len())
    }

    /// The bytes from `start` to `end`, with the marks that end after `marks_after` and not after `end`.
    pub(crate) fn part(&self, start: u32, end: u32, marks_after: u32) -> Extension {
        let index = |offset: u32| usize::try_from(offset).expect("it fits");
        let marks: Vec<Mark> =
            self.marks.iter().filter(|mark| mark.end > marks_after && mark.end <= end).copied().collect();
        let newest = self.marks.iter().rposition(|mark| mark.end <= end && !marks.is_empty());
        let chain = newest.map_or((self.start, 0), |index| (self.chains[index], self.marks[index].end));
        Extension {
            id: self.id(),
            mailbox: self.header.mailbox(),
            offset: start,
            bytes: self.body[index(start)..index(end)].to_vec(),
            closed: marks.last().is_some_and(|mark| mark.last),
            marks,
            chain,
        }
    }

    pub(crate) fn whole(&self) -> Extension {
        self.part(0, self.length(), 0)
    }

    /// Puts and closes it.
    pub(crate) async fn store_in(&self, store: &impl Store) -> Result<(), StoreError> {
        match store.put(self.header.clone(), Travel::default()).await? {
            Opened::Stored(_) => Ok(()),
            Opened::Open(_) => store.extend(self.whole()).await.map(|extended| assert!(extended.get().closed)),
        }
    }

    /// Reads it back, whole, and says whether every byte and mark is there.
    pub(crate) async fn is_whole_in(&self, store: &impl Store) -> Result<bool, StoreError> {
        let (mut body, mut marks) = (Vec::new(), Vec::new());
        while body.len() < self.body.len() {
            let offset = short(body.len());
            let part = store.read(self.id(), offset, 20_000).await?;
            if part.bytes.is_empty() {
                break;
            }
            body.extend(part.bytes);
            marks.extend(part.marks);
        }
        Ok(body == self.body && marks == self.marks)
    }
}

/// Every opening draws other numbers.
static DRAWS: AtomicU64 = AtomicU64::new(1);

/// The key every store of these tests is sealed under.
pub(crate) fn store_key() -> StoreKey {
    StoreKey::new([0x5a; 32])
}

pub(crate) fn options(directory: &Path, limits: StoreLimits, space: Option<SpaceProbe>) -> SqliteOptions {
    SqliteOptions {
        directory: directory.to_owned(),
        key: store_key(),
        limits,
        random: Box::new(Counting(DRAWS.fetch_add(1, Ordering::Relaxed) << 40)),
        space,
    }
}

/// An engine with what it needs to be opened again.
pub(crate) enum Subject {
    Sqlite { directory: TempDir, limits: StoreLimits, engine: Engine },
    Memory { engine: Engine },
}

impl Subject {
    /// Both engines, empty.
    pub(crate) fn both(limits: &StoreLimits) -> [Self; 2] {
        [Self::memory(limits), Self::sqlite(limits)]
    }

    pub(crate) fn memory(limits: &StoreLimits) -> Self {
        let store = MemoryStore::new(limits.clone(), &mut Counting(1)).expect("a store in memory");
        Self::Memory { engine: Engine::Memory(store) }
    }

    pub(crate) fn sqlite(limits: &StoreLimits) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let store = SqliteStore::open(options(directory.path(), limits.clone(), None)).expect("a store");
        Self::Sqlite { directory, limits: limits.clone(), engine: Engine::Sqlite(store) }
    }

    pub(crate) fn engine(&self) -> &Engine {
        match self {
            Self::Sqlite { engine, .. } | Self::Memory { engine } => engine,
        }
    }

    /// Ends it and opens it again.
    pub(crate) fn reopen(self) -> Self {
        match self {
            Self::Sqlite { directory, limits, engine } => {
                drop(engine);
                let store = SqliteStore::open(options(directory.path(), limits.clone(), None)).expect("opened again");
                Self::Sqlite { directory, limits, engine: Engine::Sqlite(store) }
            }
            Self::Memory { engine } => {
                if let Engine::Memory(store) = &engine {
                    store.crash().expect("taken up again");
                }
                Self::Memory { engine }
            }
        }
    }
}

/// Runs what a test awaits. No timer, no socket: nothing here needs a reactor.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(work)
}
