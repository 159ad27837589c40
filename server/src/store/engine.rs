use std::future::Future;
use std::time::Duration;

use zajil_proto::durable::Durable;
use zajil_proto::ids::{Epoch, MailboxId, ParcelId, SlotId};
use zajil_proto::parcel::{Header, Travel};
use zajil_proto::session::custody::{Extended, Extension, Registration, SlotState, Waiting};
use zajil_proto::wire::{Observation, Scope, Word};

use super::ledger::{Found, Ledger, Rows};
use super::{
    CheckReport, Cursor, ExportPage, Guarantee, MemoryStore, Opened, Part, SqliteStore, Store, StoreError, Swept, Usage,
};

/// An engine that keeps a [`Ledger`]: all it adds is how work reaches the ledger and when its rows are safe.
pub(super) trait LedgerEngine: Send + Sync + 'static {
    /// Where this engine keeps rows.
    type Rows: Rows;

    /// Does `work` on the ledger and returns its result once everything it changed, and saw, is durable.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Ledger<Self::Rows>) -> Result<T, StoreError> + Send + 'static,
    ) -> impl Future<Output = Result<Durable<T>, StoreError>> + Send;

    /// See [`Store::epoch`].
    fn store_epoch(&self) -> Epoch;

    /// See [`Store::guarantee`].
    fn promise(&self) -> Guarantee;

    /// See [`Store::close`].
    fn end(&self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

impl<E: LedgerEngine> Store for E {
    async fn register(&self, registration: Registration) -> Result<Durable<()>, StoreError> {
        self.run(move |ledger| ledger.register(&registration)).await
    }

    async fn put(&self, header: Header, travel: Travel) -> Result<Opened, StoreError> {
        let id = header.id();
        let found = self.run(move |ledger| ledger.put(header, travel)).await?;
        Ok(match found.get() {
            Found::Open(resumed) => Opened::Open(resumed.clone()),
            Found::Stored => Opened::Stored(found.map(|_| id)),
        })
    }

    async fn extend(&self, extension: Extension) -> Result<Durable<Extended>, StoreError> {
        self.run(move |ledger| ledger.extend(&extension)).await
    }

    async fn cut(&self, id: ParcelId, to: u32) -> Result<Durable<()>, StoreError> {
        self.run(move |ledger| ledger.cut(&id, to)).await
    }

    async fn withdraw(&self, mailbox: MailboxId, id: ParcelId) -> Result<Durable<()>, StoreError> {
        self.run(move |ledger| ledger.withdraw(&mailbox, &id)).await
    }

    async fn list(&self, mailbox: MailboxId) -> Result<Vec<Waiting>, StoreError> {
        let waiting = self.run(move |ledger| ledger.list(&mailbox)).await?;
        Ok(waiting.into_inner())
    }

    async fn read(&self, id: ParcelId, offset: u32, bytes_max: u32) -> Result<Part, StoreError> {
        let part = self.run(move |ledger| ledger.read(&id, offset, bytes_max)).await?;
        Ok(part.into_inner())
    }

    async fn release(&self, mailbox: MailboxId, ids: Vec<ParcelId>) -> Result<Durable<Vec<ParcelId>>, StoreError> {
        self.run(move |ledger| ledger.release(&mailbox, &ids).map(|()| ids)).await
    }

    async fn put_word(&self, word: Word, observation: Option<Observation>) -> Result<Durable<()>, StoreError> {
        self.run(move |ledger| ledger.put_word(word, observation)).await
    }

    async fn seen(&self, slot: SlotId) -> Result<SlotState, StoreError> {
        let state = self.run(move |ledger| ledger.seen(&slot)).await?;
        Ok(state.into_inner())
    }

    async fn drop_scope(&self, scope: Scope, id: [u8; 16]) -> Result<Durable<()>, StoreError> {
        self.run(move |ledger| ledger.drop_scope(scope, id)).await
    }

    async fn sweep(&self, elapsed: Duration) -> Result<Swept, StoreError> {
        let mut swept = self.run(move |ledger| ledger.advance(elapsed)).await?.into_inner();
        // Each part is a commit of its own: releases and reads go between them.
        loop {
            let gone = self.run(Ledger::expire_some).await?.into_inner();
            swept.parcels = swept.parcels.saturating_add(gone);
            if gone == 0 {
                return Ok(swept);
            }
        }
    }

    async fn export(&self, from: Cursor) -> Result<ExportPage, StoreError> {
        let page = self.run(move |ledger| ledger.export(from)).await?;
        Ok(page.into_inner())
    }

    fn epoch(&self) -> Epoch {
        self.store_epoch()
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        Ok(self.run(Ledger::usage).await?.into_inner())
    }

    fn guarantee(&self) -> Guarantee {
        self.promise()
    }

    async fn check(&self, deep: bool) -> Result<CheckReport, StoreError> {
        Ok(self.run(move |ledger| ledger.check(deep)).await?.into_inner())
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.end().await
    }
}

/// The engine a relay was started with. An enum rather than a boxed trait, so that its futures cost no allocation.
#[derive(Debug)]
pub enum Engine {
    /// Rows on a local disk.
    Sqlite(SqliteStore),
    /// Rows in memory.
    Memory(MemoryStore),
}

/// Hands a call to the engine there is.
macro_rules! dispatch {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Sqlite($store) => $call,
            Self::Memory($store) => $call,
        }
    };
}

impl Store for Engine {
    async fn register(&self, registration: Registration) -> Result<Durable<()>, StoreError> {
        dispatch!(self, store => store.register(registration).await)
    }

    async fn put(&self, header: Header, travel: Travel) -> Result<Opened, StoreError> {
        dispatch!(self, store => store.put(header, travel).await)
    }

    async fn extend(&self, extension: Extension) -> Result<Durable<Extended>, StoreError> {
        dispatch!(self, store => store.extend(extension).await)
    }

    async fn cut(&self, id: ParcelId, to: u32) -> Result<Durable<()>, StoreError> {
        dispatch!(self, store => store.cut(id, to).await)
    }

    async fn withdraw(&self, mailbox: MailboxId, id: ParcelId) -> Result<Durable<()>, StoreError> {
        dispatch!(self, store => store.withdraw(mailbox, id).await)
    }

    async fn list(&self, mailbox: MailboxId) -> Result<Vec<Waiting>, StoreError> {
        dispatch!(self, store => store.list(mailbox).await)
    }

    async fn read(&self, id: ParcelId, offset: u32, bytes_max: u32) -> Result<Part, StoreError> {
        dispatch!(self, store => store.read(id, offset, bytes_max).await)
    }

    async fn release(&self, mailbox: MailboxId, ids: Vec<ParcelId>) -> Result<Durable<Vec<ParcelId>>, StoreError> {
        dispatch!(self, store => store.release(mailbox, ids).await)
    }

    async fn put_word(&self, word: Word, observation: Option<Observation>) -> Result<Durable<()>, StoreError> {
        dispatch!(self, store => store.put_word(word, observation).await)
    }

    async fn seen(&self, slot: SlotId) -> Result<SlotState, StoreError> {
        dispatch!(self, store => store.seen(slot).await)
    }

    async fn drop_scope(&self, scope: Scope, id: [u8; 16]) -> Result<Durable<()>, StoreError> {
        dispatch!(self, store => store.drop_scope(scope, id).await)
    }

    async fn sweep(&self, elapsed: Duration) -> Result<Swept, StoreError> {
        dispatch!(self, store => store.sweep(elapsed).await)
    }

    async fn export(&self, from: Cursor) -> Result<ExportPage, StoreError> {
        dispatch!(self, store => store.export(from).await)
    }

    fn epoch(&self) -> Epoch {
        dispatch!(self, store => store.epoch())
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        dispatch!(self, store => store.usage().await)
    }

    fn guarantee(&self) -> Guarantee {
        dispatch!(self, store => store.guarantee())
    }

    async fn check(&self, deep: bool) -> Result<CheckReport, StoreError> {
        dispatch!(self, store => store.check(deep).await)
    }

    async fn close(&self) -> Result<(), StoreError> {
        dispatch!(self, store => store.close().await)
    }
}
