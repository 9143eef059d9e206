//! Registries with a store, one or two of them, step by step and in random schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::profile::Profile;
use crate::registry::{LeaseConfig, MemoryStore, StoreChange};

mod ends;
mod forgotten;
mod goodbyes;
mod owners;

const TTL: Duration = Duration::from_secs(30);

pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::ZERO + Duration::from_secs(secs)
}

pub(super) fn config() -> RegistryConfig {
    let leases = LeaseConfig { ttl: TTL, ..LeaseConfig::default() };
    RegistryConfig { leases, ..RegistryConfig::default() }
}

pub(super) fn registration(name: &str, url: &str, incarnation: u64) -> Registration {
    Registration {
        name: name.into(),
        url: url.into(),
        incarnation: Some(incarnation),
        renew: false,
        load: None,
        profile: Profile::default(),
        owner: None,
        draining: false,
    }
}

pub(super) fn heartbeat(name: &str, url: &str, incarnation: u64) -> Registration {
    Registration { renew: true, ..registration(name, url, incarnation) }
}

/// A registry as a driver runs it, over a store that the test holds.
struct Driven {
    registry: DurableRegistry,
    replies: BTreeMap<CallerId, StoreReply>,
    /// Changes that the store was not asked for yet.
    asked: Vec<StoreChange>,
}

impl Driven {
    fn new(keeping: Keeping, now: Timestamp, store: &MemoryStore) -> Self {
        let mut registry = DurableRegistry::new(config(), keeping);
        let (records, revision) = store.list();
        registry.handle_loaded(now, records, revision);
        Self { registry, replies: BTreeMap::new(), asked: Vec::new() }
    }

    fn drain(&mut self) {
        while self.registry.poll_effect().is_some() {}
        while let Some(effect) = self.registry.poll_store() {
            match effect {
                StoreEffect::Persist(change) => self.asked.push(change),
                StoreEffect::Reply { caller, reply } => {
                    assert!(self.replies.insert(caller, reply).is_none(), "one answer each");
                }
                StoreEffect::List => {}
            }
        }
    }

    /// Carries out what the registry asks of the store.
    fn write(&mut self, now: Timestamp, store: &mut MemoryStore) {
        self.drain();
        for change in std::mem::take(&mut self.asked) {
            let outcome = store.change(now, &change);
            self.registry.handle_persisted(now, change.id, outcome);
        }
        self.drain();
    }

    /// Tells the registry what has changed in the store.
    fn hear(&mut self, now: Timestamp, store: &MemoryStore) {
        let changes = store.changes_after(self.registry.revision()).expect("they are remembered");
        let changes: Vec<_> = changes.cloned().collect();
        self.registry.handle_heard(now, changes, store.revision());
        self.drain();
    }

    /// Writes and hears until nothing is left to do.
    fn settle(&mut self, now: Timestamp, store: &mut MemoryStore) {
        loop {
            self.write(now, store);
            if self.registry.keeping() == Keeping::Shared {
                self.hear(now, store);
            }
            if self.asked.is_empty() {
                return;
            }
        }
    }

    fn names(&mut self, now: Timestamp) -> Vec<String> {
        self.registry.list(now).map(|lease| format!("{} {}", lease.name, lease.url)).collect()
    }

    fn register(
        &mut self,
        now: Timestamp,
        store: &mut MemoryStore,
        registration: Registration,
    ) -> Result<Registered, RegisterError> {
        match self.registry.handle_register(now, registration) {
            RegistryAnswer::Now(answer) => answer,
            RegistryAnswer::Later(caller) => {
                self.settle(now, store);
                match self.replies.remove(&caller) {
                    Some(StoreReply::Registered(answer)) => answer,
                    other => panic!("a registration, not {other:?}"),
                }
            }
        }
    }
}

#[test]
fn a_caller_is_answered_when_the_store_has_the_lease() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    let answer = driven.registry.handle_register(at(0), registration("a", "h:1", 1));
    let RegistryAnswer::Later(caller) = answer else { panic!("it waits: {answer:?}") };
    driven.drain();
    assert!(driven.replies.is_empty() && driven.names(at(0)).is_empty());
    driven.write(at(0), &mut store);
    let granted = Registered { renewed: false, expires_at: at(30), rival: None, drain: None };
    assert_eq!(driven.replies[&caller], StoreReply::Registered(Ok(granted)));
    assert_eq!(driven.names(at(0)), ["a h:1"]);

    // A heartbeat needs no store.
    let answer = driven.registry.handle_register(at(9), heartbeat("a", "h:1", 1));
    assert!(answer.now().expect("at once").expect("it holds the lease").renewed);
    driven.drain();
    assert!(driven.asked.is_empty());
}

#[test]
fn a_restart_loses_nothing_and_gives_a_ttl_of_grace() {
    let mut store = MemoryStore::default();
    let mut first = Driven::new(Keeping::Alone, at(0), &store);
    first.register(at(0), &mut store, registration("a", "h:1", 1)).unwrap();
    first.register(at(0), &mut store, registration("b", "h:2", 7)).unwrap();
    let RegistryAnswer::Later(_) = first.registry.handle_deregister(at(1), "b", Some(7), None)
    else {
        panic!("it waits")
    };
    first.settle(at(1), &mut store);

    let mut second = Driven::new(Keeping::Alone, at(1000), &store);
    assert_eq!(second.names(at(1000)), ["a h:1"]);
    assert_eq!(second.registry.recovering(), 1);
    // The end of b is remembered, too.
    let stale = second.register(at(1001), &mut store, registration("b", "h:2", 7)).unwrap_err();
    assert_eq!(stale, RegisterError::StaleIncarnation { current: 7, holder: None });
    assert!(second.register(at(1002), &mut store, heartbeat("a", "h:1", 1)).unwrap().renewed);
    assert_eq!(second.registry.recovering(), 0);

    let mut third = Driven::new(Keeping::Alone, at(2000), &store);
    for now in 2000..2090 {
        third.registry.handle_timeout(at(now));
        third.settle(at(now), &mut store);
    }
    assert_eq!(third.names(at(2090)), [""; 0], "nobody was heard");
    let mut fourth = Driven::new(Keeping::Alone, at(3000), &store);
    assert_eq!(fourth.names(at(3000)), [""; 0], "which was stored");
}

#[test]
fn without_the_store_heartbeats_go_on_and_registrations_are_refused() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    driven.register(at(0), &mut store, registration("a", "h:1", 1)).unwrap();
    let RegistryAnswer::Later(caller) =
        driven.registry.handle_register(at(1), registration("b", "h:2", 1))
    else {
        panic!("it waits")
    };
    driven.drain();
    let change = driven.asked.pop().expect("a change");
    driven.registry.handle_persisted(at(2), change.id, ChangeOutcome::Unknown);
    driven.drain();
    let unavailable = Err(RegisterError::StoreUnavailable);
    assert_eq!(driven.replies[&caller], StoreReply::Registered(unavailable.clone()));
    assert!(!driven.registry.is_store_up());
    let answer = driven.registry.handle_register(at(3), registration("b", "h:2", 1));
    assert_eq!(answer, RegistryAnswer::Now(unavailable));
    let answer = driven.registry.handle_register(at(3), heartbeat("a", "h:1", 1));
    assert!(answer.now().unwrap().unwrap().renewed);
    let answer = driven.registry.handle_deregister(at(4), "a", Some(1), None);
    assert_eq!(answer, RegistryAnswer::Now(Err(DeregisterError::StoreUnavailable)));
    assert_eq!(driven.names(at(4)), [""; 0], "but it is gone");

    // The change had been made; repeating it does no harm. And the end of a is stored now.
    store.change(at(2), &change);
    let (records, revision) = store.list();
    driven.registry.handle_loaded(at(5), records, revision);
    driven.settle(at(5), &mut store);
    assert!(driven.register(at(6), &mut store, registration("b", "h:2", 1)).unwrap().renewed);
    let mut next = Driven::new(Keeping::Alone, at(7), &store);
    assert_eq!(next.names(at(7)), ["b h:2"]);
}

#[test]
fn a_store_that_is_slow_refuses_in_time() {
    let store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    let answer = driven.registry.handle_register(at(0), registration("a", "h:1", 1));
    let RegistryAnswer::Later(caller) = answer else { panic!("it waits: {answer:?}") };
    let due = driven.registry.poll_timeout().expect("a deadline");
    assert!(due < at(1), "{due}");
    driven.registry.handle_timeout(due);
    driven.drain();
    let unavailable = StoreReply::Registered(Err(RegisterError::StoreUnavailable));
    assert_eq!(driven.replies[&caller], unavailable);
    // Another one waits for the same name meanwhile; it is not mistaken for the first.
    let answer = driven.registry.handle_register(at(1), registration("a", "h:2", 2));
    let RegistryAnswer::Later(next) = answer else { panic!("it waits: {answer:?}") };
    let mut store = store;
    driven.settle(at(1), &mut store);
    driven.settle(at(1), &mut store);
    assert!(matches!(&driven.replies[&next], StoreReply::Registered(Ok(_))));
    assert_eq!(driven.names(at(1)), ["a h:2"]);
}

#[test]
fn two_registries_agree_on_one_address_and_judge_alone_who_is_alive() {
    let mut store = MemoryStore::default();
    let [mut one, mut two] = [(); 2].map(|()| Driven::new(Keeping::Shared, at(0), &store));
    // Both are asked for one name at once.
    let answers = [
        one.registry.handle_register(at(0), registration("a", "h:1", 1)),
        two.registry.handle_register(at(0), registration("a", "h:2", 2)),
    ];
    let [RegistryAnswer::Later(first), RegistryAnswer::Later(second)] = answers else {
        panic!("both wait: {answers:?}")
    };
    one.write(at(0), &mut store);
    two.write(at(0), &mut store);
    assert!(one.names(at(0)).is_empty() && one.replies.is_empty(), "not before it hears of it");
    for _ in 0..3 {
        one.settle(at(0), &mut store);
        two.settle(at(0), &mut store);
    }
    assert!(matches!(one.replies[&first], StoreReply::Registered(Ok(_))));
    assert!(matches!(two.replies[&second], StoreReply::Registered(Ok(_))), "it is the later one");
    one.settle(at(0), &mut store);
    assert_eq!([one.names(at(0)), two.names(at(0))], [["a h:2"], ["a h:2"]]);

    // Only the second one hears the agent, and others keep the first one awake.
    one.register(at(0), &mut store, registration("z", "h:9", 1)).unwrap();
    two.hear(at(0), &store);
    for now in (5..45).step_by(5) {
        for driven in [&mut one, &mut two] {
            driven.register(at(now), &mut store, heartbeat("z", "h:9", 1)).unwrap();
            driven.registry.handle_timeout(at(now));
            driven.settle(at(now), &mut store);
        }
        two.register(at(now), &mut store, heartbeat("a", "h:2", 2)).unwrap();
    }
    assert_eq!(one.names(at(40)), ["z h:9"]);
    assert_eq!(two.names(at(40)), ["a h:2", "z h:9"]);
    // A late heartbeat of the dead does not revive it, and the living come back with a new life.
    let refused = one.register(at(41), &mut store, heartbeat("a", "h:2", 2));
    assert_eq!(refused, Err(RegisterError::UnknownLease));
    one.register(at(41), &mut store, registration("a", "h:2", 3)).unwrap();
    two.hear(at(41), &store);
    assert_eq!(one.names(at(41)), two.names(at(41)));
    // Whoever leaves by itself leaves all lists.
    let _ = two.registry.handle_deregister(at(42), "a", Some(3), None);
    two.settle(at(42), &mut store);
    one.hear(at(42), &store);
    assert_eq!([one.names(at(42)), two.names(at(42))], [["z h:9"], ["z h:9"]]);
}

#[test]
fn a_store_that_has_lost_changes_is_put_right() {
    let mut store = MemoryStore::default();
    let mut one = Driven::new(Keeping::Shared, at(0), &store);
    one.register(at(0), &mut store, registration("a", "h:1", 1)).unwrap();
    one.register(at(0), &mut store, registration("b", "h:2", 1)).unwrap();
    let older = store.clone();
    one.register(at(1), &mut store, registration("a", "h:3", 2)).unwrap();
    one.register(at(1), &mut store, registration("c", "h:4", 1)).unwrap();
    let _ = one.registry.handle_deregister(at(1), "b", Some(1), None);
    one.settle(at(1), &mut store);
    let before = one.names(at(1));
    assert_eq!(before, ["a h:3", "c h:4"]);

    let mut store = older;
    one.registry.handle_lost();
    let (records, revision) = store.list();
    one.registry.handle_loaded(at(2), records, revision);
    for _ in 0..3 {
        one.settle(at(2), &mut store);
    }
    assert_eq!(one.names(at(2)), before);
    let mut two = Driven::new(Keeping::Shared, at(3), &store);
    assert_eq!(two.names(at(3)), before);
}

#[test]
fn what_the_store_forgets_is_written_again_while_the_agent_is_heard() {
    let mut store = MemoryStore::new(Some(TTL * 3), 1000);
    let mut one = Driven::new(Keeping::Shared, at(0), &store);
    one.register(at(0), &mut store, registration("a", "h:1", 1)).unwrap();
    store.handle_timeout(at(89));
    assert_eq!(store.list().0.len(), 1);
    one.register(at(20), &mut store, heartbeat("a", "h:1", 1)).unwrap();
    let heard: Vec<_> = one.registry.heard(at(20)).cloned().collect();
    assert!(heard.iter().all(|name| store.keep(at(20), name)) && heard.len() == 1);
    store.handle_timeout(at(109));
    assert_eq!(store.list().0.len(), 1);
    // As if the clock of the store's machine had been set forward.
    store.handle_timeout(at(4000));
    assert_eq!(store.list().0.len(), 0);
    one.settle(at(21), &mut store);
    one.settle(at(21), &mut store);
    assert_eq!((one.names(at(21)), store.list().0.len()), (vec!["a h:1".to_owned()], 1));
}

#[test]
fn marks_of_draining_last() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    driven.register(at(0), &mut store, registration("a", "h:1", 1)).unwrap();
    assert!(matches!(driven.registry.handle_drain(at(1), "a", true), RegistryAnswer::Later(_)));
    driven.settle(at(1), &mut store);
    driven.register(at(2), &mut store, heartbeat("a", "h:1", 1)).unwrap();
    let mut next = Driven::new(Keeping::Alone, at(3), &store);
    assert!(next.registry.get(at(3), "a").unwrap().draining);
    assert!(next.registry.handle_list(at(3)).get(0).unwrap().draining);
    // The agent learns of a mark that it had not heard of, and then says so itself.
    let answer = next.register(at(3), &mut store, heartbeat("a", "h:1", 1)).unwrap();
    assert_eq!(answer.drain, Some(true));
    let said = Registration { draining: true, ..heartbeat("a", "h:1", 1) };
    assert_eq!(next.register(at(3), &mut store, said).unwrap().drain, None);
    // What it says later is kept, too: another registry may have cancelled the drain.
    next.register(at(3), &mut store, heartbeat("a", "h:1", 1)).unwrap();
    next.settle(at(3), &mut store);
    let mut third = Driven::new(Keeping::Alone, at(3), &store);
    assert!(!third.registry.get(at(3), "a").unwrap().draining);
    // Another life of the agent begins without the mark.
    next.register(at(4), &mut store, registration("a", "h:1", 2)).unwrap();
    assert!(!next.registry.get(at(4), "a").unwrap().draining);
    let answer = next.registry.handle_drain(at(4), "x", true);
    assert_eq!(answer, RegistryAnswer::Now(Err(DrainError::UnknownLease)));
}

#[test]
fn records_are_read_as_they_were_written() {
    let mut store = MemoryStore::default();
    let mut driven = Driven::new(Keeping::Alone, at(0), &store);
    driven.register(at(0), &mut store, registration("a", "http://h:1", 1)).unwrap();
    let record = store.list().0.remove(0);
    let text = record.encode();
    assert_eq!(LeaseRecord::decode(text.as_bytes()), Ok(record));
    let newer = text.replace("\"format\":1", "\"format\":2");
    assert_eq!(LeaseRecord::decode(newer.as_bytes()), Err(crate::registry::RecordError::Format(2)));
    assert!(LeaseRecord::decode(&text.as_bytes()[..20]).is_err());
}

/// One step of a schedule with two registries.
#[derive(Clone, Debug)]
enum ClusterStep {
    Wait(u64),
    Register {
        registry: usize,
        name: usize,
        url: usize,
        incarnation: u64,
        renew: bool,
    },
    Deregister {
        registry: usize,
        name: usize,
    },
    Write(usize),
    /// The store makes a change, and the answer is lost.
    LoseAnswer(usize),
    Hear(usize),
    Restart(usize),
    Reconnect(usize),
}

fn step() -> impl Strategy<Value = ClusterStep> {
    let (registry, name) = (0..2_usize, 0..3_usize);
    prop_oneof![
        2 => (1..10_u64).prop_map(ClusterStep::Wait),
        6 => (registry.clone(), name.clone(), 0..2_usize, 1..5_u64, any::<bool>()).prop_map(
            |(registry, name, url, incarnation, renew)| ClusterStep::Register {
                registry, name, url, incarnation, renew
            }
        ),
        1 => (registry.clone(), name)
            .prop_map(|(registry, name)| ClusterStep::Deregister { registry, name }),
        5 => registry.clone().prop_map(ClusterStep::Write),
        1 => registry.clone().prop_map(ClusterStep::LoseAnswer),
        5 => registry.clone().prop_map(ClusterStep::Hear),
        1 => registry.clone().prop_map(ClusterStep::Restart),
        2 => registry.prop_map(ClusterStep::Reconnect),
    ]
}

proptest! {
    #[test]
    fn two_registries_never_list_two_addresses_at_one_revision(
        steps in prop::collection::vec(step(), 1..120),
    ) {
        const NAMES: [&str; 3] = ["a", "b", "c"];
        const URLS: [&str; 2] = ["x:1", "y:2"];
        let mut store = MemoryStore::default();
        let mut now = 0;
        let mut both = [(); 2].map(|()| Driven::new(Keeping::Shared, at(0), &store));
        let mut listed: BTreeMap<(u64, Name), String> = BTreeMap::new();
        for step in steps {
            match step {
                ClusterStep::Wait(secs) => now += secs,
                ClusterStep::Register { registry, name, url, incarnation, renew } => {
                    let registration = registration(NAMES[name], URLS[url], incarnation);
                    let registration = Registration { renew, ..registration };
                    let _ = both[registry].registry.handle_register(at(now), registration);
                }
                ClusterStep::Deregister { registry, name } => {
                    let _ = both[registry].registry.handle_deregister(at(now), NAMES[name], None, None);
                }
                ClusterStep::Write(registry) => both[registry].write(at(now), &mut store),
                ClusterStep::LoseAnswer(registry) => {
                    let driven = &mut both[registry];
                    driven.drain();
                    for change in std::mem::take(&mut driven.asked) {
                        store.change(at(now), &change);
                        let unknown = ChangeOutcome::Unknown;
                        driven.registry.handle_persisted(at(now), change.id, unknown);
                    }
                }
                ClusterStep::Hear(registry) => both[registry].hear(at(now), &store),
                ClusterStep::Restart(registry) => {
                    both[registry] = Driven::new(Keeping::Shared, at(now), &store);
                }
                ClusterStep::Reconnect(registry) => {
                    if !both[registry].registry.is_store_up() {
                        let (records, revision) = store.list();
                        both[registry].registry.handle_loaded(at(now), records, revision);
                    }
                }
            }
            for driven in &mut both {
                driven.registry.handle_timeout(at(now));
                driven.drain();
                let revision = driven.registry.revision();
                let leases: Vec<(Name, String)> = driven
                    .registry
                    .list(at(now))
                    .map(|lease| (lease.name.clone(), lease.url.to_string()))
                    .collect();
                for (name, url) in leases {
                    let known = listed.entry((revision, name)).or_insert_with(|| url.clone());
                    prop_assert_eq!(&*known, &url);
                }
            }
        }
        // In the end both know the same, and nobody waits.
        for _ in 0..6 {
            for driven in &mut both {
                if !driven.registry.is_store_up() {
                    let (records, revision) = store.list();
                    driven.registry.handle_loaded(at(now), records, revision);
                }
                driven.settle(at(now), &mut store);
            }
        }
        for driven in &both {
            prop_assert!(driven.registry.pending.is_empty() && driven.registry.writing.is_empty());
            prop_assert!(driven.registry.behind.is_empty() && driven.registry.deadlines.is_empty());
            let (records, _) = store.list();
            let known: Vec<_> = driven.registry.mirror.values().cloned().collect();
            prop_assert_eq!(records, known);
        }
    }
}
