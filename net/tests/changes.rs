//! What the kernel tells of this machine's links.
#![cfg(test)]
#![cfg(target_os = "linux")]

#[expect(unreachable_pub, reason = "it is shared with packages in which it is public")]
#[path = "../../tests/src/skipped.rs"]
mod skipped;

use std::process::Command;
use std::time::Duration;

use tokio::time::timeout;
use zajil_net::{Network, SystemNetwork};

/// Longer than a kernel takes to tell of what was done, on any machine.
const SOON: Duration = Duration::from_secs(20);

/// Runs `ip`; says whether it did what it was told.
fn ip(words: &str) -> bool {
    let ended = Command::new("ip").args(words.split(' ')).status();
    ended.is_ok_and(|status| status.success())
}

#[tokio::test]
async fn a_link_that_comes_is_told_and_so_is_one_that_goes() {
    let name = format!("zajil{}", std::process::id() % 100_000);
    let mut changes = SystemNetwork.changes().expect("the kernel lets anybody listen");
    if !ip(&format!("tuntap add dev {name} mode tun")) {
        return skipped::skipped("a link that comes and goes", "only root may make one");
    }
    let came = timeout(SOON, changes.next()).await;
    let is_removed = ip(&format!("tuntap del dev {name} mode tun"));
    // What came while nobody listened is told to who listens later.
    let went = timeout(SOON, changes.next()).await;
    assert!(is_removed, "a link of this test is left over: {name}");
    assert!(came.is_ok() && went.is_ok(), "{came:?} {went:?}");
}
