mod deaf;
mod model;
mod rules;

use crate::profile::Profile;
use std::time::Duration;

use super::{LeaseConfig, LeaseNote, LeaseNoteKind, Registration, Registry, RegistryConfig};
use crate::time::Timestamp;

/// A point in time, in nanoseconds.
fn at(nanos: u64) -> Timestamp {
    Timestamp::from_nanos(nanos)
}

fn registration(name: &str, incarnation: impl Into<Option<u64>>) -> Registration {
    Registration {
        name: name.into(),
        url: "127.0.0.1:8600".into(),
        incarnation: incarnation.into(),
        renew: false,
        load: None,
        profile: Profile::default(),
        owner: None,
        draining: false,
    }
}

fn heartbeat(name: &str, incarnation: impl Into<Option<u64>>) -> Registration {
    Registration { renew: true, ..registration(name, incarnation) }
}

/// A registry with a TTL of 100 ns that sweeps ended leases out at once.
fn registry() -> Registry {
    let leases = LeaseConfig { ttl: Duration::from_nanos(100), sweep: Duration::ZERO };
    Registry::new(RegistryConfig { leases, ..RegistryConfig::default() })
}

/// Names of the live leases.
fn names(registry: &mut Registry, now: Timestamp) -> Vec<&str> {
    registry.list(now).map(|lease| &*lease.name).collect()
}

/// Lets time pass until `until`, and wakes the registry whenever it wants to be woken.
fn pass(registry: &mut Registry, until: u64) {
    while let Some(due) = registry.poll_timeout().filter(|due| *due <= at(until)) {
        registry.handle_timeout(due);
    }
}

/// Lets time pass from `from` until `until`, while the registry hears a heartbeat of another agent,
/// z, every 20 ns.
fn hearing(registry: &mut Registry, from: u64, until: u64) {
    for now in (from..=until).filter(|now| now % 20 == 0) {
        pass(registry, now);
        registry.handle_register(at(now), registration("z", 1)).unwrap();
    }
    pass(registry, until);
}

fn notes(registry: &mut Registry) -> Vec<(Option<u64>, LeaseNoteKind)> {
    drain(registry).into_iter().map(|note| (note.incarnation, note.kind)).collect()
}

fn drain(registry: &mut Registry) -> Vec<LeaseNote> {
    std::iter::from_fn(|| registry.poll_effect()).collect()
}
