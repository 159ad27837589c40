//! Disk space held back, so that on a full disk one can still delete.
//!
//! A write-ahead log must grow before anything can be removed. On a phone full of pictures that would mean: nothing can
//! be deleted because nothing was deleted. So a home holds some space, and gives it up for commits that take less than
//! they free.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use fs4::FileExt;

use super::StoreError;
use super::home::{self, Paths};
use crate::limits::{DISK_RESERVE_BYTES, DISK_RESERVE_BYTES_MIN};

/// The space held back, as a file without content.
pub(super) struct Reserve {
    path: PathBuf,
}

impl Reserve {
    pub(super) fn of(paths: &Paths) -> Self {
        Self { path: paths.reserve.clone() }
    }

    /// Holds back as much as the disk gives, half as long as the whole is not to be had.
    ///
    /// That there is none, or that the file system cannot hold back space, refuses nothing: the store works without.
    pub(super) fn hold(&self) {
        let held = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let mut wanted = DISK_RESERVE_BYTES;
        while wanted >= DISK_RESERVE_BYTES_MIN && wanted > held {
            if self.allocate(held, wanted).is_ok() {
                return;
            }
            wanted /= 2;
        }
    }

    /// Returns how much more the disk has, besides what is held back.
    pub(super) fn room(&self) -> Option<u64> {
        fs4::available_space(self.path.parent()?).ok()
    }

    fn allocate(&self, held: u64, wanted: u64) -> io::Result<()> {
        let mut options = OpenOptions::new();
        let file: File = options.write(true).create(true).truncate(false).mode(home::FILE_MODE).open(&self.path)?;
        if let Err(error) = FileExt::allocate(&file, wanted) {
            // A part of what was asked for may have been taken.
            file.set_len(held)?;
            return Err(error);
        }
        Ok(())
    }

    /// Gives the space up; says whether there was any.
    pub(super) fn give_up(&self) -> Result<bool, StoreError> {
        let held = std::fs::metadata(&self.path).map_or(0, |file| file.len());
        let removed = home::remove_if_there(&self.path);
        removed.map_err(|error| StoreError::from_io("giving up the reserve", &error))?;
        Ok(held > 0)
    }
}
