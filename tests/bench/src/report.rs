//! What was measured, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;

use crate::peers::OfPeer;
use crate::series::Summary;

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// Bytes of sound in each note.
    pub note_bytes: u64,
    /// The first seed; the others follow it.
    pub first_seed: u64,
    /// A line for each link and way.
    pub lines: Vec<Summary>,
}

/// Returns a table of a run: times as multiples of what the link needs at best (of a word, of what issue 4 wants), seconds where a link
/// comes and goes, and there how much longer each took than at best. The floor is the median of our transport with nothing on top.
pub fn markdown(report: &Report) -> String {
    let mut text = String::from(
        "| link | way | start | limit, s | floor | median | p95 | worst | over the ideal | first second, s | failed | bytes |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in &report.lines {
        let shown = |seconds: f64| {
            if line.link.starts_with("windows") {
                format!("{seconds:.1} s")
            } else {
                format!("{:.2} ×", seconds / line.limit)
            }
        };
        let first = line.first_second.map_or_else(String::new, |seconds| format!("{seconds:.2}"));
        let (median, p95, worst) = (shown(line.median), shown(line.p95), shown(line.worst));
        let floor = line.floor.map_or_else(String::new, shown);
        let over = line.over.as_ref().map_or_else(String::new, |over| {
            format!("{:+.1} s, p95 {:+.1} s, {} a window more", over.median, over.p95, over.a_window_more)
        });
        let Summary { link, way, start, limit, failed, transfers, bytes, .. } = line;
        // INVARIANT: writing into a string does not fail.
        let _ = writeln!(
            text,
            "| {link} | {way} | {start} | {limit:.3} | {floor} | {median} | {p95} | {worst} | {over} | {first} | {failed} of {transfers} | {bytes} |"
        );
    }
    text
}

/// Returns a table of what others took, in the same measures.
pub fn peers_markdown(lines: &[OfPeer]) -> String {
    let mut text = String::from("| link | way | by | median | p95 | worst | failed |\n|---|---|---|---|---|---|---|\n");
    for line in lines {
        let shown = |seconds: f64| {
            if line.link.starts_with("windows") {
                format!("{seconds:.1} s")
            } else {
                format!("{:.2} ×", seconds / line.limit)
            }
        };
        let OfPeer { link, way, peer, transfers, failed, median, p95, worst, .. } = line;
        let (median, p95, worst) = (shown(*median), shown(*p95), shown(*worst));
        // INVARIANT: writing into a string does not fail.
        let _ = writeln!(text, "| {link} | {way} | {peer:?} | {median} | {p95} | {worst} | {failed} of {transfers} |");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_multiples_of_the_limit() {
        let line = Summary {
            link: "edge".into(),
            way: "send".into(),
            start: "warm".into(),
            transfers: 41,
            failed: 0,
            limit: 4.2,
            median: 8.4,
            floor: Some(6.3),
            p95: 10.5,
            worst: 12.6,
            worst_seed: 3,
            first_second: None,
            bytes: 38_000,
            over: None,
        };
        let report = Report { note_bytes: 30_000, first_seed: 1, lines: vec![line] };
        assert!(
            markdown(&report).ends_with(
                "| edge | send | warm | 4.200 | 1.50 × | 2.00 × | 2.50 × | 3.00 × |  |  | 0 of 41 | 38000 |\n"
            )
        );
    }
}
