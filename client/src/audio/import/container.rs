//! What a file is, judged by its first bytes, and whether all of it is there.
//!
//! A decoder is happy with half a file; a person who sends half a note is not told. So the container is walked before
//! anything is decoded. Walking reads headers, keeps nothing, and is bounded in steps.

use std::io::{self, Read, Seek, SeekFrom};

use ogg::reading::PageParser;

use crate::audio::import::boxes::{FAR, matroska, mp4};
use crate::audio::import::mpeg;
use crate::limits::CONTAINER_STEPS_MAX;

/// What is read from: a file, or bytes in memory.
pub(super) trait Source: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> Source for T {}

/// A container that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Wav,
    Aiff,
    Caf,
    Flac,
    Mp3,
    Adts,
    Ogg,
    Mp4,
    Matroska,
}

/// What the first bytes say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// One of ours, beginning `start` bytes into the file (after ID3 tags).
    Known { container: Container, start: u64 },
    /// A bare AMR file.
    Amr,
    /// Sound of a kind that is not decoded here, by its name.
    Unsupported(&'static str),
    /// Nothing known.
    Foreign,
}

/// What the walk through a container found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Everything the container announces is there, or it announces no length.
    Whole,
    /// The file ends before the container does.
    Cut,
    /// A checksum does not fit, or a position is in no file. Not to be decoded.
    Damaged,
    /// An MP4 or 3GP whose only sound is AMR.
    Amr,
}

/// Sizes from here on are what programs write that stream and never learn the size (ffmpeg 2³²−1, SoX 2³¹−2¹⁶ and so).
const STREAMED_SIZE: u64 = 0x7f00_0000;

/// Random access to the headers of a file.
pub(super) struct Walk<'a> {
    source: &'a mut dyn Source,
    /// Bytes in the file.
    pub(super) length: u64,
    steps_left: u32,
}

impl<'a> Walk<'a> {
    /// Prepares a walk through a file of `length` bytes.
    pub(super) fn new(source: &'a mut dyn Source, length: u64) -> Self {
        Self { source, length, steps_left: CONTAINER_STEPS_MAX }
    }

    /// The `N` bytes at `position`; `None` if the file ends before, or the walk has become too long.
    pub(super) fn bytes<const N: usize>(&mut self, position: u64) -> io::Result<Option<[u8; N]>> {
        let mut bytes = [0; N];
        Ok(self.fill(position, &mut bytes)?.then_some(bytes))
    }

    /// Fills `buffer` from `position` on; `false` if the file ends before, or the walk has become too long.
    pub(super) fn fill(&mut self, position: u64, buffer: &mut [u8]) -> io::Result<bool> {
        let Some(left) = self.steps_left.checked_sub(1) else {
            return Ok(false);
        };
        self.steps_left = left;
        let wanted = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        if position.saturating_add(wanted) > self.length {
            return Ok(false);
        }
        self.source.seek(SeekFrom::Start(position))?;
        match self.source.read_exact(buffer) {
            Ok(()) => Ok(true),
            // The file shrank since its length was asked.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether the walk was stopped for its length, so that "the file ends" cannot be told.
    fn exhausted(&self) -> bool {
        self.steps_left == 0
    }
}

/// Judges the first bytes.
pub(super) fn sniff(walk: &mut Walk<'_>) -> io::Result<Kind> {
    let start = mpeg::skip_id3(walk)?;
    let known = |container| Ok(Kind::Known { container, start });
    // Short files are padded: a five-byte `#!AMR` still is what it is.
    let mut head = [0; 12];
    for (at, byte) in (start..).zip(head.iter_mut()) {
        let Some([value]) = walk.bytes(at)? else { break };
        *byte = value;
    }
    match head {
        [b'#', b'!', b'A', b'M', b'R', ..] => Ok(Kind::Amr),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'A', b'V', b'E'] => known(Container::Wav),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F' | b'C'] => known(Container::Aiff),
        [b'c', b'a', b'f', b'f', ..] => known(Container::Caf),
        [b'f', b'L', b'a', b'C', ..] => known(Container::Flac),
        [b'O', b'g', b'g', b'S', ..] => known(Container::Ogg),
        [0x30, 0x26, 0xb2, 0x75, ..] => Ok(Kind::Unsupported("WMA")),
        [b'R', b'F', b'6', b'4', ..] => Ok(Kind::Unsupported("RF64")),
        [b'r', b'i', b'f', b'f', 0x2e, 0x91, ..] => Ok(Kind::Unsupported("Wave64")),
        [b'.', b's', b'n', b'd', ..] => Ok(Kind::Unsupported("AU")),
        [0x0b, 0x77, ..] => Ok(Kind::Unsupported("AC-3")),
        [0x1a, 0x45, 0xdf, 0xa3, ..] => known(Container::Matroska),
        [_, _, _, _, a, b, c, d, ..] if is_mp4_start([a, b, c, d]) => known(Container::Mp4),
        _ => match mpeg::find_stream(walk, start)? {
            Some((container, start)) => Ok(Kind::Known { container, start }),
            None => Ok(Kind::Foreign),
        },
    }
}

/// Box types that MP4, 3GP and QuickTime files begin with.
fn is_mp4_start(kind: [u8; 4]) -> bool {
    matches!(&kind, b"ftyp" | b"styp" | b"moov" | b"mdat" | b"wide" | b"free" | b"skip" | b"pnot")
}

/// Walks the container and says whether all of it is there.
pub(super) fn examine(walk: &mut Walk<'_>, container: Container, start: u64) -> io::Result<Verdict> {
    let verdict = match container {
        Container::Wav => chunks(walk, start + 12, *b"data", u32::from_le_bytes),
        Container::Aiff => chunks(walk, start + 12, *b"SSND", u32::from_be_bytes),
        Container::Caf => caf(walk, start + 8),
        Container::Ogg => ogg(walk, start),
        Container::Mp4 => mp4(walk, start),
        Container::Matroska => matroska(walk, start),
        Container::Adts => mpeg::examine_adts(walk, start),
        Container::Mp3 => mpeg::examine_mp3(walk, start),
        // Says how many samples it has; the count is compared after decoding.
        Container::Flac => Ok(Verdict::Whole),
    }?;
    // A walk that was stopped saw no end, so it cannot say that the end is missing.
    if verdict == Verdict::Cut && walk.exhausted() { Ok(Verdict::Whole) } else { Ok(verdict) }
}

/// RIFF and IFF: chunks of four letters and 32 bits of size, padded to even. Only the chunk with the sound matters.
fn chunks(walk: &mut Walk<'_>, first: u64, sound: [u8; 4], size: fn([u8; 4]) -> u32) -> io::Result<Verdict> {
    let mut position = first;
    while let Some(kind) = walk.bytes::<4>(position)? {
        let Some(size) = walk.bytes::<4>(position + 4)?.map(size).map(u64::from) else {
            break;
        };
        let body = position + 8;
        if kind == sound {
            return Ok(match size {
                STREAMED_SIZE.. => Verdict::Whole,
                // A recorder that was killed never came to write the size.
                0 if walk.length > body => Verdict::Cut,
                // One byte short: some programs count the padding byte and do not write it.
                size if body + size > walk.length + 1 => Verdict::Cut,
                _ => Verdict::Whole,
            });
        }
        position = body + size + (size & 1);
    }
    Ok(Verdict::Cut)
}

/// Core Audio Format: chunks of four letters and 64 bits of size, −1 where the sound reaches to the end of the file.
fn caf(walk: &mut Walk<'_>, first: u64) -> io::Result<Verdict> {
    let mut position = first;
    while let Some(kind) = walk.bytes::<4>(position)? {
        let Some(size) = walk.bytes::<8>(position + 4)?.map(i64::from_be_bytes) else {
            break;
        };
        let body = position + 12;
        let end = match u64::try_from(size) {
            Ok(size) if size <= FAR => body + size,
            Ok(_) => return Ok(Verdict::Damaged),
            Err(_) if size == -1 && kind == *b"data" => return Ok(Verdict::Whole),
            Err(_) => return Ok(Verdict::Damaged),
        };
        if end > walk.length {
            return Ok(Verdict::Cut);
        }
        position = end;
    }
    Ok(if position == walk.length { Verdict::Whole } else { Verdict::Cut })
}

/// Ogg: pages, each with its own length and checksum.
///
/// A last page without the end-of-stream mark is accepted: Android's own writer and Telegram on Android never set it.
/// A file that ends inside a page, or with a packet that wants to go on, is cut.
fn ogg(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    let mut position = start;
    let mut unfinished_packet = false;
    while position < walk.length {
        let Some(header) = walk.bytes::<27>(position)? else {
            return Ok(Verdict::Cut);
        };
        if !header.starts_with(b"OggS") {
            return Ok(Verdict::Damaged);
        }
        let Ok((mut page, segments)) = PageParser::new(header) else {
            return Ok(Verdict::Damaged);
        };
        let mut lacing = vec![0; segments];
        if !walk.fill(position + 27, &mut lacing)? {
            return Ok(Verdict::Cut);
        }
        unfinished_packet = lacing.last() == Some(&255);
        let body_at = position + 27 + lacing.len() as u64;
        let mut body = vec![0; page.parse_segments(lacing)];
        if !walk.fill(body_at, &mut body)? {
            return Ok(Verdict::Cut);
        }
        position = body_at + body.len() as u64;
        if page.parse_packet_data(body).is_err() {
            return Ok(Verdict::Damaged);
        }
    }
    Ok(if unfinished_packet { Verdict::Cut } else { Verdict::Whole })
}
