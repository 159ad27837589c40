//! Switches that break a safeguard on purpose, each asked directly: off it changes nothing, on it does what it says.
#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use zajil_client::engine::api::{Failure, Reply, Request};
use zajil_client::engine::host::{Host, Parts, create};
use zajil_client::store::{Fault, MemoryStore as DeviceStore};
use zajil_net::memory::{MemoryWorld, SimulatedClock};
use zajil_net::{DialOptions, SystemRandom};
use zajil_proto::ids::MailboxId;
use zajil_proto::keys::SigningKey;
use zajil_proto::parcel::{MarkChain, Travel};
use zajil_proto::relay_link::RelayLink;
use zajil_proto::sealing::NoteSession;
use zajil_proto::session::custody::{Extension, Registration};
use zajil_proto::simulation::{Situation, Switch, begin, on, reached, used};
use zajil_proto::time::{Lifetime, Minute};
use zajil_proto::wire::{Code, Precision, Scope};
use zajil_proto::{reached, sabotaged};
use zajil_relay::store::{MemoryStore, Opened, Store, StoreError, StoreLimits};
use zajil_tests::parcels::{OwnParcel, Pair};

const NOW: Minute = Minute(29_920_680);

#[test]
fn every_switch_and_situation_is_found_by_its_own_name_and_says_what_it_is() {
    let mut names = BTreeSet::new();
    let mut broken = BTreeSet::new();
    for switch in Switch::ALL {
        assert_eq!(Switch::from_name(switch.name()), Some(*switch));
        assert!(switch.what().starts_with(char::is_uppercase) && switch.what().ends_with('.'), "{}", switch.name());
        assert!(!switch.breaks().is_empty() && names.insert(switch.name()), "{}", switch.name());
        broken.extend(switch.breaks());
    }
    assert_eq!(broken, (0..=10).collect(), "every invariant has a switch that should break it");
    for situation in Situation::ALL {
        assert_eq!(Situation::from_name(situation.name()), Some(*situation));
        assert!(situation.what().ends_with('.') && names.insert(situation.name()), "{}", situation.name());
    }
    let plain = |name: &&str| name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-') && name.contains('-');
    assert!(names.iter().all(plain), "a name is two words or more: one word could be in any program");
    assert_eq!(Switch::from_name("no-such-switch"), None);
}

#[test]
fn a_switch_bites_only_while_it_is_on_and_every_bite_is_counted() {
    begin(None);
    assert!(!sabotaged!(StoredBeforeSync) && used() == 0);
    begin(Some(Switch::StoredBeforeSync));
    assert!(on(Switch::StoredBeforeSync) && used() == 0);
    assert!(sabotaged!(StoredBeforeSync) && !sabotaged!(MarksMoveBackward));
    assert_eq!(used(), 1);
    begin(None);
    assert!(!on(Switch::StoredBeforeSync) && used() == 0);
}

#[test]
fn situations_are_counted_anew_for_each_world_and_apart_in_each_thread() {
    begin(None);
    reached!(UploadResumed);
    reached!(UploadResumed);
    let elsewhere = std::thread::spawn(|| {
        begin(Some(Switch::StoredBeforeSync));
        reached!(RelayFull);
        (reached(), on(Switch::StoredBeforeSync))
    });
    let (other, is_on) = elsewhere.join().unwrap();
    assert!(is_on && !on(Switch::StoredBeforeSync));
    assert_eq!(other.get(&Situation::RelayFull), Some(&1));
    assert_eq!(reached().get(&Situation::UploadResumed), Some(&2));
    assert_eq!(reached().len(), 1);
    begin(None);
    assert!(reached().is_empty());
}

/// A relay's store with one mailbox that takes at most `parcels_max`, and a parcel for it.
struct Shelf {
    store: MemoryStore,
    pair: Pair,
    parcel: OwnParcel,
}

impl Shelf {
    async fn new(parcels_max: Option<u16>) -> Self {
        let mut random = SystemRandom::new();
        let store = MemoryStore::new(StoreLimits::default(), &mut random).unwrap();
        let pair = Pair::draw(&mut random);
        let registration = Registration {
            scope: Scope::Mailbox,
            id: pair.mailbox().0,
            read_tag: pair.read_tag(),
            parcels_max,
            bytes_max: None,
            audience: false,
            valid_hours: None,
            precision: Precision::Off,
            homes: Vec::new(),
        };
        store.register(registration).await.unwrap();
        let parcel = pair.parcel(&mut random, 2, Lifetime::DEFAULT);
        Self { store, pair, parcel }
    }

    async fn put(&self) -> Result<Opened, StoreError> {
        self.store.put(self.parcel.parcel.header.clone(), Travel::default()).await
    }

    /// Puts the whole parcel.
    async fn fill(&self) {
        self.put().await.unwrap();
        let parcel = &self.parcel.parcel;
        let mut chain = MarkChain::new(&parcel.header);
        assert!(chain.accept(&parcel.header, &parcel.body, &parcel.marks[0]));
        let extension = Extension {
            id: self.parcel.id(),
            mailbox: self.pair.mailbox(),
            offset: 0,
            bytes: parcel.body.clone(),
            marks: parcel.marks.clone(),
            chain: chain.state(),
            closed: true,
        };
        assert!(self.store.extend(extension).await.unwrap().get().closed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_answers_before_its_sync_loses_in_a_power_cut_what_it_called_stored() {
    for (switch, held) in [(None, 1), (Some(Switch::StoredBeforeSync), 0)] {
        begin(switch);
        let shelf = Shelf::new(None).await;
        shelf.store.set_sync_time(Duration::from_secs(1));
        shelf.fill().await;
        shelf.store.crash().unwrap();
        assert_eq!(shelf.store.list(shelf.pair.mailbox()).await.unwrap().len(), held, "{switch:?}");
        assert_eq!(used() > 0, switch.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_released_parcel_that_is_put_again_shows_which_switch_is_on() {
    let answer = async |switch| {
        begin(switch);
        let shelf = Shelf::new(None).await;
        shelf.fill().await;
        shelf.store.release(shelf.pair.mailbox(), vec![shelf.parcel.id()]).await.unwrap();
        shelf.put().await
    };
    assert!(matches!(answer(None).await, Ok(Opened::Stored(_))));
    assert_eq!(reached().get(&Situation::ReleasedParcelPutAgain), Some(&1));
    assert!(matches!(answer(Some(Switch::TombstoneForgotten)).await, Ok(Opened::Open(_))));
    let told = answer(Some(Switch::ReleaseToldToWriter)).await;
    assert!(matches!(told, Err(StoreError::Refused(Code::OVER))));
    assert_eq!(used(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_mailbox_for_one_reply_takes_a_second_only_under_the_switch() {
    for (switch, refused) in [(None, true), (Some(Switch::UsedLinkAccepted), false)] {
        begin(switch);
        let shelf = Shelf::new(Some(1)).await;
        shelf.fill().await;
        let second = shelf.pair.parcel(&mut SystemRandom::new(), 2, Lifetime::DEFAULT);
        let put = shelf.store.put(second.parcel.header, Travel::default()).await;
        assert_eq!(put.is_err(), refused, "{switch:?}");
        assert_eq!(reached().contains_key(&Situation::QuotaRefusedAtOpen), refused);
    }
}

#[test]
fn a_session_seals_two_notes_with_one_key_only_under_the_switch() {
    for (switch, differ) in [(None, true), (Some(Switch::NoteKeyReused), false)] {
        begin(switch);
        let (mut session, _) = NoteSession::draw(&mut SystemRandom::new(), MailboxId([1; 16]), NOW, Lifetime::DEFAULT);
        let (first, second) = (session.take().unwrap(), session.take().unwrap());
        assert_eq!(first.tag != second.tag, differ, "{switch:?}");
    }
}

/// A device that has a disk and nobody to meet.
fn device() -> (Host, zajil_client::store::MemoryDisk) {
    let store = DeviceStore::new();
    let disk = store.disk();
    let parts = Parts {
        clock: Arc::new(SimulatedClock::new(NOW)),
        network: MemoryWorld::new(Duration::ZERO).machine(&[IpAddr::V4(Ipv4Addr::LOCALHOST)]),
        random: Box::new(SystemRandom::new()),
        store: Box::new(store),
        dial: DialOptions::default(),
    };
    let key = SigningKey::draw(&mut SystemRandom::new()).public();
    let link = RelayLink { key, admission: String::new(), address: "10.0.0.1:443".into() };
    (create(parts, &link).unwrap(), disk)
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_commit_a_device_shows_what_its_disk_does_not_hold_only_under_the_switch() {
    for (switch, shown) in [(None, 0), (Some(Switch::FailedCommitKept), 1)] {
        begin(switch);
        let (mut host, disk) = device();
        disk.fail_next_commit(Fault::Full);
        let invited = host.execute(Request::Invite { name: "Maryam".into() }, &mut |_| {}).await;
        assert_eq!(invited.unwrap_err(), Failure::DiskFull);
        let Ok(Reply::Contacts(contacts)) = host.execute(Request::Contacts, &mut |_| {}).await else {
            panic!("contacts are listed without a link");
        };
        assert_eq!(contacts.len(), shown, "{switch:?}");
        assert!(reached().contains_key(&Situation::DeviceFull));
    }
}
