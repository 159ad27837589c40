//! What a panic said and where, kept for whoever plays worlds, instead of printed between their lines.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

thread_local! {
    /// `None` while nobody listens in this thread; else the first panic's words, once there are any.
    static HEARD: RefCell<Option<Option<String>>> = const { RefCell::new(None) };
}

/// Begins to keep the words of panics in threads that are in [`hear`]; others are reported as before.
pub fn listen() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !keep(info) {
                usual(info);
            }
        }));
    });
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

fn in_words(info: &PanicHookInfo<'_>) -> String {
    let said = info.payload_as_str().unwrap_or("something that is no text");
    match info.location() {
        Some(place) => format!("{said} ({}:{})", place.file(), place.line()),
        None => said.to_owned(),
    }
}
