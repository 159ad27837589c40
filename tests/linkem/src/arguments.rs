//! What can be asked of `linkem`.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use zajil_net::links::{LinkSettings, Profile};

use crate::changes::Changes;
use crate::values;

/// What the program's exit status means.
const EXIT_CODES: &str = "Signals: SIGUSR1 prints a snapshot of the counters; SIGINT, SIGTERM and SIGHUP end the link.

Exit status:
  0    the link ended as it was asked to; every figure of `check` was right
  1    a figure of `check` was not right
  2    wrong usage
  124  --duration ended before the command of `run`
  125  the link could not be made or kept
  126  the command of `run` could not be started
  127  the command of `run` was not found
  else the status of the command of `run`; 128 + N if signal N ended it, or ended the link before";

const CAMP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const TOWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const PREFIX: u8 = 24;
const DEVICE: &str = "lk0";
/// What most machines have, so that figures do not depend on the host.
const CONGESTION_CONTROL: &str = "cubic";

/// A bad link between two network namespaces: camp, where the device is, and town, where the relay is. Up is from camp to town.
#[derive(Debug, Parser)]
#[command(name = "linkem", after_help = EXIT_CODES, max_term_width = 120, disable_help_subcommand = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Bring the link up and hold it until a signal or --duration.
    Up(LinkArguments),
    /// Bring the link up, run a command, and take the link down when it ends.
    Run(RunArguments),
    /// Print what a link would be like, as JSON.
    Show(Way),
    /// List the profiles.
    Profiles,
    /// Measure links against what they should be like, on this machine.
    Check(CheckArguments),
}

/// A link that is to stand.
#[derive(Debug, Args)]
pub(crate) struct LinkArguments {
    /// Stop after this time: 90, 500ms.
    #[arg(long, value_name = "T", value_parser = values::seconds)]
    pub(crate) duration: Option<Duration>,
    /// Write the JSON lines there, not to standard output (`run`: standard error).
    #[arg(long, value_name = "FILE")]
    pub(crate) stats: Option<PathBuf>,
    /// Write a CSV line for every packet.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Do not ask for real-time scheduling: other work will make packets late.
    #[arg(long)]
    pub(crate) no_rt: bool,
    #[command(flatten)]
    pub(crate) way: Way,
    // Last: clap puts what comes behind it under its heading.
    #[command(flatten)]
    pub(crate) ends: Ends,
}

#[derive(Debug, Args)]
pub(crate) struct RunArguments {
    /// Where the command runs.
    #[arg(long = "in", value_name = "PLACE", value_enum, default_value_t = Place::Camp)]
    pub(crate) place: Place,
    /// Start this in town first, with `sh -c`, and end it afterwards.
    #[arg(long, value_name = "CMDLINE")]
    pub(crate) town: Option<OsString>,
    /// The command. LINKEM_CAMP_IP, LINKEM_TOWN_IP, LINKEM_CAMP_NS and LINKEM_TOWN_NS tell it where it is.
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) command: Vec<OsString>,
    #[command(flatten)]
    pub(crate) link: LinkArguments,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// In camp's namespace.
    Camp,
    /// In town's namespace.
    Town,
    /// In the namespace of whoever called.
    Host,
}

/// What the link does to packets.
#[derive(Debug, Args)]
pub(crate) struct Way {
    /// Begin with a profile; the options below change it.
    #[arg(long, value_parser = profile, default_value = "none")]
    pub(crate) profile: Profile,
    /// From this comes all chance.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Largest IP packet, of the link and of both devices; else the profile's.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(576..=9000))]
    pub(crate) mtu: Option<u16>,
    #[command(flatten)]
    pub(crate) changes: Changes,
}

impl Way {
    /// Returns both directions, up and down.
    pub(crate) fn settings(&self) -> (LinkSettings, LinkSettings) {
        let (mut up, mut down) = self.profile.settings();
        self.changes.apply((&mut up, &mut down), self.seed);
        if let Some(mtu) = self.mtu {
            (up.mtu_bytes, down.mtu_bytes) = (mtu.into(), mtu.into());
        }
        (up, down)
    }
}

/// Namespaces, devices and addresses. Links side by side need other namespaces, and may have the same of all else.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Both ends")]
pub(crate) struct Ends {
    /// Camp's namespace; made if it is missing, and then deleted at the end.
    #[arg(long, value_name = "NAME", default_value = "camp")]
    pub(crate) ns_a: String,
    /// Town's namespace, likewise.
    #[arg(long, value_name = "NAME", default_value = "town")]
    pub(crate) ns_b: String,
    /// Camp's address.
    #[arg(long, value_name = "IP", default_value_t = CAMP)]
    pub(crate) ip_a: Ipv4Addr,
    /// Town's address.
    #[arg(long, value_name = "IP", default_value_t = TOWN)]
    pub(crate) ip_b: Ipv4Addr,
    /// Length of the network's prefix.
    #[arg(long, value_name = "N", default_value_t = PREFIX, value_parser = clap::value_parser!(u8).range(1..=30))]
    pub(crate) prefix: u8,
    /// Give both an address of IPv6 as well: fd77::1 and fd77::2.
    #[arg(long)]
    pub(crate) ipv6: bool,
    /// The device's name in both.
    #[arg(long, value_name = "NAME", default_value = DEVICE)]
    pub(crate) dev: String,
    /// Leave namespaces that this run has made.
    #[arg(long)]
    pub(crate) keep_ns: bool,
    /// TCP's congestion control in both; `system` leaves the host's.
    #[arg(long, value_name = "NAME", default_value = CONGESTION_CONTROL)]
    pub(crate) tcp_cc: String,
    /// Set this in both, KEY=VALUE; may be given several times.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) sysctl: Vec<(String, String)>,
}

impl Ends {
    /// Returns what is usual, with namespaces of these names.
    pub(crate) fn named(camp: String, town: String) -> Self {
        Self {
            ns_a: camp,
            ns_b: town,
            ip_a: CAMP,
            ip_b: TOWN,
            prefix: PREFIX,
            ipv6: false,
            dev: DEVICE.to_owned(),
            keep_ns: false,
            tcp_cc: CONGESTION_CONTROL.to_owned(),
            sysctl: Vec::new(),
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct CheckArguments {
    /// Which profiles; may be given several times. Else lan, edge and gprs.
    #[arg(long, value_parser = profile)]
    pub(crate) profile: Vec<Profile>,
    /// From this comes which packets are lost.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Do not ask for real-time scheduling.
    #[arg(long)]
    pub(crate) no_rt: bool,
}

fn profile(name: &str) -> Result<Profile, String> {
    let names = || Profile::ALL.map(Profile::name).join(", ");
    Profile::named(name).ok_or_else(|| format!("one of {} wanted", names()))
}

fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    pair.ok_or_else(|| "KEY=VALUE wanted".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(options: &[&str]) -> Way {
        let options = ["linkem", "show"].into_iter().chain(options.iter().copied());
        match Arguments::try_parse_from(options).unwrap().command {
            Command::Show(way) => way,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Arguments as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn options_change_the_profile_wherever_they_stand() {
        let (up, down) = way(&["--up-rate", "20k", "--profile", "edge", "--mtu", "1200"]).settings();
        let (edge_up, edge_down) = Profile::Edge.settings();
        assert_eq!(up, LinkSettings { rate_bits: Some(20_000), mtu_bytes: 1_200, ..edge_up });
        assert_eq!(down, LinkSettings { mtu_bytes: 1_200, ..edge_down });
    }

    #[test]
    fn without_options_nothing_is_impaired() {
        assert_eq!(way(&[]).settings(), Profile::None.settings());
    }

    #[test]
    fn run_takes_its_command_after_two_hyphens() {
        let options = ["linkem", "run", "--profile", "edge", "--town", "serve -1", "--", "ping", "-c", "5"];
        let Command::Run(run) = Arguments::try_parse_from(options).unwrap().command else { panic!("not run") };
        assert_eq!((run.command, run.place), (["ping", "-c", "5"].map(OsString::from).to_vec(), Place::Camp));
        assert!(Arguments::try_parse_from(["linkem", "run"]).is_err());
        assert!(Arguments::try_parse_from(["linkem", "up", "--profile", "fibre"]).is_err());
    }
}
