//! The golden vectors of the seals are what an independent program makes of the protocol's text: `proto/vectors/sealing_model.py`, run
//! again here where Python and its package `cryptography` are. Nothing is fetched.
#![cfg(test)] // always true here; tells clippy that the functions beside the tests are test code too

use std::path::Path;
use std::process::Command;

use zajil_tests::skipped::skipped;

#[test]
fn the_model_makes_every_golden_vector_again() {
    let what = "the golden vectors, made again by their model";
    let asks = "from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey";
    match Command::new("python3").args(["-c", asks]).output() {
        Ok(output) if output.status.success() => {}
        Ok(_) => return skipped(what, "Python here has no `cryptography` with ML-KEM (48 or newer)"),
        Err(_) => return skipped(what, "there is no Python here"),
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace");
    let vectors = root.join("proto/vectors");
    let made = tempfile::tempdir().expect("a folder");
    let output =
        Command::new("python3").arg(vectors.join("sealing_model.py")).arg(made.path()).output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = |folder: &Path| {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").file_name());
        let names = entries.map(|name| name.into_string().expect("our names are text"));
        let mut names: Vec<String> =
            names.filter(|name| name.starts_with("sealing_") && name.ends_with(".txt")).collect();
        names.sort();
        names
    };
    let mut known = names(&vectors);
    // What the model takes apart, and cannot make: see there.
    known.retain(|name| name != "sealing_encapsulation.txt");
    assert_eq!(names(made.path()), known);
    for name in known {
        let text = |folder: &Path| std::fs::read_to_string(folder.join(&name)).expect("a text");
        assert!(text(made.path()) == text(&vectors), "{name} is not what the model makes");
    }
}
