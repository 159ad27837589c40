//! A link that stands, and the loop that carries its packets.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use zajil_net::links::{LinkSettings, OneWay};

use crate::arguments::Ends;
use crate::clock::Clock;
use crate::end;
use crate::errors::LinkError;
use crate::lateness::Lateness;
use crate::namespace::Namespace;
use crate::trace::Trace;
use crate::way::Way;

/// Packets taken in before what is due is handed over: reading so many takes about 0.1 ms.
const BATCH_PACKETS: usize = 32;
/// Largest packet that a device hands out, bytes: what the length in an IP header can say.
const PACKET_BYTES_MAX: usize = 65_535;

/// A link between two namespaces. It goes, with what it has made, when it is dropped.
#[derive(Debug)]
pub(crate) struct Link {
    /// From camp to town.
    pub(crate) up: Lane,
    /// From town to camp.
    pub(crate) down: Lane,
    /// When it came up.
    pub(crate) clock: Clock,
    /// How late packets were handed over.
    pub(crate) lateness: Lateness,
    /// How often the loop woke up.
    pub(crate) wakeups: u64,
    /// Camp's namespace. After the devices: what is open there goes first.
    pub(crate) camp: Namespace,
    /// Town's.
    pub(crate) town: Namespace,
    trace: Option<Trace>,
    buffer: Vec<u8>,
}

/// One direction and its devices.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What the trace calls it.
    name: &'static str,
    /// What is on its way.
    pub(crate) way: Way,
    from: OwnedFd,
    to: OwnedFd,
}

/// Why carrying was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pause {
    /// What was listened to has something to say.
    Called,
    /// The time is over.
    Time,
}

impl Link {
    /// Brings a link up. All its chance comes from `seed`.
    pub(crate) fn new(
        ends: &Ends,
        (up, down): (LinkSettings, LinkSettings),
        seed: u64,
        trace: Option<Trace>,
    ) -> Result<Self, LinkError> {
        let (camp, town) = end::make(ends, up.mtu_bytes.max(down.mtu_bytes))?;
        let copy = |device: &OwnedFd| device.try_clone().map_err(LinkError::system("could not share a device"));
        let (up, down) = OneWay::both(up, down, seed);
        let (to_camp, to_town) = (copy(&camp.device)?, copy(&town.device)?);
        Ok(Self {
            up: Lane { name: "up", way: Way::new(up), from: camp.device, to: to_town },
            down: Lane { name: "down", way: Way::new(down), from: town.device, to: to_camp },
            clock: Clock::start(),
            lateness: Lateness::default(),
            wakeups: 0,
            camp: camp.namespace,
            town: town.namespace,
            trace,
            buffer: vec![0; PACKET_BYTES_MAX],
        })
    }

    /// Carries packets until `ear` has something to read, or until this time since the link came up.
    pub(crate) fn carry(&mut self, ear: BorrowedFd<'_>, until: Option<Duration>) -> Result<Pause, LinkError> {
        loop {
            self.hand_over()?;
            let now = self.clock.now();
            if until.is_some_and(|until| until <= now) {
                return Ok(Pause::Time);
            }
            let next = [self.up.way.next_at(), self.down.way.next_at(), until].into_iter().flatten().min();
            let [up, down, called] = self.wait(ear, next.map(|next| next.saturating_sub(now)))?;
            self.wakeups += 1;
            // What is due goes out before anything is taken in: reading must not make it late.
            self.hand_over()?;
            if up {
                Self::take_in(&mut self.up, self.clock, &mut self.buffer, &mut self.trace)?;
                self.hand_over()?;
            }
            if down {
                Self::take_in(&mut self.down, self.clock, &mut self.buffer, &mut self.trace)?;
            }
            if called {
                return Ok(Pause::Called);
            }
        }
    }

    /// Writes the trace out.
    pub(crate) fn finish_trace(&mut self) -> Result<(), LinkError> {
        self.trace.take().map_or(Ok(()), Trace::finish)
    }

    /// Waits for packets of either end or for the ear, at most this long; says which.
    fn wait(&self, ear: BorrowedFd<'_>, most: Option<Duration>) -> Result<[bool; 3], LinkError> {
        let mut sources = [
            PollFd::new(&self.up.from, PollFlags::IN),
            PollFd::new(&self.down.from, PollFlags::IN),
            PollFd::from_borrowed_fd(ear, PollFlags::IN),
        ];
        let most = most.and_then(|most| Timespec::try_from(most).ok());
        match poll(&mut sources, most.as_ref()) {
            // A signal: the ear has it, and is asked at once.
            Ok(_) | Err(Errno::INTR) => Ok(sources.map(|source| !source.revents().is_empty())),
            Err(error) => Err(LinkError::System { what: "could not wait for packets", source: error.into() }),
        }
    }

    fn take_in(lane: &mut Lane, clock: Clock, buffer: &mut [u8], trace: &mut Option<Trace>) -> Result<(), LinkError> {
        for _ in 0..BATCH_PACKETS {
            // Nothing more to read, or a device that is down: the next look will tell.
            let Ok(length) = rustix::io::read(&lane.from, &mut *buffer) else { break };
            let packet = buffer.get(..length).unwrap_or_default();
            let now = clock.now();
            if let (number, Some(cause)) = lane.way.offer(now, packet)
                && let Some(trace) = trace
            {
                trace.dropped(lane.name, number, packet, now, cause)?;
            }
        }
        Ok(())
    }

    /// Hands over everything that is due.
    fn hand_over(&mut self) -> Result<(), LinkError> {
        for lane in [&mut self.up, &mut self.down] {
            while let Some(flying) = lane.way.take_due(self.clock.now()) {
                let written = rustix::io::write(&lane.to, &flying.packet);
                let refused = written != Ok(flying.packet.len());
                let now = self.clock.now();
                self.lateness.add(now.saturating_sub(flying.at));
                lane.way.count(now, &flying.packet, refused);
                if let Some(trace) = &mut self.trace {
                    trace.handed_over(lane.name, &flying, now, refused)?;
                }
            }
        }
        Ok(())
    }
}
