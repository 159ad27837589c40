//! A thing to tell, before it is put into a language.

use std::fmt;

/// Starts a message by its key in the catalogue.
///
/// Keys stand in the code as literals, and values follow in the same expression: a test reads the sources and compares
/// both with the catalogue.
#[must_use]
pub fn msg(key: &'static str) -> Message {
    Message { key, values: Vec::new() }
}

/// A sentence or phrase of the catalogue with the values it needs.
///
/// `Debug` shows the key and never a value: values are names of people and times of contact.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    key: &'static str,
    values: Vec<(&'static str, Value)>,
}

/// What is put into a message.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// Shown as it is: names, addresses, file names, commands.
    Verbatim(String),
    /// Latin figures and signs, shown in the figures of the language: `23:30`, `1.4`.
    Figures(String),
    /// A number that words agree with.
    Count(u64),
    /// Another message.
    Message(Box<Message>),
}

impl Message {
    /// The key in the catalogue.
    #[must_use]
    pub fn key(&self) -> &'static str {
        self.key
    }

    /// Puts in a text as it is: a name, an address, a command.
    #[must_use]
    pub fn text(self, name: &'static str, text: impl Into<String>) -> Self {
        self.with(name, Value::Verbatim(text.into()))
    }

    /// Puts in Latin figures, to be shown in the figures of the language.
    #[must_use]
    pub fn figures(self, name: &'static str, figures: impl fmt::Display) -> Self {
        self.with(name, Value::Figures(figures.to_string()))
    }

    /// Puts in a number together with its plural category, which the catalogue finds as `$<name>_cat`.
    #[must_use]
    pub fn count(self, name: &'static str, number: u64) -> Self {
        self.with(name, Value::Count(number))
    }

    /// Puts in another message.
    #[must_use]
    pub fn say(self, name: &'static str, message: Message) -> Self {
        self.with(name, Value::Message(Box::new(message)))
    }

    pub(super) fn values(&self) -> &[(&'static str, Value)] {
        &self.values
    }

    fn with(mut self, name: &'static str, value: Value) -> Self {
        self.values.push((name, value));
        self
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Message({})", self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_of_a_message_names_nobody() {
        let message = msg("contact-answered").text("name", "Amal").say("when", msg("day-today").count("n", 3));
        assert_eq!(format!("{message:?}"), "Message(contact-answered)");
    }
}
