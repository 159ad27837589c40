use core::fmt;
use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};
use zajil_proto::uncounted;

use crate::memory::effects::keep_waker;
use crate::memory::machine::Inbox;
use crate::memory::{MachineId, MemoryWorld, Packet};

/// A UDP socket of the simulated network. Sending never blocks.
pub(super) struct MemoryUdpSocket {
    world: MemoryWorld,
    machine: MachineId,
    local: SocketAddr,
    /// Tells this socket from a later one at the same address.
    id: u64,
}

impl MemoryUdpSocket {
    pub(super) const fn new(world: MemoryWorld, machine: MachineId, local: SocketAddr, id: u64) -> Self {
        Self { world, machine, local, id }
    }

    fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let asked = {
            let mut world = self.world.lock();
            let machine = world.machines.get(self.machine.0);
            let inbox = machine.and_then(|machine| machine.sockets.get(&self.local));
            if inbox.is_none_or(|inbox| inbox.id != self.id) {
                // The machine has crashed: what it still says, nobody hears.
                return;
            }
            let number = world.number(self.machine, to.ip());
            world.loss.clone().map(|loss| (loss, number))
        };
        let chosen =
            asked.is_some_and(|(loss, number)| loss(&Packet { from: self.local, to, bytes: bytes.len(), number }));
        uncounted!(self.world.with(|world| world.send(self.machine, self.local, to, bytes, chosen)));
    }
}

impl fmt::Debug for MemoryUdpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryUdpSocket(..)")
    }
}

impl AsyncUdpSocket for MemoryUdpSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Box::pin(AlwaysWritable)
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        let segment = transmit.segment_size.unwrap_or(transmit.contents.len()).max(1);
        for bytes in transmit.contents.chunks(segment) {
            self.send(transmit.destination, bytes);
        }
        Ok(())
    }

    fn poll_recv(
        &self,
        context: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        self.world.with(|world| {
            let Some(machine) = world.machines.get_mut(self.machine.0) else { return Poll::Pending };
            // Without an inbox of ours the machine has crashed, and nothing will ever come.
            let inbox = machine.sockets.get_mut(&self.local).filter(|inbox| inbox.id == self.id);
            let Some(inbox) = inbox else { return Poll::Pending };
            let mut count = 0;
            for (buffer, meta) in buffers.iter_mut().zip(metas) {
                if !receive(inbox, self.local, buffer, meta) {
                    break;
                }
                count += 1;
            }
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            let spent = keep_waker(&mut inbox.reader, context.waker());
            world.effects.spend(spent);
            Poll::Pending
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }

    fn may_fragment(&self) -> bool {
        false
    }
}

impl Drop for MemoryUdpSocket {
    fn drop(&mut self) {
        self.world.with(|world| world.close_socket(self.machine, self.local, self.id));
    }
}

/// Takes the next datagram out of an inbox; `false` if there is none.
fn receive(inbox: &mut Inbox, local: SocketAddr, buffer: &mut IoSliceMut<'_>, meta: &mut RecvMeta) -> bool {
    while let Some((from, bytes)) = inbox.arrived.pop_front() {
        // One that is longer than the receiver takes is lost, as everywhere.
        let Some(room) = buffer.get_mut(..bytes.len()) else { continue };
        room.copy_from_slice(&bytes);
        *meta = RecvMeta { addr: from, len: bytes.len(), stride: bytes.len(), ecn: None, dst_ip: Some(local.ip()) };
        return true;
    }
    false
}

#[derive(Debug)]
struct AlwaysWritable;

impl UdpPoller for AlwaysWritable {
    fn poll_writable(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
