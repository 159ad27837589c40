//! What a command writes: sentences on a terminal, or one JSON object.

use std::io::{self, IsTerminal, Write};

use serde_json::{Map, Value, json};

use super::exit::Exit;
use super::problem::Problem;
use crate::i18n::{Catalogue, Message};
use crate::qr::Ink;

/// Where and how a command speaks.
pub(super) struct Output {
    pub(super) catalogue: Catalogue,
    json: bool,
    quiet: bool,
    /// Whether a person looks at standard output.
    terminal: bool,
    ink: Ink,
    out: Box<dyn Write + Send>,
    errors: Box<dyn Write + Send>,
}

impl Output {
    /// Speaks on standard output and standard error.
    pub(super) fn standard(catalogue: Catalogue, json: bool, quiet: bool, no_color: bool) -> Self {
        Self {
            catalogue,
            json,
            quiet,
            terminal: io::stdout().is_terminal(),
            ink: if no_color { Ink::Plain } else { Ink::Colour },
            out: Box::new(io::stdout()),
            errors: Box::new(io::stderr()),
        }
    }

    /// Whether a program reads the answer, and nobody a question.
    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    /// Says a sentence that was asked for.
    pub(super) fn line(&mut self, message: &Message) {
        if !self.json {
            let sentence = self.catalogue.say(message);
            self.write_out(&sentence);
        }
    }

    /// Says what could be done next; left out when quiet.
    pub(super) fn hint(&mut self, message: &Message) {
        if !self.json && !self.quiet {
            let sentence = self.catalogue.say(message);
            self.write_out(&sentence);
        }
    }

    /// Writes a line that is to be copied, letter for letter: a link, a code, digits. Nothing invisible is added.
    pub(super) fn copyable(&mut self, text: &str) {
        if !self.json {
            self.write_out(text);
        }
    }

    /// Whether a QR code would be seen.
    pub(super) fn shows_qr(&self) -> Option<Ink> {
        (self.terminal && !self.json && !self.quiet).then_some(self.ink)
    }

    /// Whether progress is to be shown: to a person, and not into a pipe.
    pub(super) fn shows_progress(&self) -> bool {
        !self.json && !self.quiet && io::stderr().is_terminal()
    }

    /// Ends a command: with `--json` writes its one object.
    pub(super) fn done(&mut self, command: &str, exit: Exit, facts: Value) {
        if self.json {
            let mut object = head(command, exit);
            if let Value::Object(facts) = facts {
                object.extend(facts);
            }
            self.write_out(&Value::Object(object).to_string());
        }
    }

    /// Ends a command that failed.
    pub(super) fn problem(&mut self, command: Option<&str>, problem: &Problem) {
        let what = self.catalogue.say(&problem.told.what);
        let advice = self.catalogue.say(&problem.told.advice);
        if self.json {
            let mut object = head(command.unwrap_or_default(), problem.exit);
            let error = json!({ "code": problem.told.code(), "message": what, "advice": advice });
            object.insert("error".to_owned(), error);
            self.write_out(&Value::Object(object).to_string());
        } else {
            let told = writeln!(self.errors, "{what}\n{advice}").and_then(|()| self.errors.flush());
            leave_if_nobody_reads(told);
        }
    }

    fn write_out(&mut self, line: &str) {
        let told = writeln!(self.out, "{line}").and_then(|()| self.out.flush());
        leave_if_nobody_reads(told);
    }
}

/// What every JSON answer begins with. `ok` is false only with an error; a note that waits is no error.
fn head(command: &str, exit: Exit) -> Map<String, Value> {
    let mut head = Map::new();
    head.insert("zajil".to_owned(), json!(1));
    head.insert("command".to_owned(), json!(command));
    head.insert("ok".to_owned(), json!(matches!(exit, Exit::Done | Exit::Waits)));
    head.insert("exit".to_owned(), json!(exit.code()));
    head
}

/// Whoever read has seen enough (`zajil inbox | head`): the work is done, only its telling ends. There is nobody to
/// tell of any other error here either.
fn leave_if_nobody_reads(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::debug!(kind = ?error.kind(), "nobody reads the output");
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::i18n::Locale;

    /// What was written, to look at afterwards.
    #[derive(Clone, Default)]
    pub(crate) struct Written(Arc<Mutex<Vec<u8>>>);

    impl Written {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// An output that is kept: what went to standard output, and to standard error.
    pub(crate) fn kept(locale: Locale, json: bool) -> (Output, Written, Written) {
        let (out, errors) = (Written::default(), Written::default());
        let output = Output {
            catalogue: Catalogue::new(locale),
            json,
            quiet: false,
            terminal: false,
            ink: Ink::Plain,
            out: Box::new(out.clone()),
            errors: Box::new(errors.clone()),
        };
        (output, out, errors)
    }
}
