//! What a fresh Debian 12 machine lacks, and how it gets it.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;
use crate::workspace::Workspace;

/// The version of cargo-deny that `deny.toml` is written for.
const CARGO_DENY: &str = "0.20.2";

/// Something that must be on the machine.
struct Need {
    /// Debian's package that has it.
    package: &'static str,
    /// How to see that it is there.
    probe: Probe,
    /// What it is for.
    purpose: &'static str,
}

enum Probe {
    /// A program.
    Program(&'static str),
    /// A C library, by pkg-config's name for it.
    Library(&'static str),
}

const NEEDS: &[Need] = &[
    Need { package: "cmake", probe: Probe::Program("cmake"), purpose: "builds the Opus codec" },
    Need { package: "make", probe: Probe::Program("make"), purpose: "builds the Opus codec" },
    Need { package: "pkg-config", probe: Probe::Program("pkg-config"), purpose: "finds the sound library" },
    Need { package: "libasound2-dev", probe: Probe::Library("alsa"), purpose: "microphone and loudspeaker" },
    Need { package: "e2fsprogs", probe: Probe::Program("mkfs.ext4"), purpose: "the power-cut test's disk" },
    Need { package: "iproute2", probe: Probe::Program("ip"), purpose: "links between network namespaces" },
    Need { package: "mount", probe: Probe::Program("losetup"), purpose: "the power-cut test's disk" },
];

/// What others' programs are measured with: only for who asks for that.
const PEERS: &[Need] = &[
    Need { package: "nginx-light", probe: Probe::Program("nginx"), purpose: "notes by HTTPS, to compare with" },
    Need { package: "curl", probe: Probe::Program("curl"), purpose: "notes by HTTPS, to compare with" },
    Need { package: "openssl", probe: Probe::Program("openssl"), purpose: "a certificate for these" },
    Need { package: "mosquitto", probe: Probe::Program("mosquitto"), purpose: "notes by MQTT, to compare with" },
    Need {
        package: "mosquitto-clients",
        probe: Probe::Program("mosquitto_pub"),
        purpose: "notes by MQTT, to compare with",
    },
];

/// Whether this process may do everything on this machine.
pub(crate) fn is_root() -> Result<bool> {
    let output = Command::new("id").arg("-u").output().context("could not start id")?;
    Ok(output.stdout.trim_ascii() == b"0")
}

/// Installs what is missing, as root or through a sudo that asks no question.
///
/// # Errors
///
/// If something is missing and cannot be installed; the error is the command that would.
pub(crate) fn install_missing(workspace: &Workspace) -> Result<()> {
    install(workspace, NEEDS)
}

/// Installs what others' programs are measured with. Debian starts the servers; nothing here needs them to run.
///
/// # Errors
///
/// As [`install_missing`].
pub(crate) fn install_peers(workspace: &Workspace) -> Result<()> {
    install(workspace, PEERS)
}

fn install(workspace: &Workspace, needs: &[Need]) -> Result<()> {
    let missing: Vec<&Need> = needs.iter().filter(|need| !is_there(&need.probe)).collect();
    if missing.is_empty() {
        println!("set-up: nothing is missing");
        return Ok(());
    }
    for need in &missing {
        println!("set-up: {} is missing ({})", need.package, need.purpose);
    }
    let packages: Vec<&str> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("apt-get update && apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !process::on_path("apt-get") {
        bail!("this machine has no apt-get; on Debian 12 this would do: {by_hand}");
    }
    let root = is_root()?;
    let sudo = !root && Command::new("sudo").args(["-n", "true"]).output().is_ok_and(|output| output.status.success());
    if !root && !sudo {
        bail!("run this as root, then start again:\n\n    {by_hand}\n");
    }
    apt_get(workspace, sudo, &["update"], &by_hand)?;
    apt_get(workspace, sudo, &[&["install", "-y", "--no-install-recommends"], packages.as_slice()].concat(), &by_hand)?;
    match missing.iter().find(|need| !is_there(&need.probe)) {
        None => Ok(()),
        Some(need) => bail!("{} is installed, but what it is for ({}) is still not found", need.package, need.purpose),
    }
}

/// Installs cargo-deny if it is missing.
pub(crate) fn install_cargo_deny(workspace: &Workspace, label: &str) -> Result<bool> {
    let version = workspace.cargo().args(["deny", "--version"]).output()?;
    if version.status.success() {
        return Ok(true);
    }
    println!("  cargo-deny is missing; it is built once, in three to four minutes");
    let mut install = workspace.cargo();
    install.args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY]);
    // Its own build must not land among ours, nor be found by what reads our target folder.
    install.env_remove("CARGO_TARGET_DIR");
    Ok(process::run_logged(install, label, &workspace.log(label)?)?.success)
}

fn apt_get(workspace: &Workspace, sudo: bool, arguments: &[&str], by_hand: &str) -> Result<()> {
    println!("set-up: apt-get {}", arguments.join(" "));
    let mut command = process::command(if sudo { "sudo" } else { "apt-get" });
    if sudo {
        command.args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
    }
    // Another apt may hold the lock on a machine that has just started.
    command.args(["-q", "-o", "DPkg::Lock::Timeout=120"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    let finished = process::run_logged(command, "apt-get", &workspace.log("apt-get")?)?;
    if !finished.success {
        bail!(
            "{}
apt-get failed; this is what it was asked to do:

    {by_hand}
",
            finished.output
        );
    }
    Ok(())
}

fn is_there(probe: &Probe) -> bool {
    match probe {
        Probe::Program(name) => process::on_path(name),
        Probe::Library(name) => {
            Command::new("pkg-config").args(["--exists", name]).status().is_ok_and(|status| status.success())
        }
    }
}
