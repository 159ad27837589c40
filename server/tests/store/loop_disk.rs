//! A disk of our own to pull the plug of: an ext4 image behind a loop device. Needs root.

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// The file in which a test reports what it could not try, one line each.
const SKIPPED: &str = "ZAJIL_SKIPPED";

/// An image that is mounted until this is dropped, also by a panic.
pub(crate) struct LoopDisk {
    mounted_at: PathBuf,
    _directory: TempDir,
    image: PathBuf,
}

impl LoopDisk {
    /// Makes and mounts an empty file system; the error is what the system said.
    pub(crate) fn new(megabytes: u64) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let image = directory.path().join("disk.img");
        File::create(&image).and_then(|file| file.set_len(megabytes << 20)).map_err(|error| error.to_string())?;
        run("mkfs.ext4", &[OsStr::new("-q"), OsStr::new("-F"), image.as_os_str()])?;
        Self::mount(directory, image)
    }

    /// Mounts what the disk holds at this moment: the image has what was synced and whatever else had reached it.
    pub(crate) fn as_a_power_cut_leaves_it(&self) -> Result<Self, String> {
        let directory = tempfile::tempdir().expect("a directory");
        let image = directory.path().join("disk.img");
        run("cp", &[OsStr::new("--sparse=always"), self.image.as_os_str(), image.as_os_str()])?;
        Self::mount(directory, image)
    }

    fn mount(directory: TempDir, image: PathBuf) -> Result<Self, String> {
        let mounted_at = directory.path().join("disk");
        std::fs::create_dir(&mounted_at).expect("a mount point");
        run("mount", &[OsStr::new("-o"), OsStr::new("loop"), image.as_os_str(), mounted_at.as_os_str()])?;
        Ok(Self { mounted_at, _directory: directory, image })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.mounted_at
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // `mount -o loop` frees the loop device with the mount. Lazily, so that a file left open by a panic keeps nothing.
        if let Err(error) = run("umount", &[OsStr::new("--lazy"), self.mounted_at.as_os_str()]) {
            eprintln!("{}: {error}", self.mounted_at.display());
        }
    }
}

fn run(program: &str, arguments: &[&OsStr]) -> Result<(), String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{program}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}

/// Returns a disk, or `None` after reporting that this test was skipped.
pub(crate) fn disk_or_skip(test: &str, megabytes: u64) -> Option<LoopDisk> {
    match LoopDisk::new(megabytes) {
        Ok(disk) => Some(disk),
        Err(reason) => {
            let line = format!("{test}: no loop-mounted disk ({reason})\n");
            eprint!("skipped: {line}");
            if let Some(path) = std::env::var_os(SKIPPED) {
                let mut file =
                    OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests");
                file.write_all(line.as_bytes()).expect("the list of skipped tests");
            }
            None
        }
    }
}
