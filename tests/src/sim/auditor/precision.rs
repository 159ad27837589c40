//! How exactly the slot's owner lets the relay tell when they were there: what it observed more exactly, or less, is told no more.

use zajil_proto::session::client::Registering;
use zajil_proto::wire::{Code, Precision, Scope};

use super::books::Books;
use super::talk::Talk;
use super::{AuditScene, Visit};

impl Visit {
    /// Has the slot's owner choose another precision, and looks what is told.
    pub(super) async fn choose_precision(
        &mut self,
        books: &mut Books,
        reader: &mut Talk,
        writer: &mut Talk,
        scene: &mut AuditScene,
    ) -> Option<()> {
        let precision = *scene.chance.pick(&[Precision::SixHours, Precision::Day]);
        // Until the relay says that it is so, it may be either.
        if books.precision.replace(precision) != Some(precision) {
            books.observed = None;
        }
        let chosen = books.precision.take();
        writer.prove(Scope::Slot, &books.slot).await;
        let registering = Registering { precision, ..books.slot.registering(Scope::Slot) };
        if writer.register(scene, registering).await? == Code::OK {
            books.precision = chosen;
        }
        self.look_at_word(books, reader).await
    }
}
