//! What a relay that takes anybody is told, wherever a test builds one from its parts.

use zajil_proto::ids::Epoch;
use zajil_proto::keys::SigningKey;
use zajil_proto::limits::PARCEL_BYTES_MAX;
use zajil_proto::session::relay::{Admission, RelaySettings};
use zajil_proto::time::Lifetime;

/// Returns the settings of a relay with this key over a store of this epoch: open to all, its clock trusted, no links to report.
pub fn settings(key: &SigningKey, epoch: Epoch) -> RelaySettings {
    RelaySettings {
        relay_key: key.clone(),
        epoch,
        admission: Admission::Open,
        clock_trust: 1,
        next_visit_minutes: 0,
        parcel_bytes_max: PARCEL_BYTES_MAX,
        lifetime_hours_max: Lifetime::LONGEST.hours(),
        links: Vec::new(),
    }
}
