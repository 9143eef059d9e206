//! A live lease is its owner's, wherever it is kept.

use super::*;

fn by(owner: &str, registration: Registration) -> Registration {
    Registration { owner: Some(owner.into()), ..registration }
}

fn held(holder: &str) -> Result<Registered, RegisterError> {
    Err(RegisterError::Held { holder: holder.into() })
}

#[test]
fn a_live_lease_is_its_owners() {
    for keeping in [Keeping::Nowhere, Keeping::Alone, Keeping::Shared] {
        let mut store = MemoryStore::default();
        let mut driven = Driven::new(keeping, at(0), &store);
        let first = driven.register(at(0), &mut store, by("ann", registration("a", "h:1", 1)));
        assert!(first.is_ok(), "{keeping:?}");
        let mut ask = |registration| driven.register(at(1), &mut store, registration);
        assert_eq!(ask(by("bob", registration("a", "h:2", 2))), held("h:1"), "{keeping:?}");
        assert_eq!(ask(by("bob", heartbeat("a", "h:1", 1))), held("h:1"));
        assert!(ask(by("ann", heartbeat("a", "h:1", 1))).is_ok_and(|granted| granted.renewed));
        assert!(ask(by("ann", registration("a", "h:3", 3))).is_ok());
        let leave = |driven: &mut Driven, caller: &str| {
            driven.registry.handle_deregister(at(2), "a", None, Some(caller.into()))
        };
        let error = DeregisterError::OtherIncarnation { current: None };
        assert_eq!(leave(&mut driven, "bob"), RegistryAnswer::Now(Err(error)));
        let _ = leave(&mut driven, "ann");
        driven.settle(at(2), &mut store);
        let next = by("bob", registration("a", "h:4", 4));
        assert!(driven.register(at(3), &mut store, next).is_ok(), "{keeping:?}");
        // Where nobody is asked, nobody is refused, and the owner stays.
        let unknown = heartbeat("a", "h:4", 4);
        assert!(driven.register(at(4), &mut store, unknown).is_ok());
        let other = by("ann", registration("a", "h:5", 5));
        assert_eq!(driven.register(at(4), &mut store, other), held("h:4"));
    }
}

#[test]
fn of_two_owners_who_ask_at_once_one_gets_the_name() {
    for keeping in [Keeping::Alone, Keeping::Shared] {
        let mut store = MemoryStore::default();
        let mut driven = Driven::new(keeping, at(0), &store);
        let callers: Vec<CallerId> = [("ann", 1), ("bob", 2)]
            .into_iter()
            .map(|(owner, incarnation)| {
                let url = format!("h:{incarnation}");
                let asked = by(owner, registration("a", &url, incarnation));
                match driven.registry.handle_register(at(0), asked) {
                    RegistryAnswer::Later(caller) => caller,
                    RegistryAnswer::Now(answer) => panic!("it waits: {answer:?}"),
                }
            })
            .collect();
        driven.settle(at(0), &mut store);
        assert!(matches!(&driven.replies[&callers[0]], StoreReply::Registered(Ok(_))));
        assert_eq!(driven.replies[&callers[1]], StoreReply::Registered(held("h:1")));
        assert_eq!(driven.names(at(0)), ["a h:1"]);
    }
}

#[test]
fn the_store_knows_the_owner() {
    for keeping in [Keeping::Alone, Keeping::Shared] {
        let mut store = MemoryStore::default();
        let mut driven = Driven::new(keeping, at(0), &store);
        // The owner becomes known by a heartbeat.
        driven.register(at(0), &mut store, registration("a", "h:1", 1)).expect("a lease");
        driven.register(at(1), &mut store, by("ann", heartbeat("a", "h:1", 1))).expect("renewed");
        driven.settle(at(1), &mut store);
        let (records, _) = store.list();
        assert_eq!(records[0].owner.as_deref(), Some("ann"));
        assert_eq!(LeaseRecord::decode(records[0].encode().as_bytes()), Ok(records[0].clone()));
        let mut again = Driven::new(keeping, at(2), &store);
        let other = by("bob", registration("a", "h:2", 2));
        assert_eq!(again.register(at(2), &mut store, other.clone()), held("h:1"), "{keeping:?}");
        assert!(again.register(at(3), &mut store, by("ann", heartbeat("a", "h:1", 1))).is_ok());
        again.settle(at(3), &mut store);
        // Its lease runs out. A registry that is called late takes it that it has slept.
        for second in 4..=200 {
            again.registry.handle_timeout(at(second));
            again.settle(at(second), &mut store);
        }
        let answer = again.register(at(200), &mut store, other);
        match keeping {
            // Another registry may still hear the agent, as long as the store has not forgotten it.
            Keeping::Shared => assert_eq!(answer, held("h:1")),
            _ => assert!(answer.is_ok(), "{answer:?}"),
        }
    }
}
