//! What each subcommand does.

use std::io::{stderr, stdout};
use std::process::Command as Process;
use std::time::Duration;

use rustix::mm::{MlockAllFlags, mlockall};
use zajil_net::links::Profile;

use crate::arguments::{Command, LinkArguments, Place, RunArguments};
use crate::check::check;
use crate::errors::LinkError;
use crate::link::{Link, Pause};
use crate::programs::{Program, exit_code};
use crate::report::{self, Report};
use crate::signals::{Signal, Signals};
use crate::trace::Trace;

/// Exit status when `--duration` ended before the command, as with `timeout`.
const TOO_LATE: u8 = 124;
/// How long town's command has to begin listening before the other starts.
const HEAD_START: Duration = Duration::from_millis(300);
/// Priority of real-time scheduling: above ordinary work, below what the kernel runs in threads at 50.
const PRIORITY: &str = "20";

/// Why a link ended.
enum Ending {
    /// `--duration`.
    Time,
    /// A signal.
    Signal(u8),
    /// The command, with this exit status.
    Command(u8),
}

/// Does what was asked for; returns the exit status.
pub(crate) fn run(command: Command) -> Result<u8, LinkError> {
    match command {
        Command::Up(arguments) => up(&arguments),
        Command::Run(arguments) => run_command(&arguments),
        Command::Check(arguments) => check(&arguments),
        Command::Show(way) => {
            Report::new(None, Box::new(stdout()))?.tell(&report::link_settings(&way))?;
            Ok(0)
        }
        Command::Profiles => {
            Profile::ALL.into_iter().for_each(|profile| println!("{}", report::profile(profile)));
            Ok(0)
        }
    }
}

fn up(arguments: &LinkArguments) -> Result<u8, LinkError> {
    let mut report = Report::new(arguments.stats.as_deref(), Box::new(stdout()))?;
    let (mut link, mut signals) = bring_up(arguments, &mut report)?;
    carry(&mut link, &mut signals, &mut report, arguments.duration, &mut None)?;
    finish(&mut link, &mut report)?;
    Ok(0)
}

fn run_command(arguments: &RunArguments) -> Result<u8, LinkError> {
    // Standard output is the command's.
    let mut report = Report::new(arguments.link.stats.as_deref(), Box::new(stderr()))?;
    let (mut link, mut signals) = bring_up(&arguments.link, &mut report)?;
    let ends = &arguments.link.ends;
    let environment = [
        ("LINKEM_CAMP_IP", ends.ip_a.to_string()),
        ("LINKEM_TOWN_IP", ends.ip_b.to_string()),
        ("LINKEM_CAMP_NS", ends.ns_a.clone()),
        ("LINKEM_TOWN_NS", ends.ns_b.clone()),
    ];
    let town = arguments.town.as_deref().map(|line| Program::start_line(line, &link.town)).transpose()?;
    if town.is_some() {
        std::thread::sleep(HEAD_START);
    }
    let place = match arguments.place {
        Place::Camp => Some(&link.camp),
        Place::Town => Some(&link.town),
        Place::Host => None,
    };
    let mut command = Some(Program::start(&arguments.command, &environment, place)?);
    let ending = carry(&mut link, &mut signals, &mut report, arguments.link.duration, &mut command)?;
    // Before the programs are asked to end: nothing is carried while they do.
    finish(&mut link, &mut report)?;
    drop((command, town));
    Ok(match ending {
        Ending::Command(code) => code,
        Ending::Signal(number) => 128 + number,
        Ending::Time => TOO_LATE,
    })
}

fn bring_up(arguments: &LinkArguments, report: &mut Report) -> Result<(Link, Signals), LinkError> {
    // First of all, so that no signal from now on leaves a namespace behind.
    let signals = Signals::listen()?;
    let trace = arguments.trace.as_deref().map(Trace::create).transpose()?;
    let link = Link::new(&arguments.ends, arguments.way.settings(), arguments.way.seed, trace)?;
    if !arguments.no_rt {
        be_punctual();
    }
    report.tell(&report::ready(&link, report::settings(&arguments.way, &arguments.ends)))?;
    Ok((link, signals))
}

/// Carries until the time is over, a signal wants an end, or the command has ended.
fn carry(
    link: &mut Link,
    signals: &mut Signals,
    report: &mut Report,
    until: Option<Duration>,
    command: &mut Option<Program>,
) -> Result<Ending, LinkError> {
    loop {
        if link.carry(signals.ear(), until)? == Pause::Time {
            return Ok(Ending::Time);
        }
        for signal in signals.arrived() {
            match signal {
                Signal::Snapshot => report.tell(&report::figures("snapshot", link))?,
                Signal::Look => {
                    if let Some(status) = command.as_mut().and_then(Program::ended) {
                        return Ok(Ending::Command(exit_code(status)));
                    }
                }
                Signal::End(number) => return Ok(Ending::Signal(number)),
            }
        }
    }
}

fn finish(link: &mut Link, report: &mut Report) -> Result<(), LinkError> {
    report.tell(&report::figures("final", link))?;
    link.finish_trace()
}

/// Asks to be first in line for the processor, so that other work shifts packets little. What is started later is not.
pub(crate) fn be_punctual() {
    let process = std::process::id().to_string();
    let asked = Process::new("chrt").args(["--reset-on-fork", "--fifo", "--pid", PRIORITY, &process]).output();
    let granted = asked.is_ok_and(|output| output.status.success());
    let kept_in_memory = mlockall(MlockAllFlags::CURRENT | MlockAllFlags::FUTURE).is_ok();
    if !granted || !kept_in_memory {
        eprintln!("linkem: no real-time scheduling (chrt of util-linux); other work will make packets late");
    }
}
