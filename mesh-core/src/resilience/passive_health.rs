//! Passive health: what an agent remembers of peers that failed.
//!
//! A peer that failed is passed over for a time that doubles with each failure in a row, and is then
//! tried with one call at a time until a job succeeds. Nothing is sent for this alone: the calls that
//! are made anyway tell. So nginx does it (`max_fails`), Envoy (consecutive errors of its outlier
//! detection) and Linkerd (failure accrual), whose names the settings have.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{CallEnd, Decorator, HealthChange, Symptom};
use crate::duration::AsText;
use crate::roster::{ListedLease, PeerId};
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
    /// For how long a peer is passed over at first. The time doubles with each further failure,
    /// until the peer does a job.
    #[serde(with = "AsText")]
    pub min_penalty: Duration,
    /// The longest time for which a peer is passed over before it is tried again.
    #[serde(with = "AsText")]
    pub max_penalty: Duration,
}

impl Default for HealthConfig {
    /// A peer that is silent until its lease ends (30 s, as long as a restarted registry keeps it)
    /// is tried after 5 and 15 s: with the first failure that makes three.
    fn default() -> Self {
        Self {
            max_failures: 3,
            min_penalty: Duration::from_secs(5),
            max_penalty: Duration::from_secs(60),
        }
    }
}

/// A peer that failed and has done no job since.
#[derive(Clone, Debug)]
struct Record {
    lease: Arc<ListedLease>,
    /// In a row.
    failures: u32,
    /// How often it was passed over in a row.
    penalties: u32,
    /// It is passed over until then.
    until: Timestamp,
    /// Its time was over: a call finds out how it is, and others wait for that.
    on_trial: bool,
}

/// The peers that failed. Usually there are none.
#[derive(Clone, Debug)]
pub(crate) struct PassiveHealth {
    config: HealthConfig,
    /// In order of the peers' identities.
    records: Vec<Record>,
}

impl Decorator for PassiveHealth {
    fn passed_over<'a>(&'a self, now: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        let over = self.records.iter().filter(|record| record.until > now);
        over.for_each(|record| pass_over(&record.lease));
    }

    /// If the peer failed before, nobody else tries it until this call is over.
    fn on_sent(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        if let Some(record) = self.get(peer)
            && record.penalties > 0
            && record.until <= now
        {
            record.on_trial = true;
            record.until = until;
        }
    }

    fn on_end(&mut self, now: Timestamp, end: &CallEnd<'_>) -> Option<HealthChange> {
        match end.symptom {
            Symptom::Well => {
                self.succeeded(end.lease.id(), end.peers).then_some(HealthChange::Recovered)
            }
            Symptom::None => {
                self.undecided(end.lease.id());
                None
            }
            Symptom::Failed(reason) | Symptom::Down(reason) => {
                let at_once = matches!(end.symptom, Symptom::Down(_));
                let penalty = self.failed(now, end.lease, at_once)?;
                Some(HealthChange::PassedOver { penalty, reason })
            }
        }
    }

    fn on_left(&mut self, left: &[PeerId]) {
        self.records.retain(|record| left.binary_search(&record.lease.id()).is_err());
    }

    fn remembers_nobody(&self) -> bool {
        self.records.is_empty()
    }
}

impl PassiveHealth {
    pub(super) fn new(config: &HealthConfig) -> Self {
        Self { config: *config, records: Vec::new() }
    }

    /// A call is over, and says nothing of the peer.
    fn undecided(&mut self, peer: PeerId) {
        if let Some(record) = self.get(peer)
            && record.on_trial
        {
            record.on_trial = false;
            record.until = Timestamp::ZERO;
        }
    }

    /// One of `peers` has done a job; true if it had been passed over before.
    ///
    /// If all have been, and this is the first to do a job since, what failed was something that
    /// they share: the way to them, or the jobs. Then the others are tried at once, and their next
    /// penalties are short again, or this one would get all jobs until their time is over.
    fn succeeded(&mut self, peer: PeerId, peers: usize) -> bool {
        let Ok(at) = self.find(peer) else { return false };
        if self.records.iter().filter(|record| record.penalties > 0).count() == peers {
            for record in &mut self.records {
                (record.penalties, record.until, record.on_trial) = (1, Timestamp::ZERO, false);
            }
        }
        self.records.remove(at).penalties > 0
    }

    /// A call has failed. If the peer is passed over from now on, for how long.
    fn failed(
        &mut self,
        now: Timestamp,
        lease: &Arc<ListedLease>,
        at_once: bool,
    ) -> Option<Duration> {
        let HealthConfig { max_failures, min_penalty, max_penalty } = self.config;
        if max_failures == 0 {
            return None;
        }
        let record = self.get_or_new(lease);
        record.failures = record.failures.saturating_add(1);
        if record.until > now && !record.on_trial {
            // This call was under way when another one failed.
            return None;
        }
        if !at_once && record.penalties == 0 && record.failures < max_failures {
            return None;
        }
        let doubled = 1u32.checked_shl(record.penalties).unwrap_or(u32::MAX);
        let penalty = min_penalty.saturating_mul(doubled).min(max_penalty);
        record.penalties = record.penalties.saturating_add(1);
        record.on_trial = false;
        record.until = now + penalty;
        Some(penalty)
    }

    fn find(&self, peer: PeerId) -> Result<usize, usize> {
        self.records.binary_search_by_key(&peer, |record| record.lease.id())
    }

    fn get(&mut self, peer: PeerId) -> Option<&mut Record> {
        let at = self.find(peer).ok()?;
        Some(&mut self.records[at])
    }

    fn get_or_new(&mut self, lease: &Arc<ListedLease>) -> &mut Record {
        let at = self.find(lease.id()).unwrap_or_else(|at| {
            let (lease, until) = (lease.clone(), Timestamp::ZERO);
            let new = Record { lease, failures: 0, penalties: 0, until, on_trial: false };
            self.records.insert(at, new);
            at
        });
        &mut self.records[at]
    }
}
