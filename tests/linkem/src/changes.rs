//! The link settings that the command line can change: one table, from which come the options, their help and what they do.

use std::time::Duration;

use clap::builder::ValueParser;
use clap::{Arg, ArgGroup, ArgMatches, Args, Command, FromArgMatches};
use zajil_net::links::{JitterShape, LinkSettings, Loss, Outage, Windows};

use crate::values;

/// All: parts of a million.
const ALWAYS_PPM: u32 = 1_000_000;

/// One option, which also exists as `--up-NAME` and `--down-NAME`.
struct Setting {
    name: &'static str,
    value: &'static str,
    help: &'static str,
    read: fn(&str) -> Result<Change, String>,
}

/// What of a link is to be otherwise.
#[derive(Debug, Clone, PartialEq)]
enum Change {
    Rate(Option<u64>),
    Delay(Duration),
    Jitter(Duration),
    JitterShape(JitterShape),
    JitterReorders(bool),
    Loss(Loss),
    Duplicate(u32),
    Reorder(u32),
    ReorderDelay(Duration),
    QueueBytes(usize),
    QueuePackets(usize),
    Overhead(usize),
    BlocksUdp(bool),
    Windows(Windows),
    /// A cycle that begins where the seed says.
    WindowsFromAnywhere {
        up: Duration,
        down: Duration,
    },
    Outage(Outage),
}

/// What of `Change::Loss` there can be one of.
const LOSSES: [&str; 3] = ["loss", "ge", "ge-time"];

const SETTINGS: [Setting; 17] = [
    Setting {
        name: "rate",
        value: "R",
        help: "Bits a second: 128k, 1M or inf",
        read: |text| values::rate(text).map(Change::Rate),
    },
    Setting {
        name: "delay",
        value: "T",
        help: "Time from the end of sending to arrival: 200ms",
        read: |text| values::time(text).map(Change::Delay),
    },
    Setting {
        name: "jitter",
        value: "T",
        help: "How much the delay differs, either way: 20ms",
        read: |text| values::time(text).map(Change::Jitter),
    },
    Setting {
        name: "jitter-dist",
        value: "D",
        help: "uniform (jitter is the most) or normal (the deviation)",
        read: shape,
    },
    Setting {
        name: "jitter-reorder",
        value: "yes|no",
        help: "Whether jitter lets packets overtake each other",
        read: |text| values::flag(text).map(Change::JitterReorders),
    },
    Setting {
        name: "loss",
        value: "P",
        help: "Each packet for itself is lost: 2%",
        read: |text| random(text).map(Change::Loss),
    },
    Setting {
        name: "ge",
        value: "P,R[,BAD[,GOOD]]",
        help: "Gilbert-Elliott, a step for each packet: chance that a good spell ends, that a bad one does, losses in both",
        read: |text| bursts(text).map(Change::Loss),
    },
    Setting {
        name: "ge-time",
        value: "GOOD,BAD[,BAD[,GOOD]]",
        help: "The same in time: mean lengths of spells in seconds, losses in both: 2.62,0.656",
        read: |text| spells(text).map(Change::Loss),
    },
    Setting {
        name: "dup",
        value: "P",
        help: "A packet arrives twice",
        read: |text| values::chance(text).map(Change::Duplicate),
    },
    Setting {
        name: "reorder",
        value: "P",
        help: "A packet comes later than its turn",
        read: |text| values::chance(text).map(Change::Reorder),
    },
    Setting {
        name: "reorder-delay",
        value: "T",
        help: "How much later",
        read: |text| values::time(text).map(Change::ReorderDelay),
    },
    Setting {
        name: "queue-bytes",
        value: "N",
        help: "Bytes that may wait, the packet being sent not among them",
        read: |text| values::count(text).map(Change::QueueBytes),
    },
    Setting {
        name: "queue-pkts",
        value: "N",
        help: "Packets that may wait",
        read: |text| values::count(text).map(Change::QueuePackets),
    },
    Setting {
        name: "overhead",
        value: "N",
        help: "Bytes that each packet takes besides its own",
        read: |text| values::count(text).map(Change::Overhead),
    },
    Setting {
        name: "block-udp",
        value: "yes|no",
        help: "Drop UDP",
        read: |text| values::flag(text).map(Change::BlocksUdp),
    },
    Setting {
        name: "outage",
        value: "W",
        help: "When the link is there: none (always), up=8,down=30[,offset=5|rand], or list:0-10,60-70[,repeat=120], in seconds",
        read: windows,
    },
    Setting { name: "outage-mode", value: "drop|hold", help: "What becomes of packets while it is not", read: outage },
];

/// For which directions an option holds. One that names a direction counts more than one that does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Both,
    Up,
    Down,
}

impl Scope {
    const ALL: [Self; 3] = [Self::Both, Self::Up, Self::Down];

    fn option(self, name: &str) -> String {
        match self {
            Self::Both => name.to_owned(),
            Self::Up => format!("up-{name}"),
            Self::Down => format!("down-{name}"),
        }
    }
}

/// Everything of the link that the command line wants otherwise than the profile has it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    given: Vec<(Scope, Change)>,
}

impl Changes {
    /// Makes the changes to both directions, up and down. Chance comes from `seed`.
    pub(crate) fn apply(&self, (up, down): (&mut LinkSettings, &mut LinkSettings), seed: u64) {
        for scope in Scope::ALL {
            for (_, change) in self.given.iter().filter(|(given, _)| *given == scope) {
                if scope != Scope::Down {
                    change.apply(up, seed);
                }
                if scope != Scope::Up {
                    change.apply(down, seed);
                }
            }
        }
    }
}

impl Args for Changes {
    fn augment_args(mut command: Command) -> Command {
        for scope in Scope::ALL {
            for setting in &SETTINGS {
                let name = scope.option(setting.name);
                let argument = Arg::new(name.clone()).long(name).value_name(setting.value).help(setting.help);
                let argument = argument.value_parser(ValueParser::from(setting.read));
                let argument = argument.help_heading("The link, both ways; each also as --up-… and --down-…");
                command = command.arg(argument.hide(scope != Scope::Both));
            }
            let losses = LOSSES.map(|name| scope.option(name));
            command = command.group(ArgGroup::new(scope.option("losses")).args(losses));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Changes {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = Scope::ALL.into_iter().flat_map(|scope| SETTINGS.iter().map(move |setting| (scope, setting)));
        let given = |(scope, setting): (Scope, &Setting)| {
            Some((scope, matches.get_one::<Change>(&scope.option(setting.name))?.clone()))
        };
        Ok(Self { given: options.filter_map(given).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Change {
    fn apply(&self, link: &mut LinkSettings, seed: u64) {
        match self {
            Self::Rate(rate) => link.rate_bits = *rate,
            Self::Delay(delay) => link.delay = *delay,
            Self::Jitter(jitter) => link.jitter = *jitter,
            Self::JitterShape(shape) => link.jitter_shape = *shape,
            Self::JitterReorders(reorders) => link.jitter_reorders = *reorders,
            Self::Loss(loss) => link.loss = *loss,
            Self::Duplicate(parts) => link.duplicate_ppm = *parts,
            Self::Reorder(parts) => link.reorder_ppm = *parts,
            Self::ReorderDelay(delay) => link.reorder_delay = *delay,
            Self::QueueBytes(bytes) => link.queue_bytes = *bytes,
            Self::QueuePackets(packets) => link.queue_packets = *packets,
            Self::Overhead(bytes) => link.overhead_bytes = *bytes,
            Self::BlocksUdp(blocks) => link.blocks_udp = *blocks,
            Self::Windows(windows) => link.windows = windows.clone(),
            Self::WindowsFromAnywhere { up, down } => link.windows = Windows::cycle_from_anywhere(*up, *down, seed),
            Self::Outage(outage) => link.outage = *outage,
        }
    }
}

fn shape(text: &str) -> Result<Change, String> {
    match text {
        "uniform" => Ok(Change::JitterShape(JitterShape::Uniform)),
        "normal" => Ok(Change::JitterShape(JitterShape::Normal)),
        _ => Err("uniform or normal wanted".to_owned()),
    }
}

fn outage(text: &str) -> Result<Change, String> {
    match text {
        "drop" => Ok(Change::Outage(Outage::Loses)),
        "hold" => Ok(Change::Outage(Outage::Holds)),
        _ => Err("drop or hold wanted".to_owned()),
    }
}

fn random(text: &str) -> Result<Loss, String> {
    let lost_ppm = values::chance(text)?;
    Ok(if lost_ppm == 0 { Loss::None } else { Loss::Random { lost_ppm } })
}

fn bursts(text: &str) -> Result<Loss, String> {
    let values = values::list(text, 2, 4)?;
    let chance = |nth: usize, usual| values.get(nth).map_or(Ok(usual), |text| values::chance(text));
    let (good_to_bad_ppm, bad_to_good_ppm) = (chance(0, 0)?, chance(1, 0)?);
    if good_to_bad_ppm == 0 && bad_to_good_ppm == 0 {
        return Err("one of the first two chances must be above 0".to_owned());
    }
    let (lost_bad_ppm, lost_good_ppm) = (chance(2, ALWAYS_PPM)?, chance(3, 0)?);
    Ok(Loss::Bursts { good_to_bad_ppm, bad_to_good_ppm, lost_bad_ppm, lost_good_ppm })
}

fn spells(text: &str) -> Result<Loss, String> {
    let values = values::list(text, 2, 4)?;
    let mean = |nth: usize| values.get(nth).map_or(Ok(Duration::ZERO), |text| values::seconds(text));
    let chance = |nth: usize, usual| values.get(nth).map_or(Ok(usual), |text| values::chance(text));
    let (good, bad) = (mean(0)?, mean(1)?);
    if good.is_zero() || bad.is_zero() {
        return Err("both means must be above 0".to_owned());
    }
    Ok(Loss::Spells { good, bad, lost_bad_ppm: chance(2, ALWAYS_PPM)?, lost_good_ppm: chance(3, 0)? })
}

fn windows(text: &str) -> Result<Change, String> {
    if text == "none" {
        return Ok(Change::Windows(Windows::Always));
    }
    match text.strip_prefix("list:") {
        Some(spans) => self::spans(spans),
        None => cycle(text),
    }
}

fn cycle(text: &str) -> Result<Change, String> {
    let (mut up, mut down, mut offset) = (None, None, Some(Duration::ZERO));
    for part in text.split(',') {
        match part.split_once('=') {
            Some(("up", time)) => up = Some(values::seconds(time)?),
            Some(("down", time)) => down = Some(values::seconds(time)?),
            Some(("offset", "rand")) => offset = None,
            Some(("offset", time)) => offset = Some(values::seconds(time)?),
            _ => return Err(format!("`{part}` is none of up=, down= and offset=")),
        }
    }
    let (Some(up), Some(down)) = (up, down) else { return Err("both up= and down= are wanted".to_owned()) };
    Ok(match offset {
        Some(offset) => Change::Windows(Windows::Cycle { up, down, offset }),
        None => Change::WindowsFromAnywhere { up, down },
    })
}

fn spans(text: &str) -> Result<Change, String> {
    let (mut up, mut repeat, mut last) = (Vec::new(), None, None);
    for part in text.split(',') {
        if let Some(time) = part.strip_prefix("repeat=") {
            repeat = Some(values::seconds(time)?);
            continue;
        }
        let (from, to) = part.split_once('-').ok_or_else(|| format!("`{part}` is no span like 60-70"))?;
        let (from, to) = (values::seconds(from)?, values::seconds(to)?);
        if from >= to || last.is_some_and(|last| from <= last) {
            return Err(format!("spans must rise and not touch; `{part}` does not"));
        }
        last = Some(to);
        up.push((from, to));
    }
    if repeat < last && repeat.is_some() {
        return Err("repeat= lies within the last span".to_owned());
    }
    Ok(Change::Windows(Windows::Spans { up, repeat }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(options: &[&str]) -> Result<(LinkSettings, LinkSettings), String> {
        let command = Changes::augment_args(Command::new("link").no_binary_name(true));
        let matches = command.try_get_matches_from(options).map_err(|error| error.to_string())?;
        let (mut up, mut down) = (LinkSettings::default(), LinkSettings::default());
        Changes::from_arg_matches(&matches).unwrap().apply((&mut up, &mut down), 7);
        Ok((up, down))
    }

    #[test]
    fn an_option_changes_both_ways_unless_one_is_named() {
        let (up, down) = settings(&["--up-rate", "60k", "--rate", "120k", "--delay", "200ms"]).unwrap();
        assert_eq!((up.rate_bits, down.rate_bits), (Some(60_000), Some(120_000)));
        assert_eq!((up.delay, down.delay), (Duration::from_millis(200), Duration::from_millis(200)));
        assert_eq!(settings(&[]).unwrap(), (LinkSettings::default(), LinkSettings::default()));
    }

    #[test]
    fn every_option_changes_something() {
        let given = [
            "--rate=1M",
            "--delay=1ms",
            "--jitter=1ms",
            "--jitter-dist=normal",
            "--jitter-reorder=yes",
            "--loss=1%",
            "--ge=0.1,0.2",
            "--ge-time=1,2",
            "--dup=1%",
            "--reorder=1%",
            "--reorder-delay=1ms",
            "--queue-bytes=32k",
            "--queue-pkts=9",
            "--overhead=8",
            "--block-udp=yes",
            "--outage=up=1,down=2",
            "--outage-mode=hold",
        ];
        assert_eq!(given.len(), SETTINGS.len());
        for option in given {
            let (up, down) = settings(&[option]).unwrap();
            assert!(up != LinkSettings::default() && up == down, "{option}");
            let (up, down) = settings(&[&option.replace("--", "--down-")]).unwrap();
            assert!(up == LinkSettings::default() && up != down, "{option}");
        }
    }

    #[test]
    fn a_link_has_one_kind_of_loss() {
        assert!(settings(&["--loss=1%", "--ge=0.1,0.2"]).unwrap_err().contains("cannot be used with"));
        let (up, down) = settings(&["--loss=1%", "--up-ge=0.0625,0.25"]).unwrap();
        assert_eq!(down.loss, Loss::Random { lost_ppm: 10_000 });
        let bursts = Loss::Bursts {
            good_to_bad_ppm: 62_500,
            bad_to_good_ppm: 250_000,
            lost_bad_ppm: 1_000_000,
            lost_good_ppm: 0,
        };
        assert_eq!(up.loss, bursts);
        assert_eq!(settings(&["--loss=0"]).unwrap().0.loss, Loss::None);
    }

    #[test]
    fn spells_are_in_seconds() {
        let (up, _) = settings(&["--ge-time=2.62,0.656,90%"]).unwrap();
        let (good, bad) = (Duration::from_millis(2_620), Duration::from_millis(656));
        assert_eq!(up.loss, Loss::Spells { good, bad, lost_bad_ppm: 900_000, lost_good_ppm: 0 });
    }

    #[test]
    fn windows_are_a_cycle_or_a_list() {
        let windows = |text| settings(&["--outage", text]).map(|(up, _)| up.windows);
        let seconds = Duration::from_secs;
        let cycle = Windows::Cycle { up: seconds(8), down: seconds(30), offset: seconds(5) };
        assert_eq!(windows("up=8,down=30,offset=5"), Ok(cycle));
        let spans = vec![(seconds(0), seconds(10)), (seconds(60), seconds(70))];
        assert_eq!(windows("list:0-10,60-70"), Ok(Windows::Spans { up: spans.clone(), repeat: None }));
        let again = Windows::Spans { up: spans, repeat: Some(seconds(120)) };
        assert_eq!(windows("list:0-10,60-70,repeat=120"), Ok(again));
        assert_eq!(windows("none"), Ok(Windows::Always));
        let (up, down) = settings(&["--outage=up=8,down=30,offset=rand"]).unwrap();
        assert_eq!(up.windows, down.windows);
        assert_eq!(up.windows, Windows::cycle_from_anywhere(seconds(8), seconds(30), 7));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_would() {
        for (option, says) in [
            ("--delay=200", "unit"),
            ("--loss=5", "chance"),
            ("--ge=0,0", "above 0"),
            ("--ge=0.1", "2 to 4"),
            ("--ge-time=0,1", "above 0"),
            ("--outage=up=8", "down="),
            ("--outage=list:5-5", "rise"),
            ("--outage=list:0-10,10-20", "touch"),
            ("--outage=list:0-10,repeat=5", "within"),
            ("--outage-mode=wait", "hold"),
        ] {
            let error = settings(&[option]).unwrap_err();
            assert!(error.contains(says), "{option}: {error}");
        }
    }
}
