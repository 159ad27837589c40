//! What sealing costs: at most 6 % of the voice before padding and 11 % after, for notes of 10 s and longer.

use zajil_proto::sealing::padding::{body_length, padded, wire_length};

use crate::support::{Line, Seeded, packets};

/// Bytes of content beside the framed packets: head without roster hash, zero byte and tail.
const AROUND: usize = 82 + 30;
/// Packets of 60 ms in a second, times 3.
const PACKETS_IN_3_SECONDS: usize = 50;
/// 12 kbit/s in packets of 60 ms, with the TOC byte.
const MEAN: usize = 90;

/// Wire length before and after padding, in thousandths of the Opus payload with its TOC bytes.
fn thousandths(payload: usize) -> (usize, usize) {
    // A packet's length takes the byte that its TOC byte leaves.
    let content = AROUND + payload;
    let wire = |content| (wire_length(body_length(content)) * 1_000).div_ceil(payload);
    (wire(content), wire(padded(content)))
}

#[test]
fn sealing_costs_at_most_six_percent_and_padding_at_most_five_more() {
    let mut worst = (0, 0);
    for seconds in 10..=600 {
        let count = seconds * PACKETS_IN_3_SECONDS / 3;
        // Variable bitrate does not hit its mean: two percent either way.
        for payload in (count * MEAN * 98 / 100..=count * MEAN * 102 / 100).step_by(7) {
            let (bare, full) = thousandths(payload);
            assert!(bare <= 1_060, "{seconds} s, {payload} bytes of Opus: {bare} thousandths bare");
            assert!(full <= 1_110, "{seconds} s, {payload} bytes of Opus: {full} thousandths padded");
            worst = (worst.0.max(bare), worst.1.max(full));
        }
    }
    println!("worst, in thousandths of the Opus payload: {} bare, {} padded", worst.0, worst.1);
}

#[test]
fn a_sealed_note_has_the_length_that_is_reckoned_with() {
    let mut random = Seeded::new(1);
    for seconds in [10, 11, 17, 22, 43, 60, 87, 175, 350, 600] {
        let mut line = Line::new(u64::try_from(seconds).unwrap());
        let spoken = packets(&mut random, seconds * PACKETS_IN_3_SECONDS / 3, MEAN);
        let payload: usize = spoken.iter().map(Vec::len).sum();
        let sealed = line.voice(&spoken).parcel;
        let roster = sealed_roster_bytes(&line, &sealed);
        assert_eq!(sealed.wire_length(), wire_length(body_length(padded(AROUND + roster + payload))));
    }
}

/// Eight bytes if the note's head names a roster.
fn sealed_roster_bytes(line: &Line, sealed: &zajil_proto::parcel::SealedParcel) -> usize {
    use zajil_proto::sealing::content::Part;
    use zajil_proto::sealing::{NoteOpener, RING, note};
    let pair = line.received.find(&note::body_tag(&sealed.body).unwrap()).unwrap();
    let mut opener = NoteOpener::new(&RING, &sealed.header, pair, line.verify_key());
    opener.push(&sealed.body, true).unwrap();
    match opener.next_part() {
        Ok(Some(Part::Head(head))) => head.roster.map_or(0, |_| 8),
        other => panic!("a head comes first, got {other:?}"),
    }
}
