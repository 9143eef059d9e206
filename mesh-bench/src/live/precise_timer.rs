//! A timer that is more precise than those of the runtime.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::spawn;

use mesh_core::Timestamp;
use mesh_node::Clock;
use tokio::sync::oneshot;

/// A time, and who is to be woken then.
type WakeUp = (Timestamp, oneshot::Sender<()>);

/// Wakes tasks when their times come. A thread keeps the time: it wakes some 0.1 ms late, the
/// runtime's timers up to 1 ms. Clones are handles on the same thread, which ends with the last.
#[derive(Clone, Debug)]
pub(super) struct PreciseTimer {
    clock: Clock,
    wake_ups: Sender<WakeUp>,
}

impl PreciseTimer {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let clock = Clock::start();
        let (wake_ups, due) = channel();
        spawn(move || keep_time(clock, &due));
        Self { clock, wake_ups }
    }

    /// The time since the timer was started.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Waits until a time.
    pub(super) async fn sleep_until(&self, at: Timestamp) {
        if at <= self.now() {
            return;
        }
        let (wake, woken) = oneshot::channel();
        // The thread takes it: it ends only after the last handle, and this is one.
        let _ = self.wake_ups.send((at, wake));
        let _ = woken.await;
    }
}

/// The life of the thread.
fn keep_time(clock: Clock, wake_ups: &Receiver<WakeUp>) {
    let mut waiting: BTreeMap<(Timestamp, u64), oneshot::Sender<()>> = BTreeMap::new();
    let mut number = 0;
    loop {
        let now = clock.now();
        while let Some(first) = waiting.first_entry().filter(|first| first.key().0 <= now) {
            // An error means that the task does not wait any more.
            let _ = first.remove().send(());
        }
        let next = match waiting.first_key_value() {
            Some(((at, _), _)) => wake_ups.recv_timeout(at.since(now)),
            None => wake_ups.recv().map_err(RecvTimeoutError::from),
        };
        match next {
            Ok((at, wake)) => {
                waiting.insert((at, number), wake);
                number += 1;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn whoever_waits_is_woken_in_time_and_never_early() {
        let timer = PreciseTimer::start();
        let woken = |ms: u64| {
            let at = Timestamp::from(Duration::from_millis(ms));
            let timer = &timer;
            async move {
                timer.sleep_until(at).await;
                assert!(timer.now() >= at, "{at:?}");
                timer.now()
            }
        };
        let (late, early, passed) = tokio::join!(woken(60), woken(20), woken(0));
        assert!(passed < early && early < late, "{passed:?} {early:?} {late:?}");
        timer.sleep_until(Timestamp::ZERO).await;
    }
}
