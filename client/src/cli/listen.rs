//! `zajil play` and `zajil export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use serde_json::json;

use super::arguments::{Export, Play, Which};
use super::context::{Context, Executor, mismatched, shown};
use super::exit::Exit;
use super::files::{extension, replace};
use super::json;
use super::problem::{self, Problem};
use super::progress::Bar;
use crate::audio::decode::{check_packet, decode};
use crate::audio::encode::{Encoded, PRE_SKIP};
use crate::audio::export::{ExportError, write_ogg_opus, write_wav};
use crate::audio::play::{PlayError, Played, play as to_loudspeaker};
use crate::audio::profile::Profile;
use crate::audio::{Pcm, SAMPLES_PER_MS, duration_ms};
use crate::engine::api::{Direction, Failure, NoteMark, NoteView, Reply, Request, Voice};
use crate::i18n::{length, msg};
use crate::limits::NOTE_SAMPLES_MAX;

/// Part of a note, by time, that must be played for it to count as heard.
const HEARD_FRACTION: f32 = 0.9;

/// Thousandths in which the loudspeaker's thread tells how far it is.
const THOUSANDTHS: f32 = 1_000.0;

/// A kind of sound file, by its name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Wav,
    Opus,
}

/// Plays a note to the loudspeaker or into a file.
pub(super) async fn play(context: &mut Context, engine: &mut impl Executor, given: &Play) -> Result<Exit, Problem> {
    let file = given.to.as_deref().map(|path| kind(path).map(|kind| (path, kind))).transpose()?;
    let number = match given.note {
        Which::Number(number) => number,
        Which::Next => match next(context, engine).await? {
            Some(number) => number,
            None => {
                context.output.line(&msg("play-nothing-new"));
                context.output.done("play", Exit::Done, json!({ "note": null, "heard": false }));
                return Ok(Exit::Done);
            }
        },
    };
    let (note, recording) = fetch(context, engine, number).await?;
    announce(context, &note, &recording);
    let heard = match file {
        Some((path, kind)) => {
            write(&recording, path, kind)?;
            context.output.line(&msg("play-written").text("path", shown(path)));
            recording.complete
        }
        None => loudspeaker(context, number, recording).await?,
    };
    let note = if heard && note.direction == Direction::In {
        let Reply::Note(note) = context.ask(engine, Request::Heard { number }).await? else { return Err(mismatched()) };
        context.output.line(&msg("play-heard"));
        note
    } else {
        if file.is_none() && !heard {
            context.output.line(&msg("play-not-heard"));
        }
        note
    };
    context.output.done("play", Exit::Done, json!({ "note": json::note(&note), "heard": heard }));
    Ok(Exit::Done)
}

/// Writes a note to a file. That is no listening: the sender is told nothing.
pub(super) async fn export(context: &mut Context, engine: &mut impl Executor, given: &Export) -> Result<Exit, Problem> {
    let kind = kind(&given.file)?;
    let (note, recording) = fetch(context, engine, given.number).await?;
    announce(context, &note, &recording);
    write(&recording, &given.file, kind)?;
    context.output.line(&msg("play-written").text("path", shown(&given.file)));
    if note.direction == Direction::In && note.mark != NoteMark::Heard {
        context.output.hint(&msg("export-unheard"));
    }
    context.output.done(
        "export",
        Exit::Done,
        json!({ "note": json::note(&note), "file": shown(&given.file), "complete": recording.complete }),
    );
    Ok(Exit::Done)
}

/// The oldest incoming note that has not been heard and of which something is here.
async fn next(context: &Context, engine: &mut impl Executor) -> Result<Option<u32>, Problem> {
    let Reply::Notes(notes) = context.ask(engine, Request::Inbox { all: false }).await? else {
        return Err(mismatched());
    };
    let mut waiting: Vec<&NoteView> =
        notes.iter().filter(|note| note.direction == Direction::In && note.mark == NoteMark::Delivered).collect();
    waiting.sort_by_key(|note| (note.recorded, note.number));
    Ok(waiting.first().map(|note| note.number))
}

/// What has arrived of a note, ready to be decoded or written.
struct Recording {
    encoded: Encoded,
    complete: bool,
}

async fn fetch(context: &Context, engine: &mut impl Executor, number: u32) -> Result<(NoteView, Recording), Problem> {
    let Reply::Voice { note, voice } = context.ask(engine, Request::Voice { number }).await? else {
        return Err(mismatched());
    };
    if voice.packets.is_empty() {
        return Err(Problem::from(Failure::NothingYet));
    }
    Ok((note, recording(voice)?))
}

fn recording(voice: Voice) -> Result<Recording, Problem> {
    let profile = Profile::try_from(voice.codec).map_err(|error| problem::damaged_note(&error))?;
    let packets: Vec<Vec<u8>> = voice
        .packets
        .into_iter()
        .map(|rest| {
            let mut packet = Vec::with_capacity(rest.len() + 1);
            packet.push(voice.toc);
            packet.extend(rest);
            packet
        })
        .collect();
    let mut held = 0_u64;
    for packet in &packets {
        let samples = check_packet(packet).map_err(|error| problem::damaged_note(&error))?;
        held = held.saturating_add(u64::try_from(samples).unwrap_or(u64::MAX));
    }
    let held = held.saturating_sub(PRE_SKIP.into()).min(NOTE_SAMPLES_MAX);
    let told = u64::from(voice.duration_millis) * u64::from(SAMPLES_PER_MS);
    let samples_48k = if voice.complete { told.min(held) } else { held };
    Ok(Recording {
        encoded: Encoded { profile, toc: voice.toc, packets, samples_48k, pre_skip: PRE_SKIP },
        complete: voice.complete,
    })
}

fn announce(context: &mut Context, note: &NoteView, recording: &Recording) {
    let when = context.calendar().moment(note.recorded);
    let here = length(duration_ms(recording.encoded.samples_48k));
    let line = match note.direction {
        Direction::In => msg("play-note")
            .figures("number", note.number)
            .text("name", &note.contact)
            .say("when", when)
            .figures("length", &here),
        Direction::Out => msg("play-own-note")
            .figures("number", note.number)
            .text("name", &note.contact)
            .say("when", when)
            .figures("length", &here),
    };
    context.output.line(&line);
    if !recording.complete {
        context.output.line(&msg("play-part").figures("length", here));
    }
}

/// Plays to the loudspeaker; whether it was heard to nine tenths. Ctrl-C stops it.
async fn loudspeaker(context: &Context, number: u32, recording: Recording) -> Result<bool, Problem> {
    let complete = recording.complete;
    let pcm = sound(&recording.encoded)?;
    let stop = Arc::new(AtomicBool::new(false));
    let played = Arc::new(AtomicU64::new(0));
    let bar = Bar::new(&context.output);
    let mut playing = {
        let (stop, played) = (Arc::clone(&stop), Arc::clone(&played));
        tokio::task::spawn_blocking(move || {
            let mut tell = |fraction: f32| played.store(thousandths(fraction), Ordering::Relaxed);
            to_loudspeaker(&pcm, &stop, &mut tell)
        })
    };
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    let result = loop {
        tokio::select! {
            result = &mut playing => break result,
            _ = tick.tick() => bar.playing(played.load(Ordering::Relaxed)),
            // Without a handler the system would end us at once, and nine tenths heard would be lost.
            _ = tokio::signal::ctrl_c() => stop.store(true, Ordering::Relaxed),
        }
    };
    bar.clear();
    let refused = |error: &PlayError| problem::loudspeaker(error, number);
    let ended = result.map_err(problem::internal)?.map_err(|error| refused(&error))?;
    Ok(complete && is_heard(ended))
}

fn is_heard(played: Played) -> bool {
    match played {
        Played::Whole => true,
        Played::Stopped { fraction } => fraction >= HEARD_FRACTION,
    }
}

fn thousandths(fraction: f32) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 0 … 1000 before")]
    let value = (fraction * THOUSANDTHS).clamp(0.0, THOUSANDTHS) as u64;
    value
}

fn sound(encoded: &Encoded) -> Result<Pcm, Problem> {
    decode(&encoded.packets, encoded.pre_skip, encoded.samples_48k).map_err(|error| problem::damaged_note(&error))
}

fn kind(path: &Path) -> Result<Kind, Problem> {
    match extension(path).as_str() {
        "wav" => Ok(Kind::Wav),
        "opus" | "ogg" => Ok(Kind::Opus),
        _ => Err(Problem::new(Exit::Usage, msg("err-file-kind").text("path", shown(path)), msg("rec-file-kind"))),
    }
}

/// Writes what has arrived of a note, whole or not at all.
fn write(recording: &Recording, path: &Path, kind: Kind) -> Result<(), Problem> {
    let pcm = match kind {
        Kind::Wav => Some(sound(&recording.encoded)?),
        Kind::Opus => None,
    };
    let written = replace(path, |file: &mut File| -> Result<(), ExportError> {
        let mut file = BufWriter::new(file);
        match &pcm {
            Some(pcm) => write_wav(pcm, &mut file)?,
            None => write_ogg_opus(&recording.encoded, &mut file)?,
        }
        file.flush().map_err(|error: io::Error| ExportError::Io(error))
    });
    written.map_err(|error| match error {
        ExportError::Io(error) => problem::unwritten(&error, path),
        ExportError::Empty => Problem::from(Failure::NothingYet),
        other => problem::damaged_note(&other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_tenths_count_as_heard_and_less_does_not() {
        assert!(is_heard(Played::Whole));
        assert!(is_heard(Played::Stopped { fraction: 0.9 }));
        assert!(!is_heard(Played::Stopped { fraction: 0.899 }));
    }

    #[test]
    fn a_file_name_says_how_a_note_is_written() {
        assert!(kind(Path::new("a.WAV")).is_ok_and(|kind| kind == Kind::Wav));
        assert!(kind(Path::new("a.opus")).is_ok_and(|kind| kind == Kind::Opus));
        assert_eq!(kind(Path::new("a.mp3")).err().map(|problem| problem.told.code()), Some("file-kind"));
        assert!(kind(Path::new("wav")).is_err());
    }
}
