//! New keys between two devices that meet at a relay: after a phone was away, and after months.

use zajil_client::engine::api::ContactView;
use zajil_client::engine::inspection::keys_in_use;

use super::*;

const DAY: u16 = 20_777;

async fn contact(host: &mut Host) -> ContactView {
    let Reply::Contacts(mut contacts) = ask(host, Request::Contacts).await else { panic!() };
    contacts.pop().unwrap()
}

/// A note goes there, and is heard as it was spoken.
async fn speaks(from: &mut Host, to: &mut Host, name: &str, seconds: u32) {
    let spoken = voice(seconds);
    let Reply::Sent(sent) = ask(from, send(name, spoken.clone(), Wait::Stored)).await else { panic!() };
    assert_eq!(sent.mark, NoteMark::AtRelay);
    sync(to).await;
    let Reply::Notes(notes) = ask(to, Request::Inbox { all: true }).await else { panic!() };
    let came = notes.iter().find(|note| note.duration_millis == seconds * 1_000).unwrap();
    assert_eq!(heard_voice(to, came.number).await, spoken);
}

#[test]
fn after_a_phone_was_out_of_hands_no_key_of_its_copy_is_in_use_and_its_contact_knows_the_day() {
    in_one_runtime(async {
        // Which of two has the smaller key is chance, so that each is the one that renews in some.
        for _ in 0..6 {
            let mut world = World::new();
            let (mothers, fathers) = (MemoryDisk::new(), MemoryDisk::new());
            let ((mut mother, _), (mut father, _)) = (world.person_on(&mothers), world.person_on(&fathers));
            pair_by_link(&mut mother, &mut father).await;
            confirm(&mut mother, &mut father).await;
            speaks(&mut mother, &mut father, "Father", 3).await;
            let copied = keys_in_use(&mothers).unwrap();
            assert_eq!(copied.len(), 2, "an outer key and a session");
            // She has no link; a restart forgets nothing of it.
            let told = ask(&mut mother, Request::OutOfHands { day: DAY }).await;
            assert!(matches!(told, Reply::OutOfHands { contacts: 1 }));
            assert!(contact(&mut mother).await.renewing);
            for _ in 0..4 {
                sync(&mut mother).await;
                sync(&mut father).await;
            }
            let (hers, his) = (contact(&mut mother).await, contact(&mut father).await);
            assert_eq!((hers.renewing, hers.out_of_hands), (false, None));
            assert_eq!((his.renewing, his.out_of_hands), (false, Some(DAY)));
            speaks(&mut mother, &mut father, "Father", 5).await;
            speaks(&mut father, &mut mother, "Mother", 7).await;
            for disk in [&mothers, &fathers] {
                assert!(keys_in_use(disk).unwrap().is_disjoint(&copied));
            }
        }
    });
}

#[test]
fn two_who_meet_again_after_two_months_get_a_new_key_by_themselves() {
    in_one_runtime(async {
        let mut world = World::new();
        let (mothers, fathers) = (MemoryDisk::new(), MemoryDisk::new());
        let ((mut mother, _), (mut father, _)) = (world.person_on(&mothers), world.person_on(&fathers));
        pair_by_link(&mut mother, &mut father).await;
        confirm(&mut mother, &mut father).await;
        let before = keys_in_use(&mothers).unwrap();
        tokio::time::sleep(Duration::from_secs(60 * 24 * 3_600)).await;
        // What is not asked for leaves within a day.
        for _ in 0..6 {
            sync(&mut mother).await;
            sync(&mut father).await;
            tokio::time::sleep(Duration::from_secs(25 * 3_600)).await;
        }
        let after = keys_in_use(&mothers).unwrap();
        assert!(!after.is_empty() && after.is_disjoint(&before));
        assert!(!contact(&mut mother).await.renewing && !contact(&mut father).await.renewing);
        speaks(&mut mother, &mut father, "Father", 5).await;
        speaks(&mut father, &mut mother, "Mother", 7).await;
    });
}
