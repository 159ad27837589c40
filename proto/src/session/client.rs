//! The device's side of a session.
