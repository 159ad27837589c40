//! The two containers that nest: MP4 (with 3GP and QuickTime) and Matroska (with WebM).

use std::io;

use crate::audio::import::container::{Verdict, Walk};

/// One box of an MP4 file.
#[derive(Debug, Clone, Copy)]
struct Mp4Box {
    kind: [u8; 4],
    /// Where its content begins.
    body: u64,
    /// Where it ends; beyond the file if the file is cut.
    end: u64,
}

/// Walks an MP4 file: an index (`moov`) must be there, and no box of sound or index may reach beyond the file.
pub(super) fn mp4(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    let mut position = start;
    let mut index = None;
    while let Some(found) = mp4_box(walk, position, walk.length)? {
        if found.end > walk.length {
            // Anything else that overruns is rubbish behind the end, as some phones leave it.
            if matches!(&found.kind, b"moov" | b"mdat" | b"moof") {
                return Ok(Verdict::Cut);
            }
            break;
        }
        if found.kind == *b"moov" {
            index = Some(found);
        }
        position = found.end;
    }
    let Some(index) = index else { return Ok(Verdict::Cut) };
    let (mut amr, mut other) = (false, false);
    tracks(walk, index, &mut |codec| match codec {
        b"samr" | b"sawb" | b"sawp" => amr = true,
        b"mp4a" | b"alac" | b"Opus" | b"fLaC" => other = true,
        _ => {}
    })?;
    Ok(if amr && !other { Verdict::Amr } else { Verdict::Whole })
}

/// The box at `position`, which must have room for its header before `limit`.
fn mp4_box(walk: &mut Walk<'_>, position: u64, limit: u64) -> io::Result<Option<Mp4Box>> {
    if position.saturating_add(8) > limit {
        return Ok(None);
    }
    let Some([size @ .., _, _, _, _]) = walk.bytes::<8>(position)? else {
        return Ok(None);
    };
    let Some(kind) = walk.bytes::<4>(position + 4)? else {
        return Ok(None);
    };
    let (header, size) = match u32::from_be_bytes(size) {
        0 => (8, limit - position),
        1 => match walk.bytes::<8>(position + 8)?.map(u64::from_be_bytes) {
            Some(size) => (16, size),
            None => return Ok(None),
        },
        size => (8, u64::from(size)),
    };
    if size < header {
        return Ok(None);
    }
    Ok(Some(Mp4Box {
        kind,
        body: position + header,
        end: position.saturating_add(size),
    }))
}

/// Tells `seen` the codec of every track in the index.
fn tracks(walk: &mut Walk<'_>, index: Mp4Box, seen: &mut dyn FnMut(&[u8; 4])) -> io::Result<()> {
    let mut position = index.body;
    while let Some(track) = mp4_box(walk, position, index.end)? {
        if track.kind == *b"trak"
            && let Some(table) = descend(walk, track, &[*b"mdia", *b"minf", *b"stbl", *b"stsd"])?
            // Version, flags and count of entries stand before the first entry.
            && let Some(entry) = mp4_box(walk, table.body + 8, table.end)?
        {
            seen(&entry.kind);
        }
        position = track.end;
    }
    Ok(())
}

/// Goes down a path of boxes, one of each kind per level.
fn descend(walk: &mut Walk<'_>, from: Mp4Box, path: &[[u8; 4]]) -> io::Result<Option<Mp4Box>> {
    let mut inside = from;
    for kind in path {
        let mut position = inside.body;
        inside = loop {
            match mp4_box(walk, position, inside.end)? {
                Some(found) if found.kind == *kind => break found,
                Some(found) => position = found.end,
                None => return Ok(None),
            }
        };
    }
    Ok(Some(inside))
}

/// Matroska's two elements that hold others and may be of unknown size.
const SEGMENT: u64 = 0x1853_8067;
const CLUSTER: u64 = 0x1f43_b675;

/// Walks a Matroska or WebM file down to its blocks.
///
/// Recorders in browsers write segments and clusters of unknown size; then only a cut block shows that the end is
/// missing. Those of known size must be there whole.
pub(super) fn matroska(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    let mut position = start;
    let mut end = walk.length;
    while position < end {
        let Some((id, after_id)) = vint(walk, position, false)? else {
            return Ok(Verdict::Cut);
        };
        let Some((size, body)) = vint(walk, after_id, true)? else {
            return Ok(Verdict::Cut);
        };
        position = match (id, size) {
            (_, Some(size)) if body.saturating_add(size) > walk.length => return Ok(Verdict::Cut),
            (Some(SEGMENT), size) => {
                end = size.map_or(walk.length, |size| body + size);
                body
            }
            (Some(CLUSTER), _) => body,
            (Some(_), Some(size)) => body + size,
            (None, _) | (_, None) => return Ok(Verdict::Damaged),
        };
    }
    Ok(Verdict::Whole)
}

/// A number of variable length at `position` (RFC 8794 §4) and where it ends; outside `None` if the file ends before.
///
/// The marker bit stays in an id and is taken from a size. Inside `None` is an unknown size or an invalid first byte.
fn vint(walk: &mut Walk<'_>, position: u64, is_size: bool) -> io::Result<Option<(Option<u64>, u64)>> {
    let Some([first]) = walk.bytes::<1>(position)? else {
        return Ok(None);
    };
    let extra = first.leading_zeros();
    if extra > 7 {
        return Ok(Some((None, position + 1)));
    }
    let mut value = u64::from(first);
    if is_size {
        value &= (1 << (7 - extra)) - 1;
    }
    let mut at = position + 1;
    for _ in 0..extra {
        let Some([byte]) = walk.bytes::<1>(at)? else {
            return Ok(None);
        };
        value = (value << 8) | u64::from(byte);
        at += 1;
    }
    let unknown = is_size && value == (1 << (7 * (extra + 1))) - 1;
    Ok(Some(((!unknown).then_some(value), at)))
}
