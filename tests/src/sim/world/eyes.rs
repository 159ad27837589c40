//! What a person sees and hears, and how the world writes it down.

use std::collections::BTreeSet;
use std::rc::Rc;

use zajil_client::engine::api::{Direction, NoteMark, NoteView, Reply, Request};

use super::phone::{NoAnswer, Phone, ask};
use super::{World, name, person_named, speech};
use crate::sim::plan::PersonId;
use crate::sim::record::{Answer, Heard, Seen, shown};

/// How long somebody waits for an answer from a relay, milliseconds.
pub(super) const PATIENCE_MILLIS: u64 = 20_000;

/// Looks at contacts and notes, and writes down what has changed.
pub(super) async fn look(world: &Rc<World>, phone: &Rc<Phone>) {
    let _open = phone.eyes.lock().await;
    if let Ok(Reply::Contacts(contacts)) = ask(world, phone, Request::Contacts).await {
        for contact in contacts {
            let mut view = phone.view.borrow_mut();
            if view.contacts.get(&contact.name) != Some(&contact) {
                view.contacts.insert(contact.name.clone(), contact.clone());
                drop(view);
                world.see(Seen::Contact(phone.id, contact));
            }
        }
    }
    let Ok(Reply::Notes(notes)) = ask(world, phone, Request::Inbox { all: true }).await else { return };
    // At once: whoever listens in waits behind what others ask of the program meanwhile, and the list is as old as its answer.
    let order: Vec<u32> = notes.iter().map(|note| note.number).collect();
    if phone.view.borrow().order != order {
        phone.view.borrow_mut().order.clone_from(&order);
        world.see(Seen::Order(phone.id, order));
    }
    for note in &notes {
        see_note(world, phone, note).await;
    }
}

/// Writes down a note's state if it is news.
async fn see_note(world: &Rc<World>, phone: &Rc<Phone>, note: &NoteView) {
    let Some(other) = person_named(&note.contact) else {
        return world.broken(format!("person {} sees a note of nobody: {:?}", phone.id, note.contact));
    };
    let known = phone.view.borrow().serials.get(&note.number).copied();
    let serial = match known {
        Some(serial) => Some(serial),
        None => listen_in(world, phone, note.number).await,
    };
    let now = shown(note, other, serial);
    let mut view = phone.view.borrow_mut();
    if view.notes.get(&note.number) != Some(&now) {
        view.notes.insert(note.number, now.clone());
        drop(view);
        world.see(Seen::Note(phone.id, now));
    }
}

/// Finds out by its sound which note it is.
async fn listen_in(world: &Rc<World>, phone: &Rc<Phone>, number: u32) -> Option<u32> {
    let Ok(Reply::Voice { voice, .. }) = ask(world, phone, Request::Voice { number }).await else { return None };
    let serial = speech::serial(&voice)?;
    phone.view.borrow_mut().serials.insert(number, serial);
    Some(serial)
}

/// Listens to all that is whole and was not heard, but for every `skip`-th.
pub(super) async fn listen(world: &Rc<World>, phone: &Rc<Phone>, skip: u32) {
    let Ok(Reply::Notes(notes)) = ask(world, phone, Request::Inbox { all: false }).await else { return };
    let whole = notes.iter().filter(|note| note.direction == Direction::In && note.mark == NoteMark::Delivered);
    let numbers: Vec<u32> = whole.map(|note| note.number).collect();
    for number in numbers {
        if skip > 0 && number % skip == 0 {
            continue;
        }
        if hear(world, phone, number).await.is_none() {
            return;
        }
    }
}

/// Listens to one note to its end. `None` if the phone went off.
async fn hear(world: &Rc<World>, phone: &Rc<Phone>, number: u32) -> Option<()> {
    let (note, voice) = match ask(world, phone, Request::Voice { number }).await {
        Ok(Reply::Voice { note, voice }) => (note, voice),
        Ok(_) | Err(NoAnswer::Off) => return None,
        Err(NoAnswer::Failed(failure)) => {
            world.see(Seen::Failed(phone.id, format!("listening to note {number}"), failure));
            return Some(());
        }
    };
    let serial = speech::serial(&voice);
    let spoken = serial.and_then(|serial| world.spoken(serial));
    let identical = spoken.is_some_and(|spoken| spoken == voice);
    let told = ask(world, phone, Request::Heard { number }).await.is_ok();
    if let Some(serial) = serial {
        phone.view.borrow_mut().serials.insert(number, serial);
    }
    let decodes = speech::decodes(&voice);
    let from = person_named(&note.contact).unwrap_or(PersonId::MAX);
    let heard = Heard { by: phone.id, from, number, serial, identical, decodes, sequence: note.sequence, told };
    world.see(Seen::Heard(heard));
    Some(())
}

/// Asks when somebody was last seen.
pub(super) async fn ask_seen(world: &Rc<World>, phone: &Rc<Phone>, of: PersonId, asked_relay: bool) {
    let timeout_millis = if asked_relay { PATIENCE_MILLIS } else { 0 };
    let asked_at = world.now();
    match ask(world, phone, Request::Seen { name: name(of), timeout_millis }).await {
        Ok(Reply::Seen(view)) => {
            let serial = view.word.as_ref().and_then(|word| speech::word_serial(&word.text));
            let clocks = (world.wall(&phone.clock), world.wall(&world.relay.clock));
            let answer = Answer { by: phone.id, of, asked_relay, asked_at, view, serial, clocks };
            world.see(Seen::Answer(Box::new(answer)));
        }
        Ok(_) | Err(NoAnswer::Off) => {}
        Err(NoAnswer::Failed(failure)) => world.see(Seen::Failed(phone.id, "asking for the last word".into(), failure)),
    }
}

/// Returns the notes a phone shows as not heard.
pub(super) fn unheard(phone: &Phone) -> BTreeSet<u32> {
    let view = phone.view.borrow();
    let unheard = view.notes.values().filter(|note| note.direction == Direction::In && note.mark < NoteMark::Heard);
    unheard.map(|note| note.number).collect()
}
