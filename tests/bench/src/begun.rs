//! What a run that was stopped had measured.

use std::io;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::series::{Case, Summary};

/// What was measured so far, and with what. On disk after each line; gone once all is measured.
#[derive(Debug)]
pub struct Begun {
    path: Option<PathBuf>,
    kept: Kept,
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    /// Length and age of the program: another one begins anew.
    program: (u64, u64),
    first_seed: u64,
    seeds: u64,
    lines: Vec<Summary>,
}

impl Begun {
    /// Goes on from `path` if the same program measured the same seeds there; begins anew else. `None`: keeps nothing.
    ///
    /// # Errors
    /// The program cannot look at itself.
    pub fn at(path: Option<&Path>, first_seed: u64, seeds: u64) -> io::Result<Self> {
        let itself = std::env::current_exe()?.metadata()?;
        let age = itself.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
        let program = (itself.len(), u64::try_from(age.as_micros()).unwrap_or(u64::MAX));
        let before: Option<Kept> = path.and_then(|path| serde_json::from_slice(&std::fs::read(path).ok()?).ok());
        let is_ours = |kept: &Kept| (kept.program, kept.first_seed, kept.seeds) == (program, first_seed, seeds);
        let kept = before.filter(is_ours).unwrap_or(Kept { program, first_seed, seeds, lines: Vec::new() });
        Ok(Self { path: path.map(Path::to_owned), kept })
    }

    /// Returns what was measured of a case already.
    pub fn line(&self, case: &Case) -> Option<&Summary> {
        self.kept
            .lines
            .iter()
            .find(|line| (&line.link, &*line.way, &*line.start) == (&case.name, case.way(), case.start()))
    }

    /// Keeps a line.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn keep(&mut self, line: Summary) -> io::Result<()> {
        self.kept.lines.push(line);
        let Some(path) = &self.path else { return Ok(()) };
        // Whole or not at all: a run may be stopped here, too.
        let beside = path.with_extension("new");
        std::fs::write(&beside, serde_json::to_vec(&self.kept)?)?;
        std::fs::rename(beside, path)
    }

    /// Everything is measured: the next run begins anew.
    ///
    /// # Errors
    /// What was kept cannot be removed.
    pub fn end(self) -> io::Result<()> {
        match self.path {
            Some(path) if path.exists() => std::fs::remove_file(path),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::series::{cases, measure};

    #[test]
    fn a_run_that_was_stopped_goes_on_and_one_of_other_seeds_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("begun.json");
        let [first, second, ..] = cases("lan").unwrap();
        let mut begun = Begun::at(Some(&path), 1, 2).unwrap();
        assert!(begun.line(&first).is_none());
        begun.keep(measure(&first, 1, 2, 2)).unwrap();
        let again = Begun::at(Some(&path), 1, 2).unwrap();
        assert_eq!(again.line(&first), begun.line(&first));
        assert!(again.line(&first).is_some() && again.line(&second).is_none());
        for (seed, seeds) in [(2, 2), (1, 3)] {
            assert!(Begun::at(Some(&path), seed, seeds).unwrap().line(&first).is_none());
        }
        again.end().unwrap();
        assert!(!path.exists());
        std::fs::write(&path, b"{ half of it").unwrap();
        assert!(Begun::at(Some(&path), 1, 2).unwrap().line(&first).is_none());
    }
}
