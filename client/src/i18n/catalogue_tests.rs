//! Holds the catalogue together with the sources: no key missing, none left over, the same values everywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use fluent_syntax::ast::{self, Entry, Expression, InlineExpression, PatternElement, VariantKey};
use fluent_syntax::parser;
use icu_locale_core::langid;
use icu_plurals::{PluralRules, PluralRulesOptions};

use super::catalogue::{ARABIC, ENGLISH};
use super::{Catalogue, Locale, Message, msg};

/// What a message of the catalogue takes and offers.
#[derive(Debug, Default, PartialEq, Eq, Clone)]
struct Shape {
    variables: BTreeSet<String>,
    /// For each variable that is selected on, its arms.
    arms: BTreeMap<String, BTreeSet<String>>,
    references: BTreeSet<String>,
}

impl Shape {
    fn pattern(&mut self, pattern: &ast::Pattern<&str>) {
        for element in &pattern.elements {
            if let PatternElement::Placeable { expression } = element {
                self.expression(expression);
            }
        }
    }

    fn expression(&mut self, expression: &Expression<&str>) {
        match expression {
            Expression::Inline(inline) => self.inline(inline),
            Expression::Select { selector, variants } => {
                let InlineExpression::VariableReference { id } = selector else { panic!("selects on a variable only") };
                self.variables.insert(id.name.to_owned());
                let arms = variants.iter().map(|variant| match variant.key {
                    VariantKey::Identifier { name } => name.to_owned(),
                    VariantKey::NumberLiteral { value } => panic!("{value}: arms are categories, not numbers"),
                });
                self.arms.insert(id.name.to_owned(), arms.collect());
                for variant in variants {
                    self.pattern(&variant.value);
                }
            }
        }
    }

    fn inline(&mut self, inline: &InlineExpression<&str>) {
        match inline {
            InlineExpression::VariableReference { id } => drop(self.variables.insert(id.name.to_owned())),
            InlineExpression::MessageReference { id, .. } => drop(self.references.insert(id.name.to_owned())),
            InlineExpression::StringLiteral { .. } => {}
            InlineExpression::Placeable { expression } => self.expression(expression),
            other => panic!("{other:?} is not used in this catalogue"),
        }
    }
}

fn shapes(files: &[(&str, &'static str)]) -> BTreeMap<String, Shape> {
    let mut shapes = BTreeMap::new();
    for (name, text) in files {
        let resource = parser::parse(*text).unwrap_or_else(|(_, errors)| panic!("{name}: {errors:?}"));
        for entry in resource.body {
            let message = match entry {
                Entry::Message(message) => message,
                Entry::Comment(_) | Entry::GroupComment(_) | Entry::ResourceComment(_) => continue,
                other => panic!("{name}: {other:?} is not used in this catalogue"),
            };
            assert!(message.attributes.is_empty(), "{}: attributes are not used", message.id.name);
            let mut shape = Shape::default();
            shape.pattern(&message.value.expect("every message has a text"));
            let twice = shapes.insert(message.id.name.to_owned(), shape);
            assert!(twice.is_none(), "{name}: {} stands twice", message.id.name);
        }
    }
    shapes
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") && !path.to_string_lossy().ends_with("tests.rs") {
            found.push(path);
        }
    }
}

/// Every `msg("key")` of the sources, with the values that follow it: `.count("n", …)` gives `n` and `n_cat`.
fn uses() -> Vec<(String, BTreeSet<String>, PathBuf)> {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    let mut uses = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let text = text.split("#[cfg(test)]\npub(super) mod tests {").next().unwrap();
        for (start, _) in text.match_indices("msg(\"") {
            let rest = &text[start + 5..];
            let (key, rest) = rest.split_once("\")").expect("a key is a literal");
            uses.push((key.to_owned(), values(rest), path.clone()));
        }
    }
    uses
}

/// Names of the values in a chain of calls at the start of `text`.
fn values(mut text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    while let Some(rest) = text.trim_start().strip_prefix('.') {
        let Some((method, rest)) = rest.split_once('(') else { break };
        let name = rest.trim_start().strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(name, _)| name);
        match (method, name) {
            ("text" | "figures" | "say", Some(name)) => drop(names.insert(name.to_owned())),
            ("count", Some(name)) => {
                names.insert(name.to_owned());
                names.insert(format!("{name}_cat"));
            }
            _ => break,
        }
        text = after_closing(rest);
    }
    names
}

/// What follows the parenthesis that closes the one before `text`.
fn after_closing(text: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (1, false, false);
    for (index, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &text[index + 1..];
        }
    }
    ""
}

#[test]
fn both_languages_have_the_same_messages_with_the_same_values() {
    let (english, arabic) = (shapes(&ENGLISH), shapes(&ARABIC));
    let keys = |shapes: &BTreeMap<String, Shape>| shapes.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(keys(&english), keys(&arabic));
    for (key, english) in &english {
        let plain = |shape: &Shape| {
            // A language may say a number in words alone, or need no plural.
            shape.variables.iter().map(|name| name.trim_end_matches("_cat").to_owned()).collect::<BTreeSet<_>>()
        };
        assert_eq!(plain(english), plain(&arabic[key]), "{key}");
    }
}

#[test]
fn every_file_of_the_catalogue_is_loaded() {
    for (language, files) in [("en", ENGLISH), ("ar", ARABIC)] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("i18n").join(language);
        let there: BTreeSet<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(there, files.iter().map(|(name, _)| (*name).to_owned()).collect());
    }
}

#[test]
fn every_message_the_code_tells_is_there_and_gets_its_values() {
    let english = shapes(&ENGLISH);
    let arabic = shapes(&ARABIC);
    for (key, given, path) in uses() {
        for shapes in [&english, &arabic] {
            let shape =
                shapes.get(&key).unwrap_or_else(|| panic!("{key} of {} is not in the catalogue", path.display()));
            let missing: Vec<_> = shape.variables.difference(&given).collect();
            assert!(missing.is_empty(), "{key} of {} lacks {missing:?}", path.display());
        }
        let wanted: BTreeSet<_> = english[&key].variables.union(&arabic[&key].variables).cloned().collect();
        let idle: Vec<_> = given.iter().filter(|name| !name.ends_with("_cat") && !wanted.contains(*name)).collect();
        assert!(idle.is_empty(), "{key} of {} gives {idle:?}, which no language shows", path.display());
    }
}

#[test]
fn no_message_is_left_over() {
    let shapes = shapes(&ENGLISH);
    let mut used: BTreeSet<String> = uses().into_iter().map(|(key, _, _)| key).collect();
    used.extend(shapes.values().flat_map(|shape| shape.references.clone()));
    used.extend(crate::cli::help_keys());
    let idle: Vec<_> = shapes.keys().filter(|key| !used.contains(*key)).collect();
    assert!(idle.is_empty(), "nobody tells {idle:?}");
    let absent: Vec<_> = used.iter().filter(|key| !shapes.contains_key(*key)).collect();
    assert!(absent.is_empty(), "the catalogue lacks {absent:?}");
}

#[test]
fn what_happened_always_comes_with_what_to_do_next() {
    let keys: BTreeSet<String> = shapes(&ENGLISH).into_keys().collect();
    for key in &keys {
        if let Some(code) = key.strip_prefix("err-") {
            assert!(keys.contains(&format!("rec-{code}")), "{key} gives no advice");
        }
        if let Some(code) = key.strip_prefix("rec-") {
            // A piece of advice may have variants: `rec-unknown-contact-near` beside `rec-unknown-contact`.
            let base = code.strip_suffix("-near").or(code.strip_suffix("-known")).unwrap_or(code);
            assert!(keys.contains(&format!("err-{base}")), "{key} advises on nothing");
        }
    }
}

#[test]
fn arabic_plurals_have_all_six_arms() {
    let six: BTreeSet<String> = ["zero", "one", "two", "few", "many", "other"].map(str::to_owned).into();
    let mut plurals = 0;
    for (key, shape) in shapes(&ARABIC) {
        for (variable, arms) in shape.arms {
            assert!(variable.ends_with("_cat"), "{key} selects on {variable}, which is no category");
            assert_eq!(arms, six, "{key}");
            plurals += 1;
        }
    }
    assert!(plurals > 10, "the plural messages were found");
    for (key, shape) in shapes(&ENGLISH) {
        for (variable, arms) in shape.arms {
            assert!(variable.ends_with("_cat"), "{key} selects on {variable}, which is no category");
            assert!(arms.contains("one") && arms.contains("other"), "{key}");
        }
    }
}

#[test]
fn numbers_to_2000_are_counted_as_unicode_counts_them() {
    let catalogue = Catalogue::new(Locale::ARABIC);
    let rules = PluralRules::try_new(langid!("ar").into(), PluralRulesOptions::default()).unwrap();
    for number in 0..=2_000_u64 {
        let expected = format!("{:?}", rules.category_for(number)).to_lowercase();
        assert_eq!(catalogue.plural(number), expected, "{number}");
        // The rule itself, so that a change of the data is noticed (CLDR 48, plurals.xml, ar).
        let by_hand = match (number, number % 100) {
            (0, _) => "zero",
            (1, _) => "one",
            (2, _) => "two",
            (_, 3..=10) => "few",
            (_, 11..=99) => "many",
            _ => "other",
        };
        assert_eq!(expected, by_hand, "{number}");
    }
}

#[test]
fn a_hundred_and_three_notes_take_the_plural_that_fluent_itself_gets_wrong() {
    let say = |n| Catalogue::new(Locale::ARABIC).say(&msg("sync-waiting").count("n", n));
    assert_eq!(say(103), "\u{2068}١٠٣\u{2069} رسائل تنتظر الإرسال.");
    assert_eq!(say(111), "\u{2068}١١١\u{2069} رسالة تنتظر الإرسال.");
    assert_eq!(say(2), "رسالتان تنتظران الإرسال.");
}

#[test]
fn every_plural_message_says_every_number_without_a_gap() {
    for (locale, files) in [(Locale::ARABIC, &ARABIC), (Locale::ENGLISH, &ENGLISH)] {
        let catalogue = Catalogue::new(locale);
        let keys: Vec<String> =
            shapes(files).into_iter().filter(|(_, shape)| !shape.arms.is_empty()).map(|(key, _)| key).collect();
        for key in keys {
            // `msg` wants a literal; the few keys of a test may stay in memory.
            let key: &'static str = Box::leak(key.into_boxed_str());
            for number in 0..=2_000 {
                let said = catalogue.say(&msg(key).count("n", number).text("name", "أمل"));
                assert!(!said.contains('{') && !said.contains(key), "{key} of {number}: {said}");
            }
        }
    }
}

#[test]
fn values_are_isolated_where_directions_could_mix_and_nowhere_else() {
    let line = |name: &str| msg("contact-line").text("name", name).say("state", msg("pairing-confirmed"));
    let english = Catalogue::new(Locale::ENGLISH);
    assert_eq!(english.say(&line("Amal")), "Amal: confirmed");
    assert_eq!(english.say(&line("أمل")), "\u{2068}أمل\u{2069}: \u{2068}confirmed\u{2069}");
    let arabic = Catalogue::new(Locale::ARABIC);
    assert_eq!(arabic.say(&line("Amal")), "\u{2068}Amal\u{2069}: \u{2068}مؤكد\u{2069}");
}

#[test]
fn a_name_cannot_move_the_cursor_or_turn_the_sentence_around() {
    let english = Catalogue::new(Locale::ENGLISH);
    let hostile = "A\u{1b}[2J\u{202e}m\na\tl\u{2069}\u{7}\u{85}";
    let said = english.say(&msg("verify-done").text("name", hostile));
    assert_eq!(said, "A[2Jm a l is confirmed.");
    let arabic = Catalogue::new(Locale::ARABIC).say(&msg("verify-done").text("name", hostile));
    let count = |mark: char| arabic.matches(mark).count();
    assert_eq!((count('\u{2068}'), count('\u{2069}'), count('\u{202e}')), (1, 1, 0));
}

#[test]
fn isolates_always_close_in_arabic_whatever_the_message() {
    let catalogue = Catalogue::new(Locale::ARABIC);
    let nested: Message = msg("note-line-waits")
        .say(
            "line",
            msg("note-line-in")
                .figures("number", 3)
                .text("name", "Amal \u{2068}")
                .say("when", msg("day-today"))
                .figures("length", "0:34")
                .say("mark", msg("mark-unheard")),
        )
        .say("reason", msg("wait-no-link"));
    let said = catalogue.say(&nested);
    let mut depth = 0_i32;
    for letter in said.chars() {
        match letter {
            '\u{2068}' => depth += 1,
            '\u{2069}' => depth -= 1,
            _ => {}
        }
        assert!(depth >= 0, "{said:?}");
    }
    assert_eq!(depth, 0, "{said:?}");
}

#[test]
fn arabic_sentences_are_arabic() {
    // A sentence that begins with a Latin letter would be laid out from left to right.
    for (key, _) in shapes(&ARABIC) {
        let text = ARABIC.iter().find_map(|(_, text)| text.split(&format!("\n{key} = ")).nth(1)).unwrap_or_default();
        let first = text.chars().find(|letter| letter.is_alphabetic());
        let exempt = key.starts_with("help-") || text.starts_with('{');
        assert!(exempt || first.is_none_or(|letter| !letter.is_ascii()), "{key} begins with {first:?}");
    }
}
