//! The engine that phones wrap: no terminal, no paths, no environment.
//!
//! - [`api`]: what may be asked of it
pub mod api;
