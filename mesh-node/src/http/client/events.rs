//! Which task the events of a connection wake.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use tokio::sync::Notify;

/// The one waker of a connection. During a call it wakes the caller, between calls the watcher.
///
/// hyper's channels and the socket keep the waker that they were polled with last. As it is always
/// this one, a connection changes hands without being polled by the new one first.
#[derive(Default)]
pub(super) struct Events {
    listener: Mutex<WakeTarget>,
    watcher: Notify,
}

enum WakeTarget {
    Watcher,
    Caller(Waker),
    /// Somebody polls the connection now, and does so again if it missed an event.
    Nobody {
        missed: bool,
    },
}

impl Default for WakeTarget {
    fn default() -> Self {
        Self::Nobody { missed: false }
    }
}

impl Events {
    /// Only notes events from now on. To be called before what may cause them.
    pub(super) fn hold(&self) {
        self.replace(WakeTarget::default());
    }

    /// Wakes `caller` at the next event, or at once if there was one since [`Events::hold`].
    pub(super) fn wake_caller(&self, caller: &Waker) {
        if let WakeTarget::Nobody { missed: true } =
            self.replace(WakeTarget::Caller(caller.clone()))
        {
            caller.wake_by_ref();
        }
    }

    /// As [`Events::wake_caller`], for the watcher.
    pub(super) fn wake_watcher(&self) {
        if let WakeTarget::Nobody { missed: true } = self.replace(WakeTarget::Watcher) {
            self.watcher.notify_one();
        }
    }

    /// Ready when the watcher has been woken since it last was.
    pub(super) async fn woken(&self) {
        self.watcher.notified().await;
    }

    /// Returns the listener before, for the caller to drop it outside the lock: dropping a waker may
    /// run any code.
    fn replace(&self, listener: WakeTarget) -> WakeTarget {
        mem::replace(&mut self.lock(), listener)
    }

    fn lock(&self) -> MutexGuard<'_, WakeTarget> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Events {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut listener = self.lock();
        if matches!(*listener, WakeTarget::Watcher) {
            drop(listener);
            return self.watcher.notify_one();
        }
        let before = mem::replace(&mut *listener, WakeTarget::Nobody { missed: true });
        drop(listener);
        if let WakeTarget::Caller(caller) = before {
            caller.wake();
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
        let (events, caller) = (Arc::new(Events::default()), Arc::new(Count::default()));
        let (event, waker) = (Waker::from(events.clone()), Waker::from(caller.clone()));
        let wakes = || caller.0.load(Ordering::Relaxed);
        let is_watcher_woken = || {
            let mut woken = pin!(events.woken());
            woken.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready()
        };

        events.hold();
        event.wake_by_ref();
        assert_eq!(wakes(), 0, "the caller is busy");
        events.wake_caller(&waker);
        assert_eq!(wakes(), 1);
        events.hold();
        events.wake_caller(&waker);
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
        assert!(!is_watcher_woken(), "that is for the next caller");
        assert_eq!(wakes(), 2);
    }
}
