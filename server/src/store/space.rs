use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::time::Lifetime;

use super::StoreError;
use crate::limits;

/// What a relay takes. The default is what `limits.rs` says; an operator may only take less.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreLimits {
    /// Bytes of bodies in one mailbox.
    pub mailbox_bytes_max: u64,
    /// Parcels in one mailbox.
    pub mailbox_parcels_max: u32,
    /// Longest body, bytes.
    pub parcel_bytes_max: u32,
    /// Longest lifetime.
    pub lifetime_max: Lifetime,
    /// Mailboxes and slots together.
    pub scopes_max: usize,
    /// Share of the disk kept for old promises, percent, 0 to 100.
    pub reserve_percent: u64,
    /// The most that is kept, bytes.
    pub reserve_bytes_max: u64,
    /// The least that is kept, bytes; wins over the other two.
    pub reserve_bytes_min: u64,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self {
            mailbox_bytes_max: limits::MAILBOX_BYTES_MAX,
            mailbox_parcels_max: limits::MAILBOX_PARCELS_MAX,
            parcel_bytes_max: PARCEL_BYTES_MAX,
            lifetime_max: Lifetime::LONGEST,
            scopes_max: limits::SCOPES_MAX,
            reserve_percent: limits::RESERVE_PERCENT,
            reserve_bytes_max: limits::RESERVE_BYTES_MAX,
            reserve_bytes_min: limits::RESERVE_BYTES_MIN,
        }
    }
}

impl StoreLimits {
    /// Returns how many bytes of a disk of `total_bytes` are kept free: the smaller of the share and the most, but never less
    /// than the least. The reason stands at [`limits::RESERVE_BYTES_MAX`].
    pub fn reserve_bytes(&self, total_bytes: u64) -> u64 {
        (total_bytes / 100).saturating_mul(self.reserve_percent).min(self.reserve_bytes_max).max(self.reserve_bytes_min)
    }
}

/// Room on the disk a store lies on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written by the relay's user.
    pub free_bytes: u64,
    /// Bytes of the whole file system.
    pub total_bytes: u64,
}

/// Tells the room on the disk. Programs ask the file system; tests say what they like.
pub type SpaceProbe = Box<dyn FnMut() -> Result<Space, StoreError> + Send>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reserve_is_the_smaller_of_a_share_and_a_gigabyte_but_never_too_small_to_delete() {
        const GB: u64 = 1024 * 1024 * 1024;
        let limits = StoreLimits::default();
        assert_eq!(limits.reserve_bytes(8 * GB), 8 * GB / 100 * 5);
        assert_eq!(limits.reserve_bytes(252 * GB), GB);
        assert_eq!(limits.reserve_bytes(64 * 1024 * 1024), limits::RESERVE_BYTES_MIN);
    }
}
