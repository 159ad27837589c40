//! The notes that are sent.

use std::io::Cursor;
use std::sync::OnceLock;

use zajil_client::audio::encode::encode;
use zajil_client::audio::import::import;
use zajil_client::audio::level::{Waveform, loudness};
use zajil_client::audio::profile::Profile;
use zajil_client::audio::{Pcm, SAMPLE_RATE};
use zajil_client::engine::api::Voice;

use crate::chance::Chance;

/// Bytes of sound in the note with which the figures of others are measured.
pub const NOTE_BYTES: u64 = 30_000;
/// Bytes of one packet of it: 60 ms at 8 kbit/s.
pub(crate) const PACKET_BYTES: usize = 60;
/// Length of the note that a person has spoken.
const SPEECH_SECONDS: usize = 15;
/// What the person said.
const SPEECH: &[u8] = include_bytes!("../../../client/assets/voices/jfk.wav");

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// [`NOTE_BYTES`] that no coder could make shorter.
    Random,
    /// A quarter of a minute of a person's voice, as the default profile codes it.
    Speech,
}

impl Note {
    /// Returns how many bytes of sound are in it.
    pub fn bytes(self) -> u64 {
        match self {
            Self::Random => NOTE_BYTES,
            Self::Speech => {
                let bytes: usize = speech().packets.iter().map(Vec::len).sum();
                u64::try_from(bytes).expect("it is small")
            }
        }
    }

    /// Returns how many there are once it is sealed: header, marks and padded body.
    pub(crate) const fn sealed_bytes(self) -> u64 {
        match self {
            Self::Random => 32_172,
            Self::Speech => 23_911,
        }
    }

    /// Returns it in the form the engine takes.
    pub(crate) fn voice(self, chance: &mut Chance) -> Voice {
        match self {
            Self::Random => random(chance),
            Self::Speech => speech().clone(),
        }
    }
}

fn random(chance: &mut Chance) -> Voice {
    let mut packet = |_| (0..PACKET_BYTES).map(|_| chance.draw().to_be_bytes()[0]).collect();
    let count = usize::try_from(NOTE_BYTES).expect("it is small") / PACKET_BYTES;
    Voice {
        codec: 4,
        toc: 0x5c,
        packets: (0..count).map(&mut packet).collect(),
        duration_millis: 30_000,
        loudness: 19,
        waveform: [0; 24],
        complete: true,
    }
}

fn speech() -> &'static Voice {
    static SPOKEN: OnceLock<Voice> = OnceLock::new();
    SPOKEN.get_or_init(|| {
        let once = import(Cursor::new(SPEECH)).expect("the recording is sound");
        let length = SPEECH_SECONDS * usize::try_from(SAMPLE_RATE).expect("it is small");
        let pcm = Pcm::new(once.samples.iter().copied().cycle().take(length).collect());
        let coded = encode(&pcm, Profile::Default).expect("speech can be coded");
        Voice {
            codec: coded.profile.code(),
            toc: coded.toc,
            packets: coded.packets.iter().map(|packet| packet[1..].to_vec()).collect(),
            duration_millis: coded.duration_ms(),
            loudness: loudness(&pcm),
            waveform: Waveform::of(&pcm).pack(),
            complete: true,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_a_minute_of_speech_has_the_bytes_of_its_profile() {
        let bytes = Note::Speech.bytes();
        // 12 kbit/s, as variable as speech is.
        assert!((18_000..26_000).contains(&bytes), "{bytes}");
        assert!(Note::Speech.voice(&mut Chance::new(1)).duration_millis.abs_diff(15_000) < 100);
    }
}
