//! The plug is pulled under load: what was acknowledged is there. And the disk fills up: nothing acknowledged is lost.
//!
//! The load runs in a process of its own, which writes what was acknowledged to a file on another disk. It is stopped at a random
//! moment, the disk's image is copied as the block layer has it, and the copy is opened. Without fsync the same test must
//! lose something: else it proves nothing.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use zajil_proto::parcel::Travel;
use zajil_relay::store::{Opened, Space, SqliteStore, Store, StoreError, StoreLimits};

use crate::fixture::{Counting, Parcel, block_on, mailbox, options, registration};
use crate::loop_disk::{LoopDisk, disk_or_skip};

const DIRECTORY: &str = "ZAJIL_POWER_CUT_DIRECTORY";
const LOG: &str = "ZAJIL_POWER_CUT_LOG";
const NO_SYNC: &str = "ZAJIL_POWER_CUT_NO_SYNC";
const MAILBOXES: u64 = 8;
const WRITERS: u64 = 8;
const ROUNDS: u64 = 2;
/// Rounds the control may take to lose something.
const CONTROL_ROUNDS: u64 = 6;

/// Small and large, of one mark and of several; two extensions each.
fn parcel(number: u64) -> Parcel {
    let length = 200 + u32::try_from(Counting(number).below(24_000)).unwrap();
    Parcel::plain(number % MAILBOXES, number, length)
}

/// Puts parcels and releases every third, for ever, and writes down what was acknowledged: `p` stored, `r` about to be released,
/// `R` released.
async fn load(store: Arc<SqliteStore>, log: Arc<Mutex<fs::File>>, writer: u64) {
    let note = |mark: char, number: u64| {
        let line = format!("{mark} {number}\n");
        log.lock().unwrap().write_all(line.as_bytes()).unwrap();
    };
    for count in 0.. {
        let number = count * WRITERS + writer;
        let parcel = parcel(number);
        store.put(parcel.header.clone(), Travel::default()).await.unwrap();
        store.extend(parcel.part(0, 150, 0)).await.unwrap();
        assert!(store.extend(parcel.part(150, parcel.length(), 0)).await.unwrap().get().closed);
        note('p', number);
        if count % 3 == 0 {
            note('r', number);
            store.release(parcel.header.mailbox(), vec![parcel.id()]).await.unwrap();
            note('R', number);
        }
    }
}

/// The other process. Run as a test it has nothing to do.
#[test]
fn the_load_runs_only_when_the_power_cut_test_asks_for_it() {
    let (Some(directory), Some(log)) = (std::env::var_os(DIRECTORY), std::env::var_os(LOG)) else { return };
    let limits = StoreLimits { mailbox_parcels_max: u32::MAX, mailbox_bytes_max: u64::MAX, ..StoreLimits::default() };
    let options = options(Path::new(&directory), limits, None);
    let store = if std::env::var_os(NO_SYNC).is_some() {
        SqliteStore::open_without_sync_for_the_power_cut_test(options).unwrap()
    } else {
        SqliteStore::open(options).unwrap()
    };
    let log = OpenOptions::new().append(true).open(log).unwrap();
    let (store, log) = (Arc::new(store), Arc::new(Mutex::new(log)));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        for number in 0..MAILBOXES {
            store.register(registration(number)).await.unwrap();
        }
        let writers: Vec<_> =
            (0..WRITERS).map(|writer| tokio::spawn(load(Arc::clone(&store), Arc::clone(&log), writer))).collect();
        for writer in writers {
            writer.await.unwrap();
        }
    });
}

/// A process that is stopped, and gone when this is dropped.
struct Load(Child);

impl Load {
    fn start(directory: &Path, log: &Path, sync: bool) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "power_cut::the_load_runs_only_when_the_power_cut_test_asks_for_it"]);
        command.env(DIRECTORY, directory).env(LOG, log).stdout(Stdio::null());
        if !sync {
            command.env(NO_SYNC, "1");
        }
        Self(command.spawn().unwrap())
    }

    fn freeze(&self) {
        let pid = Pid::from_child(&self.0);
        kill_process(pid, Signal::STOP).unwrap();
        // Stopped when the kernel says so, not when the signal was sent: a thread may still be inside a system call.
        let state = format!("/proc/{}/task", self.0.id());
        let stopped = || {
            fs::read_dir(&state).unwrap().all(|task| {
                let stat = fs::read_to_string(task.unwrap().path().join("stat")).unwrap_or_default();
                stat.rsplit(')').next().is_none_or(|rest| rest.trim_start().starts_with(['T', 't']))
            })
        };
        while !stopped() {
            std::thread::yield_now();
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        let _gone_already = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What was acknowledged when the power went.
#[derive(Default)]
struct Acknowledged {
    stored: BTreeSet<u64>,
    maybe_released: BTreeSet<u64>,
    released: BTreeSet<u64>,
}

impl Acknowledged {
    fn read(log: &Path) -> Self {
        let mut acknowledged = Self::default();
        let text = fs::read_to_string(log).unwrap();
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            let number = line[2..].trim().parse().unwrap();
            match &line[..1] {
                "p" => acknowledged.stored.insert(number),
                "r" => acknowledged.maybe_released.insert(number),
                _ => acknowledged.released.insert(number),
            };
        }
        acknowledged
    }

    /// Counts parcels that were acknowledged and are not whole, and releases that came back.
    async fn lost_in(&self, store: &SqliteStore) -> Result<(usize, usize), StoreError> {
        let mut waiting = BTreeSet::new();
        for number in 0..MAILBOXES {
            waiting.extend(store.list(mailbox(number)).await?.into_iter().map(|one| one.header.id()));
        }
        let (mut lost, mut back) = (0, 0);
        for number in self.stored.difference(&self.maybe_released) {
            let parcel = parcel(*number);
            let whole = waiting.contains(&parcel.id()) && parcel.is_whole_in(store).await?;
            lost += usize::from(!whole);
        }
        for number in &self.released {
            let parcel = parcel(*number);
            let known = matches!(store.put(parcel.header.clone(), Travel::default()).await, Ok(Opened::Stored(_)));
            back += usize::from(waiting.contains(&parcel.id()) || !known);
        }
        Ok((lost, back))
    }
}

/// What one power cut did.
#[derive(Debug)]
struct Cut {
    acknowledged: usize,
    released: usize,
    lost: usize,
    back: usize,
    /// What an opening said that was refused.
    refused: Option<String>,
}

fn cut(disk: &LoopDisk, round: u64, sync: bool) -> Cut {
    let outside = tempfile::tempdir().unwrap();
    let log = outside.path().join("acknowledged");
    fs::write(&log, "").unwrap();
    let directory = disk.path().join(format!("store-{round}-{sync}"));
    let load = Load::start(&directory, &log, sync);
    // A moment that differs each round; at least some hundred acknowledgements, so that there is something to lose.
    let mut chance = Counting(u64::from(std::process::id()) ^ round << 32);
    let enough = 2_000 + chance.below(12_000);
    while fs::metadata(&log).unwrap().len() < enough {
        std::thread::sleep(Duration::from_millis(1));
    }
    load.freeze();
    let acknowledged = Acknowledged::read(&log);
    let copy = disk.as_a_power_cut_leaves_it().expect("the disk after the cut");
    drop(load);

    let at: PathBuf = copy.path().join(directory.file_name().unwrap());
    let counted = SqliteStore::open(options(&at, StoreLimits::default(), None)).and_then(|store| {
        block_on(async {
            let counted = acknowledged.lost_in(&store).await?;
            let report = store.check(true).await?;
            assert!(!sync || report.is_sound(), "{:?}", report.problems);
            Ok(counted)
        })
    });
    let (lost, back) = counted.clone().unwrap_or((acknowledged.stored.len(), 0));
    let result = Cut {
        acknowledged: acknowledged.stored.len(),
        released: acknowledged.released.len(),
        lost,
        back,
        refused: counted.err().map(|error| error.to_string()),
    };
    println!("round {round}, {}: {result:?}", if sync { "synced" } else { "not synced" });
    result
}

#[test]
fn a_power_cut_under_load_loses_nothing_acknowledged_and_without_fsync_it_does() {
    let Some(disk) = disk_or_skip("power cut", 512) else { return };
    for round in 0..ROUNDS {
        let cut = cut(&disk, round, true);
        assert_eq!((cut.lost, cut.back, &cut.refused), (0, 0, &None), "{cut:?}");
        assert!(cut.acknowledged > 100 && cut.released > 20, "{cut:?}");
    }
    let bitten = (0..CONTROL_ROUNDS).any(|round| {
        let cut = cut(&disk, round, false);
        cut.lost > 0 || cut.back > 0
    });
    assert!(bitten, "without fsync nothing was lost in {CONTROL_ROUNDS} rounds: this test proves nothing");
}

#[test]
fn a_disk_that_fills_up_refuses_new_work_keeps_every_promise_and_takes_work_again() {
    let Some(disk) = disk_or_skip("disk full", 64) else { return };
    let directory = disk.path().join("store");
    let limits = StoreLimits { mailbox_parcels_max: u32::MAX, mailbox_bytes_max: u64::MAX, ..StoreLimits::default() };
    let open = || SqliteStore::open(options(&directory, limits.clone(), None)).unwrap();
    let store = open();
    let stored = block_on(async {
        for number in 0..MAILBOXES {
            store.register(registration(number)).await.unwrap();
        }
        let mut stored = Vec::new();
        for number in 0.. {
            let parcel = Parcel::plain(number % MAILBOXES, number, 60_000);
            match parcel.store_in(&store).await {
                Ok(()) => stored.push(parcel),
                Err(error) => {
                    assert_eq!(error, StoreError::Refused(zajil_proto::wire::Code::RELAY_FULL));
                    break;
                }
            }
        }
        stored
    });
    assert!(stored.len() > 300, "more than a quarter of the disk was used: {}", stored.len());
    // Something else fills the disk, and the reserve with it, as far as it will go.
    let filler = disk.path().join("filler");
    let mut other = fs::File::create(&filler).unwrap();
    let megabyte = vec![0; 1 << 20];
    let probe =
        |disk: &LoopDisk| rustix::fs::statvfs(disk.path()).map(|answer| answer.f_bavail * answer.f_frsize).unwrap();
    while probe(&disk) > 8 << 20 {
        other.write_all(&megabyte).unwrap();
    }
    other.sync_all().unwrap();
    drop(other);
    block_on(async {
        for parcel in &stored {
            assert!(parcel.is_whole_in(&store).await.unwrap());
        }
        let (half, rest) = stored.split_at(stored.len() / 2);
        for parcel in half {
            store.release(parcel.header.mailbox(), vec![parcel.id()]).await.unwrap();
        }
        store.sweep(Duration::from_secs(24 * 3_600)).await.unwrap();
        drop(store);
        let store = open();
        for parcel in rest {
            assert!(parcel.is_whole_in(&store).await.unwrap());
        }
        for parcel in half {
            let again = store.put(parcel.header.clone(), Travel::default()).await.unwrap();
            assert!(matches!(again, Opened::Stored(_)));
        }
        fs::remove_file(&filler).unwrap();
        for number in 10_000..10_100 {
            Parcel::plain(number % MAILBOXES, number, 60_000).store_in(&store).await.unwrap();
        }
        assert!(store.check(true).await.unwrap().is_sound());
    });
}

#[test]
fn a_disk_full_to_the_last_byte_stops_the_store_and_loses_nothing_acknowledged() {
    let Some(disk) = disk_or_skip("disk full to the last byte", 32) else { return };
    let directory = disk.path().join("store");
    let blind = || {
        // It believes in an endless disk, as if something else took the reserve after it had asked.
        let probe = Box::new(|| Ok(Space { free_bytes: 1 << 50, total_bytes: 1 << 50 }));
        SqliteStore::open(options(&directory, StoreLimits::default(), Some(probe))).unwrap()
    };
    let store = blind();
    let (stored, refused): (Vec<Parcel>, StoreError) = block_on(async {
        store.register(registration(0)).await.unwrap();
        let mut stored = Vec::new();
        for number in 0.. {
            let parcel = Parcel::plain(0, number, 60_000);
            match parcel.store_in(&store).await {
                Ok(()) => stored.push(parcel),
                Err(error) => return (stored, error),
            }
        }
        unreachable!("a disk of 32 MB is not endless")
    });
    assert!(stored.len() > 100, "the disk was really filled: {}", stored.len());
    assert_eq!(refused, StoreError::Unavailable, "nothing is acknowledged whose commit failed");
    let other = Parcel::plain(0, 5_000, 10);
    assert_eq!(block_on(store.put(other.header.clone(), Travel::default())), Err(StoreError::Unavailable));
    assert_eq!(block_on(store.close()), Err(StoreError::Full));
    drop(store);

    // Opening and reading need no space.
    let store = blind();
    block_on(async {
        for parcel in &stored {
            assert!(parcel.is_whole_in(&store).await.unwrap());
        }
        assert!(store.check(true).await.unwrap().is_sound());
    });
}
