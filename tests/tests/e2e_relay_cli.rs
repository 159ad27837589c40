//! What `zajil-relay` says, and how it ends: every exit code, every mistake an operator makes, and what to do about it.
#![cfg(test)]

use std::io::{Seek, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output};
use std::time::Duration;

use serde_json::Value;
use zajil_net::{SystemNetwork, SystemRandom, Transports};
use zajil_proto::random::Random;
use zajil_proto::relay_link::RelayLink;
use zajil_proto::session::client::{Asked, ClientCommand, ClientEvent};
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, SEALED_WORD_BYTES, Scope, Word};
use zajil_tests::binaries;
use zajil_tests::device::Device;
use zajil_tests::parcels::Pair;
use zajil_tests::relay_process::{RelayHome, RunningRelay, command};
use zajil_tests::skipped::skipped;

/// A user who owns nothing here.
const NOBODY: u32 = 65_534;

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stdout)))
}

/// Demands an exit code, and everything of `wanted` on standard error.
fn fails(output: &Output, code: i32, wanted: &[&str]) {
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    for wanted in wanted {
        assert!(said.contains(wanted), "\"{wanted}\" is not in: {said}");
    }
    assert_eq!(text(&output.stdout), "", "a failure is told on standard error");
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

async fn connect(home: &RelayHome, relay: &RunningRelay) -> Device {
    let (address, key) = (relay.address().to_string(), home.link().key);
    Device::connect(&SystemNetwork, &address, key, Transports::QuicOnly).await.unwrap()
}

/// Stops a relay with which a device speaks: one that hears nothing would have to be waited for.
async fn stop(relay: &mut RunningRelay, device: Device) -> ExitStatus {
    relay.ask_to_stop();
    device.end().await;
    relay.wait()
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

#[test]
fn init_makes_a_directory_for_its_owner_alone_and_tells_the_link() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("relay");
    let mut init = command(&directory, "init");
    let made = init.args(["--listen", "127.0.0.1:4433", "--public", "relay.example:443"]).output().unwrap();
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    let link: RelayLink = said.split_whitespace().find_map(|word| word.parse().ok()).expect("the link is there");
    assert_eq!((link.address.as_str(), link.admission.as_str()), ("relay.example:443", ""));
    assert!(said.contains("zajil-relay check"), "{said}");
    assert_eq!(mode(&directory), 0o700);
    for file in ["zajil-relay.toml", "relay.key", "store.key", "store/relay.db"] {
        assert_eq!(mode(&directory.join(file)), 0o600, "{file}");
    }
    fails(&init.output().unwrap(), 1, &["is there already", "another directory"]);
}

#[test]
fn the_link_of_an_invite_only_relay_carries_its_code_and_check_tells_the_same_link() {
    let home = RelayHome::init(&["--invite-only"]);
    assert!(home.link().admission.len() >= 16);
    let check = json(&home.run("check", &["--json"]));
    assert_eq!(check["link"].as_str().unwrap(), home.link().to_string());
    let names: Vec<_> = check["checks"].as_array().unwrap().iter().map(|line| line["what"].clone()).collect();
    assert_eq!(names, ["configuration", "keys", "clock", "udp port", "tcp port", "store", "disk"]);
    let said = home.run("check", &[]);
    assert_eq!(said.status.code(), Some(0));
    assert!(text(&said.stdout).lines().take(7).all(|line| line.starts_with("ok   ")), "{}", text(&said.stdout));
}

#[test]
fn without_an_address_that_others_can_reach_there_is_no_link_but_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("relay");
    let made = command(&directory, "init").output().unwrap();
    assert!(text(&made.stdout).contains("public_address"), "{}", text(&made.stdout));
    let wrong = command(&folder.path().join("other"), "init").args(["--public", "relay.example"]).output().unwrap();
    fails(&wrong, 3, &["relay.example", "host with a port", "203.0.113.7:443"]);
    assert!(!folder.path().join("other").exists());
}

#[test]
fn wrong_usage_is_told_from_every_other_failure() {
    for arguments in [&["run"][..], &["init", "--dir"], &["serve"], &["init", "--dir", "x", "--listen", "443"]] {
        let ended = Command::new(binaries::relay()).args(arguments).output().unwrap();
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
    }
    let help = Command::new(binaries::relay()).arg("--help").output().unwrap();
    assert!(text(&help.stdout).contains("Exit codes: 0 done, 1 failed, 2 usage"), "{}", text(&help.stdout));
}

#[test]
fn a_mistake_in_the_configuration_is_told_with_file_line_key_and_advice() {
    let home = RelayHome::init(&[]);
    home.configure("mailbox_byte_max = 5000000");
    let line = std::fs::read_to_string(home.path().join("zajil-relay.toml")).unwrap().lines().count();
    let line = format!("zajil-relay.toml, line {line}, key \"mailbox_byte_max\"");
    for name in ["run", "check"] {
        fails(&home.run(name, &[]), 3, &[&line, "there is no such key", "Did you mean \"mailbox_bytes_max\"?"]);
    }
    let told = home.run("run", &["--json"]);
    let object = json(&told);
    assert_eq!(
        (&object["ok"], &object["exit"], &object["error"]["code"]),
        (&false.into(), &3.into(), &"configuration".into())
    );
    assert_eq!(told.status.code(), Some(3));
}

#[test]
fn a_directory_without_a_relay_says_how_to_make_one() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["run", "check"] {
        fails(&command(folder.path(), name).output().unwrap(), 3, &["zajil-relay.toml", "zajil-relay init"]);
    }
    fails(&command(folder.path(), "status").output().unwrap(), 1, &["no relay runs in", "zajil-relay run"]);
}

#[test]
fn keys_that_others_may_read_or_that_are_damaged_or_gone_are_refused() {
    let home = RelayHome::init(&[]);
    for (file, cut) in [("relay.key", 40), ("store.key", 31)] {
        let path = home.path().join(file);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
        fails(&home.run("run", &[]), 3, &[file, "other users", "chmod 600"]);
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        home.file(file).set_len(cut).unwrap();
        fails(&home.run("run", &[]), 3, &[file, "is damaged", "backup"]);
        std::fs::remove_file(&path).unwrap();
        fails(&home.run("run", &[]), 3, &[file, "is missing"]);
        std::fs::write(&path, whole).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    }
    assert_eq!(home.run("check", &[]).status.code(), Some(0));
}

#[test]
fn a_store_that_another_key_has_sealed_or_that_is_damaged_is_not_opened() {
    let home = RelayHome::init(&[]);
    let key = std::fs::read(home.path().join("store.key")).unwrap();
    home.file("store.key").write_all(&[7; 32]).unwrap();
    fails(&home.run("run", &[]), 4, &["this key does not open the store", "store_key"]);
    home.file("store.key").write_all(&key).unwrap();
    let mut database = home.file("store/relay.db");
    database.rewind().unwrap();
    database.write_all(b"no database at all").unwrap();
    let failed = home.run("run", &[]);
    fails(&failed, 4, &["store"]);
    let check = home.run("check", &[]);
    assert_eq!(check.status.code(), Some(1));
    assert!(text(&check.stdout).contains("BAD  store: "), "{}", text(&check.stdout));
}

#[test]
fn the_store_key_may_lie_outside_the_disk() {
    let (home, stick) = (RelayHome::init(&[]), tempfile::tempdir().unwrap());
    let away = stick.path().join("store.key");
    std::fs::rename(home.path().join("store.key"), &away).unwrap();
    home.configure(&format!("store_key = \"{}\"", away.display()));
    let mut relay = home.start();
    assert!(relay.stop().success());
    std::fs::remove_file(&away).unwrap();
    fails(&home.run("run", &[]), 3, &["store.key is missing"]);
}

#[test]
fn a_port_that_is_taken_is_told_with_its_address_over_udp_and_over_tcp() {
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    for (address, transport) in [(udp.local_addr().unwrap(), "UDP"), (tcp.local_addr().unwrap(), "TCP")] {
        let folder = tempfile::tempdir().unwrap();
        let directory = folder.path().join("relay");
        let init = command(&directory, "init").args(["--listen", &address.to_string()]).output().unwrap();
        assert!(init.status.success());
        let run = command(&directory, "run").output().unwrap();
        fails(&run, 5, &[&address.to_string(), transport, "in use", "`listen`"]);
        let check = command(&directory, "check").output().unwrap();
        assert_eq!(check.status.code(), Some(1));
        let bad = format!("BAD  {} port: {address}", transport.to_lowercase());
        assert!(text(&check.stdout).contains(&bad), "{}", text(&check.stdout));
    }
}

#[test]
fn a_second_relay_on_one_directory_is_refused_and_the_first_goes_on() {
    let home = RelayHome::init(&[]);
    let mut relay = home.start();
    fails(&home.run("run", &[]), 4, &["another relay has", "Stop that one first"]);
    let check = home.run("check", &[]);
    assert_eq!(check.status.code(), Some(0), "{}", text(&check.stdout));
    assert!(text(&check.stdout).contains("this relay runs and listens on 127.0.0.1:"), "{}", text(&check.stdout));
    assert_eq!(home.run("status", &[]).status.code(), Some(0));
    assert!(relay.stop().success());
}

#[tokio::test]
async fn status_tells_what_the_relay_holds_and_no_more() {
    let home = RelayHome::init(&[]);
    let mut relay = home.start();
    assert_eq!(mode(&home.path().join("admin.sock")), 0o600);
    let (mut device, pair) = (connect(&home, &relay).await, Pair::draw(&mut SystemRandom::new()));
    device.say(pair.prove(Scope::Mailbox)).await;
    device.say(pair.register(Scope::Mailbox)).await;
    let own = pair.parcel(&mut SystemRandom::new(), 10, Lifetime::DEFAULT);
    device.say(own.offer(0)).await;
    device.until(|event| matches!(event, ClientEvent::Stored { .. }).then_some(())).await;
    let object = json(&home.run("status", &["--json"]));
    let status = &object["status"];
    for (name, expected) in [("parcels", 1), ("mailboxes", 1), ("slots", 0), ("sessions_open", 1)] {
        assert_eq!(status[name], expected, "{name} in {status}");
    }
    assert_eq!(status["bytes"], own.parcel.body.len());
    assert_eq!((&status["accepting"], &status["counts"]["parcel_stored"]), (&true.into(), &1.into()));
    let said = text(&home.run("status", &[]).stdout);
    assert!(said.contains("holds 1 parcels, 10 kB, in 1 mailboxes and 0 slots"), "{said}");
    relay.kill();
    fails(&home.run("status", &[]), 1, &["no relay runs in"]);
    // What a killed relay leaves lying about does not keep the next one from starting.
    let mut relay = home.start();
    assert_eq!(json(&home.run("status", &["--json"]))["status"]["parcels"], 1);
    assert!(relay.stop().success());
    assert!(!home.path().join("admin.sock").exists());
}

#[tokio::test]
async fn a_relay_that_is_asked_to_stop_says_so_to_its_devices_and_ends_well() {
    let home = RelayHome::init(&[]);
    let mut relay = home.start();
    let pair = Pair::draw(&mut SystemRandom::new());
    let mut devices = Vec::new();
    for transports in [Transports::QuicOnly, Transports::TlsOnly] {
        let (address, key) = (relay.address().to_string(), home.link().key);
        let mut device = Device::connect(&SystemNetwork, &address, key, transports).await.unwrap();
        device.say(pair.prove(Scope::Mailbox)).await;
        device.say(pair.register(Scope::Mailbox)).await;
        device.until(|event| matches!(event, ClientEvent::Answered { .. }).then_some(())).await;
        devices.push(device);
    }
    relay.ask_to_stop();
    for mut device in devices {
        let ended = device.until(|event| {
            if let ClientEvent::Closed { code, by_relay } = event { Some((code, by_relay)) } else { None }
        });
        assert_eq!(ended.await, (Code::DRAINING, true));
    }
    assert!(relay.stop().success());
    assert!(home.log().contains("stopping") && home.log().contains("stopped"), "{}", home.log());
}

#[test]
fn a_relay_can_tell_in_json_that_it_is_ready_and_what_it_logs() {
    let home = RelayHome::init(&[]);
    let mut child = command(&home.path(), "run");
    let child = child.args(["--json", "--json-logs"]).stdout(std::process::Stdio::piped());
    let mut child = child.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(stdout), &mut line).unwrap();
    let ready: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(ready["event"], "ready");
    assert!(ready["listening"][0].as_str().unwrap().starts_with("127.0.0.1:"));
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "an interrupt stops it as well");
    for line in text(&ended.stderr).lines() {
        assert_eq!(serde_json::from_str::<Value>(line).unwrap()["level"], "INFO", "{line}");
    }
}

/// Runs as a user who owns `directory` but may not write there; root may write everywhere.
fn run_where_nothing_can_be_written(directory: &Path, program: &Path, name: &str) -> Output {
    let mut run = Command::new(program);
    run.arg(name).arg("--dir").arg(directory);
    if is_root() {
        run.uid(NOBODY).gid(NOBODY);
    }
    run.output().unwrap()
}

fn for_everybody(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[test]
fn a_directory_that_cannot_be_written_is_told() {
    let (home, programs) = (RelayHome::init(&[]), tempfile::tempdir().unwrap());
    // Where root built it, nobody else may be able to look.
    let program = programs.path().join("zajil-relay");
    std::fs::copy(binaries::relay(), &program).unwrap();
    let folder = home.path().parent().unwrap().to_owned();
    for (path, mode) in [(programs.path(), 0o755), (&folder, 0o755), (&home.path(), 0o500)] {
        for_everybody(path, mode);
    }
    for file in ["zajil-relay.toml", "relay.key", "store.key", "store/relay.db", "store/lock"] {
        for_everybody(&home.path().join(file), 0o400);
    }
    for_everybody(&home.path().join("store"), 0o500);
    let run = run_where_nothing_can_be_written(&home.path(), &program, "run");
    fails(&run, 4, &["cannot be written", "writable"]);
    let inside = home.path().join("inside");
    let init = run_where_nothing_can_be_written(&inside, &program, "init");
    fails(&init, 1, &["inside", "ermission denied", "who owns the directory"]);
    std::fs::set_permissions(home.path(), PermissionsExt::from_mode(0o700)).unwrap();
    std::fs::set_permissions(home.path().join("store"), PermissionsExt::from_mode(0o700)).unwrap();
}

/// A small disk of its own, mounted until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts a disk of so many bytes at `path`; `None` where that is not allowed.
    fn mount(path: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={bytes},mode=700"), "tmpfs"]).arg(path);
        let done = mount.output().ok()?.status.success();
        done.then(|| Self(path.to_owned()))
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = std::fs::File::create(self.0.join("something else")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _mounted_still = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn init_on_a_full_disk_says_so_and_leaves_nothing_half_made() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 64 * 1024) else {
        return skipped("init on a full disk", "a disk cannot be mounted here");
    };
    let directory = disk.0.join("relay");
    std::fs::create_dir(&directory).unwrap();
    disk.fill();
    let init = command(&directory, "init").output().unwrap();
    assert!(matches!(init.status.code(), Some(1 | 4)), "{:?}", init.status);
    let said = text(&init.stderr);
    assert!(said.contains("full") || said.contains("No space left"), "{said}");
    assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 0, "it can be tried again");
}

#[tokio::test]
async fn a_disk_down_to_its_reserve_refuses_new_parcels_and_keeps_old_promises() {
    let home = RelayHome::init(&[]);
    let pair = Pair::draw(&mut SystemRandom::new());
    let mut relay = home.start();
    let mut device = connect(&home, &relay).await;
    device.say(pair.prove(Scope::Mailbox)).await;
    device.say(pair.register(Scope::Mailbox)).await;
    let own = pair.parcel(&mut SystemRandom::new(), 10, Lifetime::DEFAULT);
    device.say(own.offer(0)).await;
    device.until(|event| matches!(event, ClientEvent::Stored { .. }).then_some(())).await;
    assert!(stop(&mut relay, device).await.success());

    home.configure("disk_reserve_bytes = 1000000000000000");
    let check = home.run("check", &[]);
    assert_eq!(check.status.code(), Some(1));
    assert!(text(&check.stdout).contains("BAD  disk: "), "{}", text(&check.stdout));
    let mut relay = home.start();
    assert_eq!(json(&home.run("status", &["--json"]))["status"]["accepting"], false);
    let mut device = connect(&home, &relay).await;
    device.say(pair.prove(Scope::Mailbox)).await;
    let late = pair.parcel(&mut SystemRandom::new(), 10, Lifetime::DEFAULT);
    device.say(late.offer(0)).await;
    let code =
        device.until(|event| if let ClientEvent::Refused { code, .. } = event { Some(code) } else { None }).await;
    assert_eq!(code, Code::RELAY_FULL);
    device.say(ClientCommand::Watch { mailbox: pair.mailbox(), live: false, held: Vec::new() }).await;
    let whole = device
        .until(|event| match event {
            ClientEvent::Body(arrived) if arrived.closed => Some(zajil_proto::durable::Durable::after_sync(arrived.id)),
            _ => None,
        })
        .await;
    device.say(ClientCommand::Release { mailbox: pair.mailbox(), ids: vec![whole] }).await;
    device.until(|event| matches!(event, ClientEvent::Released { .. }).then_some(())).await;
    assert!(stop(&mut relay, device).await.success());
    assert!(home.log().contains("down to its reserve"), "{}", home.log());
}

#[tokio::test]
async fn a_relay_whose_disk_fails_acknowledges_nothing_more_and_ends_with_the_stores_code() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = SmallDisk::mount(&folder.path().join("disk"), 64 * 1024 * 1024) else {
        return skipped("a relay whose disk fails", "a disk cannot be mounted here");
    };
    let home = RelayHome::init(&[]);
    // The store moves to the small disk; the rest stays.
    std::fs::rename(home.path().join("store"), home.path().join("store.before")).unwrap();
    std::os::unix::fs::symlink(&disk.0, home.path().join("store")).unwrap();
    let mut relay = home.start();
    let (mut device, pair) = (connect(&home, &relay).await, Pair::draw(&mut SystemRandom::new()));
    device.say(pair.prove(Scope::Slot)).await;
    device.say(pair.register(Scope::Slot)).await;
    device.until(|event| matches!(event, ClientEvent::Answered { .. }).then_some(())).await;
    disk.fill();
    let mut version = 0;
    let code = loop {
        version += 1;
        let mut sealed = [0; SEALED_WORD_BYTES];
        SystemRandom::new().fill(&mut sealed);
        let word = Word::sign(&pair.write, pair.read_tag(), version, sealed);
        device.say(ClientCommand::PutWord { word, write_key: None }).await;
        let told = device.until(|event| match event {
            ClientEvent::Answered { asked: Asked::Word { version, .. }, code } => Some(Ok((version, code))),
            ClientEvent::Closed { code, .. } => Some(Err(code)),
            _ => None,
        });
        match tokio::time::timeout(Duration::from_secs(10), told).await.unwrap() {
            Ok(told) => assert_eq!(told, (version, Code::OK)),
            Err(code) => break code,
        }
    };
    assert_eq!(code, Code::INTERNAL);
    device.end().await;
    let ended = relay.wait();
    assert_eq!(ended.code(), Some(4), "{}", home.log());
    let log = home.log();
    assert!(log.contains("the store has stopped") && log.contains("full"), "{log}");

    // With room again, the last word that was acknowledged is there.
    std::fs::remove_file(disk.0.join("something else")).unwrap();
    let mut relay = home.start();
    let mut device = connect(&home, &relay).await;
    device.say(pair.prove(Scope::Slot)).await;
    device.say(ClientCommand::GetSeen { slot: pair.slot() }).await;
    let seen = device.until(|event| if let ClientEvent::Seen { word, .. } = event { Some(word) } else { None }).await;
    assert!(seen.map_or(0, |word| word.version) >= version - 1, "an acknowledged word is lost");
    assert!(stop(&mut relay, device).await.success());
}
