//! Real files of every kind that people send, and every way in which they can be wrong.
//!
//! The files are in `client/tests/fixtures/audio`, with a README on how each was made: one second of one voice.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;

use proptest::prelude::*;

use crate::audio::Pcm;
use crate::audio::import::{ImportError, import};

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/audio").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn import_bytes(bytes: &[u8]) -> Result<Pcm, ImportError> {
    import(Cursor::new(bytes))
}

/// Every fixture that is a good file, with its length in milliseconds.
const GOOD: [(&str, u32); 22] = [
    ("4k-alac.m4a", 1_000),
    ("6k.flac", 750),
    ("8bit.aiff", 1_000),
    ("aac.3gp", 1_000),
    ("aac.m4a", 1_000),
    ("adts.aac", 1_000),
    ("alac.caf", 1_000),
    ("fragmented.mp4", 1_000),
    ("ima.wav", 1_000),
    ("lame.mp3", 1_000),
    ("ms.wav", 1_000),
    ("mulaw.wav", 950),
    ("no-xing.mp3", 1_000),
    ("opus.mp4", 1_000),
    ("opus.ogg", 1_000),
    ("opus.webm", 1_000),
    ("opusenc.opus", 1_000),
    ("streamed.flac", 750),
    ("streamed.webm", 1_000),
    ("unmarked-end.ogg", 1_000),
    ("video.mp4", 1_000),
    ("vorbis.ogg", 1_000),
];

#[test]
fn files_of_every_kind_become_the_same_second_of_voice() {
    let mut wrong = Vec::new();
    for (name, expected_ms) in GOOD {
        match import_bytes(&fixture(name)) {
            // Codecs without a record of their delay come back up to 110 ms longer.
            Ok(pcm) if (expected_ms..=expected_ms + 110).contains(&pcm.duration_ms()) => {
                let power: f32 = pcm.samples.iter().map(|sample| sample * sample).sum();
                let rms = (power / pcm.samples.len() as f32).sqrt();
                if !(0.15..0.35).contains(&rms) {
                    wrong.push(format!("{name}: RMS {rms}"));
                }
            }
            other => wrong.push(format!("{name}: {other:?} {:?}", other.as_ref().map(Pcm::duration_ms))),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_is_no_recording_of_a_voice_is_refused_by_its_own_name() {
    let refused = |bytes: &[u8]| import_bytes(bytes).unwrap_err();
    assert!(matches!(refused(b""), ImportError::Empty));
    assert!(matches!(refused(b"x"), ImportError::NotAudio));
    assert!(matches!(refused(b"Dear all, this is a letter and no sound."), ImportError::NotAudio));
    assert!(matches!(refused(&[0; 100_000]), ImportError::NotAudio));
    assert!(matches!(refused(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"), ImportError::NotAudio));
    assert!(matches!(refused(b"PK\x03\x04 zip"), ImportError::NotAudio));
    assert!(matches!(refused(&fixture("narrow.amr")), ImportError::Amr));
    assert!(matches!(refused(b"#!AMR"), ImportError::Amr));
    assert!(matches!(refused(&fixture("amr.3gp")), ImportError::Amr));
    assert!(matches!(refused(b".snd\0\0\0\x18"), ImportError::Unsupported { what: "AU" }));
    assert!(matches!(refused(&fixture("speex.ogg")), ImportError::Unsupported { .. }));
    assert!(matches!(refused(&fixture("picture-only.mp4")), ImportError::NoAudioTrack));
    assert!(matches!(refused(&fixture("no-index.m4a")), ImportError::Truncated { got_s: 0.0 }));
}

#[test]
fn a_file_that_ends_in_the_middle_is_never_taken_for_a_whole_one() {
    // What is written piece by piece without a length may end between two pieces: nobody can see it there. With a count
    // of frames, an MP3 may lack one, because some encoders count its header too.
    let streams = ["adts.aac", "no-xing.mp3", "lame.mp3", "fragmented.mp4", "streamed.flac"];
    for (name, _) in GOOD {
        let whole = fixture(name);
        let mut taken = 0;
        let lengths = (whole.len() / 20..whole.len() * 19 / 20).step_by(whole.len() / 40 + 1);
        for length in lengths {
            match import_bytes(&whole[..length]) {
                Err(ImportError::Truncated { .. }) => {}
                // Half a frame is not believed to be a stream; a few are too short.
                Err(ImportError::NotAudio) if streams.contains(&name) => {}
                Err(ImportError::TooShort { .. }) if streams.contains(&name) => {}
                Ok(_) if streams.contains(&name) => taken += 1,
                other => panic!("{name} cut to {length} of {} bytes: {other:?}", whole.len()),
            }
        }
        assert!(taken <= 2, "{name}");
    }
}

/// A WAV file of 16-bit samples.
fn wav(channels: u16, rate: u32, frames: u32, mut sample: impl FnMut(u32, u16) -> f32) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let spec =
        hound::WavSpec { channels, sample_rate: rate, bits_per_sample: 16, sample_format: hound::SampleFormat::Int };
    let mut writer = hound::WavWriter::new(&mut file, spec).unwrap();
    for frame in 0..frames {
        for channel in 0..channels {
            #[expect(clippy::cast_possible_truncation, reason = "test samples are within full scale")]
            writer.write_sample((sample(frame, channel) * 32_000.0) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn tone(frame: u32) -> f32 {
    0.5 * (frame as f32 * 0.06).sin()
}

fn loudest(pcm: &Pcm) -> f32 {
    pcm.samples.iter().fold(0.0, |loudest, sample| sample.abs().max(loudest))
}

#[test]
fn a_voice_in_one_ear_or_in_six_channels_arrives_at_its_own_level() {
    let one_ear = wav(2, 48_000, 48_000, |frame, channel| if channel == 1 { tone(frame) } else { 0.0 });
    let opposite = wav(2, 48_000, 48_000, |frame, channel| if channel == 1 { tone(frame) } else { -tone(frame) });
    let surround = wav(6, 44_100, 44_100, |frame, channel| if channel == 2 { tone(frame) } else { 0.0 });
    for file in [one_ear, opposite, surround] {
        let pcm = import_bytes(&file).unwrap();
        assert_eq!(pcm.samples.len(), 48_000);
        assert!((loudest(&pcm) - 0.49).abs() < 0.03, "{}", loudest(&pcm));
    }
}

#[test]
fn two_joined_mp3_files_are_both_heard() {
    // The header of the first says how long the first is, and the rest must not be dropped for it.
    let one = fixture("lame.mp3");
    let alone = import_bytes(&one).unwrap().duration_ms();
    let joined = import_bytes(&[one.as_slice(), &one].concat()).unwrap().duration_ms();
    assert!(joined >= 2 * alone, "{alone} and {joined} ms");
}

#[test]
fn silence_and_a_slip_of_the_finger_are_refused() {
    let silent = import_bytes(&wav(1, 16_000, 16_000, |frame, _| tone(frame) * 0.001)).unwrap_err();
    assert!(matches!(silent, ImportError::Silent));
    let short = import_bytes(&wav(1, 16_000, 8_000, |frame, _| tone(frame))).unwrap_err();
    assert!(matches!(short, ImportError::TooShort { got_ms: 500, min_ms: 700 }));
}

#[test]
fn an_hour_of_silence_in_a_tiny_file_takes_no_memory_and_is_named_by_its_length() {
    // Opus packets of two bytes, 60 ms each, one after the other: 72 kB that claim an hour.
    let note = crate::audio::encode::Encoded {
        profile: crate::audio::profile::Profile::Default,
        toc: 0x58,
        packets: vec![vec![0x58, 0]; 60_000],
        samples_48k: 3_600 * 48_000,
        pre_skip: 312,
    };
    let mut file = Vec::new();
    crate::audio::export::write_ogg_opus(&note, &mut file).unwrap();
    assert!(file.len() < 300_000);
    let refused = import_bytes(&file).unwrap_err();
    assert!(matches!(refused, ImportError::TooLong { got_s: 3_595..=3_605, .. }), "{refused:?}");
}

#[test]
fn a_wav_whose_size_was_never_known_is_read_to_its_end() {
    let whole = wav(1, 16_000, 16_000, |frame, _| tone(frame));
    // ffmpeg, SoX and arecord into a pipe; and recorders that never correct the outer size.
    for (outer, inner) in
        [(u32::MAX, u32::MAX), (0x7fff_f024, 0x7fff_f000), (0x8000_0000, 0x8000_0000), (0, 32_000), (36, 32_000)]
    {
        let mut file = whole.clone();
        file[4..8].copy_from_slice(&outer.to_le_bytes());
        file[40..44].copy_from_slice(&inner.to_le_bytes());
        assert_eq!(import_bytes(&file).unwrap().samples.len(), 48_000, "{outer:#x} {inner:#x}");
    }
    let mut killed = whole;
    killed[40..44].fill(0);
    assert!(matches!(import_bytes(&killed), Err(ImportError::Truncated { .. })));
}

#[test]
fn flipped_bits_under_a_checksum_are_noticed() {
    for name in ["opus.ogg", "vorbis.ogg", "6k.flac"] {
        let mut file = fixture(name);
        let middle = file.len() * 2 / 3;
        file[middle] ^= 0x10;
        let refused = import_bytes(&file);
        assert!(matches!(refused, Err(ImportError::Corrupt | ImportError::Truncated { .. })), "{name}: {refused:?}");
    }
}

/// Fuzzing made symphonia's reader panic on a position near 2⁶³, where this offset led.
#[test]
fn regression_a_fragment_that_points_before_the_file_is_damaged() {
    let mut file = fixture("fragmented.mp4");
    let run = file.windows(4).position(|kind| kind == b"trun").unwrap();
    file[run + 12..run + 16].copy_from_slice(&i32::MIN.to_be_bytes());
    assert!(matches!(import_bytes(&file), Err(ImportError::Corrupt)));
}

/// Fuzzing made symphonia's reader go through the claimed samples once for each of them.
#[test]
fn regression_a_fragment_that_claims_more_samples_than_bytes_is_damaged() {
    let mut file = fixture("fragmented.mp4");
    let run = file.windows(4).position(|kind| kind == b"trun").unwrap();
    file[run + 8..run + 12].copy_from_slice(&0x00ff_ffff_u32.to_be_bytes());
    assert!(matches!(import_bytes(&file), Err(ImportError::Corrupt)));
}

/// Fuzzing made symphonia's reader index into an empty table.
#[test]
fn regression_a_fragment_with_odd_flags_for_its_first_sample_is_damaged() {
    let mut file = fixture("fragmented.mp4");
    let run = file.windows(4).position(|kind| kind == b"trun").unwrap();
    file[run + 4..run + 8].copy_from_slice(&[0, 0, 0, 5]);
    file[run + 16..run + 20].copy_from_slice(&4_u32.to_be_bytes());
    assert!(matches!(import_bytes(&file), Err(ImportError::Corrupt)));
}

/// symphonia's reader looks up the defaults of a track without asking whether they are there.
#[test]
fn regression_fragments_without_defaults_for_their_track_are_damaged() {
    let mut file = fixture("fragmented.mp4");
    let defaults = file.windows(4).position(|kind| kind == b"trex").unwrap();
    file[defaults..defaults + 4].copy_from_slice(b"free");
    assert!(matches!(import_bytes(&file), Err(ImportError::Corrupt)));
}

#[test]
fn an_index_of_wide_positions_is_damaged_when_they_are_in_no_file() {
    // `co64` is `stco` with entries of twice the size.
    let mut file = fixture("aac.m4a");
    let index = file.windows(4).position(|kind| kind == b"stco").unwrap();
    file[index..index + 4].copy_from_slice(b"co64");
    file[index + 8..index + 12].copy_from_slice(&1_u32.to_be_bytes());
    file[index + 12..index + 20].copy_from_slice(&u64::MAX.to_be_bytes());
    assert!(matches!(import_bytes(&file), Err(ImportError::Corrupt)));
}

#[test]
fn what_cannot_be_read_says_so() {
    struct Broken;
    impl std::io::Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the card was pulled"))
        }
    }
    impl std::io::Seek for Broken {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(1_000)
        }
    }
    assert_eq!(import(Broken).unwrap_err().to_string(), "the file could not be read: the card was pulled");
    let folder = fs::File::open(env!("CARGO_MANIFEST_DIR")).unwrap();
    assert!(matches!(import(folder), Err(ImportError::Unreadable(_) | ImportError::TooBig { .. })));
}

/// How files of every kind begin.
const BEGINNINGS: [&[u8]; 11] = [
    b"",
    b"RIFF\xff\xff\xff\xffWAVE",
    b"FORM\0\0\xff\xffAIFF",
    b"caff\0\x01\0\0",
    b"fLaC\0\0\0\x22",
    b"OggS\0\x02",
    b"\x1a\x45\xdf\xa3",
    b"\0\0\0\x08ftyp",
    b"ID3\x04\0\0\0\0\0\x08",
    b"\xff\xfb\x90\x64",
    b"\xff\xf1\x50\x80",
];

/// A fixture with some bytes changed, pulled out or put in, most of them where the headers are.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let names = GOOD.map(|(name, _)| name).into_iter().chain(["amr.3gp", "speex.ogg", "picture-only.mp4"]);
    let change = (any::<prop::sample::Index>(), any::<bool>(), 0..4_u8, any::<[u8; 4]>());
    (prop::sample::select(names.collect::<Vec<_>>()), proptest::collection::vec(change, 1..6)).prop_map(
        |(name, changes)| {
            let mut bytes = fixture(name);
            for (place, anywhere, kind, with) in changes {
                let reach = if anywhere { bytes.len() } else { bytes.len().min(600) };
                let at = place.index(reach);
                let end = (at + 4).min(bytes.len());
                match kind {
                    0 => bytes[at] = with[0],
                    1 => bytes[at..end].copy_from_slice(&with[..end - at]),
                    2 => bytes[at..end].fill(if with[0] & 1 == 0 { 0xff } else { 0 }),
                    _ => drop(bytes.splice(at..end, with.iter().take(usize::from(with[0] % 5)).copied())),
                }
            }
            bytes
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn changed_files_give_finite_sound_or_an_error(bytes in mutated()) {
        if let Ok(pcm) = import_bytes(&bytes) {
            prop_assert!(pcm.samples.iter().all(|sample| sample.is_finite()));
            prop_assert!((700..=600_000).contains(&pcm.duration_ms()));
        }
    }

    #[test]
    fn random_bytes_behind_any_known_beginning_give_an_error(
        beginning in prop::sample::select(BEGINNINGS.to_vec()),
        rest in proptest::collection::vec(any::<u8>(), 0..3_000)
    ) {
        let bytes: Vec<u8> = beginning.iter().copied().chain(rest).collect();
        prop_assert!(import_bytes(&bytes).is_err());
    }
}
