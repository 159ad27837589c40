//! The Zajil engine: everything a person does, without terminal, paths or environment.

pub mod audio;
pub mod limits;
pub mod engine;
pub mod store;
pub mod cli;
pub mod daemon;
pub mod i18n;
pub mod paths;
pub mod qr;
