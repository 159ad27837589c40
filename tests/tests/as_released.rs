//! What people run holds nothing of what only tests have: no switch, no counter, no fake sealing, no network in memory.

#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::MetadataCommand;
use zajil_proto::sealing::Sealing;
use zajil_proto::sealing::provider::{FAKE, FAKE_SHOWN};
use zajil_proto::simulation::{Situation, Switch};
use zajil_tests::binaries;

/// Features that no program may have, each of a package of ours.
const FORBIDDEN: [&str; 3] = ["fake-sealing", "memory-network", "simulation"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

fn forbidden_names() -> BTreeSet<&'static str> {
    let switches = Switch::ALL.iter().map(|switch| switch.name());
    let situations = Situation::ALL.iter().map(|situation| situation.name());
    switches.chain(situations).chain([FAKE_SHOWN]).collect()
}

/// Returns which of `names`, all small letters and hyphens, stand anywhere in a program.
fn found(program: &Path, names: &BTreeSet<&'static str>) -> BTreeSet<&'static str> {
    let bytes = std::fs::read(program).unwrap_or_else(|error| panic!("{}: {error}", program.display()));
    let shortest = names.iter().map(|name| name.len()).min().expect("there are names");
    // Texts stand in a program one behind the other, without anything between them.
    let runs = bytes.split(|byte| !byte.is_ascii_lowercase() && *byte != b'-');
    let runs = runs.filter(|run| run.len() >= shortest && run.contains(&b'-'));
    let runs: BTreeSet<&str> = runs.filter_map(|run| str::from_utf8(run).ok()).collect();
    names.iter().copied().filter(|name| runs.iter().any(|run| run.contains(name))).collect()
}

#[test]
fn the_programs_hold_no_switch_no_situation_and_no_fake_sealing() {
    let names = forbidden_names();
    for program in [binaries::relay(), binaries::client()] {
        assert_eq!(found(program, &names), BTreeSet::new(), "in {}", program.display());
        // Shows that the search reads what is there.
        let own = BTreeSet::from(["zajil-relay"]);
        assert_eq!(found(program, &own), own, "in {}", program.display());
    }
}

#[test]
fn a_program_with_the_features_is_found_out() {
    let sealing: &dyn Sealing = &FAKE;
    assert_eq!(format!("{sealing:?}"), FAKE_SHOWN);
    let names = forbidden_names();
    let this = std::env::current_exe().expect("a test knows where it is");
    assert_eq!(found(&this, &names), names);
}

/// The features that each of our packages has where `package` is built alone, as people get it.
fn features(package: &str) -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let arguments =
        ["tree", "--locked", "--offline", "-p", package, "-e", "no-dev", "--prefix", "none", "-f", "{p}\t{f}"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let tree = String::from_utf8(output.stdout).expect("cargo prints text");
    let mut features: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines().filter(|line| line.starts_with("zajil-")) {
        let (package, enabled) = line.split_once('\t').expect("two columns");
        let name = package.split(' ').next().expect("a name").to_owned();
        let enabled =
            enabled.split([',', ' ']).map(str::to_owned).filter(|feature| feature.starts_with(char::is_alphabetic));
        features.entry(name).or_default().extend(enabled);
    }
    features
}

#[test]
fn what_is_built_by_itself_asks_for_no_feature_of_the_tests() {
    for program in ["zajil-relay", "zajil-client"] {
        let features = features(program);
        assert!(features.contains_key("zajil-net") && features.contains_key("zajil-proto"), "{program}: {features:?}");
        for (package, enabled) in features {
            let wrong: Vec<_> = FORBIDDEN.iter().filter(|feature| enabled.contains(**feature)).collect();
            assert!(wrong.is_empty(), "{program} builds {package} with {wrong:?}");
        }
    }
}

#[test]
fn the_tests_ask_for_all_of_them_and_are_built_only_when_named() {
    let enabled: BTreeSet<String> = features("zajil-tests").into_values().flatten().collect();
    assert!(FORBIDDEN.iter().all(|feature| enabled.contains(*feature)), "{enabled:?}");

    let options = ["--offline", "--locked", "--no-deps"].map(str::to_owned);
    let metadata = MetadataCommand::new().current_dir(root()).other_options(options).exec().expect("cargo answers");
    let named = |ids: Vec<&cargo_metadata::Package>| -> BTreeSet<String> {
        ids.into_iter().map(|package| package.name.to_string()).collect()
    };
    let (all, usual) = (named(metadata.workspace_packages()), named(metadata.workspace_default_packages()));
    assert!(all.contains("zajil-tests") && usual.contains("zajil-relay") && usual.contains("zajil-client"));
    for with_features in ["zajil-tests", "linkem"] {
        assert!(!usual.contains(with_features), "a plain `cargo build` would enable the features of the tests");
    }
}

#[test]
fn no_command_of_ours_builds_packages_of_people_together_with_the_tests() {
    // In pieces, or this file would be found.
    let together = concat!("--work", "space");
    let listed = ["ls-files", "-z", "xtask", ".ci", ".cargo", ".config"];
    let output = Command::new("git").args(listed).current_dir(root()).output().expect("git starts");
    let paths = String::from_utf8(output.stdout).expect("our paths are text");
    let mut read = 0;
    for path in paths.split('\0').filter(|path| !path.is_empty()) {
        let text = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        read += 1;
        assert!(!text.contains(together), "{path} builds with {together}");
    }
    assert!(read > 10, "git tracks almost nothing of our commands");
}
