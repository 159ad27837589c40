//! Two ends of a pair without ciphers around them: frames with the key they were sealed under, in any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::ids::sha256;
use crate::keys::Secret;

/// SHA-256 over a counter.
struct Counted(u64);

impl Random for Counted {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.0 += 1;
            chunk.copy_from_slice(&sha256(&[&self.0.to_be_bytes()])[..chunk.len()]);
        }
    }
}

#[derive(Clone)]
struct Frame {
    key: OuterKey,
    contents: Vec<Content>,
}

/// One end: its keys, what it has sealed and is not acknowledged, and which numbers of the other end it has.
#[derive(Clone)]
struct End {
    keys: OuterKeys,
    next: u32,
    sealed: BTreeMap<u32, Frame>,
    expected: u32,
    held: BTreeSet<u32>,
}

/// What may be behind the lowest number that is missing: P5.1 has 32 bits for it.
const SPAN: u32 = 32;

impl End {
    fn new(own: u8, theirs: u8) -> Self {
        let keys = OuterKeys::first(OuterKey(Secret([1; 32])), &VerifyingKey([own; 32]), &VerifyingKey([theirs; 32]));
        Self { keys, next: 0, sealed: BTreeMap::new(), expected: 0, held: BTreeSet::new() }
    }

    /// Seals a frame with what the next step tells, or with these contents.
    fn say(&mut self, random: &mut Counted, contents: Option<Vec<Content>>) {
        let contents = contents.unwrap_or_else(|| self.keys.step(random));
        self.sealed.insert(self.next, Frame { key: self.keys.sealing().clone(), contents });
        self.next += 1;
    }

    /// Opens a frame; `false` if no key of this end opens it.
    fn open(&mut self, number: u32, frame: &Frame) -> bool {
        if number < self.expected || self.held.contains(&number) {
            return true;
        }
        let Some((generation, _)) = self.keys.accepted().find(|(_, key)| **key == frame.key) else { return false };
        self.held.insert(number);
        self.expected = self.expected.max(number.saturating_sub(SPAN));
        while self.held.remove(&self.expected) {
            self.expected += 1;
        }
        let expected = self.expected;
        self.held.retain(|number| *number > expected);
        self.keys.opened(generation, number, self.expected);
        for content in &frame.contents {
            self.keys.take(content);
        }
        true
    }

    fn has(&self, number: u32) -> bool {
        number < self.expected || self.held.contains(&number)
    }

    /// Lets go of what the other end has.
    fn acknowledged_by(&mut self, other: &Self) {
        self.sealed.retain(|number, _| !other.has(*number));
    }
}

/// Both ends; the first renews.
struct Pair {
    ends: [End; 2],
    random: Counted,
}

impl Pair {
    fn new() -> Self {
        Self { ends: [End::new(1, 2), End::new(2, 1)], random: Counted(0) }
    }

    fn say(&mut self, who: usize) {
        self.ends[who].say(&mut self.random, None);
    }

    /// Brings one frame of `from` to the other end.
    fn bring(&mut self, from: usize, number: u32) -> bool {
        let frame = self.ends[from].sealed[&number].clone();
        self.ends[1 - from].open(number, &frame)
    }

    /// Brings all frames of `from`, in order, and lets go of them.
    fn bring_all(&mut self, from: usize) {
        let numbers: Vec<u32> = self.ends[from].sealed.keys().copied().collect();
        for number in numbers {
            assert!(self.bring(from, number), "frame {number} of end {from} opens");
        }
        let other = self.ends[1 - from].clone();
        self.ends[from].acknowledged_by(&other);
    }

    /// Lets both speak and hear until neither has anything to tell.
    fn settle(&mut self) {
        for _ in 0..40 {
            if self.ends.iter().all(|end| !end.keys.has_to_tell() && end.sealed.is_empty()) {
                break;
            }
            for who in [0, 1] {
                if self.ends[who].keys.has_to_tell() {
                    self.say(who);
                }
                self.bring_all(who);
            }
        }
    }

    fn generations(&self) -> [u32; 2] {
        [0, 1].map(|who| self.ends[who].keys.generation())
    }

    fn is_settled_at(&self, generation: u32) -> bool {
        let [one, other] = [0, 1].map(|who| &self.ends[who].keys);
        self.generations() == [generation; 2]
            && one.current == other.current
            && [one, other].iter().all(|keys| keys.accepted().count() == 1 && !keys.is_under_way())
    }
}

#[test]
fn a_renewal_takes_two_steps_of_each_end_and_leaves_one_new_key() {
    let mut pair = Pair::new();
    let before = pair.ends[0].keys.current.clone();
    assert!(pair.ends[0].keys.renews() && !pair.ends[1].keys.renews());
    pair.ends[0].keys.want();
    for (who, told) in [(0, "wanted"), (1, "prekey"), (0, "renewal"), (1, "in use"), (0, "in use")] {
        pair.say(who);
        let contents = &pair.ends[who].sealed.last_key_value().unwrap().1.contents;
        let fits = matches!(
            (told, contents.as_slice()),
            ("wanted", [Content::RenewalWanted(1)])
                | ("prekey", [Content::RenewalPrekey(1, _)])
                | ("renewal", [Content::Renewal(1, _)])
                | ("in use", [Content::OuterKeyInUse(1)])
        );
        assert!(fits, "{told}");
        pair.bring_all(who);
    }
    assert!(pair.ends[0].keys.current != before);
    // The last to hear of it is the one that renews: of the other it has heard all there was.
    assert!(pair.is_settled_at(1));
}

#[test]
fn a_device_that_was_in_other_hands_gets_a_key_made_of_chance_drawn_after_that_whichever_end_it_is() {
    for who in [0, 1] {
        for steps in 0..6 {
            let mut pair = Pair::new();
            pair.ends[0].keys.want();
            for step in 0..steps {
                pair.say(step % 2);
                pair.bring_all(step % 2);
            }
            // Whoever has a copy of one end goes on with it, hears every frame, and sends none.
            let stolen = pair.ends[who].clone();
            pair.ends[who].keys.want();
            let mut thief = stolen;
            for _ in 0..8 {
                for from in [0, 1] {
                    if pair.ends[from].keys.has_to_tell() {
                        pair.say(from);
                    }
                    for (number, frame) in pair.ends[from].sealed.clone() {
                        if from != who {
                            thief.open(number, &frame);
                        }
                    }
                    pair.bring_all(from);
                }
            }
            let generation = pair.generations()[0];
            assert!(pair.is_settled_at(generation) && generation >= 1, "end {who} after {steps} steps");
            let keys = &pair.ends[0].keys;
            assert!(
                thief.keys.accepted().all(|(_, key)| *key != keys.current),
                "end {who} after {steps} steps: a copy has the key"
            );
        }
    }
}

#[test]
fn a_frame_that_was_sealed_before_a_renewal_opens_long_after_it() {
    let mut pair = Pair::new();
    for who in [0, 1] {
        pair.ends[who].say(&mut Counted(9), Some(Vec::new()));
    }
    pair.ends[0].keys.want();
    // Frames 0 of both are late by weeks; all else comes at once.
    for _ in 0..4 {
        for who in [0, 1] {
            pair.say(who);
            let numbers: Vec<u32> = pair.ends[who].sealed.keys().copied().filter(|number| *number > 0).collect();
            for number in numbers {
                assert!(pair.bring(who, number));
            }
        }
    }
    assert_eq!(pair.generations(), [1, 1]);
    assert!(pair.ends.iter().all(|end| end.keys.previous.is_some()), "the old key waits for the late frames");
    // Another renewal that is wanted meanwhile waits, too.
    pair.ends[0].keys.want();
    pair.ends[1].keys.want();
    pair.say(0);
    pair.say(1);
    assert_eq!(pair.generations(), [1, 1]);
    for who in [0, 1] {
        assert!(pair.bring(who, 0), "the late frame opens");
    }
    pair.settle();
    assert!(pair.is_settled_at(2), "{:?}", pair.generations());
}

#[test]
fn what_is_heard_twice_late_or_at_the_wrong_end_has_no_effect() {
    let mut pair = Pair::new();
    pair.ends[0].keys.want();
    let mut said = Vec::new();
    for step in 0..5 {
        let who = step % 2;
        pair.say(who);
        said.extend(pair.ends[who].sealed.last_key_value().unwrap().1.contents.clone());
        pair.bring_all(who);
    }
    assert!(pair.is_settled_at(1));
    let before = pair.ends.clone();
    for content in &said {
        for end in &mut pair.ends {
            assert!(!end.keys.take(content));
        }
    }
    assert!(pair.is_settled_at(1));
    assert!(pair.ends.iter().zip(&before).all(|(now, then)| now.keys.current == then.keys.current));
    assert!(pair.ends.iter().all(|end| !end.keys.has_to_tell() && end.keys.again().is_none()));
}

#[test]
fn a_step_that_was_lost_for_good_is_told_again_word_for_word() {
    for lost in 0..3 {
        let mut pair = Pair::new();
        pair.ends[0].keys.want();
        for step in 0..=lost {
            let who = step % 2;
            pair.say(who);
            if step < lost {
                pair.bring_all(who);
            }
        }
        let who = lost % 2;
        let gone = pair.ends[who].sealed.pop_last().unwrap().1.contents;
        let again = pair.ends[who].keys.again().unwrap();
        assert!(gone == [again.clone()], "step {lost}");
        // A frame has a number of its own; the one that is lost never comes.
        for _ in 0..=SPAN + 1 {
            pair.ends[who].say(&mut Counted(7), Some(vec![again.clone()]));
            pair.bring_all(who);
        }
        pair.settle();
        assert!(pair.is_settled_at(1), "step {lost}: {:?}", pair.generations());
    }
}

#[test]
fn the_secret_of_a_prekey_is_gone_with_its_use() {
    let mut pair = Pair::new();
    pair.ends[0].keys.want();
    for who in [0, 1, 0] {
        let has_secret = |pair: &Pair| matches!(pair.ends[1].keys.part, Part::Offers { offered: Some(_) });
        pair.say(who);
        assert_eq!(has_secret(&pair), pair.ends[1].next == 1);
        pair.bring_all(who);
    }
    assert!(matches!(pair.ends[1].keys.part, Part::Offers { offered: None }));
}

#[test]
fn keys_in_the_middle_of_a_renewal_survive_the_device_store() {
    let mut pair = Pair::new();
    pair.ends[0].keys.want();
    for step in 0..6 {
        for end in &mut pair.ends {
            end.keys = postcard::from_bytes(&postcard::to_stdvec(&end.keys).unwrap()).unwrap();
        }
        pair.say(step % 2);
        pair.bring_all(step % 2);
    }
    assert!(pair.is_settled_at(1));
}

/// What happens to a pair.
#[derive(Debug, Clone, Copy)]
enum Act {
    /// An end says what it has to, or nothing.
    Say(usize),
    /// A frame of an end comes, perhaps not for the first time: which, as a share of those under way.
    Bring(usize, u8),
    /// The same, and power fails before that is durable.
    Fail(usize, u8),
    /// An end hears what the other has.
    Acknowledge(usize),
    /// An end wants a renewal.
    Want(usize),
    /// An end tells again what had no effect.
    Again(usize),
}

fn act() -> impl Strategy<Value = Act> {
    let who = 0..2_usize;
    prop_oneof![
        4 => who.clone().prop_map(Act::Say),
        6 => (who.clone(), any::<u8>()).prop_map(|(who, which)| Act::Bring(who, which)),
        1 => (who.clone(), any::<u8>()).prop_map(|(who, which)| Act::Fail(who, which)),
        2 => who.clone().prop_map(Act::Acknowledge),
        1 => who.clone().prop_map(Act::Want),
        1 => who.prop_map(Act::Again),
    ]
}

impl Pair {
    fn act(&mut self, act: Act) {
        match act {
            // P5.3: a window of unacknowledged frames, which the other end can note as missing.
            Act::Say(who) => {
                let lowest = self.ends[who].sealed.keys().next().copied();
                if lowest.is_none_or(|lowest| self.ends[who].next - lowest < SPAN) {
                    self.say(who);
                }
            }
            Act::Bring(who, which) | Act::Fail(who, which) => {
                let under_way = self.ends[who].sealed.len();
                let Some(number) = self.ends[who].sealed.keys().nth(usize::from(which) * under_way / 256).copied()
                else {
                    return;
                };
                let before = self.ends[1 - who].clone();
                assert!(self.bring(who, number), "frame {number} of end {who}");
                if matches!(act, Act::Fail(..)) {
                    self.ends[1 - who] = before;
                }
            }
            Act::Acknowledge(who) => {
                let other = self.ends[1 - who].clone();
                self.ends[who].acknowledged_by(&other);
            }
            Act::Want(who) => self.ends[who].keys.want(),
            Act::Again(who) => {
                let lowest = self.ends[who].sealed.keys().next().copied();
                if let Some(again) = self.ends[who].keys.again()
                    && lowest.is_none_or(|lowest| self.ends[who].next - lowest < SPAN)
                {
                    self.ends[who].say(&mut self.random, Some(vec![again]));
                }
            }
        }
    }

    /// Whatever is under way opens, whenever it comes.
    fn check(&self) {
        for from in [0, 1] {
            let reader = &self.ends[1 - from];
            for (number, frame) in self.ends[from].sealed.iter().filter(|(number, _)| !reader.has(**number)) {
                let opens = reader.keys.accepted().any(|(_, key)| *key == frame.key);
                // Only what was sealed under a key of which the other has not heard yet waits for it, and that key comes first.
                assert!(opens, "frame {number} of end {from} would not open");
            }
            assert!(reader.keys.accepted().count() <= 2);
        }
        let [one, other] = self.generations();
        assert!(one <= other && other - one <= 1, "generations {one} and {other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Frames that are lost come again, since they are put again until acknowledged: to the ends that is being late.
    #[test]
    fn every_frame_opens_whenever_it_comes_and_both_ends_end_with_one_key(
        acts in prop::collection::vec(act(), 0..120),
    ) {
        let mut pair = Pair::new();
        for act in acts {
            pair.act(act);
            pair.check();
        }
        let before = pair.generations()[1];
        pair.ends[0].keys.want();
        pair.settle();
        let after = pair.generations()[0];
        prop_assert!(after > before && pair.is_settled_at(after), "{:?}", pair.generations());
    }
}
