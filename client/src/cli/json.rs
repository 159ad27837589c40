//! Answers for programs. Names and forms here are a promise: they may gain fields, not lose or change them.
//!
//! Times are RFC 3339 in UTC, whole minutes; lengths are milliseconds, sizes bytes. Nothing depends on the language.

use jiff::Timestamp;
use serde_json::{Value, json};
use zajil_proto::time::Minute;

use crate::engine::api::{
    ContactView, Direction, Link, LinkCondition, LinkView, NoteMark, NoteView, Pairing, Receipts, RelayView,
    SeenPrecision, SeenView, Span, StatusView, SyncView, Trouble, WaitReason, WordState,
};
use crate::i18n::{date_of_day, trouble};

pub(super) fn time(minute: Minute) -> Value {
    let seconds = i64::try_from(minute.unix_seconds()).unwrap_or(i64::MAX);
    json!(Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX).to_string())
}

/// A day without a time: `2026-11-20`.
pub(super) fn day(day: u16) -> Value {
    json!(date_of_day(day).to_string())
}

fn hour(hour: u32) -> Value {
    time(Minute(hour.saturating_mul(60)))
}

pub(super) fn contact(contact: &ContactView) -> Value {
    json!({
        "name": contact.name,
        "pairing": match contact.pairing {
            Pairing::Invited => "invited",
            Pairing::Answered => "answered",
            Pairing::Unconfirmed => "unconfirmed",
            Pairing::Confirmed => "confirmed",
            Pairing::Expired => "expired",
        },
        "receipts": match contact.receipts {
            Receipts::Off => "none",
            Receipts::Later => "later",
            Receipts::AtOnce => "at-once",
        },
        "seen": match contact.seen {
            SeenPrecision::Off => "off",
            SeenPrecision::SixHours => "6h",
            SeenPrecision::Day => "day",
        },
        "disappear": span(contact.disappear),
        "shows_word": contact.shows_word,
        "unheard": contact.unheard,
        "waiting": contact.waiting,
        "out_of_hands": contact.out_of_hands.map(day),
        "renewing": contact.renewing,
    })
}

pub(super) fn mark(mark: NoteMark) -> &'static str {
    match mark {
        NoteMark::Arriving => "arriving",
        NoteMark::OnDevice => "on-device",
        NoteMark::AtRelay => "at-relay",
        NoteMark::Delivered => "delivered",
        NoteMark::Heard => "heard",
        NoteMark::Expired => "expired",
        NoteMark::Locked => "locked",
    }
}

/// The name of a span is what is typed for it.
pub(super) const fn span(span: Span) -> &'static str {
    match span {
        Span::Off => "off",
        Span::Day => "1d",
        Span::Week => "7d",
        Span::Month => "30d",
    }
}

fn waits(reason: WaitReason) -> &'static str {
    match reason {
        WaitReason::NoLink => "no-link",
        WaitReason::WrongKey => "wrong-key",
        WaitReason::NotHere => "not-here",
        WaitReason::MailboxFull => "mailbox-full",
        WaitReason::RelayFull => "relay-full",
        WaitReason::Busy => "busy",
        WaitReason::Refused => "refused",
    }
}

pub(super) fn note(note: &NoteView) -> Value {
    let (done, all) = note.progress;
    json!({
        "number": note.number,
        "contact": note.contact,
        "direction": match note.direction { Direction::In => "in", Direction::Out => "out" },
        "recorded": time(note.recorded),
        "arrived": time(note.arrived),
        "duration_ms": note.duration_millis,
        "mark": mark(note.mark),
        "erased": note.erased,
        "waits": note.waits.map(waits),
        "bytes_done": done,
        "bytes_all": all,
        "sealed_bytes": note.sealed_bytes,
        "sequence": note.sequence,
    })
}

pub(super) fn word_state(state: WordState) -> &'static str {
    match state {
        WordState::None => "none",
        WordState::Well => "well",
        WordState::Moving => "moving",
        WordState::Arrived => "arrived",
        WordState::Silent => "silent",
    }
}

/// The facts of an answer to "last seen", and the sentences that a person reads.
pub(super) fn seen(view: &SeenView, sentences: &[String]) -> Value {
    json!({
        "name": view.name,
        "granted": view.granted,
        "word": view.word.as_ref().map(|word| json!({
            "state": word_state(word.state),
            "text": word.text,
            "written": word.written.map(time),
        })),
        "bucket": view.bucket.map(|bucket| json!({
            "from": hour(bucket.start_hour),
            "hours": bucket.width_hours,
        })),
        "news": view.news.map(time),
        "checked": view.checked.map(time),
        "fresh": view.fresh,
        "relay_is_older": view.relay_is_older,
        "links": view.links.iter().map(link).collect::<Vec<_>>(),
        "now": time(view.now),
        "sentences": sentences,
    })
}

fn link(link: &LinkView) -> Value {
    json!({
        "link": link.link,
        "state": match link.state {
            LinkCondition::Unknown => "unknown",
            LinkCondition::Up => "up",
            LinkCondition::Down => "down",
            LinkCondition::ComesAndGoes => "comes-and-goes",
        },
        "since": hour(link.since_hour),
        "checked": time(link.checked),
    })
}

/// The name of a trouble is the code that an error about it has.
fn trouble_code(reason: Trouble) -> &'static str {
    trouble(reason).code()
}

fn relay(relay: &RelayView) -> Value {
    json!({
        "address": relay.address,
        "home": relay.home,
        "reached": relay.reached.map(time),
        "trouble": relay.trouble.map(trouble_code),
    })
}

pub(super) fn status(status: &StatusView) -> Value {
    json!({
        "relays": status.relays.iter().map(relay).collect::<Vec<_>>(),
        "contacts": status.contacts,
        "unheard": status.unheard,
        "waiting": status.waiting,
        "waiting_bytes": status.waiting_bytes,
        "stored_bytes": status.stored_bytes,
        "outbox_bytes_max": status.outbox_bytes_max,
        "disk_full": status.disk_full,
        "probing": {
            "day_bytes": status.probing.day_bytes,
            "day_bytes_max": status.probing.day_bytes_max,
            "slowed": status.probing.slowed,
        },
        "link": status.link.map(link_name),
        "disappear": span(status.disappearing.default),
        "quiet": status.disappearing.quiet,
        "daemon": status.daemon,
        "clock_off_minutes": status.clock_off_minutes,
    })
}

/// The name of a link is what is typed for it.
const fn link_name(link: Link) -> &'static str {
    match link {
        Link::Gprs => "gprs",
        Link::Edge => "edge",
        Link::Fast => "fast",
        Link::Satellite => "satellite",
    }
}

pub(super) fn sync(sync: &SyncView) -> Value {
    json!({
        "reached": sync.reached,
        "missed": sync.missed,
        "received": sync.received,
        "stored": sync.stored,
        "waiting": sync.waiting,
        "finished": sync.finished,
        "trouble": sync.trouble.map(trouble_code),
    })
}
