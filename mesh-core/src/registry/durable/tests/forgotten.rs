//! Records that are not what the registry believes, although it has missed no news.

use super::*;

/// A registry that believes that this store has a record of a: one that expired there, and of which
/// no news told.
fn believing(store: &MemoryStore) -> Driven {
    let mut other = MemoryStore::default();
    let mut before = Driven::new(Keeping::Shared, at(0), &other);
    before.register(at(0), &mut other, registration("a", "h:1", 1)).expect("a lease");
    let mut registry = DurableRegistry::new(config(), Keeping::Shared);
    registry.handle_loaded(at(0), other.list().0, store.revision());
    Driven { registry, replies: BTreeMap::new(), asked: Vec::new() }
}

fn asked(driven: &mut Driven, registration: Registration) -> CallerId {
    match driven.registry.handle_register(at(100), registration) {
        RegistryAnswer::Later(caller) => caller,
        RegistryAnswer::Now(answer) => panic!("it waits: {answer:?}"),
    }
}

#[test]
fn a_record_that_the_store_forgot_in_silence_costs_nobody_a_refusal() {
    let mut store = MemoryStore::default();
    let mut driven = believing(&store);
    // Another name's change is stored, and its news have not come yet.
    let other = asked(&mut driven, registration("b", "h:9", 1));
    driven.write(at(100), &mut store);
    let caller = asked(&mut driven, registration("a", "h:2", 2));
    for _ in 0..3 {
        driven.settle(at(100), &mut store);
        assert!(driven.registry.is_store_up());
    }
    for caller in [other, caller] {
        assert!(matches!(&driven.replies[&caller], StoreReply::Registered(Ok(_))));
    }
    assert_eq!(driven.names(at(100)), ["a h:2", "b h:9"]);
    assert_eq!(&*store.get("a").expect("a record").url, "h:2");
}

/// The caller's patience is no longer because the store was asked twice.
#[test]
fn who_waits_for_a_second_attempt_waits_no_longer() {
    let mut store = MemoryStore::default();
    let mut driven = believing(&store);
    let caller = asked(&mut driven, registration("a", "h:2", 2));
    let due = driven.registry.deadlines.first().expect("a deadline").0;
    driven.drain();
    let first = driven.asked.pop().expect("a change");
    let outcome = store.change(at(100), &first);
    driven.registry.handle_persisted(due, first.id, outcome);
    driven.registry.handle_timeout(due);
    driven.drain();
    let unavailable = StoreReply::Registered(Err(RegisterError::StoreUnavailable));
    assert_eq!(driven.replies[&caller], unavailable);
    assert!(driven.registry.is_store_up() && driven.asked.len() == 1);
}

#[test]
fn a_record_of_which_no_news_told_is_looked_for_in_the_list() {
    let mut store = MemoryStore::default();
    let mut other = Driven::new(Keeping::Shared, at(0), &store);
    other.register(at(0), &mut store, registration("a", "h:7", 7)).expect("a lease");
    let mut driven = believing(&store);
    let caller = asked(&mut driven, registration("a", "h:8", 8));
    driven.write(at(100), &mut store);
    driven.write(at(100), &mut store);
    let unavailable = StoreReply::Registered(Err(RegisterError::StoreUnavailable));
    assert_eq!(driven.replies[&caller], unavailable);
    assert!(!driven.registry.is_store_up());
    let (records, revision) = store.list();
    driven.registry.handle_loaded(at(101), records, revision);
    assert_eq!(driven.names(at(101)), ["a h:7"]);
}

#[test]
fn news_may_be_faster_than_the_answer_that_a_change_came_too_late() {
    let mut store = MemoryStore::default();
    let [mut one, mut two] = [(); 2].map(|()| Driven::new(Keeping::Shared, at(0), &store));
    let caller = asked(&mut one, registration("a", "h:2", 2));
    one.drain();
    let change = one.asked.pop().expect("a change");
    two.register(at(100), &mut store, registration("a", "h:1", 1)).expect("a lease");
    let outcome = store.change(at(100), &change);
    assert_eq!(outcome, ChangeOutcome::Outdated(1));
    one.hear(at(100), &store);
    one.registry.handle_persisted(at(100), change.id, outcome);
    assert!(one.registry.is_store_up());
    one.settle(at(100), &mut store);
    assert!(matches!(&one.replies[&caller], StoreReply::Registered(Ok(_))));
    assert_eq!(one.names(at(100)), ["a h:2"]);
}

/// The store has made a change, and has lost it again before its news came.
#[test]
fn nobody_waits_for_ever_for_news_of_a_change_that_the_store_has_lost() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Shared, at(0), &store);
    let first = asked(&mut driven, registration("a", "h:1", 1));
    driven.drain();
    let change = driven.asked.pop().expect("a change");
    driven.registry.handle_persisted(at(100), change.id, ChangeOutcome::Stored(1));
    let mut callers = vec![first];
    for now in 101..104 {
        driven.hear(at(now), &store);
        driven.registry.handle_timeout(at(now));
        driven.drain();
        callers.extend(
            match driven.registry.handle_register(at(now), registration("a", "h:1", 1)) {
                RegistryAnswer::Later(caller) => Some(caller),
                RegistryAnswer::Now(answer) => {
                    assert_eq!(answer, Err(RegisterError::StoreUnavailable));
                    None
                }
            },
        );
    }
    assert!(!driven.registry.is_store_up(), "it asks for a list");
    let (records, revision) = store.list();
    driven.registry.handle_loaded(at(104), records, revision);
    let caller = driven.registry.handle_register(at(104), registration("a", "h:1", 1));
    let RegistryAnswer::Later(caller) = caller else { panic!("it waits: {caller:?}") };
    driven.settle(at(104), &mut store);
    assert!(matches!(&driven.replies[&caller], StoreReply::Registered(Ok(_))));
    assert_eq!(store.list().0.len(), 1);
}
