use core::fmt;
use std::io;
use std::net::UdpSocket;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use quinn::{AsyncTimer, AsyncUdpSocket, Runtime, TokioRuntime};
use tokio::task::AbortHandle;
use zajil_proto::accounted;

/// Tasks whose end is looked for at the least before there is room for more.
const HANDLES_MIN: usize = 32;

/// The tasks that run on one machine for its QUIC endpoints.
#[derive(Default)]
pub(super) struct Tasks {
    state: Mutex<TaskList>,
}

#[derive(Default)]
struct TaskList {
    /// How often the machine has crashed: what was made before belongs to a machine that is no more.
    crashes: u64,
    handles: Vec<AbortHandle>,
    /// How many there may be before the finished ones are forgotten.
    room: usize,
}

impl Tasks {
    /// Returns how many live.
    pub(super) fn count(&self) -> usize {
        let mut list = self.lock();
        list.handles.retain(|task| !task.is_finished());
        list.handles.len()
    }

    /// Aborts them all, and from now on whatever is spawned for the machine as it was.
    pub(super) fn crash(&self) {
        let aborted = {
            let mut list = self.lock();
            list.crashes += 1;
            list.handles.retain(|task| !task.is_finished());
            list.handles.clone()
        };
        aborted.iter().for_each(AbortHandle::abort);
    }

    fn add(&self, task: AbortHandle, crashes: u64) {
        let mut list = self.lock();
        let alive = list.crashes == crashes;
        if list.handles.len() >= list.room {
            list.handles.retain(|task| !task.is_finished());
            list.room = (list.handles.len() * 2).max(HANDLES_MIN);
        }
        list.handles.push(task.clone());
        drop(list);
        if !alive {
            task.abort();
        }
    }

    fn lock(&self) -> MutexGuard<'_, TaskList> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs quinn's tasks in tokio, and knows them, so that a crash can end them.
pub(super) struct MemoryRuntime {
    tasks: Arc<Tasks>,
    crashes: u64,
}

impl MemoryRuntime {
    /// For the machine after its `crashes`-th crash.
    pub(super) const fn new(tasks: Arc<Tasks>, crashes: u64) -> Self {
        Self { tasks, crashes }
    }
}

impl fmt::Debug for MemoryRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryRuntime(..)")
    }
}

impl Runtime for MemoryRuntime {
    fn new_timer(&self, at: Instant) -> Pin<Box<dyn AsyncTimer>> {
        TokioRuntime.new_timer(at)
    }

    fn spawn(&self, future: Pin<Box<dyn Future<Output = ()> + Send>>) {
        // A machine that is no more gets its task too, aborted before it begins: quinn spawns under locks that dropping
        // the future here would want.
        self.tasks.add(tokio::spawn(accounted!(future)).abort_handle(), self.crashes);
    }

    fn wrap_udp_socket(&self, _: UdpSocket) -> io::Result<Arc<dyn AsyncUdpSocket>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn now(&self) -> Instant {
        TokioRuntime.now()
    }
}
