//! What others take over the same links: HTTPS (nginx and curl) and MQTT (mosquitto), between real sockets, over TLS 1.3, the
//! server's certificate known beforehand. Needs root.
//!
//! They carry the bare bytes of a note: no seal, no padding, no receipt but their own. A program that gives up before
//! [`PATIENCE`] is started again at once, as a person would.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde::Serialize;
use tempfile::TempDir;

use crate::limit;
use crate::note::NOTE_BYTES;
use crate::series::Case;
use crate::standing::{CAMP, Running, Standing, TOWN, TOWN_ADDRESS, enter};
use crate::trial::{PATIENCE, Way};

const HTTPS_PORT: u16 = 8_443;
const MQTT_PORT: u16 = 8_883;
/// A server that does not listen by then never will.
const START_TIME_MAX: Duration = Duration::from_secs(10);

/// Somebody else's way to carry a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Peer {
    /// `curl` puts and gets a file at nginx.
    Https,
    /// `mosquitto_pub` at quality of service 1, and `mosquitto_sub` for a retained message; Nagle's algorithm off at both ends.
    Mqtt,
}

/// What came of all transfers of one kind. Times in seconds.
#[derive(Debug, Clone, Serialize)]
pub struct OfPeer {
    /// The link's name.
    pub link: String,
    /// `send` or `receive`.
    pub way: &'static str,
    /// By whom.
    pub peer: Peer,
    /// How many transfers.
    pub transfers: usize,
    /// How many were not over within [`PATIENCE`].
    pub failed: usize,
    /// What the link needs at best.
    pub limit: f64,
    /// The median.
    pub median: f64,
    /// 95 of 100 take no longer.
    pub p95: f64,
    /// The longest.
    pub worst: f64,
    /// Milliseconds by which `linkem` was late with 99 of 100 packets at most, where that was worst: over 2, figures are doubtful.
    pub late_millis: f64,
}

/// Plays `count` transfers of a case by a peer, `jobs` side by side, each over a link of its own.
///
/// # Errors
/// There is no such link, or no such program.
pub fn measure_peer(case: &Case, peer: Peer, linkem: &Path, first: u64, count: u64, jobs: usize) -> io::Result<OfPeer> {
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let stall = Stall::new()?;
    thread::scope(|scope| {
        for _ in 0..jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return;
                    }
                    // A thread of its own: it does not come back out of the namespaces.
                    let playing = thread::scope(|inner| {
                        let play = || play(case, peer, linkem, &stall, (first + number, case.phase(number, count)));
                        inner.spawn(play).join().expect("nobody panics")
                    });
                    done.lock().expect("nobody has panicked").push(playing);
                }
            });
        }
    });
    let played = done.into_inner().expect("nobody has panicked").into_iter().collect::<io::Result<Vec<_>>>()?;
    let late = played.iter().filter_map(|(_, late)| *late).max().unwrap_or_default();
    let mut times: Vec<Option<Duration>> = played.into_iter().map(|(time, _)| time).collect();
    times.sort_by_key(|time| time.unwrap_or(PATIENCE));
    let at = |part: usize| times[(times.len() - 1) * part / 100].unwrap_or(PATIENCE).as_secs_f64();
    Ok(OfPeer {
        link: case.name.clone(),
        way: case.way(),
        peer,
        transfers: times.len(),
        failed: times.iter().filter(|time| time.is_none()).count(),
        limit: limit(case.busy_way(), NOTE_BYTES).as_secs_f64(),
        median: at(50),
        p95: at(95),
        worst: at(100),
        late_millis: late.as_secs_f64() * 1_000.0,
    })
}

/// What the servers are told, and the note.
struct Stall(TempDir);

impl Stall {
    fn new() -> io::Result<Self> {
        let stall = Self(TempDir::new()?);
        // Every byte another, and the same in every run.
        let mut chance = crate::chance::Chance::new(NOTE_BYTES);
        let note: Vec<u8> = (0..NOTE_BYTES).map(|_| chance.draw().to_be_bytes()[0]).collect();
        fs::write(stall.at("note"), note)?;
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=relay", "-addext"]).arg(format!("subjectAltName=IP:{TOWN_ADDRESS}"));
        openssl.arg("-keyout").arg(stall.at("key.pem")).arg("-out").arg(stall.at("certificate.pem"));
        run(&mut openssl)?;
        Ok(stall)
    }

    fn at(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn certificate(&self) -> PathBuf {
        self.at("certificate.pem")
    }

    /// Starts a peer's server in this thread's namespace. Each has a folder of its own.
    fn serve(&self, peer: Peer, number: u64) -> io::Result<Running> {
        let folder = self.at(&format!("{peer:?}-{number}"));
        fs::create_dir_all(folder.join("www"))?;
        fs::copy(self.at("note"), folder.join("www/note"))?;
        let (certificate, key) = (self.certificate(), self.at("key.pem"));
        let (certificate, key, folder) = (certificate.display(), key.display(), folder.display());
        let config = self.at(&format!("{peer:?}-{number}.conf"));
        let (mut command, port) = match peer {
            Peer::Https => {
                let text = format!(
                    "daemon off; user root; pid {folder}/pid; worker_processes 1; error_log {folder}/log; events {{}}\n\
                     http {{ access_log off; client_body_temp_path {folder}/body;\n\
                     server {{ listen {TOWN_ADDRESS}:{HTTPS_PORT} ssl; ssl_certificate {certificate};\n\
                     ssl_certificate_key {key}; ssl_protocols TLSv1.3; root {folder}/www; dav_methods PUT; }} }}\n"
                );
                fs::write(&config, text)?;
                let mut nginx = Command::new("nginx");
                nginx.arg("-c").arg(&config);
                (nginx, HTTPS_PORT)
            }
            Peer::Mqtt => {
                let text = format!(
                    "listener {MQTT_PORT} {TOWN_ADDRESS}\nallow_anonymous true\nset_tcp_nodelay true\nuser root\n\
                     certfile {certificate}\nkeyfile {key}\ntls_version tlsv1.3\n"
                );
                fs::write(&config, text)?;
                let mut mosquitto = Command::new("mosquitto");
                mosquitto.arg("-c").arg(&config);
                (mosquitto, MQTT_PORT)
            }
        };
        let server = Running(silent(&mut command).spawn()?);
        let begin = Instant::now();
        while TcpStream::connect(SocketAddr::new(TOWN_ADDRESS, port)).is_err() {
            if begin.elapsed() > START_TIME_MAX {
                return Err(io::Error::other(format!("{peer:?}: its server does not listen")));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    /// Returns what carries a note, and what it prints then.
    fn carrier(&self, peer: Peer, way: Way) -> (Command, String) {
        let certificate = self.certificate();
        match peer {
            Peer::Https => {
                let mut curl = Command::new("curl");
                curl.args(["--silent", "--tcp-nodelay", "--output", "/dev/null", "--cacert"]).arg(certificate);
                curl.args(["--write-out", "%{response_code} %{size_upload} %{size_download}"]);
                let url = format!("https://{TOWN_ADDRESS}:{HTTPS_PORT}");
                if way == Way::Send {
                    curl.arg("--upload-file").arg(self.at("note")).arg(format!("{url}/sent"));
                    (curl, format!("201 {NOTE_BYTES} 0"))
                } else {
                    curl.arg(format!("{url}/note"));
                    (curl, format!("200 0 {NOTE_BYTES}"))
                }
            }
            Peer::Mqtt if way == Way::Send => (self.publisher("sent"), String::new()),
            Peer::Mqtt => {
                let mut sub = self.client("mosquitto_sub");
                sub.args(["-C", "1", "-F", "%l", "-t", "note"]);
                (sub, format!("{NOTE_BYTES}\n"))
            }
        }
    }

    fn client(&self, program: &str) -> Command {
        let mut client = Command::new(program);
        client.args(["-q", "1", "--nodelay", "-h", &TOWN_ADDRESS.to_string(), "-p", &MQTT_PORT.to_string()]);
        client.arg("--cafile").arg(self.certificate());
        client
    }

    fn publisher(&self, topic: &str) -> Command {
        let mut publisher = self.client("mosquitto_pub");
        publisher.args(["-t", topic, "-f"]).arg(self.at("note"));
        publisher
    }
}

/// Plays one transfer over a link of its own; returns how long it took, and how late linkem was.
fn play(
    case: &Case,
    peer: Peer,
    linkem: &Path,
    stall: &Stall,
    (seed, phase): (u64, Duration),
) -> io::Result<(Option<Duration>, Option<Duration>)> {
    let standing = Standing::new(linkem, case, seed)?;
    let since = Instant::now();
    let [camp, town] = [standing.end(CAMP)?, standing.end(TOWN)?];
    enter(&town)?;
    let server = stall.serve(peer, seed)?;
    if peer == Peer::Mqtt && case.way == Way::Receive {
        run(stall.publisher("note").arg("--retain"))?;
    }
    enter(&camp)?;
    thread::sleep(phase.saturating_sub(since.elapsed()));
    let begin = Instant::now();
    let over = loop {
        let left = PATIENCE.saturating_sub(begin.elapsed());
        if left.is_zero() {
            break None;
        }
        let (carrier, says) = stall.carrier(peer, case.way);
        let mut patient = Command::new("timeout");
        patient.arg(format!("{:.3}", left.as_secs_f64())).arg(carrier.get_program()).args(carrier.get_args());
        let output = patient.stdin(Stdio::null()).output()?;
        if output.status.success() && output.stdout == says.as_bytes() {
            break Some(begin.elapsed());
        }
        // What cannot even be started fails at once, and would for five minutes.
        if output.status.code() == Some(127) {
            return Err(io::Error::other(String::from_utf8_lossy(&output.stderr)));
        }
        thread::sleep(Duration::from_millis(100));
    };
    drop(server);
    Ok((over, standing.ended()?))
}

fn silent(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() { Ok(()) } else { Err(io::Error::other(String::from_utf8_lossy(&output.stderr))) }
}
