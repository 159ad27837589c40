//! Notes (P3, P4): Alice sends two in a session with Bob alone and two in a session for a family of which Mallory is one. Mallory
//! is the relay too, has every write key, and knows the family's note keys as a member does.

use std::collections::{BTreeMap, BTreeSet};

use super::World;
use super::terms::{Broken, Kind, Knowledge, Term, half, hash, name, row, sealed, signed, word};

/// What a broken variant leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safeguard {
    /// The session's signature in a head.
    HeadSignature,
    /// The parcel's id in what that signature covers.
    HeadNamesParcel,
    /// The mailbox in what that signature covers.
    HeadNamesMailbox,
    /// That marks are checked before a note is opened.
    Marks,
    /// The header, and so the mailbox, in what marks cover.
    MarksNameMailbox,
    /// That a tag is looked for among the sessions of the mailbox it came in.
    SessionsOfOneMailbox,
    /// That a pair is erased when its note is open.
    Erasure,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// What Bob takes for Alice's she sent, so, there and once; what she told him alone nobody else knows.
    AsSent,
    /// As that; and what Alice sent is never shown as Mallory's, though Mallory hands out a session of her keys as his.
    NeverAsMallorys,
}

/// What is played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// What this variant of the protocol lacks.
    pub left_out: &'static [Safeguard],
    /// What is asked.
    pub question: Question,
}

/// Sessions that Bob has: of the pair, of the family, and the one that Mallory made of the family's.
const PAIR: u8 = 0;
const FAMILY: u8 = 1;
const CLAIMED: u8 = 2;
/// Notes of each of Alice's sessions.
const NOTES: u8 = 2;

/// What Bob has of a note that he could open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Shown {
    session: u8,
    mailbox: u8,
    number: u8,
    parcel: Term,
    note: Term,
    first: Term,
    /// `None` while only the first half has come.
    last: Option<Term>,
}

/// A world of notes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notes {
    setting: Setting,
    attacker: Knowledge,
    sent: BTreeSet<(u8, u8)>,
    /// How often each was shown as new.
    shown: BTreeMap<Shown, u8>,
    erased: BTreeSet<(u8, u8)>,
}

/// Whose keys a session has: Mallory's claim has those of the family.
const fn keys_of(session: u8) -> u8 {
    if session == CLAIMED { FAMILY } else { session }
}

fn mailbox(number: u8) -> Term {
    hash("mailbox", &[half(Kind::Sign, name("write key", number))])
}

fn place(number: u8) -> Term {
    [word("0"), word("1")][usize::from(number)]
}

/// Alice's note, as Bob should show it.
fn as_sent(session: u8, number: u8) -> Shown {
    let each = session * NOTES + number;
    Shown {
        session,
        mailbox: session,
        number,
        parcel: name("parcel key", each),
        note: name("note id", each),
        first: name("first half", each),
        last: Some(name("last half", each)),
    }
}

impl Setting {
    fn has(&self, safeguard: Safeguard) -> bool {
        !self.left_out.contains(&safeguard)
    }

    fn head(&self, shown: &Shown) -> Term {
        let mut signs = vec![word("head")];
        if self.has(Safeguard::HeadNamesParcel) {
            signs.push(hash("parcel id", &[half(Kind::Sign, shown.parcel)]));
        }
        if self.has(Safeguard::HeadNamesMailbox) {
            signs.push(mailbox(shown.mailbox));
        }
        signs.extend([place(shown.number), shown.note]);
        let signature = signed(name("signer", keys_of(shown.session)), row(&signs));
        if self.has(Safeguard::HeadSignature) {
            row(&[place(shown.number), shown.note, signature])
        } else {
            row(&[place(shown.number), shown.note])
        }
    }

    /// The parts of a parcel in the order in which they come, each with its mark: what Bob must have to show this.
    fn parcel(&self, shown: &Shown) -> Vec<Term> {
        let seed = name("session seed", keys_of(shown.session));
        let (tag, key) = (hash("tag", &[seed, place(shown.number)]), hash("note key", &[seed, place(shown.number)]));
        let public = half(Kind::Sign, shown.parcel);
        let id = hash("parcel id", &[public]);
        let chunk_key = hash("chunk key", &[id, key]);
        let commitment = hash("commitment", &[id, key]);
        let first = sealed(chunk_key, word("chunk 0"), row(&[self.head(shown), shown.first]));
        let mut start = vec![public];
        if self.has(Safeguard::MarksNameMailbox) {
            start.push(mailbox(shown.mailbox));
        }
        let chain = hash("chain", &[hash("chain", &start), tag, commitment, first]);
        let mut parts = vec![mailbox(shown.mailbox), public, tag, commitment, first];
        if self.has(Safeguard::Marks) {
            parts.push(signed(shown.parcel, row(&[word("mark"), id, chain])));
        }
        if let Some(last) = shown.last {
            let last = sealed(chunk_key, word("chunk 1, last"), last);
            parts.push(last);
            if self.has(Safeguard::Marks) {
                parts.push(signed(shown.parcel, row(&[word("last mark"), id, hash("chain", &[chain, last])])));
            }
        }
        parts
    }
}

impl Notes {
    /// Begins with the sessions handed out, and nothing sent.
    pub fn new(setting: Setting) -> Self {
        let mut attacker = Knowledge::new(Broken::default());
        attacker.learn((0..5).map(|number| name("mallory", number)));
        attacker.learn([name("session seed", FAMILY)]);
        for session in [PAIR, FAMILY] {
            attacker.learn([name("write key", session), half(Kind::Sign, name("signer", session))]);
        }
        Self { setting, attacker, sent: BTreeSet::new(), shown: BTreeMap::new(), erased: BTreeSet::new() }
    }

    /// Halves, ids and parcel keys that may stand in what comes: of every note sent, and Mallory's own.
    fn pieces(&self) -> Vec<Shown> {
        let mallory = |number| name("mallory", number);
        let mut pieces: Vec<Shown> = self.sent.iter().map(|(session, number)| as_sent(*session, *number)).collect();
        pieces.push(Shown {
            session: FAMILY,
            mailbox: FAMILY,
            number: 0,
            parcel: mallory(0),
            note: mallory(1),
            first: mallory(2),
            last: Some(mallory(3)),
        });
        pieces
    }

    fn sessions(&self) -> &'static [u8] {
        match self.setting.question {
            Question::AsSent => &[PAIR, FAMILY],
            Question::NeverAsMallorys => &[PAIR, FAMILY, CLAIMED],
        }
    }

    /// Everything that the attacker can bring Bob to show next.
    fn arrivals(&self) -> Vec<Shown> {
        let mut arrivals = Vec::new();
        for session in self.sessions() {
            for number in 0..NOTES {
                if !self.erased.contains(&(keys_of(*session), number)) {
                    self.arrivals_of(*session, number, &mut arrivals);
                }
            }
        }
        arrivals
    }

    fn arrivals_of(&self, session: u8, number: u8, arrivals: &mut Vec<Shown>) {
        let pieces = self.pieces();
        let boxes: &[u8] =
            if self.setting.has(Safeguard::SessionsOfOneMailbox) { &[keys_of(session)] } else { &[PAIR, FAMILY] };
        for mailbox in boxes {
            for (with, of) in pieces.iter().flat_map(|with| pieces.iter().map(move |of| (with, of))) {
                for about in [of.note, name("mallory", 1)] {
                    let (parcel, first) = (with.parcel, of.first);
                    let begun = Shown { session, mailbox: *mailbox, number, parcel, note: about, first, last: None };
                    if !self.can_bring(&begun) {
                        continue;
                    }
                    arrivals.push(begun);
                    let whole = pieces.iter().map(|other| Shown { last: other.last, ..begun });
                    arrivals.extend(whole.filter(|whole| self.can_bring(whole)));
                }
            }
        }
    }

    fn can_bring(&self, shown: &Shown) -> bool {
        self.setting.parcel(shown).iter().all(|part| self.attacker.derives(*part))
    }
}

impl World for Notes {
    fn next(&self) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        for session in [PAIR, FAMILY] {
            for number in 0..NOTES {
                let mut world = self.clone();
                if world.sent.insert((session, number)) {
                    world.attacker.learn(self.setting.parcel(&as_sent(session, number)));
                    next.push((format!("Alice sends note {number} of session {session}"), world));
                }
            }
        }
        for shown in self.arrivals() {
            let before = self.shown.get(&shown).copied().unwrap_or_default();
            // What has come in part, and comes again, is the same note; a whole one is shown as new whenever its pair is there.
            if before > u8::from(shown.last.is_some()) {
                continue;
            }
            let mut world = self.clone();
            world.shown.insert(shown, before + 1);
            if shown.last.is_some() && self.setting.has(Safeguard::Erasure) {
                world.erased.insert((keys_of(shown.session), shown.number));
            }
            next.push((format!("Bob shows {shown:?}"), world));
        }
        next
    }

    fn broken(&self) -> Option<String> {
        for (shown, times) in &self.shown {
            if shown.session == CLAIMED {
                let parcels = self.sent.iter().map(|(session, number)| as_sent(*session, *number).parcel);
                if parcels.into_iter().any(|parcel| parcel == shown.parcel) {
                    return Some("what Alice sent is shown as Mallory's".to_owned());
                }
                continue;
            }
            let sent = as_sent(shown.session, shown.number);
            let is_sent = self.sent.contains(&(shown.session, shown.number));
            let is_same = *shown == sent || *shown == Shown { last: None, ..sent };
            if !is_sent || !is_same {
                return Some("Bob takes for Alice's what she never sent so".to_owned());
            }
            if *times > 1 {
                return Some("a note is shown twice".to_owned());
            }
        }
        let heard = (0..NOTES).map(|number| as_sent(PAIR, number));
        let known =
            heard.flat_map(|note| [Some(note.first), note.last]).flatten().any(|half| self.attacker.derives(half));
        known.then(|| "what Alice told Bob alone is known".to_owned())
    }
}
