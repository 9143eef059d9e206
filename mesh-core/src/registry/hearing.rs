//! Whether the registry can hear its agents.

use std::time::Duration;

use crate::time::Timestamp;

/// If nothing is heard for longer, registry and agents don't hear each other: two fifths of a TTL.
///
/// Live agents are heard three times per TTL, sooner or later by a tenth. And after a pause that is
/// just as long as this, the agent that was heard a whole heartbeat before still has a quarter of
/// its lease to be heard again.
pub fn longest_pause(ttl: Duration) -> Duration {
    ttl.saturating_mul(2) / 5
}

/// When the registry was last awake, and when it last heard an agent.
///
/// A living mesh is heard several times per TTL, and a registry that holds leases asks to be woken
/// more often still. So a wake-up that comes late tells of a registry that was paused or starved,
/// and a long silence of one that was cut off, or whose agents are all dead.
#[derive(Debug)]
pub(super) struct Hearing {
    ttl: Duration,
    /// When it was last called.
    awake: Timestamp,
    /// When an agent last registered or renewed its lease. Time slept does not count: it is moved
    /// forward by that much.
    heard: Timestamp,
}

impl Hearing {
    pub(super) const fn new(ttl: Duration) -> Self {
        Self { ttl, awake: Timestamp::ZERO, heard: Timestamp::ZERO }
    }

    /// How often it wants to be woken, and how late that may be.
    fn watch(&self) -> Duration {
        (self.ttl / 8).max(Duration::from_nanos(1))
    }

    /// When it wants to be woken to see that it is awake.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        self.awake + self.watch()
    }

    /// It is called: gives back how long it has slept past the time at which it wanted to be woken.
    /// Being a little late is no sleep.
    pub(super) fn wake(&mut self, now: Timestamp) -> Duration {
        let late = now.since(self.poll_timeout());
        self.awake = self.awake.max(now);
        if late <= self.watch() {
            return Duration::ZERO;
        }
        self.heard += late;
        late
    }

    /// How long it had heard nobody at a time, if that is a silence.
    pub(super) fn silence(&self, at: Timestamp) -> Option<Duration> {
        let silence = at.since(self.heard);
        (silence > longest_pause(self.ttl)).then_some(silence)
    }

    /// It hears an agent; gives back the silence that this ends.
    pub(super) fn hear(&mut self, now: Timestamp) -> Option<Duration> {
        let silence = self.silence(now);
        self.heard = now;
        silence
    }
}
