//! What the kernel tells of links, addresses and routes that come and go: rtnetlink(7).

use core::time::Duration;
use std::io;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink, socket_with};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until};

use crate::seams::{Changes, Pending};

/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV4_ROUTE`, `RTMGRP_IPV6_IFADDR`, `RTMGRP_IPV6_ROUTE`.
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;
/// How long what comes together is awaited: a link is up before it has an address, and that before there is a route.
const SETTLES: Duration = Duration::from_millis(200);
/// Least time between two changes that are told: a link that flaps is no reason to look for a relay more often.
const APART: Duration = Duration::from_secs(1);
/// Bytes of one message that are read; what they say is not looked at.
const READ_BYTES: usize = 256;

/// Listens to the kernel.
#[derive(Debug)]
pub(crate) struct KernelChanges {
    /// To the runtime, a socket of datagrams is one like another.
    socket: UdpSocket,
    /// When the first message came of those that were not told yet.
    heard: Option<Instant>,
    /// When something was last told.
    told: Option<Instant>,
}

impl KernelChanges {
    /// Begins to listen.
    ///
    /// # Errors
    /// What the operating system says: on Android no program may.
    pub(crate) fn listen() -> io::Result<Self> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        rustix::net::bind(&socket, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
        Ok(Self { socket: UdpSocket::from_std(socket.into())?, heard: None, told: None })
    }

    /// Waits for a message, and for what follows it at once. Dropped meanwhile, it has forgotten nothing.
    async fn wait(&mut self) -> io::Result<()> {
        let heard = match self.heard {
            Some(heard) => heard,
            None => {
                counts(self.socket.recv(&mut [0; READ_BYTES]).await)?;
                *self.heard.insert(Instant::now())
            }
        };
        let earliest = self.told.map_or(heard, |told| told + APART);
        sleep_until(earliest.max(heard + SETTLES)).await;
        (self.heard, self.told) = (None, Some(Instant::now()));
        loop {
            match counts(self.socket.try_recv(&mut [0; READ_BYTES])) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                read => read?,
            }
        }
    }
}

/// A message that the kernel had to drop was one too.
fn counts(read: io::Result<usize>) -> io::Result<()> {
    match read {
        Err(error) if error.raw_os_error() != Some(Errno::NOBUFS.raw_os_error()) => Err(error),
        _ => Ok(()),
    }
}

impl Changes for KernelChanges {
    fn next(&mut self) -> Pending<'_, ()> {
        Box::pin(async move {
            if self.wait().await.is_err() {
                // Nothing more is told; whoever looks for a relay goes on without.
                core::future::pending().await
            }
        })
    }
}
