//! What must never reach a log: identities, addresses, times of contact.

/// Gives types a `Debug` that shows their name only.
macro_rules! redacted {
    ($($name:ident $(<$life:lifetime>)?),+ $(,)?) => {$(
        impl core::fmt::Debug for $name $(<$life>)? {
            /// What it holds is secret, or tells who speaks with whom: it never prints.
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(concat!(stringify!($name), "(..)"))
            }
        }
    )+};
}

use core::fmt;

/// Wraps a value so that neither `Debug` nor `Display` shows it.
///
/// Use it for whatever could tell a reader of a log who spoke with whom, from where, or when.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Redacted<T>(pub T);

impl<T> fmt::Debug for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}

impl<T> fmt::Display for Redacted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(redacted)")
    }
}
