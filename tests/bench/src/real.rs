//! The same transfers between real sockets, with `linkem` between them: does virtual time tell the truth?
//!
//! Relay and devices live in one thread that is in linkem's *town* until all is prepared, and goes to *camp* then: what the device
//! opens from there on is behind the bad link, what the relay had opened stays where it was. Needs root.

use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use serde::Serialize;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep};
use zajil_client::engine::api::Wait;
use zajil_net::{SystemClock, SystemNetwork};

use crate::series::{Case, Summary, measure};
use crate::standing::{CAMP, Standing, TOWN, TOWN_ADDRESS, enter};
use crate::trial::{FAR, Ground, Met, NEAR, PATIENCE, Program, Start, Trial, Way, World, receive, send};

/// The first port at which a relay listens; each transfer has its own.
const PORT: u16 = 20_000;
/// What is on its way from the transfer before has come by then.
const REST: Duration = Duration::from_secs(3);

/// Why nothing can be compared.
pub type Unable = io::Error;

/// Transfers of one kind in virtual time and between real sockets. Times in seconds.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The link's name.
    pub link: String,
    /// `send` or `receive`.
    pub way: &'static str,
    /// How many transfers of each.
    pub transfers: u64,
    /// How many were not over in time between real sockets.
    pub failed: usize,
    /// The median in virtual time.
    pub simulated: f64,
    /// The median between real sockets.
    pub real: f64,
    /// The second as a multiple of the first.
    pub ratio: f64,
}

/// Plays `count` cold transfers of a case in virtual time, and as many over a link that `linkem` makes.
///
/// # Errors
/// There is no such link to be had: not root, or no such program.
pub fn compare(case: &Case, linkem: &Path, first: u64, count: u64, jobs: usize) -> Result<Compared, Unable> {
    let Summary { link, median: simulated, .. } = measure(case, first, count, jobs);
    let standing = Standing::new(linkem, case, first)?;
    let mut times = Vec::new();
    for number in 0..count {
        let trial = case.trial(first + number, number, count);
        let [camp, town] = [standing.end(CAMP)?, standing.end(TOWN)?];
        let port = PORT + u16::try_from(number % 20_000).expect("it is small");
        let playing = thread::spawn(move || play(&trial, SocketAddr::new(TOWN_ADDRESS, port), &camp, &town));
        times.push(playing.join().expect("nobody panics")?);
    }
    let failed = times.iter().filter(|time| time.is_none()).count();
    times.sort_by_key(|time| time.unwrap_or(PATIENCE));
    let real = times[times.len() / 2].unwrap_or(PATIENCE).as_secs_f64();
    Ok(Compared { link, way: case.way(), transfers: count, failed, simulated, real, ratio: real / simulated })
}

fn play(trial: &Trial, relay: SocketAddr, camp: &File, town: &File) -> io::Result<Option<Duration>> {
    assert!(trial.start == Start::Cold && trial.way != Way::Word, "only these are compared");
    enter(town)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let ground =
            Ground { network: Box::new(|_| Arc::new(SystemNetwork)), clock: Arc::new(SystemClock::new()), relay };
        let mut world = World { trial, ground, opened: 0 };
        let (link, _store) = world.start_relay();
        let Met { near: near_disk, far: far_disk, voice } = world.two_who_have_met(&link).await;
        if trial.way == Way::Receive {
            let far = Program::new(world.open(FAR, &far_disk));
            far.ask(send("Near", voice.clone(), Wait::Stored)).await;
            far.task.abort();
        }
        enter(camp)?;
        sleep(REST).await;
        let near = Program::new(world.open(NEAR, &near_disk));
        let begin = Instant::now();
        let whole = if trial.way == Way::Send { near.sends(voice, begin).await } else { receive(&near, begin).await.0 };
        near.task.abort();
        Ok(whole)
    })
}
