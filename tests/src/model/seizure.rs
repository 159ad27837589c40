//! Phones in the wrong hands: Alice hands two sessions out to Bob, sends a note in each, and their control frames turn their
//! ratchets and renew their outer key, while the attacker writes down all that travels; in between, at any moments, it reads
//! everything that Alice's phone holds, or Bob's, and gives it back.
//!
//! It does not speak for them afterwards: who has a phone's keys and the relay can take its owner's place until they pair anew,
//! and no ratchet heals that.

use super::World;
use super::terms::{
    Broken, Kind, Knowledge, Term, encapsulation, half, hash, kem_secret, name, row, sealed, shared, word,
};

/// What a broken variant leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safeguard {
    /// That the one-time key of pairing is erased when it was used.
    OneTimeKeyErased,
    /// That the X-Wing secret of pairing is erased when pairing is done.
    BundleKeyErased,
    /// That a session's seed is erased when it is expanded.
    SeedErased,
    /// That a pair of a session is erased: by the sender before sealing, by the reader when the note is open.
    PairErased,
    /// That the key of an Olm message is erased when it was used.
    MessageKeyErased,
    /// That a turn of the ratchet draws a fresh key.
    FreshRatchetKey,
    /// That a renewal holds a fresh encapsulation, and not a hash of what there was.
    FreshEncapsulation,
    /// The pre-shared key that the link's secret gives the first outer key.
    Psk,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// A note that was open at its reader before any phone was seized stays closed to who seizes them.
    HeardBefore,
    /// As that, where the outer key was renewed, too, between the note and the seizure.
    RenewedBefore,
    /// Nobody seizes a phone: what travels stays closed.
    NoSeizure,
    /// The same, of a pair whose link nobody ever saw.
    NoSeizureSecretLink,
    /// A session handed out after both have turned their ratchets since the last seizure is theirs alone; also when a phone is seized
    /// later on, once the note is open and both have turned again.
    AfterTurning,
    /// As that, whatever is seized later on: more than a ratchet can give.
    AfterTurningForGood,
    /// As [`Question::AfterTurning`], with renewals of the outer key in place of turns.
    AfterRenewal,
    /// A session handed out after nothing but some time, which is promised of no protocol.
    AfterNothing,
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// What the attacker can undo of what it has written down.
    pub broken: Broken,
    /// What this variant of the protocol lacks.
    pub left_out: &'static [Safeguard],
    /// What is asked.
    pub question: Question,
}

/// How far a note has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    Nothing,
    HandedOut,
    Sent,
    Open,
}

/// One session with its one note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    stage: Stage,
    /// Whether a phone was seized too early for what is promised of notes that were open by then.
    seized: bool,
    /// Whether the question promises something of it.
    promised: bool,
    /// Who has turned the ratchet since it was handed out.
    turned: [bool; 2],
    /// Whether the outer key was renewed since it was handed out.
    renewed: bool,
}

/// Alice is 0, Bob is 1.
type Side = usize;

/// A world with two phones.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seizure {
    setting: Setting,
    attacker: Knowledge,
    told: [Told; 2],
    root: Term,
    chain: Term,
    outer: Term,
    ratchets: [Term; 2],
    /// Keys of messages, where they are not erased.
    kept: Vec<Term>,
    turns: [u8; 2],
    renewals: u8,
    seizures: [u8; 2],
    turned: [bool; 2],
    renewed: bool,
}

/// Seizures of each phone that one play may have.
const SEIZURES_MAX: u8 = 1;

fn identity(side: Side) -> Term {
    name("identity", u8::from(side == 1))
}

fn seed(session: usize) -> Term {
    name("session seed", u8::from(session == 1))
}

fn note_key(session: usize) -> Term {
    hash("note key", &[seed(session)])
}

fn content(session: usize) -> Term {
    name("content", u8::from(session == 1))
}

impl Seizure {
    /// Begins when pairing is done: one Olm session, one outer key, and on record what a relay saw of it.
    pub fn new(setting: Setting) -> Self {
        let (one_time, base) = (name("one-time", 0), name("base", 0));
        let (coins, kem) = (name("coins", 0), name("kem", 0));
        let mut attacker = Knowledge::new(setting.broken);
        // Bundles and the reply, as if the link's secret was known: this world asks what is left when it is.
        attacker.learn([identity(0), identity(1), one_time, base].map(|secret| half(Kind::Exchange, secret)));
        attacker.learn([half(Kind::Kem, kem), encapsulation(coins, kem)]);
        if setting.question != Question::NoSeizureSecretLink {
            attacker.learn([name("link", 0)]);
        }
        let ratchets = [name("ratchet of Alice", 0), name("ratchet of Bob", 0)];
        attacker.learn(ratchets.map(|secret| half(Kind::Exchange, secret)));
        // Bob opened Alice's link, so it is his base key and her one-time key.
        let began = [shared(identity(1), one_time), shared(base, identity(0)), shared(base, one_time)];
        // Root and chain come of the same secret side by side: neither gives the other.
        let root = hash("olm root", &began);
        let mut outer = vec![kem_secret(coins, kem)];
        if !setting.left_out.contains(&Safeguard::Psk) {
            outer.push(hash("psk", &[name("link", 0)]));
        }
        let told = Told { stage: Stage::Nothing, seized: false, promised: false, turned: [false; 2], renewed: false };
        Self {
            setting,
            attacker,
            told: [told; 2],
            root,
            chain: hash("olm chain", &began),
            outer: hash("outer", &outer),
            ratchets,
            kept: Vec::new(),
            turns: [0; 2],
            renewals: 0,
            seizures: [0; 2],
            turned: [false; 2],
            renewed: false,
        }
    }

    fn has(&self, safeguard: Safeguard) -> bool {
        !self.setting.left_out.contains(&safeguard)
    }

    /// Sessions: one where it is asked what turns and renewals heal, of which there are more then.
    const fn sessions(&self) -> &'static [usize] {
        match self.setting.question {
            Question::HeardBefore | Question::NoSeizure | Question::NoSeizureSecretLink => &[0, 1],
            _ => &[0],
        }
    }

    /// Turns of each side: a second one where the first is asked about.
    const fn turns_max(&self) -> u8 {
        if matches!(self.setting.question, Question::AfterTurning) { 2 } else { 1 }
    }

    /// Renewals, likewise.
    const fn renewals_max(&self) -> u8 {
        if matches!(self.setting.question, Question::AfterRenewal) { 2 } else { 1 }
    }

    /// Sends a control frame in the chain there is, and moves on in it.
    fn say(&mut self, contents: Term) {
        let key = hash("message key", &[self.chain]);
        let message = row(&[half(Kind::Exchange, self.ratchets[0]), sealed(key, word("once"), contents)]);
        self.attacker.learn([sealed(hash("control", &[self.outer]), word("once"), message)]);
        self.chain = hash("next chain", &[self.chain]);
        if !self.has(Safeguard::MessageKeyErased) {
            self.kept.push(key);
        }
    }

    /// What a phone holds: Alice's or Bob's.
    fn holds(&self, side: Side) -> Vec<Term> {
        let mut held = vec![identity(side), self.root, self.chain, self.outer, self.ratchets[side]];
        held.extend(&self.kept);
        if side == 0 && !self.has(Safeguard::OneTimeKeyErased) {
            held.push(name("one-time", 0));
        }
        if side == 0 && !self.has(Safeguard::BundleKeyErased) {
            held.push(name("kem", 0));
        }
        for (session, told) in self.told.iter().enumerate() {
            let erased = match side {
                0 => told.stage >= Stage::Sent,
                _ => told.stage >= Stage::Open,
            };
            if told.stage >= Stage::HandedOut && (!erased || !self.has(Safeguard::PairErased)) {
                held.push(note_key(session));
            }
            if told.stage >= Stage::HandedOut && !self.has(Safeguard::SeedErased) {
                held.push(seed(session));
            }
        }
        held
    }

    /// Whether the question promises anything of a session that is handed out now.
    fn is_promised(&self) -> bool {
        let seized = self.seizures != [0; 2];
        match self.setting.question {
            Question::HeardBefore | Question::RenewedBefore | Question::NoSeizure | Question::NoSeizureSecretLink => {
                true
            }
            Question::AfterTurning | Question::AfterTurningForGood => seized && self.turned == [true; 2],
            Question::AfterRenewal => seized && self.renewed,
            Question::AfterNothing => seized,
        }
    }

    fn step_of(&self, session: usize) -> Option<(String, Self)> {
        let mut world = self.clone();
        let told = &mut world.told[session];
        let what = match told.stage {
            Stage::Nothing => {
                (told.stage, told.promised) = (Stage::HandedOut, self.is_promised());
                world.say(seed(session));
                "hands out"
            }
            Stage::HandedOut => {
                told.stage = Stage::Sent;
                world.attacker.learn([sealed(note_key(session), word("chunks"), content(session))]);
                "sends the note of"
            }
            Stage::Sent => {
                told.stage = Stage::Open;
                "is heard in"
            }
            Stage::Open => return None,
        };
        Some((format!("Alice {what} session {session}"), world))
    }

    /// One side answers with a new ratchet key.
    fn turn(&self, side: Side) -> Option<(String, Self)> {
        if self.turns[side] == self.turns_max() {
            return None;
        }
        let mut world = self.clone();
        world.turns[side] += 1;
        if self.has(Safeguard::FreshRatchetKey) {
            world.ratchets[side] = name(["ratchet of Alice", "ratchet of Bob"][side], world.turns[side]);
        }
        let fresh = world.ratchets[side];
        // In the frame, under the outer key; seen by whoever has that.
        let message = row(&[half(Kind::Exchange, fresh)]);
        world.attacker.learn([sealed(hash("control", &[self.outer]), word("once"), message)]);
        let step = [self.root, shared(fresh, self.ratchets[1 - side])];
        (world.root, world.chain) = (hash("root", &step), hash("chain", &step));
        world.turned[side] = true;
        for told in world.told.iter_mut().filter(|told| told.stage > Stage::Nothing) {
            told.turned[side] = true;
        }
        Some((format!("{} turns the ratchet", ["Alice", "Bob"][side]), world))
    }

    /// A prekey one way, an encapsulation the other, each in a frame; both take the new key up and let the old one go.
    fn renew(&self) -> Option<(String, Self)> {
        if self.renewals == self.renewals_max() {
            return None;
        }
        let mut world = self.clone();
        world.renewals += 1;
        let (coins, kem) = (name("coins", world.renewals), name("kem", world.renewals));
        if self.has(Safeguard::FreshEncapsulation) {
            world.say(half(Kind::Kem, kem));
            world.say(encapsulation(coins, kem));
            world.outer = hash("outer", &[kem_secret(coins, kem), self.outer]);
        } else {
            world.outer = hash("outer", &[self.outer]);
        }
        world.renewed = true;
        for told in world.told.iter_mut().filter(|told| told.stage > Stage::Nothing) {
            told.renewed = true;
        }
        Some(("the outer key is renewed".to_owned(), world))
    }

    fn seize(&self, side: Side) -> Option<(String, Self)> {
        let never = matches!(self.setting.question, Question::NoSeizure | Question::NoSeizureSecretLink);
        if never || self.seizures[side] == SEIZURES_MAX {
            return None;
        }
        let mut world = self.clone();
        world.seizures[side] += 1;
        world.attacker.learn(self.holds(side));
        (world.turned, world.renewed) = ([false; 2], false);
        for told in &mut world.told {
            let is_open = told.stage == Stage::Open;
            told.seized |= !is_open || (self.setting.question == Question::RenewedBefore && !told.renewed);
            // What healed the last seizure is still in the phones until it is replaced: until then another one ends the promise.
            told.promised &= match self.setting.question {
                Question::AfterTurning => is_open && told.turned == [true; 2],
                Question::AfterRenewal => is_open && told.renewed,
                _ => true,
            };
        }
        Some((format!("{}'s phone is read", ["Alice", "Bob"][side]), world))
    }
}

impl World for Seizure {
    fn next(&self) -> Vec<(String, Self)> {
        let sessions = self.sessions().iter().filter_map(|session| self.step_of(*session));
        let turns = [0, 1].into_iter().filter_map(|side| self.turn(side));
        let seizures = [0, 1].into_iter().filter_map(|side| self.seize(side));
        sessions.chain(turns).chain(seizures).chain(self.renew()).collect()
    }

    fn broken(&self) -> Option<String> {
        for (session, told) in self.told.iter().enumerate() {
            let promised = match self.setting.question {
                Question::HeardBefore => told.stage == Stage::Open && !told.seized,
                Question::RenewedBefore => told.stage == Stage::Open && told.renewed && !told.seized,
                _ => told.promised,
            };
            if promised && self.attacker.derives(content(session)) {
                return Some(format!("the note of session {session} is known"));
            }
        }
        None
    }
}
