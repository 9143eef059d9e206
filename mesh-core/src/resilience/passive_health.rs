//! Passive health: what an agent remembers of peers that failed.
//!
//! A peer that failed is passed over for a time that doubles with each failure in a row, and is then
//! tried with one call at a time until a job succeeds. Nothing is sent for this alone: the calls that
//! are made anyway tell. So nginx does it (`max_fails`), Envoy (consecutive errors of its outlier
//! detection) and Linkerd (failure accrual), whose names the settings have.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::duration::AsText;
use crate::time::Timestamp;

/// When a peer is passed over, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct HealthConfig {
    /// Jobs in a row that a peer may end with an error or leave unanswered until it is passed over. A
    /// peer that can't be reached, answers no probe or can't begin a job is passed over at once. 0:
    /// nobody is ever passed over.
    #[cfg_attr(feature = "schema", schemars(range(min = 0, max = 1_000)))]
    pub max_failures: u32,
    /// For how long a peer is passed over first; it doubles each time until the peer does a job.
    #[serde(with = "AsText")]
    pub min_penalty: Duration,
    /// The longest that a peer is passed over before it is tried again.
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
#[derive(Clone, Copy, Debug)]
struct Record {
    position: u32,
    /// In a row.
    failures: u32,
    /// How often it was passed over in a row.
    penalties: u32,
    /// It is passed over until then.
    until: Timestamp,
    /// Its time was over: a call finds out how it is, and others wait for that.
    on_trial: bool,
}

/// The peers that failed, by their positions in the list, in order. Usually there are none.
#[derive(Clone, Debug, Default)]
pub(crate) struct PassiveHealth {
    records: Vec<Record>,
}

impl PassiveHealth {
    /// Whether no peer has failed.
    pub(crate) fn is_clean(&self) -> bool {
        self.records.is_empty()
    }

    /// Positions of the peers that are passed over, in order.
    pub(crate) fn passed_over(&self, now: Timestamp) -> impl Iterator<Item = usize> + '_ {
        let over = self.records.iter().filter(move |record| record.until > now);
        over.map(|record| record.position as usize)
    }

    /// A peer is called, and will have answered by `until`. If it failed before, nobody else tries it
    /// meanwhile.
    pub(crate) fn called(&mut self, now: Timestamp, position: u32, until: Timestamp) {
        if let Some(record) = self.get(position)
            && record.penalties > 0
            && record.until <= now
        {
            record.on_trial = true;
            record.until = until;
        }
    }

    /// A call is over, and says nothing of the peer.
    pub(crate) fn undecided(&mut self, position: u32) {
        if let Some(record) = self.get(position)
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
    pub(crate) fn succeeded(&mut self, position: u32, peers: usize) -> bool {
        let Ok(at) = self.find(position) else { return false };
        if self.records.iter().filter(|record| record.penalties > 0).count() == peers {
            for record in &mut self.records {
                (record.penalties, record.until, record.on_trial) = (1, Timestamp::ZERO, false);
            }
        }
        self.records.remove(at).penalties > 0
    }

    /// A call has failed. If the peer is passed over from now on, for how long.
    pub(crate) fn failed(
        &mut self,
        now: Timestamp,
        position: u32,
        at_once: bool,
        config: &HealthConfig,
    ) -> Option<Duration> {
        if config.max_failures == 0 {
            return None;
        }
        let record = self.get_or_new(position);
        record.failures = record.failures.saturating_add(1);
        if record.until > now && !record.on_trial {
            // It was under way when another one failed.
            return None;
        }
        if !at_once && record.penalties == 0 && record.failures < config.max_failures {
            return None;
        }
        let doubled = 1u32.checked_shl(record.penalties).unwrap_or(u32::MAX);
        let penalty = config.min_penalty.saturating_mul(doubled).min(config.max_penalty);
        record.penalties = record.penalties.saturating_add(1);
        record.on_trial = false;
        record.until = now + penalty;
        Some(penalty)
    }

    /// Peers have moved in the list: `find` has the new position, none for one that has left.
    pub(crate) fn follow(&mut self, mut find: impl FnMut(u32) -> Option<u32>) {
        self.records.retain_mut(|record| {
            let position = find(record.position);
            record.position = position.unwrap_or_default();
            position.is_some()
        });
        self.records.sort_unstable_by_key(|record| record.position);
    }

    fn find(&self, position: u32) -> Result<usize, usize> {
        self.records.binary_search_by_key(&position, |record| record.position)
    }

    fn get(&mut self, position: u32) -> Option<&mut Record> {
        let at = self.find(position).ok()?;
        Some(&mut self.records[at])
    }

    fn get_or_new(&mut self, position: u32) -> &mut Record {
        let at = self.find(position).unwrap_or_else(|at| {
            let until = Timestamp::ZERO;
            let new = Record { position, failures: 0, penalties: 0, until, on_trial: false };
            self.records.insert(at, new);
            at
        });
        &mut self.records[at]
    }
}
