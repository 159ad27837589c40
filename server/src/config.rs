//! The relay's configuration file: eleven keys, all optional. An unknown key is an error that names the nearest known one.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use toml::Value;
use zajil_proto::limits::PARCEL_BYTES_MAX;

use crate::limits::{LISTEN_ADDRESSES_MAX, MAILBOX_BYTES_MAX, MAILBOX_PARCELS_MAX, RESERVE_BYTES_MIN};

/// Every key, in the order of the shipped file.
pub const KEYS: [&str; 11] = [
    "listen",
    "public_address",
    "admission",
    "mailbox_bytes_max",
    "mailbox_parcels_max",
    "lifetime_days_max",
    "disk_reserve_bytes",
    "clock",
    "next_visit_minutes",
    "log",
    "store_key",
];

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Addresses to listen on, UDP and TCP alike.
    pub listen: Vec<SocketAddr>,
    /// `host:port` as devices reach this relay.
    pub public_address: Option<String>,
    /// Who may make mailboxes.
    pub admission: AdmissionRule,
    /// Bytes one mailbox may hold.
    pub mailbox_bytes_max: u64,
    /// Parcels one mailbox may hold.
    pub mailbox_parcels_max: u32,
    /// Longest lifetime kept, days, 1 to 90.
    pub lifetime_days_max: u16,
    /// Disk space kept free for old promises, bytes; `None` = 5 % of the disk or 1 GB, whichever is smaller.
    pub disk_reserve_bytes: Option<u64>,
    /// Whether the operator vouches for this machine's clock.
    pub clock_trusted: bool,
    /// When devices should come again, minutes; 0 = no wish.
    pub next_visit_minutes: u16,
    /// How much is logged. At no level anything about people.
    pub log: LogLevel,
    /// Where the store key lies, if not beside the store.
    pub store_key: Option<PathBuf>,
}

/// Who may make mailboxes and slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionRule {
    /// Everyone.
    Open,
    /// Who shows the code of the relay link.
    Code,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogLevel {
    /// Only what needs an operator.
    Error,
    /// Also what may soon.
    Warn,
    /// Also start and stop.
    Info,
    /// Also the counters, every six hours and at the end.
    Debug,
    /// Also what each sweep of the store let go.
    Trace,
}

impl Default for Config {
    fn default() -> Self {
        use std::net::{Ipv4Addr, Ipv6Addr};
        Self {
            listen: vec![
                SocketAddr::from((Ipv4Addr::UNSPECIFIED, DEFAULT_PORT)),
                SocketAddr::from((Ipv6Addr::UNSPECIFIED, DEFAULT_PORT)),
            ],
            public_address: None,
            admission: AdmissionRule::Open,
            mailbox_bytes_max: MAILBOX_BYTES_MAX,
            mailbox_parcels_max: MAILBOX_PARCELS_MAX,
            lifetime_days_max: 90,
            disk_reserve_bytes: None,
            clock_trusted: false,
            next_visit_minutes: 0,
            log: LogLevel::Info,
            store_key: None,
        }
    }
}

/// The port of HTTP/3: what passes where anything passes.
pub const DEFAULT_PORT: u16 = 443;

/// Fewest parcels a mailbox may be limited to: one pair's control frames without acknowledgement (P5.3) and some notes.
const MAILBOX_PARCELS_MIN: u64 = 50;

/// What is wrong with a configuration file, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// The file.
    pub file: PathBuf,
    /// Its line, counted from 1; `None` where there is none.
    pub line: Option<usize>,
    /// The key, where it is about one.
    pub key: Option<String>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub advice: String,
}

impl std::error::Error for ConfigError {}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        if let Some(key) = &self.key {
            write!(f, ", key \"{key}\"")?;
        }
        write!(f, ": {}. {}", self.problem, self.advice)
    }
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigError`] with file, line, key and advice.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| ConfigError {
            file: file.to_owned(),
            line: None,
            key: None,
            problem: format!("it cannot be read ({error})"),
            advice: "Make one with `zajil-relay init --dir DIR`, or check who may read it".into(),
        })?;
        Self::parse(file, &text)
    }

    /// Reads the text of a configuration file; `file` is for messages.
    ///
    /// # Errors
    /// As [`Config::read`].
    pub fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError {
            file: file.to_owned(),
            line: error.span().map(|span| line_at(text, span.start)),
            key: None,
            problem: error.message().to_owned(),
            advice: "Write each setting as `key = value`, text in double quotes".into(),
        })?;
        let mut config = Self::default();
        for (key, value) in &table {
            config.set(key, value).map_err(|(problem, advice)| ConfigError {
                file: file.to_owned(),
                line: line_of_key(text, key),
                key: Some(key.clone()),
                problem,
                advice,
            })?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), (String, String)> {
        match key {
            "listen" => self.listen = addresses(value)?,
            "public_address" => self.public_address = Some(public_address(value)?),
            "admission" => {
                self.admission = one_of(value, &[("open", AdmissionRule::Open), ("code", AdmissionRule::Code)])?;
            }
            "mailbox_bytes_max" => self.mailbox_bytes_max = number(value, PARCEL_BYTES_MAX.into(), MAILBOX_BYTES_MAX)?,
            "mailbox_parcels_max" => {
                self.mailbox_parcels_max = number(value, MAILBOX_PARCELS_MIN, MAILBOX_PARCELS_MAX.into())?;
            }
            "lifetime_days_max" => self.lifetime_days_max = number(value, 1, 90)?,
            "disk_reserve_bytes" => self.disk_reserve_bytes = Some(number(value, RESERVE_BYTES_MIN, 1 << 50)?),
            "clock" => self.clock_trusted = one_of(value, &[("unknown", false), ("trusted", true)])?,
            "next_visit_minutes" => self.next_visit_minutes = number(value, 0, 65_535)?,
            "log" => {
                self.log = one_of(
                    value,
                    &[
                        ("error", LogLevel::Error),
                        ("warn", LogLevel::Warn),
                        ("info", LogLevel::Info),
                        ("debug", LogLevel::Debug),
                        ("trace", LogLevel::Trace),
                    ],
                )?;
            }
            "store_key" => self.store_key = Some(PathBuf::from(text(value)?)),
            unknown => return Err(("there is no such key".into(), suggestion(unknown, &KEYS))),
        }
        Ok(())
    }
}

fn suggestion(got: &str, known: &[&str]) -> String {
    let nearest = known.iter().max_by(|a, b| strsim::jaro_winkler(got, a).total_cmp(&strsim::jaro_winkler(got, b)));
    match nearest {
        Some(nearest) if strsim::jaro_winkler(got, nearest) > 0.75 => format!("Did you mean \"{nearest}\"?"),
        _ => format!("Known are: {}", known.join(", ")),
    }
}

fn text(value: &Value) -> Result<&str, (String, String)> {
    value.as_str().ok_or_else(|| wrong_type(value, "text in double quotes"))
}

fn wrong_type(value: &Value, wanted: &str) -> (String, String) {
    (format!("it is {} here", value.type_str()), format!("Write {wanted}"))
}

fn one_of<T: Copy>(value: &Value, choices: &[(&str, T)]) -> Result<T, (String, String)> {
    let got = text(value)?;
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    match choices.iter().find(|(name, _)| *name == got) {
        Some((_, choice)) => Ok(*choice),
        None => Err((format!("\"{got}\" is no choice"), suggestion(got, &names))),
    }
}

fn number<T: TryFrom<u64>>(value: &Value, least: u64, most: u64) -> Result<T, (String, String)> {
    let advice = || format!("Write a whole number from {least} to {most}");
    let got = value.as_integer().ok_or_else(|| (format!("it is {} here", value.type_str()), advice()))?;
    let fitting = u64::try_from(got).ok().filter(|got| (least..=most).contains(got));
    fitting.and_then(|got| T::try_from(got).ok()).ok_or_else(|| (format!("{got} is out of range"), advice()))
}

fn addresses(value: &Value) -> Result<Vec<SocketAddr>, (String, String)> {
    const WANTED: &str = "a list of addresses such as [\"0.0.0.0:443\", \"[::]:443\"]";
    let list = value.as_array().ok_or_else(|| wrong_type(value, WANTED))?;
    if list.is_empty() || list.len() > LISTEN_ADDRESSES_MAX {
        return Err((format!("it has {} entries", list.len()), format!("Write {WANTED}")));
    }
    list.iter()
        .map(|entry| {
            let got = text(entry)?;
            got.parse().map_err(|_| (format!("\"{got}\" is no address with a port"), format!("Write {WANTED}")))
        })
        .collect()
}

fn public_address(value: &Value) -> Result<String, (String, String)> {
    let got = text(value)?;
    if is_host_and_port(got) {
        Ok(got.to_owned())
    } else {
        Err((
            format!("\"{got}\" is no host with a port"),
            "Write it as devices reach this relay, such as \"203.0.113.7:443\" or \"relay.example:443\"".into(),
        ))
    }
}

impl Config {
    /// Returns `host:port` for the relay link: what is declared, or else the one address it listens at, if that is one that
    /// others can reach.
    pub fn reachable_address(&self) -> Option<String> {
        match (&self.public_address, self.listen.as_slice()) {
            (Some(address), _) => Some(address.clone()),
            (None, [only]) if !only.ip().is_unspecified() && only.port() != 0 => Some(only.to_string()),
            _ => None,
        }
    }
}

/// Returns whether `text` is `host:port` and fits a link.
pub fn is_host_and_port(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare_ipv6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    !host.is_empty()
        && !bare_ipv6
        && host.chars().all(|c| c.is_ascii_graphic())
        && port.parse::<u16>().is_ok_and(|port| port != 0)
        && text.len() <= zajil_proto::limits::ADDRESS_BYTES_MAX
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

fn line_of_key(text: &str, key: &str) -> Option<usize> {
    text.lines()
        .position(|line| {
            let name = line.trim_start().split('=').next().unwrap_or_default().trim();
            name.trim_matches(|c| c == '[' || c == ']' || c == '"') == key
        })
        .map(|index| index + 1)
}

/// Writes the file that `init` makes: it is its own manual.
pub fn shipped(listen: &[SocketAddr], public_address: Option<&str>, admission: AdmissionRule) -> String {
    let list = listen.iter().map(|address| format!("\"{address}\"")).collect::<Vec<_>>().join(", ");
    let public = match public_address {
        Some(address) => format!("public_address = \"{address}\""),
        None => "# public_address = \"203.0.113.7:443\"".into(),
    };
    let admission = match admission {
        AdmissionRule::Open => "open",
        AdmissionRule::Code => "code",
    };
    format!(
        r#"# Configuration of this Zajil relay. Check it with `zajil-relay check --dir DIR`.

# Where to listen, UDP and TCP alike.
listen = [{list}]

# host:port as phones reach this relay; it stands in the relay link.
{public}

# "open": anyone may make mailboxes. "code": only who has the relay link of `zajil-relay init --invite-only`.
admission = "{admission}"

# What one mailbox may hold.
# mailbox_bytes_max = 64000000
# mailbox_parcels_max = 2000

# The longest time a note may wait here, in days (1 to 90).
# lifetime_days_max = 90

# Space kept free, so that what was promised can be kept. Default: 5 % of the disk or 1 GB, whichever is smaller.
# disk_reserve_bytes = 1000000000

# "trusted" if this machine's clock is set by a time service.
# clock = "unknown"

# When phones should come by again, in minutes; 0 for no wish.
# next_visit_minutes = 0

# "error", "warn", "info", "debug" or "trace". At no level anything about people.
# log = "info"

# Where the key of the store lies, if not beside it: a memory stick that leaves with you makes a seized disk worthless.
# store_key = "/media/key/zajil-store.key"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> ConfigError {
        Config::parse(Path::new("relay.toml"), text).unwrap_err()
    }

    #[test]
    fn the_shipped_file_is_valid_and_means_the_defaults() {
        let default = Config::default();
        let text = shipped(&default.listen, None, AdmissionRule::Open);
        assert_eq!(Config::parse(Path::new("x"), &text), Ok(default));
    }

    #[test]
    fn every_key_stands_in_the_shipped_file_and_there_are_at_most_twelve() {
        let text = shipped(&[], None, AdmissionRule::Open);
        const { assert!(KEYS.len() <= 12) };
        for key in KEYS {
            assert!(text.lines().any(|line| line.trim_start_matches("# ").starts_with(&format!("{key} ="))), "{key}");
        }
    }

    #[test]
    fn every_shipped_example_can_be_switched_on() {
        let text = shipped(&Config::default().listen, None, AdmissionRule::Open);
        let on: String = text
            .lines()
            .map(|line| match line.strip_prefix("# ") {
                Some(setting) if KEYS.iter().any(|key| setting.starts_with(&format!("{key} ="))) => setting,
                _ => line,
            })
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(Config::parse(Path::new("x"), &on).is_ok());
    }

    #[test]
    fn an_unknown_key_is_refused_with_file_line_key_and_the_nearest_name() {
        let error = problem("log = \"info\"\n\nmailbox_byte_max = 5\n");
        assert_eq!((error.line, error.key.as_deref()), (Some(3), Some("mailbox_byte_max")));
        assert_eq!(
            error.to_string(),
            "relay.toml, line 3, key \"mailbox_byte_max\": there is no such key. Did you mean \"mailbox_bytes_max\"?"
        );
    }

    #[test]
    fn a_wrong_value_says_what_would_be_right() {
        for (text, wanted) in [
            ("log = \"inof\"", "Did you mean \"info\"?"),
            ("listen = \"0.0.0.0:443\"", "a list of addresses"),
            ("listen = [\"0.0.0.0\"]", "a list of addresses"),
            ("lifetime_days_max = 91", "from 1 to 90"),
            ("public_address = \"::1:443\"", "as devices reach this relay"),
            ("clock = true", "text in double quotes"),
            ("log = ", "key = value"),
        ] {
            assert!(problem(text).to_string().contains(wanted), "{text}: {}", problem(text));
        }
    }

    #[test]
    fn what_is_beyond_a_limit_is_refused_with_the_limit() {
        let nine = format!("listen = [{}]", ["\"127.0.0.1:443\""; LISTEN_ADDRESSES_MAX + 1].join(", "));
        let cases = [
            (nine, "it has 9 entries".to_owned()),
            (format!("mailbox_bytes_max = {}", MAILBOX_BYTES_MAX + 1), format!("to {MAILBOX_BYTES_MAX}")),
            (format!("mailbox_bytes_max = {}", PARCEL_BYTES_MAX - 1), format!("from {PARCEL_BYTES_MAX} ")),
            (format!("mailbox_parcels_max = {}", MAILBOX_PARCELS_MAX + 1), format!("to {MAILBOX_PARCELS_MAX}")),
            (format!("disk_reserve_bytes = {}", RESERVE_BYTES_MIN - 1), format!("from {RESERVE_BYTES_MIN} ")),
            ("next_visit_minutes = -1".to_owned(), "from 0 to 65535".to_owned()),
        ];
        for (text, wanted) in cases {
            assert!(problem(&text).to_string().contains(&wanted), "{text}: {}", problem(&text));
        }
    }

    #[test]
    fn one_address_that_others_can_reach_makes_a_link_without_being_declared() {
        let listening = |list: &str| Config::parse(Path::new("x"), &format!("listen = [{list}]")).unwrap();
        assert_eq!(listening("\"203.0.113.7:443\"").reachable_address().as_deref(), Some("203.0.113.7:443"));
        for list in ["\"0.0.0.0:443\"", "\"203.0.113.7:0\"", "\"203.0.113.7:443\", \"[::1]:443\""] {
            assert_eq!(listening(list).reachable_address(), None, "{list}");
        }
    }

    #[test]
    fn a_missing_file_says_how_to_make_one() {
        let error = Config::read(Path::new("/nonexistent/relay.toml")).unwrap_err();
        assert!(error.to_string().contains("zajil-relay init"));
    }
}
