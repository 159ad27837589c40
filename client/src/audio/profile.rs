//! The five ways a voice is coded, from "a word gets through" to "good link".

use std::fmt;
use std::str::FromStr;

use opus::Bandwidth;
use thiserror::Error;

/// How a note is coded: bytes against clarity. All are Opus, mono, 60 ms frames.
///
/// The one-byte code is on the wire (docs/PROTOCOL.md, P4.5) and never changes its meaning. Sizes are what one second
/// of speech costs in Opus payload, measured; framing and sealing come on top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Profile {
    /// 6 kbit/s narrowband, about 660 bytes a second. Like an old telephone; words stay clear.
    Emergency,
    /// 7 kbit/s wideband, about 810 bytes a second. A first listen, made good by the decoder's enhancement.
    Thumbnail,
    /// 9 kbit/s wideband, about 1 040 bytes a second.
    Saver,
    /// 12 kbit/s wideband, about 1 400 bytes a second. Above what 32 kbit/s AAC gives.
    #[default]
    Default,
    /// 16 kbit/s wideband, about 1 900 bytes a second. Little is gained above this.
    GoodLink,
}

impl Profile {
    /// Every profile, fewest bytes first.
    pub const ALL: [Self; 5] = [Self::Emergency, Self::Thumbnail, Self::Saver, Self::Default, Self::GoodLink];

    /// The code on the wire, 1 to 5.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Emergency => 1,
            Self::Thumbnail => 2,
            Self::Saver => 3,
            Self::Default => 4,
            Self::GoodLink => 5,
        }
    }

    /// The name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Emergency => "emergency",
            Self::Thumbnail => "thumbnail",
            Self::Saver => "saver",
            Self::Default => "default",
            Self::GoodLink => "good-link",
        }
    }

    /// Target of the encoder in bits per second; variable bitrate moves around it.
    #[must_use]
    pub fn bits_per_second(self) -> i32 {
        match self {
            Self::Emergency => 6_000,
            Self::Thumbnail => 7_000,
            Self::Saver => 9_000,
            Self::Default => 12_000,
            Self::GoodLink => 16_000,
        }
    }

    /// The audio bandwidth, always forced.
    ///
    /// Left to itself libopus takes narrowband at 8 kbit/s and hybrid modes from 16 kbit/s, and both score lower than
    /// wideband at the same rate; a mode that moves would also change the TOC byte within a note.
    pub(crate) fn bandwidth(self) -> Bandwidth {
        match self {
            Self::Emergency => Bandwidth::Narrowband,
            Self::Thumbnail | Self::Saver | Self::Default | Self::GoodLink => Bandwidth::Wideband,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A byte that names no profile of this version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("no voice profile has the code {got}; known are 1 to 5")]
pub struct UnknownProfileCode {
    /// The byte that came.
    pub got: u8,
}

impl TryFrom<u8> for Profile {
    type Error = UnknownProfileCode;

    fn try_from(code: u8) -> Result<Self, UnknownProfileCode> {
        Self::ALL.into_iter().find(|profile| profile.code() == code).ok_or(UnknownProfileCode { got: code })
    }
}

/// A word that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("no voice profile is called “{got}”; there are emergency, thumbnail, saver, default, good-link")]
pub struct UnknownProfileName {
    /// The word that came.
    pub got: String,
}

impl FromStr for Profile {
    type Err = UnknownProfileName;

    fn from_str(name: &str) -> Result<Self, UnknownProfileName> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.name() == name)
            .ok_or_else(|| UnknownProfileName { got: name.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_one_to_five_and_lead_back() {
        for (profile, code) in Profile::ALL.into_iter().zip(1u8..) {
            assert_eq!(profile.code(), code);
            assert_eq!(Profile::try_from(code), Ok(profile));
        }
        assert_eq!(Profile::try_from(0), Err(UnknownProfileCode { got: 0 }));
        assert_eq!(Profile::try_from(6), Err(UnknownProfileCode { got: 6 }));
    }

    #[test]
    fn every_name_that_is_shown_is_understood() {
        for profile in Profile::ALL {
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
        assert!("Default".parse::<Profile>().is_err(), "names are exact");
    }

    #[test]
    fn more_bytes_never_come_before_fewer() {
        assert!(Profile::ALL.is_sorted_by_key(|profile| profile.bits_per_second()));
        assert_eq!(Profile::default(), Profile::Default);
    }
}
