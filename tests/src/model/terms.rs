//! What messages are made of, and what somebody who holds some of them can make of those.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A message or a part of one. Equal terms are the same term; two that are not equal are never the same bytes, so a hash is taken
/// to have no collisions and a cipher to be perfect: what that leaves out is said in docs/PROOFS.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term(u32);

/// What a public half belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Ed25519.
    Sign,
    /// X25519, as Olm uses it.
    Exchange,
    /// X-Wing.
    Kem,
}

/// How a term is made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Shape {
    /// Drawn by somebody: known to them, and to whom they tell it.
    Name(&'static str, u8),
    /// Known to everybody.
    Word(&'static str),
    /// The public half of a secret.
    Half(Kind, Term),
    /// SHA-256, HKDF and HMAC, told apart by their labels.
    Hash(&'static str, Vec<Term>),
    /// Fields one after the other.
    Row(Vec<Term>),
    /// An AEAD: key, what stands beside it (nonce and associated data), text.
    Box(Term, Term, Term),
    /// A signature by a secret over a message; it does not hold the message.
    Signed(Term, Term),
    /// What two X25519 secrets have in common, the smaller first.
    Shared(Term, Term),
    /// An encapsulation by these coins to the owner of this secret.
    Encapsulation(Term, Term),
    /// What an encapsulation gives both ends.
    KemSecret(Term, Term),
}

#[derive(Default)]
struct Made {
    shapes: Vec<Shape>,
    terms: BTreeMap<Shape, Term>,
}

thread_local! {
    static MADE: RefCell<Made> = RefCell::default();
}

fn make(shape: Shape) -> Term {
    MADE.with_borrow_mut(|made| {
        if let Some(term) = made.terms.get(&shape) {
            return *term;
        }
        let term = Term(u32::try_from(made.shapes.len()).expect("fewer terms than that fit in memory"));
        made.shapes.push(shape.clone());
        made.terms.insert(shape, term);
        term
    })
}

fn shape(term: Term) -> Shape {
    MADE.with_borrow(|made| made.shapes[usize::try_from(term.0).expect("a place in memory")].clone())
}

/// Somebody's own secret or nonce: the same word and number are the same value.
pub fn name(what: &'static str, number: u8) -> Term {
    make(Shape::Name(what, number))
}

/// What everybody knows.
pub fn word(what: &'static str) -> Term {
    make(Shape::Word(what))
}

/// The public half of `secret`.
pub fn half(kind: Kind, secret: Term) -> Term {
    make(Shape::Half(kind, secret))
}

/// A hash or a derived key.
pub fn hash(label: &'static str, parts: &[Term]) -> Term {
    make(Shape::Hash(label, parts.to_vec()))
}

/// Fields in a row.
pub fn row(parts: &[Term]) -> Term {
    make(Shape::Row(parts.to_vec()))
}

/// Seals `text` under `key`, bound to what stands `beside` it.
pub fn sealed(key: Term, beside: Term, text: Term) -> Term {
    make(Shape::Box(key, beside, text))
}

/// Signs `message`.
pub fn signed(secret: Term, message: Term) -> Term {
    make(Shape::Signed(secret, message))
}

/// X25519 of two secrets; it does not matter whose public half was used.
pub fn shared(one: Term, other: Term) -> Term {
    make(Shape::Shared(one.min(other), one.max(other)))
}

/// An encapsulation to the owner of `secret`.
pub fn encapsulation(coins: Term, secret: Term) -> Term {
    make(Shape::Encapsulation(coins, secret))
}

/// What [`encapsulation`] gives both ends.
pub fn kem_secret(coins: Term, secret: Term) -> Term {
    make(Shape::KemSecret(coins, secret))
}

/// Which primitives the attacker can undo, one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Broken {
    /// X25519: whoever sees both public halves has what they share.
    pub exchange: bool,
    /// ML-KEM: the other half of X-Wing, which gives way only with both.
    pub lattice: bool,
}

/// What the attacker holds: everything that was sent, what it was given, and what follows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Knowledge {
    /// Shared by the worlds between which nothing was said.
    held: Rc<BTreeSet<Term>>,
    broken: Broken,
}

impl Knowledge {
    /// Begins with nothing but words.
    pub fn new(broken: Broken) -> Self {
        Self { held: Rc::default(), broken }
    }

    /// Adds terms, and all that they let open.
    pub fn learn(&mut self, terms: impl IntoIterator<Item = Term>) {
        Rc::make_mut(&mut self.held).extend(terms);
        loop {
            let opened: BTreeSet<Term> = self.held.iter().flat_map(|term| self.parts(*term)).collect();
            let before = self.held.len();
            Rc::make_mut(&mut self.held).extend(opened);
            if self.held.len() == before {
                return;
            }
        }
    }

    /// What a held term gives by itself.
    fn parts(&self, term: Term) -> Vec<Term> {
        match shape(term) {
            Shape::Row(parts) => parts,
            Shape::Box(key, _, text) if self.derives(key) => vec![text],
            _ => Vec::new(),
        }
    }

    /// Returns whether the attacker can make this term.
    pub fn derives(&self, term: Term) -> bool {
        if self.held.contains(&term) {
            return true;
        }
        match shape(term) {
            Shape::Name(..) => false,
            Shape::Word(_) => true,
            Shape::Half(_, secret) => self.derives(secret),
            Shape::Hash(_, parts) | Shape::Row(parts) => parts.iter().all(|part| self.derives(*part)),
            Shape::Box(key, beside, text) => self.derives(key) && self.derives(beside) && self.derives(text),
            Shape::Signed(secret, message) => self.derives(secret) && self.derives(message),
            Shape::Shared(one, other) => self.exchanges(one, other),
            Shape::Encapsulation(coins, secret) => self.derives(coins) && self.derives(half(Kind::Kem, secret)),
            Shape::KemSecret(coins, secret) => self.decapsulates(coins, secret),
        }
    }

    fn exchanges(&self, one: Term, other: Term) -> bool {
        let seen = |secret| self.derives(half(Kind::Exchange, secret));
        (self.derives(one) && seen(other))
            || (self.derives(other) && seen(one))
            || (self.broken.exchange && seen(one) && seen(other))
    }

    fn decapsulates(&self, coins: Term, secret: Term) -> bool {
        let public = self.derives(half(Kind::Kem, secret));
        let held = self.derives(encapsulation(coins, secret));
        (self.derives(coins) && public)
            || (self.derives(secret) && held)
            || (self.broken.exchange && self.broken.lattice && public && held)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn knowing(terms: &[Term]) -> Knowledge {
        let mut knowledge = Knowledge::new(Broken::default());
        knowledge.learn(terms.iter().copied());
        knowledge
    }

    #[test]
    fn a_box_opens_with_its_key_also_where_the_key_comes_later_or_lies_in_another() {
        let (first, second, text) = (name("k", 0), name("k", 1), name("text", 0));
        let outer = sealed(first, word("beside"), row(&[second, word("x")]));
        let inner = sealed(second, word("beside"), text);
        assert!(!knowing(&[outer, inner]).derives(text));
        assert!(!knowing(&[first, inner]).derives(text));
        assert!(knowing(&[inner, outer, first]).derives(text));
        let derived = sealed(hash("kdf", &[first, second]), word("beside"), text);
        assert!(!knowing(&[derived, first]).derives(text) && knowing(&[derived, first, second]).derives(text));
    }

    #[test]
    fn nothing_runs_backwards() {
        let (secret, message) = (name("k", 0), name("message", 0));
        let knowledge = knowing(&[
            half(Kind::Sign, secret),
            signed(secret, message),
            hash("h", &[secret]),
            encapsulation(secret, message),
        ]);
        assert!(!knowledge.derives(secret) && !knowledge.derives(message));
        assert!(!knowledge.derives(signed(secret, word("other"))), "a signature is for its message");
        assert!(!knowledge.derives(half(Kind::Exchange, secret)), "a public half is of its kind");
    }

    #[test]
    fn a_secret_in_common_needs_one_of_its_secrets_and_the_other_half() {
        let (one, other) = (name("x", 0), name("x", 1));
        let (one_half, other_half) = (half(Kind::Exchange, one), half(Kind::Exchange, other));
        assert_eq!(shared(one, other), shared(other, one));
        assert!(!knowing(&[one_half, other_half]).derives(shared(one, other)));
        assert!(!knowing(&[one]).derives(shared(one, other)));
        assert!(knowing(&[one, other_half]).derives(shared(one, other)));
        let mut later = Knowledge::new(Broken { exchange: true, lattice: false });
        later.learn([one_half, other_half]);
        assert!(later.derives(shared(one, other)));
    }

    #[test]
    fn an_encapsulation_opens_to_its_coins_and_its_owner_and_to_who_breaks_both_halves() {
        let (coins, secret) = (name("coins", 0), name("kem", 0));
        let (public, travels) = (half(Kind::Kem, secret), encapsulation(coins, secret));
        let given = kem_secret(coins, secret);
        assert!(!knowing(&[public, travels]).derives(given));
        assert!(knowing(&[public, coins]).derives(given) && knowing(&[secret, travels]).derives(given));
        for (exchange, lattice) in [(true, false), (false, true), (true, true)] {
            let mut later = Knowledge::new(Broken { exchange, lattice });
            later.learn([public, travels]);
            assert_eq!(later.derives(given), exchange && lattice);
        }
    }
}
