//! A routing policy of your own, as an example: [`Cautious`] sends each job to the peer that has
//! the fewest of this agent's jobs, and avoids peers that failed for a while.
//!
//! The example has a memory. Such a policy takes no more than this: a factory, and the [`Policy`]
//! that the factory builds for each agent. The tests run it in both simulated engines beside
//! built-in policies, and in live agents. `docs/own-policy.md` walks through it.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::roster::PeerId;
use mesh_core::routing::{
    Candidate, Interests, Policy, PolicyEvent, PolicyFactory, PolicyNeeds, Signal,
};
use mesh_core::seed::Rng;

/// The factory of cautious policies, with their settings. An agent's configuration holds it.
#[derive(Clone, Debug)]
pub struct Cautious {
    /// How long a peer that failed gets no job. The time doubles with each further failure in a
    /// row.
    pub penalty: Duration,
    /// The longest time for which a peer gets no job.
    pub longest: Duration,
}

impl Default for Cautious {
    fn default() -> Self {
        Self { penalty: Duration::from_secs(1), longest: Duration::from_secs(30) }
    }
}

impl PolicyFactory for Cautious {
    fn name(&self) -> &str {
        "cautious"
    }

    fn needs(&self) -> PolicyNeeds {
        // No peer is probed: the agent's own counters are enough.
        PolicyNeeds { signal: Signal::OwnCounters, utilisation: false }
    }

    fn build(&self, _rng: &mut Rng) -> Box<dyn Policy> {
        Box::new(CautiousPolicy { settings: self.clone(), failures: BTreeMap::new() })
    }
}

/// The policy of one agent, with its memory of peers that failed.
#[derive(Debug)]
struct CautiousPolicy {
    settings: Cautious,
    /// Peers whose last job failed. A peer keeps its identity from list to list for as long as its
    /// process runs; a process that starts anew begins without failures.
    failures: BTreeMap<PeerId, FailureStreak>,
}

/// The failures in a row of one peer.
#[derive(Debug)]
struct FailureStreak {
    count: u32,
    avoided_until: Timestamp,
}

impl CautiousPolicy {
    /// When the peer may get jobs again; the beginning of time for a peer without failures.
    fn avoided_until(&self, peer: PeerId) -> Timestamp {
        self.failures.get(&peer).map_or(Timestamp::ZERO, |failures| failures.avoided_until)
    }

    fn failed(&mut self, now: Timestamp, peer: PeerId) {
        let Cautious { penalty, longest } = self.settings;
        let fresh = FailureStreak { count: 0, avoided_until: now };
        let failures = self.failures.entry(peer).or_insert(fresh);
        let doubled = penalty.saturating_mul(2_u32.saturating_pow(failures.count));
        failures.count += 1;
        failures.avoided_until = now + doubled.min(longest);
    }
}

impl Policy for CautiousPolicy {
    fn signal(&self) -> Signal {
        Signal::OwnCounters
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, members: true, ..Interests::NONE }
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let rank = |candidate: &Candidate| {
            let until = self.avoided_until(candidate.peer());
            // Peers that may get jobs come first. If there are none, the peer whose time ends
            // first.
            let wait = if until > now { until } else { Timestamp::ZERO };
            (wait, candidate.outstanding())
        };
        let least = candidates.iter().map(rank).min();
        let best: Vec<usize> = (0..candidates.len())
            .filter(|position| Some(rank(&candidates[*position])) == least)
            .collect();
        best[rng.index(best.len())]
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        match event {
            PolicyEvent::Answered { peer, .. } | PolicyEvent::Left { peer, .. } => {
                self.failures.remove(peer);
            }
            PolicyEvent::Failed { peer, .. } => self.failed(now, *peer),
            // A refusal because of a full queue is no failure; the other events say nothing about
            // how reliable a peer is.
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::routing::{FailureReason, JobOutline};
    use mesh_core::seed::Seed;

    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    fn failed(peer: PeerId) -> PolicyEvent<'static> {
        let elapsed = Duration::from_millis(1);
        PolicyEvent::Failed {
            peer,
            job: JobOutline::default(),
            elapsed,
            reason: FailureReason::NoAnswer,
        }
    }

    #[test]
    fn peers_that_fail_are_avoided_for_twice_as_long_each_time() {
        let mut rng = Seed::root(1).rng();
        let mut policy = Cautious::default().build(&mut rng);
        let [a, b] = ["a", "b"].map(|name| PeerId::new(name, "h:1", 1));
        let busy = Candidate::unknown(b).with_outstanding(5);
        let peers = [Candidate::unknown(a), busy];
        let mut choose = |policy: &mut dyn Policy, secs| policy.choose(at(secs), &peers, &mut rng);
        assert_eq!(choose(&mut *policy, 0), 0, "it has fewer jobs");
        policy.on_event(at(0), &failed(a));
        assert_eq!([choose(&mut *policy, 0), choose(&mut *policy, 1)], [1, 0], "for a second");
        policy.on_event(at(1), &failed(a));
        assert_eq!([choose(&mut *policy, 2), choose(&mut *policy, 3)], [1, 0], "for two");
        policy.on_event(at(3), &failed(a));
        let done = Duration::from_millis(1);
        policy.on_event(
            at(4),
            &PolicyEvent::Answered {
                peer: a,
                job: JobOutline::default(),
                elapsed: done,
                at_peer: done,
            },
        );
        assert_eq!(choose(&mut *policy, 4), 0, "a job done ends it");
        policy.on_event(at(5), &failed(a));
        policy.on_event(at(6), &failed(b));
        assert_eq!(choose(&mut *policy, 5), 0, "if all failed, the one whose time ends first");
    }
}
