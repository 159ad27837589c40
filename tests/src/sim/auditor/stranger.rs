//! Somebody who knows the names of all that the auditor has, and holds none of the keys: whatever they ask, nothing comes and nothing
//! goes. What went all the same is missed at the next visit.

use zajil_proto::wire::Scope;

use super::books::{Books, State};
use super::talk::Talk;
use super::{AuditScene, Visit};
use crate::parcels::Pair;

impl Visit {
    /// Tries the doors of the auditor with no key, and with those of another house.
    pub(super) async fn try_the_door(&mut self, books: &Books, scene: &mut AuditScene) -> Option<()> {
        let mut stranger = Talk::open(scene).await?;
        stranger.prove(Scope::Mailbox, &Pair::draw(&mut scene.chance)).await;
        let mailboxes = books.mailboxes();
        stranger.watch(&mailboxes).await?;
        self.looked += 1;
        if !stranger.found.is_empty() {
            self.breach(0, "somebody without its key is shown what lies in a mailbox");
        }
        let told = stranger.told(&books.slot).await?;
        if told.word.is_some() || told.observation.is_some_and(|seen| seen.version != 0) {
            self.breach(0, "somebody without its key is told what lies in a slot");
        }
        for nth in books.places_of(|state| state == State::Stored) {
            let entrusted = &books.entrusted[nth];
            stranger.release(mailboxes[entrusted.place], entrusted.parcel.id()).await?;
        }
        for mailbox in &mailboxes {
            stranger.drop_scope(Scope::Mailbox, mailbox.0).await?;
        }
        stranger.drop_scope(Scope::Slot, books.slot.slot().0).await?;
        Some(())
    }
}
