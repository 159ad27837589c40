//! Olm, by vodozemac: one session per pair of devices, carrying control frames only.
//!
//! vodozemac keeps 40 skipped message keys in each of the 5 newest receiving chains. That is why at most 32 frames per
//! pair may be unacknowledged (P5.3), why none of those is in an older chain than the fifth, and why a drained batch is opened in order
//! of frame number. It draws its own
//! randomness from the operating system: accounts, one-time keys and new ratchet steps do not come out the same from
//! the same seed.

use std::sync::OnceLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use vodozemac::Curve25519PublicKey;
use vodozemac::olm::{self, AccountPickle, DecryptionError, SessionConfig, SessionCreationError, SessionPickle};
use zeroize::Zeroizing;

use super::pickle;

/// Why Olm does not do it. None of these names a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OlmError {
    /// A key of the other side is of small order: somebody is trying to force the shared secret.
    #[error("a key that would make the shared secret known")]
    SmallOrder,
    /// The one-time key of a pre-key message is not here: it was never made, or has been used.
    #[error("the one-time key is unknown or was used before")]
    UnknownOneTimeKey,
    /// A pre-key message comes from another identity than expected.
    #[error("the message is by another identity")]
    WrongIdentity,
    /// The bytes are no Olm message of this version.
    #[error("not an Olm message of version 1")]
    Malformed,
    /// A pre-key message was expected.
    #[error("not a message that can begin a session")]
    NotPreKey,
    /// The message is not by this session's other end, or was changed.
    #[error("the message does not decrypt")]
    Undecryptable,
    /// The key of this message is gone: it was opened before, or too many came after it.
    #[error("the key of this message is gone")]
    KeyGone,
    /// The message is too far ahead of those opened.
    #[error("{got} messages were skipped, at most {expected}")]
    Gap {
        /// How many were skipped.
        got: u64,
        /// The limit.
        expected: u64,
    },
}

impl From<DecryptionError> for OlmError {
    fn from(error: DecryptionError) -> Self {
        match error {
            DecryptionError::NonContributoryKey => Self::SmallOrder,
            DecryptionError::MissingMessageKey(_) => Self::KeyGone,
            DecryptionError::TooBigMessageGap(got, expected) => Self::Gap { got, expected },
            DecryptionError::InvalidMAC(_)
            | DecryptionError::InvalidMACLength(..)
            | DecryptionError::InvalidPadding(_) => Self::Undecryptable,
        }
    }
}

impl From<SessionCreationError> for OlmError {
    fn from(error: SessionCreationError) -> Self {
        match error {
            SessionCreationError::MissingOneTimeKey(_) => Self::UnknownOneTimeKey,
            SessionCreationError::MismatchedIdentityKey(..) => Self::WrongIdentity,
            SessionCreationError::MismatchedSessionConfig { .. } => Self::Malformed,
            SessionCreationError::Decryption(error) => error.into(),
            SessionCreationError::NonContributoryKey => Self::SmallOrder,
        }
    }
}

/// An encrypted message with its type (P4.10).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OlmMessage {
    /// 0 a pre-key message, 1 a normal one.
    pub kind: u8,
    /// The message.
    pub bytes: Vec<u8>,
}

impl OlmMessage {
    fn from_theirs(message: &olm::OlmMessage) -> Self {
        let (kind, bytes) = message.to_parts();
        Self { kind: u8::try_from(kind).unwrap_or(u8::MAX), bytes }
    }

    /// Returns the chain that it is of, by its ratchet key: a new one begins with whatever is said first in answer to another.
    ///
    /// # Errors
    /// [`OlmError::Malformed`].
    pub fn chain(&self) -> Result<[u8; 32], OlmError> {
        Ok(match self.to_theirs()? {
            olm::OlmMessage::Normal(message) => message.ratchet_key(),
            olm::OlmMessage::PreKey(message) => message.message().ratchet_key(),
        }
        .to_bytes())
    }

    fn to_theirs(&self) -> Result<olm::OlmMessage, OlmError> {
        olm::OlmMessage::from_parts(usize::from(self.kind), &self.bytes).map_err(|_| OlmError::Malformed)
    }
}

/// The Olm account of one device: its identity and the one-time keys it has handed out.
///
/// One that was kept stays the text it was kept as until pairing needs it: vodozemac computes the public half of every
/// one-time key when it takes up an account, a dozen of which cost more than all else about opening a device.
pub struct Account {
    opened: OnceLock<olm::Account>,
    /// As it is kept; gone when the account changes.
    text: OnceLock<Zeroizing<String>>,
}

/// One end of an Olm session.
pub struct Session(olm::Session);

redacted!(OlmMessage, Account, Session);

impl Account {
    /// Makes an account with a fresh identity.
    #[expect(clippy::new_without_default, reason = "it draws keys; a default would hide that")]
    pub fn new() -> Self {
        Self::opened(olm::Account::new())
    }

    fn opened(account: olm::Account) -> Self {
        Self { opened: OnceLock::from(account), text: OnceLock::new() }
    }

    fn get(&self) -> &olm::Account {
        self.opened.get_or_init(|| self.read())
    }

    fn text(&self) -> &str {
        self.text.get_or_init(|| pickle::write(&self.get().pickle()))
    }

    /// Changes the account; the text is of the old one.
    fn change<T>(&mut self, change: impl FnOnce(&mut olm::Account) -> T) -> T {
        let mut account = self.opened.take().unwrap_or_else(|| self.read());
        let result = change(&mut account);
        *self = Self::opened(account);
        result
    }

    /// Takes the account up from its text.
    fn read(&self) -> olm::Account {
        // INVARIANT: an account that is not opened has a text, and that was read once when it was deserialised.
        #[expect(clippy::expect_used, reason = "see the invariant above")]
        let text = self.text.get().expect("an account that is not opened is a text");
        #[expect(clippy::expect_used, reason = "see the invariant above")]
        let pickle = pickle::read::<AccountPickle>(text).expect("it was read before");
        olm::Account::from_pickle(pickle)
    }

    /// Returns the identity key (Curve25519).
    pub fn identity(&self) -> [u8; 32] {
        self.get().curve25519_key().to_bytes()
    }

    /// Makes a one-time key to be handed out. It stays until a session has been begun with it, or it is taken back;
    /// vodozemac forgets the oldest of more than 5 000.
    pub fn one_time_key(&mut self) -> [u8; 32] {
        let made = self.change(|account| {
            let made = account.generate_one_time_keys(1);
            account.mark_keys_as_published();
            made
        });
        // INVARIANT: one key was asked for, and `generate` returns as many as were asked for.
        #[expect(clippy::expect_used, reason = "see the invariant above")]
        made.created.first().expect("one key was made").to_bytes()
    }

    /// Takes a one-time key back that was handed out: no session can be begun with it any more. Nothing changes if there
    /// is no such key.
    pub fn take_back_one_time_key(&mut self, key: [u8; 32]) {
        self.change(|account| account.remove_one_time_key(Curve25519PublicKey::from_bytes(key)));
    }

    /// Begins a session with an identity and one of its one-time keys.
    ///
    /// # Errors
    /// [`OlmError::SmallOrder`].
    pub fn outbound(&self, identity: [u8; 32], one_time_key: [u8; 32]) -> Result<Session, OlmError> {
        let config = SessionConfig::version_1();
        let session = self.get().create_outbound_session(
            config,
            Curve25519PublicKey::from_bytes(identity),
            Curve25519PublicKey::from_bytes(one_time_key),
        )?;
        Ok(Session(session))
    }

    /// Takes up a session that `identity` began with `message`, and returns what the message says. The one-time key is
    /// used up only if all of it fits.
    ///
    /// # Errors
    /// [`OlmError`].
    pub fn inbound(
        &mut self,
        identity: [u8; 32],
        message: &OlmMessage,
    ) -> Result<(Session, Zeroizing<Vec<u8>>), OlmError> {
        let olm::OlmMessage::PreKey(message) = message.to_theirs()? else {
            return Err(OlmError::NotPreKey);
        };
        let identity = Curve25519PublicKey::from_bytes(identity);
        let config = SessionConfig::version_1();
        let made = self.change(|account| account.create_inbound_session(config, identity, &message))?;
        Ok((Session(made.session), Zeroizing::new(made.plaintext)))
    }
}

impl Session {
    /// Encrypts the next message. The state must be durable before the message leaves.
    ///
    /// # Errors
    /// [`OlmError::SmallOrder`].
    pub fn encrypt(&mut self, text: &[u8]) -> Result<OlmMessage, OlmError> {
        let message = self.0.encrypt(text).map_err(|_| OlmError::SmallOrder)?;
        Ok(OlmMessage::from_theirs(&message))
    }

    /// Returns whether the next message is of another chain than this one.
    ///
    /// # Errors
    /// [`OlmError::SmallOrder`].
    pub fn leaves_chain(&self, chain: &[u8; 32]) -> Result<bool, OlmError> {
        // It cannot be asked; a copy says something and is forgotten.
        Ok(self.clone().encrypt(&[])?.chain()? != *chain)
    }

    /// Decrypts a message; each can be decrypted once.
    ///
    /// # Errors
    /// [`OlmError`].
    pub fn decrypt(&mut self, message: &OlmMessage) -> Result<Zeroizing<Vec<u8>>, OlmError> {
        Ok(Zeroizing::new(self.0.decrypt(&message.to_theirs()?)?))
    }
}

impl Clone for Account {
    fn clone(&self) -> Self {
        Self { opened: OnceLock::new(), text: OnceLock::from(Zeroizing::new(self.text().to_owned())) }
    }
}

impl Clone for Session {
    /// Copies the state, to be able to go back before a step. Never go on with both: they would use one key twice.
    fn clone(&self) -> Self {
        Self(olm::Session::from_pickle(self.0.pickle()))
    }
}

impl Serialize for Account {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.text().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Account {
    /// Reads the text, so that a damaged one is refused now; its keys are computed when they are needed.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        pickle::read::<AccountPickle>(&text).map_err(serde::de::Error::custom)?;
        Ok(Self { opened: OnceLock::new(), text: OnceLock::from(text) })
    }
}

impl Serialize for Session {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        pickle::write(&self.0.pickle()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Session {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Zeroizing::new(String::deserialize(deserializer)?);
        let pickle = pickle::read::<SessionPickle>(&text).map_err(serde::de::Error::custom)?;
        Ok(Self(olm::Session::from_pickle(pickle)))
    }
}
