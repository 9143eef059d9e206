//! Whether the registry can hear its agents: was it awake, and does any agent reach it?

use std::time::Duration;

use crate::time::Timestamp;

/// The longest pause between heartbeats in a working mesh: two fifths of a TTL. After a longer one,
/// registry and agents count as cut off from each other.
///
/// Live agents send three heartbeats per TTL, each up to a tenth of a period early or late. And
/// after a pause that is just as long as this, an agent whose last heartbeat came a whole period
/// before the pause still has a quarter of its lease left to be heard again.
pub fn longest_pause(ttl: Duration) -> Duration {
    ttl.saturating_mul(2) / 5
}

/// When the registry was last awake, and when it last heard an agent.
///
/// The agents of a working mesh are heard several times per TTL, and a registry that holds leases
/// asks to be woken even more often. So if it is woken late, it was paused or starved of CPU; and
/// if it hears nobody for long, it is cut off, or all its agents are dead.
#[derive(Debug)]
pub(super) struct Hearing {
    ttl: Duration,
    /// When the registry was last called.
    awake: Timestamp,
    /// When an agent last registered or renewed its lease. Moved forward by the time that the
    /// registry slept, because that is no silence.
    heard: Timestamp,
}

impl Hearing {
    pub(super) const fn new(ttl: Duration) -> Self {
        Self { ttl, awake: Timestamp::ZERO, heard: Timestamp::ZERO }
    }

    /// The time after which it wants to be woken, and also how late it may be woken.
    fn watch(&self) -> Duration {
        (self.ttl / 8).max(Duration::from_nanos(1))
    }

    /// When it wants to be woken, to know that it is awake.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        self.awake + self.watch()
    }

    /// The registry is called. Gives back how long it has slept beyond the time at which it wanted
    /// to be woken; zero if it is only a little late.
    pub(super) fn wake(&mut self, now: Timestamp) -> Duration {
        let late = now.since(self.poll_timeout());
        self.awake = self.awake.max(now);
        if late <= self.watch() {
            return Duration::ZERO;
        }
        self.heard += late;
        late
    }

    /// For how long nobody had been heard at the time `at`; `None` if that is a usual pause.
    pub(super) fn silence(&self, at: Timestamp) -> Option<Duration> {
        let silence = at.since(self.heard);
        (silence > longest_pause(self.ttl)).then_some(silence)
    }

    /// An agent is heard. Gives back the silence that this ends, if it was one.
    pub(super) fn hear(&mut self, now: Timestamp) -> Option<Duration> {
        let silence = self.silence(now);
        self.heard = now;
        silence
    }
}
