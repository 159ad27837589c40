//! A mailbox for a while, as an invitation has it: until its time is over somebody may put something there, and it stays; afterwards it
//! takes nothing.

use zajil_proto::ids::MailboxId;
use zajil_proto::session::client::Registering;
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Scope};

use super::books::{LATE_MAX, LOST_PER_START, STEP};
use super::talk::Talk;
use super::{AuditScene, Standing, Visit};
use crate::parcels::Pair;
use crate::sim::plan::{HOUR, Millis};

/// Hours for which it waits.
const VALID_HOURS: u16 = 6;
/// Of a hundred visits in its time, those in which something is put there.
const ANSWERED_PERCENT: u64 = 20;

/// A mailbox in which nothing was put yet.
#[derive(Debug)]
pub(super) struct Passing {
    pair: Pair,
    made: Standing,
}

impl Passing {
    /// Returns the mailbox.
    pub(super) fn mailbox(&self) -> MailboxId {
        self.pair.mailbox()
    }

    /// Whether its time cannot be over.
    fn is_open(&self, standing: Standing) -> bool {
        standing.now - self.made.now < Millis::from(VALID_HOURS) * HOUR
    }

    /// Whether its time is over, however late the relay is with it.
    fn is_over(&self, standing: Standing) -> bool {
        let late = STEP + LATE_MAX + (standing.starts - self.made.starts) * LOST_PER_START;
        standing.ran - self.made.ran > Millis::from(VALID_HOURS) * HOUR + late
    }
}

impl Visit {
    /// Makes a mailbox for a while, or sees whether the one that there is takes what it should. Returns the mailbox that is there now.
    pub(super) async fn pass(
        &mut self,
        before: Option<Passing>,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<Option<Passing>> {
        let standing = (scene.standing)();
        let Some(passing) = before else {
            let (pair, made) = (Pair::draw(&mut scene.chance), standing);
            writer.prove(Scope::Mailbox, &pair).await;
            let usual = pair.registering(Scope::Mailbox);
            let registering = Registering { parcels_max: Some(1), valid_hours: Some(VALID_HOURS), ..usual };
            let is_made = writer.register(scene, registering).await? == Code::OK;
            return Some(is_made.then_some(Passing { pair, made }));
        };
        let (is_open, is_over) = (passing.is_open(standing), passing.is_over(standing));
        let is_tried = is_over || (is_open && scene.chance.happens(ANSWERED_PERCENT));
        if !is_tried {
            return Some(Some(passing));
        }
        let parcel = passing.pair.parcel(&mut scene.chance, 1, Lifetime::DEFAULT);
        let code = writer.offer(&parcel).await?;
        self.looked += 1;
        match code {
            Code::OK if is_over => {
                self.breach(6, "a mailbox takes something long after the time for which it was made")
            }
            Code::NOT_HERE | Code::OVER if passing.is_open((scene.standing)()) => {
                self.breach(1, "a mailbox is gone before its time is over");
            }
            _ => {}
        }
        Some(None)
    }
}
