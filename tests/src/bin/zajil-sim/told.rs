//! What the program prints, for as long as anybody reads it.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write as _};

use crate::commands::Verdict;

/// Prints a line, as `println!` does.
macro_rules! tell {
    ($($text:tt)*) => { $crate::told::text(format_args!("{}\n", format_args!($($text)*))) };
}
pub(crate) use tell;

/// Prints text. Ends the program without a word when nobody reads any more: whoever closed the pipe has seen enough.
pub(crate) fn text(text: Arguments<'_>) {
    let mut out = io::stdout().lock();
    let Err(error) = out.write_fmt(text).and_then(|()| out.flush()) else { return };
    if error.kind() == ErrorKind::BrokenPipe {
        end(Verdict::Unread);
    }
    eprintln!("zajil-sim: could not print: {error}");
    end(Verdict::NotDone);
}

fn end(verdict: Verdict) -> ! {
    std::process::exit(verdict.status().into())
}
