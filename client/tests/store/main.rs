//! The device store: one conformance suite for both engines, and what the files of a home promise.

#[cfg(test)]
mod at_rest;
#[cfg(test)]
mod conformance;
#[cfg(test)]
mod damage;
#[cfg(test)]
mod destroyed;
#[cfg(test)]
mod disk;
#[cfg(test)]
mod homes;
#[cfg(test)]
mod power;
#[cfg(test)]
mod rig;
