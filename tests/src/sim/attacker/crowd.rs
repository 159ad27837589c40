//! Takes up room: connections that say nothing, and notes that nobody will hear.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;
use zajil_proto::limits::IDLE_MILLIS;
use zajil_proto::time::Lifetime;
use zajil_proto::wire::{Code, Frame, Precision, Prove, Register, Scope};
use zajil_relay::limits::{MAILBOX_BYTES_MAX, MAILBOX_PARCELS_MAX};

use super::AttackScene;
use super::estate::Keeper;
use crate::device::Device;
use crate::parcels::Pair;
use crate::sessions::Raw;

/// Longest time a connection that says nothing may be held: the session's idle time, the transport's after that if the
/// relay's last word was lost, and a minute.
const SILENCE_MAX: Duration = Duration::from_millis(2 * IDLE_MILLIS + 60_000);
/// Sealed chunks of 100 kB.
const CHUNKS: usize = 98;
/// Mailboxes that one hoarder fills before it is enough.
const MAILBOXES_MAX: usize = 4;

/// Opens connections, says nothing in any, and waits until the relay has ended them all.
pub(super) async fn flood(scene: &mut AttackScene, connections: u16) -> Vec<String> {
    let mut held = JoinSet::new();
    for _ in 0..connections {
        // One that is refused is what a relay's bound is for.
        let dialling = scene.dialling();
        let clock = Arc::clone(&scene.clock);
        held.spawn(async move {
            if let Some(connection) = dialling.await {
                Device::over(connection, Raw::default(), clock).end().await;
            }
        });
    }
    let ended = async { while held.join_next().await.is_some() {} };
    match timeout(SILENCE_MAX, ended).await {
        Ok(()) => Vec::new(),
        Err(_) => vec!["a connection that never said anything was held for ever".to_owned()],
    }
}

/// Makes a mailbox, so that the disk has to do, and asks for `requests` slots in the same breath. What of these waits at the relay
/// is counted there; whoever asks too fast is sent away, or, where the disk is fast, answered.
pub(super) async fn pour(scene: &mut AttackScene, requests: u16) -> Vec<String> {
    let Some(mut peer) = scene.peer().await else { return Vec::new() };
    let pair = Pair::draw(&mut scene.chance);
    let prove = Prove::sign(Scope::Mailbox, pair.write.public(), &pair.read, &peer.exporter);
    let register = Register {
        request: 1,
        scope: Scope::Mailbox,
        write_key: pair.write.public(),
        read_tag: pair.read_tag(),
        parcels_max: 0,
        bytes_max: 0,
        valid_hours: 0,
        precision: Precision::SixHours,
        homes: Vec::new(),
        admission: scene.relay.admission.clone(),
    };
    let mut breath = [Frame::Prove(prove).encode(), Frame::Register(register).encode()].concat();
    let asked = Frame::SeenGet { request: 2, slot: pair.slot() }.encode();
    breath.extend(asked.repeat(requests.into()));
    peer.say_bytes(breath).await;
    let mut answers = 0;
    while answers < requests {
        match peer.hear().await {
            Some(Frame::SeenAnswer(_)) => answers += 1,
            Some(_) => {}
            None => break,
        }
    }
    Vec::new()
}

/// Fills mailboxes of their own with notes of 100 kB until the relay takes no more, or `parcels` are there.
pub(super) async fn hoard(scene: &mut AttackScene, parcels: u16) -> Vec<String> {
    let network = Arc::clone(&scene.network);
    let Some(mut keeper) = Keeper::open(scene, &network).await else { return Vec::new() };
    let (mut left, mut breaches) = (parcels, Vec::new());
    for _ in 0..MAILBOXES_MAX {
        let pair = Pair::draw(&mut scene.chance);
        if left == 0 || keeper.register(scene, Scope::Mailbox, &pair).await.is_none() {
            break;
        }
        let (mut bytes, mut held) = (0, 0);
        while left > 0 {
            let parcel = pair.parcel(&mut scene.chance, CHUNKS, Lifetime::LONGEST);
            match keeper.offer(&parcel).await {
                Some(Code::OK) => {
                    held += 1;
                    left -= 1;
                    bytes += u64::from(parcel.parcel.header.sealed_length().unwrap_or(0));
                }
                Some(Code::MAILBOX_FULL) => break,
                // The disk is full, or the relay has enough of us, or is gone.
                _ => return breaches,
            }
            if bytes > MAILBOX_BYTES_MAX || held > MAILBOX_PARCELS_MAX {
                breaches.push(format!("one mailbox took {held} parcels of {bytes} B"));
                break;
            }
        }
    }
    breaches
}
