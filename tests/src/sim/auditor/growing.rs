//! A parcel that grows from visit to visit, as a note does whose link is thin: its lifetime begins anew with everything that comes
//! (P3.10), so that what was once called durable is not brought twice.

use zajil_proto::ids::ParcelId;
use zajil_proto::time::Lifetime;
use zajil_proto::wire::Code;

use super::books::{Books, CRAMPED};
use super::talk::Talk;
use super::{AuditScene, Standing, Visit};
use crate::parcels::OwnParcel;
use crate::sim::plan::{HOUR, Millis};

/// Where it grows: a mailbox as everybody has.
const PLACE: usize = 0;
/// Chunks of the whole: nine marks.
const CHUNKS: usize = 72;
/// Bytes that the mailbox may hold which is too small for it: two marks.
pub(super) const CRAMPED_BYTES: u32 = 20_000;
/// Hours for which what nobody goes on with stays.
const LIFETIME_HOURS: u16 = 12;

/// The parcel that grows.
#[derive(Debug)]
pub(super) struct Growing {
    whole: OwnParcel,
    /// Marks that are there.
    marks: usize,
    /// Bytes that the relay has called durable.
    held: u32,
    /// How things were when it was last gone on with.
    grew: Standing,
}

impl Growing {
    fn id(&self) -> ParcelId {
        self.whole.id()
    }

    /// Whether the relay must still have what it had.
    fn must_be_there(&self, standing: Standing) -> bool {
        standing.now - self.grew.now < Millis::from(LIFETIME_HOURS) * HOUR
    }
}

impl Visit {
    /// Goes on with the parcel that grows, or begins another.
    pub(super) async fn grow(
        &mut self,
        books: &mut Books,
        reader: &Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        let before = (scene.standing)();
        let mut growing = match books.growing.take().filter(|growing| growing.must_be_there(before)) {
            Some(growing) => growing,
            None => {
                let lifetime = Lifetime::from_hours(LIFETIME_HOURS).expect("it is between an hour and 90 days");
                let whole = books.boxes[PLACE].growing(&mut scene.chance, CHUNKS, lifetime);
                books.grown.insert(whole.id());
                Growing { whole, marks: 0, held: 0, grew: before }
            }
        };
        let id = growing.id();
        let here = reader.found.get(&id).map_or(0, |found| found.body.len());
        if usize::try_from(growing.held).is_ok_and(|held| here < held) {
            let text = format!("of a parcel that grows its reader gets {here} of {} B", growing.held);
            self.breach(1, text);
        }
        let next = growing.whole.beginning(growing.marks + 1);
        let grown = writer.grow(&next, growing.held).await;
        if let Some((had, code)) = grown {
            self.looked += 1;
            let had = had.unwrap_or(if code == Code::OK && !next.parcel.is_closed() { 0 } else { growing.held });
            if had < growing.held {
                let text = format!("of a parcel that grows {had} of {} B are left", growing.held);
                self.breach(4, text);
            }
            match code {
                Code::OK if next.parcel.is_closed() => return Some(()),
                Code::OK => {
                    growing.marks += 1;
                    growing.held = u32::try_from(next.parcel.body.len()).expect("a parcel is short");
                    growing.grew = before;
                }
                Code::NOT_HERE | Code::OVER => self.breach(1, "a mailbox is gone in which a parcel grows"),
                _ => {}
            }
        }
        books.growing = Some(growing);
        grown.map(|_| ())
    }

    /// Announces a parcel of which nothing ever comes: the relay may not keep its place for ever.
    pub(super) async fn announce(
        &mut self,
        books: &mut Books,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        let lifetime = Lifetime::from_hours(LIFETIME_HOURS).expect("it is between an hour and 90 days");
        let whole = books.boxes[PLACE].growing(&mut scene.chance.fork("announced"), CHUNKS, lifetime);
        writer.grow(&whole.beginning(0), 0).await.map(|_| ())
    }

    /// Begins a parcel that does not say how long it will be, in a mailbox that is too small for it: it is taken as far as there is room.
    pub(super) async fn overgrow(
        &mut self,
        books: &mut Books,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        let lifetime = Lifetime::from_hours(LIFETIME_HOURS).expect("it is between an hour and 90 days");
        let whole = books.boxes[CRAMPED].growing(&mut scene.chance, CHUNKS, lifetime);
        books.grown.insert(whole.id());
        let mut held = 0;
        for marks in 1..whole.parcel.marks.len() {
            let next = whole.beginning(marks);
            let (_, code) = writer.grow(&next, held).await?;
            if code != Code::OK {
                break;
            }
            held = u32::try_from(next.parcel.body.len()).expect("a parcel is short");
            if held > CRAMPED_BYTES {
                self.breach(6, format!("a mailbox for {CRAMPED_BYTES} B took {held} B of one parcel"));
                break;
            }
        }
        self.looked += 1;
        let pair = books.boxes[CRAMPED].clone();
        let _answer = writer.withdraw(&pair, &whole).await?;
        Some(())
    }
}
