//! What people say: recordings that tell by themselves which note of the plan they are.

use zajil_client::audio::decode::{Decoder, check_packet};
use zajil_client::engine::api::Voice;

use crate::chance::Chance;

/// The profile of 12 kbit/s (P4.5).
const CODEC: u8 = 4;
/// SILK, wideband, 60 ms, one frame (RFC 6716 §3.1).
const TOC: u8 = 0x5c;
/// One packet's length, milliseconds.
const PACKET_MILLIS: u32 = 60;
/// Bytes of one packet at 12 kbit/s: 88 on average, as speech varies.
const PACKET_BYTES: std::ops::Range<u64> = 58..119;
/// What stands before the serial in a note's first packet.
const SIGN: &[u8] = b"note";
/// What stands before the serial in a word: words that no program has of itself.
const WORD: &str = "we are well, day ";
/// Packets that are decoded of what was heard: the decoder's state is settled by then, and thousands of notes are heard.
const DECODED_PACKETS: usize = 4;

/// Speaks a note: the same for the same seed, serial and length.
pub(super) fn voice(seed: u64, serial: u32, seconds: u32) -> Voice {
    let mut chance = Chance::new(seed ^ (u64::from(serial) << 32) ^ 0x5eec_4a11);
    let count = (seconds * 1_000).div_ceil(PACKET_MILLIS);
    let mut packets: Vec<Vec<u8>> = Vec::new();
    for _ in 0..count {
        let bytes = PACKET_BYTES.start + chance.below(PACKET_BYTES.end - PACKET_BYTES.start);
        let mut packet = Vec::new();
        while packet.len() < usize::try_from(bytes).expect("a packet is small") {
            packet.extend_from_slice(&chance.draw().to_be_bytes());
        }
        packet.truncate(usize::try_from(bytes).expect("a packet is small"));
        packets.push(packet);
    }
    if let Some(first) = packets.first_mut() {
        first[..4].copy_from_slice(SIGN);
        first[4..8].copy_from_slice(&serial.to_be_bytes());
    }
    let waveform = std::array::from_fn(|_| chance.draw().to_be_bytes()[0]);
    Voice {
        codec: CODEC,
        toc: TOC,
        packets,
        duration_millis: count * PACKET_MILLIS,
        loudness: 19,
        waveform,
        complete: true,
    }
}

/// Tells by its sound which note it is, if the beginning is here.
pub(super) fn serial(voice: &Voice) -> Option<u32> {
    let number = voice.packets.first()?.strip_prefix(SIGN)?.get(..4)?;
    Some(u32::from_be_bytes(number.try_into().ok()?))
}

/// Writes a last word that says which of the plan it is.
pub(super) fn word(serial: u32) -> String {
    format!("{WORD}{serial}")
}

/// Tells which word of the plan a text is.
pub(super) fn word_serial(text: &str) -> Option<u32> {
    text.strip_prefix(WORD)?.parse().ok()
}

/// Says whether the beginning of a recording becomes sound of the right length.
pub(super) fn decodes(voice: &Voice) -> bool {
    let Ok(mut decoder) = Decoder::new() else { return false };
    let samples_each = usize::try_from(PACKET_MILLIS * 48).expect("it is small");
    voice.packets.iter().take(DECODED_PACKETS).all(|body| {
        let packet: Vec<u8> = std::iter::once(voice.toc).chain(body.iter().copied()).collect();
        check_packet(&packet).is_ok() && decoder.packet(&packet).is_ok_and(|sound| sound.len() == samples_each)
    })
}
