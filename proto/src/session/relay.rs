//! The relay's side of a session.
