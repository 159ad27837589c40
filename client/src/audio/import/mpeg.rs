//! Streams without a container: MP3 and ADTS AAC, found and measured by the headers of their frames.

use std::io;

use crate::audio::import::container::{Container, Verdict, Walk};
use crate::limits::{ID3_TAGS_MAX, STREAM_SEARCH_BYTES_MAX};

/// Frames that must follow one another before bytes count as a stream: in random bytes two do by chance, three do not.
const FRAMES_TO_BELIEVE: u32 = 3;

/// Kilobits per second of MPEG-1 layer III, by index.
const BITRATES_MPEG1: [u32; 15] = [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320];

/// Kilobits per second of MPEG-2 and 2.5 layer III, by index.
const BITRATES_MPEG2: [u32; 15] = [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160];

/// Where the file begins behind its ID3v2 tags.
pub(super) fn skip_id3(walk: &mut Walk<'_>) -> io::Result<u64> {
    let mut position = 0;
    for _ in 0..ID3_TAGS_MAX {
        let Some([b'I', b'D', b'3', _, _, flags, a, b, c, d]) = walk.bytes::<10>(position)? else {
            break;
        };
        // Four times seven bits.
        let size = [a, b, c, d].into_iter().fold(0, |size, byte| (size << 7) | u64::from(byte & 0x7f));
        let footer = if flags & 0x10 == 0 { 0 } else { 10 };
        position += 10 + size + footer;
    }
    Ok(position)
}

/// Looks for a stream of frames near `start`; says which kind and where its first frame is.
pub(super) fn find_stream(walk: &mut Walk<'_>, start: u64) -> io::Result<Option<(Container, u64)>> {
    let mut near =
        vec![0; usize::try_from(walk.length.saturating_sub(start)).unwrap_or(usize::MAX).min(STREAM_SEARCH_BYTES_MAX)];
    if !walk.fill(start, &mut near)? {
        return Ok(None);
    }
    for (at, pair) in (start..).zip(near.windows(2)) {
        if !matches!(pair, [0xff, 0xe0..=0xff]) {
            continue;
        }
        if is_stream(walk, at, mp3_frame)? {
            return Ok(Some((Container::Mp3, at)));
        }
        if is_stream(walk, at, adts_frame)? {
            return Ok(Some((Container::Adts, at)));
        }
    }
    Ok(None)
}

/// Measures a frame by its first bytes.
type FrameLength = fn([u8; 7]) -> Option<u64>;

/// Whether frames follow one another from `position` on: three, or fewer that end exactly with the file.
fn is_stream(walk: &mut Walk<'_>, position: u64, length: FrameLength) -> io::Result<bool> {
    let mut at = position;
    for _ in 0..FRAMES_TO_BELIEVE {
        match walk.bytes(at)?.and_then(length) {
            Some(length) => at += length,
            None => return Ok(at > position && at == walk.length),
        }
    }
    Ok(true)
}

/// Bytes of an MP3 frame with this header.
fn mp3_frame([sync, version, rates, ..]: [u8; 7]) -> Option<u64> {
    let layer_three = version & 0x06 == 0x02;
    if sync != 0xff || version & 0xe0 != 0xe0 || !layer_three {
        return None;
    }
    let (bitrates, divisor, samples_per_bit) = match version & 0x18 {
        0x18 => (BITRATES_MPEG1, 1, 144_000),
        0x10 => (BITRATES_MPEG2, 2, 72_000),
        0x00 => (BITRATES_MPEG2, 4, 72_000),
        _ => return None,
    };
    let bitrate = *bitrates.get(usize::from(rates >> 4)).filter(|rate| **rate > 0)?;
    let rate = [44_100, 48_000, 32_000].get(usize::from((rates >> 2) & 3))? / divisor;
    let padding = u32::from((rates >> 1) & 1);
    Some(u64::from(samples_per_bit * bitrate / rate + padding))
}

/// Bytes of an ADTS frame with this header (ISO/IEC 13818-7 §6.2).
fn adts_frame([sync, version, rate, high, middle, low, _]: [u8; 7]) -> Option<u64> {
    if sync != 0xff || version & 0xf6 != 0xf0 || (rate >> 2) & 0x0f > 12 {
        return None;
    }
    let length = u64::from(high & 3) << 11 | u64::from(middle) << 3 | u64::from(low >> 5);
    (length > 7).then_some(length)
}

/// Whether the last ADTS frame is there whole.
pub(super) fn examine_adts(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    examine(walk, start, adts_frame)
}

/// Whether the last MP3 frame is there whole.
pub(super) fn examine_mp3(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    examine(walk, start, mp3_frame)
}

/// Follows the frames. What comes behind the last one and is no frame (ID3v1, APE tags) says nothing about the sound.
fn examine(walk: &mut Walk<'_>, start: u64, length: FrameLength) -> io::Result<Verdict> {
    let mut at = start;
    while let Some(header) = walk.bytes(at)? {
        match length(header) {
            Some(length) => at += length,
            None => return Ok(Verdict::Whole),
        }
    }
    if at > walk.length {
        return Ok(Verdict::Cut);
    }
    // The first bytes of one more header, or nothing.
    let another = walk.bytes(at)? == Some([0xff]);
    Ok(if another { Verdict::Cut } else { Verdict::Whole })
}
