//! The key file and the `keys` file: from what a person has or knows to the era keys.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use argon2::{Algorithm, Argon2, Params, Version};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, Salt};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zajil_proto::codec::Reader;
use zajil_proto::keys::Secret;
use zajil_proto::random::{self, Random};
use zeroize::Zeroizing;

use super::batch::within;
use super::seal::{Era, WRAPPED_KEY_BYTES, unwrap, wrap};
use super::{StoreError, home};
use crate::limits::{ARGON2_LANES_MAX, ARGON2_MEMORY_KIB_MAX, ARGON2_PASSES_MAX, PASSPHRASE_BYTES_MAX, STORE_KEYS_MAX};

/// How every `keys` file begins.
pub(super) const MAGIC: [u8; 8] = *b"zajilkey";
const VERSION: u8 = 2;
/// The version without a place for a passphrase of duress, and the one that is bound into every wrap: so that a file of that
/// version can be written anew as it is.
const FIRST_VERSION: u8 = 1;
/// `magic 8 ‖ version u8 ‖ method u8 ‖ store id 16 ‖ salt 16 ‖ memory u32 ‖ passes u32 ‖ lanes u32`.
const HEADER_BYTES: usize = 8 + 1 + 1 + 16 + 16 + 12;
/// Where the store id begins.
const ID_START: usize = 8 + 1 + 1;
/// What tells the passphrase of duress; random where there is none, so that a file does not tell whether there is one.
const DURESS_BYTES: usize = 32;
const CHECK_BYTES: usize = 8;
const ENTRY_BYTES: usize = 4 + WRAPPED_KEY_BYTES;
/// The longest file that can be one of ours; more is not read.
pub(super) const FILE_BYTES_MAX: usize = HEADER_BYTES + DURESS_BYTES + 2 + STORE_KEYS_MAX * ENTRY_BYTES + CHECK_BYTES;
const DAMAGED: StoreError = StoreError::Corrupt { what: "its keys file" };

/// A passphrase: wiped when dropped, does not print. Its bytes count as typed; nothing is normalised.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

impl Passphrase {
    /// Takes a passphrase of 1 to 1 024 bytes. How good it is, is not judged here.
    ///
    /// # Errors
    /// [`StoreError::NoPassphrase`] if it is empty, [`StoreError::TooLarge`].
    pub fn new(text: impl Into<String>) -> Result<Self, StoreError> {
        let text = Zeroizing::new(text.into());
        if text.is_empty() {
            return Err(StoreError::NoPassphrase);
        }
        within("the passphrase", text.len(), PASSPHRASE_BYTES_MAX)?;
        Ok(Self(text))
    }

    /// Whether the two are the same letter for letter.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

/// Only for the daemon's socket, over which a person opens a locked device.
impl Serialize for Passphrase {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Passphrase {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

/// What one guess of a passphrase costs: Argon2id (RFC 9106).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Argon2Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Argon2Cost {
    /// RFC 9106's second recommended profile: 64 MiB, 3 passes, 4 lanes. A fraction of a second on a phone.
    pub const RECOMMENDED: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
    /// Nothing is derived by effort from a random key.
    const NONE: Self = Self { memory_kib: 0, passes: 0, lanes: 0 };

    /// Takes the memory in KiB (at least 8 for each lane, at most 1 GiB), the passes over it (1 to 64) and the lanes (1
    /// to 64; computed one after the other here, though an attacker may compute them at once).
    ///
    /// # Errors
    /// [`StoreError::Cost`] outside these bounds.
    pub fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, StoreError> {
        let cost = Self { memory_kib, passes, lanes };
        cost.params().map(|_| cost).ok_or(StoreError::Cost)
    }

    fn params(self) -> Option<Params> {
        let allowed = self.memory_kib <= ARGON2_MEMORY_KIB_MAX
            && self.passes <= ARGON2_PASSES_MAX
            && self.lanes <= ARGON2_LANES_MAX;
        if !allowed {
            return None;
        }
        Params::new(self.memory_kib, self.passes, self.lanes, Some(32)).ok()
    }
}

/// What shall protect a new store.
#[derive(Debug, Clone)]
pub enum Protection {
    /// A file of 32 random bytes; made if it is not there. Who has the file and the home can read the store.
    KeyFile(PathBuf),
    /// A passphrase, and what a guess of it shall cost.
    Passphrase(Passphrase, Argon2Cost),
}

/// What opens a store.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// The key file.
    KeyFile(PathBuf),
    /// The passphrase.
    Passphrase(Passphrase),
}

/// By what a store is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// A key file.
    KeyFile,
    /// A passphrase.
    Passphrase,
}

/// What a passphrase or key file opened.
pub(super) enum Opened {
    /// The keys.
    Ring(KeyRing),
    /// Nothing: it was the passphrase of duress.
    Duress,
}

/// What a `keys` file says.
struct Parsed {
    header: Header,
    /// `None` in a file of the first version.
    duress: Option<[u8; DURESS_BYTES]>,
    entries: Entries,
}

/// The header of a `keys` file: how the key-encryption key is made. Bound into every wrap.
#[derive(Clone, Copy)]
struct Header {
    method: Method,
    store: [u8; 16],
    salt: [u8; 16],
    cost: Argon2Cost,
}

/// The era keys of an open store.
pub(super) struct KeyRing {
    store: [u8; 16],
    eras: BTreeMap<Era, Secret>,
    current: Era,
}

impl KeyRing {
    /// Draws the keys of a new store, and returns what its `keys` file says.
    pub(super) fn create(protection: &Protection, random: &mut dyn Random) -> Result<(Self, Vec<u8>), StoreError> {
        let (method, cost) = match protection {
            Protection::KeyFile(_) => (Method::KeyFile, Argon2Cost::NONE),
            Protection::Passphrase(_, cost) => (Method::Passphrase, *cost),
        };
        let header = Header { method, store: random::bytes(random), salt: random::bytes(random), cost };
        let secret = match protection {
            Protection::KeyFile(path) => make_key_file(path, random)?,
            Protection::Passphrase(passphrase, _) => stretch(passphrase, &header)?,
        };
        let top = top_key(&secret, &header)?;
        let eras = BTreeMap::from([(1, Secret::draw(random))]);
        let file = encode(&header, &random::bytes(random), &wrap_all(&header, &top, &eras, random)?)?;
        Ok((Self { store: header.store, eras, current: 1 }, file))
    }

    /// Opens every era key of a `keys` file, or says that what was given is the passphrase of duress.
    pub(super) fn open(file: &[u8], unlock: &Unlock) -> Result<Opened, StoreError> {
        let Parsed { header, duress, entries } = decode(file)?;
        let (secret, wrong) = match (unlock, header.method) {
            (Unlock::KeyFile(path), Method::KeyFile) => (read_key_file(path)?, StoreError::WrongKey),
            (Unlock::Passphrase(given), Method::Passphrase) => (stretch(given, &header)?, StoreError::WrongPassphrase),
            (Unlock::KeyFile(_), Method::Passphrase) => return Err(StoreError::NeedsPassphrase),
            (Unlock::Passphrase(_), Method::KeyFile) => return Err(StoreError::NeedsKeyFile),
        };
        // Both are derived each time, from one stretching: a try takes as long whether there is a passphrase of duress
        // or none. Who measures more finely than that has the file, and nothing to learn from it.
        let (top, given) = (top_key(&secret, &header)?, duress_value(&secret, &header)?);
        let mut eras = BTreeMap::new();
        for (era, wrapped) in entries {
            match unwrap(&top, &context(&header, era), &wrapped) {
                Some(key) => drop(eras.insert(era, key)),
                None if header.method == Method::Passphrase && Some(given.0) == duress => return Ok(Opened::Duress),
                // The check sum was right, so a wrap that does not open means another key, not damage.
                None => return Err(wrong),
            }
        }
        let current = *eras.last_key_value().ok_or(DAMAGED)?.0;
        Ok(Opened::Ring(Self { store: header.store, eras, current }))
    }

    /// Forgets every key: nothing can be read or written any more.
    pub(super) fn forget(&mut self) {
        self.eras.clear();
    }

    /// Which store these keys are of.
    pub(super) const fn store(&self) -> [u8; 16] {
        self.store
    }

    /// The key of an era, if it was not destroyed.
    pub(super) fn era(&self, era: Era) -> Option<&Secret> {
        self.eras.get(&era)
    }

    /// The newest era, in which records are written.
    pub(super) fn current(&self) -> Option<(Era, &Secret)> {
        Some((self.current, self.eras.get(&self.current)?))
    }
}

/// Says by what the store of a `keys` file is opened, without opening it.
pub(super) fn method(file: &[u8]) -> Result<Method, StoreError> {
    decode(file).map(|parsed| parsed.header.method)
}

/// Returns this `keys` file with another passphrase of duress, or with none. Whoever compares the two sees that something
/// was changed, and not what.
///
/// # Errors
/// [`StoreError::NeedsKeyFile`] where no passphrase is asked for.
pub(super) fn with_duress(
    file: &[u8],
    duress: Option<&Passphrase>,
    random: &mut dyn Random,
) -> Result<Vec<u8>, StoreError> {
    let Parsed { header, entries, .. } = decode(file)?;
    if header.method == Method::KeyFile {
        return Err(StoreError::NeedsKeyFile);
    }
    let value = match duress {
        Some(passphrase) => duress_value(&stretch(passphrase, &header)?, &header)?.0,
        None => random::bytes(random),
    };
    encode(&header, &value, &entries)
}

/// Whether the `keys` file of this store is still there. One that cannot be read now is.
pub(super) fn is_there(path: &Path, store: [u8; 16]) -> bool {
    let mut first = [0; ID_START + 16];
    match File::open(path).and_then(|mut file| file.read_exact(&mut first)) {
        Ok(()) => first.ends_with(&store),
        Err(error) => !matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory),
    }
}

/// Reads a `keys` file, or `None` if there is none.
pub(super) fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match home::read_at_most(path, FILE_BYTES_MAX) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => Err(DAMAGED),
        Err(error) => Err(StoreError::from_io("reading the keys file", &error)),
    }
}

fn make_key_file(path: &Path, random: &mut dyn Random) -> Result<Secret, StoreError> {
    match read_key_file(path) {
        // Left by an init that was cut off, or brought along on purpose: the salt makes the key a new one.
        Ok(secret) => Ok(secret),
        Err(StoreError::NoKeyFile) => {
            let secret = Secret::draw(random);
            home::write_atomically(path, &secret.0, "writing the key file")?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

fn read_key_file(path: &Path) -> Result<Secret, StoreError> {
    let damaged = StoreError::Corrupt { what: "its key file" };
    let bytes = match home::read_at_most(path, 32) {
        Ok(bytes) => Zeroizing::new(bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(StoreError::NoKeyFile),
        Err(error) if error.kind() == std::io::ErrorKind::FileTooLarge => return Err(damaged),
        Err(error) => return Err(StoreError::from_io("reading the key file", &error)),
    };
    <[u8; 32]>::try_from(bytes.as_slice()).map(Secret).map_err(|_| damaged)
}

fn stretch(passphrase: &Passphrase, header: &Header) -> Result<Secret, StoreError> {
    let params = header.cost.params().ok_or(StoreError::Corrupt { what: "the cost in its keys file" })?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let mut out = Secret([0; 32]);
    let stretched = argon2.hash_password_into(passphrase.0.as_bytes(), &header.salt, &mut out.0);
    // What was given has been checked; what remains is memory that the system does not have.
    let kind = std::io::ErrorKind::OutOfMemory;
    stretched.map_err(|_| StoreError::Io { doing: "stretching the passphrase", kind })?;
    Ok(out)
}

fn top_key(secret: &Secret, header: &Header) -> Result<Secret, StoreError> {
    derive(secret, header, b"zajil store 1 top")
}

/// What a `keys` file has of its passphrase of duress. Worth nothing without one more stretching for each guess, as the
/// wraps are.
fn duress_value(secret: &Secret, header: &Header) -> Result<Secret, StoreError> {
    derive(secret, header, b"zajil store 2 duress")
}

fn derive(secret: &Secret, header: &Header, label: &[u8]) -> Result<Secret, StoreError> {
    let mut out = Secret([0; 32]);
    let prk = Salt::new(HKDF_SHA256, &header.salt).extract(&secret.0);
    let filled = prk.expand(&[label], HKDF_SHA256).and_then(|okm| okm.fill(&mut out.0));
    // ring refuses only more than 255 blocks, or a length it was not told.
    let kind = std::io::ErrorKind::InvalidInput;
    filled.map(|()| out).map_err(|_| StoreError::Io { doing: "deriving the top key", kind })
}

fn context(header: &Header, era: Era) -> Vec<u8> {
    [b"zajil store 1 era".as_slice(), &encode_header(header, FIRST_VERSION), &era.to_be_bytes()].concat()
}

fn encode_header(header: &Header, version: u8) -> Vec<u8> {
    let method = match header.method {
        Method::KeyFile => 1,
        Method::Passphrase => 2,
    };
    let mut file = Vec::with_capacity(HEADER_BYTES);
    file.extend_from_slice(&MAGIC);
    file.extend_from_slice(&[version, method]);
    file.extend_from_slice(&header.store);
    file.extend_from_slice(&header.salt);
    for number in [header.cost.memory_kib, header.cost.passes, header.cost.lanes] {
        file.extend_from_slice(&number.to_be_bytes());
    }
    file
}

fn wrap_all(
    header: &Header,
    top: &Secret,
    eras: &BTreeMap<Era, Secret>,
    random: &mut dyn Random,
) -> Result<Entries, StoreError> {
    eras.iter().map(|(era, key)| Ok((*era, wrap(top, &context(header, *era), key, random)?))).collect()
}

fn encode(header: &Header, duress: &[u8; DURESS_BYTES], entries: &Entries) -> Result<Vec<u8>, StoreError> {
    within("the number of eras", entries.len(), STORE_KEYS_MAX)?;
    let count = u16::try_from(entries.len()).map_err(|_| DAMAGED)?;
    let mut file = encode_header(header, VERSION);
    file.extend_from_slice(duress);
    file.extend_from_slice(&count.to_be_bytes());
    for (era, wrapped) in entries {
        file.extend_from_slice(&era.to_be_bytes());
        file.extend_from_slice(wrapped);
    }
    let check = check_sum(&file);
    file.extend_from_slice(&check);
    Ok(file)
}

type Entries = Vec<(Era, [u8; WRAPPED_KEY_BYTES])>;

fn decode(file: &[u8]) -> Result<Parsed, StoreError> {
    let (said, check) = file.split_last_chunk::<CHECK_BYTES>().ok_or(DAMAGED)?;
    let mut reader = Reader::new(said);
    let opening = (reader.array::<8>().map_err(|_| DAMAGED)?, reader.u8().map_err(|_| DAMAGED)?);
    if opening.0 != MAGIC {
        return Err(DAMAGED);
    }
    // Before the check sum: a newer format may put something else there.
    if opening.1 > VERSION {
        return Err(StoreError::NewerVersion { got: opening.1.into(), expected: VERSION.into() });
    }
    if *check != check_sum(said) || opening.1 < FIRST_VERSION {
        return Err(DAMAGED);
    }
    read_rest(&mut reader, opening.1).ok_or(DAMAGED)
}

fn read_rest(reader: &mut Reader<'_>, version: u8) -> Option<Parsed> {
    let method = match reader.u8().ok()? {
        1 => Method::KeyFile,
        2 => Method::Passphrase,
        _ => return None,
    };
    let (store, salt) = (reader.array().ok()?, reader.array().ok()?);
    let (memory_kib, passes, lanes) = (reader.u32().ok()?, reader.u32().ok()?, reader.u32().ok()?);
    let header = Header { method, store, salt, cost: Argon2Cost { memory_kib, passes, lanes } };
    let duress = if version == FIRST_VERSION { None } else { Some(reader.array().ok()?) };
    let mut entries = Entries::new();
    for _ in 0..reader.u16().ok()? {
        entries.push((reader.u32().ok()?, reader.array().ok()?));
    }
    let rising = entries.windows(2).all(|pair| matches!(pair, [(a, _), (b, _)] if a < b));
    (rising && !entries.is_empty() && reader.is_empty()).then_some(Parsed { header, duress, entries })
}

fn check_sum(said: &[u8]) -> [u8; CHECK_BYTES] {
    let hash = digest(&SHA256, said);
    let mut check = [0; CHECK_BYTES];
    for (to, from) in check.iter_mut().zip(hash.as_ref()) {
        *to = *from;
    }
    check
}

#[cfg(test)]
mod published;

#[cfg(test)]
mod tests {
    use super::super::seal::{Head, Place, open_body, open_head, open_key, seal_row};
    use super::*;
    use zajil_net::SystemRandom;

    const UNDER_FILE: Header =
        Header { method: Method::KeyFile, store: [1; 16], salt: [2; 16], cost: Argon2Cost::NONE };

    fn top() -> Secret {
        top_key(&Secret([3; 32]), &UNDER_FILE).unwrap()
    }

    fn file_of(header: &Header, eras: &BTreeMap<Era, Secret>) -> Result<Vec<u8>, StoreError> {
        let random = &mut SystemRandom::new();
        encode(header, &random::bytes(random), &wrap_all(header, &top(), eras, random)?)
    }

    fn ring_of(file: &[u8], unlock: &Unlock) -> KeyRing {
        let Opened::Ring(ring) = KeyRing::open(file, unlock).unwrap() else { panic!("nobody is under duress") };
        ring
    }

    /// A `keys` file with these eras, and its key file in a directory that lives as long as what is returned.
    fn keys_of(eras: &BTreeMap<Era, Secret>) -> (Vec<u8>, tempfile::TempDir, Unlock) {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("key");
        std::fs::write(&path, [3; 32]).unwrap();
        let file = file_of(&UNDER_FILE, eras).unwrap();
        (file, directory, Unlock::KeyFile(path))
    }

    #[test]
    fn rows_of_several_eras_open_until_the_key_of_their_era_is_gone() {
        let mut eras = BTreeMap::from([(1, Secret([4; 32])), (2, Secret([5; 32])), (9, Secret([6; 32]))]);
        let head = Head { kind: 200, part: 3, body_bytes: 4, key: b"id".to_vec() };
        let mut rows = Vec::new();
        for (era, key) in &eras {
            let place = Place { era: *era, row: 7 };
            rows.push((place, seal_row(key, place, &head, b"body", &mut SystemRandom::new()).unwrap()));
        }
        let (file, _directory, unlock) = keys_of(&eras);
        let ring = ring_of(&file, &unlock);
        assert_eq!(ring.current().map(|(era, key)| (era, key.clone())), Some((9, Secret([6; 32]))));
        for (place, row) in &rows {
            let key = open_key(ring.era(place.era).unwrap(), *place, &row.wrapped).unwrap();
            assert!(open_head(&key, *place, &row.head).unwrap() == head);
            assert_eq!(**open_body(&key, *place, &row.body).unwrap(), *b"body");
        }
        eras.remove(&2);
        let (file, _directory, unlock) = keys_of(&eras);
        let ring = ring_of(&file, &unlock);
        assert!(ring.era(2).is_none() && ring.era(1).is_some());
    }

    #[test]
    fn a_row_opens_only_in_its_own_place_and_era_and_with_its_own_key() {
        let (key, place) = (Secret([4; 32]), Place { era: 1, row: 7 });
        let head = Head { kind: 1, part: 0, body_bytes: 4, key: Vec::new() };
        let row = seal_row(&key, place, &head, b"body", &mut SystemRandom::new()).unwrap();
        for elsewhere in [Place { era: 2, row: 7 }, Place { era: 1, row: 8 }] {
            assert!(open_key(&key, elsewhere, &row.wrapped).is_err());
            let record_key = open_key(&key, place, &row.wrapped).unwrap();
            assert!(open_head(&record_key, elsewhere, &row.head).is_err());
            assert!(open_body(&record_key, elsewhere, &row.body).is_err());
            assert!(open_body(&record_key, place, &row.head).is_err(), "a head is no body");
        }
        assert!(open_key(&Secret([5; 32]), place, &row.wrapped).is_err());
    }

    #[test]
    fn a_cost_above_the_limits_is_damage_and_not_computed() {
        let cost = Argon2Cost { memory_kib: u32::MAX, passes: 1, lanes: 1 };
        let header = Header { method: Method::Passphrase, cost, ..UNDER_FILE };
        let eras = BTreeMap::from([(1, Secret([4; 32]))]);
        let file = file_of(&header, &eras).unwrap();
        let unlock = Unlock::Passphrase(Passphrase::new("any").unwrap());
        let told = KeyRing::open(&file, &unlock).err();
        assert_eq!(told, Some(StoreError::Corrupt { what: "the cost in its keys file" }));
    }

    #[test]
    fn a_keys_file_holds_4096_eras_and_no_more() {
        let limit = u32::try_from(STORE_KEYS_MAX).unwrap();
        let mut eras: BTreeMap<Era, Secret> = (1..=limit).map(|era| (era, Secret([4; 32]))).collect();
        let (file, _directory, unlock) = keys_of(&eras);
        assert_eq!(file.len(), FILE_BYTES_MAX);
        assert_eq!(ring_of(&file, &unlock).eras.len(), STORE_KEYS_MAX);
        eras.insert(limit + 1, Secret([4; 32]));
        let refused = file_of(&UNDER_FILE, &eras);
        assert!(matches!(refused, Err(StoreError::TooLarge { .. })));
    }

    #[test]
    fn eras_that_do_not_rise_or_are_none_are_damage() {
        let (one, _directory, unlock) = keys_of(&BTreeMap::from([(1, Secret([4; 32]))]));
        let said = &one[..one.len() - CHECK_BYTES];
        let before = HEADER_BYTES + DURESS_BYTES;
        let (header, entry) = (&said[..before], &said[before + 2..]);
        for entries in [vec![], vec![entry, entry]] {
            let count = u16::try_from(entries.len()).unwrap().to_be_bytes();
            let mut file = [header, &count, &entries.concat()].concat();
            let check = check_sum(&file);
            file.extend(check);
            assert_eq!(KeyRing::open(&file, &unlock).err(), Some(DAMAGED));
        }
    }
}
