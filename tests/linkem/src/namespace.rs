//! Network namespaces with names, as `ip netns` has them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::fd::AsFd;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::errors::LinkError;

/// Where `ip netns` keeps them.
const FOLDER: &str = "/run/netns";

/// A namespace, deleted at the end if it was made here.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
    deletes: bool,
}

impl Namespace {
    /// Finds the namespace, or makes it. What was there before, and what is to be kept, is not deleted at the end.
    pub(crate) fn find_or_make(name: &str, keep: bool) -> Result<Self, LinkError> {
        let is_there = path(name).exists();
        if !is_there {
            ip(&["netns", "add", name])?;
        }
        Ok(Self { name: name.to_owned(), deletes: !is_there && !keep })
    }

    /// Runs `ip` with these arguments on what is in it.
    pub(crate) fn ip(&self, arguments: &[&str]) -> Result<(), LinkError> {
        ip(&[&["-n", self.name.as_str()], arguments].concat())
    }

    /// Does something in it, in a thread of its own: devices, sockets and programs that are made there stay in it.
    pub(crate) fn inside<T: Send>(&self, act: impl FnOnce() -> T + Send) -> Result<T, LinkError> {
        let failed = |source| LinkError::Namespace { name: self.name.clone(), source };
        let namespace = File::open(path(&self.name)).map_err(failed)?;
        let entered = thread::scope(|scope| {
            let thread = scope.spawn(|| {
                move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
                Ok::<_, rustix::io::Errno>(act())
            });
            thread.join()
        });
        match entered {
            Ok(done) => done.map_err(|error| failed(error.into())),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if self.deletes
            && let Err(error) = ip(&["netns", "del", &self.name])
        {
            eprintln!("linkem: {error}");
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

fn ip(arguments: &[&str]) -> Result<(), LinkError> {
    let output = Command::new("ip").args(arguments).output().map_err(LinkError::NoIp)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LinkError::Ip { arguments: arguments.join(" "), said })
}
