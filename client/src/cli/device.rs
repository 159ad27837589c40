//! `zajil init`, `status` and `sync`.

use std::path::Path;

use serde_json::json;

use super::arguments::{Init, Sync};
use super::context::{Context, Executor, mismatched, shown};
use super::exit::Exit;
use super::problem::Problem;
use super::{home, json, wait};
use crate::engine::api::{Failure, Link, Reply, Request, StatusView, Trouble};
use crate::i18n::{Message, Told, msg, size, span, sync_lines, trouble};

/// Sets this device up.
pub(super) fn init(context: &mut Context, given: &Init, passphrase: Option<&Path>) -> Result<Exit, Problem> {
    let relay = home::init(&context.home, &given.relay, passphrase)?;
    context.output.line(&msg("init-done"));
    context.output.line(&msg("init-home").text("path", shown(&context.home)));
    context.output.line(&msg("init-relay").text("address", &relay.address));
    let command = context.command("contact add NAME");
    context.output.hint(&msg("init-next").text("command", command));
    let facts = json!({ "home": shown(&context.home), "relay": relay.address });
    context.output.done("init", Exit::Done, facts);
    Ok(Exit::Done)
}

/// Tells how this device stands with its relays.
pub(super) async fn status(context: &mut Context, engine: &mut impl Executor) -> Result<Exit, Problem> {
    let Reply::Status(view) = context.ask(engine, Request::Status).await? else { return Err(mismatched()) };
    tell_status(context, &view);
    context.output.done("status", Exit::Done, json::status(&view));
    Ok(Exit::Done)
}

fn tell_status(context: &mut Context, view: &StatusView) {
    let calendar = context.calendar();
    for relay in &view.relays {
        let line = match relay.reached {
            Some(minute) => {
                msg("status-relay").text("address", &relay.address).say("ago", calendar.ago_or_moment(minute))
            }
            None => msg("status-relay-never").text("address", &relay.address),
        };
        context.output.line(&line);
        if let Some(reason) = relay.trouble {
            let Told { what, advice } = trouble(reason);
            context.output.line(&what);
            context.output.hint(&advice);
        }
    }
    if view.disk_full {
        context.output.line(&msg("status-disk-full"));
    }
    context.output.line(&msg("status-contacts").count("n", view.contacts.into()));
    context.output.line(&msg("status-unheard").count("n", view.unheard.into()));
    if view.waiting == 0 {
        context.output.line(&msg("status-waiting-nothing"));
    } else {
        context.output.line(&msg("status-waiting").figures("n", view.waiting).say("size", size(view.waiting_bytes)));
    }
    let storage = msg("status-storage").say("used", size(view.stored_bytes)).say("max", size(view.outbox_bytes_max));
    context.output.line(&storage);
    if view.disappearing.quiet {
        context.output.line(&msg("quiet-on"));
    } else {
        context.output.line(&msg("disappear-default").say("span", span(view.disappearing.default)));
    }
    if view.daemon {
        context.output.line(&msg("status-daemon"));
    } else {
        context.output.line(&msg("status-no-daemon"));
    }
    if view.probing.day_bytes > 0 {
        context.output.line(&msg("status-probing").say("size", size(view.probing.day_bytes)));
    }
    if view.probing.slowed {
        context.output.line(&msg("status-probing-slowed").say("max", size(view.probing.day_bytes_max)));
    }
    if let Some(link) = view.link {
        context.output.line(&taken_for(link));
    }
    match view.clock_off_minutes {
        Some(minutes) if minutes > 0 => context.output.line(&msg("status-clock-ahead").figures("n", minutes)),
        Some(minutes) if minutes < 0 => {
            context.output.line(&msg("status-clock-behind").figures("n", minutes.unsigned_abs()));
        }
        _ => {}
    }
}

fn taken_for(link: Link) -> Message {
    match link {
        Link::Gprs => msg("status-link-gprs"),
        Link::Edge => msg("status-link-edge"),
        Link::Fast => msg("status-link-fast"),
        Link::Satellite => msg("status-link-satellite"),
    }
}

/// Meets the relays.
pub(super) async fn sync(context: &mut Context, engine: &mut impl Executor, given: &Sync) -> Result<Exit, Problem> {
    let request = Request::Sync { timeout_millis: wait::millis(given.timeout, wait::SYNC_SECONDS) };
    let Reply::Synced(view) = context.ask(engine, request).await? else { return Err(mismatched()) };
    if view.reached == 0 {
        // Without a reason the time ran out while we still waited for an answer.
        return Err(Problem::from(Failure::NoRelay(view.trouble.unwrap_or(Trouble::NoAnswer))));
    }
    for line in sync_lines(&view) {
        context.output.line(&line);
    }
    if let Some(reason) = view.trouble {
        context.output.line(&trouble(reason).what);
    }
    let exit = if view.finished { Exit::Done } else { Exit::Waits };
    context.output.done("sync", exit, json::sync(&view));
    Ok(exit)
}
