use core::future::poll_fn;
use core::task::{Context, Poll};
use core::time::Duration;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError, Weak};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::memory::MemoryWorld;
use crate::memory::effects::keep_waker;
use crate::memory::world::{Carrier, World};

/// Carries everything that is on its way in a world, as long as there is one.
pub(super) async fn carry(world: Weak<Mutex<World>>) {
    let round = Round { world };
    let mut timer: Option<Pin<Box<Sleep>>> = None;
    poll_fn(|context| match round.world.upgrade() {
        Some(state) => poll_carry(&MemoryWorld { state }, &mut timer, context),
        None => Poll::Ready(()),
    })
    .await;
}

/// Says so when the carrier is gone, as with its runtime: another may be wanted.
struct Round {
    world: Weak<Mutex<World>>,
}

impl Drop for Round {
    fn drop(&mut self) {
        if let Some(world) = self.world.upgrade() {
            let former = std::mem::take(&mut world.lock().unwrap_or_else(PoisonError::into_inner).carrier);
            // Dropped here, where the world is not locked: with a waker may go whom it would have woken.
            drop::<Carrier>(former);
        }
    }
}

fn poll_carry(world: &MemoryWorld, timer: &mut Option<Pin<Box<Sleep>>>, context: &mut Context<'_>) -> Poll<()> {
    loop {
        let next = world.with(|world| {
            world.advance();
            let spent = keep_waker(&mut world.carrier.waker, context.waker());
            world.effects.spend(spent);
            world.carrier.looks_at = world.agenda.next_at();
            world.carrier.looks_at.map(|at| world.start + Duration::from_nanos(at))
        });
        let Some(deadline) = next else {
            // A timer that still runs would move paused time on to nothing.
            timer.take_if(|timer| !timer.is_elapsed());
            return Poll::Pending;
        };
        if poll_timer(timer, deadline, context).is_pending() {
            return Poll::Pending;
        }
    }
}

fn poll_timer(timer: &mut Option<Pin<Box<Sleep>>>, deadline: Instant, context: &mut Context<'_>) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if timer.deadline() != deadline {
        timer.as_mut().reset(deadline);
    }
    timer.as_mut().poll(context)
}
