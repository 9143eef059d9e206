//! Agents that leave while the store does not answer.

use super::*;

/// A registry with the agent a, incarnation 1, that has just asked to leave: the caller who waits,
/// and the change that the store was asked for.
fn leaving(keeping: Keeping, store: &mut MemoryStore) -> (Driven, CallerId, StoreChange) {
    let mut driven = Driven::new(keeping, at(0), store);
    driven.register(at(0), store, registration("a", "h:1", 1)).expect("a lease");
    let answer = driven.registry.handle_deregister(at(1), "a", Some(1), None);
    let RegistryAnswer::Later(caller) = answer else { panic!("it waits: {answer:?}") };
    driven.drain();
    let change = driven.asked.pop().expect("a change");
    (driven, caller, change)
}

fn unavailable() -> StoreReply {
    StoreReply::Deregistered(Err(DeregisterError::StoreUnavailable))
}

#[test]
fn the_first_goodbye_of_an_outage_ends_the_lease() {
    for keeping in [Keeping::Alone, Keeping::Shared] {
        for outcome in [ChangeOutcome::Failed, ChangeOutcome::Unknown] {
            let mut store = MemoryStore::default();
            let (mut driven, caller, change) = leaving(keeping, &mut store);
            driven.registry.handle_persisted(at(1), change.id, outcome);
            driven.drain();
            assert_eq!(driven.replies[&caller], unavailable());
            assert_eq!(driven.names(at(1)), [""; 0], "{keeping:?}, {outcome:?}");
            // The store is told when it is back.
            let (records, revision) = store.list();
            assert!(!records[0].ended);
            driven.registry.handle_loaded(at(2), records, revision);
            driven.settle(at(2), &mut store);
            assert_eq!(driven.names(at(2)), [""; 0]);
            assert!(store.list().0[0].ended, "{keeping:?}, {outcome:?}");
        }
    }
}

#[test]
fn a_goodbye_that_a_slow_store_keeps_waiting_ends_the_lease() {
    for keeping in [Keeping::Alone, Keeping::Shared] {
        let mut store = MemoryStore::default();
        let (mut driven, caller, change) = leaving(keeping, &mut store);
        driven.registry.handle_timeout(at(2));
        driven.drain();
        assert_eq!(driven.replies[&caller], unavailable());
        assert_eq!(driven.names(at(2)), [""; 0], "{keeping:?}");
        driven.asked.push(change);
        driven.settle(at(3), &mut store);
        assert_eq!(driven.names(at(3)), [""; 0]);
        assert!(store.list().0[0].ended && driven.registry.ending.is_empty());
    }
}

/// The wishes that wait behind another one are looked at when nobody waits any more.
#[test]
fn a_goodbye_that_came_too_late_ends_no_successor() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Shared, at(0), &store);
    driven.register(at(0), &mut store, registration("a", "h:1", 1)).expect("a lease");
    let next = driven.registry.handle_register(at(1), registration("a", "h:2", 2));
    let leaving = driven.registry.handle_deregister(at(1), "a", Some(1), None);
    let (RegistryAnswer::Later(next), RegistryAnswer::Later(leaving)) = (next, leaving) else {
        panic!("both wait")
    };
    driven.drain();
    let change = driven.asked.pop().expect("a change");
    store.change(at(1), &change);
    // The change comes back before the store's answer does, which never comes.
    driven.hear(at(1), &store);
    driven.registry.handle_persisted(at(2), change.id, ChangeOutcome::Unknown);
    driven.registry.handle_timeout(at(3));
    driven.drain();
    assert!(matches!(&driven.replies[&next], StoreReply::Registered(Ok(_))));
    let refused = DeregisterError::OtherIncarnation { current: Some(2) };
    assert_eq!(driven.replies[&leaving], StoreReply::Deregistered(Err(refused)));
    assert_eq!(driven.names(at(3)), ["a h:2"]);
}

#[test]
fn what_has_come_back_from_the_store_is_not_called_unavailable() {
    let mut store = MemoryStore::default();
    let (mut driven, caller, change) = leaving(Keeping::Shared, &mut store);
    store.change(at(1), &change);
    driven.hear(at(1), &store);
    assert!(driven.replies.is_empty());
    driven.registry.handle_timeout(at(2));
    driven.drain();
    assert_eq!(driven.replies[&caller], StoreReply::Deregistered(Ok(())));
}
