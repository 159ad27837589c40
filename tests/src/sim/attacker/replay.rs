//! Sends again what was sent before: other people's datagrams, and their own, of which they know what must not change.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io::IoSliceMut;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use quinn::AsyncUdpSocket;
use quinn::udp::{RecvMeta, Transmit};
use tokio::time::{Instant, sleep, sleep_until};
use zajil_net::Network;

use super::AttackScene;
use super::estate::{Keeper, Meanwhile};
use super::wiretap::{Captured, Datagram, Mangler, Wiretapped};
use crate::sim::plan::PersonId;

/// Datagrams sent at one time.
const AT_ONCE: usize = 16;
/// Pause between them.
const PAUSE: Duration = Duration::from_millis(20);
/// How long answers are awaited. A handshake that nobody goes on with is given up after 15 s.
const LISTENS: Duration = Duration::from_secs(30);
/// What a relay may send to an address that has shown nothing, in times of what came from there (RFC 9000 §8.1).
const AMPLIFICATION_MAX: usize = 3;
/// What it may send there beyond that, once for each connection: one datagram. A datagram that the relay never had is nothing
/// old to it. It takes the attacker's address for the phone's new one and has to probe it with a datagram that is padded to
/// this length (RFC 9000 §8.2.1). The RFC would have it shorter where three times what came is less; quinn sends a whole datagram
/// as long as anything of that is left. More than one probe for a connection would need it to move there again, and quinn
/// gives a probe up after 5.4 s at the earliest (three times the timeout that [`INITIAL_RTT`] begins with): later than the last
/// datagram is sent again.
///
/// To forbid moving (`ServerConfig::migration(false)`) would end every session whose provider gives it another port.
///
/// [`INITIAL_RTT`]: zajil_net::limits::INITIAL_RTT
const PROBE_BYTES: usize = 1_200;
/// Longest datagram there is.
const DATAGRAM_BYTES_MAX: usize = 65_535;
/// Under this number the attacker's own datagrams are kept.
pub(super) const OWN: u8 = 0;

/// Sends what somebody sent in the last `seconds` again, from an address of their own.
pub(super) async fn others(scene: &AttackScene, captured: &Captured, of: PersonId, seconds: u32) -> Vec<String> {
    let datagrams = captured.last(of, seconds);
    bring(scene, &datagrams, (captured, of)).await
}

/// Sends datagrams that `of` has sent, or would have sent, from an address of their own.
pub(super) async fn bring(
    scene: &AttackScene,
    datagrams: &[Datagram],
    (captured, of): (&Captured, PersonId),
) -> Vec<String> {
    let began = Instant::now();
    let Some((socket, sent)) = send_again(scene, datagrams).await else { return Vec::new() };
    captured.sent_again(of, sent);
    let received = received(&*socket).await;
    // What overtakes the phone's own datagrams at the relay makes the connection the attacker's; then quinn counts what the phone
    // goes on to send as if it came from there too, and what is sent again from yet another address. So it is no gift: somebody sent it.
    let recent = captured.last(of, u32::MAX).into_iter().filter(|datagram| datagram.at + LISTENS >= began);
    let own: usize = recent.map(|datagram| datagram.bytes.len()).sum();
    let connections = datagrams.iter().map(|datagram| datagram.from).collect::<BTreeSet<_>>().len();
    let again = captured.again_since(of, began - LISTENS).max(sent);
    let most = (again + own) * AMPLIFICATION_MAX + connections * PROBE_BYTES;
    if received > most {
        return vec![format!("{received} B came back for {sent} B that somebody else had sent before, and {most} may")];
    }
    Vec::new()
}

/// Does things at the relay, undoes some, sends all datagrams of the first session again, and looks what has changed by
/// it.
pub(super) async fn own(scene: &mut AttackScene) -> Vec<String> {
    let captured = Captured::default();
    captured.listen_to(OWN, LISTENS);
    let network = Arc::clone(&scene.network);
    let tapped: Arc<dyn Network> = Arc::new(Wiretapped::new(Arc::clone(&network), OWN, &captured, &Mangler::default()));
    let estate = match Keeper::open(scene, &tapped).await {
        Some(mut keeper) => keeper.lay_out(scene).await,
        None => None,
    };
    let Some(estate) = estate else { return Vec::new() };
    let released = match Keeper::open(scene, &network).await {
        Some(mut keeper) => keeper.release(&estate).await,
        None => None,
    };
    if released.is_none() {
        return Vec::new();
    }
    let mut breaches = others(scene, &captured, OWN, u32::MAX).await;
    let damage = estate.damage(scene, Meanwhile::Released).await;
    breaches.extend(damage.iter().map(|damage| format!("datagrams sent again changed something: {damage}")));
    let _unreachable = estate.clear(scene).await;
    breaches
}

/// Sends datagrams again; returns where the answers come, and the bytes that went. `None`: there is no socket to be had.
async fn send_again(scene: &AttackScene, datagrams: &[Datagram]) -> Option<(Arc<dyn AsyncUdpSocket>, usize)> {
    let socket = scene.network.bind_udp(SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0)).ok()?;
    let mut sent = 0;
    for some in datagrams.chunks(AT_ONCE) {
        for datagram in some {
            let destination = datagram.to;
            let transmit =
                Transmit { destination, ecn: None, contents: &datagram.bytes, segment_size: None, src_ip: None };
            sent += socket.try_send(&transmit).map_or(0, |()| datagram.bytes.len());
        }
        sleep(PAUSE).await;
    }
    Some((socket, sent))
}

/// Returns how many bytes come until [`LISTENS`] is over.
async fn received(socket: &dyn AsyncUdpSocket) -> usize {
    let until = Instant::now() + LISTENS;
    let (mut bytes, mut buffer) = (0, vec![0; DATAGRAM_BYTES_MAX]);
    loop {
        let next = poll_fn(|context| {
            let (mut buffers, mut meta) = ([IoSliceMut::new(&mut buffer)], [RecvMeta::default()]);
            match socket.poll_recv(context, &mut buffers, &mut meta) {
                Poll::Ready(got) => Poll::Ready(got.map(|_| meta[0].len)),
                Poll::Pending => Poll::Pending,
            }
        });
        tokio::select! {
            biased;
            got = next => match got {
                Ok(length) => bytes += length,
                Err(_) => return bytes,
            },
            () = sleep_until(until) => return bytes,
        }
    }
}
