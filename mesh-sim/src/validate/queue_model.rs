//! The queues with known figures, and what theory says about each.

use mesh_core::routing::{DispatchRule, Signal};

use super::bulletin_board;
use super::closed_forms::{self, Mg1Waits, Mm1Sharing};
use super::markov_chain::{self, JoinedQueue};
use super::queueing_system::{QueueingSystem, two_point};
use crate::figures::{Figure, Measure};
use crate::format::counted;
use crate::scenario::{BatchSize, PolicySpec, ProviderBounds, RequestBound, Scenario, UpperBound};

/// A queue with known figures, in the notation of Kendall. Every case of the validation is one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QueueModel {
    /// M/M/c, first come first served.
    Mmc,
    /// M[X]/M/1, first come first served: jobs arrive in batches. Only the mean is known.
    Batches,
    /// M/D/1.
    Md1,
    /// M/G/1, first come first served.
    Mg1Fcfs,
    /// M/G/1, processor sharing. Only the mean is known.
    Mg1Sharing,
    /// M/M/1, processor sharing.
    Mm1Sharing,
    /// Jobs go to M/M/1 servers in turn: E_n/M/1.
    RoundRobin,
    /// M/M/1 with room for K jobs.
    Mm1k,
    /// A provider takes c jobs at once and refuses others: M/G/c/c.
    Loss,
    /// A provider has a bucket of tokens, and refuses jobs that find none.
    TokenBucket,
    /// All jobs wait in one queue before the slots of several servers: M/M/c.
    OneQueue,
    /// Each job joins an idle queue; a random one if there is none.
    IdleQueue,
    /// Each job joins the shortest of d random queues.
    Supermarket,
    /// The same, but by queue lengths that are posted at the multiples of a period.
    Board,
}

/// A figure about which theory says something.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum TheoryFigure {
    /// The mean response, in mean service times.
    Mean,
    /// The time that this share of the responses does not exceed, in mean service times.
    Quantile(f64),
    /// The share of the jobs that are turned away.
    Blocked,
}

impl TheoryFigure {
    /// The name of the figure in tables.
    pub(super) fn name(self) -> String {
        match self {
            Self::Mean => "mean".to_owned(),
            Self::Quantile(share) => format!("p{}", (share * 1e5).round() / 1e3),
            Self::Blocked => "blocked".to_owned(),
        }
    }
}

/// The figures of a queue whose mean is `mean` and whose quantiles `quantile` gives: the mean, and
/// every quantile by which policies are compared.
fn with_tail(mean: f64, quantile: &dyn Fn(f64) -> f64) -> Vec<(TheoryFigure, f64)> {
    let mut figures = vec![(TheoryFigure::Mean, mean)];
    for measure in Figure::compared().map(|figure| figure.measure) {
        if let Measure::Quantile(share) = measure {
            figures.push((TheoryFigure::Quantile(share), quantile(share)));
        }
    }
    figures
}

/// The figures of M/M/c, first come first served.
fn mmc(servers: u32, load: f64) -> Vec<(TheoryFigure, f64)> {
    with_tail(closed_forms::mmc_mean(servers, load), &|share| {
        closed_forms::quantile(|t| closed_forms::mmc_tail(servers, load, t), share)
    })
}

/// The figures of jobs that a provider limits, by number or by rate.
fn limited(system: &QueueingSystem) -> Result<Vec<(TheoryFigure, f64)>, &'static str> {
    let QueueingSystem { cores, load, provider, .. } = *system;
    let bounds = provider.ok_or("there is no provider")?;
    if let Some(tokens) = bounds.requests {
        let load = bucket_load(system, tokens);
        return Ok(vec![(TheoryFigure::Blocked, closed_forms::md1k_blocking(load, tokens.burst))]);
    }
    let at_once = bounds.concurrency.ok_or("the provider has no limit")?;
    let blocked = closed_forms::erlang_b(at_once, load * f64::from(cores));
    // Each job that is admitted has a core of its own.
    Ok(vec![(TheoryFigure::Blocked, blocked), (TheoryFigure::Mean, 1.0)])
}

impl QueueModel {
    /// Whether the scenario with this policy is this queue.
    fn fits(self, system: &QueueingSystem, policy: &PolicySpec) -> bool {
        let QueueingSystem { servers, cores, scv, .. } = *system;
        let single = servers == 1 && system.is_fcfs();
        let shared = servers == 1 && cores == 1 && system.slots.is_none();
        let one_by_one = system.batch == BatchSize::Fixed(1);
        let (at_once, tokens) = match system.provider {
            Some(ProviderBounds { requests, concurrency }) => (concurrency, requests),
            None => (None, None),
        };
        let unlimited = servers == 1 && system.slots.is_none() && one_by_one;
        match self {
            Self::Loss => unlimited && tokens.is_none() && at_once.is_some_and(|c| c <= cores),
            Self::TokenBucket => unlimited && at_once.is_none() && tokens.is_some(),
            _ if system.provider.is_some() => false,
            Self::Batches => single && cores == 1 && scv == 1.0,
            _ if !one_by_one => false,
            Self::Mmc => single && scv == 1.0,
            Self::Md1 => single && cores == 1 && scv == 0.0,
            Self::Mg1Fcfs => single && cores == 1,
            Self::Mg1Sharing => shared,
            Self::Mm1Sharing => shared && scv == 1.0,
            Self::RoundRobin => dispatch(policy) == Some(DispatchRule::InTurn) && scv == 1.0,
            Self::Mm1k => single && cores == 1 && scv == 1.0,
            Self::OneQueue => {
                dispatch(policy) == Some(DispatchRule::OneQueue) && system.is_fcfs() && scv == 1.0
            }
            Self::IdleQueue => {
                let is_it = dispatch(policy) == Some(DispatchRule::IdleOrRandom);
                is_it && system.is_fcfs() && cores == 1 && scv == 1.0
            }
            Self::Supermarket | Self::Board => system.is_fcfs() && cores == 1 && scv == 1.0,
        }
    }

    /// Whether some jobs are turned away. Figures of responses are those of the others.
    pub(super) fn turns_away(self) -> bool {
        matches!(self, Self::Mm1k | Self::Loss | Self::TokenBucket)
    }

    /// The figures that theory gives for a policy. Where it has figures only for infinitely many
    /// servers, a Markov chain of `chain_jobs` jobs gives the mean.
    ///
    /// # Errors
    /// Why the scenario is not this queue.
    pub(super) fn expected(
        self,
        system: &QueueingSystem,
        scenario: &Scenario,
        policy: &PolicySpec,
        chain_jobs: u64,
    ) -> Result<Vec<(TheoryFigure, f64)>, &'static str> {
        let QueueingSystem { servers, cores, load, scv, places, .. } = *system;
        if !self.fits(system, policy) {
            return Err("the scenario describes another queue");
        }
        Ok(match self {
            Self::Mmc => mmc(cores, load),
            Self::OneQueue => mmc(servers * cores, load),
            Self::IdleQueue => {
                let joined = JoinedQueue::IdleOrRandom;
                let mean = markov_chain::mean_response(servers, load, joined, chain_jobs);
                vec![(TheoryFigure::Mean, mean)]
            }
            Self::Batches => {
                vec![(TheoryFigure::Mean, closed_forms::batches_mean(load, system.batch))]
            }
            Self::Md1 => with_tail(1.0 + closed_forms::mg1_wait(load, 0.0), &|share| {
                1.0 + closed_forms::quantile(|t| closed_forms::md1_wait_tail(load, t), share)
            }),
            Self::Mg1Fcfs => {
                let waits = Mg1Waits::new(load, two_point(&scenario.workload.jobs[0].demand)?);
                with_tail(1.0 + closed_forms::mg1_wait(load, scv), &|share| {
                    closed_forms::quantile(|t| waits.response_tail(t), share)
                })
            }
            Self::Mg1Sharing => vec![(TheoryFigure::Mean, 1.0 / (1.0 - load))],
            Self::Mm1Sharing => {
                let sharing = Mm1Sharing::new(load);
                with_tail(1.0 / (1.0 - load), &|share| {
                    closed_forms::quantile(|t| sharing.response_tail(t), share)
                })
            }
            Self::RoundRobin => {
                let rate = 1.0 - closed_forms::round_robin_sigma(servers, load);
                with_tail(1.0 / rate, &|share| -libm::log(1.0 - share) / rate)
            }
            Self::Mm1k => {
                let blocked = (TheoryFigure::Blocked, closed_forms::mm1k_blocking(load, places));
                let responses = with_tail(closed_forms::mm1k_mean(load, places), &|share| {
                    closed_forms::quantile(|t| closed_forms::mm1k_tail(load, places, t), share)
                });
                [vec![blocked], responses].concat()
            }
            Self::Loss | Self::TokenBucket => limited(system)?,
            Self::Supermarket => {
                let choices = choices(policy, servers).ok_or("the policy compares no queues")?;
                let mean = match choices {
                    1 => 1.0 / (1.0 - load),
                    _ => {
                        let joined = JoinedQueue::ShortestOf(choices);
                        markov_chain::mean_response(servers, load, joined, chain_jobs)
                    }
                };
                vec![(TheoryFigure::Mean, mean)]
            }
            Self::Board => {
                let choices = choices(policy, servers).ok_or("the policy compares no queues")?;
                let period = scenario.membership.heartbeat.as_secs_f64() / system.service;
                let mean = bulletin_board::reference(servers, load, period, choices);
                vec![(
                    TheoryFigure::Mean,
                    mean.ok_or("there is no reference figure for this board")?,
                )]
            }
        })
    }

    /// The mean response with infinitely many servers; `None` if the policy has no such limit.
    pub(super) fn limit(self, system: &QueueingSystem, policy: &PolicySpec) -> Option<f64> {
        let few = choices(policy, system.servers)
            .filter(|&choices| choices > 1 && choices < system.servers)?;
        (self == Self::Supermarket).then(|| closed_forms::supermarket_mean(few, system.load))
    }

    /// The name of the queue with its parameters, for tables.
    pub(super) fn title(
        self,
        system: &QueueingSystem,
        scenario: &Scenario,
        policy: &PolicySpec,
    ) -> String {
        let QueueingSystem { servers, cores, load, scv, places, .. } = *system;
        let load = (load * 1e6).round() / 1e6;
        let scv = (scv * 100.0).round() / 100.0;
        let joined = match choices(policy, servers) {
            Some(1) => "random".to_owned(),
            Some(all) if all == servers => "shortest of all".to_owned(),
            Some(choices) => format!("shortest of {choices}"),
            None => policy.factory.name().to_owned(),
        };
        match self {
            Self::Mmc => format!("M/M/{cores}, load {load}"),
            Self::OneQueue => format!("M/M/{} of {servers} peers, load {load}", servers * cores),
            Self::IdleQueue => format!("idle of {servers} or random, load {load}"),
            Self::Batches => format!("M[X]/M/1, X = {}, load {load}", sizes(system.batch)),
            Self::Md1 => format!("M/D/1, load {load}"),
            Self::Mg1Fcfs => format!("M/G/1 FCFS, c2 {scv}, load {load}"),
            Self::Mg1Sharing => format!("M/G/1 PS, c2 {scv}, load {load}"),
            Self::Mm1Sharing => format!("M/M/1 PS, load {load}"),
            Self::RoundRobin => format!("E{servers}/M/1, load {load}"),
            Self::Mm1k => format!("M/M/1/{places}, load {load}"),
            Self::Loss => {
                let at_once = system.provider.and_then(|bounds| bounds.concurrency);
                let at_once = at_once.unwrap_or_default();
                let offered = (load * f64::from(cores) * 1e6).round() / 1e6;
                let service = if scv == 1.0 { "M" } else { "G" };
                format!("M/{service}/{at_once}/{at_once}, c2 {scv}, a = {offered}")
            }
            Self::TokenBucket => {
                let tokens = system.provider.and_then(|bounds| bounds.requests);
                let of = |tokens: RequestBound| (tokens.burst, bucket_load(system, tokens));
                let (burst, load) = tokens.map(of).unwrap_or_default();
                let size = counted(burst as usize, "token");
                format!("bucket of {size}, load {}", (load * 1e6).round() / 1e6)
            }
            // As a rule the policy counts the calls of its own agent.
            Self::Supermarket => match policy.factory.needs().signal {
                Signal::Probes => format!("shortest: {}, load {load}", policy.label),
                _ => format!("{joined}, load {load}"),
            },
            Self::Board => {
                let period = scenario.membership.heartbeat.as_secs_f64() / system.service;
                format!("{joined}, board {}", (period * 1e6).round() / 1e6)
            }
        }
    }
}

/// How many jobs arrive while a token comes.
fn bucket_load(system: &QueueingSystem, tokens: RequestBound) -> f64 {
    system.rate * 60.0 / f64::from(tokens.per_minute)
}

/// The sizes of batches, for titles.
fn sizes(batch: BatchSize) -> String {
    match batch {
        BatchSize::Fixed(size) => size.to_string(),
        BatchSize::Geometric { mean } => format!("geo. {mean}"),
        BatchSize::Uniform { min, max } => format!("{min}..{max}"),
    }
}

/// The rule of theory that the policy follows, if it follows one.
fn dispatch(policy: &PolicySpec) -> Option<DispatchRule> {
    match UpperBound::of(&*policy.factory) {
        Some(UpperBound::ShortestQueue) => Some(DispatchRule::ShortestOfAll),
        Some(UpperBound::LeastWork) => None,
        None => policy.factory.settings()?.dispatch(),
    }
}

/// How many of the servers' queues the policy compares; `None` if it doesn't compare queues.
fn choices(policy: &PolicySpec, servers: u32) -> Option<u32> {
    match dispatch(policy)? {
        DispatchRule::ShortestOf(choices) => Some(choices as u32),
        DispatchRule::ShortestOfAll => Some(servers),
        _ => None,
    }
}
