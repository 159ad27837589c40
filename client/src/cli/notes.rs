//! `zajil send` and `zajil inbox`.

use std::fs::File;
use std::io::{self, BufReader, Cursor, Read};
use std::path::Path;

use serde_json::json;

use super::arguments::{Inbox, Send, WaitFor};
use super::context::{Context, Executor, mismatched, shown};
use super::exit::Exit;
use super::problem::{self, Problem, reason};
use super::{json, wait};
use crate::audio::Pcm;
use crate::audio::encode::{Encoded, encode};
use crate::audio::import::{ImportError, import};
use crate::audio::level::{Waveform, loudness};
use crate::audio::profile::Profile;
use crate::engine::api::{NoteMark, NoteView, Reply, Request, Voice};
use crate::i18n::{length, missing_notes, msg, note_line, note_mark, size, wait_reason};
use crate::limits::STANDARD_INPUT_BYTES_MAX;

/// Seals a recording and sends it as far as the links allow.
pub(super) async fn send(context: &mut Context, engine: &mut impl Executor, given: &Send) -> Result<Exit, Problem> {
    let pcm = recording(&given.file)?;
    context.look_up(engine, &given.name).await?;
    let encoded = encode(&pcm, Profile::from(given.profile)).map_err(|error| problem::encoder(&error))?;
    let request = Request::Send {
        to: given.name.clone(),
        voice: voice(&pcm, &encoded),
        lifetime_days: given.lifetime_days,
        wait: given.wait.into(),
        timeout_millis: wait::millis(given.timeout, wait::send_seconds(given.wait)),
    };
    let Reply::Sent(note) = context.ask(engine, request).await? else { return Err(mismatched()) };
    let exit = how_far(&note, given.wait);
    context.output.line(
        &msg("send-mark")
            .figures("number", note.number)
            .text("name", &note.contact)
            .figures("length", length(note.duration_millis))
            .say("size", size(note.sealed_bytes.into()))
            .say("mark", note_mark(&note)),
    );
    if let Some(reason) = note.waits {
        context.output.line(&msg("send-waits").say("reason", wait_reason(reason)));
    }
    if note.mark < NoteMark::AtRelay {
        let (daemon, sync) = (context.command("daemon"), context.command("sync"));
        context.output.hint(&msg("send-hint-sync").text("daemon", daemon).text("sync", sync));
    }
    context.output.done("send", exit, json!({ "note": json::note(&note) }));
    Ok(exit)
}

/// Whether the note came as far as was asked.
fn how_far(note: &NoteView, wait: WaitFor) -> Exit {
    let asked = match wait {
        WaitFor::Device => NoteMark::OnDevice,
        WaitFor::Stored => NoteMark::AtRelay,
        WaitFor::Delivered => NoteMark::Delivered,
        WaitFor::Heard => NoteMark::Heard,
    };
    match note.mark {
        NoteMark::Expired | NoteMark::Locked => Exit::Failed,
        mark if mark >= asked => Exit::Done,
        _ => Exit::Waits,
    }
}

/// Reads a recording from a file, or from standard input for `-`.
fn recording(path: &Path) -> Result<Pcm, Problem> {
    let refused = |error: ImportError| problem::recording(&error, path);
    if path == Path::new("-") {
        let bytes = standard_input().map_err(|error| refused(ImportError::Unreadable(error)))?;
        let got = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if got > STANDARD_INPUT_BYTES_MAX {
            return Err(refused(ImportError::TooBig { got_bytes: got, max_bytes: STANDARD_INPUT_BYTES_MAX }));
        }
        return import(Cursor::new(bytes)).map_err(refused);
    }
    let missing = |error: io::Error| {
        Problem::new(
            Exit::Recording,
            msg("err-recording-missing").say("reason", reason(&error)).text("path", shown(path)),
            msg("rec-recording-missing"),
        )
    };
    let file = File::open(path).map_err(missing)?;
    if file.metadata().is_ok_and(|found| found.is_dir()) {
        return Err(missing(io::ErrorKind::IsADirectory.into()));
    }
    import(BufReader::new(file)).map_err(refused)
}

/// All of standard input, or one byte more than is taken.
fn standard_input() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().take(STANDARD_INPUT_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A recording in the form the engine takes: the TOC byte is said once.
fn voice(pcm: &Pcm, encoded: &Encoded) -> Voice {
    Voice {
        codec: encoded.profile.code(),
        toc: encoded.toc,
        packets: encoded.packets.iter().map(|packet| packet.get(1..).unwrap_or_default().to_vec()).collect(),
        duration_millis: encoded.duration_ms(),
        loudness: loudness(pcm),
        waveform: Waveform::of(pcm).pack(),
        complete: true,
    }
}

async fn is_quiet(context: &Context, engine: &mut impl Executor) -> Result<bool, Problem> {
    match context.ask(engine, Request::Quiet { on: None }).await? {
        Reply::Disappearing(view) => Ok(view.quiet),
        _ => Err(mismatched()),
    }
}

/// Lists notes.
pub(super) async fn inbox(context: &mut Context, engine: &mut impl Executor, given: &Inbox) -> Result<Exit, Problem> {
    let Reply::Notes(notes) = context.ask(engine, Request::Inbox { all: given.all }).await? else {
        return Err(mismatched());
    };
    let calendar = context.calendar();
    for note in &notes {
        context.output.line(&note_line(note, &calendar));
    }
    let missing = if given.all { missing_notes(&notes) } else { Vec::new() };
    // Where nothing stays that was heard, a gap tells nothing.
    if !missing.is_empty() && !is_quiet(context, engine).await? {
        for line in missing {
            context.output.line(&line);
        }
    }
    match (notes.is_empty(), given.all) {
        (true, true) => context.output.line(&msg("inbox-empty-all")),
        (true, false) => context.output.line(&msg("inbox-empty")),
        (false, _) => {
            let command = context.command("play next");
            context.output.hint(&msg("inbox-hint").text("command", command));
        }
    }
    let notes: Vec<_> = notes.iter().map(json::note).collect();
    context.output.done("inbox", Exit::Done, json!({ "notes": notes }));
    Ok(Exit::Done)
}
