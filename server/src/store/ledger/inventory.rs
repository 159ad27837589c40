//! What lies in the rows of a ledger, and what its index holds, by name: see `crate::inventory`.

use zajil_proto::wire::{Observation, Word};

use super::record::{FreedRow, MailboxRow, ParcelRow, ScopeRow, SegmentRow, SlotRow};
use super::{Ledger, Mailbox, OpenParcel, Parcel, Segment, Slot, Table, Tombstones};
use crate::inventory::fields;
use crate::store::memory::MemoryRows;

/// Adds everything to `list`.
pub(crate) fn name_all(list: &mut Vec<&'static str>) {
    rows(list);
    index(list);
}

fn rows(list: &mut Vec<&'static str>) {
    // Another table, or another kind of row, is to be named, too.
    const _: fn(&Table) = |table| match table {
        Table::Meta | Table::Scopes | Table::Parcels | Table::Tombstones | Table::Freed => {}
    };
    const _: fn(&ScopeRow) = |row| match row {
        ScopeRow::Mailbox(_) | ScopeRow::Slot(_) => {}
    };
    const _: fn(&ParcelRow) = |row| match row {
        ParcelRow::Begin { header: _, home: _, expires: _ } | ParcelRow::Segment(_) => {}
    };
    list.extend(["row:meta.epoch", "row:meta.clock", "row:tombstone.day", "row:tombstone.name"]);
    fields!(
        list,
        "row:mailbox",
        MailboxRow,
        MailboxRow { id, read_tag, audience, parcels_max, bytes_max, homes, period, validity }
    );
    fields!(list, "row:slot", SlotRow, SlotRow { id, read_tag, precision, homes, period, word, observation });
    fields!(list, "row:word", Word, Word { write_key, read_tag, version, sealed, signature });
    fields!(list, "row:observation", Observation, Observation { version, hour, width, signature });
    list.extend(["row:parcel.header", "row:parcel.home", "row:parcel.expires", "row:parcel.body"]);
    fields!(list, "row:segment", SegmentRow, SegmentRow { begin, start, length, marks, chain });
    fields!(list, "row:freed", FreedRow, FreedRow { mailbox, bytes, parcels });
}

fn index(list: &mut Vec<&'static str>) {
    fields!(
        list,
        "memory:store",
        Ledger<MemoryRows>,
        Ledger {
            rows,
            limits,
            names,
            epoch,
            clock,
            mailboxes,
            slots,
            parcels,
            due,
            tombstones,
            freed,
            announced,
            bytes,
            next_parcel_row,
            next_scope_row,
            next_freed_row,
            room
        }
    );
    fields!(list, "memory:mailbox", Mailbox, Mailbox { row, kept, parcels, charged });
    fields!(list, "memory:slot", Slot, Slot { row, kept });
    fields!(list, "memory:parcel", Parcel, Parcel { mailbox, begin, segments, expires, sealed_length, open });
    fields!(list, "memory:open", OpenParcel, OpenParcel { header, home, age, chain });
    fields!(list, "memory:segment", Segment, Segment { row, end, marked });
    fields!(list, "memory:tombstones", Tombstones, Tombstones { days, next });
}
