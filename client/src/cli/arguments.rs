//! What may be typed. Every text a person reads about it stands in the catalogue (`help.ftl`), under a key made from
//! its name.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::audio::profile::Profile;
use crate::engine::api;
use crate::i18n::{latin_digits, without_direction_marks};
use crate::limits::DAEMON_LOCK_MINUTES_MAX;

/// Longest time a command may be told to wait: a day. Beyond it the daemon is the way.
pub(super) const TIMEOUT_SECONDS_MAX: u64 = 86_400;

#[derive(Parser)]
#[command(name = "zajil", version, disable_help_subcommand = true, subcommand_required = true)]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) common: Common,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every command.
#[derive(Args)]
pub(super) struct Common {
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(super) home: Option<PathBuf>,
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Read once more before everything else, so that even help and complaints are in this language.
    #[arg(long, global = true, value_name = "ar|en", value_parser = language)]
    pub(super) lang: Option<String>,
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) passphrase_file: Option<PathBuf>,
    #[arg(long = "link", global = true, value_name = "auto|gprs|edge|fast|satellite")]
    pub(super) link_class: Option<LinkGiven>,
}

#[derive(Subcommand)]
pub(super) enum Command {
    Init(Init),
    #[command(subcommand)]
    Contact(Contact),
    Send(Send),
    Inbox(Inbox),
    Play(Play),
    Export(Export),
    Seen(Seen),
    Word(Word),
    OutOfHands(OutOfHands),
    Status(Status),
    Sync(Sync),
    Daemon(Daemon),
    Disappear(Disappear),
    Quiet(Quiet),
    Lock(Lock),
    Unlock(Unlock),
    Panic(Panic),
    #[command(subcommand)]
    Duress(Duress),
}

#[derive(Args)]
pub(super) struct Init {
    #[arg(long, value_name = "RELAYLINK", value_parser = pasted)]
    pub(super) relay: String,
}

#[derive(Subcommand)]
pub(super) enum Contact {
    Add(ContactAdd),
    Verify(ContactVerify),
    List(ContactList),
    Set(ContactSet),
}

#[derive(Args)]
pub(super) struct ContactAdd {
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    #[arg(value_name = "LINK", value_parser = pasted, conflicts_with = "scan")]
    pub(super) link: Option<String>,
    #[arg(long, value_name = "PICTURE.png")]
    pub(super) scan: Option<PathBuf>,
    #[arg(long)]
    pub(super) in_person: bool,
    #[arg(long, value_name = "FILE.png|FILE.svg")]
    pub(super) qr: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ContactVerify {
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    #[arg(long, value_name = "DIGITS", conflicts_with_all = ["return", "scan"])]
    pub(super) digits: Option<String>,
    #[arg(long = "return", id = "return", value_name = "CODE", value_parser = pasted, conflicts_with = "scan")]
    pub(super) return_code: Option<String>,
    #[arg(long, value_name = "PICTURE.png")]
    pub(super) scan: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct ContactList {}

#[derive(Args)]
pub(super) struct ContactSet {
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    #[arg(long, value_enum, value_name = "none|later|at-once")]
    pub(super) receipts: Option<Receipts>,
    #[arg(long, value_enum, value_name = "off|6h|day")]
    pub(super) seen: Option<Precision>,
}

#[derive(Args)]
pub(super) struct Send {
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    #[arg(value_name = "FILE|-")]
    pub(super) file: PathBuf,
    #[arg(long, value_enum, default_value = "default", value_name = "PROFILE")]
    pub(super) profile: ProfileName,
    #[arg(long, value_enum, default_value = "stored", value_name = "MARK")]
    pub(super) wait: WaitFor,
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<u64>,
    #[arg(long, value_name = "DAYS", value_parser = days)]
    pub(super) lifetime_days: Option<u16>,
}

#[derive(Args)]
pub(super) struct Inbox {
    #[arg(long)]
    pub(super) all: bool,
}

#[derive(Args)]
pub(super) struct Play {
    #[arg(value_name = "NUMBER|next", value_parser = which)]
    pub(super) note: Which,
    #[arg(long, value_name = "FILE.wav|FILE.opus")]
    pub(super) to: Option<PathBuf>,
}

#[derive(Args)]
pub(super) struct Export {
    #[arg(value_name = "NUMBER", value_parser = number)]
    pub(super) number: u32,
    #[arg(value_name = "FILE.wav|FILE.opus")]
    pub(super) file: PathBuf,
}

#[derive(Args)]
pub(super) struct Seen {
    #[arg(value_name = "NAME", value_parser = name)]
    pub(super) name: String,
    #[arg(long, conflicts_with = "timeout")]
    pub(super) offline: bool,
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<u64>,
}

#[derive(Args)]
pub(super) struct Word {
    #[arg(value_name = "TEXT")]
    pub(super) text: Option<String>,
    #[arg(long, value_enum, default_value = "none", value_name = "STATE")]
    pub(super) state: State,
    #[arg(long, value_name = "NAME", value_parser = name)]
    pub(super) to: Vec<String>,
    #[arg(long)]
    pub(super) no_time: bool,
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<u64>,
}

#[derive(Args)]
pub(super) struct OutOfHands {
    #[arg(long, value_name = "DAYS", default_value_t = 0, value_parser = days_ago)]
    pub(super) days_ago: u16,
}

#[derive(Args)]
pub(super) struct Status {}

#[derive(Args)]
pub(super) struct Sync {
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub(super) timeout: Option<u64>,
}

#[derive(Args)]
pub(super) struct Daemon {
    #[arg(long)]
    pub(super) stop: bool,
    #[arg(long, value_name = "MINUTES", value_parser = lock_minutes, conflicts_with = "stop")]
    pub(super) lock_after: Option<u32>,
}

#[derive(Args)]
pub(super) struct Lock {}

#[derive(Args)]
pub(super) struct Unlock {}

#[derive(Args)]
pub(super) struct Disappear {
    #[arg(value_name = "NAME", value_parser = name, required_unless_present = "default", conflicts_with = "default")]
    pub(super) name: Option<String>,
    #[arg(value_enum, value_name = "SPAN")]
    pub(super) span: Option<SpanGiven>,
    #[arg(long, value_enum, value_name = "SPAN")]
    pub(super) default: Option<SpanGiven>,
}

#[derive(Args)]
pub(super) struct Quiet {
    #[arg(value_enum, value_name = "on|off")]
    pub(super) state: Option<OnOff>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum OnOff {
    On,
    Off,
}

impl From<OnOff> for bool {
    fn from(state: OnOff) -> Self {
        state == OnOff::On
    }
}

/// How long the sound of heard notes stays.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum SpanGiven {
    Off,
    #[value(name = "1d")]
    Day,
    #[value(name = "7d")]
    Week,
    #[value(name = "30d")]
    Month,
    /// As for everybody.
    Default,
}

impl From<SpanGiven> for api::SpanChoice {
    fn from(given: SpanGiven) -> Self {
        match given {
            SpanGiven::Off => Self::Own(api::Span::Off),
            SpanGiven::Day => Self::Own(api::Span::Day),
            SpanGiven::Week => Self::Own(api::Span::Week),
            SpanGiven::Month => Self::Own(api::Span::Month),
            SpanGiven::Default => Self::AsDefault,
        }
    }
}

#[derive(Args)]
pub(super) struct Panic {
    #[arg(long)]
    pub(super) now: bool,
}

#[derive(Subcommand)]
pub(super) enum Duress {
    Set(DuressSet),
    Clear,
}

#[derive(Args)]
pub(super) struct DuressSet {
    #[arg(long, value_name = "FILE")]
    pub(super) duress_file: PathBuf,
}

/// A note by its number, or the oldest one not heard.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Number(u32),
    Next,
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Receipts {
    None,
    Later,
    AtOnce,
}

/// What the link carries.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LinkGiven {
    Auto,
    Gprs,
    Edge,
    Fast,
    Satellite,
}

impl From<LinkGiven> for Option<api::Link> {
    fn from(given: LinkGiven) -> Self {
        match given {
            LinkGiven::Auto => None,
            LinkGiven::Gprs => Some(api::Link::Gprs),
            LinkGiven::Edge => Some(api::Link::Edge),
            LinkGiven::Fast => Some(api::Link::Fast),
            LinkGiven::Satellite => Some(api::Link::Satellite),
        }
    }
}

impl From<Receipts> for api::Receipts {
    fn from(receipts: Receipts) -> Self {
        match receipts {
            Receipts::None => Self::Off,
            Receipts::Later => Self::Later,
            Receipts::AtOnce => Self::AtOnce,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Precision {
    Off,
    #[value(name = "6h")]
    SixHours,
    Day,
}

impl From<Precision> for api::SeenPrecision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::Off => Self::Off,
            Precision::SixHours => Self::SixHours,
            Precision::Day => Self::Day,
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
pub(super) enum ProfileName {
    Emergency,
    Thumbnail,
    Saver,
    Default,
    GoodLink,
}

impl From<ProfileName> for Profile {
    fn from(name: ProfileName) -> Self {
        match name {
            ProfileName::Emergency => Self::Emergency,
            ProfileName::Thumbnail => Self::Thumbnail,
            ProfileName::Saver => Self::Saver,
            ProfileName::Default => Self::Default,
            ProfileName::GoodLink => Self::GoodLink,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum WaitFor {
    Device,
    Stored,
    Delivered,
    Heard,
}

impl From<WaitFor> for api::Wait {
    fn from(wait: WaitFor) -> Self {
        match wait {
            WaitFor::Device => Self::Device,
            WaitFor::Stored => Self::Stored,
            WaitFor::Delivered => Self::Delivered,
            WaitFor::Heard => Self::Heard,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum State {
    None,
    Well,
    Moving,
    Arrived,
    Silent,
}

impl From<State> for api::WordState {
    fn from(state: State) -> Self {
        match state {
            State::None => Self::None,
            State::Well => Self::Well,
            State::Moving => Self::Moving,
            State::Arrived => Self::Arrived,
            State::Silent => Self::Silent,
        }
    }
}

// The errors of these parsers are never shown: `usage.rs` words them by the argument's name.

fn language(text: &str) -> Result<String, &'static str> {
    crate::i18n::Locale::from_name(text).map(|_| text.to_owned()).ok_or("unknown language")
}

/// A name as typed, without what copying leaves around it. Whether it is a good one the engine decides.
fn name(text: &str) -> Result<String, &'static str> {
    Ok(without_direction_marks(text).trim().to_owned())
}

/// A link or code: copying from a chat adds marks of direction, and breaks it over lines.
pub(super) fn pasted(text: &str) -> Result<String, &'static str> {
    Ok(without_direction_marks(text).chars().filter(|character| !character.is_whitespace()).collect())
}

fn whole<T: std::str::FromStr>(text: &str) -> Option<T> {
    latin_digits(&without_direction_marks(text)).trim().parse().ok()
}

fn number(text: &str) -> Result<u32, &'static str> {
    whole(text).ok_or("not a number")
}

fn seconds(text: &str) -> Result<u64, &'static str> {
    whole(text).filter(|seconds| *seconds <= TIMEOUT_SECONDS_MAX).ok_or("not 0 to 86400")
}

fn lock_minutes(text: &str) -> Result<u32, &'static str> {
    whole(text).filter(|minutes| *minutes <= DAEMON_LOCK_MINUTES_MAX).ok_or("not 0 to 10080")
}

fn days(text: &str) -> Result<u16, &'static str> {
    whole(text).filter(|days| (1..=90).contains(days)).ok_or("not 1 to 90")
}

fn days_ago(text: &str) -> Result<u16, &'static str> {
    whole(text).filter(|days| *days <= 365).ok_or("not 0 to 365")
}

fn which(text: &str) -> Result<Which, &'static str> {
    if text == "next" { Ok(Which::Next) } else { number(text).map(Which::Number) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(words: &[&str]) -> Result<Command, clap::Error> {
        Arguments::try_parse_from(std::iter::once("zajil").chain(words.iter().copied())).map(|parsed| parsed.command)
    }

    #[test]
    fn the_definition_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn numbers_are_taken_in_any_script() {
        let Ok(Command::Play(play)) = parse(&["play", "١٢"]) else { panic!("play is understood") };
        assert!(play.note == Which::Number(12));
        let Ok(Command::Sync(sync)) = parse(&["sync", "--timeout", "۳۰"]) else { panic!("sync is understood") };
        assert_eq!(sync.timeout, Some(30));
        assert!(parse(&["sync", "--timeout", "86401"]).is_err());
        assert!(parse(&["send", "Amal", "a.wav", "--lifetime-days", "91"]).is_err());
    }

    #[test]
    fn a_link_broken_over_lines_by_a_chat_is_mended() {
        let Ok(Command::Contact(Contact::Add(add))) =
            parse(&["contact", "add", "أمل", "\u{2068}zajil:ab\n cd\u{2069}"])
        else {
            panic!("contact add is understood")
        };
        assert_eq!((add.name.as_str(), add.link.as_deref()), ("أمل", Some("zajil:abcd")));
    }

    #[test]
    fn a_link_is_given_or_scanned_and_not_both() {
        assert!(parse(&["contact", "add", "Amal", "zajil:a", "--scan", "a.png"]).is_err());
        assert!(parse(&["contact", "verify", "Amal", "--digits", "1", "--return", "c"]).is_err());
        assert!(parse(&["seen", "Amal", "--offline", "--timeout", "3"]).is_err());
    }
}
