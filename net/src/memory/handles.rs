use core::fmt;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::memory::MemoryWorld;
use crate::memory::effects::keep_waker;
use crate::memory::stream::Side;
use crate::seams::{ByteListener, ByteStream, Pending};

/// One end of a simulated byte stream.
pub(super) struct MemoryStream {
    world: MemoryWorld,
    id: u64,
    side: Side,
}

impl MemoryStream {
    pub(super) const fn new(world: MemoryWorld, id: u64, side: Side) -> Self {
        Self { world, id, side }
    }
}

impl AsyncRead for MemoryStream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let (id, side) = (self.id, self.side);
        let take = |bytes: &[u8]| {
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(bytes.get(..count).unwrap_or_default());
            count
        };
        self.world.with(|world| world.poll_read(id, side, context, take))
    }
}

impl AsyncWrite for MemoryStream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let (id, side) = (self.id, self.side);
        self.world.with(|world| world.poll_write(id, side, context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.world.with(|world| world.finish(self.id, self.side));
        Poll::Ready(Ok(()))
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.world.with(|world| world.let_go(self.id, self.side));
    }
}

/// Accepts simulated byte streams.
pub(super) struct MemoryListener {
    world: MemoryWorld,
    local: SocketAddr,
    /// Tells this listener from a later one at the same address.
    id: u64,
}

impl MemoryListener {
    pub(super) const fn new(world: MemoryWorld, local: SocketAddr, id: u64) -> Self {
        Self { world, local, id }
    }

    /// Returns the next stream that waits. A listener whose machine has crashed waits for ever.
    fn poll_accept(&self, context: &Context<'_>) -> Poll<MemoryStream> {
        let taken = self.world.with(|world| {
            let backlog = world.listeners.get_mut(&self.local).filter(|backlog| backlog.id == self.id)?;
            let next = backlog.waiting.pop_front();
            if next.is_none() {
                let spent = keep_waker(&mut backlog.acceptor, context.waker());
                world.effects.spend(spent);
            }
            next
        });
        match taken {
            Some(stream) => Poll::Ready(MemoryStream::new(self.world.clone(), stream, Side::Accepted)),
            None => Poll::Pending,
        }
    }
}

impl fmt::Debug for MemoryListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryListener(..)")
    }
}

impl ByteListener for MemoryListener {
    fn accept(&mut self) -> Pending<'_, io::Result<Box<dyn ByteStream>>> {
        Box::pin(async move {
            let stream = poll_fn(|context| self.poll_accept(context)).await;
            Ok(Box::new(stream) as Box<dyn ByteStream>)
        })
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.local)
    }
}

impl Drop for MemoryListener {
    fn drop(&mut self) {
        self.world.with(|world| {
            if world.listeners.get(&self.local).is_none_or(|backlog| backlog.id != self.id) {
                return;
            }
            let Some(backlog) = world.listeners.remove(&self.local) else { return };
            world.effects.spend(backlog.acceptor);
            backlog.waiting.into_iter().for_each(|stream| world.let_go(stream, Side::Accepted));
        });
    }
}
