//! The Zajil engine: everything a person does, without terminal, paths or environment.

pub mod audio;
pub mod cli;
pub mod daemon;
pub mod engine;
pub mod i18n;
pub mod limits;
pub mod paths;
pub mod qr;
pub mod store;
