//! Invariant 6: memory, disk, tasks, sockets and queues stay within the limits of each crate, and go back to rest after calm.
//!
//! A load is taken down at every full hour and at the end, so a peak in between is not seen: each queue's own limit is held by
//! tests of its crate. That refused work leaves nothing behind is judged where notes are heard; that a full disk costs no
//! promise, by invariant 1.
//!
//! Not judged: what a disk holds when its room was made smaller than what lay on it; tasks that are not of a QUIC endpoint, which the
//! world does not count; bytes by mailbox, which the relay does not tell (they are bounded by what parcels there can have).

use std::collections::BTreeMap;

use zajil_client::engine::api::NoteMark;
use zajil_client::limits::{
    CONTACTS_MAX, FINISH_MILLIS_MAX, HUNT_OFTEN_MILLIS, HUNT_RARELY_MILLIS, HUNT_SELDOM_FOR_MILLIS, OUTBOX_BYTES_MAX,
};
use zajil_net::limits::{CLOSE_LINGER, CLOSE_TIMEOUT, UNHEARD_RTT};
use zajil_proto::limits::{IDLE_MILLIS, STORE_REQUESTS_MAX};
use zajil_relay::limits::{MAILBOX_BYTES_MAX, MAILBOX_PARCELS_MAX, SESSIONS_MAX, TOMBSTONES_MAX};

use super::Violation;
use super::story::{Story, is_whole};
use crate::sim::plan::{AttackerDeed, Deed, HOUR, MINUTE, Millis, PersonDeed, PersonId, RelayDeed};
use crate::sim::record::{Entry, PhoneLoad, RelayLoad, Seen};

/// Tasks of one QUIC connection of a phone: its endpoint's and its own.
const TASKS_PER_CONNECTION: usize = 2;
/// Sockets of one try to reach a relay: QUIC's, and TLS's.
const CONNECTIONS_PER_DIAL: u64 = 2;
/// How long a phone may have been without its relay and still dial more often than rarely.
const DARK_MILLIS: Millis = HUNT_SELDOM_FOR_MILLIS + MINUTE;
/// Bytes of datagrams with which a phone may look for a relay once: one of 1 200.
const HUNT_BYTES: u64 = 1_300;
/// Bytes that a phone may say besides, where it last met its relay more than hours ago.
const GOODBYE_BYTES: u64 = 5_000;
/// Connections to one relay that a phone may have at once: the one it uses, one that is being tried, and those that are
/// still closing when the next is dialled.
const CONNECTIONS_PER_RELAY: usize = 2 + closing();
/// How long a relay may keep a connection in which nobody says anything, milliseconds: a session's idle time and, where its
/// goodbye is lost, the transport's after it; and a minute in which it begins and ends.
const SILENCE_MILLIS: Millis = 2 * IDLE_MILLIS + MINUTE;
/// How long an attacker goes about one thing at most.
const DEED_MILLIS: Millis = HOUR;
/// Bytes of the largest parcel that an attacker hoards, with what a relay keeps beside a body.
const HOARDED_BYTES: u64 = 110_000;
/// Bytes of a control parcel at most, with what a relay keeps beside a body.
const CONTROL_BYTES: u64 = 5_000;
/// Bytes a relay keeps of a parcel beside its body: header, a mark per 8 KiB of the longest, row.
const BESIDE_BODY_BYTES: u64 = 20_000;
/// Bytes a relay keeps for what is no parcel: mailboxes, slots, words, tombstones.
const ROWS_BYTES: u64 = 1_000_000;

/// Requests of what a session had begun when it was found to ask too fast.
const A_FEW: u64 = 64;
/// Bytes that a phone keeps beside its notes: keys, sessions of 32 notes, words, frames that are not acknowledged.
const KEPT_BYTES: u64 = 250_000;
/// Bytes that a phone keeps of a note beside its recording: what is listed of it, and tags of notes that were opened.
const KEPT_BYTES_PER_NOTE: u64 = 1_500;

/// Connections that may still be closing: each is dialled at the earliest after the pause, and lingers so long. QUIC keeps the socket of a
/// connection that is closed for three probe timeouts (RFC 9000, section 10.2), each of three times the round trip where none was measured.
const fn closing() -> usize {
    let drains = 3 * 3 * UNHEARD_RTT.as_secs() * 1_000 + 3 * 3 * UNHEARD_RTT.subsec_millis() as u64;
    let lingers = FINISH_MILLIS_MAX + 1_000 * (CLOSE_TIMEOUT.as_secs() + CLOSE_LINGER.as_secs()) + drains;
    let mut connections = 0;
    while connections as u64 * HUNT_OFTEN_MILLIS < lingers {
        connections += 1;
    }
    connections
}

/// Judges a run.
pub(super) fn judge(story: &Story<'_>, violations: &mut Vec<Violation>) {
    let last = |at: Millis| at >= story.record.ended_at;
    let mut dialled = BTreeMap::new();
    for entry in &story.record.entries {
        let (at, found) = match &entry.seen {
            Seen::PhoneLoad(who, load) => {
                let mut found = phone(story, *who, load, entry.at);
                let before = dialled.insert(*who, (entry.at, load));
                found.extend(before.map_or_else(Vec::new, |before| dials(story, *who, before, (entry.at, load))));
                if last(entry.at) {
                    let what = format!("bytes that the phone of person {who} still keeps");
                    found.extend(above(&what, load.disk_bytes, still_kept(story, *who)));
                }
                (entry.at, found)
            }
            Seen::RelayLoad(load) => (entry.at, relay(story, load, entry.at, last(entry.at))),
            _ => continue,
        };
        violations.extend(found.into_iter().map(|text| Violation::new(6, at, text)));
    }
}

/// Says which number is above which limit.
fn above(what: &str, got: u64, most: u64) -> Option<String> {
    (got > most).then(|| format!("{what}: {got}, and {most} at most"))
}

/// Connections that a phone has begun since it was looked at last: few, and brief, if it has long been without the relay.
fn dials(story: &Story<'_>, who: PersonId, before: (Millis, &PhoneLoad), now: (Millis, &PhoneLoad)) -> Vec<String> {
    let Some(since) = before.0.checked_sub(DARK_MILLIS) else { return Vec::new() };
    // A phone that starts, and whoever asks something of a relay, lets it be dialled at once.
    let hurries = |entry: &Entry| {
        let is_hers = match &entry.seen {
            Seen::Phone(whose, _) | Seen::Failed(whose, ..) => *whose == who,
            Seen::Played(event) => match &event.deed {
                Deed::Person(_, PersonDeed::Look | PersonDeed::Listen { .. }) => false,
                Deed::Person(..) => event.deed.people().contains(&who),
                _ => false,
            },
            _ => false,
        };
        is_hers && (since..=now.0).contains(&entry.at)
    };
    if story.reach(who).touch(since, now.0) || story.record.entries.iter().any(hurries) {
        return Vec::new();
    }
    let most = CONNECTIONS_PER_DIAL * ((now.0 - before.0) / HUNT_RARELY_MILLIS + 2);
    let begun = now.1.connections - before.1.connections;
    let sent = now.1.sent_bytes - before.1.sent_bytes;
    let found = [
        above(&format!("connections that the phone of person {who} has begun in the dark"), begun, most),
        above(
            &format!("bytes that the phone of person {who} has sent in the dark"),
            sent,
            begun * HUNT_BYTES + GOODBYE_BYTES,
        ),
    ];
    found.into_iter().flatten().collect()
}

fn phone(story: &Story<'_>, who: PersonId, load: &PhoneLoad, at: Millis) -> Vec<String> {
    let whose = |what: &str| format!("{what} of the phone of person {who}");
    let mut found = vec![
        above(&whose("tasks"), size(load.tasks), size(TASKS_PER_CONNECTION * CONNECTIONS_PER_RELAY)),
        above(&whose("sockets"), size(load.sockets), size(CONNECTIONS_PER_RELAY)),
    ];
    if let Some(room) = phone_room(story, who, at) {
        found.push(above(&whose("bytes on the disk"), load.disk_bytes, room));
    }
    if let Some(status) = &load.status {
        found.push(above(&whose("contacts"), status.contacts.into(), size(CONTACTS_MAX)));
        found.push(above(&whose("bytes that wait"), status.waiting_bytes, OUTBOX_BYTES_MAX));
    }
    found.into_iter().flatten().collect()
}

fn relay(story: &Story<'_>, load: &RelayLoad, at: Millis, is_last: bool) -> Vec<String> {
    // At rest nobody is there but phones, each with one session and those that are still closing, and strangers who came late.
    let guests = size(story.plan.cast().len() * CONNECTIONS_PER_RELAY) + strangers(story, at);
    let sessions = if is_last { guests.min(SESSIONS_MAX.into()) } else { SESSIONS_MAX.into() };
    let mut found = vec![
        above("sessions of the relay", load.sessions, sessions),
        // Its endpoint, and every connection.
        above("tasks of the relay", size(load.tasks), 1 + sessions),
        above("sockets of the relay", size(load.sockets), 1),
        // A watch ends with its session.
        above("sessions of the relay that watch mailboxes", load.watching, load.sessions),
        above("requests of one session that waited at the relay", load.requests_most, size(STORE_REQUESTS_MAX) + A_FEW),
        above("tombstones of the relay", load.tombstones, size(TOMBSTONES_MAX)),
        above("parcels that the relay keeps beyond their time", load.overdue, 0),
        above("bytes of parcels at the relay", load.disk_bytes, most_held(story, load)),
    ];
    let most = load.per_mailbox.iter().max().copied().unwrap_or(0);
    found.push(above("parcels in one mailbox", most, MAILBOX_PARCELS_MAX.into()));
    if let Some(room) = relay_room(story, at) {
        found.push(above("bytes on the disk of the relay", load.disk_bytes, room));
    }
    found.into_iter().flatten().collect()
}

/// What a phone can have reason to keep at the end: every note's recording once, what is sealed of those that go out until it
/// is delivered, and something for each person and note.
fn still_kept(story: &Story<'_>, who: PersonId) -> u64 {
    let mut bytes = KEPT_BYTES;
    for ((whose, number), sights) in story.sights.range((who, 0)..=(who, u32::MAX)) {
        let Some(sight) = sights.last() else { continue };
        let serial = story.outgoing.get(&(*whose, *number)).copied().or_else(|| story.serial_at(*whose, *number));
        let taken = serial.and_then(|serial| story.takings.get(&serial));
        let (here, all) = sight.shown.progress;
        let sealed = u64::from(taken.map_or(here.max(all), |(_, taken)| taken.sealed_bytes));
        let done = is_whole(sight.shown.mark) || sight.shown.mark == NoteMark::Expired;
        bytes += KEPT_BYTES_PER_NOTE + sealed * if done { 1 } else { 2 };
    }
    bytes
}

/// Sessions that strangers may have at a moment: those of a flood, until the relay must have ended them for their silence, and
/// as many as a phone for anybody who still goes about something else.
fn strangers(story: &Story<'_>, at: Millis) -> u64 {
    let sessions = story.record.entries.iter().map(|entry| match &entry.seen {
        Seen::Played(event) => match event.deed {
            Deed::Attacker(AttackerDeed::Flood { connections }) if at < entry.at + SILENCE_MILLIS => connections.into(),
            Deed::Attacker(AttackerDeed::Flood { .. } | AttackerDeed::Truncate { .. }) => 0,
            Deed::Attacker(_) | Deed::Audit { .. } if at < entry.at + DEED_MILLIS => size(CONNECTIONS_PER_RELAY),
            _ => 0,
        },
        _ => 0,
    });
    sessions.sum()
}

/// What a relay can hold at most in the mailboxes that it has, with so many parcels in each.
fn most_held(story: &Story<'_>, load: &RelayLoad) -> u64 {
    let longest = story.takings.values().map(|(_, taken)| u64::from(taken.sealed_bytes)).max().unwrap_or(0);
    let hoards = story.record.entries.iter().any(|entry| match &entry.seen {
        Seen::Played(event) => matches!(event.deed, Deed::Attacker(AttackerDeed::Hoard { .. })),
        _ => false,
    });
    let largest = (longest + BESIDE_BODY_BYTES).max(CONTROL_BYTES).max(if hoards { HOARDED_BYTES } else { 0 });
    let full = |parcels: &u64| (parcels * largest).min(MAILBOX_BYTES_MAX + parcels * BESIDE_BODY_BYTES);
    load.per_mailbox.iter().map(full).sum::<u64>() + ROWS_BYTES
}

/// The most room that a phone's disk had until a moment; `None` if it ever had enough.
fn phone_room(story: &Story<'_>, who: PersonId, at: Millis) -> Option<u64> {
    let first = story.plan.people.get(usize::from(who))?.disk_bytes;
    most_room(story, first, at, |deed| match deed {
        Deed::Person(whose, PersonDeed::DiskBytes(bytes)) if *whose == who => Some(*bytes),
        _ => None,
    })
}

/// The same for the relay's disk.
fn relay_room(story: &Story<'_>, at: Millis) -> Option<u64> {
    most_room(story, story.plan.relay.disk_bytes, at, |deed| match deed {
        Deed::Relay(RelayDeed::DiskBytes(bytes)) => Some(*bytes),
        _ => None,
    })
}

fn most_room(
    story: &Story<'_>,
    first: Option<u64>,
    at: Millis,
    changed: impl Fn(&Deed) -> Option<Option<u64>>,
) -> Option<u64> {
    // Calm gives everybody enough.
    let mut most = first.filter(|_| at < story.record.calm_at)?;
    for entry in story.record.entries.iter().filter(|entry| entry.at <= at) {
        if let Seen::Played(event) = &entry.seen
            && let Some(room) = changed(&event.deed)
        {
            most = most.max(room?);
        }
    }
    Some(most)
}

fn size(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::cases::{Tale, load, relay_load};
    use super::*;

    fn phone_with(change: impl Fn(&mut PhoneLoad)) -> Tale {
        let mut tale = Tale::good();
        let mut held = load(0);
        change(&mut held);
        tale.add(60, Seen::PhoneLoad(1, held));
        tale
    }

    fn relay_with(minute: Millis, change: impl Fn(&mut RelayLoad)) -> Tale {
        let mut tale = Tale::good();
        let mut held = relay_load();
        change(&mut held);
        tale.add(minute, Seen::RelayLoad(held));
        tale
    }

    #[test]
    fn a_phone_that_holds_more_than_its_limits_is_found() {
        phone_with(|_| {}).is_good();
        phone_with(|load| load.tasks = 50).breaks(6, "tasks of the phone of person 1: 50");
        phone_with(|load| load.sockets = 20).breaks(6, "sockets of the phone of person 1: 20");
        phone_with(|load| load.status.as_mut().expect("it is there").contacts = 201).breaks(6, "contacts of the phone");
        let waiting = |load: &mut PhoneLoad| load.status.as_mut().expect("it is there").waiting_bytes = 1_000_000_001;
        phone_with(waiting).breaks(6, "bytes that wait");
    }

    #[test]
    fn a_phone_that_goes_on_dialling_in_the_dark_is_found() {
        let dials = |hours: u64, connections: u64, asks_at: u64, bytes: u64| {
            let mut tale = Tale::good();
            tale.play(asks_at * 60, Deed::Person(1, PersonDeed::Sync));
            tale.add(60, Seen::Link(1, false));
            for (hour, connections) in [(hours, 500), (hours + 1, 500 + connections)] {
                let sent_bytes = connections * bytes;
                tale.add(60 * hour, Seen::PhoneLoad(1, PhoneLoad { connections, sent_bytes, ..load(0) }));
            }
            tale.record.ended_at = (hours + 2) * HOUR;
            tale.verdict().iter().any(|found| found.invariant == 6 && found.text.contains("in the dark"))
        };
        assert!(dials(20, 125, 1, 1_228) && !dials(20, 124, 1, 1_228) && !dials(5, 1_200, 1, 1_228));
        assert!(!dials(20, 1_200, 15, 1_228), "whoever asks wants to know now");
        assert!(dials(20, 60, 1, 2_456), "more than one datagram each time");
    }

    #[test]
    fn a_phone_that_holds_more_than_its_disk_is_found() {
        let mut tale = phone_with(|_| {});
        tale.plan.people[1].disk_bytes = Some(10_000);
        tale.is_good();
        tale.plan.people[1].disk_bytes = Some(9_999);
        tale.breaks(6, "bytes on the disk of the phone of person 1: 10000, and 9999 at most");
        tale.play(59, Deed::Person(1, PersonDeed::DiskBytes(Some(20_000)))).is_good();
    }

    #[test]
    fn a_phone_that_keeps_what_it_has_no_use_for_is_found() {
        let keeps = |bytes| {
            let mut tale = Tale::good();
            let mut held = load(0);
            held.disk_bytes = bytes;
            tale.add(110, Seen::PhoneLoad(1, held));
            tale
        };
        keeps(KEPT_BYTES).is_good();
        keeps(KEPT_BYTES + 200_000).breaks(6, "bytes that the phone of person 1 still keeps");
    }

    #[test]
    fn a_relay_that_holds_more_than_its_limits_is_found() {
        relay_with(60, |_| {}).is_good();
        relay_with(60, |load| load.sessions = 4_097).breaks(6, "sessions of the relay: 4097");
        relay_with(60, |load| load.tasks = 4_098).breaks(6, "tasks of the relay: 4098");
        relay_with(60, |load| load.watching = 2)
            .breaks(6, "sessions of the relay that watch mailboxes: 2, and 1 at most");
        relay_with(60, |load| load.per_mailbox = vec![3, 2_001]).breaks(6, "parcels in one mailbox: 2001");
        relay_with(60, |load| load.tombstones = 8_000_001).breaks(6, "tombstones");
        relay_with(60, |load| load.overdue = 1).breaks(6, "parcels that the relay keeps beyond their time: 1");
        relay_with(60, |load| load.requests_most = 1_024 + 8).is_good();
        relay_with(60, |load| load.requests_most = 1_200).breaks(6, "requests of one session that waited");
    }

    #[test]
    fn a_mailbox_over_its_bytes_is_found() {
        let hoard = |parcels: u64| {
            let mut tale = relay_with(60, |load| {
                (load.per_mailbox, load.disk_bytes) = (vec![parcels, 2], parcels * 100_000);
            });
            tale.play(30, Deed::Attacker(AttackerDeed::Hoard { parcels: 1_000 }));
            tale
        };
        hoard(600).is_good();
        hoard(1_000).breaks(6, "bytes of parcels at the relay: 100000000");
    }

    #[test]
    fn what_guests_left_open_is_closed_at_the_end() {
        relay_with(60, |load| load.sessions = 300).is_good();
        relay_with(110, |load| load.sessions = 300).breaks(6, "sessions of the relay: 300");
        let flooded = |minute| {
            let mut tale = relay_with(110, |load| load.sessions = 300);
            tale.play(minute, Deed::Attacker(AttackerDeed::Flood { connections: 300 }));
            tale
        };
        flooded(100).breaks(6, "sessions of the relay: 300");
        flooded(106).is_good();
    }

    #[test]
    fn a_relay_that_holds_more_than_its_disk_is_found() {
        let mut tale = relay_with(60, |load| load.disk_bytes = 30_000);
        tale.plan.relay.disk_bytes = Some(30_000);
        tale.is_good();
        tale.plan.relay.disk_bytes = Some(29_000);
        tale.breaks(6, "bytes on the disk of the relay");
        tale.play(10, Deed::Relay(RelayDeed::DiskBytes(None))).is_good();
    }
}
