//! The command line `zajil`: a thin shell over the engine.
//!
//! | step | file |
//! |---|---|
//! | what may be typed, and help in the reader's language | `arguments.rs`, `usage.rs` |
//! | opening the home, or finding the daemon | `home.rs` |
//! | each command: asks the engine, tells its answer | `people.rs`, `notes.rs`, `listen.rs`, `words.rs`, `device.rs`, `disappear.rs` |
//! | what needs no engine: destroying the home | `panic.rs` |
//! | the daemon: holding the links, locking | `daemon.rs` |
//! | telling: sentences, JSON, progress | `output.rs`, `json.rs`, `progress.rs` |
//! | what can go wrong, and the exit codes | `problem.rs`, `exit.rs` |
//! | the log, off by default | `log.rs` |

mod arguments;
mod context;
mod daemon;
mod device;
mod disappear;
mod exit;
mod files;
mod home;
mod json;
mod listen;
pub mod log;
mod notes;
mod output;
mod panic;
mod people;
mod problem;
mod progress;
mod usage;
mod wait;
mod words;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use usage::tests::keys as help_keys;

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::FromArgMatches;
use jiff::tz::TimeZone;
use zajil_net::{Clock, SystemClock};

use self::arguments::{Arguments, Command, Contact, Daemon, Duress, LinkGiven};
use self::context::{Context, Executor};
pub use self::exit::Exit;
use self::output::Output;
pub use self::problem::Problem;
use crate::engine::api::Request;
use crate::i18n::{Catalogue, Locale, msg};
use crate::paths;

/// Runs one command: its words (the program's own name first), and the environment's variables by name.
///
/// Everything a person is to read has been written when this returns; only the exit code is left to give.
pub fn run(words: impl IntoIterator<Item = OsString>, variable: impl Fn(&str) -> Option<String>) -> Exit {
    let words: Vec<OsString> = words.into_iter().collect();
    let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
    let locale = asked_locale(&words).unwrap_or_else(|| Locale::from_environment(variable));
    let no_color = variable("NO_COLOR").is_some();
    let output = |json, quiet| Output::standard(Catalogue::new(locale), json, quiet, no_color);

    let mut definition = usage::command(&Catalogue::new(locale));
    let parsed = definition.try_get_matches_from_mut(&words);
    let parsed = parsed.and_then(|matches| Arguments::from_arg_matches(&matches));
    let Arguments { common, command } = match parsed {
        Ok(arguments) => arguments,
        Err(error) => {
            let json = words.iter().any(|word| word == "--json");
            return match usage::problem(&error, &usage::help_for(&definition, &words)) {
                Some(problem) => {
                    output(json, false).problem(None, &problem);
                    problem.exit
                }
                None => {
                    // Help that nobody reads to its end is no failure.
                    error.print().ok();
                    if error.use_stderr() { Exit::Usage } else { Exit::Done }
                }
            };
        }
    };

    let mut output = output(common.json, common.quiet);
    let name = name_of(&command);
    let home = match prepare(common.home.as_deref(), &variable) {
        Ok(home) => home,
        Err(problem) => {
            output.problem(Some(name), &problem);
            return problem.exit;
        }
    };
    let passphrase_typed = common.passphrase_file.is_some();
    let passphrase = common.passphrase_file.or_else(|| variable("ZAJIL_PASSPHRASE_FILE").map(PathBuf::from));
    let mut context = Context {
        output,
        home,
        home_named: common.home.is_some(),
        passphrase_typed,
        zone: TimeZone::system(),
        now: SystemClock::new().wall(),
    };
    carry_out(&mut context, &command, passphrase.as_deref(), common.link_class).unwrap_or_else(|problem| {
        context.output.problem(Some(name), &problem);
        problem.exit
    })
}

/// Starts the log if it is wanted, and finds the home.
fn prepare(asked: Option<&Path>, variable: &impl Fn(&str) -> Option<String>) -> Result<PathBuf, Problem> {
    if let Some(level) = variable("ZAJIL_LOG") {
        log::start(&level)?;
    }
    paths::home(asked, variable)
        .ok_or_else(|| Problem::new(Exit::Home, msg("err-home-unknown"), msg("rec-home-unknown")))
}

/// The language asked for on the command line, read before clap so that its help and complaints are in it too.
fn asked_locale(words: &[OsString]) -> Option<Locale> {
    let words: Vec<&str> = words.iter().filter_map(|word| word.to_str()).collect();
    let joined = words.iter().find_map(|word| word.strip_prefix("--lang="));
    let apart = || words.windows(2).find_map(|pair| if let ["--lang", name] = pair { Some(*name) } else { None });
    joined.or_else(apart).and_then(Locale::from_name)
}

/// The name of a command in JSON.
fn name_of(command: &Command) -> &'static str {
    match command {
        Command::Init(_) => "init",
        Command::Contact(Contact::Add(_)) => "contact add",
        Command::Contact(Contact::Verify(_)) => "contact verify",
        Command::Contact(Contact::List(_)) => "contact list",
        Command::Contact(Contact::Set(_)) => "contact set",
        Command::Send(_) => "send",
        Command::Inbox(_) => "inbox",
        Command::Play(_) => "play",
        Command::Export(_) => "export",
        Command::Seen(_) => "seen",
        Command::Word(_) => "word",
        Command::OutOfHands(_) => "out-of-hands",
        Command::Status(_) => "status",
        Command::Sync(_) => "sync",
        Command::Daemon(_) => "daemon",
        Command::Disappear(_) => "disappear",
        Command::Quiet(_) => "quiet",
        Command::Lock(_) => "lock",
        Command::Unlock(_) => "unlock",
        Command::Panic(_) => "panic",
        Command::Duress(Duress::Set(_) | Duress::Clear) => "duress",
    }
}

fn carry_out(
    context: &mut Context,
    command: &Command,
    passphrase: Option<&Path>,
    link: Option<LinkGiven>,
) -> Result<Exit, Problem> {
    match command {
        Command::Init(given) => return device::init(context, given, passphrase),
        Command::Panic(given) => return panic::panic(context, given),
        Command::Duress(given) => return panic::duress(context, given, passphrase),
        _ => {}
    }
    // One thread is enough: the engine waits for links most of the time, and playing has a thread of its own.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(problem::internal)?;
    runtime.block_on(async {
        match command {
            Command::Daemon(Daemon { stop: true, .. }) => daemon::stop(context).await,
            Command::Daemon(given) => daemon::daemon(context, given, passphrase, link).await,
            Command::Lock(_) => daemon::lock(context).await,
            Command::Unlock(_) => daemon::unlock(context, passphrase).await,
            command => {
                let mut engine = home::reach(&context.home, passphrase, context.passphrase_typed).await?;
                ask(context, &mut engine, command, link).await
            }
        }
    })
}

/// The commands that ask the engine, wherever it runs.
async fn ask(
    context: &mut Context,
    engine: &mut impl Executor,
    command: &Command,
    link: Option<LinkGiven>,
) -> Result<Exit, Problem> {
    if let Some(link) = link {
        // A daemon keeps to it until it is told otherwise.
        context.ask(engine, Request::SetLink { link: link.into() }).await?;
    }
    match command {
        Command::Contact(Contact::Add(given)) => people::add(context, engine, given).await,
        Command::Contact(Contact::Verify(given)) => people::verify(context, engine, given).await,
        Command::Contact(Contact::List(_)) => people::list(context, engine).await,
        Command::Contact(Contact::Set(given)) => people::set(context, engine, given).await,
        Command::Send(given) => notes::send(context, engine, given).await,
        Command::Inbox(given) => notes::inbox(context, engine, given).await,
        Command::Play(given) => listen::play(context, engine, given).await,
        Command::Export(given) => listen::export(context, engine, given).await,
        Command::Seen(given) => words::seen(context, engine, given).await,
        Command::Word(given) => words::word(context, engine, given).await,
        Command::OutOfHands(given) => people::out_of_hands(context, engine, given).await,
        Command::Disappear(given) => disappear::disappear(context, engine, given).await,
        Command::Quiet(given) => disappear::quiet(context, engine, given).await,
        Command::Status(_) => device::status(context, engine).await,
        Command::Sync(given) => device::sync(context, engine, given).await,
        // These were carried out before the engine was reached.
        Command::Init(_)
        | Command::Daemon(_)
        | Command::Lock(_)
        | Command::Unlock(_)
        | Command::Panic(_)
        | Command::Duress(_) => Ok(Exit::Usage),
    }
}
