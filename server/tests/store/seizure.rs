//! A seized disk without the store key: nothing on it tells who writes to whom, what, or where they live.

use std::fs;
use std::path::Path;
use std::time::Duration;

use data_encoding::{BASE64, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
use zajil_proto::ids::RelayHash;
use zajil_proto::keys::SigningKey;
use zajil_proto::parcel::Travel;
use zajil_proto::session::custody::Registration;
use zajil_proto::time::Minute;
use zajil_proto::wire::{Observation, Precision, Scope};
use zajil_relay::store::{SqliteStore, Store, StoreLimits};

use crate::fixture::{
    Parcel, block_on, mailbox, mailbox_keys, options, registration, seed, slot, slot_registration, store_key, word,
};

/// Every form in which a secret might lie around. Base64 shifts with what stands before it, so that its middle is looked for.
fn forms(secret: &[u8]) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.to_vec(), HEXLOWER.encode(secret).into_bytes(), HEXUPPER.encode(secret).into_bytes()];
    for shift in 0..3 {
        let shifted = &secret[shift..];
        let whole = &shifted[..shifted.len() / 3 * 3];
        forms.push(BASE64.encode(whole).into_bytes());
        forms.push(BASE64URL_NOPAD.encode(whole).into_bytes());
    }
    forms
}

fn assert_absent(directory: &Path, secrets: &[(&str, Vec<u8>)]) {
    let mut files = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let content = fs::read(&path).unwrap();
        files += 1;
        for (what, secret) in secrets {
            for form in forms(secret) {
                let found = content.windows(form.len()).any(|window| window == form);
                assert!(!found, "{what} lies open in {}", path.display());
            }
        }
    }
    assert!(files >= 2);
}

#[test]
fn a_seized_disk_without_the_store_key_shows_no_mailbox_no_parcel_no_word_and_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(options(directory.path(), StoreLimits::default(), None)).unwrap();
    let home = RelayHash(*b"homeaddr");
    let (waiting, collected, withdrawn) =
        (Parcel::plain(0, 0, 9_000), Parcel::plain(0, 1, 700), Parcel::plain(0, 2, 5_000));
    let relay = SigningKey::from_seed(&seed(9, 0));
    let observation = Observation::sign(&relay, &slot(0), 1, Minute(30_000_000), Precision::SixHours);
    block_on(async {
        store.register(Registration { homes: vec![home], ..registration(0) }).await.unwrap();
        store.register(registration(1)).await.unwrap();
        store.register(slot_registration(0, Precision::SixHours)).await.unwrap();
        for parcel in [&waiting, &collected, &withdrawn] {
            parcel.store_in(&store).await.unwrap();
        }
        store.put_word(word(0, 1), Some(observation)).await.unwrap();
        store.release(mailbox(0), vec![collected.id()]).await.unwrap();
        store.withdraw(mailbox(0), withdrawn.id()).await.unwrap();
        store.drop_scope(Scope::Mailbox, mailbox(1).0).await.unwrap();
        store.put(Parcel::plain(0, 3, 100).header, Travel::default()).await.unwrap();
        store.sweep(Duration::from_secs(60)).await.unwrap();
    });

    let (write, tag) = mailbox_keys(0);
    let mut secrets = vec![
        ("a write key", write.public().0.to_vec()),
        ("a read tag", tag.0.to_vec()),
        ("a mailbox id", mailbox(0).0.to_vec()),
        ("a dropped mailbox id", mailbox(1).0.to_vec()),
        ("a slot id", slot(0).0.to_vec()),
        ("a home", home.0.to_vec()),
        ("a word", word(0, 1).sealed[..16].to_vec()),
        ("a word's signature", word(0, 1).signature.0[..16].to_vec()),
        ("an observation", observation.signature.0[..16].to_vec()),
        ("an observed hour", [&1_u64.to_be_bytes()[..], &observation.hour.0.to_be_bytes()[..]].concat()),
        ("the store key", store_key().as_bytes().to_vec()),
        ("the epoch", store.epoch().0.to_vec()),
    ];
    for parcel in [&waiting, &collected, &withdrawn] {
        secrets.push(("a parcel id", parcel.id().0.to_vec()));
        secrets.push(("a parcel key", parcel.header.parcel_key().0.to_vec()));
        secrets.push(("a header", parcel.header.as_bytes()[100..130].to_vec()));
        secrets.push(("a body", parcel.body[..24].to_vec()));
        secrets.push(("the end of a body", parcel.body[parcel.body.len() - 24..].to_vec()));
        secrets.push(("a mark", parcel.marks[0].signature.0[..24].to_vec()));
    }
    // Seized while it runs, with its log; and after a proper end.
    assert_absent(directory.path(), &secrets);
    block_on(store.close()).unwrap();
    assert_absent(directory.path(), &secrets);
}

#[test]
fn nothing_but_the_relays_own_user_may_read_the_store() {
    use std::os::unix::fs::PermissionsExt;
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("store");
    let store = SqliteStore::open(options(&directory, StoreLimits::default(), None)).unwrap();
    block_on(store.register(registration(0))).unwrap();
    assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in fs::read_dir(&directory).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{:?}", entry.file_name());
    }
}

#[test]
fn errors_and_debug_output_name_no_mailbox_and_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let options = options(directory.path(), StoreLimits::default(), None);
    let shown = format!("{options:?} {:?}", store_key());
    assert!(!shown.contains("90, 90") && !shown.contains("5a5a"), "{shown}");
    let store = SqliteStore::open(options).unwrap();
    let error = block_on(store.put(Parcel::plain(0, 0, 10).header, Travel::default())).unwrap_err();
    assert_eq!(format!("{error:?} {error}"), "Refused(NOT_HERE(1)) not taken: no such mailbox or slot here");
}
