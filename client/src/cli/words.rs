//! `zajil seen` and `zajil word`.

use serde_json::json;

use super::arguments::{Seen, State, Word};
use super::context::{Context, Executor, mismatched};
use super::exit::Exit;
use super::problem::Problem;
use super::{json, wait};
use crate::engine::api::{Reply, Request};
use crate::i18n::{msg, seen as sentences, without_direction_marks};

/// "When were they last seen?"
pub(super) async fn seen(context: &mut Context, engine: &mut impl Executor, given: &Seen) -> Result<Exit, Problem> {
    let timeout_millis = if given.offline { 0 } else { wait::millis(given.timeout, wait::SEEN_SECONDS) };
    let request = Request::Seen { name: given.name.clone(), timeout_millis };
    let Reply::Seen(view) = context.ask(engine, request).await? else { return Err(mismatched()) };
    let told = sentences(&view, timeout_millis > 0, &context.zone);
    for sentence in &told {
        context.output.line(sentence);
    }
    let told: Vec<String> = told.iter().map(|sentence| context.output.catalogue.say(sentence)).collect();
    context.output.done("seen", Exit::Done, json::seen(&view, &told));
    Ok(Exit::Done)
}

/// Leaves a last word.
pub(super) async fn word(context: &mut Context, engine: &mut impl Executor, given: &Word) -> Result<Exit, Problem> {
    let text = given.text.as_deref().map(without_direction_marks).unwrap_or_default().trim().to_owned();
    if text.is_empty() && given.state == State::None {
        // An empty word would still replace the last one; that is never what a bare `zajil word` means.
        return Err(Problem::new(Exit::Usage, msg("err-word-empty"), msg("rec-word-empty")));
    }
    let request = Request::WriteWord {
        state: given.state.into(),
        text,
        tell_minute: !given.no_time,
        to: given.to.clone(),
        timeout_millis: wait::millis(given.timeout, wait::WORD_SECONDS),
    };
    let Reply::WordWritten { contacts, stored } = context.ask(engine, request).await? else {
        return Err(mismatched());
    };
    let exit = if contacts == 0 {
        context.output.line(&msg("word-nobody"));
        Exit::NotThere
    } else {
        context.output.line(&msg("word-written").count("n", contacts.into()));
        if stored >= contacts {
            context.output.line(&msg("word-stored-all"));
            Exit::Done
        } else {
            context.output.line(&msg("word-stored-part").figures("n", stored).figures("all", contacts));
            Exit::Waits
        }
    };
    context.output.done("word", exit, json!({ "contacts": contacts, "stored": stored }));
    Ok(exit)
}
