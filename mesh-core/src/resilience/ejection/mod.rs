//! Outlier ejection: peers whose jobs fail more often than those of the others get none for a while.
//!
//! Three rules find them; each can be switched off:
//!
//! - *errors in a row*: a peer is ejected after this many failures without a success in between;
//! - *success rate*: at each sweep, peers whose share of successes is less than
//!   `mean - deviations * sigma` of all peers that had enough jobs since the last sweep;
//! - *failure percentage*: at each sweep, peers that had enough jobs and failed at least this share.
//!
//! A peer is ejected for `base` times how often it has been ejected, at most `max`. That count falls
//! by one at each sweep that finds the peer not ejected. At most `eject_max_percent` of the peers are
//! ejected at a time, the worst first, but one of few may go all the same. If less than
//! `eject_panic_percent` of the peers are left, ejections are ignored: the rest could not carry the
//! load, and then some failures are better than a queue that grows everywhere.
//!
//! The rules are those of Envoy (`outlier.rst`) and gRPC (proposal A50). The differences: Envoy does
//! not enforce the failure percentage by default, A50 has no rule for errors in a row, and both end
//! an ejection only at a sweep, where here it ends on time.
//!
//! The memory of peers that failed ([`passive health`](super::HealthConfig)) does something else: it
//! looks at one peer alone, passes it over at once if it can't be reached, and tries it with one call
//! at a time. It never finds a peer that fails every third job, because those are not in a row.
//! Ejection compares peers, needs many jobs for that, and is limited to a share of them. With both,
//! a peer is passed over if one of them says so.

mod sweep;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Choosing, Decorator, EndedCall, HealthChange, PassOverReason, Symptom};
use crate::conflict::Conflict;
use crate::duration::{AsText, format_duration};
use crate::hash::{HashTable, TableEntry};
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::time::{Timestamp, nanos};

/// Which peers are ejected because they fail more often than others, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct EjectionConfig {
    /// Whether peers that fail more often than the others get no jobs for a while.
    pub eject: bool,
    /// A peer is ejected after this many failures in a row; 0: never for that reason.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000_000)))]
    pub eject_errors: u32,
    /// How often peers are compared with each other.
    #[serde(with = "AsText")]
    pub eject_interval: Duration,
    /// For how long a peer is ejected, times how often it has been.
    #[serde(with = "AsText")]
    pub eject_base: Duration,
    /// The longest time for which a peer is ejected; `eject_base` or more.
    #[serde(with = "AsText")]
    pub eject_max: Duration,
    /// A peer is ejected if its share of successes is this many standard deviations below the mean
    /// of all; 0: never for that reason.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub eject_deviations: f64,
    /// Success rates are compared if at least this many peers had enough jobs.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub eject_rate_peers: u32,
    /// How many jobs between two comparisons are enough for a success rate.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub eject_rate_jobs: u32,
    /// A peer is ejected if at least this percentage of its jobs failed; 0: never for that reason.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub eject_failure_percent: f64,
    /// Failure percentages count if at least this many peers had enough jobs.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub eject_failure_peers: u32,
    /// How many jobs between two comparisons are enough for a failure percentage.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_000_000)))]
    pub eject_failure_jobs: u32,
    /// At most this percentage of the peers is ejected at a time.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub eject_max_percent: f64,
    /// Whether `eject_max_percent` holds even where it is less than one peer, as in Envoy: then of
    /// fewer than 10 peers none is ever ejected, if it is 10 %.
    pub eject_strictly: bool,
    /// Ejections are ignored while less than this percentage of the peers is not ejected.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 100.0)))]
    pub eject_panic_percent: f64,
}

impl Default for EjectionConfig {
    /// Off; the numbers of Envoy and gRPC, but one peer may always be ejected.
    fn default() -> Self {
        Self {
            eject: false,
            eject_errors: 5,
            eject_interval: Duration::from_secs(10),
            eject_base: Duration::from_secs(30),
            eject_max: Duration::from_secs(300),
            eject_deviations: 1.9,
            eject_rate_peers: 5,
            eject_rate_jobs: 100,
            eject_failure_percent: 85.0,
            eject_failure_peers: 5,
            eject_failure_jobs: 50,
            eject_max_percent: 10.0,
            eject_strictly: false,
            eject_panic_percent: 50.0,
        }
    }
}

impl EjectionConfig {
    /// The settings that contradict others of this group.
    pub(super) fn conflict(&self) -> Option<Conflict> {
        (self.eject_max < self.eject_base).then(|| Conflict {
            setting: "eject_max",
            problem: "the longest ejection is shorter than the first",
            expected: format!(
                "`eject_base`, which is {}, or more",
                format_duration(self.eject_base)
            ),
        })
    }
}

/// What is counted of a peer.
#[derive(Clone, Debug)]
struct PeerCounts {
    peer: PeerId,
    /// The peer's lease when it ended a job last.
    lease: Option<Arc<ListedLease>>,
    /// Since the last sweep.
    successes: u32,
    /// Since the last sweep.
    failures: u32,
    /// Failures since the last success.
    in_a_row: u32,
    /// How often it has been ejected, less one for each sweep since that found it not ejected.
    ejections: u32,
    /// Whether an ejection has ended and the peer has done no job since.
    has_returned: bool,
}

impl TableEntry for PeerCounts {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        let (successes, failures, in_a_row, ejections) = (0, 0, 0, 0);
        Self { peer, lease: None, successes, failures, in_a_row, ejections, has_returned: false }
    }
}

/// The outlier ejection of one agent.
#[derive(Clone, Debug)]
pub(crate) struct OutlierEjection {
    config: EjectionConfig,
    counts: HashTable<PeerCounts>,
    /// The peers that are ejected, each with the end of its ejection. A short list: it is looked
    /// through for every choice.
    ejected: Vec<(Arc<ListedLease>, Timestamp)>,
    /// How many peers the agent knows.
    peers: usize,
    next_sweep: Timestamp,
    /// The earliest end of an ejection; nothing has to be looked for before.
    next_return: Timestamp,
}

impl Decorator for OutlierEjection {
    /// Does the sweeps that are due. They are not done by a timer: an agent that sends nothing has
    /// nothing to compare.
    fn before_choice(&mut self, now: Timestamp, choosing: &mut Choosing<'_>) {
        self.peers = choosing.peers;
        self.end_ejections(now);
        if now >= self.next_sweep {
            self.sweep(now, choosing);
        }
    }

    fn passed_over<'a>(&'a self, _: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        let left = self.peers.saturating_sub(self.ejected.len());
        if left as f64 * 100.0 >= self.config.eject_panic_percent * self.peers as f64 {
            self.ejected.iter().for_each(|(lease, _)| pass_over(lease));
        }
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        let reason = match end.symptom {
            // The peer is full, or nobody waited: that says nothing about it.
            Symptom::None | Symptom::Full(_) => return None,
            Symptom::Well => {
                let counts = self.counts_of(end.lease);
                counts.successes = counts.successes.saturating_add(1);
                counts.in_a_row = 0;
                let has_returned = std::mem::take(&mut counts.has_returned);
                return has_returned.then_some(HealthChange::Recovered);
            }
            Symptom::Failed(reason) | Symptom::Down(reason) | Symptom::Away(reason, _) => reason,
        };
        let counts = self.counts_of(end.lease);
        counts.failures = counts.failures.saturating_add(1);
        counts.in_a_row = counts.in_a_row.saturating_add(1);
        let too_many = counts.in_a_row >= self.config.eject_errors;
        if !too_many || self.config.eject_errors == 0 {
            return None;
        }
        self.eject(now, end.lease, reason)
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.ejected.retain(|(lease, _)| is_listed(lease));
        self.counts.retain(|counts| counts.lease.as_ref().is_some_and(is_listed));
    }
}

impl OutlierEjection {
    /// An ejection, if the settings want one.
    pub(super) fn new(now: Timestamp, config: &EjectionConfig) -> Option<Self> {
        config.eject.then(|| Self {
            config: *config,
            counts: HashTable::default(),
            ejected: Vec::new(),
            peers: 0,
            next_sweep: now + config.eject_interval,
            next_return: Timestamp::MAX,
        })
    }

    fn counts_of(&mut self, lease: &Arc<ListedLease>) -> &mut PeerCounts {
        let counts = self.counts.get_or_new(lease.id());
        counts.lease.get_or_insert_with(|| lease.clone());
        counts
    }

    /// Whether one more peer may be ejected.
    fn has_room(&self) -> bool {
        let with_it = (self.ejected.len() + 1) as f64 * 100.0;
        with_it <= self.config.eject_max_percent * self.peers as f64
            || (self.ejected.is_empty() && !self.config.eject_strictly)
    }

    /// Ejects a peer, unless it is ejected already or too many others are.
    fn eject(
        &mut self,
        now: Timestamp,
        lease: &Arc<ListedLease>,
        reason: PassOverReason,
    ) -> Option<HealthChange> {
        let is_out = self.ejected.iter().any(|(ejected, _)| ejected.id() == lease.id());
        if is_out || !self.has_room() {
            return None;
        }
        let EjectionConfig { eject_base, eject_max, .. } = self.config;
        let counts = self.counts_of(lease);
        counts.ejections = counts.ejections.saturating_add(1);
        let penalty = eject_base.saturating_mul(counts.ejections).min(eject_max);
        self.ejected.push((lease.clone(), now + penalty));
        self.next_return = self.next_return.min(now + penalty);
        Some(HealthChange::PassedOver { penalty, reason })
    }

    /// Lets those back whose time is over.
    fn end_ejections(&mut self, now: Timestamp) {
        if now < self.next_return {
            return;
        }
        let counts = &mut self.counts;
        self.ejected.retain(|(lease, until)| {
            if *until <= now
                && let Some(counts) = counts.get_mut(lease.id())
            {
                (counts.in_a_row, counts.has_returned) = (0, true);
            }
            *until > now
        });
        let ends = self.ejected.iter().map(|(_, until)| *until);
        self.next_return = ends.min().unwrap_or(Timestamp::MAX);
    }

    /// How many sweeps have come due by `now`; moves the next one behind it.
    fn due_sweeps(&mut self, now: Timestamp) -> u32 {
        let interval = nanos(self.config.eject_interval).max(1);
        let more = nanos(now.since(self.next_sweep)) / interval;
        let due = u32::try_from(more + 1).unwrap_or(u32::MAX);
        self.next_sweep += self.config.eject_interval.saturating_mul(due);
        due
    }
}
