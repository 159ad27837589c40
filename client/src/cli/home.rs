//! Opens the home, or finds the daemon that has it open.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use zajil_net::{DialOptions, SystemClock, SystemNetwork, SystemRandom};
use zajil_proto::relay_link::RelayLink;
use zajil_proto::sealing::Address;
use zeroize::Zeroizing;

use super::context::{Executor, shown};
use super::exit::Exit;
use super::problem::{self, Problem, reason};
use crate::daemon::client::Client;
use crate::daemon::wire::WireError;
use crate::engine::api::{Failure, Progress, Reply, Request};
use crate::engine::host::{self, Host, Parts};
use crate::i18n::msg;
use crate::limits::{HOME_WAIT_MS_MAX, PASSPHRASE_BYTES_MAX};
use crate::paths;
use crate::store::{Argon2Cost, DeviceStore, Kind, Method, Passphrase, Protection, SqliteStore, StoreError, Unlock};

/// How often a command looks whether another one has let go of the home.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Who carries out this command's requests.
pub(super) enum Access {
    /// The daemon that has the home open, and what opens it if it has forgotten that.
    Daemon(Client, Option<Passphrase>),
    /// The engine in this process.
    Here(Box<Host>),
}

impl Executor for Access {
    async fn execute(&mut self, request: Request, progress: &mut dyn FnMut(Progress)) -> Result<Reply, Problem> {
        let answer = match self {
            Self::Here(host) => host.execute(request, progress).await,
            Self::Daemon(client, passphrase) => {
                let answer = client.execute(&request, progress).await.map_err(|error| wire(&error))?;
                match passphrase {
                    Some(passphrase) if matches!(answer, Err(Failure::DeviceLocked)) => {
                        let unlock = Request::Unlock { passphrase: passphrase.clone() };
                        client.execute(&unlock, progress).await.map_err(|error| wire(&error))??;
                        client.execute(&request, progress).await.map_err(|error| wire(&error))?
                    }
                    _ => answer,
                }
            }
        };
        match answer? {
            Reply::Status(mut status) => {
                status.daemon = matches!(self, Self::Daemon(..));
                Ok(Reply::Status(status))
            }
            reply => Ok(reply),
        }
    }
}

/// Reaches the engine: through the daemon if one runs, else by opening the home, waiting a little if another command
/// has it.
///
/// `is_typed`: whether the passphrase was named in this command, and not once for all.
pub(super) async fn reach(home: &Path, passphrase: Option<&Path>, is_typed: bool) -> Result<Access, Problem> {
    let deadline = Instant::now() + Duration::from_millis(HOME_WAIT_MS_MAX);
    loop {
        if let Some(client) = daemon(home).await? {
            let typed = passphrase.filter(|_| is_typed).map(read_passphrase).transpose()?;
            if let Some(typed) = &typed {
                super::panic::try_passphrase(home, typed).await?;
            }
            return Ok(Access::Daemon(client, typed));
        }
        match open(home, passphrase) {
            Err(Unopened::Busy) if Instant::now() < deadline => sleep(LOOK_AGAIN).await,
            result => return Ok(Access::Here(Box::new(result.map_err(Unopened::into_problem)?))),
        }
    }
}

/// Opens the home for the daemon, which waits for nobody: another daemon would never end.
pub(super) async fn hold(home: &Path, passphrase: Option<&Path>) -> Result<Host, Problem> {
    // One that is locked has let go of the home, and is there all the same.
    if daemon(home).await?.is_some() {
        return Err(Problem::new(Exit::Home, msg("err-daemon-running"), msg("rec-daemon-running")));
    }
    open(home, passphrase).map_err(Unopened::into_problem)
}

/// The daemon of this home, if one runs.
pub(super) async fn daemon(home: &Path) -> Result<Option<Client>, Problem> {
    Client::find(&paths::socket(home)).await.map_err(|error| wire(&error))
}

/// Makes a new device in this home, which belongs to `relay` from then on.
pub(super) fn init(home: &Path, relay: &str, passphrase: Option<&Path>) -> Result<RelayLink, Problem> {
    let mistyped = || Problem::new(Exit::Link, msg("err-relay-link"), msg("rec-relay-link"));
    let relay: RelayLink = relay.parse().map_err(|_| mistyped())?;
    Address::parse(&relay.address).map_err(|_| mistyped())?;
    let protection = match passphrase {
        Some(file) => Protection::Passphrase(read_passphrase(file)?, Argon2Cost::RECOMMENDED),
        None => Protection::KeyFile(SqliteStore::key_file_of(home)),
    };
    let store = match SqliteStore::init(home, &protection, Box::new(SystemRandom::new())) {
        // One that was cut off between its two halves is finished now.
        Err(StoreError::NotEmpty) => unfinished(home, passphrase),
        other => other,
    };
    let store = store.map_err(|error| problem::home(&error, home))?;
    // A meeting with the relay is not needed, and it may be out of reach today.
    drop(host::create(parts(Box::new(store)), &relay)?);
    Ok(relay)
}

/// Opens a store that no device lives in yet; any other is [`StoreError::NotEmpty`], also one that does not open.
fn unfinished(home: &Path, passphrase: Option<&Path>) -> Result<SqliteStore, StoreError> {
    let store = open_store(home, passphrase).map_err(|_| StoreError::NotEmpty)?;
    if store.count(Kind::Profile)? == 0 { Ok(store) } else { Err(StoreError::NotEmpty) }
}

/// Why a home was not opened now.
enum Unopened {
    /// Another command has it.
    Busy,
    /// Anything else.
    Problem(Problem),
}

impl Unopened {
    fn into_problem(self) -> Problem {
        match self {
            Self::Busy => problem::home(&StoreError::Busy, Path::new("")),
            Self::Problem(problem) => problem,
        }
    }
}

fn open(home: &Path, passphrase: Option<&Path>) -> Result<Host, Unopened> {
    let store = open_store(home, passphrase)?;
    host::open(parts(Box::new(store))).map_err(|failure| Unopened::Problem(failure.into()))
}

fn open_store(home: &Path, passphrase: Option<&Path>) -> Result<SqliteStore, Unopened> {
    let refused = |error: StoreError| match error {
        StoreError::Busy => Unopened::Busy,
        other => Unopened::Problem(problem::home(&other, home)),
    };
    // Asked before the passphrase is read, so that a missing home is told as such.
    let method = SqliteStore::method(home).map_err(refused)?;
    let unlock = match (method, passphrase) {
        (Method::Passphrase, None) => return Err(refused(StoreError::NeedsPassphrase)),
        (_, Some(file)) => Unlock::Passphrase(read_passphrase(file).map_err(Unopened::Problem)?),
        (Method::KeyFile, None) => Unlock::KeyFile(SqliteStore::key_file_of(home)),
    };
    SqliteStore::open(home, &unlock, Box::new(SystemRandom::new())).map_err(refused)
}

fn parts(store: Box<dyn DeviceStore>) -> Parts {
    Parts {
        clock: Arc::new(SystemClock::new()),
        network: Arc::new(SystemNetwork),
        random: Box::new(SystemRandom::new()),
        store,
        dial: DialOptions::default(),
    }
}

/// Reads the first line of the passphrase file.
pub(super) fn read_passphrase(path: &Path) -> Result<Passphrase, Problem> {
    let unread = |error: &io::Error| {
        Problem::new(
            Exit::Home,
            msg("err-passphrase-file").say("reason", reason(error)).text("path", shown(path)),
            msg("rec-passphrase-file"),
        )
    };
    let unfit = || {
        Problem::new(
            Exit::Home,
            msg("err-passphrase-form").figures("max", PASSPHRASE_BYTES_MAX),
            msg("rec-passphrase-form"),
        )
    };
    // Room for the longest line and its end, taken at once: a growing buffer would leave copies behind.
    let room = PASSPHRASE_BYTES_MAX + 2;
    let mut bytes = Zeroizing::new(Vec::with_capacity(room));
    let limit = u64::try_from(room).unwrap_or(u64::MAX);
    File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes)).map_err(|error| unread(&error))?;
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let text = std::str::from_utf8(line).map_err(|_| unfit())?;
    Passphrase::new(text).map_err(|_| unfit())
}

/// What went wrong between this command and the daemon.
pub(super) fn wire(error: &WireError) -> Problem {
    match error {
        WireError::Version | WireError::Malformed => {
            Problem::new(Exit::Failed, msg("err-daemon-version"), msg("rec-daemon-version"))
        }
        WireError::Gone => Problem::new(Exit::Failed, msg("err-daemon-gone"), msg("rec-daemon-gone")),
        WireError::Io(error) => socket(error),
        too_large @ WireError::TooLarge { .. } => problem::internal(too_large),
    }
}

/// The socket could not be made or used.
pub(super) fn socket(error: &io::Error) -> Problem {
    Problem::new(Exit::Home, msg("err-daemon-socket").say("reason", reason(error)), msg("rec-daemon-socket"))
}

/// Where the daemon is to listen.
pub(super) fn socket_path(home: &Path) -> Result<PathBuf, Problem> {
    let path = paths::socket(home);
    if paths::fits_socket(&path) {
        Ok(path)
    } else {
        Err(Problem::new(Exit::Home, msg("err-socket-path-long"), msg("rec-socket-path-long")))
    }
}

/// The answer of the daemon to what only a daemon can be asked.
pub(super) async fn ask_daemon(home: &Path, request: &Request) -> Result<Reply, Problem> {
    let Some(client) = daemon(home).await? else {
        return Err(Problem::new(Exit::Failed, msg("err-daemon-not-running"), msg("rec-daemon-not-running")));
    };
    let answer: Result<Reply, Failure> = client.execute(request, &mut |_| {}).await.map_err(|error| wire(&error))?;
    answer.map_err(Problem::from)
}

/// Opens the home of a daemon that had forgotten its keys.
pub(super) fn reopen(home: &Path, passphrase: &Passphrase) -> Result<Host, Failure> {
    let unlock = Unlock::Passphrase(passphrase.clone());
    host::open(parts(Box::new(SqliteStore::open(home, &unlock, Box::new(SystemRandom::new()))?)))
}

#[cfg(test)]
mod tests {
    use zajil_proto::keys::SigningKey;

    use super::*;

    #[test]
    fn an_init_that_was_cut_off_is_finished_by_the_next_one_and_a_finished_one_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let key_file = Protection::KeyFile(SqliteStore::key_file_of(&home));
        drop(SqliteStore::init(&home, &key_file, Box::new(SystemRandom::new())).unwrap());

        let key = SigningKey::draw(&mut SystemRandom::new()).public();
        let relay = RelayLink { key, admission: String::new(), address: "127.0.0.1:1".to_owned() }.to_string();
        assert_eq!(init(&home, &relay, None).unwrap().address, "127.0.0.1:1");
        assert_eq!(init(&home, &relay, None).unwrap_err().told.code(), "home-exists");
    }

    #[tokio::test(start_paused = true)]
    async fn a_home_that_another_command_holds_is_waited_for_and_then_told_as_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("home");
        let key_file = Protection::KeyFile(SqliteStore::key_file_of(&home));
        let held = SqliteStore::init(&home, &key_file, Box::new(SystemRandom::new())).unwrap();

        let begun = Instant::now();
        let problem = reach(&home, None, false).await.err().unwrap();
        assert_eq!((problem.told.code(), problem.exit), ("home-in-use", Exit::Home));
        assert!(begun.elapsed() >= Duration::from_millis(HOME_WAIT_MS_MAX));
        // A daemon does not wait: what holds the home may never end.
        let begun = Instant::now();
        assert_eq!(hold(&home, None).await.unwrap_err().told.code(), "home-in-use");
        assert!(begun.elapsed() < Duration::from_millis(HOME_WAIT_MS_MAX));
        drop(held);
        // It is let go now; that no device lives in it is another matter.
        assert_eq!(reach(&home, None, false).await.err().unwrap().told.code(), "store");
    }
}
