//! Sealing, end to end (P4 to P7): vectors, people who use it, people who attack it.

// `cfg(test)` is always on here; said once more, it tells clippy that helper functions are tests too.
#[cfg(test)]
mod control;
#[cfg(test)]
mod notes;
#[cfg(test)]
mod pairing;
#[cfg(test)]
mod published;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod sizes;
#[cfg(test)]
mod support;
#[cfg(test)]
mod vectors;
#[cfg(test)]
mod vectors_pairs;
#[cfg(test)]
mod words;
