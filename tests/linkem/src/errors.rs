//! Why a link could not be made or kept.

use std::io;
use std::path::PathBuf;

/// `linkem` itself could not go on, as with `timeout` and `env`.
const FAILED: u8 = 125;
/// The command is there and cannot be started.
const NOT_STARTED: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;

/// Why a link could not be made or kept.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    /// Not root.
    #[error("only root may make network namespaces and TUN devices; start it with sudo")]
    NotRoot,
    /// No iproute2.
    #[error("could not start `ip`: {0}; on Debian the package iproute2 has it")]
    NoIp(#[source] io::Error),
    /// `ip` did not do it.
    #[error("`ip {arguments}` failed: {said}{}", hint(said))]
    Ip {
        /// What it was asked.
        arguments: String,
        /// What it said.
        said: String,
    },
    /// The namespace could not be entered.
    #[error("could not enter the network namespace {name}: {source}")]
    Namespace {
        /// Its name.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// No TUN.
    #[error("could not open /dev/net/tun: {0}; the kernel needs CONFIG_TUN (`modprobe tun`)")]
    NoTun(#[source] io::Error),
    /// Another link has the device.
    #[error("{namespace} has a link already; give this one namespaces of its own (--ns-a, --ns-b)")]
    Taken {
        /// The namespace.
        namespace: String,
    },
    /// The device could not be made.
    #[error("could not make the device {device} in {namespace} (a name has at most 15 letters): {source}")]
    Device {
        /// Its name.
        device: String,
        /// Where.
        namespace: String,
        /// Why.
        source: io::Error,
    },
    /// A kernel setting was refused.
    #[error("could not set {key} to {value}: {source}")]
    Sysctl {
        /// Which.
        key: String,
        /// To what.
        value: String,
        /// Why.
        source: io::Error,
    },
    /// A file could not be written.
    #[error("could not write {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be started.
    #[error("could not start {command:?}: {source}")]
    Program {
        /// Which.
        command: String,
        /// Why.
        source: io::Error,
    },
    /// The operating system refused something that it does not refuse.
    #[error("{what}: {source}")]
    System {
        /// What was asked.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

impl LinkError {
    /// Says with which status the program ends.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => NOT_FOUND,
            Self::Program { .. } => NOT_STARTED,
            _ => FAILED,
        }
    }

    /// Wraps what the operating system answered.
    pub(crate) fn system(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Says what to do about what `ip` said, where that is known.
fn hint(said: &str) -> &'static str {
    if said.contains("not permitted") {
        "; in a container this needs the capabilities SYS_ADMIN and NET_ADMIN"
    } else {
        ""
    }
}
