//! Old reports, read with their age in mind.

use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind};
use crate::roster::PeerId;
use crate::routing::{
    Candidate, Interests, LoadSource, Policy, PolicyDescription, PolicyEvent, PolicyNeeds, Signal,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const DELEGATORS: Parameter = Parameter {
    name: "delegators",
    summary: "How many agents send jobs to the same peers, all alike; 0: as many as there are peers.",
    kind: ParameterKind::Count { default: 0, min: 0, max: 1_000_000 },
};
const LONGEST_AGE_MS: Parameter = Parameter {
    name: "max_report_age_ms",
    summary: "A report that has not changed for longer counts as this many milliseconds old.",
    kind: ParameterKind::Number { default: 10_000.0, min: 1.0, max: 3_600_000.0 },
};
const RATE_WINDOW_MS: Parameter = Parameter {
    name: "rate_window_ms",
    summary: "Time over which the agent's own jobs per second are averaged, in milliseconds.",
    kind: ParameterKind::Number { default: 10_000.0, min: 10.0, max: 3_600_000.0 },
};

/// [`LoadInterpretation`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "load_interpretation",
    summary: "A random peer, the likelier the fewer jobs its report shows and the younger that is.",
    parameters: &[DELEGATORS, LONGEST_AGE_MS, RATE_WINDOW_MS],
    needs: |_| PolicyNeeds { signal: Signal::Reports, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| {
        Box::new(LoadInterpretation {
            delegators: values.count(&DELEGATORS) as u32,
            max_age: Duration::from_secs_f64(values.number(&LONGEST_AGE_MS) / 1e3),
            window_secs: values.number(&RATE_WINDOW_MS) / 1e3,
            changes: HashTable::default(),
            sent: 0.0,
            sent_at: Timestamp::ZERO,
            began: None,
        })
    },
};

/// Draws a peer with a probability in proportion to `max(0, (sum of all loads + K) / n - load)`,
/// where `K` is the number of jobs that have come to all n peers since the reports: "basic load
/// interpretation" (Dahlin, "Interpreting stale load information", IEEE TPDS 2000). Fresh reports
/// send jobs to the shortest queues, and old ones to all peers alike, so there is no herd.
///
/// Nobody knows `K`. It is taken as the age of the reports times the rate at which this agent sends
/// jobs, times the number of agents that send. A list does not tell the age of a report: it is
/// counted from when the report changed last. If nothing is known, all peers are equally likely.
#[derive(Debug)]
struct LoadInterpretation {
    delegators: u32,
    max_age: Duration,
    window_secs: f64,
    changes: HashTable<LastChange>,
    /// The jobs sent so far, each counting less the longer ago it was, as of `sent_at`.
    sent: f64,
    sent_at: Timestamp,
    /// When the first job was sent.
    began: Option<Timestamp>,
}

#[derive(Debug)]
struct LastChange {
    peer: PeerId,
    at: Timestamp,
}

impl TableEntry for LastChange {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, at: Timestamp::ZERO }
    }
}

impl LoadInterpretation {
    /// The jobs that this agent sends per second.
    fn rate(&self, now: Timestamp) -> f64 {
        let Some(began) = self.began else { return 0.0 };
        let share = |since: Timestamp| now.since(since).as_secs_f64() / self.window_secs;
        let sent = self.sent * libm::exp(-share(self.sent_at));
        // What the sum would be at a rate of 1/s since then; at least one job's.
        let weight = self.window_secs * (1.0 - libm::exp(-share(began)));
        sent / weight.max(1e-3)
    }

    /// The mean age of the reports, in seconds.
    fn mean_age_secs(&self, now: Timestamp, candidates: &[Candidate]) -> f64 {
        let age = |candidate: &Candidate| {
            let last = self.changes.get(candidate.peer());
            let age = last.map_or(self.max_age, |last| now.since(last.at));
            age.min(self.max_age).as_secs_f64()
        };
        candidates.iter().map(age).sum::<f64>() / candidates.len() as f64
    }
}

impl Policy for LoadInterpretation {
    fn signal(&self) -> Signal {
        Signal::Reports
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, reports: true, members: true, ..Interests::NONE }
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let n = candidates.len() as f64;
        let load = |candidate: &Candidate| f64::from(candidate.load_or_idle().in_flight);
        let delegators = if self.delegators == 0 { n } else { f64::from(self.delegators) };
        let arrived = self.rate(now) * delegators * self.mean_age_secs(now, candidates);
        let level = (candidates.iter().map(load).sum::<f64>() + arrived) / n;
        let weight = |candidate: &Candidate| (level - load(candidate)).max(0.0);
        let sum: f64 = candidates.iter().map(weight).sum();
        if !(sum > 0.0 && sum.is_finite()) {
            return rng.index(candidates.len());
        }
        let mut left = rng.unit() * sum;
        let mut last = 0;
        for (at, candidate) in candidates.iter().enumerate() {
            let weight = weight(candidate);
            if weight > 0.0 {
                last = at;
                left -= weight;
                if left < 0.0 {
                    break;
                }
            }
        }
        // Rounding may leave a little: then it is the last peer that had a chance.
        last
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        match *event {
            PolicyEvent::Sent { .. } => {
                self.began.get_or_insert(now);
                let gone = now.since(self.sent_at).as_secs_f64() / self.window_secs;
                self.sent = self.sent * libm::exp(-gone) + 1.0;
                self.sent_at = now;
            }
            PolicyEvent::Load { peer, source: LoadSource::Registry, .. } => {
                self.changes.get_or_new(peer).at = now;
            }
            PolicyEvent::Left { peer, .. } => {
                self.changes.remove(peer);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::LoadReport;
    use crate::routing::JobOutline;
    use crate::routing::{Known, PolicyFactory, PolicySettings};
    use crate::seed::Seed;

    /// How often each of four peers with 0, 1, 2 and 5 jobs is drawn in 40,000 choices, `age` after
    /// their reports came, by one of 10 agents that send 10 jobs/s each.
    fn drawn(age: Duration) -> [u32; 4] {
        let mut rng = Seed::root(7).rng();
        let settings: PolicySettings =
            "load_interpretation delegators=10".parse().expect("a policy");
        let mut policy = settings.build(&mut rng);
        let mut now = Timestamp::ZERO;
        // Long enough for the rate to be known to 1 %.
        for _ in 0..1_000 {
            now += Duration::from_millis(100);
            policy.on_event(
                now,
                &PolicyEvent::Sent { peer: PeerId::new("x", "h:1", 1), job: JobOutline::default() },
            );
        }
        let candidates = [0, 1, 2, 5].map(|in_flight| {
            let peer = PeerId::new(&in_flight.to_string(), "h:1", 1);
            let load = LoadReport { in_flight, ..LoadReport::default() };
            let source = LoadSource::Registry;
            policy.on_event(now, &PolicyEvent::Load { peer, load, service: None, source });
            Candidate::unknown(peer).with_load(Some(Known { value: load, age: Duration::ZERO }))
        });
        let mut drawn = [0; 4];
        for _ in 0..40_000 {
            drawn[policy.choose(now + age, &candidates, &mut rng)] += 1;
        }
        drawn
    }

    #[test]
    fn probabilities_are_those_of_the_formula() {
        // The level is (8 + K) / 4. Just now K = 0: weights 2, 1, 0, 0.
        let [a, b, c, d] = drawn(Duration::ZERO);
        // A third of 40,000 has a standard deviation of 94: 500 is 5 sigma.
        assert!(b.abs_diff(13_333) < 500 && a + b == 40_000, "{a} {b} {c} {d}");
        // After 200 ms K = 10 jobs/s x 10 agents x 0.2 s = 20, less the decay of the rate: weights
        // 7, 6, 5 and 2 of 20 at a level of 7. The rate is off by 2 %, the level by 0.1: 200 jobs.
        let [a, b, c, d] = drawn(Duration::from_millis(200));
        for (count, weight) in [(a, 7), (b, 6), (c, 5), (d, 2)] {
            assert!(count.abs_diff(2_000 * weight) < 900, "{a} {b} {c} {d}");
        }
    }
}
