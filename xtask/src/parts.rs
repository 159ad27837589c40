//! The parts of `cargo xtask test`: what each one runs.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::process;
use crate::setup;
use crate::tally::{Runner, Skip, Tally};
use crate::workspace::{CLIENT, END_TO_END, Package, Program, RELAY, SIMULATION, Workspace};

/// The file in which tests report what they could not try, one line each with the reason.
const SKIPPED_FILE: &str = "ZAJIL_SKIPPED";

/// Tells the end-to-end tests where the relay's program is.
pub(crate) const RELAY_PATH: &str = "ZAJIL_RELAY_EXE";

/// Tells the end-to-end tests where the command line's program is.
pub(crate) const CLIENT_PATH: &str = "ZAJIL_CLI_EXE";

/// Lines of a failed command that are shown; the rest is in its log.
const SHOWN_LINES_MAX: usize = 300;

/// One part of everything that a change must pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Formatting.
    Fmt,
    /// Lints.
    Clippy,
    /// Documentation.
    Docs,
    /// Dependencies.
    Deny,
    /// The programs people run.
    Build,
    /// Unit, property and documentation tests.
    Unit,
    /// The whole system.
    E2e,
    /// The simulated world.
    Sim,
}

impl Part {
    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fmt => "fmt",
            Self::Clippy => "clippy",
            Self::Docs => "docs",
            Self::Deny => "deny",
            Self::Build => "build",
            Self::Unit => "unit",
            Self::E2e => "e2e",
            Self::Sim => "sim",
        }
    }

    /// What it does, in one line.
    pub(crate) fn purpose(self) -> &'static str {
        match self {
            Self::Fmt => "every file is formatted (cargo fmt --all mends it)",
            Self::Clippy => "no warning in any package, with and without sound",
            Self::Docs => "the documentation builds without a warning",
            Self::Deny => "licences, banned crates, sources and advisories",
            Self::Build => "the programs people run, each built by itself",
            Self::Unit => "unit, property and documentation tests of each package",
            Self::E2e => "the whole system, as its users and its enemies would use it",
            Self::Sim => "the simulated world: the standard seeds, every situation, every sabotage",
        }
    }

    /// Whether it needs what set-up installs.
    pub(crate) fn compiles(self) -> bool {
        !matches!(self, Self::Fmt | Self::Deny)
    }
}

/// Runs one part and counts what came of it.
#[derive(Debug)]
pub(crate) struct Stage<'a> {
    workspace: &'a Workspace,
    tally: Tally,
}

impl<'a> Stage<'a> {
    /// Nothing has run yet.
    pub(crate) fn new(workspace: &'a Workspace) -> Self {
        Self { workspace, tally: Tally::default() }
    }

    /// What came of it.
    pub(crate) fn into_tally(self) -> Tally {
        self.tally
    }

    /// Runs every command of a part; an error means that a command could not be run at all.
    pub(crate) fn run(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Fmt => self.check("fmt", &["fmt", "--all", "--", "--check", "-l"]),
            Part::Clippy => self.clippy(),
            Part::Docs => self.docs(),
            Part::Deny => self.deny(),
            Part::Build => self.build(),
            Part::Unit => self.unit(),
            Part::E2e => self.end_to_end(),
            Part::Sim => self.simulation(),
        }
    }

    /// Package by package: built together, one package's features would hide what another forgot to ask for.
    fn clippy(&mut self) -> Result<()> {
        for package in &self.workspace.packages {
            let name = package.name.as_str();
            let fatal = ["--", "-D", "warnings"];
            let usual = ["clippy", "--locked", "--all-targets", "-p", name];
            self.check(&format!("clippy {name}"), &[&usual[..], &fatal].concat())?;
            if package.sound {
                let sound = ["--features", "sound"];
                self.check(&format!("clippy {name} sound"), &[&usual[..], &sound, &fatal].concat())?;
            }
        }
        Ok(())
    }

    fn docs(&mut self) -> Result<()> {
        let mut arguments = vec!["doc", "--locked", "--no-deps", "--document-private-items"];
        for package in &self.workspace.packages {
            arguments.extend(["-p", package.name.as_str()]);
        }
        let mut command = self.cargo(&arguments);
        command.env("RUSTDOCFLAGS", "-D warnings");
        self.check_command("docs", command)
    }

    fn deny(&mut self) -> Result<()> {
        if !setup::install_cargo_deny(self.workspace, "install cargo-deny")? {
            self.tally.check("install cargo-deny", false);
            return Ok(());
        }
        self.check("deny", &["deny", "check", "bans", "licenses", "sources"])?;
        self.advisories()
    }

    /// Against the shared snapshot where it lies beside the project, else against a fresh copy where there is a network.
    fn advisories(&mut self) -> Result<()> {
        let databases = self.workspace.root.join("target/advisory-dbs"); // as `db-path` in deny.toml says
        let load = self.workspace.root.join("../shared/advisory-db/load");
        let have_database = if load.is_file() {
            let mut command = process::command(&load);
            command.arg(&databases);
            self.run_logged("load advisories", command)?.success
        } else {
            self.run_logged("fetch advisories", self.cargo(&["deny", "fetch", "db"]))?.success
        };
        if have_database {
            return self.check("advisories", &["deny", "--offline", "check", "advisories"]);
        }
        println!("  advisories not checked: no database");
        self.tally.skipped.push(Skip { what: "advisories not checked: no database".to_owned(), root_could: false });
        Ok(())
    }

    /// With sound first, so that what lies in the target folder afterwards is what the other parts use.
    fn build(&mut self) -> Result<()> {
        let sound = ["build", "--locked", "-p", CLIENT.package, "--bin", CLIENT.name, "--features", "sound"];
        self.check("build zajil sound", &sound)?;
        for program in [RELAY, CLIENT] {
            let built = self.program(program)?;
            self.tally.check(&format!("build {}", program.name), built.is_some());
        }
        Ok(())
    }

    fn unit(&mut self) -> Result<()> {
        let packages = self.workspace.packages.iter().filter(|package| package.name != END_TO_END);
        for Package { name, library, .. } in packages {
            // `--tests` is every target with tests in it, also of a package without a library.
            self.suite(name, name, &["--tests"], &[])?;
            if *library {
                let label = format!("doc tests {name}");
                let command = self.cargo(&["test", "--locked", "--doc", "-p", name]);
                self.suite_command(&label, Runner::Libtest, command)?;
            }
        }
        Ok(())
    }

    /// The tests start real programs, so those are built first, each by itself.
    fn end_to_end(&mut self) -> Result<()> {
        let (Some(relay), Some(client)) = (self.program(RELAY)?, self.program(CLIENT)?) else {
            self.tally.check("e2e (the programs do not build)", false);
            return Ok(());
        };
        let package = self.workspace.packages.iter().find(|package| package.name == END_TO_END);
        let tests = package.map(|package| package.tests.as_slice()).unwrap_or_default();
        let mut targets = vec!["--lib", "--bins"];
        for test in tests.iter().filter(|test| *test != SIMULATION) {
            targets.extend(["--test", test]);
        }
        self.suite(END_TO_END, END_TO_END, &targets, &[(RELAY_PATH, relay), (CLIENT_PATH, client)])
    }

    /// By itself, so that its time is seen: it takes every core for minutes.
    fn simulation(&mut self) -> Result<()> {
        self.suite(SIMULATION, END_TO_END, &["--test", SIMULATION], &[])
    }

    /// Builds one program by itself; `None` if that fails.
    pub(crate) fn program(&self, program: Program) -> Result<Option<PathBuf>> {
        let arguments = ["build", "--locked", "-p", program.package, "--bin", program.name];
        let mut command = self.cargo(&arguments);
        command.arg("--message-format=json-render-diagnostics");
        let built = self.run_logged(&format!("build {}", program.name), command)?;
        if built.success { Workspace::executable(program, &built.output).map(Some) } else { Ok(None) }
    }

    /// The tests in some targets of one package, by nextest where it is installed.
    fn suite(&mut self, label: &str, package: &str, targets: &[&str], environment: &[(&str, PathBuf)]) -> Result<()> {
        let nextest = self.cargo(&["nextest", "--version"]).output()?.status.success();
        let (runner, arguments): (_, &[&str]) = if nextest {
            let levels = ["--status-level", "skip", "--final-status-level", "fail"];
            (Runner::Nextest, &[&["nextest", "run", "--no-fail-fast", "--no-tests", "pass"], &levels[..]].concat())
        } else {
            (Runner::Libtest, &["test", "--no-fail-fast"])
        };
        let mut command = self.cargo(arguments);
        command.args(["--locked", "-p", package]).args(targets);
        command.envs(environment.iter().map(|(name, path)| (name, path)));
        self.suite_command(&format!("tests {label}"), runner, command)
    }

    fn suite_command(&mut self, label: &str, runner: Runner, mut command: Command) -> Result<()> {
        let skipped = self.workspace.log("skipped by the tests themselves")?;
        std::fs::write(&skipped, "").with_context(|| format!("could not write {}", skipped.display()))?;
        command.env(SKIPPED_FILE, &skipped);
        let finished = self.run_logged(label, command)?;
        self.tally.suite(label, runner, &finished.output, finished.success);
        self.tally.reported_skips(&std::fs::read_to_string(&skipped)?);
        Ok(())
    }

    fn cargo(&self, arguments: &[&str]) -> Command {
        let mut command = self.workspace.cargo();
        command.args(arguments);
        command
    }

    fn check(&mut self, label: &str, arguments: &[&str]) -> Result<()> {
        self.check_command(label, self.cargo(arguments))
    }

    fn check_command(&mut self, label: &str, command: Command) -> Result<()> {
        let success = self.run_logged(label, command)?.success;
        self.tally.check(label, success);
        Ok(())
    }

    /// Runs a command, and shows what it printed if it failed.
    fn run_logged(&self, label: &str, command: Command) -> Result<process::Finished> {
        let log = self.workspace.log(label)?;
        let finished = process::run_logged(command, label, &log)?;
        if !finished.success {
            let lines: Vec<&str> = finished.output.lines().filter(|line| !line.starts_with('{')).collect();
            let shown = lines.len().saturating_sub(SHOWN_LINES_MAX);
            println!("  {label} failed; all of it is in {}", log.display());
            for line in lines.iter().skip(shown) {
                println!("    {line}");
            }
        }
        Ok(finished)
    }
}
