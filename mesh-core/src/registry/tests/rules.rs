use std::time::Duration;

use super::{at, hearing, heartbeat, names, notes, pass, registration, registry};
use crate::load::LoadReport;
use crate::registry::{
    DeregisterError, LeaseConfig, LeaseNoteKind, RegisterError, Registered, Registration, Registry,
    RegistryConfig,
};

const STALE_7: Result<Registered, RegisterError> =
    Err(RegisterError::StaleIncarnation { current: 7, holder: None });

/// As [`STALE_7`], while that incarnation is live.
fn held_7() -> Result<Registered, RegisterError> {
    let holder = Some("127.0.0.1:8600".into());
    Err(RegisterError::StaleIncarnation { current: 7, holder })
}

#[test]
fn a_lease_ends_at_exactly_its_ttl() {
    let mut registry = registry();
    let granted = registry.handle_register(at(5), registration("a", 1)).unwrap();
    assert_eq!(
        granted,
        Registered { renewed: false, expires_at: at(105), rival: None, drain: None }
    );
    hearing(&mut registry, 5, 104);
    assert_eq!(names(&mut registry, at(104)), ["a", "z"]);
    assert!(registry.get(at(104), "a").is_some());
    assert_eq!(registry.poll_timeout(), Some(at(105)));

    // Nothing has woken it yet, but the lease is over.
    assert_eq!(names(&mut registry, at(105)), ["z"]);
    assert!(registry.get(at(105), "a").is_none());
    let expired = LeaseNoteKind::Expired { at: at(105) };
    let granted = (Some(1), LeaseNoteKind::Granted);
    assert_eq!(notes(&mut registry), [granted.clone(), granted, (Some(1), expired)]);
}

#[test]
fn a_renewal_moves_the_expiry_and_updates_url_and_load() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    let load = LoadReport { in_flight: 3, ..LoadReport::default() };
    pass(&mut registry, 40);
    let loaded = Registration { load: Some(load), ..heartbeat("a", 1) };
    let renewed = registry.handle_register(at(40), loaded).unwrap();
    assert_eq!(
        renewed,
        Registered { renewed: true, expires_at: at(140), rival: None, drain: None }
    );
    let lease = registry.get(at(40), "a").unwrap();
    assert_eq!((lease.registered_at, lease.renewed_at), (at(0), at(40)));
    assert_eq!((lease.expires_at, lease.load), (at(140), Some(load)));
    assert_eq!(notes(&mut registry), [(Some(1), LeaseNoteKind::Granted)]);
}

#[test]
fn an_agent_that_knows_no_incarnations_may_move() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", None)).unwrap();
    let moved = Registration { url: "b:1".into(), ..registration("a", None) };
    assert!(registry.handle_register(at(1), moved).unwrap().renewed);
    assert_eq!(&*registry.get(at(1), "a").unwrap().url, "b:1");
    let moved = LeaseNoteKind::Moved { from: "127.0.0.1:8600".into() };
    assert_eq!(notes(&mut registry), [(None, LeaseNoteKind::Granted), (None, moved)]);
}

#[test]
fn two_processes_with_one_name_are_told_of_each_other() {
    let mut registry = registry();
    let rival = |registration: Registration| Registration { url: "b:1".into(), ..registration };
    let stale = |current, holder: &str| {
        Err(RegisterError::StaleIncarnation { current, holder: Some(holder.into()) })
    };
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    let taken = registry.handle_register(at(1), rival(registration("a", 8))).unwrap();
    assert_eq!((taken.renewed, taken.rival), (false, None), "the first one may be dead");
    assert_eq!(registry.handle_register(at(2), heartbeat("a", 7)), stale(8, "b:1"));
    let renewed = registry.handle_register(at(3), rival(heartbeat("a", 8))).unwrap();
    assert_eq!(renewed.rival.as_deref(), Some("127.0.0.1:8600"));
    let renewed = registry.handle_register(at(4), rival(heartbeat("a", 8))).unwrap();
    assert_eq!(renewed.rival, None, "once for each time that it asks");
    assert_eq!(registry.handle_register(at(5), registration("a", 8)), stale(8, "b:1"), "the same");
    let error = registry.handle_register(at(6), registration("a", None)).unwrap_err();
    let message = "the incarnation is stale: 8 has been seen under this name, which b:1 holds now";
    assert_eq!(error.to_string(), message);
    // A former process at the same address is no rival.
    registry.handle_register(at(7), rival(heartbeat("a", 8))).unwrap();
    let former = Registration { url: "http://b:1/".into(), ..registration("a", 3) };
    registry.handle_register(at(8), former).unwrap_err();
    assert_eq!(registry.handle_register(at(9), rival(heartbeat("a", 8))).unwrap().rival, None);
}

#[test]
fn registering_again_with_the_same_incarnation_renews() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    assert!(registry.handle_register(at(50), registration("a", 1)).unwrap().renewed);
}

#[test]
fn a_heartbeat_at_the_ttl_comes_too_late() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    hearing(&mut registry, 10, 99);
    let refused = registry.handle_register(at(100), heartbeat("a", 1));
    assert_eq!(refused, Err(RegisterError::UnknownLease));
    let expected = [
        (Some(1), LeaseNoteKind::Granted),
        (Some(1), LeaseNoteKind::Granted),
        (Some(1), LeaseNoteKind::Expired { at: at(100) }),
        (Some(1), LeaseNoteKind::Refused(RegisterError::UnknownLease)),
    ];
    assert_eq!(notes(&mut registry), expected);
}

#[test]
fn a_late_heartbeat_never_revives_a_dead_incarnation() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    registry.handle_deregister(at(1), "a", Some(7)).unwrap();
    assert_eq!(
        registry.handle_register(at(2), heartbeat("a", 7)),
        Err(RegisterError::UnknownLease)
    );
    assert_eq!(registry.handle_register(at(2), registration("a", 7)), STALE_7);
    assert_eq!(registry.handle_register(at(2), registration("a", 6)), STALE_7);
    assert!(names(&mut registry, at(2)).is_empty());
    assert!(!registry.handle_register(at(3), registration("a", 8)).unwrap().renewed);
}

#[test]
fn a_greater_incarnation_replaces_the_lease_and_the_older_one_is_stale() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 6)).unwrap();
    registry.handle_register(at(10), registration("a", 7)).unwrap();
    for late in [registration("a", 6), heartbeat("a", 6)] {
        assert_eq!(registry.handle_register(at(11), late), held_7());
    }
    let lease = registry.get(at(11), "a").unwrap();
    assert_eq!((lease.incarnation, lease.registered_at), (Some(7), at(10)));
    let expected = [
        (Some(6), LeaseNoteKind::Granted),
        (Some(6), LeaseNoteKind::Replaced),
        (Some(7), LeaseNoteKind::Granted),
    ];
    assert_eq!(notes(&mut registry)[..3], expected);
}

#[test]
fn a_heartbeat_never_begins_a_lease() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    let refused = registry.handle_register(at(1), heartbeat("a", 8));
    assert_eq!(refused, Err(RegisterError::UnknownLease));
    assert_eq!(registry.get(at(1), "a").unwrap().incarnation, Some(7));
}

#[test]
fn agents_heal_a_registry_that_forgot_them() {
    let mut restarted = registry();
    let refused = restarted.handle_register(at(0), heartbeat("a", 7));
    assert_eq!(refused, Err(RegisterError::UnknownLease));
    assert!(restarted.handle_register(at(1), registration("a", 8)).is_ok());
    assert_eq!(names(&mut restarted, at(1)), ["a"]);
}

#[test]
fn name_and_url_are_all_that_an_agent_must_know() {
    let mut registry = registry();
    assert!(!registry.handle_register(at(0), registration("a", None)).unwrap().renewed);
    hearing(&mut registry, 1, 99);
    assert!(registry.handle_register(at(99), registration("a", None)).unwrap().renewed);
    hearing(&mut registry, 100, 198);
    assert!(registry.handle_register(at(198), heartbeat("a", None)).unwrap().renewed);
    hearing(&mut registry, 199, 300);
    assert!(!registry.handle_register(at(300), registration("a", None)).unwrap().renewed);
    assert_eq!(registry.get(at(300), "a").unwrap().incarnation, None);
}

#[test]
fn an_agent_without_incarnation_does_not_oust_one_with() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    assert_eq!(registry.handle_register(at(1), registration("a", None)), held_7());
    hearing(&mut registry, 2, 99);
    // It gets the name once that lease is over, and the dead incarnation stays dead.
    assert!(registry.handle_register(at(100), registration("a", None)).is_ok());
    assert_eq!(registry.handle_register(at(101), registration("a", 7)), STALE_7);
    assert_eq!(
        registry.handle_register(at(101), heartbeat("a", 7)),
        Err(RegisterError::UnknownLease)
    );
    assert!(registry.handle_register(at(102), registration("a", 8)).is_ok());
    assert_eq!(registry.get(at(102), "a").unwrap().incarnation, Some(8));
}

#[test]
fn only_its_own_incarnation_ends_a_lease() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    for other in [6, 8] {
        let refused = registry.handle_deregister(at(1), "a", Some(other));
        assert_eq!(refused, Err(DeregisterError::OtherIncarnation { current: Some(7) }));
    }
    assert_eq!(names(&mut registry, at(1)), ["a"]);
    registry.handle_deregister(at(2), "a", Some(7)).unwrap();
    assert!(names(&mut registry, at(2)).is_empty());
    let again = registry.handle_deregister(at(3), "a", Some(7));
    assert_eq!(again, Err(DeregisterError::UnknownLease));
    let expected = [(Some(7), LeaseNoteKind::Granted), (Some(7), LeaseNoteKind::Deregistered)];
    assert_eq!(notes(&mut registry), expected);
}

#[test]
fn an_agent_that_names_no_incarnation_ends_any_lease_of_its_name() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    assert_eq!(registry.handle_deregister(at(1), "a", None), Ok(()));
    registry.handle_register(at(2), registration("b", None)).unwrap();
    let refused = registry.handle_deregister(at(3), "b", Some(1));
    assert_eq!(refused, Err(DeregisterError::OtherIncarnation { current: None }));
    hearing(&mut registry, 4, 101);
    let too_late = registry.handle_deregister(at(102), "b", None);
    assert_eq!(too_late, Err(DeregisterError::UnknownLease));
}

#[test]
fn tombstones_are_bounded_and_the_oldest_goes_first() {
    let config = RegistryConfig { max_tombstones: 2, ..RegistryConfig::default() };
    let mut registry = Registry::new(config);
    for name in ["a", "b", "a", "c"] {
        let incarnation = registry.index() + 1;
        registry.handle_register(at(0), registration(name, incarnation)).unwrap();
        registry.handle_deregister(at(0), name, None).unwrap();
    }
    // `a` died again after `b`, so `b` is the oldest.
    for (name, is_remembered) in [("c", true), ("a", true), ("b", false)] {
        let outcome = registry.handle_register(at(1), registration(name, 1));
        assert_eq!(outcome.is_err(), is_remembered, "{name}");
    }
}

#[test]
fn expiries_are_noted_at_multiples_of_the_sweep() {
    let sweeping = |ttl, sweep| {
        let (ttl, sweep) = (Duration::from_nanos(ttl), Duration::from_nanos(sweep));
        Registry::new(RegistryConfig {
            leases: LeaseConfig { ttl, sweep },
            ..RegistryConfig::default()
        })
    };
    for (registered, timeout) in [(0, 104), (4, 104), (5, 107)] {
        let mut registry = sweeping(100, 8);
        registry.handle_register(at(registered), registration("a", 1)).unwrap();
        hearing(&mut registry, registered, 95);
        registry.handle_timeout(at(95));
        // It wants to be woken an eighth of a TTL later at the latest, to know that it is awake.
        assert_eq!(registry.poll_timeout(), Some(at(timeout)));
        registry.handle_timeout(at(timeout));
        let expired = LeaseNoteKind::Expired { at: at(registered + 100) };
        assert_eq!(notes(&mut registry).last(), Some(&(Some(1), expired)));
    }
    let mut patient = sweeping(u64::MAX, 40);
    patient.handle_register(at(1), registration("a", 1)).unwrap();
    assert_eq!(patient.poll_timeout(), Some(at(1 + u64::MAX / 8)));
    pass(&mut patient, u64::MAX / 2);
    assert!(patient.get(at(u64::MAX / 2), "a").is_some());
}

#[test]
fn a_full_registry_takes_no_other_name() {
    let mut registry = Registry::new(RegistryConfig { max_leases: 1, ..RegistryConfig::default() });
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    let refused = registry.handle_register(at(1), registration("b", 1));
    assert_eq!(refused, Err(RegisterError::RegistryFull { max: 1 }));
    assert!(registry.handle_register(at(2), heartbeat("a", 1)).is_ok());
    assert!(registry.handle_register(at(3), registration("a", 2)).is_ok());
    // A lease that is over makes room, swept or not.
    let ttl = Duration::from_secs(30);
    pass(&mut registry, (at(3) + 2 * ttl).as_nanos() - 1);
    assert!(registry.get(at(3) + 2 * ttl - Duration::from_nanos(1), "a").is_some());
    assert!(registry.handle_register(at(3) + 2 * ttl, registration("b", 1)).is_ok());
}

#[test]
fn the_index_rises_with_every_change_of_the_membership() {
    let mut registry = registry();
    let mut last = registry.index();
    let mut rose = |registry: &Registry| std::mem::replace(&mut last, registry.index()) < last;
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    assert!(rose(&registry), "granted");
    registry.handle_register(at(1), heartbeat("a", 1)).unwrap();
    assert!(!rose(&registry), "renewed");
    registry.handle_register(at(2), registration("b", None)).unwrap();
    rose(&registry);
    let moved = Registration { url: "b:1".into(), ..registration("b", None) };
    registry.handle_register(at(2), moved).unwrap();
    assert!(rose(&registry), "moved");
    registry.handle_register(at(3), registration("a", 2)).unwrap();
    assert!(rose(&registry), "replaced");
    registry.handle_register(at(4), registration("a", 1)).unwrap_err();
    assert!(!rose(&registry), "refused");
    registry.handle_deregister(at(5), "a", None).unwrap();
    assert!(rose(&registry), "deregistered");
    registry.handle_register(at(6), registration("a", 3)).unwrap();
    rose(&registry);
    pass(&mut registry, 206);
    assert!(rose(&registry), "expired");
}

#[test]
fn leases_are_listed_by_name() {
    let mut registry = registry();
    for name in ["b", "a", "B", "a-1"] {
        registry.handle_register(at(0), registration(name, 1)).unwrap();
    }
    assert_eq!(names(&mut registry, at(0)), ["B", "a", "a-1", "b"]);
}

#[test]
fn names_are_short_and_plain() {
    let mut registry = registry();
    let longest = "n".repeat(64);
    for name in ["a", "Agent-7_b.c", longest.as_str()] {
        assert!(registry.handle_register(at(0), registration(name, 1)).is_ok(), "{name}");
    }
    let too_long = "n".repeat(65);
    for name in ["", "a b", "a/b", "ä", "a\n", too_long.as_str()] {
        let refused = registry.handle_register(at(0), registration(name, 1));
        assert_eq!(refused, Err(RegisterError::Name), "{name}");
    }
}

#[test]
fn urls_are_host_and_port() {
    let mut registry = registry();
    let mut register = |url: &str| {
        let registration = Registration { url: url.into(), ..registration("a", None) };
        registry.handle_register(at(0), registration)
    };
    let long = |len: usize| format!("{}{}:80", "a.".repeat((len - 4) / 2), "b".repeat(1 + len % 2));
    for url in [
        "127.0.0.1:8612",
        "localhost:1",
        "agent_1:65535",
        "a-b.example.com:80",
        "agent.mesh.svc.cluster.local.:80",
        "[::1]:8600",
        "http://host:80",
        "http://10.0.0.1:8612/",
        &long(255),
    ] {
        assert!(register(url).is_ok(), "{url}");
    }
    for url in [
        "",
        "host",
        ":80",
        "host:",
        "host:0",
        "host:65536",
        "host:+80",
        "host:80/rpc",
        "host:80/",
        "https://host:80",
        "http://host",
        "http://host:80//",
        "http://http://host:80",
        "256.0.0.1:80",
        "1.2.3:80",
        "::1:80",
        "[::1:80",
        "[host]:80",
        "a..b:80",
        "a..:80",
        ".:80",
        "127.0.0.1.:80",
        "-a:80",
        "a-:80",
        "a b:80",
        "user@host:80",
        &long(256),
    ] {
        assert_eq!(register(url), Err(RegisterError::Url), "{url}");
    }
    register("http://b:1/").expect("a url");
    assert_eq!(registry.get(at(0), "a").map(|lease| &*lease.url), Some("http://b:1/"));
    let listed = registry.handle_list(at(0));
    assert_eq!(listed.get(0).map(|lease| &*lease.url), Some("b:1"), "agents get the address");
}

#[test]
fn labels_of_hosts_are_bounded() {
    let mut registry = registry();
    let mut register = |url: &str| {
        let registration = Registration { url: url.into(), ..registration("a", None) };
        registry.handle_register(at(0), registration)
    };
    let label = "a".repeat(63);
    assert!(register(&format!("{label}:80")).is_ok());
    assert_eq!(register(&format!("{label}a:80")), Err(RegisterError::Url));
}

#[test]
fn a_draining_agent_stays_in_the_list_with_its_mark() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    let index = registry.index();
    registry.handle_drain(at(1), "a", true).unwrap();
    assert!(registry.index() > index, "long polls see it");
    registry.handle_register(at(2), heartbeat("a", 1)).unwrap();
    assert!(registry.handle_list(at(2)).get(0).unwrap().draining);
    registry.handle_drain(at(3), "a", false).unwrap();
    assert!(!registry.handle_list(at(3)).get(0).unwrap().draining);
    assert!(registry.handle_drain(at(3), "x", true).is_err());
    let drained = [true, false].map(|draining| (Some(1), LeaseNoteKind::Drained(draining)));
    assert_eq!(notes(&mut registry)[1..], drained);
}
