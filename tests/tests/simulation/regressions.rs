//! Plans that once broke a promise, each under a name that says what was wrong. `cargo xtask sim` prints such a test to paste.
