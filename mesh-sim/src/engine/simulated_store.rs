//! The stores of simulated registries, which both engines share.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, FaultyStore, Keeping, MemoryStore, StoreChange};
use mesh_core::seed::{Rng, Seed};
use mesh_node::registry::store::{StoreContents, StoreError, StoreNews};

use crate::dist::Distribution;
use crate::faults::{FaultSchedule, StoreReturn};
use crate::host::HostId;
use crate::scenario::Scenario;

/// For how many TTLs a shared store keeps a record that no registry asks it to keep.
const KEPT_TTLS: u32 = 3;
/// How many changes a store remembers for the registries that follow it.
const REMEMBERED_CHANGES: usize = 10_000;

/// A store with the faults that the scenario prescribes. It has no clock: an engine tells it the
/// time, and waits for as long as [`Self::answer_time`] says for each answer.
#[derive(Debug)]
pub(super) struct SimulatedStore {
    store: FaultyStore,
    /// The registries that keep their leases there.
    users: Vec<HostId>,
    keeping: Keeping,
    answer: Distribution,
    rng: Rng,
    faults: Arc<FaultSchedule>,
    /// When it will come back with older data, the next time first.
    returns: VecDeque<StoreReturn>,
    /// The revision of which the registries were told.
    told: u64,
    /// The outages of which the registries were told.
    broken: usize,
}

impl SimulatedStore {
    /// The stores of a run: none, one that all registries share, or one for each.
    pub(super) fn all(scenario: &Scenario, faults: &Arc<FaultSchedule>, seed: &Seed) -> Vec<Self> {
        let Some(spec) = &scenario.registries.store else { return Vec::new() };
        let registries: Vec<HostId> = faults.hosts().registries().collect();
        let keep_for = spec.shared.then_some(KEPT_TTLS * scenario.leases.ttl);
        let seed = seed.child("stores");
        let store = |(number, users): (usize, Vec<HostId>)| Self {
            store: FaultyStore::new(MemoryStore::new(keep_for, REMEMBERED_CHANGES)),
            returns: faults.store_returns(&users).into(),
            users,
            keeping: scenario.registries.keeping(),
            answer: spec.answer.clone(),
            rng: seed.child(&number.to_string()).rng(),
            faults: faults.clone(),
            told: 0,
            broken: 0,
        };
        let users = match spec.shared {
            true => vec![registries],
            false => registries.into_iter().map(|host| vec![host]).collect(),
        };
        users.into_iter().enumerate().map(store).collect()
    }

    /// Who writes to it.
    pub(super) const fn keeping(&self) -> Keeping {
        self.keeping
    }

    /// The registries that keep their leases there.
    pub(super) fn users(&self) -> &[HostId] {
        &self.users
    }

    /// Draws the time from a question to its answer. Each is on its way for half of it.
    pub(super) fn answer_time(&mut self, now: Timestamp) -> Duration {
        self.answer.sample(&mut self.rng) + self.faults.store(&self.users, now).added
    }

    /// Whether it refuses everything.
    pub(super) fn is_down(&self, now: Timestamp) -> bool {
        self.faults.store(&self.users, now).is_down
    }

    /// How often it has gone down so far. Each time, connections to it break.
    pub(super) fn outages(&self, now: Timestamp) -> usize {
        self.faults.store_outages(&self.users, now)
    }

    /// Whether it has changed since it was asked this before; it forgets records by itself, too.
    pub(super) fn has_changed(&mut self) -> bool {
        let revision = self.store.revision();
        std::mem::replace(&mut self.told, revision) != revision
    }

    /// Whether it has gone down since it was asked this before.
    pub(super) fn breaks(&mut self, now: Timestamp) -> bool {
        let outages = self.outages(now);
        std::mem::replace(&mut self.broken, outages) < outages
    }

    /// Makes a change; see [`FaultyStore::change`].
    pub(super) fn change(&mut self, now: Timestamp, change: &StoreChange) -> ChangeOutcome {
        self.settle(now);
        self.store.change(now, change).0
    }

    /// All records.
    pub(super) fn list(&mut self, now: Timestamp) -> Result<StoreContents, StoreError> {
        self.settle(now);
        let (records, revision) = self.store.list().ok_or_else(refusal)?;
        Ok(StoreContents { records, revision })
    }

    /// The changes after a revision; none if there are none yet.
    pub(super) fn news(&mut self, now: Timestamp, after: u64) -> Result<StoreNews, StoreError> {
        self.settle(now);
        if self.store.faults.is_down {
            return Err(refusal());
        }
        let changes = self.store.changes_after(after).ok_or(StoreError::Forgotten)?;
        Ok(StoreNews { changes: changes.cloned().collect(), revision: self.store.revision() })
    }

    /// Keeps the records of these names, and gives back those that it has no record of.
    pub(super) fn keep(
        &mut self,
        now: Timestamp,
        names: Vec<Name>,
    ) -> Result<Vec<Name>, StoreError> {
        self.settle(now);
        if self.store.faults.is_down {
            return Err(refusal());
        }
        Ok(names.into_iter().filter(|name| !self.store.keep(now, name)).collect())
    }

    /// Brings it into the state that it has at this time.
    fn settle(&mut self, now: Timestamp) {
        while let Some(back) = self.returns.front().copied().filter(|back| back.at <= now) {
            self.returns.pop_front();
            self.store.crash(back.at, back.loses);
        }
        self.store.faults.is_down = self.is_down(now);
        self.store.handle_timeout(now);
    }
}

fn refusal() -> StoreError {
    StoreError::Unavailable("the store is down".to_owned())
}
