//! Passive health: what an agent remembers of peers that failed.
//!
//! A peer that failed is passed over for a time, its penalty. When that is over it is on trial: one
//! call at a time may try it, until it does a job or fails again. With each failure in a row the
//! penalty doubles. A peer that says how long it takes no jobs (`Retry-After`) is passed over for that
//! time instead. It is called passive because nothing is sent for it: the calls that are made
//! anyway show how the peers are. nginx (`max_fails`), Envoy (consecutive errors in its outlier
//! detection) and Linkerd (failure accrual) do the same; the settings have Linkerd's names.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Decorator, EndedCall, HealthChange, Symptom};
use crate::duration::AsText;
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::time::Timestamp;

/// When a peer is passed over, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct HealthConfig {
    /// A peer is passed over after it ended this many jobs in a row with an error, or left them
    /// unanswered. It is passed over at once if it can't be reached, does not answer a probe or
    /// can't begin a job. 0: no peer is ever passed over.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000)))]
    pub max_failures: u32,
    /// For how long a peer is passed over at first, unless it says itself when it takes jobs again.
    /// The time doubles with each further failure, until the peer does a job.
    #[serde(with = "AsText")]
    pub min_penalty: Duration,
    /// The longest time for which a peer is passed over before it is tried again.
    #[serde(with = "AsText")]
    pub max_penalty: Duration,
}

impl Default for HealthConfig {
    /// 3 failures, 5 s to 60 s. So a peer that is dead, and is listed for 30 s more until its lease
    /// ends, costs three failures: the first, and those of the trials after 5 s and 15 s.
    fn default() -> Self {
        Self {
            max_failures: 3,
            min_penalty: Duration::from_secs(5),
            max_penalty: Duration::from_secs(60),
        }
    }
}

/// What is remembered of a peer that failed and has done no job since.
#[derive(Clone, Debug)]
struct FailureRecord {
    lease: Arc<ListedLease>,
    /// Failures in a row.
    failures: u32,
    /// How often in a row it was passed over.
    penalties: u32,
    /// It is passed over until then.
    until: Timestamp,
    /// Whether its penalty is over and a call is under way that tries it. Until that call ends, or
    /// its time is over at `until`, other choices pass the peer over.
    on_trial: bool,
}

/// The memory of peers that failed. Usually it is empty.
#[derive(Clone, Debug)]
pub(crate) struct PassiveHealth {
    config: HealthConfig,
    /// Sorted by the peers' identities.
    records: Vec<FailureRecord>,
}

impl Decorator for PassiveHealth {
    fn passed_over<'a>(&'a self, now: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        let over = self.records.iter().filter(|record| record.until > now);
        over.for_each(|record| pass_over(&record.lease));
    }

    /// If the peer's penalty has just ended, this call is its trial: no other call tries the peer
    /// until this one is over.
    fn on_sent(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        if let Some(record) = self.get(peer)
            // A peer with a few failed jobs, and no penalty yet, needs no trial.
            && record.penalties > 0
            && record.until <= now
        {
            record.on_trial = true;
            record.until = until;
        }
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        match end.symptom {
            Symptom::Well => self.succeeded(end).then_some(HealthChange::Recovered),
            Symptom::None | Symptom::Full(_) => {
                self.undecided(end.lease.id());
                None
            }
            Symptom::Failed(reason) | Symptom::Down(reason) | Symptom::Away(reason, _) => {
                let penalty = self.failed(now, end.lease, end.symptom)?;
                Some(HealthChange::PassedOver { penalty, reason })
            }
        }
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.records.retain(|record| is_listed(&record.lease));
    }
}

impl PassiveHealth {
    pub(super) fn new(config: &HealthConfig) -> Self {
        Self { config: *config, records: Vec::new() }
    }

    /// A call is over and says nothing about the peer. If it was the peer's trial, the next call
    /// may be another one.
    fn undecided(&mut self, peer: PeerId) {
        if let Some(record) = self.get(peer)
            && record.on_trial
        {
            record.on_trial = false;
            // Its penalty stays over, so the next call is a trial again.
            record.until = Timestamp::ZERO;
        }
    }

    /// A peer has done a job; true if it had been passed over before.
    ///
    /// If all peers that might have had the job had been passed over, and this is the first to do
    /// one since, the cause was something that they share: the network, or the jobs. Then the others
    /// may be tried at once, and their next penalties are short again. Otherwise this peer would get
    /// all jobs until the penalties of the others are over.
    fn succeeded(&mut self, end: &EndedCall<'_>) -> bool {
        let Ok(at) = self.find(end.lease.id()) else { return false };
        let was_over = |record: &FailureRecord| {
            record.penalties > 0
                && end.skill.is_none_or(|skill| record.lease.profile.skills().have(skill))
        };
        if self.records.iter().filter(|record| was_over(record)).count() == end.able {
            for record in self.records.iter_mut().filter(|record| was_over(record)) {
                (record.penalties, record.until, record.on_trial) = (1, Timestamp::ZERO, false);
            }
        }
        self.records.remove(at).penalties > 0
    }

    /// A call has failed. If that means that the peer is passed over from now on, gives back for
    /// how long.
    fn failed(
        &mut self,
        now: Timestamp,
        lease: &Arc<ListedLease>,
        symptom: Symptom,
    ) -> Option<Duration> {
        let HealthConfig { max_failures, min_penalty, max_penalty } = self.config;
        if max_failures == 0 {
            return None;
        }
        let record = self.get_or_new(lease);
        record.failures = record.failures.saturating_add(1);
        if record.until > now && !record.on_trial {
            // The peer is passed over already: this call was sent before another one failed.
            return None;
        }
        // Once it has had a penalty, every further failure leads to the next one.
        let may_be_the_job = matches!(symptom, Symptom::Failed(_));
        if may_be_the_job && record.penalties == 0 && record.failures < max_failures {
            return None;
        }
        let penalty = match symptom {
            // The peer knows best when it takes jobs again.
            Symptom::Away(_, asked) => asked,
            // The first penalty is `min_penalty`, then twice that, four times that, and so on.
            _ => {
                let doubled = 1u32.checked_shl(record.penalties).unwrap_or(u32::MAX);
                min_penalty.saturating_mul(doubled)
            }
        };
        let penalty = penalty.min(max_penalty);
        record.penalties = record.penalties.saturating_add(1);
        record.on_trial = false;
        record.until = now + penalty;
        Some(penalty)
    }

    /// The position of a peer's record, or where it would be inserted.
    fn find(&self, peer: PeerId) -> Result<usize, usize> {
        self.records.binary_search_by_key(&peer, |record| record.lease.id())
    }

    fn get(&mut self, peer: PeerId) -> Option<&mut FailureRecord> {
        let at = self.find(peer).ok()?;
        Some(&mut self.records[at])
    }

    fn get_or_new(&mut self, lease: &Arc<ListedLease>) -> &mut FailureRecord {
        let at = self.find(lease.id()).unwrap_or_else(|at| {
            let (lease, until) = (lease.clone(), Timestamp::ZERO);
            let new = FailureRecord { lease, failures: 0, penalties: 0, until, on_trial: false };
            self.records.insert(at, new);
            at
        });
        &mut self.records[at]
    }
}
