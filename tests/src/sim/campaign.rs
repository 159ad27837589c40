//! Many worlds at once: each in a thread of its own, nothing shared between them, watched so that none hangs unseen.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::panics;
use super::trial::Trial;

/// Stack of a thread that plays worlds, bytes. Unoptimised futures are large, and only what is touched is taken.
const STACK_BYTES: usize = 64 << 20;

/// Words from the threads to the watcher that may wait; a thread waits when it is full.
const WORDS_IN_FLIGHT: usize = 64;

/// How often the watcher looks at the clock.
const WATCH_EVERY: Duration = Duration::from_millis(500);

/// How a campaign is led.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Worlds at once; at least one.
    pub jobs: usize,
    /// Whether worlds are begun after one has failed.
    pub keep_going: bool,
    /// No world is begun after this wall time.
    pub stop_after: Option<Duration>,
    /// A world that takes longer is named while it runs, again and again.
    pub slow_after: Duration,
    /// A world that takes longer counts as broken, and ends the campaign: a thread cannot be stopped from outside.
    pub give_up_after: Duration,
    /// Whoever sets it wants no more: what is under way is left.
    pub stop: Arc<AtomicBool>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            jobs: cores(),
            keep_going: false,
            stop_after: None,
            // A standard world takes a few seconds on one core of a small machine, a fortnight of a whole town a minute.
            slow_after: Duration::from_secs(60),
            give_up_after: Duration::from_secs(900),
            stop: Arc::default(),
        }
    }
}

/// Returns how many worlds this machine can play at once.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get)
}

/// What a campaign tells while it runs.
#[derive(Debug)]
pub enum Notice<'a, T> {
    /// A world has ended, or was given up.
    Ended(&'a T, &'a Trial),
    /// A world has been running for so long.
    Slow(&'a T, Duration),
}

/// Why a campaign ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Every world was played.
    AllPlayed,
    /// One failed, and it was not told to go on.
    Failure,
    /// Its time was up.
    TimeUp,
    /// A world did not end.
    Stuck,
    /// It was told to stop.
    Stopped,
}

/// What came of a campaign.
#[derive(Debug)]
pub struct Outcome<T> {
    /// Every world that ended or was given up, in the order in which they were to be played.
    pub trials: Vec<(T, Trial)>,
    /// Why no more were played.
    pub ending: Ending,
    /// How long it took.
    pub wall: Duration,
}

impl<T> Outcome<T> {
    /// Returns the first world that failed, in the order in which they were to be played: with the same worlds always the
    /// same one, whatever the number of threads.
    pub fn first_failure(&self) -> Option<(&T, &Trial)> {
        self.failures().next()
    }

    /// Returns all that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&T, &Trial)> {
        self.trials.iter().filter(|(_, trial)| trial.failed()).map(|(world, trial)| (world, trial))
    }
}

/// What a thread says. The number is the world's place in the order.
enum Word<T> {
    Begun(usize, T),
    Ended(usize, Box<Trial>),
}

/// The worlds that nobody has begun.
struct Queue<W> {
    worlds: W,
    next: usize,
    closed: bool,
}

/// Plays `worlds` with `play`, each in a thread in which no other world runs.
///
/// A panic in `play` is a trial that failed with invariant 0. What is begun is played to its end, except a world that takes
/// longer than [`Settings::give_up_after`].
pub fn run<T, W, P>(settings: &Settings, worlds: W, play: P, mut tell: impl FnMut(Notice<'_, T>)) -> Outcome<T>
where
    T: Display + Clone + Send + 'static,
    W: Iterator<Item = T> + Send + 'static,
    P: Fn(&T) -> Trial + Send + Sync + 'static,
{
    panics::listen();
    let started = Instant::now();
    let queue = Arc::new(Mutex::new(Queue { worlds, next: 0, closed: false }));
    let play = Arc::new(play);
    let (sender, words) = sync_channel(WORDS_IN_FLIGHT);
    let start = |_| start_thread(Arc::clone(&queue), Arc::clone(&play), sender.clone());
    let threads: Vec<_> = (0..settings.jobs.max(1)).map(start).collect();
    drop(sender); // The channel closes when the last thread has ended.

    let close = || lock(&queue).closed = true;
    let mut watch = Watch { settings, started, running: BTreeMap::new(), ended: BTreeMap::new() };
    let ending = watch.until_all_ended(&words, close, &mut tell);
    if !matches!(ending, Ending::Stuck | Ending::Stopped) {
        join(threads);
    }
    // A world that is stuck or left keeps its thread, of which nothing is read again; it ends with the process.
    Outcome { trials: watch.ended.into_values().collect(), ending, wall: started.elapsed() }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(threads: Vec<JoinHandle<()>>) {
    for thread in threads {
        thread.join().expect("a thread ends well: what it plays may panic, it does not");
    }
}

fn start_thread<T, W, P>(queue: Arc<Mutex<Queue<W>>>, play: Arc<P>, sender: SyncSender<Word<T>>) -> JoinHandle<()>
where
    T: Clone + Send + 'static,
    W: Iterator<Item = T> + Send + 'static,
    P: Fn(&T) -> Trial + Send + Sync + 'static,
{
    // The queue is locked only while one is taken: not in the head of a loop, whose temporaries live as long as its body.
    let next = move || take(&mut lock(&queue));
    let work = move || {
        while let Some((place, world)) = next() {
            if sender.send(Word::Begun(place, world.clone())).is_err() {
                return;
            }
            let trial = played_apart(&play, &world);
            if sender.send(Word::Ended(place, Box::new(trial))).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new().name("worlds".to_owned()).spawn(work).expect("a thread can be started")
}

/// Plays one world in a thread of its own, which may stop for good.
fn played_apart<T, P>(play: &Arc<P>, world: &T) -> Trial
where
    T: Clone + Send + 'static,
    P: Fn(&T) -> Trial + Send + Sync + 'static,
{
    let (play, world) = (Arc::clone(play), world.clone());
    let (sender, trials) = sync_channel(1);
    let apart = move || {
        let started = Instant::now();
        let at_worst = sender.clone();
        // Nobody listens any more when the world is given up.
        panics::stop_instead_of_abort(move |said| drop(at_worst.send((broken(&said, started), false))));
        let trial = guarded(|| play(&world));
        drop(sender.send((trial, true)));
    };
    let builder = std::thread::Builder::new().name("world".to_owned()).stack_size(STACK_BYTES);
    let thread = builder.spawn(apart).expect("a thread can be started");
    let (trial, ends) = trials.recv().expect("a world says how it ended, whatever happens in it");
    if ends {
        join(vec![thread]);
    }
    trial
}

fn take<T, W: Iterator<Item = T>>(queue: &mut Queue<W>) -> Option<(usize, T)> {
    if queue.closed {
        return None;
    }
    let world = queue.worlds.next()?;
    queue.next += 1;
    Some((queue.next, world))
}

/// Plays one world in a thread of its own, so that one that never ends is given up, and tells which of the two it was.
pub fn watched(settings: &Settings, play: impl Fn() -> Trial + Send + Sync + 'static) -> (Trial, Ending) {
    let outcome = run(settings, std::iter::once("this world"), move |_| play(), |_| {});
    let ending = outcome.ending;
    let only = outcome.trials.into_iter().next().map(|(_, trial)| trial);
    (only.unwrap_or_else(|| Trial::broken("was not played".to_owned())), ending)
}

/// Plays one world; its panic becomes a trial that failed.
pub fn guarded(play: impl FnOnce() -> Trial) -> Trial {
    let started = Instant::now();
    let (ended, heard) = panics::hear(|| catch_unwind(AssertUnwindSafe(play)));
    let mut trial = ended.unwrap_or_else(|_| broken(&heard.unwrap_or_else(|| "without a word".to_owned()), started));
    trial.wall = started.elapsed();
    trial
}

fn broken(said: &str, started: Instant) -> Trial {
    Trial { wall: started.elapsed(), ..Trial::broken(format!("panicked: {said}")) }
}

/// Who watches the threads.
struct Watch<'a, T> {
    settings: &'a Settings,
    started: Instant,
    running: BTreeMap<usize, Running<T>>,
    ended: BTreeMap<usize, (T, Trial)>,
}

struct Running<T> {
    world: T,
    since: Instant,
    told: Instant,
}

impl<T: Display> Watch<'_, T> {
    fn until_all_ended(
        &mut self,
        words: &Receiver<Word<T>>,
        close: impl Fn(),
        tell: &mut impl FnMut(Notice<'_, T>),
    ) -> Ending {
        let mut ending = Ending::AllPlayed;
        loop {
            match words.recv_timeout(WATCH_EVERY) {
                Ok(Word::Begun(place, world)) => {
                    let now = Instant::now();
                    self.running.insert(place, Running { world, since: now, told: now });
                }
                Ok(Word::Ended(place, trial)) => {
                    let running = self.running.remove(&place).expect("what ends has begun");
                    tell(Notice::Ended(&running.world, &trial));
                    if trial.failed() && !self.settings.keep_going {
                        ending = Ending::Failure;
                        close();
                    }
                    self.ended.insert(place, (running.world, *trial));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return ending,
            }
            if self.settings.stop.load(Ordering::Relaxed) {
                close();
                return Ending::Stopped;
            }
            if self.settings.stop_after.is_some_and(|limit| self.started.elapsed() >= limit) {
                if ending == Ending::AllPlayed {
                    ending = Ending::TimeUp;
                }
                close();
            }
            if self.gives_up(tell) {
                close();
                return Ending::Stuck;
            }
        }
    }

    /// Names what is slow; `true` if something never ends.
    fn gives_up(&mut self, tell: &mut impl FnMut(Notice<'_, T>)) -> bool {
        let mut stuck = Vec::new();
        for (place, running) in &mut self.running {
            let took = running.since.elapsed();
            if took >= self.settings.give_up_after {
                stuck.push(*place);
            } else if running.told.elapsed() >= self.settings.slow_after {
                running.told = Instant::now();
                tell(Notice::Slow(&running.world, took));
            }
        }
        for place in &stuck {
            let Some(running) = self.running.remove(place) else { continue };
            let mut trial = Trial::broken(format!("did not end in {} s", running.since.elapsed().as_secs()));
            trial.wall = running.since.elapsed();
            tell(Notice::Ended(&running.world, &trial));
            self.ended.insert(*place, (running.world, trial));
        }
        !stuck.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn settings(jobs: usize) -> Settings {
        Settings { jobs, ..Settings::default() }
    }

    fn good() -> Trial {
        Trial::default()
    }

    fn fails_at(bad: u64) -> impl Fn(&u64) -> Trial {
        move |seed| if *seed == bad { Trial::broken("told to".to_owned()) } else { good() }
    }

    #[test]
    fn every_world_is_played_once_and_told_of_in_order_at_the_end() {
        let mut told = 0;
        let outcome = run(&settings(4), 1..=50_u64, |_| good(), |_| told += 1);
        let seeds: Vec<u64> = outcome.trials.iter().map(|(seed, _)| *seed).collect();
        assert_eq!(seeds, (1..=50).collect::<Vec<_>>());
        assert_eq!((told, outcome.ending), (50, Ending::AllPlayed));
        assert!(outcome.first_failure().is_none());
    }

    #[test]
    fn the_first_failure_is_the_same_with_one_thread_and_with_many() {
        for jobs in [1, 7] {
            let outcome = run(&settings(jobs), 1..=1_000_000_u64, fails_at(5), |_| {});
            assert_eq!(outcome.first_failure().map(|(seed, _)| *seed), Some(5));
            assert_eq!(outcome.ending, Ending::Failure);
            assert!(outcome.trials.len() < 1_000_000, "nothing is begun after a failure but what is at hand");
        }
    }

    #[test]
    fn a_campaign_that_keeps_going_plays_on_after_a_failure() {
        let settings = Settings { keep_going: true, ..settings(2) };
        let outcome = run(&settings, 1..=20_u64, fails_at(5), |_| {});
        assert_eq!((outcome.trials.len(), outcome.failures().count()), (20, 1));
        assert_eq!(outcome.ending, Ending::AllPlayed);
    }

    #[test]
    fn a_panic_is_a_failure_of_its_seed_with_its_words_and_place() {
        let play = |seed: &u64| if *seed == 3 { panic!("the roof fell in") } else { good() };
        let outcome = run(&settings(2), 1..=3_u64, play, |_| {});
        let (seed, trial) = outcome.first_failure().expect("a panic is a failure");
        let violation = trial.violations.first().expect("it says what happened");
        assert_eq!((*seed, violation.invariant), (3, 0));
        assert!(
            violation.text.contains("the roof fell in") && violation.text.contains("campaign.rs:"),
            "{violation:?}"
        );
    }

    /// In a process of its own, which ends itself: the thread that stopped for good is inside the panic hook, and a test's process
    /// that ends as usual changes that hook first and would wait for ever.
    #[test]
    fn a_world_that_panics_twice_at_once_fails_alone() {
        const INNER: &str = "ZAJIL_PANICS_TWICE";
        if std::env::var_os(INNER).is_some() {
            panics_twice();
            std::process::exit(0);
        }
        let mut again = Command::new(std::env::current_exe().expect("a test has a program"));
        let name = "sim::campaign::tests::a_world_that_panics_twice_at_once_fails_alone";
        let ended = again.args(["--exact", name, "--nocapture"]).env(INNER, "1").output().expect("it starts again");
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    }

    fn panics_twice() {
        struct Fragile;
        impl Drop for Fragile {
            fn drop(&mut self) {
                panic!("and the walls");
            }
        }
        let play = |seed: &u64| {
            if *seed == 2 {
                let _falls_too = Fragile;
                panic!("the roof fell in");
            }
            good()
        };
        let settings = Settings { keep_going: true, ..settings(1) };
        let outcome = run(&settings, 1..=3_u64, play, |_| {});
        assert_eq!((outcome.trials.len(), outcome.failures().count()), (3, 1));
        let (seed, trial) = outcome.first_failure().expect("a panic is a failure");
        let text = trial.first().map(|violation| violation.text.clone()).unwrap_or_default();
        assert!(*seed == 2 && text.contains("the roof fell in"), "{text}");
    }

    #[test]
    fn nothing_is_begun_when_time_is_up() {
        let settings = Settings { stop_after: Some(Duration::ZERO), ..settings(2) };
        let outcome = run(&settings, 1.., |_: &u64| good(), |_| {});
        assert_eq!(outcome.ending, Ending::TimeUp);
    }

    #[test]
    fn who_stops_a_campaign_gets_what_was_played_until_then_at_once() {
        static LET_GO: AtomicBool = AtomicBool::new(false);
        let play = |seed: &u64| {
            while *seed == 2 && !LET_GO.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            good()
        };
        let settings = settings(1);
        let outcome = run(&settings, 1..=3_u64, play, |_| settings.stop.store(true, Ordering::Relaxed));
        LET_GO.store(true, Ordering::Relaxed);
        assert_eq!((outcome.trials.len(), outcome.ending), (1, Ending::Stopped));
    }

    #[test]
    fn a_world_that_never_ends_is_named_and_then_given_up() {
        static LET_GO: AtomicBool = AtomicBool::new(false);
        let play = |seed: &u64| {
            while *seed == 2 && !LET_GO.load(Ordering::Relaxed) {
                std::thread::yield_now();
            }
            good()
        };
        let limit = Duration::from_millis(1);
        let settings = Settings { slow_after: limit, give_up_after: 1_000 * limit, ..settings(2) };
        let mut slow = Vec::new();
        let outcome = run(&settings, 2..=2_u64, play, |notice| {
            if let Notice::Slow(seed, _) = notice {
                slow.push(*seed);
            }
        });
        LET_GO.store(true, Ordering::Relaxed);
        assert_eq!(outcome.ending, Ending::Stuck);
        assert_eq!(outcome.first_failure().map(|(seed, _)| *seed), Some(2));
        assert!(slow.contains(&2), "{slow:?}");
    }
}
