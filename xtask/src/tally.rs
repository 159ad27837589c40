//! What the test runners said, as numbers and names.

/// Counts of one part or of all of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Tests that ran and held, and checks that found nothing.
    pub(crate) passed: usize,
    /// What failed, by name.
    pub(crate) failed: Vec<String>,
    /// What was not tried, by name, with the reason where it is known.
    pub(crate) skipped: Vec<Skip>,
}

/// Something that was not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Skip {
    /// What, and why.
    pub(crate) what: String,
    /// Whether root could have tried it: then, as root, this skip is a failure.
    pub(crate) root_could: bool,
}

impl Tally {
    /// Counts one check that passed or failed as a whole.
    pub(crate) fn check(&mut self, label: &str, success: bool) {
        if success {
            self.passed += 1;
        } else {
            self.failed.push(label.to_owned());
        }
    }

    /// Adds another tally to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Takes in what a test runner printed; `success` is its exit status.
    ///
    /// A runner that failed without naming a failed test (it did not compile, it was killed) counts as one failure.
    pub(crate) fn suite(&mut self, label: &str, runner: Runner, output: &str, success: bool) {
        let mut found = match runner {
            Runner::Nextest => nextest(label, output),
            Runner::Libtest => libtest(label, output),
        };
        if !success && found.failed.is_empty() {
            found.failed.push(format!("{label} (ended early; its log says why)"));
        }
        self.add(found);
    }

    /// Moves the tests that reported a skip themselves from passed, where their runner counted them, to skipped.
    pub(crate) fn reported_skips(&mut self, lines: &str) {
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
            self.passed = self.passed.saturating_sub(1);
            // What the tests say of that which this machine's kernel has not.
            let root_could = !line.ends_with(", and nobody could");
            self.skipped.push(Skip { what: line.to_owned(), root_could });
        }
    }
}

/// Who ran the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Runner {
    /// `cargo nextest run`, with `--status-level skip --final-status-level fail`.
    Nextest,
    /// `cargo test`.
    Libtest,
}

/// Reads the summary line and the names of what failed or was skipped.
///
/// A failing test's own output stands between, so only lines of nextest's own shape count.
fn nextest(label: &str, output: &str) -> Tally {
    let mut tally = Tally::default();
    let Some((_, summary)) = output.rsplit_once("\n     Summary [") else {
        return tally;
    };
    let (counts, listed) = summary.split_once('\n').unwrap_or((summary, ""));
    tally.passed = number_before(counts, "passed");
    for (status, name) in listed.lines().filter_map(|line| line.split_once(") ")) {
        if status.trim_start().starts_with(|character: char| character.is_ascii_uppercase()) {
            push_once(&mut tally.failed, name.trim());
        }
    }
    let failures =
        number_before(counts, "failed") + number_before(counts, "timed out") + number_before(counts, "exec failed");
    while tally.failed.len() < failures {
        tally.failed.push(format!("{label} (a test that was not named)"));
    }
    let skips = number_before(counts, "skipped");
    let names = output.lines().filter_map(|line| line.trim_start().strip_prefix("SKIP "));
    for name in names.filter_map(|line| line.split_once(") ").map(|(_, name)| name.trim())).take(skips) {
        tally.skipped.push(ignored(name));
    }
    while tally.skipped.len() < skips {
        tally.skipped.push(ignored(label));
    }
    tally
}

/// Reads every `test result:` line and the names of what failed or was ignored.
fn libtest(label: &str, output: &str) -> Tally {
    let mut tally = Tally::default();
    for counts in output.lines().filter_map(|line| line.strip_prefix("test result: ")) {
        tally.passed += number_before(counts, "passed");
        let failures = tally.failed.len() + number_before(counts, "failed");
        tally.failed.resize(failures, format!("{label} (a test that was not named)"));
        let skips = tally.skipped.len() + number_before(counts, "ignored");
        tally.skipped.resize(skips, ignored(label));
    }
    let tests = || output.lines().filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    let failed = tests().filter(|(_, verdict)| verdict.starts_with("FAILED")).map(|(name, _)| name);
    for (slot, name) in tally.failed.iter_mut().zip(failed) {
        *slot = format!("{label} {name}");
    }
    let skipped = tests().filter(|(_, verdict)| verdict.starts_with("ignored"));
    for (slot, (name, verdict)) in tally.skipped.iter_mut().zip(skipped) {
        *slot = ignored(&format!("{label} {name} {}", verdict.trim_start_matches("ignored").trim_start_matches(',')));
    }
    tally
}

fn ignored(name: &str) -> Skip {
    Skip { what: format!("{} (ignored)", name.trim()), root_could: true }
}

fn push_once(names: &mut Vec<String>, name: &str) {
    if !names.iter().any(|known| known == name) {
        names.push(name.to_owned());
    }
}

/// The number that stands before a word: 3 in `3 tests run: 2 passed (1 slow), 1 failed` for `tests`.
fn number_before(text: &str, word: &str) -> usize {
    text.split([',', ':', ';', '.', ']'])
        .filter_map(|piece| piece.trim().split_once(' '))
        .filter(|(_, rest)| rest.starts_with(word))
        .find_map(|(number, _)| number.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEXTEST: &str = "    Starting 4 tests across 1 binary (1 test skipped)
        SKIP [         ] (─────────) nt tests::is_ignored
     SIGABRT [   0.005s] (1/3) nt tests::aborts
  stdout ───
    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 3 filtered out; finished in 0.11s
────────────
     Summary [   0.121s] 4 tests run: 2 passed (1 slow), 1 failed, 1 timed out, 1 skipped
     SIGABRT [   0.005s] (1/3) nt tests::aborts
     TIMEOUT [   0.118s] (3/3) nt tests::hangs
error: test run failed
";

    #[test]
    fn nextests_summary_is_counted_and_a_failing_tests_own_output_is_not() {
        let mut tally = Tally::default();
        tally.suite("nt", Runner::Nextest, NEXTEST, false);
        assert_eq!(tally.passed, 2);
        assert_eq!(tally.failed, ["nt tests::aborts", "nt tests::hangs"]);
        assert_eq!(tally.skipped, [Skip { what: "nt tests::is_ignored (ignored)".to_owned(), root_could: true }]);
    }

    #[test]
    fn libtests_results_are_summed_over_binaries() {
        let output = "running 2 tests
test is_slow ... ignored, too slow
test holds ... ok
test breaks ... FAILED
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.07s
running 1 test
test result: ok. 5 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s
";
        let mut tally = Tally::default();
        tally.suite("nt", Runner::Libtest, output, false);
        assert_eq!(tally.passed, 6);
        assert_eq!(tally.failed, ["nt breaks"]);
        assert_eq!(tally.skipped.first().map(|skip| skip.what.as_str()), Some("nt is_slow  too slow (ignored)"));
    }

    #[test]
    fn a_runner_that_ends_early_is_one_failure() {
        for runner in [Runner::Nextest, Runner::Libtest] {
            let mut tally = Tally::default();
            tally.suite("nt", runner, "error: could not compile `nt`", false);
            assert_eq!((tally.passed, tally.failed.len()), (0, 1));
        }
    }

    #[test]
    fn a_test_that_reports_a_skip_is_not_counted_as_passed() {
        let mut tally = Tally { passed: 3, ..Tally::default() };
        tally.reported_skips("power cut: no loop device\n\nlinks: no TUN, and nobody could\n");
        assert_eq!(tally.passed, 1);
        let skip = |what: &str, root_could| Skip { what: what.to_owned(), root_could };
        let told = [skip("power cut: no loop device", true), skip("links: no TUN, and nobody could", false)];
        assert_eq!(tally.skipped, told);
    }
}
