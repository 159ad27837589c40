//! What the tests of sealing share: chance that comes out the same, two people, and synthetic voices.

use zajil_proto::ids::{NoteId, RosterHash, sha256};
use zajil_proto::keys::{Secret, SigningKey, VerifyingKey};
use zajil_proto::random::Random;
use zajil_proto::sealing::content::PartOf;
use zajil_proto::sealing::homes::{Address, HomeRelay, Homes};
use zajil_proto::sealing::olm::Account;
use zajil_proto::sealing::seal::{About, Destination, NoteContent, SealedNote, seal_note};
use zajil_proto::sealing::{
    Codec, DeviceIdentity, MailboxOwner, MailboxWriter, NoteSession, RING, ReceivedSession, Tail,
};
use zajil_proto::time::{Lifetime, Minute};

/// SHA-256 over a seed and a counter: the same bytes in every run, and in any other language.
pub(crate) struct Seeded {
    seed: u64,
    counter: u64,
    left: Vec<u8>,
}

impl Seeded {
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, counter: 0, left: Vec::new() }
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        usize::try_from(u64::from_be_bytes(bytes) % u64::try_from(limit).unwrap()).unwrap()
    }
}

impl Random for Seeded {
    fn fill(&mut self, bytes: &mut [u8]) {
        for byte in bytes {
            if self.left.is_empty() {
                self.left = sha256(&[&self.seed.to_be_bytes(), &self.counter.to_be_bytes()]).to_vec();
                self.counter += 1;
            }
            *byte = self.left.remove(0);
        }
    }
}

pub(crate) const NOW: Minute = Minute(29_900_000);

pub(crate) fn home(name: &str) -> HomeRelay {
    HomeRelay {
        key: SigningKey::from_seed(&Secret(sha256(&[name.as_bytes()]))).public(),
        address: Address::parse(&format!("{name}.example:443")).unwrap(),
    }
}

pub(crate) fn homes(name: &str) -> Homes {
    Homes::one(home(name))
}

pub(crate) fn device(random: &mut Seeded) -> DeviceIdentity {
    DeviceIdentity { key: SigningKey::draw(random), account: Account::new() }
}

pub(crate) fn about(random: &mut Seeded) -> About {
    About {
        note: NoteId(zajil_proto::random::bytes(random)),
        minute: NOW,
        keep_days: 7,
        roster: (random.below(2) == 1).then_some(RosterHash([9; 8])),
        part: PartOf::Whole,
    }
}

pub(crate) fn tail() -> Tail {
    let mut peaks = [0; 48];
    for (number, peak) in peaks.iter_mut().enumerate() {
        *peak = u8::try_from(number % 16).unwrap();
    }
    Tail { duration_millis: 10_000, loudness: 19, waveform: Tail::waveform(&peaks) }
}

/// A TOC byte as libopus writes it for 60 ms of wideband SILK.
pub(crate) const TOC: u8 = 0x58;

/// Packets as variable bitrate makes them: around `mean` bytes with their TOC byte, from half to one and a half of it.
pub(crate) fn packets(random: &mut Seeded, count: usize, mean: usize) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for _ in 0..count {
        let length = mean / 2 + random.below(mean + 1);
        let mut packet = vec![0; length.max(1)];
        random.fill(&mut packet);
        packet[0] = TOC;
        out.push(packet);
    }
    out
}

/// One sender, one receiver, one mailbox.
pub(crate) struct Line {
    pub(crate) owner: MailboxOwner,
    pub(crate) writer: MailboxWriter,
    pub(crate) session: NoteSession,
    pub(crate) received: ReceivedSession,
    pub(crate) random: Seeded,
}

impl Line {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Seeded::new(seed);
        let owner = MailboxOwner::draw(&mut random);
        let (session, grant) = NoteSession::draw(&mut random, owner.mailbox(), NOW, Lifetime::DEFAULT);
        Self { writer: owner.writer(), owner, session, received: ReceivedSession::from_grant(&grant), random }
    }

    pub(crate) fn destination(&self) -> Destination<'_> {
        Destination { to: &self.writer, lifetime: Lifetime::DEFAULT }
    }

    pub(crate) fn voice(&mut self, packets: &[Vec<u8>]) -> SealedNote {
        let about = about(&mut self.random);
        let pair = self.session.take().unwrap();
        let tail = tail();
        let content = NoteContent::Voice { codec: Codec::Default, packets, tail: &tail };
        let destination = Destination { to: &self.writer, lifetime: Lifetime::DEFAULT };
        seal_note(&RING, &mut self.random, &self.session, pair, destination, &about, content).unwrap()
    }

    pub(crate) fn verify_key(&self) -> VerifyingKey {
        self.received.verify_key
    }
}
