use std::time::Duration;

use super::{at, heartbeat, names, notes, registration, registry};
use crate::load::LoadReport;
use crate::registry::{
    DeregisterError, NoteKind, RegisterError, Registered, Registration, Registry, RegistryConfig,
};
const STALE_7: Result<Registered, RegisterError> =
    Err(RegisterError::StaleIncarnation { current: 7 });

#[test]
fn a_lease_ends_at_exactly_its_ttl() {
    let mut registry = registry();
    let granted = registry.handle_register(at(5), registration("a", 1)).unwrap();
    assert_eq!(granted, Registered { renewed: false, expires_at: at(105) });
    assert_eq!(registry.poll_timeout(), Some(at(105)));

    registry.handle_timeout(at(104));
    assert_eq!(names(&registry, at(104)), ["a"]);
    assert!(registry.get(at(104), "a").is_some());
    // Nothing has removed it yet, but it is over.
    assert!(names(&registry, at(105)).is_empty());
    assert!(registry.get(at(105), "a").is_none());

    registry.handle_timeout(at(105));
    let expired = NoteKind::Expired { at: at(105) };
    assert_eq!(notes(&mut registry), [(Some(1), NoteKind::Granted), (Some(1), expired)]);
    assert_eq!(registry.poll_timeout(), None);
}

#[test]
fn a_renewal_moves_the_expiry_and_updates_url_and_load() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 1)).unwrap();
    let load = LoadReport { in_flight: 3, ..LoadReport::default() };
    let moved = Registration { url: "b:1".into(), load: Some(load), ..heartbeat("a", 1) };
    let renewed = registry.handle_register(at(99), moved).unwrap();
    assert_eq!(renewed, Registered { renewed: true, expires_at: at(199) });
    assert_eq!(registry.poll_timeout(), Some(at(199)));

    let lease = registry.get(at(198), "a").unwrap();
    assert_eq!((lease.registered_at, lease.renewed_at), (at(0), at(99)));
    assert_eq!((&*lease.url, lease.load), ("b:1", Some(load)));
    assert_eq!(notes(&mut registry), [(Some(1), NoteKind::Granted)]);
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
    let refused = registry.handle_register(at(100), heartbeat("a", 1));
    assert_eq!(refused, Err(RegisterError::UnknownLease));
    let expected = [
        (Some(1), NoteKind::Granted),
        (Some(1), NoteKind::Expired { at: at(100) }),
        (Some(1), NoteKind::Refused(RegisterError::UnknownLease)),
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
    assert!(names(&registry, at(2)).is_empty());
    assert!(!registry.handle_register(at(3), registration("a", 8)).unwrap().renewed);
}

#[test]
fn a_greater_incarnation_replaces_the_lease_and_the_older_one_is_stale() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 6)).unwrap();
    registry.handle_register(at(10), registration("a", 7)).unwrap();
    for late in [registration("a", 6), heartbeat("a", 6)] {
        assert_eq!(registry.handle_register(at(11), late), STALE_7);
    }
    let lease = registry.get(at(11), "a").unwrap();
    assert_eq!((lease.incarnation, lease.registered_at), (Some(7), at(10)));
    let expected =
        [(Some(6), NoteKind::Granted), (Some(6), NoteKind::Replaced), (Some(7), NoteKind::Granted)];
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
    assert_eq!(names(&restarted, at(1)), ["a"]);
}

#[test]
fn name_and_url_are_all_that_an_agent_must_know() {
    let mut registry = registry();
    assert!(!registry.handle_register(at(0), registration("a", None)).unwrap().renewed);
    assert!(registry.handle_register(at(99), registration("a", None)).unwrap().renewed);
    assert!(registry.handle_register(at(198), heartbeat("a", None)).unwrap().renewed);
    registry.handle_timeout(at(298));
    assert!(!registry.handle_register(at(300), registration("a", None)).unwrap().renewed);
    assert_eq!(registry.get(at(399), "a").unwrap().incarnation, None);
}

#[test]
fn an_agent_without_incarnation_does_not_oust_one_with() {
    let mut registry = registry();
    registry.handle_register(at(0), registration("a", 7)).unwrap();
    assert_eq!(registry.handle_register(at(1), registration("a", None)), STALE_7);
    // It may have the name once that lease is over, and the dead incarnation stays dead.
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
    assert_eq!(names(&registry, at(1)), ["a"]);
    registry.handle_deregister(at(2), "a", Some(7)).unwrap();
    assert!(names(&registry, at(2)).is_empty());
    let again = registry.handle_deregister(at(3), "a", Some(7));
    assert_eq!(again, Err(DeregisterError::UnknownLease));
    let expected = [(Some(7), NoteKind::Granted), (Some(7), NoteKind::Deregistered)];
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
fn timeouts_are_multiples_of_the_sweep() {
    let sweeping = |ttl, sweep| {
        let (ttl, sweep) = (Duration::from_nanos(ttl), Duration::from_nanos(sweep));
        Registry::new(RegistryConfig { ttl, sweep, ..RegistryConfig::default() })
    };
    for (registered, timeout) in [(0, 120), (20, 120), (21, 160)] {
        let mut registry = sweeping(100, 40);
        registry.handle_register(at(registered), registration("a", 1)).unwrap();
        assert_eq!(registry.poll_timeout(), Some(at(timeout)));
        assert!(registry.get(at(registered + 100), "a").is_none(), "over before the sweep");
        registry.handle_timeout(at(timeout));
        assert_eq!(registry.poll_timeout(), None);
        let expired = NoteKind::Expired { at: at(registered + 100) };
        assert_eq!(notes(&mut registry)[1], (Some(1), expired));
    }
    let mut patient = sweeping(u64::MAX, 40);
    patient.handle_register(at(1), registration("a", 1)).unwrap();
    assert_eq!(patient.poll_timeout(), Some(at(u64::MAX)));
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
    let over = registry.get(at(3), "a").unwrap().expires_at;
    assert!(registry.handle_register(over, registration("b", 1)).is_ok());
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
    let moved = Registration { url: "b:1".into(), ..heartbeat("a", 1) };
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
    registry.handle_timeout(at(106));
    assert!(rose(&registry), "expired");
}

#[test]
fn leases_are_listed_by_name() {
    let mut registry = registry();
    for name in ["b", "a", "B", "a-1"] {
        registry.handle_register(at(0), registration(name, 1)).unwrap();
    }
    assert_eq!(names(&registry, at(0)), ["B", "a", "a-1", "b"]);
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
        let registration = Registration { url: url.into(), ..registration("a", 1) };
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
        let registration = Registration { url: url.into(), ..registration("a", 1) };
        registry.handle_register(at(0), registration)
    };
    let label = "a".repeat(63);
    assert!(register(&format!("{label}:80")).is_ok());
    assert_eq!(register(&format!("{label}a:80")), Err(RegisterError::Url));
}
