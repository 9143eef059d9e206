//! What faults do to the stores of registries.

use std::time::Duration;

use mesh_core::Timestamp;

use super::FaultSchedule;
use crate::faults::effect::FaultEffect;
use crate::host::{HostId, HostMap};

/// Answers of a store that come later by less than this are in time: a registry waits 800 ms for
/// them, and half of them take 500 ms at most without a fault.
const HARMLESS: Duration = Duration::from_millis(100);

/// What the active faults do to a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreState {
    /// It refuses everything.
    pub is_down: bool,
    /// Its answers come this much later.
    pub added: Duration,
}

/// A store is down, and comes back with older data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct StoreReturn {
    /// When it comes back.
    pub(crate) at: Timestamp,
    /// It has lost the changes of so long before then.
    pub(crate) loses: Duration,
}

impl FaultSchedule {
    /// What faults do at a time to the store of these registries. What is done to one of them is
    /// done to all.
    pub fn store(&self, registries: &[HostId], at: Timestamp) -> StoreState {
        let mut state = StoreState::default();
        for (_, effect) in self.active(at) {
            match effect {
                FaultEffect::SlowStore(hosts, added) if hits(hosts, registries) => {
                    state.added += *added;
                }
                FaultEffect::StopStore(hosts) | FaultEffect::RollBackStore(hosts, _) => {
                    state.is_down |= hits(hosts, registries);
                }
                _ => {}
            }
        }
        state
    }

    /// How many faults have taken the store of these registries down, up to a time.
    pub(crate) fn store_outages(&self, registries: &[HostId], until: Timestamp) -> usize {
        let begun = self.effects.iter().filter(|(span, _)| span.from <= until);
        let stops = |effect: &FaultEffect| match effect {
            FaultEffect::StopStore(hosts) | FaultEffect::RollBackStore(hosts, _) => {
                hits(hosts, registries)
            }
            _ => false,
        };
        begun.filter(|(_, effect)| stops(effect)).count()
    }

    /// When the store of these registries comes back with older data, in order.
    pub(crate) fn store_returns(&self, registries: &[HostId]) -> Vec<StoreReturn> {
        let mut returns: Vec<StoreReturn> = self
            .effects
            .iter()
            .filter_map(|(span, effect)| match effect {
                FaultEffect::RollBackStore(hosts, loses) if hits(hosts, registries) => {
                    let loses = span.until.since(span.from) + *loses;
                    Some(StoreReturn { at: span.until, loses })
                }
                _ => None,
            })
            .filter(|back| back.at < Timestamp::MAX)
            .collect();
        returns.sort();
        returns
    }

    /// Whether a store ever comes back with older data.
    pub fn rolls_stores_back(&self) -> bool {
        self.effects.iter().any(|(_, effect)| matches!(effect, FaultEffect::RollBackStore(..)))
    }

    /// As [`Self::last_store_fault`], of any store.
    pub fn last_fault_of_stores(&self, now: Timestamp) -> Option<Timestamp> {
        let all: Vec<HostId> = self.hosts().registries().collect();
        self.last_store_fault(&all, now)
    }

    /// The last time up to `now` at which a fault may have kept the store of these registries from
    /// answering in time, or took changes from it; `None` if that has not happened.
    pub fn last_store_fault(&self, registries: &[HostId], now: Timestamp) -> Option<Timestamp> {
        self.last(now, |effect| match effect {
            FaultEffect::SlowStore(hosts, added) => *added >= HARMLESS && hits(hosts, registries),
            FaultEffect::StopStore(hosts) | FaultEffect::RollBackStore(hosts, _) => {
                hits(hosts, registries)
            }
            _ => false,
        })
    }
}

/// Whether an effect on these hosts is one on any of these registries.
fn hits(hosts: &HostMap<bool>, registries: &[HostId]) -> bool {
    registries.iter().any(|registry| hosts[*registry])
}
