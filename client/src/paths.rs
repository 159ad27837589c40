//! Where a device keeps its things, as the command line and the daemon find it. The engine knows no paths.

use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// Bytes the path of a unix socket may have on the systems at hand: Linux takes 108, others 104, with the final zero.
const SOCKET_PATH_BYTES_MAX: usize = 103;

/// Chooses the home: what was asked for, else `ZAJIL_HOME`, else `zajil` in the account's data folder.
///
/// `variable` gives the value of an environment variable; an empty one counts as absent. `None` if even the account has
/// no folder.
#[must_use]
pub fn home(asked: Option<&Path>, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    if let Some(path) = asked {
        return Some(path.to_owned());
    }
    if let Some(path) = variable("ZAJIL_HOME").filter(|value| !value.is_empty()) {
        return Some(PathBuf::from(path));
    }
    let strategy = etcetera::choose_base_strategy().ok()?;
    Some(strategy.data_dir().join("zajil"))
}

/// The daemon's private socket in a home.
#[must_use]
pub fn socket(home: &Path) -> PathBuf {
    home.join("daemon.sock")
}

/// Whether a path is short enough for a socket.
#[must_use]
pub fn fits_socket(path: &Path) -> bool {
    path.as_os_str().len() <= SOCKET_PATH_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_wins_over_the_environment() {
        let variable = |name: &str| (name == "ZAJIL_HOME").then(|| "/from/environment".to_owned());
        assert_eq!(home(Some(Path::new("/asked")), variable), Some(PathBuf::from("/asked")));
        assert_eq!(home(None, variable), Some(PathBuf::from("/from/environment")));
    }

    #[test]
    fn a_path_that_no_system_takes_for_a_socket_is_known_before() {
        assert!(fits_socket(&socket(Path::new("/var/people/amal/.local/share/zajil"))));
        assert!(!fits_socket(&socket(Path::new(&"/long".repeat(30)))));
    }
}
