//! Safeguards that can be broken on purpose, and counters of rare situations: for the simulated world, and nothing else.
//!
//! A simulation whose oracle never fails proves nothing. So each safeguard has a `Switch` that takes it away, and the oracle
//! must notice within a number of seeds; and each rare `Situation` counts how often it came about, so that a world too calm
//! to reach one is itself a failure.
//!
//! Both stand in the real code as one line each, [`sabotaged!`](crate::sabotaged) and [`reached!`](crate::reached). Without the feature
//! `simulation`, which the package `tests` alone enables, the first is the literal `false` and the second nothing: no name
//! and no branch of it is in what people run. A test builds both programs and searches them.
//!
//! [`accounted!`](crate::accounted) and [`uncounted!`](crate::uncounted) tell the world whose memory it is; without the feature they are what
//! stands in them.
//!
//! The state is the thread's: a simulated world is one thread, and two worlds in two threads know nothing of each other.

#[cfg(feature = "simulation")]
pub mod account;
#[cfg(feature = "simulation")]
pub mod situation;
#[cfg(feature = "simulation")]
pub mod state;
#[cfg(feature = "simulation")]
pub mod switch;

#[cfg(feature = "simulation")]
pub use situation::Situation;
#[cfg(feature = "simulation")]
pub use state::{begin, bites, on, reach, reached, used};
#[cfg(feature = "simulation")]
pub use switch::Switch;

/// Tells whether the simulated world has this safeguard switched off, and counts that it was asked where that matters.
///
/// `false` in every program. To be asked last: `if something_is_at_stake && sabotaged!(Name) { .. }`.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! sabotaged {
    ($switch:ident) => {
        $crate::simulation::bites($crate::simulation::Switch::$switch)
    };
}

/// Tells whether the simulated world has this safeguard switched off: never, since this build has no such switches.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! sabotaged {
    ($switch:ident) => {
        false
    };
}

/// Counts that the simulated world came into this situation.
///
/// Nothing in every program.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! reached {
    ($situation:ident) => {
        $crate::simulation::reach($crate::simulation::Situation::$situation)
    };
}

/// Counts nothing, since this build has no counters of situations.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! reached {
    ($situation:ident) => {{}};
}

/// Adds the names of all fields of a structure to a list, each as `place.field`. A field that is not named does not compile.
///
/// For the test that compares what a relay holds with what `docs/THREAT_MODEL.md` says it holds; only with the feature.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! name_fields {
    ($list:expr, $place:literal, $kind:ty, $name:ident { $($field:ident),+ $(,)? }) => {{
        const _: fn(&$kind) = |$name { $($field: _),+ }| {};
        $list.extend([$(concat!($place, ".", stringify!($field))),+]);
    }};
}

/// A future that the simulated world counts to the machine whose code spawns it here; in every program, the future.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! accounted {
    ($future:expr) => {
        $crate::simulation::account::accounted($future)
    };
}

/// The future, since this build counts nothing.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! accounted {
    ($future:expr) => {
        $future
    };
}

/// What the simulated world does not count as a machine's memory, since it stands for a disk or a link; in every program, the expression.
#[cfg(feature = "simulation")]
#[macro_export]
macro_rules! uncounted {
    ($work:expr) => {
        $crate::simulation::account::on_account($crate::simulation::account::WORLD, || $work)
    };
}

/// The expression, since this build counts nothing.
#[cfg(not(feature = "simulation"))]
#[macro_export]
macro_rules! uncounted {
    ($work:expr) => {
        $work
    };
}

/// Makes an enum without fields whose members have a name in kebab-case and a sentence.
#[cfg(feature = "simulation")]
macro_rules! named {
    ($(#[$about:meta])* $kind:ident { $($(#[doc = $what:literal])+ $member:ident = $name:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $kind {
            $($(#[doc = $what])+ $member,)+
        }

        impl $kind {
            /// All of them, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$member),+];

            /// Returns its name in kebab-case, for command lines and tables.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$member => $name),+ }
            }

            /// Returns what it is, in a sentence or two.
            pub const fn what(self) -> &'static str {
                match self { $(Self::$member => concat!($($what),+)),+ }.trim_ascii()
            }

            /// Returns the one of this name.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|member| member.name() == name)
            }
        }
    };
}
#[cfg(feature = "simulation")]
use named;

#[cfg(all(test, not(feature = "simulation")))]
mod tests {
    /// Names that are nowhere compile, since nothing of them is looked at. What the macros do with the feature is tested where
    /// it is enabled: in the package `tests`.
    #[test]
    fn without_the_feature_a_switch_is_the_literal_false_and_a_situation_nothing() {
        const OFF: bool = sabotaged!(NoSwitchOfThisName);
        const { assert!(!OFF) };
        reached!(NoSituationOfThisName);
        const SAME: u32 = uncounted!(accounted!(7));
        const { assert!(SAME == 7) };
    }
}
