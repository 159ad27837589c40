//! Opens an invitation that was meant for somebody else.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use zajil_client::engine::api::{Pairing, Reply, Request, Voice};
use zajil_client::engine::host::{Host, Parts, create};
use zajil_client::store::MemoryStore;
use zajil_net::DialOptions;
use zajil_proto::random;

use super::{AttackScene, Loot};
use crate::sim::plan::PersonId;

/// How often the thief comes by afterwards.
const VISITS: u32 = 8;
/// Between two visits.
const PAUSE: Duration = Duration::from_secs(5 * 60);
/// How long one visit takes at most, milliseconds.
const VISIT_MILLIS: u64 = 20_000;
/// What the thief calls whoever made the link.
const PREY: &str = "Prey";

/// Takes up the overheard link, if there is one, with a device of their own, and comes by for most of an hour to see
/// what it brings. What it brings up to now stands in [`AttackScene::loot`]: notes to an unconfirmed contact are all that it
/// may be, which whoever knows when people were confirmed has to judge.
pub(super) async fn steal(scene: &mut AttackScene, from: PersonId, to: PersonId) -> Vec<String> {
    let Some(link) = scene.links.get(&(from, to)).cloned() else { return Vec::new() };
    let mut chance = scene.chance.fork("thief");
    let dial = DialOptions { rng_seed: Some(random::bytes(&mut chance)), ..DialOptions::default() };
    scene.chance.draw();
    let parts = Parts {
        clock: Arc::clone(&scene.clock),
        network: Arc::clone(&scene.network),
        random: Box::new(chance),
        store: Box::new(MemoryStore::new()),
        dial,
    };
    let mut thief = create(parts, &scene.relay).expect("an empty store takes a new device");
    let accept = Request::Accept { name: PREY.to_owned(), link, in_person: false };
    let opened = matches!(ask(&mut thief, accept).await, Some(Reply::Accepted { .. }));
    let loot = Rc::clone(&scene.loot);
    let place = loot.borrow().len();
    loot.borrow_mut().push(Loot { from, to, opened, notes: Vec::new() });
    let mut breaches = Vec::new();
    for _ in 0..VISITS {
        let _unreachable = ask(&mut thief, Request::Sync { timeout_millis: VISIT_MILLIS }).await;
        let notes = readable(&mut thief).await;
        loot.borrow_mut()[place].notes = notes;
        breaches = too_much(&mut thief).await;
        if !breaches.is_empty() {
            break;
        }
        sleep(PAUSE).await;
    }
    breaches
}

async fn ask(host: &mut Host, request: Request) -> Option<Reply> {
    host.execute(request, &mut |_| {}).await.ok()
}

/// Returns the notes that the thief can open, whole or in part.
async fn readable(thief: &mut Host) -> Vec<Voice> {
    let Some(Reply::Notes(notes)) = ask(thief, Request::Inbox { all: false }).await else { return Vec::new() };
    let mut readable = Vec::new();
    for note in notes {
        let voice = ask(thief, Request::Voice { number: note.number }).await;
        if let Some(Reply::Voice { voice, .. }) = voice
            && !voice.packets.is_empty()
        {
            readable.push(voice);
        }
    }
    readable
}

/// Says what the thief has got that only somebody confirmed gets.
async fn too_much(thief: &mut Host) -> Vec<String> {
    let mut breaches = Vec::new();
    if let Some(Reply::Contacts(contacts)) = ask(thief, Request::Contacts).await {
        for contact in contacts {
            if contact.pairing == Pairing::Confirmed {
                breaches.push("confirmed without comparing digits".to_owned());
            }
            if contact.shows_word {
                breaches.push("a slot was granted to somebody unconfirmed".to_owned());
            }
        }
    }
    let seen = Request::Seen { name: PREY.to_owned(), timeout_millis: VISIT_MILLIS };
    if let Some(Reply::Seen(view)) = ask(thief, seen).await
        && (view.word.is_some() || view.bucket.is_some())
    {
        breaches.push("a last word was shown to somebody unconfirmed".to_owned());
    }
    breaches
}
