//! `mesh-bench throughput`: measures how many calls a second the mesh answers, beside what people
//! use today.

mod contenders;
mod echo;
mod nginx;
mod processes;
mod secured;
pub(crate) mod table;

use std::time::Duration;

use anyhow::Context as _;
use mesh_node::Clock;
use mesh_node::process::console::say;
use mesh_sim::format::counted;
use serde::Serialize;

use self::contenders::RequiredSpeed;
pub(crate) use self::contenders::{Contender, GROUPS, SECURED_GROUPS, names};
pub(crate) use self::echo::echo;
pub(crate) use self::processes::{ContenderProcesses, Programs, free_address};
use crate::live::ProcessUsage;
use crate::request_generator::{RequestPlan, RequestTally, run};

/// The time between making a plan and its first request.
const START_DELAY: Duration = Duration::from_millis(100);
/// The first part of each round is not counted; it is this share of the counted time.
const WARM_UP: f64 = 0.1;

/// What is measured and for how long, as it stands in the file of `--out`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ThroughputOptions {
    /// How long each round counts, in seconds.
    pub(crate) seconds: f64,
    /// Rounds of each contender. The contenders of a group take turns.
    pub(crate) rounds: usize,
    /// Kept-alive connections of the request generator.
    pub(crate) connections: usize,
    /// Requests that are due per second; `None` for a closed loop.
    pub(crate) rate: Option<f64>,
    /// Measure only these contenders and the baselines of their groups; all if this is empty.
    pub(crate) only: Vec<String>,
}

/// The figures of one contender, as they stand in the file of `--out`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ContenderFigures {
    pub(crate) name: &'static str,
    /// The medians over the rounds.
    #[serde(flatten)]
    pub(crate) median: RoundFigures,
    /// The contender's throughput divided by that of the baseline in the same turn, as the median
    /// over the rounds; `None` for a baseline, and where the baseline is missing.
    pub(crate) ratio: Option<f64>,
    /// What the contender has to reach, in words.
    pub(crate) limit: String,
    /// Whether the limit is met; `None` for a baseline, where the baseline is missing, and in an
    /// open loop.
    pub(crate) limit_met: Option<bool>,
    /// The figures of each round.
    pub(crate) rounds: Vec<RoundFigures>,
}

/// The figures of one round.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct RoundFigures {
    /// Requests that were answered with a result, per second.
    pub(crate) requests_per_s: f64,
    /// The median latency of all requests; a request that failed counts with a minute at least.
    pub(crate) p50_ms: f64,
    /// The 99th percentile of the same latencies.
    pub(crate) p99_ms: f64,
    /// CPU seconds of all processes of the contender per 1,000 answers; those of the request
    /// generator are not included.
    pub(crate) cpu_s_per_1000: f64,
    /// The resident memory of all processes of the contender at the end.
    pub(crate) resident_mib: f64,
    /// Requests without a result.
    pub(crate) failed: u64,
    /// Connections that the request generator opened.
    pub(crate) opened: u64,
}

/// Measures one group after the other. A contender whose programs this machine lacks is left out;
/// the second list says which and why.
pub(crate) async fn measure(
    programs: &Programs,
    groups: &[&[Contender]],
    options: &ThroughputOptions,
) -> anyhow::Result<(Vec<ContenderFigures>, Vec<String>)> {
    let (mut rows, mut left_out) = (Vec::new(), Vec::new());
    for group in groups {
        let is_wanted = |contender: &&Contender| {
            options.only.is_empty() || options.only.iter().any(|name| name == contender.name)
        };
        if !group.iter().any(|contender| is_wanted(&contender)) {
            continue;
        }
        let is_baseline =
            |contender: &Contender| matches!(contender.limit, RequiredSpeed::Baseline);
        let wanted = group.iter().filter(|one| is_baseline(one) || is_wanted(one));
        let mut turns = Vec::new();
        for contender in wanted {
            if let Some(missing) = programs.lacks(contender.kind).await {
                left_out.push(format!("{}: this machine lacks {missing}", contender.name));
                continue;
            }
            say(&format!(" starting {}", contender.name));
            let processes = programs.start(contender.kind).await;
            let processes =
                processes.with_context(|| format!("failed to start {}", contender.name))?;
            turns.push(RunningContender { contender, processes, rounds: Vec::new() });
        }
        take_turns(&mut turns, options).await?;
        rows.extend(summary(&turns, options));
    }
    Ok((rows, left_out))
}

/// A contender whose processes run, with the figures of its rounds so far.
struct RunningContender<'a> {
    contender: &'a Contender,
    processes: ContenderProcesses,
    rounds: Vec<RoundFigures>,
}

/// Measures the rounds. The contenders of a group take turns, so that a disturbance of the machine
/// hits all of them.
async fn take_turns(
    turns: &mut [RunningContender<'_>],
    options: &ThroughputOptions,
) -> anyhow::Result<()> {
    for number in 1..=options.rounds {
        for turn in &mut *turns {
            let name = turn.contender.name;
            say(&format!(" round {number} of {}: {name}", options.rounds));
            let round = turn.round(options).await;
            turn.rounds.push(round.with_context(|| format!("failed to measure {name}"))?);
        }
    }
    Ok(())
}

impl RunningContender<'_> {
    /// Measures one round.
    async fn round(&mut self, options: &ThroughputOptions) -> anyhow::Result<RoundFigures> {
        let clock = Clock::start();
        let start = clock.now() + START_DELAY;
        let from = start + Duration::from_secs_f64(options.seconds * WARM_UP);
        let until = from + Duration::from_secs_f64(options.seconds);
        let plan = RequestPlan {
            address: self.processes.entry.clone(),
            tls: self.processes.tls.clone(),
            requests: vec![self.processes.request(self.contender.kind)],
            connections: options.connections,
            rate: options.rate,
            start,
            from,
            until,
        };
        let ids = self.processes.ids();
        let usage = async {
            clock.sleep_until(from).await;
            let before = ProcessUsage::of(&ids);
            clock.sleep_until(until).await;
            (before, ProcessUsage::of(&ids))
        };
        let (tally, (before, after)) = tokio::join!(run(plan, clock), usage);
        self.processes.must_live()?;
        let tally = tally?;
        if let Some(failure) = &tally.first_failure {
            let (name, failed) = (self.contender.name, tally.failed);
            say(&format!(
                " warning: {name}: {} failed, the first: {failure}",
                counted(failed as usize, "request")
            ));
        }
        Ok(RoundFigures::of(&tally, options.seconds, before, after))
    }
}

impl RoundFigures {
    fn of(tally: &RequestTally, seconds: f64, before: ProcessUsage, after: ProcessUsage) -> Self {
        let answered = tally.answered as f64;
        let ms = |quantile| tally.latency.quantile_ns(quantile) as f64 / 1e6;
        let cpu_s = after.cpu.saturating_sub(before.cpu).as_secs_f64();
        Self {
            requests_per_s: answered / seconds,
            p50_ms: ms(0.5),
            p99_ms: ms(0.99),
            cpu_s_per_1000: cpu_s * 1000.0 / answered,
            resident_mib: after.resident as f64 / f64::from(1 << 20),
            failed: tally.failed,
            opened: tally.opened,
        }
    }
}

/// The figures of a group.
fn summary(turns: &[RunningContender<'_>], options: &ThroughputOptions) -> Vec<ContenderFigures> {
    let baseline =
        turns.iter().find(|turn| matches!(turn.contender.limit, RequiredSpeed::Baseline));
    let row = |turn: &RunningContender<'_>| {
        let RunningContender { contender: Contender { name, limit, .. }, rounds, .. } = turn;
        let ratio = baseline.filter(|baseline| baseline.contender.name != *name).map(|baseline| {
            let pairs = rounds.iter().zip(&baseline.rounds);
            median(pairs.map(|(own, base)| own.requests_per_s / base.requests_per_s))
        });
        let of = |figure: fn(&RoundFigures) -> f64| median(rounds.iter().map(figure));
        let median = RoundFigures {
            requests_per_s: of(|round| round.requests_per_s),
            p50_ms: of(|round| round.p50_ms),
            p99_ms: of(|round| round.p99_ms),
            cpu_s_per_1000: of(|round| round.cpu_s_per_1000),
            resident_mib: of(|round| round.resident_mib),
            failed: rounds.iter().map(|round| round.failed).sum(),
            opened: rounds.iter().map(|round| round.opened).max().unwrap_or_default(),
        };
        let is_met = limit.is_met(median.requests_per_s, ratio);
        ContenderFigures {
            name,
            median,
            ratio,
            limit: limit.text(),
            limit_met: is_met.filter(|_| options.rate.is_none()),
            rounds: rounds.clone(),
        }
    };
    turns.iter().map(row).collect()
}

/// The median; of an even number of figures, the mean of the two in the middle.
fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => figures[count / 2],
        count => f64::midpoint(figures[count / 2 - 1], figures[count / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert!(median([].into_iter()).is_nan());
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }
}
