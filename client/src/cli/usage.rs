//! clap's help and complaints, in the language of the catalogue.

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
            argument
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

/// Options that every command has; their texts are shared.
fn is_common(name: &str) -> bool {
    matches!(name, "home" | "json" | "lang" | "quiet" | "passphrase-file" | "help" | "version")
}

/// A complaint about what was typed. `None` if help or the version was asked for, which is no complaint.
pub(super) fn problem(error: &Error) -> Option<Problem> {
    let text = |kind| error.get(kind).map(joined).unwrap_or_default();
    let help = || "zajil --help".to_owned();
    let (what, advice) = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return None;
        }
        ErrorKind::UnknownArgument => {
            let what = msg("err-usage-unknown-argument").text("argument", text(ContextKind::InvalidArg));
            let near = text(ContextKind::SuggestedArg);
            let advice = if near.is_empty() {
                msg("rec-usage-unknown-argument").text("command", help())
            } else {
                msg("rec-usage-unknown-argument-near").text("near", near).text("command", help())
            };
            (what, advice)
        }
        ErrorKind::InvalidSubcommand => {
            let what = msg("err-usage-unknown-command").text("given", text(ContextKind::InvalidSubcommand));
            let near = text(ContextKind::SuggestedSubcommand);
            let advice = if near.is_empty() {
                msg("rec-usage-unknown-command").text("command", help())
            } else {
                msg("rec-usage-unknown-command-near").text("near", near).text("command", help())
            };
            (what, advice)
        }
        ErrorKind::MissingRequiredArgument | ErrorKind::MissingSubcommand => {
            let missing = match text(ContextKind::InvalidArg) {
                missing if missing.is_empty() => text(ContextKind::ValidSubcommand),
                missing => missing,
            };
            (msg("err-usage-missing").text("missing", missing), msg("rec-usage-missing").text("command", help()))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let what = msg("err-usage-value")
                .text("value", text(ContextKind::InvalidValue))
                .text("argument", text(ContextKind::InvalidArg));
            let known = text(ContextKind::ValidValue);
            let advice = if known.is_empty() {
                msg("rec-usage-value").text("command", help())
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
        _ => (msg("err-usage-other"), msg("rec-usage-other").text("command", help())),
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
    fn complaints_say_what_was_wrong_and_what_there_is() {
        let english = Catalogue::new(Locale::ENGLISH);
        let told = |words: &[&str]| {
            let words = std::iter::once("zajil").chain(words.iter().copied());
            let error = command(&english).try_get_matches_from_mut(words).unwrap_err();
            let problem = problem(&error).unwrap();
            assert_eq!(problem.exit, Exit::Usage);
            format!("{} {}", english.say(&problem.told.what), english.say(&problem.told.advice))
        };
        assert_eq!(told(&["sned"]), "There is no command sned. Did you mean send? See: zajil --help");
        assert_eq!(
            told(&["status", "--jsno"]),
            "There is no option --jsno here. Did you mean --json? See: zajil --help"
        );
        assert_eq!(told(&["send", "Amal"]), "Something is missing: <FILE|-> See: zajil --help");
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
            assert!(problem(&error).is_none());
        }
    }
}
