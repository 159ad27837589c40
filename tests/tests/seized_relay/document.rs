//! The tables of `docs/THREAT_MODEL.md`, as a program reads them.

use std::collections::BTreeSet;

use crate::root;

/// A row of the table of threats.
#[derive(Debug, Clone)]
pub(crate) struct Threat {
    /// Its name in both languages, a letter and a number.
    pub(crate) id: String,
    /// What stands after it: who and what, what they do, what stands against it, what remains, and in English what shows it.
    pub(crate) cells: Vec<String>,
}

/// A page of the threat model.
#[derive(Debug)]
pub(crate) struct Document(String);

impl Document {
    /// Reads the page in English, which holds the inventory.
    pub(crate) fn read() -> Self {
        Self::at("docs/THREAT_MODEL.md")
    }

    /// Reads the page in Arabic.
    pub(crate) fn read_arabic() -> Self {
        Self::at("docs/THREAT_MODEL.ar.md")
    }

    fn at(path: &str) -> Self {
        Self(std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}")))
    }

    /// Returns the cells of every row of every table.
    fn rows(&self) -> impl Iterator<Item = Vec<String>> {
        let rows = self.0.lines().filter_map(|line| line.trim().strip_prefix('|')?.strip_suffix('|'));
        rows.map(|row| row.split('|').map(|cell| cell.trim().to_owned()).collect())
    }

    /// Returns what the inventory lists under this prefix: the names in the first cells, each in back quotes.
    pub(crate) fn listed(&self, prefix: &str) -> BTreeSet<String> {
        let first = self.rows().filter_map(|cells| cells.into_iter().next());
        let names = first.flat_map(|cell| cell.split('`').map(str::to_owned).collect::<Vec<_>>());
        names.filter(|name| name.starts_with(prefix)).collect()
    }

    /// Returns the threats, in order.
    pub(crate) fn threats(&self) -> Vec<Threat> {
        let is_id = |cell: &str| {
            let (letters, digits) = cell.split_at(cell.find(|letter: char| letter.is_ascii_digit()).unwrap_or(0));
            letters.len() == 1
                && letters.chars().all(|letter| letter.is_ascii_uppercase())
                && !digits.is_empty()
                && digits.chars().all(|digit| digit.is_ascii_digit())
        };
        let named = self.rows().filter(|cells| cells.first().is_some_and(|cell| is_id(cell)));
        named
            .map(|mut cells| {
                let id = cells.remove(0);
                Threat { id, cells }
            })
            .collect()
    }

    /// Returns every test that is named: what stands in back quotes and lies in a package.
    pub(crate) fn tests(&self) -> Vec<String> {
        let quoted = self.0.split('`').skip(1).step_by(2);
        let packages = ["proto/", "net/", "server/", "client/", "tests/"];
        quoted.filter(|name| packages.iter().any(|package| name.starts_with(package))).map(str::to_owned).collect()
    }
}
