//! One registry, as an agent knows it: what was asked of it, and when it is asked next.

use std::time::Duration;

use super::trust::RegistryTrust;
use crate::registry::HEARTBEATS_PER_TTL;
use crate::time::Timestamp;

/// What an agent remembers of one of its registries.
#[derive(Debug)]
pub(super) struct KnownRegistry {
    /// Whether this registry has granted the agent's current incarnation a lease.
    pub(super) registered: bool,
    /// Whether the last heartbeat was not answered.
    pub(super) is_unheard: bool,
    /// How long a lease lasts, as the registry said last; until then three heartbeats.
    pub(super) ttl: Duration,
    /// The wait after the next failed registration.
    pub(super) retry_after: Duration,
    /// The wait before the next attempt to get the name back from another process.
    pub(super) yield_for: Duration,
    pub(super) trust: RegistryTrust,
    /// How many lists have come since the start, or since one was in doubt.
    pub(super) lists: u32,
    pub(super) next_register: Timestamp,
    pub(super) next_list: Timestamp,
    /// The registration or deregistration that has no answer yet.
    pub(super) register_call: Option<RegistryCall>,
    /// The list that has no answer yet.
    pub(super) list_call: Option<RegistryCall>,
}

/// A call to a registry that has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct RegistryCall {
    /// Its number, as in [`Effect::Registry`](super::Effect::Registry).
    pub(super) call: u64,
    /// It counts as failed then.
    pub(super) until: Timestamp,
    /// The agent's incarnation when it was made.
    pub(super) incarnation: u64,
}

impl KnownRegistry {
    /// A registry that was not called yet, and is to be called at once.
    pub(super) fn new(now: Timestamp, heartbeat: Duration, first_retry: Duration) -> Self {
        Self {
            registered: false,
            is_unheard: false,
            ttl: heartbeat.saturating_mul(HEARTBEATS_PER_TTL),
            retry_after: first_retry.min(heartbeat),
            yield_for: heartbeat,
            trust: RegistryTrust::new(now),
            lists: 0,
            next_register: now,
            next_list: now,
            register_call: None,
            list_call: None,
        }
    }

    /// When it is to be called next, or an open call counts as failed.
    pub(super) fn poll_timeout(&self) -> Timestamp {
        let due =
            |next: Timestamp, pending: Option<RegistryCall>| pending.map_or(next, |p| p.until);
        due(self.next_register, self.register_call).min(due(self.next_list, self.list_call))
    }

    /// Whether the call of this number has no answer yet.
    pub(super) fn awaits(&self, call: u64) -> bool {
        let calls = [self.register_call, self.list_call];
        calls.iter().flatten().any(|pending| pending.call == call)
    }

    /// Registers at `at`, or before if that is due.
    pub(super) fn register_by(&mut self, at: Timestamp) {
        self.next_register = self.next_register.min(at);
    }

    /// Fetches the list at `at`, or before if that is due.
    pub(super) fn list_by(&mut self, at: Timestamp) {
        self.next_list = self.next_list.min(at);
    }

    /// Makes no further calls after this last one.
    pub(super) fn stop(&mut self, goodbye: RegistryCall) {
        (self.next_register, self.next_list) = (Timestamp::MAX, Timestamp::MAX);
        (self.register_call, self.list_call) = (Some(goodbye), None);
    }
}
