//! `linkem`: a bad link between two network namespaces, for real programs on a machine without `netem`.
//!
//! One thread carries IP packets between two TUN devices, late, slowly or not at all. What becomes of a packet is decided by
//! [`zajil_net::links`], the model that the simulated world plays: the n-th packet of a direction meets the same fate in both,
//! given the same seed and settings. Everything else here is namespaces, devices, clocks and figures.
//!
//! *camp* is the device's end, *town* the relay's; *up* is from camp to town.
//!
//! - `arguments`, `changes` and `values`: what can be asked, down to one value
//! - `link`: a link that stands, and the loop that carries; `way` and `lateness`, which are pure, hold and count for it
//! - `end`, `namespace` and `tun`: an end of a link; `programs`, `signals` and `clock`: the rest of the operating system
//! - `commands` and `check`: what the subcommands do; `report`: how it is told

mod arguments;
mod changes;
mod check;
mod clock;
mod commands;
mod end;
mod errors;
mod lateness;
mod link;
mod namespace;
mod probe;
mod programs;
mod report;
mod signals;
mod trace;
mod tun;
mod values;
mod way;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::Arguments;

fn main() -> ExitCode {
    match commands::run(Arguments::parse().command) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("linkem: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
