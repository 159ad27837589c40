//! What `check` and `run` begin with: configuration, keys, store.

use std::path::Path;

use zajil_net::SystemRandom;
use zajil_proto::keys::SigningKey;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::time::Lifetime;

use crate::cli::{Exit, Failure};
use crate::config::{AdmissionRule, Config};
use crate::files::{FileError, Layout, RelayKeys, read_secret};
use crate::store::{Engine, SqliteOptions, SqliteStore, StoreKey, StoreLimits};

/// What a relay's directory holds, read and checked.
pub(crate) struct Opened {
    pub(crate) layout: Layout,
    pub(crate) config: Config,
    pub(crate) keys: RelayKeys,
    pub(crate) store_key: StoreKey,
}

/// Reads configuration and keys.
pub(crate) fn open(directory: &Path) -> Result<Opened, Failure> {
    let configuration = |error: FileError| Failure::new(Exit::Configuration, error);
    let layout = Layout::new(directory);
    let config = Config::read(&layout.config()).map_err(|error| Failure::new(Exit::Configuration, error))?;
    let keys = RelayKeys::read(&layout.keys()).map_err(configuration)?;
    let path = config.store_key.clone().unwrap_or_else(|| layout.store_key());
    let bytes = read_secret(&path).map_err(configuration)?;
    let store_key = <[u8; 32]>::try_from(bytes.as_slice());
    let store_key = store_key.map(StoreKey::new).map_err(|_| configuration(FileError::Damaged(path)))?;
    Ok(Opened { layout, config, keys, store_key })
}

impl Opened {
    /// Opens the store, or makes it.
    pub(crate) fn store(&self) -> Result<Engine, Failure> {
        let options = SqliteOptions {
            directory: self.layout.store(),
            key: self.store_key.clone(),
            limits: store_limits(&self.config),
            random: Box::new(SystemRandom::new()),
            space: None,
        };
        let store = SqliteStore::open(options).map_err(|error| Failure::new(Exit::Store, error))?;
        Ok(Engine::Sqlite(store))
    }

    /// Makes the link that is handed to people, if it is known how they reach this relay.
    pub(crate) fn link(&self) -> Option<RelayLink> {
        let admission = match self.config.admission {
            AdmissionRule::Open => String::new(),
            AdmissionRule::Code => self.keys.admission.clone(),
        };
        let key = SigningKey::from_seed(&self.keys.identity).public();
        self.config.reachable_address().map(|address| RelayLink { key, admission, address })
    }
}

fn store_limits(config: &Config) -> StoreLimits {
    let usual = StoreLimits::default();
    let limits = StoreLimits {
        mailbox_bytes_max: config.mailbox_bytes_max,
        mailbox_parcels_max: config.mailbox_parcels_max,
        lifetime_max: lifetime_max(config),
        ..usual
    };
    match config.disk_reserve_bytes {
        Some(bytes) => StoreLimits { reserve_percent: 0, reserve_bytes_min: bytes, ..limits },
        None => limits,
    }
}

/// Returns the longest lifetime kept.
pub(crate) fn lifetime_max(config: &Config) -> Lifetime {
    // INVARIANT: the configuration takes 1 to 90 days, which are all lifetimes.
    Lifetime::from_hours(config.lifetime_days_max.saturating_mul(24)).unwrap_or(Lifetime::LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_operator_reserves_is_what_is_kept_free_on_any_disk() {
        let config = Config { disk_reserve_bytes: Some(5_000_000_000), ..Config::default() };
        for total in [1 << 30, 1 << 40] {
            assert_eq!(store_limits(&config).reserve_bytes(total), 5_000_000_000);
        }
    }

    #[test]
    fn a_configuration_that_says_nothing_means_the_stores_own_limits() {
        assert_eq!(store_limits(&Config::default()), StoreLimits::default());
    }
}
