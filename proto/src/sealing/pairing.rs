//! From a link to a pair of devices (P6).
//!
//! ```text
//! inviter: invite() ─► link to the person, invitation parcel to the home
//! replier: open_invitation() ─► bundle ─► reply() ─► reply parcel; may speak at once
//! inviter: accept_reply() ─► digits, and the answer to send as an ordinary control frame
//! replier: Replier::accept_answer() ─► digits
//! ```
//! Each step changes state that must be durable before its parcel or answer leaves.

use core::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::codec::{DecodeError, Reader, Writer};
use crate::ids::{ParcelId, first, sha256};
use crate::keys::{Secret, SigningKey};
use crate::limits::{INVITATION_HOURS, REPLY_CONTENTS_BYTES_MAX};
use crate::parcel::{Class, Header, SealedParcel};
use crate::random::Random;
use crate::sealing::aead::TAG_BYTES;
use crate::sealing::bundle::{Bundle, BundleError, BundleFacts, DeviceIdentity};
use crate::sealing::contents::{Content, ContentsError, decode_contents, encode_contents};
use crate::sealing::control::{FrameSize, open_box, seal_box};
use crate::sealing::hkdf;
use crate::sealing::homes::{HomeRelay, Homes};
use crate::sealing::link::{Link, ReturnCode};
use crate::sealing::mailbox::MailboxOwner;
use crate::sealing::olm::{OlmError, OlmMessage, Session};
use crate::sealing::outer::{ENCAPSULATION_BYTES, Encapsulation, OuterError, XWingSecret, open_first, seal_first};
use crate::sealing::provider::Provider;
use crate::sealing::renewal::OuterKeys;
use crate::sealing::seal::{Destination, close_parcel};
use crate::time::{Lifetime, Minute};

const BOX: &[u8] = b"zajil/1 pairing box";

/// Why a pairing goes no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PairingError {
    /// The invitation is over: ask for a new link.
    #[error("the invitation is over")]
    Expired,
    /// The parcel is not from somebody who has the link, or was changed.
    #[error("the parcel was not sealed by somebody who has the link")]
    Forged,
    /// The bundle is not the one the link names.
    #[error("the bundle is not the one the link names")]
    WrongBundle,
    /// The bundle is this device's own: a link is for somebody else.
    #[error("the link is this device's own")]
    Own,
    /// The invitation has been answered already.
    #[error("the invitation has been answered already")]
    Used,
    /// The nonce is not the one the inviter committed to: somebody stands between.
    #[error("the nonce is not the one committed to")]
    WrongNonce,
    /// The first contents do not fit: the caller's fault.
    #[error("first contents of {got} bytes, at most {expected}")]
    TooLong {
        /// Their length.
        got: usize,
        /// The limit.
        expected: usize,
    },
    /// It cannot be read.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// A bundle is refused.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The outer key does not come about.
    #[error(transparent)]
    Outer(#[from] OuterError),
    /// Olm does not begin.
    #[error(transparent)]
    Olm(OlmError),
    /// The first contents cannot be read.
    #[error("the first contents: {0}")]
    Contents(ContentsError),
}

impl From<OlmError> for PairingError {
    fn from(error: OlmError) -> Self {
        match error {
            OlmError::UnknownOneTimeKey => Self::Used,
            other => Self::Olm(other),
        }
    }
}

/// What the pairing secret S gives (P6.2).
pub struct PairingSecrets {
    /// Where the inviter leaves its bundle.
    pub invitation: MailboxOwner,
    /// Where the replier leaves its reply.
    pub reply: MailboxOwner,
    invitation_box: Secret,
    reply_box: Secret,
    psk: Secret,
}

/// An invitation that awaits its reply.
#[derive(Serialize, Deserialize)]
pub struct Inviter {
    /// What was given to the person.
    pub link: Link,
    /// This device's bundle in it.
    pub bundle: Bundle,
    /// Where this device awaits its contact; to be registered with the two of [`PairingSecrets`].
    pub mailbox: MailboxOwner,
    nonce: Secret,
    x_wing: XWingSecret,
}

/// A reply that awaits its answer.
#[derive(Clone, Serialize, Deserialize)]
pub struct Replier {
    commit: [u8; 32],
    nonce: Secret,
    code: ReturnCode,
}

/// Two devices that can write to each other.
#[derive(Clone, Serialize, Deserialize)]
pub struct Pair {
    /// The other device, as it described itself.
    pub contact: Bundle,
    /// Where this device awaits it.
    pub mailbox: MailboxOwner,
    /// What control frames are boxed under.
    pub outer: OuterKeys,
    /// The Olm session. The inviter's has received a message; the replier's first frames are pre-key messages.
    pub olm: Session,
}

/// What [`invite`] makes.
pub struct Invited {
    /// To keep.
    pub inviter: Inviter,
    /// To put into the *invitation* mailbox of the first home.
    pub parcel: SealedParcel,
}

/// What [`reply`] makes.
pub struct Replied {
    /// To keep.
    pub pair: Pair,
    /// To keep until the answer has come.
    pub replier: Replier,
    /// To put into the *reply* mailbox of the link's home.
    pub parcel: SealedParcel,
}

/// What [`accept_reply`] makes.
pub struct Accepted {
    /// To keep.
    pub pair: Pair,
    /// The replier's first contents.
    pub contents: Vec<Content>,
    /// To send in the first control frame.
    pub answer: Content,
    /// To show.
    pub digits: Digits,
    /// What a replier in person shows must equal this.
    pub code: ReturnCode,
}

/// Twelve digits that two people compare aloud (P6.7). They do not print in a log; they show by [`fmt::Display`].
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Digits(u64);

redacted!(PairingSecrets, Inviter, Replier, Pair, Invited, Replied, Accepted, Digits);

impl PairingSecrets {
    /// Derives everything from S.
    pub fn of(secret: &Secret) -> Self {
        let one = |info: &[u8]| hkdf::key(b"zajil/1 pairing", &secret.0, info);
        Self {
            invitation: MailboxOwner::from_seeds(&one(b"invitation write"), &one(b"invitation read")),
            reply: MailboxOwner::from_seeds(&one(b"reply write"), &one(b"reply read")),
            invitation_box: one(b"invitation box"),
            reply_box: one(b"reply box"),
            psk: one(b"psk"),
        }
    }
}

impl Digits {
    /// Computes the digits of two bundle hashes and two nonces.
    pub fn of(code: &ReturnCode, inviter_nonce: &Secret, replier_nonce: &Secret) -> Self {
        let parts: [&[u8]; 5] = [b"zajil digits", &code.inviter, &code.replier, &inviter_nonce.0, &replier_nonce.0];
        Self(u64::from_be_bytes(first(&sha256(&parts))) % 1_000_000_000_000)
    }
}

impl fmt::Display for Digits {
    /// Shows three groups of four.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (high, middle, low) = (self.0 / 100_000_000, self.0 / 10_000 % 10_000, self.0 % 10_000);
        write!(f, "{high:04} {middle:04} {low:04}")
    }
}

fn commit(nonce: &Secret) -> [u8; 32] {
    sha256(&[b"zajil nonce", &nonce.0])
}

/// Makes an invitation. Before the link is given away, register [`Inviter::mailbox`] and both mailboxes of
/// [`PairingSecrets`], keep the inviter and the device (a one-time key was made), and put the parcel.
pub fn invite(
    sealing: Provider,
    random: &mut (impl Random + ?Sized),
    device: &mut DeviceIdentity,
    invitation_home: &HomeRelay,
    homes: &Homes,
    now: Minute,
) -> Invited {
    let secret = Secret::draw(random);
    let nonce = Secret::draw(random);
    let x_wing = XWingSecret::draw(random);
    let mailbox = MailboxOwner::draw(random);
    let bundle = own_bundle(device, &x_wing, &mailbox, homes, commit(&nonce));
    let link = Link {
        expiry: Minute(now.0.saturating_add(u32::from(INVITATION_HOURS) * 60)),
        home: invitation_home.clone(),
        secret,
        bundle_hash: bundle.hash(),
    };
    let secrets = PairingSecrets::of(&link.secret);
    let text = bundle.as_bytes();
    let parcel = seal_pairing(sealing, random, &secrets.invitation, &secrets.invitation_box, text);
    let inviter = Inviter { link, bundle, mailbox, nonce, x_wing };
    Invited { inviter, parcel }
}

fn own_bundle(
    device: &mut DeviceIdentity,
    x_wing: &XWingSecret,
    mailbox: &MailboxOwner,
    homes: &Homes,
    commit: [u8; 32],
) -> Bundle {
    let facts = BundleFacts {
        device_key: device.key.public(),
        olm_identity: device.account.identity(),
        olm_one_time_key: device.account.one_time_key(),
        x_wing: x_wing.public(),
        writer: mailbox.writer(),
        homes: homes.clone(),
        commit,
    };
    Bundle::sign(&device.key, facts)
}

/// Opens what waits in the *invitation* mailbox of a link.
///
/// # Errors
/// [`PairingError`].
pub fn open_invitation(sealing: Provider, link: &Link, header: &Header, body: &[u8]) -> Result<Bundle, PairingError> {
    let secrets = PairingSecrets::of(&link.secret);
    let text = open_pairing(sealing, &secrets.invitation, &secrets.invitation_box, header, body)?;
    let bundle = Bundle::verify(&text)?;
    if bundle.hash() != link.bundle_hash {
        return Err(PairingError::WrongBundle);
    }
    Ok(bundle)
}

/// Answers an invitation. `contents` are the first contents, usually one session for the inviter's mailbox; notes
/// sealed in it may travel at once. Register [`Pair::mailbox`] at `homes`, keep pair, replier and device, then put the
/// parcel.
///
/// # Errors
/// [`PairingError`].
pub fn reply(
    sealing: Provider,
    random: &mut (impl Random + ?Sized),
    device: &mut DeviceIdentity,
    (link, inviter): (&Link, &Bundle),
    homes: &Homes,
    contents: &[Content],
    now: Minute,
) -> Result<Replied, PairingError> {
    if link.is_expired(now) {
        return Err(PairingError::Expired);
    }
    let theirs = inviter.facts();
    if theirs.device_key == device.key.public() {
        return Err(PairingError::Own);
    }
    let contents = encode_contents(contents, REPLY_CONTENTS_BYTES_MAX).map_err(PairingError::Contents)?;
    let mut olm = device.account.outbound(theirs.olm_identity, theirs.olm_one_time_key)?;
    let message = olm.encrypt(&contents)?;
    let nonce = Secret::draw(random);
    let x_wing = XWingSecret::draw(random);
    let mailbox = MailboxOwner::draw(random);
    let bundle = own_bundle(device, &x_wing, &mailbox, homes, [0; 32]);
    let text = encode_reply(&bundle, &nonce, &message)?;
    let secrets = PairingSecrets::of(&link.secret);
    let (encapsulation, sealed, outer) = seal_first(random, &theirs.x_wing, &secrets.psk, &text)?;
    let mut text = encapsulation.as_bytes().to_vec();
    text.extend_from_slice(&sealed);
    check_pairing_length(text.len())?;
    let parcel = seal_pairing(sealing, random, &secrets.reply, &secrets.reply_box, &text);
    let code = ReturnCode { inviter: link.bundle_hash, replier: bundle.hash() };
    let outer = OuterKeys::first(outer, &device.key.public(), &theirs.device_key);
    Ok(Replied {
        pair: Pair { contact: inviter.clone(), mailbox, outer, olm },
        replier: Replier { commit: theirs.commit, nonce, code },
        parcel,
    })
}

fn encode_reply(bundle: &Bundle, nonce: &Secret, message: &OlmMessage) -> Result<Zeroizing<Vec<u8>>, PairingError> {
    let length = |bytes: &[u8]| {
        u16::try_from(bytes.len())
            .map_err(|_| PairingError::TooLong { got: bytes.len(), expected: usize::from(u16::MAX) })
    };
    let mut writer = Writer::new();
    writer.u16(length(bundle.as_bytes())?).bytes(bundle.as_bytes());
    writer.bytes(&nonce.0).u8(message.kind);
    writer.u16(length(&message.bytes)?).bytes(&message.bytes);
    Ok(Zeroizing::new(writer.into_bytes()))
}

/// Takes the first reply that is valid. On success keep the pair and the device, send the answer, and drop inviter and
/// both pairing mailboxes; on an error nothing has changed, and the next parcel in *reply* may still be the right one.
///
/// # Errors
/// [`PairingError`].
pub fn accept_reply(
    sealing: Provider,
    inviter: &Inviter,
    device: &mut DeviceIdentity,
    header: &Header,
    body: &[u8],
) -> Result<Accepted, PairingError> {
    let secrets = PairingSecrets::of(&inviter.link.secret);
    let text = open_pairing(sealing, &secrets.reply, &secrets.reply_box, header, body)?;
    let mut reader = Reader::new(&text);
    let encapsulation = Encapsulation::from_bytes(reader.bytes(ENCAPSULATION_BYTES)?)?;
    let (text, outer) = open_first(&inviter.x_wing, &secrets.psk, &encapsulation, reader.rest())?;
    let (bundle, nonce, message) = decode_reply(&text)?;
    let theirs = bundle.facts();
    if theirs.device_key == device.key.public() {
        return Err(PairingError::Own);
    }
    // A copy, so that an error after this leaves the one-time key for the right reply.
    let mut account = device.account.clone();
    let (olm, contents) = account.inbound(theirs.olm_identity, &message)?;
    let contents = decode_contents(&contents).map_err(PairingError::Contents)?;
    device.account = account;
    let code = ReturnCode { inviter: inviter.bundle.hash(), replier: bundle.hash() };
    let digits = Digits::of(&code, &inviter.nonce, &nonce);
    let outer = OuterKeys::first(outer, &device.key.public(), &theirs.device_key);
    let pair = Pair { contact: bundle, mailbox: inviter.mailbox.clone(), outer, olm };
    Ok(Accepted { pair, contents, answer: Content::PairingAnswer(inviter.nonce.clone()), digits, code })
}

fn decode_reply(text: &[u8]) -> Result<(Bundle, Secret, OlmMessage), PairingError> {
    let mut reader = Reader::new(text);
    let length = reader.u16()?;
    let bundle = Bundle::verify(reader.bytes(length.into())?)?;
    let nonce = Secret(reader.array()?);
    let kind = reader.u8()?;
    let length = reader.u16()?;
    let bytes = reader.bytes(length.into())?.to_vec();
    Ok((bundle, nonce, OlmMessage { kind, bytes }))
}

impl Replier {
    /// Takes the inviter's nonce (content 4) and returns the digits to compare.
    ///
    /// # Errors
    /// [`PairingError::WrongNonce`] if the inviter had not committed to it.
    pub fn accept_answer(&self, nonce: &Secret) -> Result<Digits, PairingError> {
        if commit(nonce) != self.commit {
            return Err(PairingError::WrongNonce);
        }
        Ok(Digits::of(&self.code, nonce, &self.nonce))
    }

    /// Returns what to show the inviter in person.
    pub const fn return_code(&self) -> &ReturnCode {
        &self.code
    }
}

/// Bytes a pairing box can hold.
const fn pairing_bytes_max() -> usize {
    FrameSize::Large.body_bytes() - TAG_BYTES - 2
}

const fn check_pairing_length(got: usize) -> Result<(), PairingError> {
    let expected = pairing_bytes_max();
    if got > expected {
        return Err(PairingError::TooLong { got, expected });
    }
    Ok(())
}

/// Seals a pairing parcel (P6.3). The text fits: a bundle is shorter, and a reply is checked.
fn seal_pairing(
    sealing: Provider,
    random: &mut (impl Random + ?Sized),
    to: &MailboxOwner,
    secret: &Secret,
    text: &[u8],
) -> SealedParcel {
    let parcel_key = SigningKey::draw(random);
    let parcel = ParcelId::of(&parcel_key.public());
    let mut writer = Writer::new();
    writer.u16(u16::try_from(text.len()).unwrap_or(u16::MAX)).bytes(text);
    let body = seal_box(sealing, &parcel, secret, BOX, writer.into_bytes(), FrameSize::Large);
    let destination = Destination { to: &to.writer(), lifetime: Lifetime::PAIRING };
    close_parcel(Class::Control, destination, &parcel_key, body)
}

fn open_pairing(
    sealing: Provider,
    from: &MailboxOwner,
    secret: &Secret,
    header: &Header,
    body: &[u8],
) -> Result<Zeroizing<Vec<u8>>, PairingError> {
    if header.mailbox() != from.mailbox() || body.len() != FrameSize::Large.body_bytes() {
        return Err(PairingError::Forged);
    }
    let text = open_box(sealing, &header.id(), secret, BOX, body).ok_or(PairingError::Forged)?;
    let text = Zeroizing::new(text);
    let mut reader = Reader::new(&text);
    let length = reader.u16()?;
    Ok(Zeroizing::new(reader.bytes(length.into())?.to_vec()))
}
