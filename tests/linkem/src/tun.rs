//! The one thing for which no kept crate has a safe call: asking for a TUN device.
#![expect(unsafe_code, reason = "TUNSETIFF is an ioctl; the argument stands beside the call")]

use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags, open};
use rustix::ioctl::{Updater, ioctl, opcode};

use crate::errors::LinkError;

/// `TUNSETIFF`, linux/if_tun.h. The header says `int`, and every kernel takes a `struct ifreq`.
const TUNSETIFF: u32 = opcode::write::<c_int>(b'T', 202);
/// `IFF_TUN` (IP packets, no Ethernet) and `IFF_NO_PI` (nothing before them), linux/if_tun.h.
const IP_PACKETS: u16 = 0x0001 | 0x1000;
/// Length of an interface's name, the zero at its end included, linux/if.h.
const NAME_BYTES: usize = 16;

/// `struct ifreq`, linux/if.h: a name and a union, of which this is the member `ifru_flags`.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; NAME_BYTES],
    flags: u16,
    rest_of_union: [u8; 22],
}

// The kernel reads and writes this many bytes on 64-bit machines, and 32 on others.
const _: () = assert!(size_of::<InterfaceRequest>() == 40);

/// Makes a device of IP packets in the network namespace of this thread. It goes when it is closed; reading does not block.
pub(crate) fn open_device(name: &str, namespace: &str) -> Result<OwnedFd, LinkError> {
    let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let device = open("/dev/net/tun", flags, Mode::empty()).map_err(|error| LinkError::NoTun(error.into()))?;
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::ResourceBusy => LinkError::Taken { namespace: namespace.to_owned() },
        _ => LinkError::Device { device: name.to_owned(), namespace: namespace.to_owned(), source },
    };
    let mut request = InterfaceRequest { name: [0; NAME_BYTES], flags: IP_PACKETS, rest_of_union: [0; 22] };
    // One byte less: the zero at the end.
    let room = request.name.get_mut(..name.len()).filter(|room| room.len() < NAME_BYTES);
    room.ok_or_else(|| failed(io::ErrorKind::InvalidFilename.into()))?.copy_from_slice(name.as_bytes());
    // SAFETY: the kernel reads a `struct ifreq` at the pointer and writes one back, no more (tun_chr_ioctl, drivers/net/tun.c).
    // `request` has its layout and at least its size, every bit pattern is a value of it, and `Updater` holds it exclusively.
    unsafe { ioctl(&device, Updater::<TUNSETIFF, _>::new(&mut request)) }.map_err(|error| failed(error.into()))?;
    Ok(device)
}
