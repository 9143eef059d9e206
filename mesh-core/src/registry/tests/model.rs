//! Random schedules, in which the registry must agree with a simple and slow model of it: the model
//! keeps lists, and searches them from end to end.

use std::time::Duration;

use proptest::prelude::*;

use super::{at, drain, heartbeat, registration};
use crate::protocol::Name;
use crate::registry::{
    DeregisterError, Lease, LeaseConfig, LeaseNoteKind, RegisterError, Registration, Registry,
    RegistryConfig,
};

const TTL: u64 = 40;
const SWEEP: u64 = 8;
/// A longer time without any heartbeat is a silence.
const PAUSE: u64 = TTL * 2 / 5;
/// The registry wants to be woken this often, and may be woken this late.
const WATCH: u64 = TTL / 8;
const MAX_LEASES: usize = 3;
const MAX_TOMBSTONES: usize = 2;
const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const URLS: [&str; 2] = ["x:1", "y:2"];

/// One step of a schedule.
#[derive(Clone, Debug)]
enum RegistryStep {
    /// Lets this many nanoseconds pass.
    Wait(u64),
    /// Lets time pass until the registry wants to be woken, and wakes it.
    Wake,
    Register {
        name: usize,
        url: usize,
        incarnation: Option<u64>,
        renew: bool,
    },
    Deregister {
        name: usize,
        incarnation: Option<u64>,
    },
}

fn step() -> impl Strategy<Value = RegistryStep> {
    let name = 0..NAMES.len();
    let incarnation = prop::option::weighted(0.8, 0..6_u64);
    prop_oneof![
        1 => (0..2 * TTL).prop_map(RegistryStep::Wait),
        6 => Just(RegistryStep::Wake),
        6 => (name.clone(), 0..URLS.len(), incarnation.clone(), any::<bool>()).prop_map(
            |(name, url, incarnation, renew)| RegistryStep::Register { name, url, incarnation, renew }
        ),
        1 => (name, incarnation)
            .prop_map(|(name, incarnation)| RegistryStep::Deregister { name, incarnation }),
    ]
}

/// A lease of the model; its times are in nanoseconds.
#[derive(Clone, Debug, PartialEq)]
struct ModelLease {
    name: usize,
    url: usize,
    incarnation: Option<u64>,
    expires_at: u64,
    latest: u64,
}

/// The model of a registry.
#[derive(Debug, Default)]
struct ModelRegistry {
    leases: Vec<ModelLease>,
    /// When it was last called.
    awake: u64,
    /// When it last heard an agent.
    heard: u64,
    /// Tombstones: name and incarnation, oldest first.
    dead: Vec<(usize, u64)>,
}

impl ModelRegistry {
    fn live(&self, name: usize, now: u64) -> Option<&ModelLease> {
        self.leases.iter().find(|lease| lease.name == name && now < lease.expires_at)
    }

    fn end(&mut self, name: usize) {
        let position = self.leases.iter().position(|lease| lease.name == name).unwrap();
        if let Some(incarnation) = self.leases.remove(position).incarnation {
            self.dead.retain(|(other, _)| *other != name);
            self.dead.push((name, incarnation));
        }
        if self.dead.len() > MAX_TOMBSTONES {
            self.dead.remove(0);
        }
    }

    fn expire(&mut self, now: u64) {
        let late = now.saturating_sub(self.awake + WATCH);
        self.awake = now;
        if late > WATCH {
            self.heard += late;
            self.leases.iter_mut().for_each(|lease| {
                lease.expires_at += late;
                lease.latest += late;
            });
        }
        loop {
            let over = self.leases.iter_mut().filter(|lease| lease.expires_at <= now);
            let Some(lease) = over.min_by_key(|lease| (lease.expires_at, lease.name)) else {
                return;
            };
            let in_silence = lease.latest - TTL;
            if lease.expires_at < in_silence && self.heard + PAUSE < lease.expires_at {
                lease.expires_at = in_silence;
            } else {
                let name = lease.name;
                self.end(name);
            }
        }
    }

    fn hear(&mut self, now: u64) {
        if self.heard + PAUSE < now {
            for lease in &mut self.leases {
                lease.expires_at = lease.expires_at.max(lease.latest.min(now + TTL));
            }
        }
        self.heard = now;
    }

    fn poll_timeout(&self) -> Option<u64> {
        let first = self.leases.iter().map(|lease| lease.expires_at).min()?;
        Some(first.next_multiple_of(SWEEP).min(self.awake + WATCH))
    }

    /// Whether a registration renews a lease, or why it is refused: the table in the documentation
    /// of the registry, row by row.
    fn register(&mut self, now: u64, new: ModelLease, renew: bool) -> Result<bool, RegisterError> {
        self.expire(now);
        self.hear(now);
        let live = self.live(new.name, now).cloned();
        let tombstone = self.dead.iter().find(|(name, _)| *name == new.name).map(|(_, i)| *i);
        if let Some(live) = &live
            && live.incarnation == new.incarnation
            && (live.url == new.url || new.incarnation.is_none())
        {
            self.leases.retain(|lease| lease.name != new.name);
            self.leases.push(new);
            return Ok(true);
        }
        let held = live.as_ref().and_then(|lease| lease.incarnation);
        let holder = live.as_ref().map(|lease| URLS[lease.url].into());
        match (new.incarnation, held) {
            (None, Some(current)) => {
                return Err(RegisterError::StaleIncarnation { current, holder });
            }
            (Some(own), Some(current)) if own <= current => {
                return Err(RegisterError::StaleIncarnation { current, holder });
            }
            (Some(_), _) if renew => return Err(RegisterError::UnknownLease),
            (Some(own), _) if tombstone.is_some_and(|dead| own <= dead) => {
                let current = tombstone.unwrap();
                return Err(RegisterError::StaleIncarnation { current, holder: None });
            }
            _ => {}
        }
        if live.is_some() {
            self.end(new.name);
        } else if self.leases.len() == MAX_LEASES {
            return Err(RegisterError::RegistryFull { max: MAX_LEASES });
        }
        if new.incarnation.is_some() {
            self.dead.retain(|(name, _)| *name != new.name);
        }
        self.leases.push(new);
        Ok(false)
    }

    fn deregister(
        &mut self,
        now: u64,
        name: usize,
        incarnation: Option<u64>,
    ) -> Result<(), DeregisterError> {
        self.expire(now);
        let live = self.live(name, now).ok_or(DeregisterError::UnknownLease)?;
        let current = live.incarnation;
        if incarnation.is_some() && incarnation != current {
            return Err(DeregisterError::OtherIncarnation { current });
        }
        self.end(name);
        Ok(())
    }

    /// The live leases in order of their names.
    fn list(&mut self, now: u64) -> Vec<ModelLease> {
        self.expire(now);
        let live = (0..NAMES.len()).filter_map(|name| self.live(name, now));
        live.cloned().collect()
    }
}

/// A registry and its model, which take the same steps.
struct SideBySide {
    now: u64,
    registry: Registry,
    model: ModelRegistry,
    /// Leases that were granted and have not ended, according to the notes.
    open: Vec<(Name, Option<u64>)>,
}

impl SideBySide {
    fn new() -> Self {
        let config = RegistryConfig {
            leases: LeaseConfig {
                ttl: Duration::from_nanos(TTL),
                sweep: Duration::from_nanos(SWEEP),
            },
            max_leases: MAX_LEASES,
            max_tombstones: MAX_TOMBSTONES,
            ..RegistryConfig::default()
        };
        Self {
            now: 0,
            registry: Registry::new(config),
            model: ModelRegistry::default(),
            open: Vec::new(),
        }
    }

    /// Takes a step on both sides and compares the results.
    fn take(&mut self, step: RegistryStep) {
        let Self { registry, model, now, .. } = self;
        match step {
            RegistryStep::Wait(nanos) => *now += nanos,
            RegistryStep::Wake => {
                let expected = model.poll_timeout().map(at);
                assert_eq!(registry.poll_timeout(), expected);
                let Some(timeout) = expected else { return };
                *now = (*now).max(timeout.as_nanos());
                registry.handle_timeout(at(*now));
                model.expire(*now);
            }
            RegistryStep::Register { name, url, incarnation, renew } => {
                let base = if renew { heartbeat } else { registration };
                let base = base(NAMES[name], incarnation);
                let registration = Registration { url: URLS[url].into(), ..base };
                let outcome = registry.handle_register(at(*now), registration);
                let (expires_at, latest) = (*now + TTL, *now + 3 * TTL);
                let entry = ModelLease { name, url, incarnation, expires_at, latest };
                let expected = model.register(*now, entry, renew);
                assert_eq!(outcome.map(|registered| registered.renewed), expected);
            }
            RegistryStep::Deregister { name, incarnation } => {
                let outcome = registry.handle_deregister(at(*now), NAMES[name], incarnation);
                assert_eq!(outcome, model.deregister(*now, name, incarnation));
            }
        }
    }

    /// The live leases as the registry lists them.
    fn listed(&mut self) -> Vec<ModelLease> {
        let entry = |lease: &Lease| ModelLease {
            name: NAMES.iter().position(|name| *name == &*lease.name).unwrap(),
            url: URLS.iter().position(|url| *url == &*lease.url).unwrap(),
            incarnation: lease.incarnation,
            expires_at: lease.expires_at.as_nanos(),
            latest: lease.latest.as_nanos(),
        };
        self.registry.list(at(self.now)).map(entry).collect()
    }

    /// Checks that each lease is granted once and ends once. Returns whether any note of a change
    /// was among the notes.
    fn follow_notes(&mut self) -> bool {
        let mut changed = false;
        for note in drain(&mut self.registry) {
            let lease = (note.name, note.incarnation);
            match note.kind {
                LeaseNoteKind::Refused(_) => continue,
                LeaseNoteKind::Moved { .. } => assert!(self.open.contains(&lease)),
                LeaseNoteKind::Restored | LeaseNoteKind::Drained(_) => panic!("{:?}", note.kind),
                LeaseNoteKind::Granted => {
                    assert!(self.open.iter().all(|(name, _)| *name != lease.0), "{lease:?}");
                    self.open.push(lease);
                }
                LeaseNoteKind::Replaced
                | LeaseNoteKind::Deregistered
                | LeaseNoteKind::Expired { .. } => {
                    let position = self.open.iter().position(|open| *open == lease);
                    self.open.remove(position.expect("an end has a beginning"));
                }
            }
            changed = true;
        }
        assert_eq!(self.open.len(), self.model.leases.len());
        changed
    }
}

proptest! {
    #[test]
    fn random_schedules_agree_with_the_model(steps in prop::collection::vec(step(), 1..80)) {
        let mut sides = SideBySide::new();
        for step in steps {
            let index = sides.registry.index();
            sides.take(step);
            prop_assert_eq!(sides.listed(), sides.model.list(sides.now));
            let changed = sides.follow_notes();
            prop_assert_eq!(sides.registry.index() > index, changed);
        }
    }
}
