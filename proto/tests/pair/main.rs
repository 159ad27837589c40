//! Both machines of a session against each other, over a virtual network (P8). No async, no clock, no sockets.

// `cfg(test)` is always on here; said once more, it tells clippy that helper functions are tests too.
#![cfg(test)]

mod by_hand;
mod early;
mod every_frame;
mod link;
mod mistakes_of_devices;
mod mistakes_of_relays;
mod random_bytes;
mod random_operations;
mod requests;
mod store;
mod travel;
mod words;
mod world;
