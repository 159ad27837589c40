//! What a person may choose: part of [`api`](super::api).

use serde::{Deserialize, Serialize};
use zajil_net::LinkClass;

/// Receipts a contact gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Receipts {
    /// None.
    Off,
    /// With the next thing sent to them anyway, or within a day.
    Later,
    /// At once.
    AtOnce,
}

/// What a relay may tell a contact about when a word arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SeenPrecision {
    /// No slot at all.
    Off,
    /// Within six hours.
    SixHours,
    /// Within a day.
    Day,
}

/// What a link carries, as whoever holds the telephone may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Link {
    /// GPRS.
    Gprs,
    /// EDGE.
    Edge,
    /// Third generation and better, Wi-Fi, cables.
    Fast,
    /// A satellite terminal.
    Satellite,
}

impl From<Link> for LinkClass {
    fn from(link: Link) -> Self {
        match link {
            Link::Gprs => Self::Slowest,
            Link::Edge => Self::Slow,
            Link::Fast => Self::Ordinary,
            Link::Satellite => Self::Satellite,
        }
    }
}

/// How long the sound of a note stays after it has done its work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Span {
    /// Until somebody erases it.
    Off,
    /// A day.
    Day,
    /// Seven days.
    #[default]
    Week,
    /// Thirty days.
    Month,
}

impl Span {
    /// Returns it in minutes; `None` for ever.
    #[must_use]
    pub const fn minutes(self) -> Option<u32> {
        match self {
            Self::Off => None,
            Self::Day => Some(DAY_MINUTES),
            Self::Week => Some(7 * DAY_MINUTES),
            Self::Month => Some(30 * DAY_MINUTES),
        }
    }
}

const DAY_MINUTES: u32 = 24 * 60;

/// What may be chosen for a contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SpanChoice {
    /// This long.
    Own(Span),
    /// As for everybody.
    AsDefault,
}

/// What is chosen about notes that disappear.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DisappearingView {
    /// For everybody without a choice of their own.
    pub default: Span,
    /// Whether nothing but what was not heard stays.
    pub quiet: bool,
    /// Whom it was asked about.
    pub contact: Option<String>,
    /// What is chosen for them, if anything is.
    pub own: Option<Span>,
}
