//! From any sound file to mono 48 kHz, or a clear reason why not.
//!
//! WAV, AIFF, CAF, FLAC, MP3, AAC, ALAC, Ogg Opus and Vorbis, MP4/M4A/3GP, WebM, at any rate and with up to eight
//! channels. What came out is the whole recording or nothing: a file that is cut off or damaged is refused, because
//! half a message can say the opposite. Memory is bounded by the ten minutes a note may last, not by what a file claims.
//!
//! | file | what |
//! |---|---|
//! | `container` | what a file is, and whether all of it is there |
//! | `boxes`, `mpeg` | the same for nested containers, and for streams without one |
//! | `demux` | symphonia: packets, decoders, planes of samples |
//! | `mix` | many channels to one, without losing a voice that is in one ear only |

mod boxes;
mod container;
mod demux;
mod mix;
mod mpeg;

use std::io::{self, Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};

use thiserror::Error;

use crate::audio::import::container::{Container, Kind, Source, Verdict, Walk, examine, sniff};
use crate::audio::import::demux::{Listened, Track, listen};
use crate::audio::import::mix::Correlation;
use crate::audio::resample::Resampler;
use crate::audio::{Pcm, SAMPLE_RATE, level};
use crate::limits::{
    IMPORT_END_SLACK_SAMPLES, IMPORT_FILE_BYTES_MAX, IMPORT_LOST_PACKETS_MAX, IMPORT_MISSING_MS_MAX, NOTE_MS_MIN,
    NOTE_SAMPLES_MAX, NOTE_SECONDS_MAX,
};

/// Why a file did not become a note. Nothing was taken from it.
#[derive(Debug, Error)]
pub enum ImportError {
    /// The bytes are no sound file that is known here.
    #[error("this is not a sound file")]
    NotAudio,
    /// The file has no bytes, or a valid container without any sound in it.
    #[error("the file is empty")]
    Empty,
    /// The file ends before the sound does: a download or a copy that stopped.
    #[error("the file is cut off after {got_s:.1} s of sound")]
    Truncated {
        /// Seconds that could be heard, 0.0 if none.
        got_s: f64,
    },
    /// Parts of the file cannot be decoded, or a checksum does not fit.
    #[error("the file is damaged")]
    Corrupt,
    /// Nothing in it rises above about −60 dBFS: a muted microphone.
    #[error("the recording is silent")]
    Silent,
    /// Too short to hold a word: most often a slip of the finger.
    #[error("the recording lasts {got_ms} ms; a note has at least {min_ms} ms")]
    TooShort {
        /// Milliseconds of the recording.
        got_ms: u32,
        /// Milliseconds a note must have.
        min_ms: u32,
    },
    /// Longer than a note may be. It can be cut with any sound editor.
    #[error("the recording lasts {got_s} s; a note may last {max_s} s")]
    TooLong {
        /// Seconds of the recording, rounded up.
        got_s: u64,
        /// Seconds a note may last.
        max_s: u32,
    },
    /// A file so large that it cannot be ten minutes of sound.
    #[error("the file has {got_bytes} bytes, more than {max_bytes}")]
    TooBig {
        /// Bytes of the file.
        got_bytes: u64,
        /// Bytes a file may have.
        max_bytes: u64,
    },
    /// AMR, as old telephones record it, bare or in a 3GP file. Record or save it as M4A, Ogg or WAV instead.
    #[error("AMR recordings cannot be read")]
    Amr,
    /// A container with pictures only.
    #[error("the file has no sound track")]
    NoAudioTrack,
    /// Sound in a form that is not decoded here.
    #[error("this kind of sound file is not supported: {what}")]
    Unsupported {
        /// The decoder's words, in English.
        what: &'static str,
    },
    /// The file could not be read, or is no ordinary file.
    #[error("the file could not be read: {0}")]
    Unreadable(#[source] io::Error),
}

/// Reads a recording from a file, or from bytes in a `Cursor`.
///
/// A source with several channels is read twice: once to hear in which channels somebody speaks, once to mix those. The
/// end may pass ten minutes by a tenth of a second, which is cut: coded files are longer than what was recorded.
///
/// # Errors
///
/// See [`ImportError`]. Bytes of any content give an error or sound.
pub fn import<R: Read + Seek + Send + Sync>(mut source: R) -> Result<Pcm, ImportError> {
    // The readers of symphonia 0.6.1 panic on some damaged files. What fuzzing found is refused before they see it (see
    // `boxes`); this is for what it did not find, where panics unwind. Nothing is used again after one: readers, decoders
    // and sound made so far are dropped, the source is the caller's or gone. It can go with a version that was fuzzed.
    catch_unwind(AssertUnwindSafe(|| import_source(&mut source))).unwrap_or(Err(ImportError::Corrupt))
}

fn import_source(source: &mut dyn Source) -> Result<Pcm, ImportError> {
    let length = source.seek(SeekFrom::End(0)).map_err(ImportError::Unreadable)?;
    if length == 0 {
        return Err(ImportError::Empty);
    }
    if length > IMPORT_FILE_BYTES_MAX {
        return Err(ImportError::TooBig { got_bytes: length, max_bytes: IMPORT_FILE_BYTES_MAX });
    }
    let mut walk = Walk::new(source, length);
    let (container, start) = match sniff(&mut walk).map_err(ImportError::Unreadable)? {
        Kind::Known { container, start } => (container, start),
        Kind::Amr => return Err(ImportError::Amr),
        Kind::Unsupported(what) => return Err(ImportError::Unsupported { what }),
        Kind::Foreign => return Err(ImportError::NotAudio),
    };
    let verdict = examine(&mut walk, container, start).map_err(ImportError::Unreadable)?;
    match verdict {
        Verdict::Amr => return Err(ImportError::Amr),
        Verdict::Damaged => return Err(ImportError::Corrupt),
        Verdict::Whole | Verdict::Cut => {}
    }
    let mut pcm = hear(source, container, start, verdict).map_err(|error| match error {
        ImportError::Unreadable(_) | ImportError::TooLong { .. } | ImportError::Truncated { .. } => error,
        // Whatever else is wrong with a file that is cut is wrong because it is cut.
        _ if verdict == Verdict::Cut => ImportError::Truncated { got_s: 0.0 },
        _ => error,
    })?;
    judge_length(&mut pcm)?;
    if level::is_silent(&pcm) { Err(ImportError::Silent) } else { Ok(pcm) }
}

/// Decodes everything into one channel at 48 kHz.
fn hear(source: &mut dyn Source, container: Container, start: u64, verdict: Verdict) -> Result<Pcm, ImportError> {
    let mut correlation: Option<Correlation> = None;
    let mut mono = None;
    let listened = listen(source, container, start, &mut |track, planes| {
        if let [only] = planes {
            resampler(&mut mono, track)?.push(only);
        } else {
            correlation.get_or_insert_with(|| Correlation::new(planes.len())).add(planes);
        }
        Ok(())
    })?;
    judge_completeness(&listened, container, verdict)?;
    if let Some(correlation) = correlation {
        let weights = correlation.weights();
        let mut mixed = Vec::new();
        listen(source, container, start, &mut |track, planes| {
            weights.mix(planes, &mut mixed);
            resampler(&mut mono, track)?.push(&mixed);
            Ok(())
        })?;
    }
    Ok(Pcm { samples: mono.ok_or(ImportError::Empty)?.finish() })
}

/// The resampler, made when the rate is known.
fn resampler(slot: &mut Option<Resampler>, track: Track) -> Result<&mut Resampler, ImportError> {
    if slot.is_none() {
        let made = Resampler::new(track.rate, SAMPLE_RATE);
        *slot = Some(made.map_err(|_| ImportError::Unsupported { what: "sample rate" })?);
    }
    slot.as_mut().ok_or(ImportError::Empty)
}

/// Whether what was decoded is all that the file promised.
fn judge_completeness(listened: &Listened, container: Container, verdict: Verdict) -> Result<(), ImportError> {
    let got_s = listened.seconds();
    if verdict == Verdict::Cut {
        return Err(ImportError::Truncated { got_s });
    }
    // Elsewhere the walk has seen the end: streamed WebM and WAV always end like this, Ogg without its end mark too.
    let cut_inside = listened.ended_early && matches!(container, Container::Mp4 | Container::Caf);
    // Only these count their samples; elsewhere the number is an estimate, or was checked in bytes.
    let may_miss_ms = match container {
        Container::Flac => Some(0),
        Container::Mp3 => Some(IMPORT_MISSING_MS_MAX),
        _ => None,
    };
    let missing = listened.declared_frames.unwrap_or(0).saturating_sub(listened.frames);
    let too_few = may_miss_ms.is_some_and(|ms| missing > u64::from(listened.rate) * ms / 1_000);
    if cut_inside || too_few {
        return Err(ImportError::Truncated { got_s });
    }
    if listened.frames == 0 {
        return Err(match container {
            _ if listened.lost > 0 => ImportError::Corrupt,
            // Whoever writes a FLAC header goes on to write at least one frame.
            Container::Flac => ImportError::Truncated { got_s },
            _ => ImportError::Empty,
        });
    }
    let many_lost = listened.lost > IMPORT_LOST_PACKETS_MAX.max(listened.packets / 100);
    // One packet is lost, and it is the last: FLAC of unknown length, cut in its last frame.
    if listened.last_lost && !many_lost {
        return Err(ImportError::Truncated { got_s });
    }
    if many_lost || listened.failed_check {
        return Err(ImportError::Corrupt);
    }
    Ok(())
}

fn judge_length(pcm: &mut Pcm) -> Result<(), ImportError> {
    let got_ms = pcm.duration_ms();
    if got_ms < NOTE_MS_MIN {
        return Err(ImportError::TooShort { got_ms, min_ms: NOTE_MS_MIN });
    }
    let got = pcm.samples_48k();
    if got > NOTE_SAMPLES_MAX + IMPORT_END_SLACK_SAMPLES {
        let got_s = u64::from(got_ms).div_ceil(1_000);
        return Err(ImportError::TooLong { got_s, max_s: NOTE_SECONDS_MAX });
    }
    pcm.samples.truncate(usize::try_from(NOTE_SAMPLES_MAX).unwrap_or(usize::MAX));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_are_a_note_with_the_padding_of_a_codec_and_without() {
        let ten_minutes = 600 * 48_000;
        for extra in [0, 1, 4_800] {
            let mut pcm = Pcm::new(vec![0.0; ten_minutes + extra]);
            assert!(judge_length(&mut pcm).is_ok());
            assert_eq!(pcm.samples.len(), ten_minutes);
        }
        let over = judge_length(&mut Pcm::new(vec![0.0; ten_minutes + 4_801])).unwrap_err();
        assert!(matches!(over, ImportError::TooLong { got_s: 601, max_s: 600 }), "{over:?}");
    }

    #[test]
    fn seven_tenths_of_a_second_are_enough() {
        assert!(judge_length(&mut Pcm::new(vec![0.0; 33_600])).is_ok());
        let short = judge_length(&mut Pcm::new(vec![0.0; 33_552])).unwrap_err();
        assert!(matches!(short, ImportError::TooShort { got_ms: 699, min_ms: 700 }), "{short:?}");
    }
}
