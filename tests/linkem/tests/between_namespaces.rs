//! Links that stand on this machine, with the program itself. Needs root, `ip` and /dev/net/tun; says so where it has not.

#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

#[expect(unreachable_pub, reason = "it is a module of `zajil-tests`, which shares it")]
#[path = "../../src/skipped.rs"]
mod skipped;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use serde_json::Value;
use zajil_net::links::{DropCause, Fate, LinkSettings, Loss, OneWay, Windows};

const CAMP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const TOWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// Far more than anything here takes; who waits so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says why links cannot be made here, if they cannot.
fn cannot(test: &str) -> bool {
    if !Path::new("/dev/net/tun").exists() {
        skipped::impossible(test, "the kernel has no TUN devices (CONFIG_TUN)");
        return true;
    }
    let why = if !rustix::process::geteuid().is_root() {
        "network namespaces need root"
    } else if Command::new("ip").arg("-V").output().is_err() {
        "iproute2 is not installed"
    } else {
        return false;
    };
    skipped::skipped(test, why);
    true
}

/// `linkem` with namespaces that only this test has.
fn linkem(verb: &str, test: &str, options: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_linkem"));
    command.arg(verb).stdin(Stdio::null());
    for (option, end) in [("--ns-a", "camp"), ("--ns-b", "town")] {
        command.args([option, &name(test, end)]);
    }
    command.args(options);
    command
}

fn name(test: &str, end: &str) -> String {
    format!("linkem-{}-{test}-{end}", std::process::id())
}

fn namespace(test: &str, end: &str) -> PathBuf {
    Path::new("/run/netns").join(name(test, end))
}

fn is_there(test: &str) -> [bool; 2] {
    ["camp", "town"].map(|end| namespace(test, end).exists())
}

/// Does something in the namespace of an end.
fn inside<T: Send>(test: &str, end: &str, act: impl FnOnce() -> T + Send) -> T {
    let namespace = File::open(namespace(test, end)).expect("the namespace is there");
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).expect("it can be entered");
            act()
        });
        thread.join().expect("it is done")
    })
}

/// A UDP socket at either end that know each other.
fn sockets(test: &str) -> (UdpSocket, UdpSocket) {
    let open = |end, address: Ipv4Addr| inside(test, end, || UdpSocket::bind((address, 0)).expect("a socket opens"));
    let (camp, town) = (open("camp", CAMP), open("town", TOWN));
    camp.connect(town.local_addr().unwrap()).unwrap();
    town.connect(camp.local_addr().unwrap()).unwrap();
    for socket in [&camp, &town] {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    (camp, town)
}

/// A link that stands until it is dropped.
struct Standing {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Standing {
    fn new(test: &str, options: &[&str]) -> Self {
        let mut child = linkem("up", test, options).stdout(Stdio::piped()).spawn().expect("linkem starts");
        let lines = BufReader::new(child.stdout.take().expect("it was asked for"));
        let mut standing = Self { child, lines };
        assert_eq!(standing.line()["event"], "ready");
        standing
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("it runs");
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("it can be read");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Ends it with a signal; returns its exit status and the last figures.
    fn end(&mut self, signal: Signal) -> (Option<i32>, Value) {
        self.signal(signal);
        let line = self.line();
        (self.child.wait().expect("it ends").code(), line)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        // A test that failed: the namespaces shall go all the same.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.signal(Signal::TERM);
            let _ended = self.child.wait();
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn edge_has_the_round_trip_and_the_rates_of_its_table_and_loses_what_the_model_loses_for_this_seed() {
    if cannot("an edge link between namespaces") {
        return;
    }
    let check = ["check", "--profile", "edge", "--seed", "7"];
    let output = Command::new(env!("CARGO_BIN_EXE_linkem")).args(check).output().expect("linkem starts");
    let lines = text(&output.stdout);
    let figures: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let measured = |name: &str| {
        let figure = figures.iter().find(|figure| figure["figure"] == name);
        figure.map(|figure| figure["measured"].clone()).unwrap_or_else(|| panic!("no {name}: {lines} {output:?}"))
    };
    // Wide bounds: other tests keep this machine busy, and nobody who measures has real-time scheduling.
    let round_trip = measured("round trip");
    assert_eq!(round_trip["wanted_ms"], 416.8);
    let least = round_trip["least_ms"].as_f64().unwrap();
    assert!((416.8..450.0).contains(&least), "{round_trip}");
    for (way, wanted) in [("rate up", 60_000), ("rate down", 120_000)] {
        let rate = measured(way);
        let got = rate["bps"].as_u64().unwrap();
        assert!(rate["wanted_bps"] == wanted && got.abs_diff(wanted) < wanted / 20, "{way}: {rate}");
    }
    for way in ["loss up", "loss down"] {
        let loss = measured(way);
        assert!(loss["with_another_fate"] == 0 && loss["lost"].as_u64().unwrap() > 20, "{way}: {loss}");
    }
}

/// A line of a trace: its packet's number, when it was offered, its bytes, and when it was due or why it was dropped.
fn traced(line: &str) -> (u64, Duration, usize, Result<Duration, String>) {
    let columns: Vec<&str> = line.split(',').collect();
    let [_, number, bytes, "udp", offered, due, _, fate] = columns[..] else { panic!("{line}") };
    let time = |text: &str| Duration::from_nanos(text.replace('.', "").parse().unwrap());
    let fate = if fate == "delivered" { Ok(time(due)) } else { Err(fate.to_owned()) };
    (number.parse().unwrap(), time(offered), bytes.parse().unwrap(), fate)
}

/// What the model says of a packet, as a trace would have it.
fn foretold(model: &mut OneWay, offered: Duration, bytes: usize) -> Vec<Result<Duration, String>> {
    match model.offer(offered, bytes) {
        Fate::Arrives { at, again, .. } => [Some(at), again].into_iter().flatten().map(Ok).collect(),
        Fate::Dropped(cause) => vec![Err(match cause {
            DropCause::Outage => "outage".to_owned(),
            DropCause::QueueFull => "queue_full".to_owned(),
            DropCause::Lost => "lost".to_owned(),
            other => panic!("{other:?}"),
        })],
    }
}

#[test]
fn every_packet_meets_the_fate_that_the_model_has_for_it() {
    if cannot("the fates of packets between namespaces") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let link = "--seed 9 --rate 400k --delay 30ms --jitter 10ms --ge 0.02,0.2 --dup 10% --reorder 10% --queue-pkts 10";
    let options = link.split(' ').chain(["--outage", "up=0.3,down=0.1", "--trace", trace.to_str().unwrap()]);
    let mut link = Standing::new("fates", &options.collect::<Vec<_>>());
    let (camp, town) = sockets("fates");
    for burst in 0..60 {
        (0..10).for_each(|nth| assert!(camp.send(&vec![0; 40 + burst + nth]).is_ok()));
        // 12,000 bits take 30 ms: the queue fills now and then.
        thread::sleep(Duration::from_millis(if burst % 10 < 4 { 5 } else { 30 }));
    }
    town.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    while town.recv(&mut [0; 128]).is_ok() {}
    let (_, figures) = link.end(Signal::TERM);
    assert_eq!((&figures["up"]["offered"]["packets"], &figures["up"]["balanced"]), (&600.into(), &true.into()));

    let settings = LinkSettings {
        rate_bits: Some(400_000),
        delay: Duration::from_millis(30),
        jitter: Duration::from_millis(10),
        loss: Loss::Bursts {
            good_to_bad_ppm: 20_000,
            bad_to_good_ppm: 200_000,
            lost_bad_ppm: 1_000_000,
            lost_good_ppm: 0,
        },
        duplicate_ppm: 100_000,
        reorder_ppm: 100_000,
        queue_packets: 10,
        windows: Windows::Cycle {
            up: Duration::from_millis(300),
            down: Duration::from_millis(100),
            offset: Duration::ZERO,
        },
        ..LinkSettings::default()
    };
    let (mut model, _) = OneWay::both(settings, LinkSettings::default(), 9);
    let mut met: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (number, offered, bytes, fate) in std::fs::read_to_string(trace).unwrap().lines().skip(1).map(traced) {
        met.entry((number, offered, bytes)).or_default().push(fate);
    }
    assert_eq!(met.len(), 600);
    for ((number, offered, bytes), fates) in met {
        assert_eq!(fates, foretold(&mut model, offered, bytes), "packet {number}");
    }
    let counters = model.counters();
    let all = [counters.lost, counters.outage, counters.queue_full, counters.duplicated, counters.reordered];
    assert!(all.iter().all(|count| *count > 5), "{counters:?}");
}

#[test]
fn a_command_runs_in_camp_beside_another_in_town_and_its_status_is_ours() {
    if cannot("a command over a link between namespaces") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (town, stats, trace) = (folder.path().join("town"), folder.path().join("stats"), folder.path().join("trace"));
    let line = format!("echo $$ > {}; exec sleep 1000", town.display());
    let options = ["--profile", "edge", "--town", &line, "--stats", stats.to_str().unwrap()];
    let options = [&options[..], &["--trace", trace.to_str().unwrap()]].concat();
    let script = "ip -4 -oneline addr show lk0; echo $LINKEM_CAMP_IP $LINKEM_TOWN_IP $LINKEM_TOWN_NS; exit 7";
    let output = linkem("run", "run", &options).args(["--", "sh", "-c", script]).output().expect("linkem starts");
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    let said = text(&output.stdout);
    assert!(said.contains("inet 10.77.0.1/24"), "{said}");
    assert!(said.ends_with(&format!("10.77.0.1 10.77.0.2 {}\n", name("run", "town"))), "{said}");
    // Nothing of it is left: neither the namespaces nor what ran in town.
    assert_eq!(is_there("run"), [false; 2]);
    let process = std::fs::read_to_string(town).unwrap();
    assert!(!Path::new("/proc").join(process.trim()).exists(), "{process} is still there");
    let events: Vec<Value> =
        std::fs::read_to_string(stats).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.iter().map(|event| &event["event"]).collect::<Vec<_>>(), ["ready", "final"]);
    assert_eq!(std::fs::read_to_string(trace).unwrap(), "dir,id,bytes,proto,offered_s,due_s,done_s,fate\n");
}

#[test]
fn namespaces_go_however_a_link_ends() {
    if cannot("the end of a link between namespaces") {
        return;
    }
    for (test, signal) in [("int", Signal::INT), ("term", Signal::TERM), ("hup", Signal::HUP)] {
        let mut link = Standing::new(test, &[]);
        assert_eq!(is_there(test), [true; 2]);
        let (status, figures) = link.end(signal);
        assert_eq!((status, &figures["event"], is_there(test)), (Some(0), &Value::from("final"), [false; 2]), "{test}");
    }
    let ends = |test: &str, options: &[&str], command: &[&str]| -> Output {
        let output = linkem("run", test, options).arg("--").args(command).output().expect("linkem starts");
        assert_eq!(is_there(test), [false; 2], "{test}");
        output
    };
    assert_eq!(ends("killed", &[], &["sh", "-c", "kill -9 $$"]).status.code(), Some(137));
    assert_eq!(ends("late", &["--duration", "200ms"], &["sleep", "1000"]).status.code(), Some(124));
    let missing = ends("missing", &[], &["no-such-command"]);
    assert_eq!(missing.status.code(), Some(127));
    assert!(text(&missing.stderr).contains("could not start \"no-such-command\""), "{missing:?}");
    // What is only half made goes as well.
    let refused = ends("refused", &["--sysctl", "net.no.such.key=1"], &["true"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(text(&refused.stderr).contains("could not set net.no.such.key to 1"), "{refused:?}");
}

#[test]
fn a_signal_ends_the_command_with_all_that_it_has_started() {
    if cannot("a signal to a link between namespaces") {
        return;
    }
    let mut command = linkem("run", "group", &[]);
    let mut child =
        command.args(["--", "sh", "-c", "sleep 1000 & echo $!; wait"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut sleeper = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut sleeper).unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(is_there("group"), [false; 2]);
    // Who was ended may stand among processes as one that nobody has looked after yet.
    let status = std::fs::read_to_string(format!("/proc/{}/status", sleeper.trim())).unwrap_or_default();
    assert!(status.is_empty() || status.contains("State:\tZ"), "{status}");
}

#[test]
fn links_stand_side_by_side_with_the_same_addresses() {
    if cannot("two links between namespaces") {
        return;
    }
    let (mut one, mut two) = (Standing::new("one", &[]), Standing::new("two", &[]));
    for (test, word) in [("one", b"from one"), ("two", b"from two")] {
        let (camp, town) = sockets(test);
        camp.send(word).unwrap();
        let mut heard = [0; 8];
        town.recv(&mut heard).unwrap();
        assert_eq!(&heard, word);
    }
    for link in [&mut one, &mut two] {
        let (_, figures) = link.end(Signal::TERM);
        assert_eq!((&figures["up"]["delivered"]["packets"], &figures["up"]["balanced"]), (&1.into(), &true.into()));
    }
}

#[test]
fn a_second_link_with_the_same_namespaces_is_refused_and_leaves_the_first_alone() {
    if cannot("a second link between the same namespaces") {
        return;
    }
    let mut first = Standing::new("twice", &[]);
    let second = linkem("run", "twice", &[]).args(["--", "true"]).output().unwrap();
    assert_eq!(second.status.code(), Some(125), "{second:?}");
    assert!(text(&second.stderr).contains("has a link already"), "{second:?}");
    assert_eq!(is_there("twice"), [true; 2]);
    let (camp, town) = sockets("twice");
    camp.send(b"still here").unwrap();
    assert_eq!(town.recv(&mut [0; 16]).unwrap(), 10);
    assert_eq!(first.end(Signal::TERM).0, Some(0));
}

#[test]
fn where_udp_is_blocked_tcp_passes() {
    if cannot("a link between namespaces that blocks UDP") {
        return;
    }
    let mut link = Standing::new("udp", &["--block-udp", "yes"]);
    let (camp, town) = sockets("udp");
    camp.send(b"nobody hears this").unwrap();
    let listener = inside("udp", "town", || TcpListener::bind((TOWN, 443)).unwrap());
    let hears = thread::spawn(move || {
        let mut said = String::new();
        listener.accept().unwrap().0.read_to_string(&mut said).unwrap();
        said
    });
    inside("udp", "camp", || TcpStream::connect((TOWN, 443)).unwrap().write_all(b"over TCP").unwrap());
    assert_eq!(hears.join().unwrap(), "over TCP");
    // What was sent before it would have come before it.
    town.set_nonblocking(true).unwrap();
    assert!(town.recv(&mut [0; 32]).is_err());
    link.signal(Signal::USR1);
    let figures = link.line();
    assert_eq!(figures["event"], "snapshot");
    assert_eq!(figures["up"]["dropped_packets_by_cause"]["blocked_udp"], 1, "{figures}");
    assert!(figures["up"]["delivered_by_protocol"]["tcp"]["packets"].as_u64().unwrap() > 2, "{figures}");
    assert_eq!(link.end(Signal::TERM).0, Some(0));
}
