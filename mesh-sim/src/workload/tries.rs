//! What the client does about requests that did not succeed at first: failover and retries.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::agent::{CallError, Failure};
use mesh_core::resilience::RetryBudget;
use mesh_core::seed::{Rng, Seed};
use mesh_core::time::nanos;

use super::Arrival;
use super::entry_agents::{EntryAgents, EntryDraws};
use crate::host::AgentId;
use crate::journal::{Fact, RequestOutcome, SentAgain};
use crate::scenario::{ClientRetries, JobKind, Scenario};

/// Decides whether, when and where the requests of a run are sent again.
///
/// A client owns one, [begins](Self::begin) each request with it, and [asks](Self::again) it whenever
/// a call ends without a result. It knows no clock and sends nothing. What it draws for a request
/// comes from random streams of that request, so it does not depend on the order in which calls end.
#[derive(Clone, Debug)]
pub struct ClientTries {
    failover: bool,
    retries: Option<(ClientRetries, RetryBudget)>,
    entry: EntryDraws,
    /// The most attempts that an agent makes for one request.
    max_attempts: u32,
    seed: Seed,
}

/// The tries of one request so far: where it was sent last, and how it is told from earlier tries.
#[derive(Clone, Debug)]
pub struct RequestTries {
    request: u64,
    entry: AgentId,
    attempt: u32,
    idempotent: bool,
    deadline: Timestamp,
    /// `None` until it is to be sent again: most requests never are.
    again: Option<Box<LaterTries>>,
}

/// What is known of the tries of a request that was sent again.
#[derive(Clone, Debug)]
struct LaterTries {
    /// The entry agents that could not be reached since the last retry.
    unreachable: BTreeSet<AgentId>,
    /// How often it was retried.
    retries: u32,
    entry_rng: Rng,
    pause_rng: Rng,
}

/// A request is to be sent once more, to [`RequestTries::entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextTry {
    /// How long to wait before that: until before its deadline.
    pub pause: Duration,
    /// Which kind of try it is.
    pub how: SentAgain,
}

impl ClientTries {
    /// For the requests of a run of a scenario with this seed.
    pub fn of(scenario: &Scenario, seed: u64) -> Self {
        let spec = &scenario.workload.client;
        let budget =
            |retries: ClientRetries| (retries, RetryBudget::new(Timestamp::ZERO, retries.budget));
        Self {
            failover: spec.failover,
            retries: spec.retries.map(budget),
            entry: EntryDraws::new(&scenario.workload.entry, &EntryAgents::of(&scenario.agents)),
            max_attempts: scenario.delegation.max_attempts,
            seed: Seed::root(seed).child("workload").child("tries"),
        }
    }

    /// Begins a request, which is sent for the first time now. `job` is its kind.
    pub fn begin(&mut self, arrival: &Arrival, job: &JobKind) -> RequestTries {
        if let Some((_, budget)) = &mut self.retries {
            budget.deposit();
        }
        RequestTries {
            request: arrival.index,
            entry: arrival.entry,
            attempt: 0,
            idempotent: job.idempotent,
            deadline: arrival.at + job.deadline,
            again: None,
        }
    }

    /// Decides what follows when a call for a request has ended with `error`. `None`: the request
    /// ends with it.
    pub fn again(
        &mut self,
        now: Timestamp,
        request: &mut RequestTries,
        error: &CallError,
    ) -> Option<NextTry> {
        if now >= request.deadline {
            return None;
        }
        let failover = self.failover && *error == CallError::NotSent;
        if failover && self.fails_over(now, request) {
            return Some(NextTry { pause: Duration::ZERO, how: SentAgain::Failover });
        }
        let pause = self.retries(now, request, error)?;
        Some(NextTry { pause, how: SentAgain::Retry })
    }

    /// Takes another entry agent for a request that could not be sent. False if there is none.
    fn fails_over(&mut self, now: Timestamp, request: &mut RequestTries) -> bool {
        let last = request.entry;
        let later = request.later(&self.seed);
        later.unreachable.insert(last);
        let next = self.entry.another(now, last, &later.unreachable, &mut later.entry_rng);
        request.entry = next.unwrap_or(last);
        next.is_some()
    }

    /// Takes an entry agent for a retry. Returns the pause before it; `None` if the request is not
    /// to be retried.
    fn retries(
        &mut self,
        now: Timestamp,
        request: &mut RequestTries,
        error: &CallError,
    ) -> Option<Duration> {
        let (spec, budget) = self.retries.as_mut()?;
        let (deadline, last) = (request.deadline, request.entry);
        if !may_retry(error, request.idempotent) {
            return None;
        }
        let later = request.later(&self.seed);
        if later.retries >= spec.max {
            return None;
        }
        let pause = later.pause(spec).max(retry_after(error).unwrap_or_default());
        let at = now + pause;
        // Asked last, because it counts the retry as made.
        if at >= deadline || !budget.withdraw(now) {
            return None;
        }
        later.retries += 1;
        later.unreachable.clear();
        let next = self.entry.another(at, last, &later.unreachable, &mut later.entry_rng);
        request.entry = next.unwrap_or(last);
        request.attempt = request.attempt.saturating_add(self.max_attempts);
        Some(pause)
    }
}

impl RequestTries {
    /// The agent that the request is sent to.
    pub fn entry(&self) -> AgentId {
        self.entry
    }

    /// The number of the first attempt that the agent makes. Each retry begins after as many numbers
    /// as an agent may use for one request, so that no two attempts have the same.
    pub fn attempt(&self) -> u32 {
        self.attempt
    }

    /// When the client gives up.
    pub fn deadline(&self) -> Timestamp {
        self.deadline
    }

    /// What a journal says of the next try. `after` is how the request would have ended otherwise.
    pub fn fact(&self, arrival: &Arrival, next: NextTry, after: RequestOutcome) -> Fact {
        let &Self { request, entry, attempt, .. } = self;
        let NextTry { pause, how } = next;
        Fact::RequestSentAgain { request, due: arrival.at, how, after, entry, attempt, pause }
    }

    fn later(&mut self, seed: &Seed) -> &mut LaterTries {
        let request = self.request;
        self.again.get_or_insert_with(|| {
            let seed = seed.child(&request.to_string());
            Box::new(LaterTries {
                unreachable: BTreeSet::new(),
                retries: 0,
                entry_rng: seed.child("entry").rng(),
                pause_rng: seed.child("pause").rng(),
            })
        })
    }
}

impl LaterTries {
    /// Draws the pause before the next retry: exponential back-off with full jitter (M. Brooker,
    /// "Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
    fn pause(&mut self, spec: &ClientRetries) -> Duration {
        let longest = nanos(spec.longest_pause(self.retries)) as usize;
        Duration::from_nanos(self.pause_rng.index(longest.saturating_add(1)) as u64)
    }
}

/// Whether a request may be sent again after this error: its job was certainly not begun, or may
/// be done twice.
fn may_retry(error: &CallError, idempotent: bool) -> bool {
    let failure = match error {
        CallError::NotSent => return true,
        CallError::NoAnswer => return idempotent,
        CallError::Answered(failure) => failure,
    };
    match failure {
        // An agent that tried several peers for a job that must not be done twice answers so only
        // if none of them began it.
        Failure::Busy
        | Failure::BusyFor(_)
        | Failure::NoPeers
        | Failure::NoSkill { .. }
        | Failure::NoReachablePeers(_)
        | Failure::AllBusy(_)
        | Failure::RetriesExhausted(_)
        | Failure::ShuttingDown
        | Failure::Unavailable(_)
        | Failure::Throttled { .. } => true,
        Failure::OutcomeUnknown { .. } => idempotent,
        // Another try would end in the same way.
        Failure::DeadlineExceeded
        | Failure::TooDeep { .. }
        | Failure::JobFailed(_)
        | Failure::Other(_) => false,
    }
}

/// How long an error asks the client to wait.
fn retry_after(error: &CallError) -> Option<Duration> {
    match error {
        CallError::Answered(Failure::Unavailable(unavailable)) => unavailable.retry_after,
        CallError::Answered(Failure::BusyFor(time)) => Some(*time),
        CallError::Answered(Failure::Throttled { retry_after }) => Some(*retry_after),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use mesh_core::agent::Failure::{Busy, JobFailed, NoPeers, OutcomeUnknown};

    use super::*;
    use crate::host::IndexedId as _;
    use crate::scenario::EntryChoice;

    /// Four agents, and a client with this table.
    fn scenario(entry: &str, client: &str) -> Scenario {
        let text = format!(
            "name = \"x\"\ndescription = \"x\"\nduration = \"60s\"\npolicies = [\"random\"]\n\
             agents = [{{ name = \"a\", count = 4 }}]\n[workload]\narrivals = \"constant\"\n\
             rate = 1\ndemand = \"1ms\"\n{entry}\n[workload.client]\n{client}"
        );
        Scenario::parse(&text, "x.toml").unwrap_or_else(|error| panic!("{error}"))
    }

    fn at(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    /// Request `index`, due at 0 with a deadline of 5 s, through the first agent.
    fn begin(tries: &mut ClientTries, scenario: &Scenario, index: u64) -> RequestTries {
        let (entry, demand) = (AgentId::new(0), Duration::ZERO);
        let arrival = Arrival { index, at: at(0), entry, kind: 0, demand, details: None };
        tries.begin(&arrival, scenario.workload.job(0))
    }

    /// The agents that a request is sent to if it never reaches one.
    fn reached_by_none(scenario: &Scenario, index: u64) -> Vec<usize> {
        let mut tries = ClientTries::of(scenario, 7);
        let mut request = begin(&mut tries, scenario, index);
        let mut entries = vec![request.entry().index()];
        while let Some(next) = tries.again(at(1), &mut request, &CallError::NotSent) {
            assert_eq!(next, NextTry { pause: Duration::ZERO, how: SentAgain::Failover });
            entries.push(request.entry().index());
        }
        assert_eq!(request.attempt(), 0, "no agent has heard of it");
        entries
    }

    #[test]
    fn each_entry_agent_is_tried_once() {
        let random = scenario("", "");
        let orders: BTreeSet<Vec<usize>> =
            (0..100).map(|index| reached_by_none(&random, index)).collect();
        assert_eq!(orders.len(), 6, "all orders of the other three");
        let in_turn = scenario("entry = \"round_robin\"", "");
        assert_eq!(reached_by_none(&in_turn, 1), [0, 1, 2, 3]);
        let weights = scenario("entry = { \"a-1\" = 1, \"a-2\" = 1, \"a-4\" = 9 }", "");
        let second = (0..100).filter(|index| reached_by_none(&weights, *index)[1] == 3).count();
        assert!((80..=98).contains(&second), "{second}");
        assert!((0..100).all(|index| reached_by_none(&weights, index).len() == 3));
        assert_eq!(reached_by_none(&scenario("entry = \"a-1\"", ""), 1), [0]);
        assert_eq!(reached_by_none(&scenario("", "failover = false"), 1), [0]);
    }

    #[test]
    fn agents_that_are_not_there_are_not_tried() {
        let mut some_leave = scenario("", "");
        some_leave.agents[1].leaves = Some(Duration::from_micros(1));
        some_leave.agents[3].joins = Duration::from_secs(1);
        assert!((0..20).all(|index| reached_by_none(&some_leave, index) == [0, 2]));
        some_leave.workload.entry = EntryChoice::RoundRobin;
        assert_eq!(reached_by_none(&some_leave, 1), [0, 2]);
    }

    const RETRIES: &str =
        "retries = { max = 3, backoff = \"100ms\", max_backoff = \"250ms\", retry_floor = 100 }";

    #[test]
    fn pauses_double_up_to_a_limit_and_are_drawn_below_it() {
        let scenario = scenario("", RETRIES);
        let mut longest = [Duration::ZERO; 3];
        for index in 0..200 {
            let mut tries = ClientTries::of(&scenario, 7);
            let mut request = begin(&mut tries, &scenario, index);
            for (number, longest) in longest.iter_mut().enumerate() {
                let next = tries.again(at(0), &mut request, &Busy.into()).expect("a retry");
                assert_eq!(next.how, SentAgain::Retry);
                assert_eq!(request.attempt(), 3 * (number as u32 + 1), "of at most 3 each");
                *longest = next.pause.max(*longest);
            }
            assert_eq!(tries.again(at(0), &mut request, &Busy.into()), None, "there were three");
        }
        // The greatest of 200 uniform values.
        for (longest, limit) in longest.into_iter().zip([100, 200, 250]) {
            let share = longest.as_secs_f64() * 1e3 / f64::from(limit);
            assert!((0.9..=1.0).contains(&share), "{longest:?} of {limit} ms");
        }
    }

    #[test]
    fn a_request_is_retried_only_if_that_does_no_harm() {
        let begun = || OutcomeUnknown { peer: "a".to_owned() };
        let retried = |error: CallError, idempotent| {
            let mut scenario = scenario("entry = \"a-1\"", RETRIES);
            scenario.workload.jobs[0].idempotent = idempotent;
            let mut tries = ClientTries::of(&scenario, 7);
            let mut request = begin(&mut tries, &scenario, 1);
            tries.again(at(0), &mut request, &error).is_some()
        };
        for never_begun in [CallError::NotSent, Busy.into(), NoPeers.into()] {
            assert!(retried(never_begun, false));
        }
        for unknown in [CallError::NoAnswer, begun().into()] {
            assert!(!retried(unknown.clone(), false) && retried(unknown, true));
        }
        assert!(!retried(JobFailed("x".to_owned()).into(), true));
    }

    #[test]
    fn an_error_may_ask_for_a_longer_pause_but_not_beyond_the_deadline() {
        let scenario = scenario("", RETRIES);
        let mut tries = ClientTries::of(&scenario, 7);
        let mut retry = |now, retry_after| {
            let mut request = begin(&mut tries, &scenario, 1);
            let failure = Failure::Unavailable("x".into()).with_retry_after(Some(retry_after));
            tries.again(at(now), &mut request, &failure.into()).map(|next| next.pause)
        };
        let asked = Duration::from_secs(3);
        assert_eq!(retry(1_000, asked), Some(asked));
        assert_eq!(retry(1_000, Duration::from_secs(4)), None);
    }

    #[test]
    fn all_requests_share_one_budget() {
        let budget = "retries = { max = 9, retry_ratio = 0.5, retry_floor = 0 }";
        let scenario = scenario("", budget);
        let mut tries = ClientTries::of(&scenario, 7);
        let mut requests: Vec<RequestTries> =
            (0..10).map(|index| begin(&mut tries, &scenario, index)).collect();
        let retried = requests.iter_mut().filter_map(|request| {
            let error: CallError = Busy.into();
            tries.again(at(0), request, &error)
        });
        assert_eq!(retried.count(), 5);
    }
}
