//! `zajil disappear` and `zajil quiet`: what stays of notes that were heard.

use serde_json::{Value, json};

use super::arguments::{Disappear, Quiet};
use super::context::{Context, Executor, mismatched};
use super::exit::Exit;
use super::json;
use super::problem::Problem;
use crate::engine::api::{DisappearingView, Reply, Request};
use crate::i18n::{msg, span};

/// Chooses, or only shows, how long the sound of heard notes stays.
pub(super) async fn disappear(
    context: &mut Context,
    engine: &mut impl Executor,
    given: &Disappear,
) -> Result<Exit, Problem> {
    let choice = given.span.or(given.default).map(Into::into);
    let request = Request::Disappear { name: given.name.clone(), choice };
    let Reply::Disappearing(view) = context.ask(engine, request).await? else { return Err(mismatched()) };
    match &view.contact {
        Some(name) => {
            let stays = view.own.unwrap_or(view.default);
            context.output.line(&msg("disappear-contact").text("name", name).say("span", span(stays)));
        }
        None => context.output.line(&msg("disappear-default").say("span", span(view.default))),
    }
    if view.quiet {
        context.output.line(&msg("quiet-on"));
    }
    context.output.hint(&msg("disappear-limits"));
    context.output.done("disappear", Exit::Done, facts(&view));
    Ok(Exit::Done)
}

/// Chooses, or only shows, whether nothing but what was not heard stays.
pub(super) async fn quiet(context: &mut Context, engine: &mut impl Executor, given: &Quiet) -> Result<Exit, Problem> {
    let request = Request::Quiet { on: given.state.map(Into::into) };
    let Reply::Disappearing(view) = context.ask(engine, request).await? else { return Err(mismatched()) };
    let line = if view.quiet { msg("quiet-on") } else { msg("quiet-off") };
    context.output.line(&line);
    context.output.done("quiet", Exit::Done, facts(&view));
    Ok(Exit::Done)
}

fn facts(view: &DisappearingView) -> Value {
    json!({
        "contact": view.contact,
        "own": view.own.map(json::span),
        "default": json::span(view.default),
        "quiet": view.quiet,
    })
}
