//! Slow start: a peer that has just joined gets fewer jobs at first.
//!
//! Its weight grows with its age, from `slow_start_min` to 1 (Envoy, `slow_start.rst`):
//!
//! ```text
//! weight = max(min, (max(age, 1 s) / window) ^ (1 / aggression))
//! ```
//!
//! Before each choice a young peer is passed over with the probability `1 - weight`, so it gets that
//! share less of the jobs under every policy. Its age counts from the list in which the agent saw it
//! first; the peers of the agent's first list are not young.
//!
//! It cures the rush to a peer that is cold (caches, connections, a model to be loaded) and looks
//! idle. It harms where an agent sends few jobs: a young peer then gets none for most of the window,
//! and its whole share at the end of it. And it takes capacity from a mesh that starts new agents
//! because it is overloaded. So if more than half of all peers are young, none is passed over.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Choosing, Decorator};
use crate::duration::AsOptionalText;
use crate::roster::{IsListed, ListedLease};
use crate::seed::{Rng, Seed};
use crate::time::Timestamp;

/// At most so many peers count as young, the last ones to join: each costs a little time per choice.
const MAX_YOUNG: usize = 64;
/// A younger peer counts as that old, so that its weight is not zero.
const LEAST_AGE: Duration = Duration::from_secs(1);

/// For how long, and by how much, young peers get fewer jobs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct SlowStartConfig {
    /// For how long a peer that has just joined gets fewer jobs than its policy would give it. If
    /// left out: not at all.
    #[serde(with = "AsOptionalText", skip_serializing_if = "Option::is_none")]
    pub slow_start: Option<Duration>,
    /// With 1, the share of its jobs that a young peer gets grows evenly; with more, fast at first.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.01, max = 100.0)))]
    pub slow_start_aggression: f64,
    /// The least share of its jobs that a young peer gets.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub slow_start_min: f64,
}

impl Default for SlowStartConfig {
    /// Off; an even growth from 10 %, as in Envoy.
    fn default() -> Self {
        Self { slow_start: None, slow_start_aggression: 1.0, slow_start_min: 0.1 }
    }
}

/// The peers that have joined lately.
#[derive(Clone, Debug)]
pub(crate) struct SlowStart {
    window: Duration,
    config: SlowStartConfig,
    rng: Rng,
    /// With the times at which they joined, the oldest first.
    young: Vec<(Arc<ListedLease>, Timestamp)>,
    /// From here on, `young` are passed over in the present choice.
    over_from: usize,
}

impl Decorator for SlowStart {
    fn wants_members(&self) -> bool {
        true
    }

    fn on_joined(&mut self, now: Timestamp, lease: &Arc<ListedLease>) {
        if self.young.len() == MAX_YOUNG {
            self.young.remove(0);
        }
        self.young.push((lease.clone(), now));
    }

    fn before_choice(&mut self, now: Timestamp, choosing: &mut Choosing<'_>) {
        self.young.retain(|(_, joined)| now.since(*joined) < self.window);
        self.over_from = self.young.len();
        if self.young.is_empty() || 2 * self.young.len() > choosing.peers {
            return;
        }
        // One draw for all: each peer is passed over with its own probability. The younger a peer,
        // the less its weight, so those are the last ones.
        let drawn = self.rng.unit();
        let weight = |joined: Timestamp| self.weight(now.since(joined));
        self.over_from = self.young.partition_point(|(_, joined)| weight(*joined) > drawn);
    }

    fn held_back<'a>(&'a self, _: Timestamp, hold_back: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.young[self.over_from..].iter().for_each(|(lease, _)| hold_back(lease));
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.young.retain(|(lease, _)| is_listed(lease));
        self.over_from = self.young.len();
    }
}

impl SlowStart {
    /// A slow start, if the settings want one.
    pub(super) fn new(config: &SlowStartConfig, seed: &Seed) -> Option<Self> {
        let window = config.slow_start?;
        let rng = seed.child("slow-start").rng();
        Some(Self { window, config: *config, rng, young: Vec::new(), over_from: 0 })
    }

    /// The share of its jobs that a peer of this age gets.
    fn weight(&self, age: Duration) -> f64 {
        let SlowStartConfig { slow_start_aggression, slow_start_min, .. } = self.config;
        let grown = age.max(LEAST_AGE).as_secs_f64() / self.window.as_secs_f64();
        libm::pow(grown.min(1.0), 1.0 / slow_start_aggression).max(slow_start_min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(millis)
    }

    fn slow_start(aggression: f64) -> SlowStart {
        let config = SlowStartConfig {
            slow_start: Some(Duration::from_secs(60)),
            slow_start_aggression: aggression,
            ..SlowStartConfig::default()
        };
        SlowStart::new(&config, &Seed::root(1)).expect("it is switched on")
    }

    fn lease(name: &str) -> Arc<ListedLease> {
        Arc::new(ListedLease::new(name, "h:1", 1, None))
    }

    /// The names of those that are passed over in one choice among this many peers.
    fn passed_over(slow: &mut SlowStart, now: Timestamp, peers: usize) -> Vec<String> {
        slow.before_choice(now, &mut Choosing { peers, changed: &mut |_, _| {} });
        let mut names = Vec::new();
        slow.held_back(now, &mut |lease| names.push(lease.name.to_string()));
        names
    }

    #[test]
    fn the_weight_is_envoys() {
        let secs = |secs| Duration::from_secs(secs);
        for (aggression, age, expected) in [
            (1.0, secs(0), 0.1),
            (1.0, secs(3), 0.1),
            (1.0, secs(30), 0.5),
            (1.0, secs(60), 1.0),
            (2.0, secs(0), (1.0f64 / 60.0).sqrt()),
            (2.0, secs(15), 0.5),
            (0.5, secs(30), 0.25),
        ] {
            let weight = slow_start(aggression).weight(age);
            assert!((weight - expected).abs() < 1e-12, "{aggression} {age:?}: {weight}");
        }
    }

    #[test]
    fn a_young_peer_is_passed_over_as_often_as_its_weight_says() {
        let mut slow = slow_start(1.0);
        slow.on_joined(at(0), &lease("a"));
        slow.on_joined(at(15_000), &lease("b"));
        let mut over = [0.0; 2];
        for _ in 0..10_000 {
            let names = passed_over(&mut slow, at(45_000), 10);
            over[0] += f64::from(names.iter().any(|name| name == "a"));
            over[1] += f64::from(names.iter().any(|name| name == "b"));
        }
        // Five standard errors of 10,000 draws are 250.
        assert!((over[0] - 2_500.0).abs() < 250.0 && (over[1] - 5_000.0).abs() < 250.0, "{over:?}");
        assert!(passed_over(&mut slow, at(75_000), 10).is_empty(), "they are grown up");
    }

    #[test]
    fn in_a_young_mesh_nobody_is_passed_over() {
        let mut slow = slow_start(1.0);
        for number in 0..100 {
            slow.on_joined(at(0), &lease(&format!("agent-{number}")));
        }
        assert_eq!(slow.young.len(), MAX_YOUNG);
        assert!((0..100).all(|_| passed_over(&mut slow, at(1), 100).is_empty()));
        let of_many = (0..100).filter(|_| passed_over(&mut slow, at(1), 128).len() == MAX_YOUNG);
        assert!((75..=100).contains(&of_many.count()));
        slow.on_list(&|lease| &*lease.name == "agent-99");
        assert_eq!(slow.young.len(), 1);
    }
}
