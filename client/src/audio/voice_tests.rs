//! A real voice through encoder, decoder and the two file formats that leave.

use std::fs;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::LazyLock;

use proptest::prelude::*;

use crate::audio::Pcm;
use crate::audio::decode::decode;
use crate::audio::encode::{EncodeError, Encoded, Encoder, FRAME_SAMPLES, PRE_SKIP, encode};
use crate::audio::export::{ExportError, write_ogg_opus, write_wav};
use crate::audio::import::import;
use crate::audio::profile::Profile;

/// Eleven seconds of a man's voice, old and noisy.
static VOICE: LazyLock<Pcm> = LazyLock::new(|| {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("assets/voices/jfk.wav");
    import(fs::File::open(path).unwrap()).unwrap()
});

fn decoded(note: &Encoded) -> Pcm {
    decode(&note.packets, note.pre_skip, note.samples_48k).unwrap()
}

/// The shift of `other` against `one`, in samples, at which they are most alike.
fn shift(one: &[f32], other: &[f32]) -> i64 {
    let start = 96_000_i64;
    let window = &one[96_000..108_000];
    (-50..=50_i64)
        .max_by_key(|shift| {
            let from = usize::try_from(start + shift).unwrap();
            let likeness: f32 = window.iter().zip(&other[from..]).map(|(a, b)| a * b).sum();
            ordered(likeness)
        })
        .unwrap()
}

/// A float as a key to sort by.
fn ordered(value: f32) -> i64 {
    #[expect(clippy::cast_possible_truncation, reason = "a test's likeness of some thousands")]
    let key = (f64::from(value) * 1e9) as i64;
    key
}

#[test]
fn every_profile_keeps_the_voice_its_length_and_its_place_in_time() {
    for profile in Profile::ALL {
        let note = encode(&VOICE, profile).unwrap();
        let sound = decoded(&note);
        assert_eq!(sound.samples.len(), VOICE.samples.len(), "{profile}");
        let shift = shift(&VOICE.samples, &sound.samples);
        assert!(shift.abs() <= 12, "{profile}: the sound moved by {shift} samples");
    }
}

#[test]
fn eleven_seconds_cost_what_the_profile_promises() {
    let bytes = Profile::ALL.map(|profile| encode(&VOICE, profile).unwrap().payload_bytes());
    // This libopus on this voice; a change means other settings or another encoder, and both are worth a look.
    let expected = [7_276, 9_219, 11_867, 15_999, 21_431];
    for (got, expected) in bytes.into_iter().zip(expected) {
        assert!(got.abs_diff(expected) * 50 < expected, "{bytes:?}");
    }
}

#[test]
fn the_toc_byte_is_one_for_each_bandwidth() {
    for profile in Profile::ALL {
        // Configuration 3 or 11 of RFC 6716 table 2: SILK, narrowband or wideband, 60 ms; mono; one frame.
        let expected = if profile == Profile::Emergency { 3 << 3 } else { 11 << 3 };
        let note = encode(&VOICE, profile).unwrap();
        assert_eq!(note.toc, expected, "{profile}");
        assert!(note.packets.iter().all(|packet| packet[0] == expected));
    }
}

#[test]
fn packets_come_while_somebody_speaks_and_are_the_same_as_afterwards() {
    let whole = encode(&VOICE, Profile::Default).unwrap();
    let mut encoder = Encoder::new(Profile::Default).unwrap();
    let mut packets = Vec::new();
    for (n, piece) in VOICE.samples.chunks(1_001).enumerate() {
        packets.extend(encoder.push(piece).unwrap());
        let complete = (n * 1_001 + piece.len()) / FRAME_SAMPLES;
        assert_eq!(packets.len(), complete, "a packet leaves as soon as its 60 ms are there");
    }
    let end = encoder.finish().unwrap();
    packets.extend(end.packets);
    assert_eq!(packets, whole.packets);
    assert_eq!((end.toc, end.samples_48k), (whole.toc, whole.samples_48k));
}

#[test]
fn the_last_word_is_not_cut_off() {
    // A burst in the very last 10 ms of a recording that fills its frames exactly: only the flush carries it.
    let mut samples = vec![0.0; FRAME_SAMPLES * 20];
    let start = samples.len() - 480;
    for (n, sample) in samples[start..].iter_mut().enumerate() {
        *sample = 0.8 * (n as f32 * 0.06).sin();
    }
    let note = encode(&Pcm::new(samples), Profile::Default).unwrap();
    assert_eq!(note.packets.len(), 21, "one frame more for the codec's delay");
    let sound = decoded(&note).samples;
    let loudest = sound[start..].iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(loudest > 0.2, "{loudest}");
}

#[test]
fn a_prefix_of_a_note_is_played_as_far_as_it_goes() {
    let note = encode(&VOICE, Profile::Default).unwrap();
    let prefix = decode(&note.packets[..50], note.pre_skip, note.samples_48k).unwrap();
    assert_eq!(prefix.samples.len(), 50 * FRAME_SAMPLES - usize::from(PRE_SKIP));
    assert_eq!(prefix.samples, decoded(&note).samples[..prefix.samples.len()]);
}

#[test]
fn nothing_and_more_than_ten_minutes_are_not_encoded() {
    assert_eq!(encode(&Pcm::default(), Profile::Default), Err(EncodeError::Empty));
    let long = Pcm::new(vec![0.0; 600 * 48_000 + 1]);
    assert_eq!(encode(&long, Profile::Emergency), Err(EncodeError::TooLong { got_s: 601, max_s: 600 }));
}

#[test]
fn debug_of_a_note_shows_no_byte_of_it() {
    let note = encode(&Pcm::new(VOICE.samples[..48_000].to_vec()), Profile::Default).unwrap();
    assert_eq!(format!("{note:?}"), "Encoded { profile: Default, toc: 88, packets: 17, samples_48k: 48000, .. }");
}

#[test]
fn an_exported_ogg_has_the_note_to_the_sample_and_names_no_program() {
    for length in [48_000, 48_001, 2_880, 100_000, VOICE.samples.len()] {
        let sound = Pcm::new(VOICE.samples[..length].to_vec());
        let note = encode(&sound, Profile::Default).unwrap();
        let mut file = Vec::new();
        write_ogg_opus(&note, &mut file).unwrap();
        assert!(!String::from_utf8_lossy(&file).to_lowercase().contains("zajil"));
        match import(Cursor::new(&file)) {
            Ok(back) => assert_eq!(back.samples.len(), length),
            // 60 ms are too short to send, and that is all that is wrong with it.
            Err(error) => assert_eq!(
                (length, error.to_string()),
                (2_880, "the recording lasts 60 ms; a note has at least 700 ms".into())
            ),
        }
    }
}

#[test]
fn an_exported_ogg_of_a_prefix_ends_where_the_prefix_ends() {
    let mut note = encode(&VOICE, Profile::Default).unwrap();
    note.packets.truncate(60);
    let mut file = Vec::new();
    write_ogg_opus(&note, &mut file).unwrap();
    assert_eq!(import(Cursor::new(file)).unwrap().samples.len(), 60 * FRAME_SAMPLES - usize::from(PRE_SKIP));
}

#[test]
fn a_damaged_packet_is_named_by_an_export_and_an_empty_note_is_refused() {
    let mut note = encode(&VOICE, Profile::Default).unwrap();
    note.packets[7] = vec![0xff; 1_276];
    let mut file = Vec::new();
    assert!(matches!(write_ogg_opus(&note, &mut file), Err(ExportError::Packet { index: 7, .. })));
    note.packets.clear();
    assert!(matches!(write_ogg_opus(&note, &mut file), Err(ExportError::Empty)));
    assert!(matches!(write_wav(&Pcm::default(), Cursor::new(Vec::new())), Err(ExportError::Empty)));
}

#[test]
fn an_exported_wav_is_the_same_sound_in_sixteen_bits() {
    let mut file = Cursor::new(Vec::new());
    write_wav(&VOICE, &mut file).unwrap();
    assert_eq!(file.get_ref().len(), 44 + 2 * VOICE.samples.len());
    let back = import(Cursor::new(file.into_inner())).unwrap();
    assert_eq!(back.samples.len(), VOICE.samples.len());
    let worst = VOICE.samples.iter().zip(&back.samples).map(|(a, b)| (a - b).abs()).fold(0.0_f32, f32::max);
    assert!(worst < 1e-4, "{worst}");
}

/// Sound that no voice makes: noise, full-scale squares, silence, single samples, no numbers at all.
fn strange_sound() -> impl Strategy<Value = Vec<f32>> {
    let piece = prop_oneof![
        (1..6_000_usize).prop_map(|length| vec![0.0; length]),
        proptest::collection::vec(-1.0..1.0_f32, 1..6_000),
        (1..6_000_usize, 1..200_usize).prop_map(|(length, period)| (0..length)
            .map(|n| if n % period * 2 < period { 1.0 } else { -1.0 })
            .collect()),
        proptest::collection::vec(any::<f32>(), 1..3_000),
    ];
    proptest::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn any_sound_keeps_one_toc_byte_and_its_exact_length(samples in strange_sound(), profile in 0..5_usize) {
        let note = encode(&Pcm::new(samples.clone()), Profile::ALL[profile]).unwrap();
        prop_assert!(note.packets.iter().all(|packet| packet[0] == note.toc && packet.len() <= 1_275));
        let sound = decoded(&note);
        prop_assert_eq!(sound.samples.len(), samples.len());
        prop_assert!(sound.samples.iter().all(|sample| sample.abs() <= 1.0));
    }
}
