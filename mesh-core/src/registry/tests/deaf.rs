//! A registry that could not hear its agents, because it was paused, starved of CPU or cut off. Its
//! TTL is 100 ns, and the agents send a heartbeat every 30 ns.

use std::time::Duration;

use super::{at, hearing, heartbeat, names, pass, registration, registry};
use crate::registry::{Deafness, LeaseConfig, RegisterError, Registry, RegistryConfig};

const fn nanos(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

/// A registry that has heard the agents a, b and c at 0, 10 and 20 ns.
fn three() -> Registry {
    let mut registry = registry();
    for (now, name) in [(0, "a"), (10, "b"), (20, "c")] {
        registry.handle_register(at(now), registration(name, 1)).unwrap();
    }
    registry
}

/// A call to the registry at a time in nanoseconds.
type RegistryAct = fn(&mut Registry, u64);

/// The calls that may be the first after a pause.
const FIRST: [(&str, RegistryAct); 4] = [
    ("its timer", |registry, now| registry.handle_timeout(at(now))),
    ("a list", |registry, now| assert_eq!(registry.handle_list(at(now)).len(), 3)),
    ("a look", |registry, now| assert_eq!(names(registry, at(now)).len(), 3)),
    ("a heartbeat", |registry, now| {
        assert!(registry.handle_register(at(now), heartbeat("a", 1)).unwrap().renewed);
    }),
];

#[test]
fn a_pause_of_any_length_counts_for_no_lease() {
    for pause in [60, 100, 1_000, 1_000_000_000] {
        for (what, first) in FIRST {
            let mut registry = three();
            let awake = 20 + pause;
            first(&mut registry, awake);
            // It wanted to be woken 12 ns after it was last called.
            let slept = nanos(pause - 12);
            assert_eq!(registry.poll_deafness(), Some(Deafness::Slept(slept)), "{what}");
            assert_eq!(registry.poll_deafness(), None);
            for (later, name) in [(10, "b"), (25, "c"), (30, "a")] {
                pass(&mut registry, awake + later);
                let renewed = registry.handle_register(at(awake + later), heartbeat(name, 1));
                assert!(renewed.unwrap().renewed, "{name} after {pause} ns and {what}");
            }
        }
    }
}

#[test]
fn an_agent_that_dies_in_a_pause_is_given_up_a_ttl_after_it() {
    let mut registry = three();
    registry.handle_timeout(at(1_032));
    assert_eq!(registry.poll_deafness(), Some(Deafness::Slept(nanos(1_000))));
    hearing(&mut registry, 1_033, 1_099);
    assert_eq!(names(&mut registry, at(1_099)), ["a", "b", "c", "z"]);
    hearing(&mut registry, 1_100, 1_119);
    assert_eq!(names(&mut registry, at(1_119)), ["c", "z"], "each at its time");
}

#[test]
fn a_registry_that_is_paused_again_and_again_still_gives_up_the_dead() {
    let mut registry = three();
    let mut now = 20;
    // It runs for 10 ns, then sleeps for 40; the first 12 of these don't count as a pause.
    for _ in 0..4 {
        pass(&mut registry, now + 10);
        registry.handle_register(at(now + 10), registration("z", 1)).unwrap();
        now += 50;
        registry.handle_timeout(at(now));
    }
    assert_eq!(names(&mut registry, at(now)), ["b", "c", "z"], "88 of 200 ns were no pause");
}

#[test]
fn being_a_little_late_is_no_pause() {
    let mut registry = three();
    hearing(&mut registry, 21, 80);
    registry.handle_timeout(at(80 + 24));
    assert_eq!(registry.poll_deafness(), None);
    assert_eq!(names(&mut registry, at(104)), ["b", "c", "z"]);
}

#[test]
fn a_silence_of_less_than_two_ttls_costs_nobody_its_lease() {
    for silence in [60, 100, 150, 179] {
        let mut registry = three();
        let heard = 20 + silence;
        pass(&mut registry, heard);
        assert_eq!(names(&mut registry, at(heard)), ["a", "b", "c"], "{silence}");
        assert!(registry.handle_register(at(heard), heartbeat("b", 1)).unwrap().renewed);
        let told = (silence >= 100).then_some(Deafness::Silence(nanos(silence)));
        assert_eq!(registry.poll_deafness(), told);
        hearing(&mut registry, heard + 1, heard + 99);
        assert_eq!(names(&mut registry, at(heard + 99)), ["a", "b", "c", "z"], "a TTL from then");
        assert_eq!(names(&mut registry, at(heard + 100)), ["z"], "if they are dead");
    }
}

#[test]
fn a_lease_that_nobody_renews_ends_after_two_ttls_of_silence() {
    let mut registry = three();
    for (until, left) in [(199, 3), (200, 2), (210, 1), (219, 1), (220, 0)] {
        pass(&mut registry, until);
        assert_eq!(names(&mut registry, at(until)).len(), left, "{until}");
    }
    assert_eq!(registry.poll_timeout(), None);
    // A heartbeat that comes now finds no lease to renew, and the agent registers anew.
    let late = registry.handle_register(at(230), heartbeat("a", 1));
    assert_eq!(late, Err(RegisterError::UnknownLease));
    assert!(!registry.handle_register(at(230), registration("a", 2)).unwrap().renewed);
}

#[test]
fn silence_upon_silence_keeps_no_lease_beyond_three_ttls() {
    let mut registry = three();
    // Of the three agents only b is alive, and it is heard less than twice per TTL.
    for now in (80..310).step_by(60) {
        pass(&mut registry, now);
        registry.handle_register(at(now), heartbeat("b", 1)).unwrap();
    }
    pass(&mut registry, 299);
    assert_eq!(names(&mut registry, at(299)), ["a", "b", "c"]);
    pass(&mut registry, 320);
    assert_eq!(names(&mut registry, at(320)), ["b"]);
}

#[test]
fn the_first_agent_of_an_empty_registry_is_no_news_of_a_silence() {
    let mut registry = registry();
    registry.handle_register(at(1_000_000), registration("a", 1)).unwrap();
    assert_eq!(registry.poll_deafness(), None);
}

/// A registry that believes no more than 20 % of silent agents to be dead, if it has ten or more.
fn protecting() -> Registry {
    let leases = LeaseConfig { ttl: Duration::from_nanos(100), sweep: Duration::ZERO };
    Registry::new(RegistryConfig { leases, protect_percent: 20, ..RegistryConfig::default() })
}

/// Registers `all` agents and "z"; from then on, only z is heard.
fn fall_silent(registry: &mut Registry, all: u64) {
    for number in 0..all {
        registry.handle_register(at(number), registration(&format!("a-{number}"), 1)).unwrap();
    }
    hearing(registry, 20, 99);
}

#[test]
fn if_many_fall_silent_at_once_their_leases_are_kept() {
    let mut registry = protecting();
    fall_silent(&mut registry, 9);
    hearing(&mut registry, 100, 500);
    assert_eq!((names(&mut registry, at(500)).len(), registry.protected()), (10, 9));
    // Whoever is heard is not protected any more; those who are few enough then end.
    for number in 0..8 {
        registry.handle_register(at(500), heartbeat(&format!("a-{number}"), 1)).unwrap();
    }
    assert_eq!(registry.protected(), 1);
    for now in (520..640).step_by(20) {
        pass(&mut registry, now);
        for number in 0..8 {
            registry.handle_register(at(now), heartbeat(&format!("a-{number}"), 1)).unwrap();
        }
    }
    assert_eq!((names(&mut registry, at(640)).len(), registry.protected()), (8, 0));
}

#[test]
fn a_small_mesh_and_a_small_share_are_believed() {
    let mut registry = protecting();
    fall_silent(&mut registry, 8);
    hearing(&mut registry, 100, 200);
    assert_eq!(names(&mut registry, at(200)), ["z"], "nine leases are too few");
    let mut registry = super::registry();
    fall_silent(&mut registry, 30);
    hearing(&mut registry, 100, 200);
    assert_eq!(names(&mut registry, at(200)), ["z"], "it is off by default");
}

#[test]
fn protection_has_an_end() {
    let mut registry = protecting();
    fall_silent(&mut registry, 9);
    hearing(&mut registry, 100, 1_090);
    assert_eq!(registry.protected(), 9);
    hearing(&mut registry, 1_091, 1_120);
    assert_eq!(names(&mut registry, at(1_120)), ["z"]);
}
