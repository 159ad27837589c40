//! The catalogue of one language.

use std::fmt;

use fluent_bundle::concurrent::FluentBundle;
use fluent_bundle::{FluentArgs, FluentResource};
use icu_locale_core::langid;
use icu_plurals::{PluralCategory, PluralRules, PluralRulesOptions};
use unic_langid::LanguageIdentifier;

use super::locale::has_right_to_left;
use super::message::Value;
use super::{Language, Locale, Message, without_direction_marks};

/// The files of each language, in the same order.
pub(super) const ENGLISH: [(&str, &str); 7] = [
    ("device.ftl", include_str!("../../i18n/en/device.ftl")),
    ("errors.ftl", include_str!("../../i18n/en/errors.ftl")),
    ("help.ftl", include_str!("../../i18n/en/help.ftl")),
    ("pairing.ftl", include_str!("../../i18n/en/pairing.ftl")),
    ("notes.ftl", include_str!("../../i18n/en/notes.ftl")),
    ("seen.ftl", include_str!("../../i18n/en/seen.ftl")),
    ("words.ftl", include_str!("../../i18n/en/words.ftl")),
];

pub(super) const ARABIC: [(&str, &str); 7] = [
    ("device.ftl", include_str!("../../i18n/ar/device.ftl")),
    ("errors.ftl", include_str!("../../i18n/ar/errors.ftl")),
    ("help.ftl", include_str!("../../i18n/ar/help.ftl")),
    ("pairing.ftl", include_str!("../../i18n/ar/pairing.ftl")),
    ("notes.ftl", include_str!("../../i18n/ar/notes.ftl")),
    ("seen.ftl", include_str!("../../i18n/ar/seen.ftl")),
    ("words.ftl", include_str!("../../i18n/ar/words.ftl")),
];

/// Turns messages into sentences of one language.
///
/// In a text with right-to-left letters every inserted value stands between U+2068 and U+2069, so that a Latin name in
/// an Arabic sentence, or the other way round, cannot carry the words around it along. A text without any needs none
/// and gets none.
pub struct Catalogue {
    locale: Locale,
    bundle: FluentBundle<FluentResource>,
    /// Fluent's own Arabic rule is wrong from 103 on (intl_pluralrules 7.0.2 forgets the modulus), so ICU's decides.
    plurals: Option<PluralRules>,
}

impl Catalogue {
    /// Loads the catalogue of a language. What the tests hold about its files is not checked again.
    #[must_use]
    pub fn new(locale: Locale) -> Self {
        let (name, files, icu) = match locale.language {
            Language::English => ("en", ENGLISH, langid!("en")),
            Language::Arabic => ("ar", ARABIC, langid!("ar")),
        };
        // INVARIANT: both names are well formed; the default, "und", would change nothing but fluent's own plurals,
        // unused here.
        let name: LanguageIdentifier = name.parse().unwrap_or_default();
        let mut bundle = FluentBundle::new_concurrent(vec![name]);
        for (_, text) in files {
            // A test reads every file; were one damaged, its whole entries would still serve.
            let resource = match FluentResource::try_new(text.to_owned()) {
                Ok(resource) | Err((resource, _)) => resource,
            };
            bundle.add_resource_overriding(resource);
        }
        let plurals = PluralRules::try_new(icu.into(), PluralRulesOptions::default()).ok();
        Self { locale, bundle, plurals }
    }

    /// The language and its figures.
    #[must_use]
    pub fn locale(&self) -> Locale {
        self.locale
    }

    /// Makes the sentence. A key that is not there shows itself, which the tests exclude.
    #[must_use]
    pub fn say(&self, message: &Message) -> String {
        let isolated = self.isolated(message);
        if has_right_to_left(&isolated) { isolated } else { without_direction_marks(&isolated) }
    }

    /// Whether there is a message of this key.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.bundle.has_message(key)
    }

    /// Makes the sentence of a key that is known only at run time: the help of a command, which has no values.
    #[must_use]
    pub fn plain(&self, key: &str) -> Option<String> {
        let pattern = self.bundle.get_message(key)?.value()?;
        Some(self.bundle.format_pattern(pattern, None, &mut Vec::new()).into_owned())
    }

    /// The plural category of a number, by the name Unicode gives it, but `zero` for 0 in every language: "no notes" is
    /// said in another way than "0 notes". A message without that arm falls to `other`, which is right where Unicode
    /// has no zero.
    #[must_use]
    pub fn plural(&self, number: u64) -> &'static str {
        if number == 0 {
            return "zero";
        }
        match self.plurals.as_ref().map(|rules| rules.category_for(number)) {
            Some(PluralCategory::Zero) => "zero",
            Some(PluralCategory::One) => "one",
            Some(PluralCategory::Two) => "two",
            Some(PluralCategory::Few) => "few",
            Some(PluralCategory::Many) => "many",
            Some(PluralCategory::Other) | None => "other",
        }
    }

    fn isolated(&self, message: &Message) -> String {
        let Some(pattern) = self.bundle.get_message(message.key()).and_then(|found| found.value()) else {
            return message.key().to_owned();
        };
        let mut arguments = FluentArgs::new();
        for (name, value) in message.values() {
            match value {
                Value::Verbatim(text) => arguments.set(*name, harmless(text)),
                Value::Figures(figures) => arguments.set(*name, self.locale.figures(figures)),
                Value::Count(number) => {
                    arguments.set(*name, self.locale.figures(&number.to_string()));
                    arguments.set(format!("{name}_cat"), self.plural(*number));
                }
                Value::Message(inner) => arguments.set(*name, self.isolated(inner)),
            }
        }
        self.bundle.format_pattern(pattern, Some(&arguments), &mut Vec::new()).into_owned()
    }
}

/// A text from elsewhere, made fit for a terminal: control characters could move its cursor or change its title, marks
/// of direction could turn the sentence around it.
fn harmless(text: &str) -> String {
    without_direction_marks(text)
        .chars()
        .filter_map(|character| match character {
            '\n' | '\t' | '\u{2028}' | '\u{2029}' => Some(' '),
            other if other.is_control() => None,
            other => Some(other),
        })
        .collect()
}

impl fmt::Debug for Catalogue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Catalogue").field("locale", &self.locale).finish_non_exhaustive()
    }
}
