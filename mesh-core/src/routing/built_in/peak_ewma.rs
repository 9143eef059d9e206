//! The least peak of a moving average of latencies, times jobs, of two random peers.

use std::time::Duration;

use crate::hash::{HashTable, TableEntry};
use crate::parameter::{Parameter, ParameterKind, ParameterValues};
use crate::protocol::Task;
use crate::roster::PeerId;
use crate::routing::{
    Candidate, Eligible, Interests, MAX_CHOICES, Picks, Policy, PolicyDescription, PolicyEvent,
    PolicyNeeds, Shortlist, Signal, least_by_key, total_order,
};
use crate::seed::Rng;
use crate::time::Timestamp;

const CHOICES: Parameter = Parameter {
    name: "choices",
    summary: "How many peers to compare.",
    kind: ParameterKind::Count { default: 2, min: 1, max: MAX_CHOICES as u64 },
};

const DECAY: Parameter = Parameter {
    name: "decay_secs",
    summary: "The time in seconds in which a latency fades by a factor of e.",
    kind: ParameterKind::Number { default: 10.0, min: 0.001, max: 86_400.0 },
};

const INITIAL: Parameter = Parameter {
    name: "initial_ms",
    summary: "The latency in ms of a new peer; Linkerd has 30. 0: it gets one job at once, and the \
              next when that is answered, as in Finagle.",
    kind: ParameterKind::Number { default: 0.0, min: 0.0, max: 86_400_000.0 },
};

const FAILURE: Parameter = Parameter {
    name: "failure_ms",
    summary: "The least latency in ms that a failed job counts as; Linkerd has 5000. 0: its own.",
    kind: ParameterKind::Number { default: 0.0, min: 0.0, max: 86_400_000.0 },
};

/// The longest time that a peer's request to stay away counts as a latency.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(300);
/// The cost of a peer that has a job and has answered nothing yet, in seconds: more than any other.
const UNANSWERED: f64 = 1e12;

/// [`PeakEwma`] as a built-in policy.
pub(super) const DESCRIPTION: PolicyDescription = PolicyDescription {
    name: "peak_ewma",
    summary: "The peer with the least recent latency x (own jobs there + 1), of a few random ones.",
    parameters: &[CHOICES, DECAY, INITIAL, FAILURE],
    needs: |_| PolicyNeeds { signal: Signal::OwnCounters, utilisation: false },
    conflict: PolicyDescription::no_conflict,
    dispatch: PolicyDescription::no_theory,
    build: |values, _| Box::new(PeakEwma::new(values)),
};

/// Compares a few random peers by an average of their latencies that rises at once with a longer
/// one and fades exponentially, times the jobs that this agent would then have there: "peak EWMA" of
/// Finagle (`PeakEwma.scala`), tower (`load/peak_ewma.rs`) and Linkerd.
///
/// If a latency is longer than the average, it becomes the average. Otherwise, after the time t
/// since the average was last used, the average is `average * e^(-t/decay) + latency * (1 -
/// e^(-t/decay))`. To read it is to use it, with a latency of 0, so that a peer that was slow once
/// is tried again. So is one that is new: with `initial_ms`, its latency fades from there; without,
/// it is the first to get a job, and counts as the worst until that is answered.
///
/// The answer to the job ends the measurement. Jobs of agents take seconds or minutes and are
/// answered at their end, so the average is mostly the length of jobs: where these differ much, it
/// says more of the jobs than of the peers. A job that is cancelled counts with the time that it
/// took until then. Jobs that fail at once look like a fast peer, unless `failure_ms` says what
/// they count as at least (Linkerd's load biaser: 5 s; or the time that the peer asks its callers
/// to stay away, up to 300 s, if that is longer; or the average).
#[derive(Debug)]
struct PeakEwma {
    choices: usize,
    decay_secs: f64,
    /// Seconds; `None`: a peer gets one job first.
    initial_secs: Option<f64>,
    /// Seconds; `None`: failures count like answers.
    failure_secs: Option<f64>,
    averages: HashTable<PeakAverage>,
}

/// The average latency of one peer.
#[derive(Clone, Copy, Debug)]
struct PeakAverage {
    peer: PeerId,
    /// Seconds; below 0 before the first latency.
    secs: f64,
    /// When the average was last used.
    used: Timestamp,
}

impl TableEntry for PeakAverage {
    type Key = PeerId;

    fn key(&self) -> PeerId {
        self.peer
    }

    fn new(peer: PeerId) -> Self {
        Self { peer, secs: -1.0, used: Timestamp::ZERO }
    }
}

impl PeakAverage {
    /// Makes it the average of now.
    fn read(&mut self, now: Timestamp, decay_secs: f64) {
        self.secs *= self.fade(now, decay_secs);
    }

    fn add(&mut self, now: Timestamp, latency_secs: f64, decay_secs: f64) {
        let fade = self.fade(now, decay_secs);
        self.secs = if latency_secs > self.secs {
            latency_secs
        } else {
            self.secs * fade + latency_secs * (1.0 - fade)
        };
    }

    /// The share that is left of the average; it is used now.
    fn fade(&mut self, now: Timestamp, decay_secs: f64) -> f64 {
        let unused = now.since(self.used);
        self.used = now;
        libm::exp(-unused.as_secs_f64() / decay_secs)
    }
}

impl PeakEwma {
    fn new(values: &ParameterValues) -> Self {
        let initial_secs = values.number(&INITIAL) / 1_000.0;
        let failure_secs = values.number(&FAILURE) / 1_000.0;
        Self {
            choices: values.count(&CHOICES) as usize,
            decay_secs: values.number(&DECAY),
            initial_secs: (initial_secs > 0.0).then_some(initial_secs),
            failure_secs: (failure_secs > 0.0).then_some(failure_secs),
            averages: HashTable::default(),
        }
    }

    /// The average of a peer, which is made now if it has a latency to begin with.
    fn average(&mut self, now: Timestamp, peer: PeerId) -> Option<&mut PeakAverage> {
        if self.averages.get(peer).is_none() {
            let secs = self.initial_secs?;
            *self.averages.get_or_new(peer) = PeakAverage { peer, secs, used: now };
        }
        self.averages.get_mut(peer)
    }

    /// The cost of a peer whose average was read now, in seconds.
    fn cost(&self, candidate: &Candidate) -> f64 {
        let jobs = f64::from(candidate.outstanding());
        match self.averages.get(candidate.peer()) {
            Some(average) => average.secs * (jobs + 1.0),
            None => UNANSWERED * jobs,
        }
    }

    fn ended(&mut self, now: Timestamp, peer: PeerId, latency: Duration) {
        let decay_secs = self.decay_secs;
        if let Some(average) = self.average(now, peer) {
            return average.add(now, latency.as_secs_f64(), decay_secs);
        }
        self.averages.get_or_new(peer).add(now, latency.as_secs_f64(), decay_secs);
    }

    fn failed(
        &mut self,
        now: Timestamp,
        peer: PeerId,
        elapsed: Duration,
        retry_after: Option<Duration>,
    ) {
        let Some(least_secs) = self.failure_secs else { return self.ended(now, peer, elapsed) };
        let known = self.averages.get(peer).map_or(0.0, |average| average.secs.max(0.0));
        let away = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER).as_secs_f64();
        let secs = elapsed.as_secs_f64().max(least_secs).max(away).max(known);
        self.ended(now, peer, Duration::from_secs_f64(secs));
    }
}

impl Policy for PeakEwma {
    fn signal(&self) -> Signal {
        Signal::OwnCounters
    }

    fn interests(&self) -> Interests {
        Interests { jobs: true, members: true, ..Interests::NONE }
    }

    fn shortlist(
        &mut self,
        _now: Timestamp,
        _job: &Task,
        eligible: &Eligible<'_>,
        rng: &mut Rng,
    ) -> Shortlist {
        Shortlist::Some(Picks::sample(self.choices, eligible.len(), rng))
    }

    fn choose(&mut self, now: Timestamp, candidates: &[Candidate], rng: &mut Rng) -> usize {
        let decay_secs = self.decay_secs;
        for candidate in candidates {
            if let Some(average) = self.average(now, candidate.peer()) {
                average.read(now, decay_secs);
            }
        }
        least_by_key(candidates, rng, |candidate| total_order(self.cost(candidate)))
    }

    fn on_event(&mut self, now: Timestamp, event: &PolicyEvent<'_>) {
        match *event {
            PolicyEvent::Answered { peer, elapsed, .. }
            | PolicyEvent::Cancelled { peer, elapsed, .. } => self.ended(now, peer, elapsed),
            PolicyEvent::Refused { peer, elapsed, retry_after, .. } => {
                self.failed(now, peer, elapsed, retry_after);
            }
            PolicyEvent::Failed { peer, elapsed, .. } => self.failed(now, peer, elapsed, None),
            PolicyEvent::Left { peer, .. } => {
                self.averages.remove(peer);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::routing::{FailureReason, JobOutline, PolicyFactory as _, PolicySettings};
    use crate::seed::Seed;

    fn build(settings: &str) -> Box<dyn Policy> {
        let settings: PolicySettings = settings.parse().unwrap();
        settings.build(&mut Seed::root(1).rng())
    }

    fn peers<const N: usize>() -> [PeerId; N] {
        std::array::from_fn(|number| PeerId::new(&format!("agent-{number}"), "h:1", 1))
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn answered(peer: PeerId, elapsed: Duration) -> PolicyEvent<'static> {
        PolicyEvent::Answered { peer, job: JobOutline::default(), elapsed, at_peer: elapsed }
    }

    fn failed(peer: PeerId, elapsed: Duration) -> PolicyEvent<'static> {
        let reason = FailureReason::Error;
        PolicyEvent::Failed { peer, job: JobOutline::default(), elapsed, reason }
    }

    /// Which of two peers is chosen, with so many jobs in flight.
    fn choose(policy: &mut dyn Policy, now: Timestamp, jobs: [u32; 2]) -> usize {
        let candidates =
            [0, 1].map(|at| Candidate::unknown(peers::<2>()[at]).with_outstanding(jobs[at]));
        policy.choose(now, &candidates, &mut Seed::root(1).rng())
    }

    #[test]
    fn the_cost_is_the_latency_times_the_jobs() {
        let mut policy = build("peak_ewma");
        let [fast, slow] = peers();
        policy.on_event(at(0), &answered(fast, ms(10)));
        policy.on_event(at(0), &answered(slow, ms(35)));
        // 10 x 3 and 10 x 4 against 35 x 1.
        assert_eq!(choose(&mut *policy, at(0), [2, 0]), 0);
        assert_eq!(choose(&mut *policy, at(0), [3, 0]), 1);
    }

    #[test]
    fn a_peak_counts_at_once_and_fades() {
        let mut policy = build("peak_ewma");
        let [one, other] = peers();
        policy.on_event(at(0), &answered(one, ms(1_000)));
        policy.on_event(at(0), &answered(one, ms(10)));
        policy.on_event(at(0), &answered(other, ms(500)));
        assert_eq!(choose(&mut *policy, at(0), [0, 0]), 1, "no time has passed");
        // After 10 s: 1000/e + 100 (1 - 1/e) = 431 ms against the 500 ms that came now.
        policy.on_event(at(10_000), &answered(one, ms(100)));
        policy.on_event(at(10_000), &answered(other, ms(500)));
        assert_eq!(choose(&mut *policy, at(10_000), [0, 0]), 0);
        policy.on_event(at(10_000), &answered(other, ms(430)));
        assert_eq!(choose(&mut *policy, at(10_000), [0, 0]), 0, "a shorter one needs time");
    }

    #[test]
    fn a_new_peer_gets_one_job_until_it_answers_or_as_many_as_its_latency_allows() {
        let [known, _] = peers();
        for (initial, expected) in [(0, [1, 0, 0]), (30, [1, 1, 0])] {
            let mut policy = build(&format!("peak_ewma initial_ms={initial}"));
            policy.on_event(at(0), &answered(known, ms(80)));
            // 30 ms x 1, x 2 and x 3 against 80 ms.
            let chosen = [0, 1, 2].map(|jobs| choose(&mut *policy, at(0), [0, jobs]));
            assert_eq!(chosen, expected, "{initial}");
        }
    }

    /// One job per second, one at a time. One peer takes 100 ms, the other fails after 1 ms.
    ///
    /// The averages fade with 10 s. A job follows its predecessor's end by 999 or 900 ms, and an
    /// average counts from its job's end; those times are e-folds, too. So the good peer is called
    /// again when 100 e^(-(k - 0.1)/10) < 1 e^(-0.0999): after k = 48 jobs; and the failing one,
    /// if it counts as 5 s, when 5000 e^(-(k - 0.001)/10) < 100 e^(-0.09): after k = 41.
    #[test]
    fn failures_do_not_attract_jobs_if_they_count_as_5_s() {
        let calls = |settings: &str| {
            let mut policy = build(settings);
            let [good, bad] = peers();
            let mut calls = [Vec::new(), Vec::new()];
            for second in 0..1_000 {
                let start = 1_000 * second;
                let chosen = choose(&mut *policy, at(start), [0, 0]);
                calls[chosen].push(second);
                let event = [answered(good, ms(100)), failed(bad, ms(1))][chosen];
                policy.on_event(at(start + [100, 1][chosen]), &event);
            }
            let gaps = |calls: &[u64]| -> Vec<u64> {
                calls.windows(2).skip(1).map(|pair| pair[1] - pair[0]).collect()
            };
            [gaps(&calls[0]), gaps(&calls[1])]
        };
        let [good, _] = calls("peak_ewma");
        assert!(good.len() > 15 && good.iter().all(|gap| *gap == 48), "{good:?}");
        let [_, bad] = calls("peak_ewma failure_ms=5000");
        assert!(bad.len() > 20 && bad.iter().all(|gap| *gap == 41), "{bad:?}");
    }
}
