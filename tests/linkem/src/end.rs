//! One end of a link: its namespace, its device and its addresses.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use crate::arguments::Ends;
use crate::errors::LinkError;
use crate::namespace::Namespace;
use crate::tun;

/// Packets that a device holds until the link takes them. So many that a burst is dropped, if at all, by the link's own queue,
/// which is the one that counts.
const DEVICE_PACKETS: &str = "10000";

/// One end of a link that stands.
#[derive(Debug)]
pub(crate) struct End {
    /// What it sends is read here, and what arrives is written.
    pub(crate) device: OwnedFd,
    /// Where its programs run. After the device: what is open there has to go first.
    pub(crate) namespace: Namespace,
}

/// Makes both ends: camp, then town.
pub(crate) fn make(ends: &Ends, mtu: usize) -> Result<(End, End), LinkError> {
    if !rustix::process::geteuid().is_root() {
        return Err(LinkError::NotRoot);
    }
    let camp = Plan { ends, mtu, name: &ends.ns_a, address: ends.ip_a, address_6: "fd77::1/64" };
    let town = Plan { ends, mtu, name: &ends.ns_b, address: ends.ip_b, address_6: "fd77::2/64" };
    Ok((camp.make()?, town.make()?))
}

struct Plan<'a> {
    ends: &'a Ends,
    mtu: usize,
    name: &'a str,
    address: Ipv4Addr,
    address_6: &'a str,
}

impl Plan<'_> {
    fn make(&self) -> Result<End, LinkError> {
        let namespace = Namespace::find_or_make(self.name, self.ends.keep_ns)?;
        let device = namespace.inside(|| {
            let device = tun::open_device(&self.ends.dev, self.name)?;
            self.set_kernel()?;
            Ok(device)
        })??;
        self.set_addresses(&namespace)?;
        if self.ends.tcp_cc != "system" {
            self.set_routes(&namespace)?;
        }
        Ok(End { device, namespace })
    }

    /// In the namespace: what the kernel is to do otherwise.
    fn set_kernel(&self) -> Result<(), LinkError> {
        let six = |key| format!("net/ipv6/conf/{}/{key}", self.ends.dev);
        if self.ends.ipv6 {
            for key in ["accept_dad", "router_solicitations", "accept_ra"] {
                sysctl(&six(key), "0")?;
            }
        } else {
            // Neighbours that look for each other would be among the packets. A kernel without IPv6 does not anyway.
            let off = sysctl(&six("disable_ipv6"), "1");
            let no_such_key = |error: &LinkError| matches!(error, LinkError::Sysctl { source, .. } if source.kind() == io::ErrorKind::NotFound);
            off.or_else(|error| if no_such_key(&error) { Ok(()) } else { Err(error) })?;
        }
        // One connection must not tell the next what the link is like.
        sysctl("net/ipv4/tcp_no_metrics_save", "1")?;
        self.ends.sysctl.iter().try_for_each(|(key, value)| sysctl(key, value))
    }

    fn set_addresses(&self, namespace: &Namespace) -> Result<(), LinkError> {
        let (device, mtu) = (self.ends.dev.as_str(), self.mtu.to_string());
        let address = format!("{}/{}", self.address, self.ends.prefix);
        namespace.ip(&["link", "set", "lo", "up"])?;
        namespace.ip(&["addr", "add", &address, "dev", device])?;
        if self.ends.ipv6 {
            namespace.ip(&["-6", "addr", "add", self.address_6, "dev", device, "nodad"])?;
        }
        namespace.ip(&["link", "set", device, "mtu", &mtu, "txqueuelen", DEVICE_PACKETS, "up"])
    }

    /// TCP's congestion control, by route: by sysctl a namespace may choose only from the host's list.
    fn set_routes(&self, namespace: &Namespace) -> Result<(), LinkError> {
        let (device, control) = (self.ends.dev.as_str(), self.ends.tcp_cc.as_str());
        let (network, address) = (network(self.address, self.ends.prefix), self.address.to_string());
        let usual = ["route", "replace", &network, "dev", device, "proto", "kernel", "scope", "link", "src", &address];
        namespace.ip(&[&usual[..], &["congctl", control]].concat())?;
        if self.ends.ipv6 {
            let usual = ["-6", "route", "replace", "fd77::/64", "dev", device, "proto", "kernel"];
            namespace.ip(&[&usual[..], &["congctl", control]].concat())?;
        }
        Ok(())
    }
}

/// Returns the network that an address is in: 10.77.0.0/24 for 10.77.0.1 and 24.
fn network(address: Ipv4Addr, prefix: u8) -> String {
    let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
    format!("{}/{prefix}", Ipv4Addr::from_bits(address.to_bits() & mask))
}

/// Sets what the kernel calls `net.ipv4.tcp_sack` or `net/ipv4/tcp_sack`, in the namespace of this thread.
fn sysctl(key: &str, value: &str) -> Result<(), LinkError> {
    // Dots may stand in the names of devices, so slashes are taken as they are.
    let path = if key.contains('/') { key.to_owned() } else { key.replace('.', "/") };
    let file = OpenOptions::new().write(true).open(format!("/proc/sys/{path}"));
    let written = file.and_then(|mut file| file.write_all(value.as_bytes()));
    written.map_err(|source| LinkError::Sysctl { key: key.to_owned(), value: value.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_the_address_without_its_host() {
        assert_eq!(network(Ipv4Addr::new(10, 77, 3, 9), 24), "10.77.3.0/24");
        assert_eq!(network(Ipv4Addr::new(10, 77, 3, 9), 30), "10.77.3.8/30");
        assert_eq!(network(Ipv4Addr::new(200, 77, 3, 9), 1), "128.0.0.0/1");
    }
}
