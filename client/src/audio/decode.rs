//! From Opus packets to sound: whole notes and packet by packet, safe on packets that a stranger made.

use opus::{Channels, SoftClip};
use thiserror::Error;

use crate::audio::encode::FRAME_SAMPLES;
use crate::audio::ffi::{OpusCode, RawDecoder, Setting};
use crate::audio::{Pcm, SAMPLE_RATE};
use crate::limits::{NOTE_SAMPLES_MAX, NOTE_SECONDS_MAX, OPUS_PACKET_BYTES_MAX, OPUS_PACKET_SAMPLES_MAX};

/// Complexity of the decoder that switches LACE on: clearer speech at 10 kbit/s and less, for no bytes.
///
/// 7 (NoLACE) costs more than twice the work and scored lower in noise.
const LACE: i32 = 6;

/// Why a packet could not become sound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// A packet without any byte.
    #[error("a voice packet is empty")]
    Empty,
    /// More bytes than one Opus packet of this version may have.
    #[error("a voice packet has {got} bytes, more than {max}")]
    TooLarge {
        /// Bytes of the packet.
        got: usize,
        /// Bytes it may have.
        max: usize,
    },
    /// Its inner lengths contradict each other, or it would last longer than 120 ms (RFC 6716 §3.4).
    #[error("a voice packet is malformed")]
    Malformed,
    /// The note says that it is longer than any note may be.
    #[error("the note says it has {got} samples, more than {max_s} s")]
    TooLong {
        /// Samples at 48 kHz that it claims.
        got: u64,
        /// Seconds a note may last.
        max_s: u32,
    },
    /// libopus refused a packet that had passed the checks, or could not be set up.
    #[error("the voice decoder failed with code {code}")]
    Library {
        /// libopus's own code, negative.
        code: i32,
    },
}

impl From<OpusCode> for DecodeError {
    fn from(code: OpusCode) -> Self {
        Self::Library { code: code.0 }
    }
}

/// Decodes the packets of one note in order, with the enhancements that cost no bytes.
///
/// LACE (from 9 kbit/s down it is the difference between tiring and easy listening) and the bandwidth extension act on
/// wideband speech only; narrowband notes pass unchanged. Keeps state between packets: one decoder per note. For a
/// start in the middle, decode two packets before it and drop their sound.
#[derive(Debug)]
pub struct Decoder {
    raw: RawDecoder,
    clip: SoftClip,
    last_samples: usize,
}

impl Decoder {
    /// Sets up a decoder.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Library`] if there is no memory for it (about 200 kB).
    pub fn new() -> Result<Self, DecodeError> {
        let mut raw = RawDecoder::new()?;
        raw.set(Setting::Complexity, LACE)?;
        raw.set(Setting::BandwidthExtension, 1)?;
        Ok(Self { raw, clip: SoftClip::new(Channels::Mono), last_samples: FRAME_SAMPLES })
    }

    /// Decodes the next packet, TOC byte first, into 48 kHz samples within ±1.0; at most 5 760 of them (120 ms).
    ///
    /// The first 312 samples of a note are the codec's own delay and are not cut off here.
    ///
    /// # Errors
    ///
    /// The packet is refused as [`check_packet`] says. The decoder stays usable: [`Decoder::conceal`] fills the gap.
    pub fn packet(&mut self, packet: &[u8]) -> Result<Vec<f32>, DecodeError> {
        let samples = check_packet(packet)?;
        let sound = self.run(Some(packet), samples)?;
        self.last_samples = samples;
        Ok(sound)
    }

    /// Sound in place of a packet that is missing, as long as the packet before it (60 ms at the start).
    ///
    /// # Errors
    ///
    /// [`DecodeError::Library`], which a sound decoder does not give.
    pub fn conceal(&mut self) -> Result<Vec<f32>, DecodeError> {
        self.run(None, self.last_samples)
    }

    fn run(&mut self, packet: Option<&[u8]>, samples: usize) -> Result<Vec<f32>, DecodeError> {
        let mut sound = vec![0.0; samples];
        let got = self.raw.decode(packet, &mut sound)?;
        sound.truncate(got);
        // Random packets give finite floats beyond ±1.5; a device or a file takes ±1.
        for sample in &mut sound {
            if !sample.is_finite() {
                *sample = 0.0;
            }
        }
        self.clip.apply(&mut sound);
        for sample in &mut sound {
            *sample = sample.clamp(-1.0, 1.0);
        }
        Ok(sound)
    }
}

/// Samples at 48 kHz that a packet holds, 120 to 5 760, if it may be decoded at all.
///
/// # Errors
///
/// [`DecodeError::Empty`], [`DecodeError::TooLarge`] or [`DecodeError::Malformed`].
pub fn check_packet(packet: &[u8]) -> Result<usize, DecodeError> {
    if packet.is_empty() {
        return Err(DecodeError::Empty);
    }
    if packet.len() > OPUS_PACKET_BYTES_MAX {
        return Err(DecodeError::TooLarge { got: packet.len(), max: OPUS_PACKET_BYTES_MAX });
    }
    opus::packet::parse(packet).map_err(|_| DecodeError::Malformed)?;
    match opus::packet::get_nb_samples(packet, SAMPLE_RATE) {
        Ok(samples) if (1..=OPUS_PACKET_SAMPLES_MAX).contains(&samples) => Ok(samples),
        _ => Err(DecodeError::Malformed),
    }
}

/// Decodes a note: skips the codec's delay of `pre_skip` samples and stops after exactly `samples_48k`.
///
/// A prefix of a note gives what it holds, which is then less than `samples_48k`.
///
/// # Errors
///
/// The first packet that is refused ends it, as does a length above ten minutes. Who wants to hear the rest anyway
/// drives a [`Decoder`] and conceals.
pub fn decode<P: AsRef<[u8]>>(packets: &[P], pre_skip: u16, samples_48k: u64) -> Result<Pcm, DecodeError> {
    if samples_48k > NOTE_SAMPLES_MAX {
        return Err(DecodeError::TooLong { got: samples_48k, max_s: NOTE_SECONDS_MAX });
    }
    let wanted = usize::try_from(samples_48k).unwrap_or(usize::MAX);
    let mut decoder = Decoder::new()?;
    let mut skip = usize::from(pre_skip);
    let mut samples = Vec::new();
    for packet in packets {
        if samples.len() >= wanted {
            break;
        }
        let sound = decoder.packet(packet.as_ref())?;
        let skipped = skip.min(sound.len());
        skip -= skipped;
        samples.extend(sound.into_iter().skip(skipped));
    }
    samples.truncate(wanted);
    Ok(Pcm { samples })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn impossible_packets_are_named_before_the_library_sees_them() {
        assert_eq!(check_packet(&[]), Err(DecodeError::Empty));
        assert_eq!(check_packet(&[0; 1_276]), Err(DecodeError::TooLarge { got: 1_276, max: 1_275 }));
        // Code 3 with 48 frames of 60 ms: 2.88 s.
        assert_eq!(check_packet(&[0x1b, 48, 0, 0]), Err(DecodeError::Malformed));
        // Code 1 needs an even number of bytes after the TOC.
        assert_eq!(check_packet(&[0x01, 0, 0, 0]), Err(DecodeError::Malformed));
    }

    #[test]
    fn a_note_that_claims_an_hour_is_refused_before_any_work() {
        let packets: [&[u8]; 0] = [];
        let got = 3_600 * u64::from(SAMPLE_RATE);
        assert_eq!(decode(&packets, 312, got), Err(DecodeError::TooLong { got, max_s: 600 }));
    }

    #[test]
    fn a_missing_packet_is_concealed_with_its_own_length() {
        let mut decoder = Decoder::new().unwrap();
        assert_eq!(decoder.conceal().unwrap().len(), 2_880);
        let ten_milliseconds = [0x00, 0x10, 0x20, 0x30];
        assert_eq!(decoder.packet(&ten_milliseconds).unwrap().len(), 480);
        assert_eq!(decoder.conceal().unwrap().len(), 480);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn random_packets_never_panic_and_never_leave_full_scale(
            packets in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..12)
        ) {
            let mut decoder = Decoder::new().unwrap();
            for packet in &packets {
                let sound = match decoder.packet(packet) {
                    Ok(sound) => sound,
                    Err(_) => decoder.conceal().unwrap(),
                };
                prop_assert!(sound.len() <= 5_760);
                prop_assert!(sound.iter().all(|sample| sample.abs() <= 1.0), "NaN fails this too");
            }
        }

        #[test]
        fn random_bytes_behind_our_own_toc_bytes_never_panic(
            toc in prop_oneof![Just(0x18_u8), Just(0x58_u8)],
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..160), 1..12)
        ) {
            let mut decoder = Decoder::new().unwrap();
            for body in &bodies {
                let packet: Vec<u8> = std::iter::once(toc).chain(body.iter().copied()).collect();
                let sound = decoder.packet(&packet).unwrap();
                prop_assert_eq!(sound.len(), 2_880);
                prop_assert!(sound.iter().all(|sample| sample.abs() <= 1.0));
            }
        }
    }
}
