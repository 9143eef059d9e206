//! Registries over a store that loses changes, fails and loses its answers, in random schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::tests::{at, config, heartbeat, registration};
use super::*;
use crate::registry::{FaultyStore, MemoryStore, StoreChange, StoreFaults};

/// A registry as a driver runs it, over a store with faults.
struct FaultyDriven {
    registry: DurableRegistry,
    asked: Vec<StoreChange>,
}

impl FaultyDriven {
    fn drain(&mut self) {
        while self.registry.poll_effect().is_some() {}
        while let Some(effect) = self.registry.poll_store() {
            if let StoreEffect::Persist(change) = effect {
                self.asked.push(change);
            }
        }
    }

    /// Carries out what the registry asks of the store, and tells it the news.
    fn work(&mut self, now: Timestamp, store: &mut FaultyStore) {
        self.registry.handle_timeout(now);
        self.drain();
        for change in std::mem::take(&mut self.asked) {
            let (outcome, _) = store.change(now, &change);
            self.registry.handle_persisted(now, change.id, outcome);
        }
        let news = store.changes_after(self.registry.revision());
        let news = news.map(|changes| changes.cloned().collect::<Vec<_>>());
        match news {
            Some(changes) if self.registry.is_store_up() => {
                self.registry.handle_heard(now, changes, store.revision());
            }
            _ => {
                self.registry.handle_lost();
                if let Some((records, revision)) = store.list() {
                    self.registry.handle_loaded(now, records, revision);
                }
            }
        }
        self.drain();
    }
}

#[derive(Clone, Debug)]
enum LossStep {
    Register { registry: usize, name: usize, incarnation: u64 },
    Work(usize),
    Crash(u64),
    Down(bool),
    LoseAnswers(bool),
}

fn step() -> impl Strategy<Value = LossStep> {
    prop_oneof![
        6 => (0..2_usize, 0..3_usize, 1..6_u64).prop_map(
            |(registry, name, incarnation)| LossStep::Register { registry, name, incarnation }
        ),
        8 => (0..2_usize).prop_map(LossStep::Work),
        1 => (0..5_u64).prop_map(LossStep::Crash),
        1 => any::<bool>().prop_map(LossStep::Down),
        1 => any::<bool>().prop_map(LossStep::LoseAnswers),
    ]
}

proptest! {
    /// Whatever the store loses: when it works again, and one agent per name sends its heartbeats to
    /// both registries as agents do, both list exactly these agents.
    #[test]
    fn agents_heal_a_store_that_loses_changes(steps in prop::collection::vec(step(), 1..80)) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        let mut store = FaultyStore::new(MemoryStore::default());
        let mut both = [(); 2].map(|()| {
            let mut registry = DurableRegistry::new(config(), Keeping::Shared);
            registry.handle_loaded(at(0), Vec::new(), 0);
            FaultyDriven { registry, asked: Vec::new() }
        });
        let mut now = 0;
        for step in steps {
            now += 1;
            match step {
                LossStep::Register { registry, name, incarnation } => {
                    let url = format!("h:{incarnation}");
                    let registration = registration(NAMES[name], &url, incarnation);
                    let _ = both[registry].registry.handle_register(at(now), registration);
                }
                LossStep::Work(registry) => both[registry].work(at(now), &mut store),
                LossStep::Crash(lost) => {
                    store.crash(at(now), Duration::from_secs(lost));
                    // Their connections break.
                    both.iter_mut().for_each(|driven| driven.registry.handle_lost());
                }
                LossStep::Down(is_down) => store.faults.is_down = is_down,
                LossStep::LoseAnswers(loses) => store.faults.loses_answers = loses,
            }
        }
        store.faults = StoreFaults::default();
        let mut incarnations: BTreeMap<&str, u64> = NAMES.map(|name| (name, 7)).into();
        let mut is_held = [[false; 3]; 2];
        for _ in 0..40 {
            now += 5;
            for (registry, driven) in both.iter_mut().enumerate() {
                for (number, name) in NAMES.into_iter().enumerate() {
                    let incarnation = incarnations[name];
                    let held = &mut is_held[registry][number];
                    let registration = match *held {
                        true => heartbeat(name, "h:9", incarnation),
                        false => registration(name, "h:9", incarnation),
                    };
                    match driven.registry.handle_register(at(now), registration) {
                        RegistryAnswer::Now(Ok(_)) => *held = true,
                        RegistryAnswer::Now(Err(RegisterError::StoreUnavailable)) => {}
                        // It is refused, and comes back with a greater incarnation, everywhere.
                        RegistryAnswer::Now(Err(_)) => {
                            incarnations.insert(name, incarnation + 1);
                            is_held.iter_mut().for_each(|held| held[number] = false);
                        }
                        RegistryAnswer::Later(_) => {}
                    }
                }
                driven.work(at(now), &mut store);
                driven.work(at(now), &mut store);
            }
        }
        for driven in &mut both {
            let listed: Vec<(Name, Option<u64>)> = driven
                .registry
                .list(at(now))
                .map(|lease| (lease.name.clone(), lease.incarnation))
                .collect();
            let expected: Vec<(Name, Option<u64>)> =
                incarnations.iter().map(|(name, own)| (Name::from(*name), Some(*own))).collect();
            prop_assert_eq!(listed, expected);
            prop_assert!(driven.registry.is_store_up());
        }
        let (records, _) = store.list().expect("it is up");
        prop_assert!(records.iter().all(|record| &*record.url == "h:9" && !record.ended));
        prop_assert_eq!(records.len(), NAMES.len());
    }
}

#[test]
fn a_change_that_failed_is_not_in_the_store() {
    let mut store = FaultyStore::new(MemoryStore::default());
    store.faults.is_down = true;
    let mut driven = FaultyDriven {
        registry: DurableRegistry::new(config(), Keeping::Shared),
        asked: Vec::new(),
    };
    driven.registry.handle_loaded(at(0), Vec::new(), 0);
    let _ = driven.registry.handle_register(at(0), registration("a", "h:1", 1));
    driven.drain();
    let change = driven.asked.pop().expect("a change");
    assert_eq!(store.change(at(0), &change).0, ChangeOutcome::Failed);
    assert!(store.list().is_none());
    store.faults.is_down = false;
    assert_eq!(store.list(), Some((Vec::new(), 0)));
    assert_eq!(store.change(at(3), &change).0, ChangeOutcome::Stored(1));
    store.crash(at(4), Duration::from_secs(1));
    assert_eq!(store.revision(), 1, "older than a second");
    store.crash(at(4), Duration::from_secs(2));
    assert_eq!(store.list(), Some((Vec::new(), 0)));
}
