//! What a panic said and where, kept for whoever plays worlds, instead of printed between their lines.
//!
//! A panic while another unwinds aborts the process: quinn's handles panic when they are dropped after something panicked
//! under their connection's lock. One world shall not take a campaign of thousands with it, so a thread that is about to do
//! that says so and stops for good, with all that it holds.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

/// How the standard library begins to say that it will abort: it hands this to the hook first, and nothing says it otherwise.
const ABOUT_TO_ABORT: [&str; 2] = ["panic in a destructor during cleanup", "panic in a function that cannot unwind"];

/// Told what was said when a thread stops for good.
type LastWords = Box<dyn FnOnce(String)>;

thread_local! {
    /// `None` while nobody listens in this thread; else the first panic's words, once there are any.
    static HEARD: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
    static LAST_WORDS: RefCell<Option<LastWords>> = const { RefCell::new(None) };
}

/// Begins to keep the words of panics in threads that are in [`hear`]; others are reported as before.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            stop_before_abort(info);
            if !keep(info) {
                usual(info);
            }
        }));
    });
}

/// Has this thread stop for good where it would abort the process, once `tell` was told what was said. It must not be joined,
/// and nobody may change what happens at a panic afterwards: that waits for the thread.
pub fn stop_instead_of_abort(tell: impl FnOnce(String) + 'static) {
    LAST_WORDS.set(Some(Box::new(tell)));
}

/// Runs `work` and returns what the first panic of this thread said meanwhile, caught or not, with file and line.
///
/// Nothing is heard before [`listen`] was called.
pub fn hear<R>(work: impl FnOnce() -> R) -> (R, Option<String>) {
    HEARD.set(Some(None));
    let result = work();
    (result, HEARD.take().flatten())
}

/// Keeps what is said; `false` if nobody listens here.
fn keep(info: &PanicHookInfo<'_>) -> bool {
    HEARD.with_borrow_mut(|heard| {
        let Some(first) = heard else { return false };
        first.get_or_insert_with(|| in_words(info));
        true
    })
}

fn stop_before_abort(info: &PanicHookInfo<'_>) {
    if !info.payload_as_str().is_some_and(|said| ABOUT_TO_ABORT.contains(&said)) {
        return;
    }
    let Some(tell) = LAST_WORDS.take() else { return };
    let first = HEARD.take().flatten();
    tell(first.unwrap_or_else(|| in_words(info)));
    loop {
        std::thread::park();
    }
}

fn in_words(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("something that is no text");
    match info.location() {
        Some(place) => format!("{said} ({}:{})", place.file(), place.line()),
        None => said.to_owned(),
    }
}
