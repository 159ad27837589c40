//! clap's help and complaints, in the language of the catalogue.

use std::ffi::OsString;

use clap::builder::Resettable;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, Error};

use super::arguments::Arguments;
use super::exit::Exit;
use super::problem::Problem;
use crate::i18n::{Catalogue, msg};

/// The whole command line with every text from the catalogue.
pub(super) fn command(catalogue: &Catalogue) -> Command {
    let heading = |key| catalogue.plain(key).unwrap_or_default();
    let mut command = Arguments::command()
        .disable_help_flag(true)
        .disable_version_flag(true)
        .arg(Arg::new("help").long("help").short('h').global(true).action(ArgAction::Help))
        .arg(Arg::new("version").long("version").short('V').action(ArgAction::Version))
        .after_long_help(heading("help-exit-codes"))
        .after_help(heading("help-exit-codes"));
    command.build();
    localised(command, "help", catalogue, true)
}

/// Puts the texts of one command and of everything below it.
fn localised(command: Command, key: &str, catalogue: &Catalogue, root: bool) -> Command {
    let text = |key: &str| catalogue.plain(key).unwrap_or_default();
    let template =
        format!("{{about-with-newline}}\n{} {{usage}}\n\n{{all-args}}{{after-help}}", text("help-heading-usage"));
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    let about = if root { text("help-about") } else { text(key) };
    let mut place = 0;
    let mut command = command
        .about(about)
        .long_about(Resettable::Reset)
        .help_template(template)
        .subcommand_help_heading(text("help-heading-commands"))
        .mut_args(|argument| {
            let name = argument.get_id().as_str().replace('_', "-");
            let (name, heading) = match (is_common(&name), argument.is_positional()) {
                (true, _) => (format!("help-option-{name}"), "help-heading-options"),
                (false, true) => (format!("{key}-{name}"), "help-heading-arguments"),
                (false, false) => (format!("{key}-{name}"), "help-heading-options"),
            };
            // Under headings of our own clap would sort by the alphabet: what is particular comes first, as it is typed.
            place += 1;
            let place = if is_common(argument.get_id().as_str()) { COMMON_PLACE + place } else { place };
            argument
                .display_order(place)
                .help(text(&name))
                .long_help(Resettable::Reset)
                .help_heading(text(heading))
                .hide_possible_values(true)
                .hide_default_value(true)
        });
    for name in names {
        let below = format!("{key}-{name}");
        command = command.mut_subcommand(&name, |subcommand| localised(subcommand, &below, catalogue, false));
    }
    command
}

/// Where options of every command begin in a command's help: after its own, of which it has fewer.
const COMMON_PLACE: usize = 100;

/// Options that every command has; their texts are shared.
fn is_common(name: &str) -> bool {
    matches!(
        name,
        "home"
            | "json"
            | "lang"
            | "quiet"
            | "passphrase-file"
            | "passphrase_file"
            | "link-class"
            | "link_class"
            | "help"
            | "version"
    )
}

/// The words that show the help of the command that was meant.
pub(super) fn help_for(command: &Command, words: &[OsString]) -> String {
    let mut below = command;
    let mut path = "zajil".to_owned();
    for word in words.iter().skip(1).filter_map(|word| word.to_str()) {
        if let Some(found) = below.find_subcommand(word) {
            path = format!("{path} {word}");
            below = found;
        }
    }
    path + " --help"
}

/// A complaint about what was typed. `None` if help or the version was asked for, which is no complaint.
///
/// `help` shows the help of the command that was meant.
pub(super) fn problem(error: &Error, help: &str) -> Option<Problem> {
    let text = |kind| error.get(kind).map(joined).unwrap_or_default();
    let (what, advice) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return None;
        }
        ErrorKind::UnknownArgument => {
            let what = msg("err-usage-unknown-argument").text("argument", text(ContextKind::InvalidArg));
            let near = text(ContextKind::SuggestedArg);
            let advice = if near.is_empty() {
                msg("rec-usage-unknown-argument").text("command", help)
            } else {
                msg("rec-usage-unknown-argument-near").text("near", near).text("command", help)
            };
            (what, advice)
        }
        ErrorKind::InvalidSubcommand => {
            let what = msg("err-usage-unknown-command").text("given", text(ContextKind::InvalidSubcommand));
            let near = text(ContextKind::SuggestedSubcommand);
            let advice = if near.is_empty() {
                msg("rec-usage-unknown-command").text("command", help)
            } else {
                msg("rec-usage-unknown-command-near").text("near", near).text("command", help)
            };
            (what, advice)
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => {
            let missing = match text(ContextKind::InvalidArg) {
                missing if missing.is_empty() => text(ContextKind::ValidSubcommand),
                missing => missing,
            };
            (msg("err-usage-missing").text("missing", missing), msg("rec-usage-missing").text("command", help))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let what = msg("err-usage-value")
                .text("value", text(ContextKind::InvalidValue))
                .text("argument", text(ContextKind::InvalidArg));
            let known = text(ContextKind::ValidValue);
            let advice = if known.is_empty() {
                msg("rec-usage-value").text("command", help)
            } else {
                msg("rec-usage-value-known").text("known", known)
            };
            (what, advice)
        }
        ErrorKind::ArgumentConflict => (
            msg("err-usage-conflict")
                .text("argument", text(ContextKind::InvalidArg))
                .text("other", text(ContextKind::PriorArg)),
            msg("rec-usage-conflict"),
        ),
        _ => (msg("err-usage-other"), msg("rec-usage-other").text("command", help)),
    };
    Some(Problem::new(Exit::Usage, what, advice))
}

fn joined(value: &ContextValue) -> String {
    match value {
        ContextValue::String(text) => text.clone(),
        ContextValue::Strings(texts) => texts.join(", "),
        ContextValue::StyledStr(text) => text.to_string(),
        ContextValue::StyledStrs(texts) => texts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        ContextValue::Number(number) => number.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::i18n::Locale;

    /// Every key of `help.ftl` that the definition of the command line asks for.
    pub(crate) fn keys() -> Vec<String> {
        fn walk(command: &Command, key: &str, root: bool, keys: &mut Vec<String>) {
            keys.push(if root { "help-about".to_owned() } else { key.to_owned() });
            for argument in command.get_arguments() {
                let name = argument.get_id().as_str().replace('_', "-");
                keys.push(if is_common(&name) { format!("help-option-{name}") } else { format!("{key}-{name}") });
            }
            for below in command.get_subcommands() {
                walk(below, &format!("{key}-{}", below.get_name()), false, keys);
            }
        }
        let mut keys: Vec<String> =
            ["usage", "commands", "arguments", "options"].map(|name| format!("help-heading-{name}")).to_vec();
        keys.push("help-exit-codes".to_owned());
        walk(&command(&Catalogue::new(Locale::ENGLISH)), "help", true, &mut keys);
        keys
    }

    fn help(locale: Locale, words: &[&str]) -> String {
        let mut command = command(&Catalogue::new(locale));
        let words = std::iter::once("zajil").chain(words.iter().copied());
        command.try_get_matches_from_mut(words).unwrap_err().to_string()
    }

    #[test]
    fn help_is_in_the_language_asked_for() {
        let english = help(Locale::ENGLISH, &["--help"]);
        assert!(english.contains("Usage: zajil"), "{english}");
        assert!(english.contains("Exit codes:") && english.contains("Send a recording"), "{english}");
        let arabic = help(Locale::ARABIC, &["send", "--help"]);
        assert!(arabic.contains("أرسل تسجيلًا") && arabic.contains("الاستعمال:"), "{arabic}");
        for word in ["Usage:", "Options:", "Arguments:", "Print help", "[possible values"] {
            assert!(!arabic.contains(word), "{word} in {arabic}");
        }
    }

    #[test]
    fn arguments_are_listed_as_they_are_typed_and_common_options_last() {
        let send = help(Locale::ENGLISH, &["send", "--help"]);
        let place = |text: &str| send.find(text).unwrap_or_else(|| panic!("{text} is in {send}"));
        let order =
            ["  <NAME>", "  <FILE|->", "--profile", "--wait", "--timeout", "--home", "--passphrase-file", "--help"];
        assert!(order.windows(2).all(|pair| place(pair[0]) < place(pair[1])), "{send}");
    }

    #[test]
    fn complaints_say_what_was_wrong_and_what_there_is() {
        let english = Catalogue::new(Locale::ENGLISH);
        let told = |words: &[&str]| {
            let words: Vec<OsString> = std::iter::once("zajil").chain(words.iter().copied()).map(Into::into).collect();
            let mut command = command(&english);
            let error = command.try_get_matches_from_mut(&words).unwrap_err();
            let problem = problem(&error, &help_for(&command, &words)).unwrap();
            assert_eq!(problem.exit, Exit::Usage);
            format!("{} {}", english.say(&problem.told.what), english.say(&problem.told.advice))
        };
        assert_eq!(told(&["sned"]), "There is no command sned. Did you mean send? See: zajil --help");
        assert_eq!(
            told(&["status", "--jsno"]),
            "There is no option --jsno here. Did you mean --json? See: zajil status --help"
        );
        assert_eq!(told(&["send", "Amal"]), "Something is missing: <FILE|-> See: zajil send --help");
        assert_eq!(
            told(&["send", "Amal", "a.wav", "--wait", "forever"]),
            "“forever” does not fit --wait <MARK>. It takes: device, stored, delivered, heard"
        );
        assert_eq!(
            told(&["seen", "Amal", "--offline", "--timeout", "3"]),
            "--offline and --timeout <SECONDS> do not go together. Leave out one of them."
        );
    }

    #[test]
    fn asking_for_help_or_the_version_is_no_complaint() {
        for words in [["zajil", "--help"], ["zajil", "--version"], ["zajil", "-h"]] {
            let error = command(&Catalogue::new(Locale::ENGLISH)).try_get_matches_from_mut(words).unwrap_err();
            assert!(problem(&error, "").is_none());
        }
    }
}
