//! Everything that can end a command early: what is told, and the exit code.

use std::io;
use std::path::Path;

use super::exit::Exit;
use crate::audio::encode::EncodeError;
use crate::audio::import::ImportError;
use crate::audio::play::PlayError;
use crate::engine::api::Failure;
use crate::i18n::{Message, Told, length, msg, size};
use crate::store::{SqliteStore, StoreError};

/// Why a command ended early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What happened and what to do next.
    pub told: Told,
    /// The exit code.
    pub exit: Exit,
}

impl Problem {
    /// Joins the two halves of what is told with an exit code.
    #[must_use]
    pub fn new(exit: Exit, what: Message, advice: Message) -> Self {
        Self { told: Told::new(what, advice), exit }
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self { told: Told::from(&failure), exit: Exit::from(&failure) }
    }
}

/// The system's reason for refusing a file, in words.
pub(super) fn reason(error: &io::Error) -> Message {
    match error.kind() {
        io::ErrorKind::NotFound => msg("file-not-found"),
        io::ErrorKind::PermissionDenied => msg("file-no-permission"),
        io::ErrorKind::ReadOnlyFilesystem => msg("file-read-only"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => msg("file-disk-full"),
        io::ErrorKind::IsADirectory => msg("file-is-folder"),
        _ => msg("file-other").text("detail", error.to_string()),
    }
}

/// A store that could not be opened or made in `home`.
pub(super) fn home(error: &StoreError, home: &Path) -> Problem {
    let path = home.display().to_string();
    let (what, advice) = match error {
        StoreError::NotThere => (msg("err-home-not-set-up").text("path", path), msg("rec-home-not-set-up")),
        StoreError::NotEmpty => (msg("err-home-exists").text("path", path), msg("rec-home-exists")),
        StoreError::Busy => (msg("err-home-in-use"), msg("rec-home-in-use")),
        StoreError::ReadOnly => (msg("err-home-read-only").text("path", path), msg("rec-home-read-only")),
        StoreError::Full => (msg("err-disk-full"), msg("rec-disk-full")),
        StoreError::Corrupt { what } => (msg("err-home-damaged").text("detail", *what), msg("rec-home-damaged")),
        StoreError::WrongKey => (msg("err-home-key-wrong"), msg("rec-home-key-wrong")),
        StoreError::WrongPassphrase => (msg("err-passphrase-wrong"), msg("rec-passphrase-wrong")),
        StoreError::DuressIsPassphrase => (msg("err-duress-same"), msg("rec-duress-same")),
        StoreError::NoKeyFile => {
            let file = SqliteStore::key_file_of(home).display().to_string();
            (msg("err-home-key-missing"), msg("rec-home-key-missing").text("file", file))
        }
        StoreError::NeedsPassphrase => (msg("err-passphrase-needed"), msg("rec-passphrase-needed")),
        StoreError::NeedsKeyFile => (msg("err-passphrase-not-wanted"), msg("rec-passphrase-not-wanted")),
        StoreError::NewerVersion { .. } | StoreError::RecordVersion { .. } => {
            (msg("err-home-newer"), msg("rec-home-newer"))
        }
        other => (msg("err-store").text("detail", other.to_string()), msg("rec-store")),
    };
    Problem::new(Exit::Home, what, advice)
}

/// A recording that does not become a note. `path` is what the person typed.
pub(super) fn recording(error: &ImportError, path: &Path) -> Problem {
    // Another name where the file calls itself WAV already: ffmpeg refuses to write over what it reads.
    let is_wav = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("wav"));
    let other = path.with_extension(if is_wav { "new.wav" } else { "wav" });
    let to_wav = || format!("ffmpeg -i {} {}", quoted(path), quoted(&other));
    let in_parts = || {
        let part = path.with_extension("");
        let extension = path.extension().map_or_else(|| "wav".into(), |end| end.to_string_lossy().into_owned());
        let parts = format!("{}-%02d.{extension}", part.display());
        format!("ffmpeg -i {} -f segment -segment_time 590 -c copy {}", quoted(path), quoted(Path::new(&parts)))
    };
    let (what, advice) = match error {
        ImportError::NotAudio => (msg("err-audio-not-sound"), msg("rec-audio-not-sound")),
        ImportError::Empty => (msg("err-audio-empty"), msg("rec-audio-empty")),
        ImportError::Truncated { got_s } => (
            msg("err-audio-cut-off").figures("seconds", format_args!("{got_s:.1}")),
            msg("rec-audio-cut-off").text("command", to_wav()),
        ),
        ImportError::Corrupt => (msg("err-audio-damaged"), msg("rec-audio-damaged").text("command", to_wav())),
        ImportError::Silent => (msg("err-audio-silent"), msg("rec-audio-silent")),
        ImportError::TooShort { got_ms, .. } => {
            (msg("err-audio-too-short").figures("got", got_ms), msg("rec-audio-too-short"))
        }
        ImportError::TooLong { got_s, max_s } => {
            (too_long(*got_s, *max_s), msg("rec-audio-too-long").text("command", in_parts()))
        }
        ImportError::TooBig { got_bytes, max_bytes } => (
            msg("err-audio-too-big").say("got", size(*got_bytes)).say("max", size(*max_bytes)),
            msg("rec-audio-too-big").text("command", in_parts()),
        ),
        ImportError::Amr => (msg("err-audio-amr"), msg("rec-audio-amr").text("command", to_wav())),
        ImportError::NoAudioTrack => (msg("err-audio-no-track"), msg("rec-audio-no-track")),
        ImportError::Unsupported { what } => {
            (msg("err-audio-unsupported").text("detail", *what), msg("rec-audio-unsupported").text("command", to_wav()))
        }
        ImportError::Unreadable(error) => {
            (msg("err-audio-unreadable").say("reason", reason(error)), msg("rec-audio-unreadable"))
        }
    };
    Problem::new(Exit::Recording, what, advice)
}

fn too_long(got_s: u64, max_s: u32) -> Message {
    let got = u32::try_from(got_s.saturating_mul(1_000)).unwrap_or(u32::MAX);
    msg("err-audio-too-long").figures("got", length(got)).figures("max", length(max_s.saturating_mul(1_000)))
}

/// The voice encoder refused. The import has checked the length already.
pub(super) fn encoder(error: &EncodeError) -> Problem {
    Problem::new(Exit::Recording, msg("err-encoder").text("detail", error.to_string()), msg("rec-encoder"))
}

/// The loudspeaker refused; the note can be written to a file instead.
pub(super) fn loudspeaker(error: &PlayError, number: u32) -> Problem {
    let command = format!("zajil play {number} --to note-{number}.wav");
    let (what, advice) = match error {
        PlayError::NoSoundInBuild => {
            (msg("err-no-sound-in-build"), msg("rec-no-sound-in-build").text("command", command))
        }
        PlayError::NoDevice => (msg("err-no-loudspeaker"), msg("rec-no-loudspeaker").text("command", command)),
        PlayError::Busy => (msg("err-loudspeaker-busy"), msg("rec-loudspeaker-busy").text("command", command)),
        PlayError::Device(detail) => (
            msg("err-loudspeaker-failed").text("detail", detail),
            msg("rec-loudspeaker-failed").text("command", command),
        ),
    };
    Problem::new(Exit::Failed, what, advice)
}

/// A note whose packets cannot be decoded or written.
pub(super) fn damaged_note(detail: &dyn std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, msg("err-note-damaged").text("detail", detail.to_string()), msg("rec-note-damaged"))
}

/// A file that could not be written.
pub(super) fn unwritten(error: &io::Error, path: &Path) -> Problem {
    Problem::new(
        Exit::Failed,
        msg("err-file-write").say("reason", reason(error)).text("path", path.display().to_string()),
        msg("rec-file-write"),
    )
}

/// Something that should not happen.
pub(super) fn internal(detail: impl std::fmt::Display) -> Problem {
    Problem::new(Exit::Failed, msg("err-internal").text("detail", detail.to_string()), msg("rec-internal"))
}

/// A path as it may be typed into a shell.
pub(super) fn quoted(path: &Path) -> String {
    shell_word(&path.display().to_string())
}

/// A word as it may be typed into a shell.
pub(super) fn shell_word(word: &str) -> String {
    let plain = !word.is_empty()
        && word.chars().all(|character| character.is_alphanumeric() || "/._-+@%,:=".contains(character));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::i18n::{Catalogue, Locale};

    #[test]
    fn an_hour_long_recording_is_refused_with_the_command_that_cuts_it() {
        let problem = recording(&ImportError::TooLong { got_s: 3_600, max_s: 600 }, Path::new("long talk.m4a"));
        assert_eq!((problem.exit, problem.told.code()), (Exit::Recording, "audio-too-long"));
        let english = Catalogue::new(Locale::ENGLISH);
        assert_eq!(english.say(&problem.told.what), "The recording lasts 60:00; a note may last 10:00.");
        assert_eq!(
            english.say(&problem.told.advice),
            "Nothing was sent. Cut it into parts and send them one after the other: \
             ffmpeg -i 'long talk.m4a' -f segment -segment_time 590 -c copy 'long talk-%02d.m4a'"
        );
    }

    #[test]
    fn an_old_telephones_recording_is_refused_with_the_command_that_converts_it() {
        let problem = recording(&ImportError::Amr, Path::new("call.3gp"));
        let english = Catalogue::new(Locale::ENGLISH);
        assert!(english.say(&problem.told.advice).contains("ffmpeg -i call.3gp call.wav"));
        let misnamed = recording(&ImportError::Amr, Path::new("call.WAV"));
        assert!(english.say(&misnamed.told.advice).contains("ffmpeg -i call.WAV call.new.wav"));
    }

    #[test]
    fn words_for_a_shell_are_quoted_when_they_must_be() {
        assert_eq!(shell_word("أمل"), "أمل");
        assert_eq!(shell_word("it's me"), r"'it'\''s me'");
        assert_eq!(shell_word("$(rm)"), "'$(rm)'");
        assert_eq!(shell_word(""), "''");
    }
}
