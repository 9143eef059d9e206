//! Decides which task the events of a connection wake.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

/// The waker of a connection. During an exchange it wakes the task that sends the request, between
/// exchanges it wakes the watcher.
///
/// hyper's channels and the socket keep the waker that they were polled with last. Because that is
/// always this one, a connection can pass from one task to another without being polled by the new
/// one first.
#[derive(Default)]
pub(super) struct ConnectionWaker {
    target: Mutex<WakeTarget>,
    watcher: Notify,
}

/// Whom the next event wakes.
enum WakeTarget {
    Watcher,
    Sender(Waker),
    /// Nobody, because a task polls the connection right now. It looks at `missed` when it is done.
    Nobody {
        missed: bool,
    },
}

impl Default for WakeTarget {
    fn default() -> Self {
        Self::Nobody { missed: false }
    }
}

impl ConnectionWaker {
    /// From now on, events are only noted. Call this before anything that may cause events.
    pub(super) fn hold(&self) {
        self.replace(WakeTarget::default());
    }

    /// Wakes `sender` at the next event, or at once if there was one since
    /// [`ConnectionWaker::hold`].
    pub(super) fn wake_sender(&self, sender: &Waker) {
        if let WakeTarget::Nobody { missed: true } =
            self.replace(WakeTarget::Sender(sender.clone()))
        {
            sender.wake_by_ref();
        }
    }

    /// As [`ConnectionWaker::wake_sender`], but wakes the watcher.
    pub(super) fn wake_watcher(&self) {
        if let WakeTarget::Nobody { missed: true } = self.replace(WakeTarget::Watcher) {
            self.watcher.notify_one();
        }
    }

    /// For the watcher: ready once it has been woken since this was last ready.
    pub(super) async fn woken(&self) {
        self.watcher.notified().await;
    }

    /// Returns the target before this one. The caller drops it outside of the lock, because
    /// dropping a waker may run any code.
    fn replace(&self, target: WakeTarget) -> WakeTarget {
        mem::replace(&mut self.lock(), target)
    }

    fn lock(&self) -> MutexGuard<'_, WakeTarget> {
        self.target.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for ConnectionWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut target = self.lock();
        if matches!(*target, WakeTarget::Watcher) {
            drop(target);
            return self.watcher.notify_one();
        }
        let before = mem::replace(&mut *target, WakeTarget::Nobody { missed: true });
        drop(target);
        if let WakeTarget::Sender(sender) = before {
            sender.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Context;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_listens_is_woken_even_by_what_came_just_before() {
        let (events, sender) = (Arc::new(ConnectionWaker::default()), Arc::new(Count::default()));
        let (event, waker) = (Waker::from(events.clone()), Waker::from(sender.clone()));
        let wakes = || sender.0.load(Ordering::Relaxed);
        let is_watcher_woken = || {
            let mut woken = pin!(events.woken());
            woken.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };

        events.hold();
        event.wake_by_ref();
        assert_eq!(wakes(), 0, "the sender is busy");
        events.wake_sender(&waker);
        assert_eq!(wakes(), 1);
        events.hold();
        events.wake_sender(&waker);
        assert_eq!(wakes(), 1, "that event has passed");
        event.wake_by_ref();
        event.wake_by_ref();
        assert_eq!(wakes(), 2, "once is enough");
        assert!(!is_watcher_woken());

        events.wake_watcher();
        assert!(is_watcher_woken(), "the second one came while nobody listened");
        assert!(!is_watcher_woken());
        event.wake_by_ref();
        assert!(is_watcher_woken());
        events.hold();
        event.wake_by_ref();
        assert!(!is_watcher_woken(), "that is for the next exchange");
        assert_eq!(wakes(), 2);
    }
}
