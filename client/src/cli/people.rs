//! `zajil contact …`: links, codes, digits, settings.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::json;

use super::arguments::{ContactAdd, ContactSet, ContactVerify, OutOfHands, pasted};
use super::context::{Context, Executor, mismatched, shown};
use super::exit::Exit;
use super::files::{extension, replace};
use super::problem::{Problem, reason, shell_word};
use super::{json, problem};
use crate::engine::api::{Pairing, Reply, Request};
use crate::i18n::{Language, Told, contact_line, contact_settings, latin_digits, msg};
use crate::qr::{self, DrawError, ReadError};

/// Digits that two people compare.
const DIGITS: usize = 12;

/// Makes a link, or takes one up.
pub(super) async fn add(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &ContactAdd,
) -> Result<Exit, Problem> {
    if let Some(path) = &given.qr {
        check_qr_file(path)?;
    }
    let link = match (&given.link, &given.scan) {
        (Some(link), _) => Some(link.clone()),
        (None, Some(picture)) => Some(scan(picture)?),
        (None, None) => None,
    };
    match link {
        Some(link) => accept(context, engine, given, link).await,
        None => invite(context, engine, given).await,
    }
}

async fn invite(context: &mut Context, engine: &mut impl Executor, given: &ContactAdd) -> Result<Exit, Problem> {
    let request = Request::Invite { name: given.name.clone() };
    let Reply::Invited { link, expires } = context.ask(engine, request).await? else { return Err(mismatched()) };
    context.output.line(&msg("invite-made").text("name", &given.name));
    context.output.copyable(&link);
    let end = context.calendar().moment(expires);
    context.output.line(&msg("invite-end").say("when", end));
    if given.qr.is_none() && context.output.shows_qr().is_some() {
        context.output.line(&msg("invite-scan").text("name", &given.name));
    }
    show_qr(context, &link, given.qr.as_deref())?;
    let verify = context.command(&format!("contact verify {}", shell_word(&given.name)));
    context.output.hint(&msg("invite-next").text("name", &given.name).text("command", verify));
    context.output.done(
        "contact add",
        Exit::Done,
        json!({ "name": given.name, "link": link, "expires": json::time(expires) }),
    );
    Ok(Exit::Done)
}

async fn accept(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &ContactAdd,
    link: String,
) -> Result<Exit, Problem> {
    let request = Request::Accept { name: given.name.clone(), link, in_person: given.in_person };
    let Reply::Accepted { return_code, contact } = context.ask(engine, request).await? else {
        return Err(mismatched());
    };
    context.output.line(&msg("accept-done").text("name", &contact.name));
    context.output.line(&msg("accept-return").text("name", &contact.name));
    context.output.copyable(&return_code);
    show_qr(context, &return_code, given.qr.as_deref())?;
    if contact.pairing != Pairing::Confirmed && !given.in_person {
        let verify = context.command(&format!("contact verify {}", shell_word(&contact.name)));
        context.output.hint(&msg("accept-next").text("command", verify));
    }
    context.output.done(
        "contact add",
        Exit::Done,
        json!({ "return_code": return_code, "contact": json::contact(&contact) }),
    );
    Ok(Exit::Done)
}

/// Compares digits, takes a return code, or shows the digits.
pub(super) async fn verify(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &ContactVerify,
) -> Result<Exit, Problem> {
    let code = match (&given.return_code, &given.scan) {
        (Some(code), _) => Some(code.clone()),
        (None, Some(picture)) => Some(scan(picture)?),
        (None, None) => None,
    };
    let name = given.name.clone();
    if let Some(code) = code {
        let Reply::Contact(contact) = context.ask(engine, Request::TakeReturn { name, code }).await? else {
            return Err(mismatched());
        };
        context.output.line(&msg("verify-done").text("name", &contact.name));
        context.output.done(
            "contact verify",
            Exit::Done,
            json!({ "contact": json::contact(&contact), "confirmed": true }),
        );
        return Ok(Exit::Done);
    }
    let compare = given.digits.is_some();
    let digits = given.digits.as_deref().map(typed_digits).transpose()?;
    let Reply::Digits { digits, confirmed } = context.ask(engine, Request::Verify { name, digits }).await? else {
        return Err(mismatched());
    };
    if compare {
        context.output.line(&msg("verify-done").text("name", &given.name));
    } else {
        show_digits(context, &given.name, &digits, confirmed);
    }
    context.output.done(
        "contact verify",
        Exit::Done,
        json!({ "name": given.name, "digits": digits, "confirmed": confirmed }),
    );
    Ok(Exit::Done)
}

/// Shows the digits to read aloud. In a right-to-left language each group has its own line, for on one line two people
/// could read the groups in two orders.
fn show_digits(context: &mut Context, name: &str, digits: &str, confirmed: bool) {
    let locale = context.output.catalogue.locale();
    context.output.line(&msg("digits-read").text("name", name));
    match locale.language {
        Language::English => context.output.copyable(digits),
        Language::Arabic => {
            for group in digits.split_whitespace() {
                context.output.copyable(&locale.figures(group));
            }
        }
    }
    if confirmed {
        context.output.line(&msg("digits-confirmed").text("name", name));
    } else {
        let command = context.command(&format!("contact verify {} --digits \"{digits}\"", shell_word(name)));
        context.output.hint(&msg("digits-next").text("command", command));
    }
}

/// Twelve digits as somebody types them: in any script and grouping.
fn typed_digits(text: &str) -> Result<String, Problem> {
    let digits: String = latin_digits(text).chars().filter(char::is_ascii_digit).collect();
    let strange = latin_digits(text).chars().any(char::is_alphabetic);
    if digits.len() == DIGITS && !strange {
        Ok(digits)
    } else {
        Err(Problem::new(Exit::Link, msg("err-digits-form"), msg("rec-digits-form")))
    }
}

/// Lists all contacts.
pub(super) async fn list(context: &mut Context, engine: &mut impl Executor) -> Result<Exit, Problem> {
    let Reply::Contacts(contacts) = context.ask(engine, Request::Contacts).await? else { return Err(mismatched()) };
    for contact in &contacts {
        for line in contact_line(contact, &context.calendar()) {
            context.output.line(&line);
        }
    }
    if contacts.is_empty() {
        let command = context.command("contact add NAME");
        context.output.line(&msg("contact-none").text("command", command));
    }
    let contacts: Vec<_> = contacts.iter().map(json::contact).collect();
    context.output.done("contact list", Exit::Done, json!({ "contacts": contacts }));
    Ok(Exit::Done)
}

/// Changes, or only shows, what a contact is told.
pub(super) async fn set(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &ContactSet,
) -> Result<Exit, Problem> {
    let request = Request::SetContact {
        name: given.name.clone(),
        receipts: given.receipts.map(Into::into),
        seen: given.seen.map(Into::into),
    };
    let Reply::Contact(contact) = context.ask(engine, request).await? else { return Err(mismatched()) };
    context.output.line(&contact_settings(&contact));
    context.output.done("contact set", Exit::Done, json!({ "contact": json::contact(&contact) }));
    Ok(Exit::Done)
}

/// Says that this phone was out of its owner's hands: new keys for everybody, and everybody is told the day.
pub(super) async fn out_of_hands(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &OutOfHands,
) -> Result<Exit, Problem> {
    let day = context.calendar().today().saturating_sub(given.days_ago);
    let Reply::OutOfHands { contacts } = context.ask(engine, Request::OutOfHands { day }).await? else {
        return Err(mismatched());
    };
    let exit = if contacts == 0 {
        context.output.line(&msg("hands-nobody"));
        Exit::NotThere
    } else {
        context.output.line(&msg("hands-told").count("n", contacts.into()));
        context.output.line(&msg("hands-until"));
        let list = context.command("contact list");
        context.output.hint(&msg("hands-next").text("command", list));
        Exit::Done
    };
    context.output.done("out-of-hands", exit, json!({ "contacts": contacts, "day": json::day(day) }));
    Ok(exit)
}

/// Shows a text as QR: into a file if one is named, else on a terminal if there is one.
fn show_qr(context: &mut Context, text: &str, file: Option<&Path>) -> Result<(), Problem> {
    if let Some(path) = file {
        let svg = check_qr_file(path)?;
        replace(path, |file| {
            let mut file = BufWriter::new(file);
            if svg {
                file.write_all(qr::svg(text)?.as_bytes())?;
            } else {
                qr::png(text, &mut file)?;
            }
            file.flush().map_err(DrawError::Io)
        })
        .map_err(|error| match error {
            DrawError::TooLong => Problem::new(Exit::Failed, msg("err-qr-too-long"), msg("rec-qr-too-long")),
            DrawError::Io(error) => problem::unwritten(&error, path),
        })?;
        context.output.line(&msg("qr-written").text("path", shown(path)));
    } else if let Some(ink) = context.output.shows_qr()
        && let Ok(code) = qr::for_terminal(text, ink)
    {
        context.output.copyable(&code);
    }
    Ok(())
}

/// Whether a QR file is SVG (`true`) or PNG (`false`), by its name.
fn check_qr_file(path: &Path) -> Result<bool, Problem> {
    match extension(path).as_str() {
        "svg" => Ok(true),
        "png" => Ok(false),
        _ => Err(Problem::new(Exit::Usage, msg("err-qr-file-kind").text("path", shown(path)), msg("rec-qr-file-kind"))),
    }
}

/// Reads a link or code from a picture.
fn scan(path: &Path) -> Result<String, Problem> {
    let missing = |error: &std::io::Error| {
        Problem::new(
            Exit::Failed,
            msg("err-picture-missing").say("reason", reason(error)).text("path", shown(path)),
            msg("rec-picture-missing"),
        )
    };
    let file = File::open(path).map_err(|error| missing(&error))?;
    let text = qr::read_png(BufReader::new(file)).map_err(|error| {
        let told = match &error {
            ReadError::NotPng => Told::new(msg("err-picture-kind"), msg("rec-picture-kind")),
            ReadError::TooBig { .. } => Told::new(msg("err-picture-too-big"), msg("rec-picture-too-big")),
            ReadError::NoCode => Told::new(msg("err-picture-no-code"), msg("rec-picture-no-code")),
            ReadError::Unreadable => Told::new(msg("err-picture-unreadable-code"), msg("rec-picture-unreadable-code")),
            ReadError::Several => Told::new(msg("err-picture-several-codes"), msg("rec-picture-several-codes")),
            ReadError::Io(error) => return missing(error),
        };
        Problem { told, exit: Exit::Link }
    })?;
    // The parser of typed text cannot fail; what a code holds is cleaned the same way.
    pasted(&text).map_err(problem::internal)
}
