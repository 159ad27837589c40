//! Sound leaves as a file that any player opens: WAV, or Ogg Opus without coding it again.

use std::io::{self, Seek, Write};

use ogg::{PacketWriteEndInfo, PacketWriter};
use thiserror::Error;

use crate::audio::decode::{DecodeError, check_packet};
use crate::audio::encode::Encoded;
use crate::audio::{Pcm, SAMPLE_RATE};

/// Packets on one Ogg page: 1.02 s, near what other encoders do. Fewer cost bytes, more make seeking coarse.
const PACKETS_PER_PAGE: usize = 17;

/// Serial number of the one stream in our files. Any number is allowed; a fixed one says nothing about when and where
/// the file was made.
const SERIAL: u32 = 1;

/// Why a file could not be written.
#[derive(Debug, Error)]
pub enum ExportError {
    /// There is no sound to write.
    #[error("there is nothing to export")]
    Empty,
    /// A packet of the note is not Opus.
    #[error("packet {index} of the note is damaged: {source}")]
    Packet {
        /// Its place in the note, from 0.
        index: usize,
        /// What is wrong with it.
        source: DecodeError,
    },
    /// The destination refused.
    #[error("could not write: {0}")]
    Io(#[from] io::Error),
}

/// Writes a WAV file: mono, 16 bit, 48 kHz.
///
/// # Errors
///
/// [`ExportError::Empty`] without samples, [`ExportError::Io`] if the destination refuses.
pub fn write_wav<W: Write + Seek>(pcm: &Pcm, destination: W) -> Result<(), ExportError> {
    if pcm.samples.is_empty() {
        return Err(ExportError::Empty);
    }
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: SAMPLE_RATE,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::new(destination, spec).map_err(wav_error)?;
    for sample in &pcm.samples {
        writer.write_sample(to_i16(*sample)).map_err(wav_error)?;
    }
    writer.finalize().map_err(wav_error)
}

/// Writes an Ogg Opus file (RFC 7845) from the packets as they are.
///
/// Sample exact: who decodes it gets `samples_48k` samples, or all there are if the note is only a prefix. The tags
/// carry the codec's name and nothing else, so the file does not say which program it came from.
///
/// # Errors
///
/// [`ExportError::Empty`] without packets, [`ExportError::Packet`] if one is not Opus, [`ExportError::Io`].
pub fn write_ogg_opus<W: Write>(note: &Encoded, destination: W) -> Result<(), ExportError> {
    let end = u64::from(note.pre_skip).saturating_add(note.samples_48k);
    // Positions after each packet, up to the one that holds the end. What follows it would be cut off by any player.
    let mut positions = Vec::with_capacity(note.packets.len());
    let mut position = 0_u64;
    for (index, packet) in note.packets.iter().enumerate() {
        if position >= end {
            break;
        }
        let samples = check_packet(packet).map_err(|source| ExportError::Packet { index, source })?;
        position = position.saturating_add(u64::try_from(samples).unwrap_or(u64::MAX));
        positions.push(position.min(end));
    }
    if position <= u64::from(note.pre_skip) {
        return Err(ExportError::Empty);
    }
    let mut writer = PacketWriter::new(destination);
    writer.write_packet(identification(note.pre_skip), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
    writer.write_packet(tags(), SERIAL, PacketWriteEndInfo::EndPage, 0)?;
    let last = positions.len().saturating_sub(1);
    for (index, (packet, position)) in note.packets.iter().zip(positions).enumerate() {
        let page = if index == last {
            PacketWriteEndInfo::EndStream
        } else if (index + 1).is_multiple_of(PACKETS_PER_PAGE) {
            PacketWriteEndInfo::EndPage
        } else {
            PacketWriteEndInfo::NormalPacket
        };
        writer.write_packet(packet.as_slice(), SERIAL, page, position)?;
    }
    writer.into_inner().flush()?;
    Ok(())
}

/// The identification header of RFC 7845 §5.1.
fn identification(pre_skip: u16) -> Vec<u8> {
    let mut header = b"OpusHead".to_vec();
    header.push(1); // version
    header.push(1); // channels
    header.extend(pre_skip.to_le_bytes());
    header.extend(SAMPLE_RATE.to_le_bytes());
    header.extend(0_i16.to_le_bytes()); // gain
    header.push(0); // channel mapping: mono or stereo
    header
}

/// The comment header of RFC 7845 §5.2, with the codec as vendor as most encoders have it, and no comment.
fn tags() -> Vec<u8> {
    let vendor = opus::version();
    let mut header = b"OpusTags".to_vec();
    header.extend(u32::try_from(vendor.len()).unwrap_or_default().to_le_bytes());
    header.extend(vendor.bytes());
    header.extend(0_u32.to_le_bytes());
    header
}

/// The nearest 16-bit value; beyond full scale is limited, what is no number becomes silence.
fn to_i16(sample: f32) -> i16 {
    #[expect(clippy::cast_possible_truncation, reason = "limited to the range of i16 before; NaN becomes 0")]
    let value = (sample.clamp(-1.0, 1.0) * f32::from(i16::MAX)).round() as i16;
    value
}

/// hound mixes destination errors with errors about the format, and the format here is fixed.
fn wav_error(error: hound::Error) -> ExportError {
    match error {
        hound::Error::IoError(error) => ExportError::Io(error),
        other => ExportError::Io(io::Error::other(other)),
    }
}
