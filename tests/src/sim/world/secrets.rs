//! What no log line may contain, gathered while a world is played with its logs kept.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use zajil_client::engine::api::Voice;
use zajil_client::store::{Kind, MemoryDisk};
use zajil_net::memory::Passing;
use zajil_relay::store::{Cursor, Exported, MemoryStore};

use super::World;
use super::relay::RELAY;

/// Bytes of a stretch of a record, and from one to the next: every leak of twice as many has one in it, so every id and key.
const STRETCH_BYTES: usize = 8;
/// Different bytes that a stretch must have to be told from chance: zeros, lengths and flags have fewer.
const DIFFERENT_BYTES_MIN: usize = 6;
/// What stands around the names of fields in what vodozemac keeps: words such as *session*, which logs have too.
const FIELD_MARKS: &[u8] = b"_\":,{}[]";
/// Records of a phone that hold keys of its person or somebody else, or names of things at a relay, all through. In the others
/// these stand in the records' own keys, or fill them to the end, as bodies do.
const KINDS: [Kind; 6] = [Kind::Profile, Kind::Contact, Kind::Slot, Kind::Word, Kind::Relay, Kind::Invitation];

/// What was gathered, if it was asked for: what it is, by what must not be written.
pub(super) struct Secrets {
    kept: Option<RefCell<BTreeMap<Vec<u8>, String>>>,
    /// Who spoke from where. The network tells from outside of the world.
    sockets: Arc<Mutex<BTreeSet<SocketAddr>>>,
}

impl Secrets {
    pub(super) fn new(wanted: bool) -> Self {
        Self { kept: wanted.then(RefCell::default), sockets: Arc::default() }
    }

    pub(super) fn are_wanted(&self) -> bool {
        self.kept.is_some()
    }

    /// Keeps a secret.
    pub(super) fn keep(&self, what: impl FnOnce() -> String, secret: &[u8]) {
        if let Some(kept) = &self.kept {
            kept.borrow_mut().entry(secret.to_vec()).or_insert_with(what);
        }
    }

    /// Returns what is to be told of everything that passes the network.
    pub(super) fn listener(&self) -> impl Fn(&Passing) + Send + use<> {
        let (sockets, wanted) = (Arc::clone(&self.sockets), self.are_wanted());
        move |passing| {
            if wanted {
                let mut sockets = sockets.lock().unwrap_or_else(PoisonError::into_inner);
                sockets.extend([passing.from, passing.seen_as]);
            }
        }
    }

    /// Keeps what a record holds, in stretches.
    fn keep_record(&self, what: &str, record: &[u8]) {
        for stretch in record.chunks_exact(STRETCH_BYTES) {
            let is_name = stretch.iter().all(|byte| byte.is_ascii_alphabetic() || FIELD_MARKS.contains(byte));
            if stretch.iter().collect::<BTreeSet<_>>().len() >= DIFFERENT_BYTES_MIN && !is_name {
                self.keep(|| what.to_owned(), stretch);
            }
        }
    }

    /// Keeps what is said in a note.
    pub(super) fn keep_voice(&self, serial: u32, voice: &Voice) {
        // One packet in sixteen: a second of a note has one, and nobody would write less of it down.
        for packet in voice.packets.iter().step_by(16) {
            self.keep(|| format!("the sound of note {serial}"), &packet[STRETCH_BYTES..3 * STRETCH_BYTES]);
        }
    }

    /// Keeps ids and keys that lie on a phone's disk now.
    fn keep_disk(&self, whose: &str, disk: &MemoryDisk) {
        for kind in Kind::ALL {
            for key in disk.keys(kind).iter().filter(|key| key.len() >= STRETCH_BYTES) {
                self.keep(|| format!("the name of a {kind} of {whose}"), key);
            }
        }
        for kind in KINDS {
            for (_, value) in disk.records(kind) {
                self.keep_record(&format!("a part of a {kind} of {whose}"), &value);
            }
        }
    }

    /// Keeps ids and keys that lie on the relay's disk now.
    fn keep_relay(&self, disk: &MemoryStore) {
        let mut held = disk.inspect().expect("the store can be looked at");
        let mut from = Some(Cursor::default());
        while let Some(cursor) = from {
            let page = held.exported(cursor).expect("the store can be read");
            for record in page.records {
                match record {
                    Exported::Mailbox(registration) => {
                        self.keep(|| "a mailbox".into(), &registration.id);
                        self.keep(|| "the read tag of a mailbox".into(), &registration.read_tag.0);
                    }
                    Exported::Slot { registration, word, .. } => {
                        self.keep(|| "a slot".into(), &registration.id);
                        self.keep(|| "the read tag of a slot".into(), &registration.read_tag.0);
                        if let Some(word) = word {
                            self.keep_record("a sealed word", &word.sealed);
                        }
                    }
                    Exported::Parcel { header, .. } => {
                        self.keep(|| "a parcel".into(), &header.id().0);
                        self.keep_record("a header", header.as_bytes());
                    }
                }
            }
            from = page.next;
        }
    }

    /// Returns everything.
    pub(super) fn taken(&self) -> Vec<(String, Vec<u8>)> {
        let Some(kept) = &self.kept else { return Vec::new() };
        for socket in std::mem::take(&mut *self.sockets.lock().unwrap_or_else(PoisonError::into_inner)) {
            // The relay's own port is everybody's.
            if socket.ip() != RELAY {
                self.keep(|| "somebody's port".into(), format!(":{}", socket.port()).as_bytes());
            }
            self.keep_address("somebody's address", socket.ip());
        }
        kept.take().into_iter().map(|(secret, what)| (what, secret)).collect()
    }

    fn keep_address(&self, what: &str, ip: IpAddr) {
        self.keep(|| what.to_owned(), ip.to_string().as_bytes());
        if let IpAddr::V4(address) = ip {
            let octets = format!("{:?}", address.octets());
            self.keep(|| what.to_owned(), octets.trim_matches(['[', ']']).as_bytes());
        }
    }
}

/// Keeps what everybody's disk holds now.
pub(super) fn gather(world: &World) {
    let secrets = &world.secrets;
    if !secrets.are_wanted() {
        return;
    }
    secrets.keep_relay(&world.relay.disk);
    for phone in world.phones() {
        let whose = super::name(phone.id);
        secrets.keep_disk(&whose, &phone.disk);
        secrets.keep_address(&format!("the address of {whose}"), phone.ip);
        secrets.keep(|| format!("the name of {whose}"), whose.as_bytes());
    }
}
