//! Pairing (P6): Alice makes two links, one for Bob and one for Mallory; Bob opens two, the one he takes for Alice's and one of
//! Mallory's. Each gives the other a session; then Alice and Bob compare their digits over a telephone.

use super::World;
use super::terms::{
    Broken, Kind, Knowledge, Term, encapsulation, half, hash, kem_secret, name, row, sealed, shared, signed, word,
};

/// How Alice's link gets to Bob.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// Nobody else sees it.
    Secret,
    /// The attacker reads it on the way.
    Read,
    /// The attacker reads it, and may give Bob another in its place.
    Replaced,
}

/// What a broken variant leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Safeguard {
    /// The device key's signature in a bundle.
    BundleSignature,
    /// The bundle's hash in the link.
    BundleHash,
    /// The boxes of the pairing parcels under the link's secret.
    Boxes,
    /// The pre-shared key in HPKE.
    Psk,
    /// The inviter's commitment to its nonce.
    Commitment,
    /// The bundles in the digits.
    BundlesInDigits,
    /// That digits are compared before a contact counts as confirmed.
    Comparison,
}

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Alice and Bob pair with each other and with nobody else, and both sessions are theirs alone. Promised of a secret link.
    EachOther,
    /// Bob's contact is Alice, and what he says first is for her alone. Promised of a link that is only read.
    WhatTheReplierSays,
    /// As [`Question::EachOther`], from when the digits were compared. Promised of every link.
    AfterDigits,
    /// A device key stands only in bundles that its owner made.
    DeviceKeys,
}

/// What is played: how the link travels, what is left out, what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    /// How Alice's link gets to Bob.
    pub channel: Channel,
    /// What this variant of the protocol lacks.
    pub left_out: &'static [Safeguard],
    /// What is asked.
    pub question: Question,
}

const ALICE: u8 = 0;
const BOB: u8 = 1;
const MALLORY: u8 = 2;
const BUNDLE: &str = "bundle hash";
const COMMIT: &str = "commit";
const MESSAGE: &str = "olm message";

/// A bundle (P6.4), by the secrets behind its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Bundle {
    device: Term,
    identity: Term,
    one_time: Term,
    kem: Term,
    commit: Term,
}

/// An Olm message that begins a session, by the secrets behind its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Opening {
    identity: Term,
    base: Term,
    ratchet: Term,
    session: Term,
}

/// What one end has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct View {
    /// Their bundle.
    bundle: Bundle,
    outer: Term,
    root: Term,
    /// `None` until an answer brought the inviter's nonce.
    digits: Option<Term>,
}

/// A world of pairing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pairing {
    setting: Setting,
    attacker: Knowledge,
    inviters: [Option<View>; 2],
    repliers: [Option<View>; 2],
    /// Somebody in the middle has drawn until twelve digits were the same on both sides.
    ground: bool,
    confirmed: bool,
}

fn inviter_bundle(link: u8) -> Bundle {
    Bundle {
        device: name("device", ALICE),
        identity: name("identity", ALICE),
        one_time: name("inviter one-time", link),
        kem: name("inviter kem", link),
        commit: hash(COMMIT, &[name("inviter nonce", link)]),
    }
}

fn replier_bundle(link: u8) -> Bundle {
    Bundle {
        device: name("device", BOB),
        identity: name("identity", BOB),
        one_time: name("replier one-time", link),
        kem: name("replier kem", link),
        commit: word("none"),
    }
}

fn replier_opening(link: u8) -> Opening {
    Opening {
        identity: name("identity", BOB),
        base: name("replier base", link),
        ratchet: name("replier ratchet", link),
        session: name("replier session", link),
    }
}

/// What the three exchanges of an Olm session's beginning come to.
fn olm_root(opening: &Opening, identity: Term, one_time: Term) -> Term {
    let Opening { identity: theirs, base, .. } = *opening;
    hash("olm root", &[shared(theirs, one_time), shared(base, identity), shared(base, one_time)])
}

fn opening_message(opening: &Opening, root: Term) -> Term {
    let public = |secret| half(Kind::Exchange, secret);
    let text = sealed(hash(MESSAGE, &[root]), word("once"), row(&[opening.session]));
    row(&[public(opening.identity), public(opening.base), public(opening.ratchet), text])
}

impl Setting {
    fn has(&self, safeguard: Safeguard) -> bool {
        !self.left_out.contains(&safeguard)
    }

    fn bundle(&self, bundle: &Bundle) -> Term {
        let public = |secret| half(Kind::Exchange, secret);
        let said = row(&[
            half(Kind::Sign, bundle.device),
            public(bundle.identity),
            public(bundle.one_time),
            half(Kind::Kem, bundle.kem),
            bundle.commit,
        ]);
        if self.has(Safeguard::BundleSignature) { row(&[said, signed(bundle.device, said)]) } else { said }
    }

    /// A pairing parcel under a link's secret.
    fn boxed(&self, secret: Term, label: &'static str, text: Term) -> Term {
        if self.has(Safeguard::Boxes) { sealed(hash(label, &[secret]), word("once"), text) } else { text }
    }

    fn invitation(&self, secret: Term, bundle: &Bundle) -> Term {
        self.boxed(secret, "invitation box", self.bundle(bundle))
    }

    fn hpke(&self, coins: Term, kem: Term, secret: Term) -> Term {
        let given = kem_secret(coins, kem);
        if self.has(Safeguard::Psk) { hash("hpke", &[given, hash("psk", &[secret])]) } else { hash("hpke", &[given]) }
    }

    fn reply(&self, secret: Term, (coins, kem): (Term, Term), bundle: &Bundle, nonce: Term, message: Term) -> Term {
        let key = hash("hpke seal", &[self.hpke(coins, kem, secret)]);
        let text = sealed(key, word("once"), row(&[self.bundle(bundle), nonce, message]));
        self.boxed(secret, "reply box", row(&[encapsulation(coins, kem), text]))
    }

    fn digits(&self, inviter: &Bundle, replier: &Bundle, nonces: [Term; 2]) -> Term {
        let [one, other] = nonces;
        if self.has(Safeguard::BundlesInDigits) {
            let bundles = [inviter, replier].map(|bundle| hash(BUNDLE, &[self.bundle(bundle)]));
            return hash("digits", &[bundles[0], bundles[1], one, other]);
        }
        hash("digits", &[one, other])
    }
}

/// The control frame that brings the inviter's nonce, and its first session.
fn answer(outer: Term, root: Term, ratchets: [Term; 2], nonce: Term, session: Term) -> Term {
    let [ours, theirs] = ratchets;
    let root = hash("ratchet", &[root, shared(ours, theirs)]);
    let text = sealed(hash(MESSAGE, &[root]), word("once"), row(&[nonce, session]));
    sealed(hash("control", &[outer]), word("once"), row(&[half(Kind::Exchange, ours), text]))
}

impl Pairing {
    /// Begins with both invitations at the relay, and Mallory's link in Mallory's hands.
    pub fn new(setting: Setting) -> Self {
        let mut attacker = Knowledge::new(Broken::default());
        attacker.learn([name("device", MALLORY), name("identity", MALLORY)]);
        attacker.learn((0..6).map(|number| name("mallory", number)));
        // Who has paired with somebody knows the keys in their bundle.
        for person in [ALICE, BOB] {
            attacker.learn([half(Kind::Sign, name("device", person)), half(Kind::Exchange, name("identity", person))]);
        }
        for link in [0, 1] {
            let (secret, bundle) = (name("link", link), inviter_bundle(link));
            attacker.learn([setting.invitation(secret, &bundle)]);
            if link == 1 || setting.channel != Channel::Secret {
                attacker.learn([secret, hash(BUNDLE, &[setting.bundle(&bundle)])]);
            }
        }
        Self { setting, attacker, inviters: [None; 2], repliers: [None; 2], ground: false, confirmed: false }
    }

    /// Bundles that Mallory can make to be answered, with Alice's keys in places of his own; of his own link fewer: what Bob says there
    /// matters only where it can be carried elsewhere.
    fn made_for_bob(&self, link: u8) -> Vec<Bundle> {
        let mallory = |number| name("mallory", number);
        let (his, hers) =
            ((name("identity", MALLORY), mallory(0)), (name("identity", ALICE), name("inviter one-time", 0)));
        let (mut keys, mut kems, mut commits) = (vec![his, hers], vec![mallory(1)], vec![hash(COMMIT, &[mallory(2)])]);
        if link == 0 {
            keys.extend([(his.0, hers.1), (hers.0, his.1)]);
            kems.push(name("inviter kem", 0));
            commits.push(inviter_bundle(0).commit);
        }
        let mut made = Vec::new();
        for device in self.devices(ALICE) {
            for (identity, one_time) in &keys {
                for kem in &kems {
                    for commit in &commits {
                        made.push(Bundle {
                            device,
                            identity: *identity,
                            one_time: *one_time,
                            kem: *kem,
                            commit: *commit,
                        });
                    }
                }
            }
        }
        made
    }

    /// Bundles that Mallory can make as a reply. Of those, an inviter reads device and identity before it answers.
    fn made_for_alice(&self) -> Vec<Bundle> {
        let (one_time, kem, commit) = (name("mallory", 0), name("mallory", 1), word("none"));
        let identities = [name("identity", MALLORY), name("identity", BOB)];
        let of = |device| identities.map(|identity| Bundle { device, identity, one_time, kem, commit });
        self.devices(BOB).into_iter().flat_map(of).collect()
    }

    /// Device keys that Mallory can put into a bundle: his own, and, where bundles are not signed, somebody else's.
    fn devices(&self, other: u8) -> Vec<Term> {
        let mut devices = vec![name("device", MALLORY)];
        if !self.setting.has(Safeguard::BundleSignature) {
            devices.push(name("device", other));
        }
        devices
    }

    fn replies(&self, link: u8, next: &mut Vec<(String, Self)>) {
        let mut bundles = vec![inviter_bundle(0), inviter_bundle(1)];
        bundles.extend(self.made_for_bob(link));
        let mut secrets = vec![name("link", 0)];
        let chosen = link == 1 || self.setting.channel == Channel::Replaced;
        if chosen {
            // A secret of Mallory's own would be one that he knows, as he knows his link's.
            secrets.push(name("link", 1));
            secrets.retain(|secret| self.attacker.derives(*secret));
        }
        for secret in secrets {
            for bundle in &bundles {
                let named = *bundle == inviter_bundle(0) || chosen || !self.setting.has(Safeguard::BundleHash);
                let own = bundle.device == name("device", BOB);
                if !named || own || !self.attacker.derives(self.setting.invitation(secret, bundle)) {
                    continue;
                }
                let opening = replier_opening(link);
                let coins = name("coins", link);
                let root = olm_root(&opening, bundle.identity, bundle.one_time);
                let message = opening_message(&opening, root);
                let (ours, nonce) = (replier_bundle(link), name("replier nonce", link));
                let mut world = self.clone();
                world.attacker.learn([self.setting.reply(secret, (coins, bundle.kem), &ours, nonce, message)]);
                let outer = hash("outer", &[self.setting.hpke(coins, bundle.kem, secret)]);
                world.repliers[usize::from(link)] = Some(View { bundle: *bundle, outer, root, digits: None });
                next.push((format!("Bob answers link {link}, to {}", whose(bundle)), world));
            }
        }
    }

    fn acceptances(&self, link: u8, next: &mut Vec<(String, Self)>) {
        let (secret, own) = (name("link", link), inviter_bundle(link));
        let mallory = |number| name("mallory", number);
        let made = |identity| Opening { identity, base: mallory(3), ratchet: mallory(4), session: mallory(5) };
        let openings =
            [replier_opening(0), replier_opening(1), made(name("identity", MALLORY)), made(name("identity", BOB))];
        let mut bundles = vec![replier_bundle(0), replier_bundle(1)];
        bundles.extend(self.made_for_alice());
        for opening in openings {
            let root = olm_root(&opening, own.identity, own.one_time);
            let message = opening_message(&opening, root);
            for bundle in bundles.iter().filter(|bundle| bundle.identity == opening.identity) {
                for coins in [name("coins", 0), name("coins", 1), mallory(2)] {
                    for nonce in [name("replier nonce", 0), name("replier nonce", 1), mallory(2)] {
                        // Nobody compares the digits of Mallory's own link.
                        if link == 1 && nonce != mallory(2) && bundle.device == name("device", MALLORY) {
                            continue;
                        }
                        let said = self.setting.reply(secret, (coins, own.kem), bundle, nonce, message);
                        if bundle.device == own.device || !self.attacker.derives(said) {
                            continue;
                        }
                        let outer = hash("outer", &[self.setting.hpke(coins, own.kem, secret)]);
                        let world = self.accept(link, bundle, [outer, root, opening.ratchet, nonce]);
                        next.push((format!("Alice takes a reply to link {link} by {}", whose(bundle)), world));
                    }
                }
            }
        }
    }

    /// Alice takes a reply, and answers it.
    fn accept(&self, link: u8, bundle: &Bundle, [outer, root, ratchet, nonce]: [Term; 4]) -> Self {
        let mut world = self.clone();
        let own = name("inviter nonce", link);
        if link == 0 && nonce == name("mallory", 2) && self.knows_both_nonces() {
            world.ground = true;
        }
        let ratchets = [name("inviter ratchet", link), ratchet];
        world.attacker.learn([answer(outer, root, ratchets, own, name("inviter session", link))]);
        let digits = Some(self.setting.digits(&inviter_bundle(link), bundle, [own, nonce]));
        world.inviters[usize::from(link)] = Some(View { bundle: *bundle, outer, root, digits });
        world
    }

    fn answers(&self, link: u8, view: &View, next: &mut Vec<(String, Self)>) {
        let mallory = |number| name("mallory", number);
        let own = replier_opening(link).ratchet;
        let nonces = [name("inviter nonce", 0), name("inviter nonce", 1), mallory(2), name("replier nonce", 0)];
        let sessions = [name("inviter session", 0), name("inviter session", 1), mallory(5)];
        for ratchet in [name("inviter ratchet", 0), name("inviter ratchet", 1), mallory(4)] {
            for nonce in nonces {
                let committed = hash(COMMIT, &[nonce]) == view.bundle.commit;
                if !committed && self.setting.has(Safeguard::Commitment) {
                    continue;
                }
                for session in sessions {
                    if !self.attacker.derives(answer(view.outer, view.root, [ratchet, own], nonce, session)) {
                        continue;
                    }
                    let mut world = self.clone();
                    // Free to choose, with all else in sight: Mallory draws until the digits are those that Alice sees.
                    let free = !self.setting.has(Safeguard::Commitment) && nonce == mallory(2);
                    if link == 0 && free && self.inviters[0].is_some() && self.knows_both_nonces() {
                        world.ground = true;
                    }
                    let nonces = [nonce, name("replier nonce", link)];
                    let digits = Some(self.setting.digits(&view.bundle, &replier_bundle(link), nonces));
                    world.repliers[usize::from(link)] = Some(View { digits, ..*view });
                    next.push((format!("Bob takes the answer to link {link}"), world));
                }
            }
        }
    }

    fn knows_both_nonces(&self) -> bool {
        [name("inviter nonce", 0), name("replier nonce", 0)].iter().all(|nonce| self.attacker.derives(*nonce))
    }

    /// Alice and Bob read their digits to each other.
    fn comparison(&self) -> Option<(String, Self)> {
        let ([Some(alice), _], [Some(bob), _]) = (&self.inviters, &self.repliers) else { return None };
        let (ours, theirs) = (alice.digits?, bob.digits?);
        let same = ours == theirs || self.ground || !self.setting.has(Safeguard::Comparison);
        (same && !self.confirmed)
            .then(|| ("Alice and Bob compare their digits".to_owned(), Self { confirmed: true, ..self.clone() }))
    }

    fn is_each_other(&self) -> Result<(), &'static str> {
        let alice = self.inviters[0].map(|view| view.bundle);
        let bob = self.repliers[0].map(|view| view.bundle);
        if alice.is_some_and(|bundle| bundle != replier_bundle(0)) {
            return Err("Alice takes somebody else for Bob");
        }
        if bob.is_some_and(|bundle| bundle != inviter_bundle(0)) {
            return Err("Bob takes somebody else for Alice");
        }
        if alice.is_some() && bob.is_none() {
            return Err("Alice has a reply of Bob's that he never gave");
        }
        if self.attacker.derives(name("inviter session", 0)) {
            return Err("Alice's session for Bob is known");
        }
        self.is_for_alice()
    }

    fn is_for_alice(&self) -> Result<(), &'static str> {
        let hers = [inviter_bundle(0), inviter_bundle(1)];
        if self.repliers[0].is_some_and(|view| !hers.contains(&view.bundle)) {
            return Err("Bob takes somebody else for Alice");
        }
        if self.attacker.derives(name("replier session", 0)) {
            return Err("Bob's session for Alice is known");
        }
        Ok(())
    }

    fn are_keys_their_owners(&self) -> Result<(), &'static str> {
        let honest = [inviter_bundle(0), inviter_bundle(1), replier_bundle(0), replier_bundle(1)];
        let owned = |device: Term| device == name("device", ALICE) || device == name("device", BOB);
        let views = self.inviters.iter().chain(&self.repliers).flatten();
        for bundle in views.map(|view| view.bundle) {
            if owned(bundle.device) && !honest.contains(&bundle) {
                return Err("a device key stands in a bundle that its owner never made");
            }
        }
        Ok(())
    }
}

fn whose(bundle: &Bundle) -> &'static str {
    let honest = [inviter_bundle(0), inviter_bundle(1), replier_bundle(0), replier_bundle(1)];
    match honest.iter().position(|known| known == bundle) {
        Some(0 | 1) => "Alice",
        Some(_) => "Bob",
        None => "Mallory",
    }
}

impl World for Pairing {
    fn next(&self) -> Vec<(String, Self)> {
        let mut next = Vec::new();
        for link in [0, 1] {
            match &self.repliers[usize::from(link)] {
                None => self.replies(link, &mut next),
                Some(view) if view.digits.is_none() => self.answers(link, view, &mut next),
                Some(_) => {}
            }
            if self.inviters[usize::from(link)].is_none() {
                self.acceptances(link, &mut next);
            }
        }
        next.extend(self.comparison());
        next
    }

    fn broken(&self) -> Option<String> {
        let promise = match self.setting.question {
            Question::EachOther => self.is_each_other(),
            Question::WhatTheReplierSays => self.is_for_alice(),
            Question::AfterDigits if self.confirmed => self.is_each_other(),
            Question::AfterDigits => Ok(()),
            Question::DeviceKeys => self.are_keys_their_owners(),
        };
        promise.err().map(str::to_owned)
    }
}
