//! `zajil panic` and `zajil duress`: destroying this device's home at once.

use std::io::{self, BufRead};
use std::path::Path;

use serde_json::json;
use zajil_net::SystemRandom;

use super::arguments::{Duress, DuressSet, Panic};
use super::context::{Context, shown};
use super::exit::Exit;
use super::home;
use super::problem::{self, Problem};
use crate::daemon::client::Condemned;
use crate::i18n::msg;
use crate::paths;
use crate::store::{Destruction, FilesFate, Holder, KeysFate, Passphrase, SqliteStore, StoreError};

/// What counts as yes, in both languages.
const YES: [&str; 3] = ["yes", "y", "نعم"];

/// Destroys everything this device keeps. Asks first, unless `--now` was typed.
pub(super) fn panic(context: &mut Context, given: &Panic) -> Result<Exit, Problem> {
    if !given.now {
        context.output.line(&msg("panic-ask"));
        // A person reads with `--json` no question, so it is not waited for an answer.
        if context.output.is_json() || !is_yes(&mut io::stdin().lock()) {
            return Err(Problem::new(Exit::Usage, msg("err-panic-not-asked"), msg("rec-panic-not-asked")));
        }
    }
    let (keys, files) = destroy(&context.home)?;
    match keys {
        // Whoever has mistyped the folder must not believe that anything is destroyed.
        KeysFate::NoHome => context.output.line(&msg("panic-nothing").text("path", shown(&context.home))),
        KeysFate::Destroyed => context.output.line(&msg("panic-done")),
        KeysFate::OnlyRemoved => context.output.line(&msg("panic-only-removed")),
        KeysFate::StillThere => {
            return Err(Problem::new(Exit::Home, msg("err-panic-failed"), msg("rec-panic-failed")));
        }
    }
    if !files.gone {
        context.output.line(&msg("panic-files-left"));
    }
    if files.in_use {
        context.output.line(&msg("panic-in-use"));
    }
    let (found, overwritten) = (keys != KeysFate::NoHome, keys == KeysFate::Destroyed);
    if found {
        context.output.hint(&msg("panic-limits"));
    }
    let facts =
        json!({ "found": found, "keys_overwritten": overwritten, "files_gone": files.gone, "in_use": files.in_use });
    context.output.done("panic", Exit::Done, facts);
    Ok(Exit::Done)
}

fn is_yes(answers: &mut dyn BufRead) -> bool {
    let mut line = String::new();
    // One that cannot be read is no.
    answers.read_line(&mut line).is_ok_and(|_| YES.contains(&line.trim().to_lowercase().as_str()))
}

/// Destroys the keys of a home before anything else, ends its daemon, removes its files.
fn destroy(home: &Path) -> Result<(KeysFate, FilesFate), Problem> {
    let destruction = Destruction::begin(home);
    if destruction.keys() == KeysFate::NoHome {
        // Whatever listens in this folder is none of ours to end.
        return Ok((KeysFate::NoHome, destruction.finish()));
    }
    let holder = Holder::of(home);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(problem::internal)?;
    // Those that hold no lock but wait for one find the mark, and go on with what is begun here.
    let files = runtime.block_on(async {
        if let Some(daemon) = Condemned::find(&paths::socket(home)).await {
            daemon.end(|| !holder.is_there()).await;
        }
        destruction.finish()
    });
    Ok((destruction.keys(), files))
}

/// Tries a passphrase beside a daemon that has the home open: without that a wrong one would do as well as the right one,
/// and that of duress would do nothing.
pub(super) async fn try_passphrase(home: &Path, passphrase: &Passphrase) -> Result<(), Problem> {
    let (daemon, holder) = (Condemned::find(&paths::socket(home)).await, Holder::of(home));
    let tried = SqliteStore::try_passphrase(home, passphrase);
    if tried == Err(StoreError::NotThere)
        && let Some(daemon) = daemon
    {
        // It was that of duress, and the home is gone.
        daemon.end(|| !holder.is_there()).await;
    }
    tried.map_err(|error| problem::home(&error, home))
}

/// Sets the passphrase of duress, or takes it away.
pub(super) fn duress(context: &mut Context, given: &Duress, passphrase: Option<&Path>) -> Result<Exit, Problem> {
    let refused = |error: StoreError| problem::home(&error, &context.home);
    let Some(passphrase) = passphrase else { return Err(refused(StoreError::NeedsPassphrase)) };
    let passphrase = home::read_passphrase(passphrase)?;
    let duress = match given {
        Duress::Set(DuressSet { duress_file }) => Some(home::read_passphrase(duress_file)?),
        Duress::Clear => None,
    };
    SqliteStore::set_duress(&context.home, &passphrase, duress.as_ref(), &mut SystemRandom::new()).map_err(refused)?;
    if duress.is_some() {
        context.output.line(&msg("duress-set"));
        context.output.hint(&msg("duress-limits"));
    } else {
        context.output.line(&msg("duress-cleared"));
    }
    context.output.done("duress", Exit::Done, json!({ "set": duress.is_some() }));
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_in_either_language_destroys_anything() {
        for yes in ["yes\n", " YES \r\n", "نعم\n", "y"] {
            assert!(is_yes(&mut yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\n", "no\n", "yes please\n", "لا\n", "\u{fffd}\n"] {
            assert!(!is_yes(&mut no.as_bytes()), "{no:?}");
        }
        assert!(!is_yes(&mut [0xff, b'\n'].as_slice()));
    }
}
