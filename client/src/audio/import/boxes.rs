//! The two containers that nest: MP4 (with 3GP and QuickTime) and Matroska (with WebM).

use std::io;

use crate::audio::import::container::{Verdict, Walk};

/// A position or a size beyond this (4 TB) is in no file, and positions near 2⁶³ make symphonia's reader panic.
pub(super) const FAR: u64 = 1 << 42;

/// Boxes that hold boxes on the way to what is looked at, and no deeper.
const MP4_DEPTH: u32 = 6;

/// One box of an MP4 file.
#[derive(Debug, Clone, Copy)]
struct Mp4Box {
    kind: [u8; 4],
    /// Where it begins.
    start: u64,
    /// Where its content begins.
    body: u64,
    /// Where it ends; beyond the file if the file is cut.
    end: u64,
}

/// What was seen inside the boxes.
#[derive(Debug, Default)]
struct Mp4Found {
    index: bool,
    fragment: bool,
    amr: bool,
    other_sound: bool,
    /// Tracks, and defaults for tracks in fragments.
    tracks: u32,
    defaults: u32,
    /// A position or count that cannot be true.
    absurd: bool,
}

/// Walks an MP4 file: an index (`moov`) must be there, and no box of sound or index may reach beyond the file.
pub(super) fn mp4(walk: &mut Walk<'_>, start: u64) -> io::Result<Verdict> {
    let mut position = start;
    let mut found = Mp4Found::default();
    let mut cut = false;
    while let Some(outer) = mp4_box(walk, position, walk.length)? {
        found.absurd |= outer.end > FAR;
        if outer.end > walk.length {
            // Anything else that overruns is rubbish behind the end, as some phones leave it.
            cut = matches!(&outer.kind, b"moov" | b"mdat" | b"moof");
            break;
        }
        look_inside(walk, outer, outer.start, MP4_DEPTH, &mut found)?;
        position = outer.end;
    }
    // A header that was begun. Behind a file without fragments it may be rubbish; a fragment would be missed.
    let begun = walk.length.checked_sub(position).is_some_and(|rest| (1..8).contains(&rest));
    Ok(match found {
        Mp4Found { absurd: true, .. } => Verdict::Damaged,
        // symphonia looks the defaults up without asking whether they are there.
        Mp4Found { fragment: true, tracks, defaults, .. } if defaults < tracks => Verdict::Damaged,
        _ if cut => Verdict::Cut,
        Mp4Found { fragment: true, .. } if begun => Verdict::Cut,
        Mp4Found { index: false, .. } => Verdict::Cut,
        Mp4Found { amr: true, other_sound: false, .. } => Verdict::Amr,
        _ => Verdict::Whole,
    })
}

/// The box at `position`, which must have room for its header before `limit`.
fn mp4_box(walk: &mut Walk<'_>, position: u64, limit: u64) -> io::Result<Option<Mp4Box>> {
    if position.saturating_add(8) > limit {
        return Ok(None);
    }
    let Some([size @ .., a, b, c, d]) = walk.bytes::<8>(position)? else { return Ok(None) };
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
    let end = position.saturating_add(size);
    Ok(Some(Mp4Box { kind: [a, b, c, d], start: position, body: position + header, end }))
}

/// Goes through a box and the boxes inside it; `anchor` is where the fragment begins that they belong to.
fn look_inside(walk: &mut Walk<'_>, outer: Mp4Box, anchor: u64, depth: u32, found: &mut Mp4Found) -> io::Result<()> {
    match &outer.kind {
        b"moov" => found.index = true,
        b"moof" => found.fragment = true,
        b"trak" => found.tracks += 1,
        b"mvex" | b"mdia" | b"minf" | b"stbl" | b"traf" => {}
        _ => return look_at_leaf(walk, outer, anchor, found),
    }
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let mut position = outer.body;
    while let Some(inner) = mp4_box(walk, position, outer.end)? {
        found.absurd |= inner.end > FAR;
        look_inside(walk, inner, anchor, depth, found)?;
        position = inner.end;
    }
    Ok(())
}

/// Looks at a box that holds values: which codec a track has, and whether what is said of positions can be true.
fn look_at_leaf(walk: &mut Walk<'_>, leaf: Mp4Box, anchor: u64, found: &mut Mp4Found) -> io::Result<()> {
    // Where there is one, version and flags come first, then a count.
    let values = leaf.body + 8;
    match &leaf.kind {
        b"stsd" => {
            if let Some(entry) = mp4_box(walk, values, leaf.end)? {
                found.amr |= matches!(&entry.kind, b"samr" | b"sawb" | b"sawp");
                found.other_sound |= matches!(&entry.kind, b"mp4a" | b"alac" | b"Opus" | b"fLaC");
            }
        }
        b"co64" => {
            let count = walk.bytes::<4>(leaf.body + 4)?.map_or(0, u32::from_be_bytes);
            for entry in 0..u64::from(count) {
                match walk.bytes::<8>(values + 8 * entry)?.map(u64::from_be_bytes) {
                    Some(position) if position <= walk.length => {}
                    // Also when the walk became too long: who cannot be checked is not trusted.
                    _ => {
                        found.absurd = true;
                        break;
                    }
                }
            }
        }
        b"tfhd" => {
            let has_base = walk.bytes::<4>(leaf.body)?.is_some_and(|[_, _, _, flags]| flags & 1 == 1);
            if has_base {
                let base = walk.bytes::<8>(values)?.map_or(u64::MAX, u64::from_be_bytes);
                found.absurd |= !(anchor..=walk.length).contains(&base);
            }
        }
        b"trex" => found.defaults += 1,
        b"trun" => found.absurd |= is_absurd_run(walk, leaf, anchor)?,
        _ => {}
    }
    Ok(())
}

/// Whether a row of samples in a fragment says what cannot be true, or what symphonia 0.6.1 stumbles over.
fn is_absurd_run(walk: &mut Walk<'_>, run: Mp4Box, anchor: u64) -> io::Result<bool> {
    let Some(flags) = walk.bytes::<4>(run.body)?.map(u32::from_be_bytes) else { return Ok(true) };
    let Some(count) = walk.bytes::<4>(run.body + 4)?.map(u32::from_be_bytes) else { return Ok(true) };
    // Every sample has a byte at least; and symphonia goes through all of them for each one.
    if u64::from(count) > walk.length {
        return Ok(true);
    }
    let mut at = run.body + 8;
    if flags & 1 != 0 {
        let Some(offset) = walk.bytes::<4>(at)?.map(i32::from_be_bytes) else { return Ok(true) };
        if offset < 0 && u64::from(offset.unsigned_abs()) > anchor {
            return Ok(true);
        }
        at += 4;
    }
    if flags & 4 != 0 {
        // symphonia takes bits 2 and 9 of the first sample's own flags to mean that the table has its duration and size.
        let Some(first) = walk.bytes::<4>(at)?.map(u32::from_be_bytes) else { return Ok(true) };
        return Ok((first & 4 != 0 && flags & 0x100 == 0) || (first & 0x200 != 0 && flags & 0x200 == 0));
    }
    Ok(false)
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
