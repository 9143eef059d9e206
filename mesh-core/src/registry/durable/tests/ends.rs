//! Records that say that a lease is over, of which only so many are kept.

use super::*;

#[test]
fn the_ends_that_are_remembered_are_bounded() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    driven.registry.registry.config.max_tombstones = 3;
    for number in 0..8_u64 {
        let name = format!("agent-{number}");
        driven.register(at(0), &mut store, registration(&name, "h:1", 1)).unwrap();
        let _ = driven.registry.handle_deregister(at(0), &name, None, None);
        driven.settle(at(0), &mut store);
    }
    driven.settle(at(0), &mut store);
    let left: Vec<_> = store.list().0.iter().map(|record| record.name.to_string()).collect();
    assert_eq!(left, ["agent-5", "agent-6", "agent-7"]);
}

#[test]
fn ends_that_are_too_many_leave_the_store_all_at_once() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    driven.registry.registry.config.max_tombstones = 3;
    let names: Vec<String> = (0..100).map(|number| format!("agent-{number:02}")).collect();
    for round in 1..5 {
        for name in &names {
            driven.register(at(round), &mut store, registration(name, "h:1", round)).unwrap();
        }
        for name in &names {
            let _ = driven.registry.handle_deregister(at(round), name, None, None);
        }
        // What the store commits together, and what it commits next.
        for _ in 0..2 {
            driven.write(at(round), &mut store);
        }
        let left: Vec<_> = store.list().0.iter().map(|record| record.name.to_string()).collect();
        assert_eq!(left, names[97..]);
        assert_eq!((driven.registry.mirror.len(), driven.registry.ended.len()), (3, 3));
        assert!(driven.registry.excess.is_empty() && driven.asked.is_empty());
    }
    // The same after a restart with a lower limit.
    let mut lower = DurableRegistry::new(config(), Keeping::Alone);
    lower.registry.config.max_tombstones = 1;
    let (records, revision) = store.list();
    lower.handle_loaded(at(9), records, revision);
    let mut lower = Driven { registry: lower, replies: BTreeMap::new(), asked: Vec::new() };
    lower.write(at(9), &mut store);
    assert_eq!(store.list().0.len(), 1);
}
