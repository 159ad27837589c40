//! What people read at the end: one row for each part, what failed, what was skipped, and the three numbers.

use std::io::IsTerminal;
use std::time::Duration;

use crate::tally::Tally;

/// Everything that ran, in order.
#[derive(Debug, Default)]
pub(crate) struct Report {
    rows: Vec<(&'static str, Duration, Tally)>,
}

/// How a word is shown where there is a terminal.
#[derive(Debug, Clone, Copy)]
enum Paint {
    Good,
    Bad,
    Unsure,
}

impl Report {
    /// Adds a part and says how it went.
    pub(crate) fn add(&mut self, part: &'static str, took: Duration, tally: Tally) {
        println!("  {} in {:.0} s", verdict(&tally), took.as_secs_f64());
        self.rows.push((part, took, tally));
    }

    /// Prints the table, the names and the final line; `true` if everything held.
    ///
    /// As root nothing may be skipped that root could have tried.
    pub(crate) fn print(&self, root: bool) -> bool {
        println!("\n{:<8} {:>8} {:>8} {:>8} {:>8}", "part", "seconds", "passed", "failed", "skipped");
        let mut total = Tally::default();
        let mut time = Duration::ZERO;
        for (part, took, tally) in &self.rows {
            print_row(part, *took, tally);
            total.add(tally.clone());
            time += *took;
        }
        print_row("total", time, &total);
        for name in &total.failed {
            println!("{} {name}", paint(Paint::Bad, "failed:"));
        }
        for skip in &total.skipped {
            println!("{} {}", paint(Paint::Unsure, "skipped:"), skip.what);
        }
        let must_not = if root { total.skipped.iter().filter(|skip| skip.root_could).count() } else { 0 };
        if must_not > 0 {
            println!("As root nothing may be skipped, and {must_not} of these were: this is a failure.");
        }
        println!("{} passed, {} failed, {} skipped", total.passed, total.failed.len(), total.skipped.len());
        total.failed.is_empty() && must_not == 0
    }
}

fn print_row(part: &str, took: Duration, tally: &Tally) {
    let (failed, skipped) = (tally.failed.len(), tally.skipped.len());
    println!("{part:<8} {:>8.0} {:>8} {failed:>8} {skipped:>8}", took.as_secs_f64(), tally.passed);
}

fn verdict(tally: &Tally) -> String {
    match (tally.failed.len(), tally.skipped.len()) {
        (0, 0) => paint(Paint::Good, "passed"),
        (0, skipped) => paint(Paint::Unsure, &format!("passed, {skipped} skipped")),
        (failed, _) => paint(Paint::Bad, &format!("{failed} failed")),
    }
}

/// Colour, only for a terminal and only where `NO_COLOR` is not set (no-color.org).
fn paint(paint: Paint, text: &str) -> String {
    if !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return text.to_owned();
    }
    let colour = match paint {
        Paint::Good => 32,
        Paint::Bad => 31,
        Paint::Unsure => 33,
    };
    format!("\x1b[{colour}m{text}\x1b[0m")
}
