//! What leaves before the handshake is over (P8.20), and what waits for it.

use std::collections::{BTreeMap, VecDeque};

use crate::ids::{ReadTag, SlotId};
use crate::keys::SigningKey;
use crate::session::client::{ClientCommand, ClientEvent, ClientSession, Ticket};
use crate::session::lanes::{Lanes, Port};
use crate::session::{Lane, Rank};
use crate::wire::{Code, Frame, Scope, Word};

use super::EARLY_DOWNLOAD_BYTES_MAX;

/// A session whose handshake is not over.
#[derive(Default)]
pub(super) struct Early {
    /// What waits for the handshake, in the order in which it was given.
    held: VecDeque<ClientCommand>,
    /// What was asked on the strength of a ticket or passed on, as it was sent.
    asked: Vec<u8>,
    /// Words of this device's own that have left, each with the key that proves it when the handshake is over.
    words: Vec<(Word, SigningKey)>,
}

impl Early {
    /// Returns whether nothing waits for the handshake.
    pub(super) fn is_said(&self) -> bool {
        self.held.is_empty() && self.words.is_empty()
    }

    /// Returns whether a slot is as it will be when what waits has been said.
    fn leaves_alone(&self, slot: SlotId) -> bool {
        !self.held.iter().any(|command| match command {
            ClientCommand::Register(registering) => {
                let id = registering.scope.id(&registering.write_key, &registering.read_tag);
                (registering.scope, id) == (Scope::Slot, slot.0)
            }
            ClientCommand::Drop { scope, id } => (*scope, *id) == (Scope::Slot, slot.0),
            _ => false,
        })
    }
}

/// Which keys this session has proven, and which it need not prove.
#[derive(Default)]
pub(super) struct Proofs {
    /// What was shown in this session, unless nobody took it.
    pub(super) ticket: Option<Ticket>,
    /// In the order in which they were sent.
    sent: Vec<(Scope, [u8; 16])>,
    /// What the ticket stands for is proven only when more is to be done with it than reading.
    spared: BTreeMap<(Scope, [u8; 16]), ClientCommand>,
}

impl Proofs {
    /// Notes that a key is being proven.
    pub(super) fn prove(&mut self, scope: Scope, id: [u8; 16]) {
        self.sent.push((scope, id));
    }

    /// Returns what a ticket stands for that the relay gave after so many proofs.
    fn ticket(&self, secret: [u8; 32], proofs: u16) -> Ticket {
        let shown = self.ticket.iter().flat_map(|ticket| ticket.keys.iter());
        let keys = shown.chain(self.sent.iter().take(proofs.into())).copied().collect();
        Ticket { secret, keys, rests: self.ticket.is_some() }
    }
}

impl ClientSession {
    /// Sends a command's frames now, or keeps it until they may leave.
    pub(super) fn command(&mut self, command: ClientCommand) {
        if let ClientCommand::Prove { scope: Scope::Slot, write_key, read_key } = &command {
            // What is told of a slot on the strength of a ticket is checked all the same.
            self.requests.know_slot(*write_key, read_key);
        }
        let Some(early) = &mut self.early else { return self.settled(command) };
        let bytes = self.port.transmitted().saturating_add(bytes_of(&command));
        let has_room = bytes <= self.settings.early_bytes_max;
        let may_leave = match &command {
            // How much of these leaves is seen where they are sent.
            ClientCommand::Offer(_) | ClientCommand::Extend { .. } | ClientCommand::Finish => {
                return self.carry_out(command);
            }
            ClientCommand::PutWord { word, .. } => early.leaves_alone(word.slot()),
            _ => by_ticket(self.proofs.ticket.as_ref(), &command),
        };
        if !has_room || !may_leave {
            early.held.push_back(command);
        } else if let ClientCommand::PutWord { word, write_key: Some(write_key) } = command {
            if self.requests.put_word_early(&mut self.port, word.clone()) {
                early.words.push((word, write_key));
            }
        } else {
            let place = self.port.place();
            self.carry_out(command);
            let asked = self.port.control_since(place);
            if let Some(early) = &mut self.early {
                early.asked.extend(asked);
            }
        }
    }

    /// Carries out a command after the handshake; what the ticket stands for is not proven before that is needed.
    fn settled(&mut self, command: ClientCommand) {
        let key = match &command {
            ClientCommand::Prove { scope, write_key, read_key } => {
                let id = scope.id(write_key, &ReadTag::of(&read_key.public()));
                if self.proofs.ticket.as_ref().is_some_and(|ticket| ticket.covers(*scope, id)) {
                    self.proofs.spared.insert((*scope, id), command);
                    return;
                }
                None
            }
            ClientCommand::Register(registering) => {
                let id = registering.scope.id(&registering.write_key, &registering.read_tag);
                Some((registering.scope, id))
            }
            ClientCommand::Drop { scope, id } => Some((*scope, *id)),
            _ => None,
        };
        if let Some(proof) = key.and_then(|key| self.proofs.spared.remove(&key)) {
            self.carry_out(proof);
        }
        self.carry_out(command);
    }

    /// The handshake is over, and the relay has what was said before.
    pub(super) fn confirmed(&mut self, exporter: [u8; 32]) {
        if let Some(early) = self.early.take() {
            self.exporter = exporter;
            for (word, write_key) in early.words {
                let which = (word.slot(), word.version);
                self.requests.prove_word(&mut self.port, &self.exporter, which, &write_key);
            }
            for command in early.held {
                self.command(command);
            }
        }
    }

    /// The handshake is over, and the relay has nothing of what was said before: says it again. What the ticket stood for is proven.
    pub(super) fn refused(&mut self, exporter: [u8; 32]) {
        let Some(early) = self.early.take() else { return };
        self.exporter = exporter;
        if self.proofs.ticket.take().is_some() {
            self.port.event(ClientEvent::TicketRefused);
        }
        self.lanes = Lanes::new(EARLY_DOWNLOAD_BYTES_MAX);
        self.port.begin_again();
        say_hello(&mut self.port);
        if !sabotaged!(RefusedNotSaidAgain) {
            self.uploads.begin_again();
        }
        self.requests.forget_early_words();
        for (word, write_key) in early.words {
            self.command(ClientCommand::PutWord { word, write_key: Some(write_key) });
        }
        for command in early.held {
            self.command(command);
        }
        if !early.asked.is_empty() {
            self.port.transmit(Lane::Control, Rank::FIRST, early.asked, false);
        }
    }

    /// The relay gives a ticket, or says that it does not know the one that it was shown.
    pub(super) fn ticket(&mut self, secret: [u8; 32], proofs: u16) -> Result<(), Code> {
        if secret == [0; 32] {
            if self.proofs.ticket.is_none() {
                return Err(Code::UNEXPECTED);
            }
            reached!(TicketUnknown);
            self.port.event(ClientEvent::TicketUnknown);
            self.port.say_close(Code::OK);
            self.close(Code::OK, false);
        } else {
            let ticket = self.proofs.ticket(secret, proofs);
            self.port.event(ClientEvent::Ticket(Box::new(ticket)));
        }
        Ok(())
    }
}

/// Sends what a session begins with.
pub(super) fn say_hello(port: &mut Port<ClientEvent>) {
    port.control(&Frame::Hello { lowest: super::VERSION, highest: super::VERSION, features: 0 });
}

/// Returns whether a command asks for no more than what the ticket stands for.
fn by_ticket(ticket: Option<&Ticket>, command: &ClientCommand) -> bool {
    ticket.is_some_and(|ticket| match command {
        ClientCommand::Watch { mailbox, .. } | ClientCommand::Release { mailbox, .. } => {
            ticket.covers(Scope::Mailbox, mailbox.0)
        }
        ClientCommand::GetSeen { slot } => ticket.covers(Scope::Slot, slot.0),
        _ => false,
    })
}

/// Returns about how many bytes it takes to ask this.
fn bytes_of(command: &ClientCommand) -> usize {
    const EACH: usize = 32;
    const WORD: usize = 392;
    match command {
        ClientCommand::PutWord { .. } => WORD,
        ClientCommand::Watch { held, .. } => EACH.saturating_mul(held.len().saturating_add(1)),
        ClientCommand::Release { ids, .. } => EACH.saturating_mul(ids.len().saturating_add(1)),
        _ => EACH,
    }
}
