//! `mesh orchestrate --repeat` and `--rate`: sends many jobs and sums up how they ended and how
//! long they took.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use hdrhistogram::Histogram;
use mesh_core::{Timestamp, codec};
use mesh_node::client_loop::{self, Timed};
use mesh_node::process::console::print;
use mesh_node::process::signals::Stop;
use serde_json::{Value, json};

use super::mesh::AgentCallError;
use super::{ListedAgent, MeshClient, params};
use crate::args::{JobArgs, OrchestrateArgs};

/// The most jobs that may be under way at once. Each holds a connection.
const MAX_OPEN: usize = 1000;
/// The longest latency that is counted; longer ones count as this. No request may take longer than
/// a day.
const MAX_LATENCY: Duration = Duration::from_secs(24 * 3600);
/// Significant digits of the latencies.
const DIGITS: u8 = 3;

/// Sends the jobs and prints a summary. A latency counts from when the job was due. A job that
/// failed counts with its whole timeout, because failing fast must not look fast.
///
/// # Errors
/// If a job failed.
pub(super) async fn run(
    mesh: &MeshClient,
    agents: &[ListedAgent],
    args: &OrchestrateArgs,
) -> anyhow::Result<()> {
    let stop = Stop::listen()?;
    let start = mesh.clock.now();
    let mut summary = JobsSummary::new()?;
    {
        let sending = async {
            match args.rate {
                Some(rate) => open_loop(mesh, agents, args, rate, &mut summary).await,
                None => closed_loop(mesh, agents, args, &mut summary).await,
            }
        };
        tokio::select! {
            biased;
            () = stop.requested() => {}
            () = sending => {}
        }
    }
    let took = mesh.clock.now().since(start);
    if args.json {
        print(&format!("{:#}\n", summary.to_json(agents.len(), took)));
    } else {
        print(&summary.render(agents.len(), took, args));
    }
    match (summary.failed(), summary.sent) {
        (0, _) => Ok(()),
        (failed, sent) => bail!("{failed} of {sent} jobs failed"),
    }
}

/// Sends each job when the one before has ended.
async fn closed_loop(
    mesh: &MeshClient,
    agents: &[ListedAgent],
    args: &OrchestrateArgs,
    summary: &mut JobsSummary,
) {
    for number in 0..args.repeat.unwrap_or(u64::MAX) {
        let intended = mesh.clock.now();
        summary.sent += 1;
        summary.record(send(mesh, in_turn(agents, number), &args.job, intended).await);
    }
}

/// Sends jobs at a rate, whatever became of the earlier ones.
async fn open_loop(
    mesh: &MeshClient,
    agents: &[ListedAgent],
    args: &OrchestrateArgs,
    rate: f64,
    summary: &mut JobsSummary,
) {
    let (clock, start) = (mesh.clock, mesh.clock.now());
    let intended = (0..args.repeat.unwrap_or(u64::MAX)).map(|number| {
        let at = start + Duration::from_secs_f64(number as f64 / rate);
        (at, (at, number))
    });
    let mesh = Arc::new(mesh.clone());
    let (job, agents) = (Arc::new(args.job.clone()), Arc::<[ListedAgent]>::from(agents));
    let summary = RefCell::new(summary);
    let send = |(intended, number)| {
        summary.borrow_mut().sent += 1;
        let (mesh, job, agents) = (mesh.clone(), job.clone(), agents.clone());
        async move { send(&mesh, in_turn(&agents, number), &job, intended).await }
    };
    let due = Timed::new(clock, intended);
    let record = |ended| summary.borrow_mut().record(ended);
    client_loop::open_loop(due, MAX_OPEN, send, record).await;
}

/// How a job ended.
struct JobEnd {
    /// The name of the failure; `None` if the job succeeded.
    failure: Option<&'static str>,
    /// The time from when the job was due to its end, or to the end of its timeout if it failed
    /// before that.
    latency: Duration,
}

/// All agents, beginning with another one for each job.
fn in_turn(agents: &[ListedAgent], job: u64) -> impl Iterator<Item = &ListedAgent> {
    let count = agents.len();
    agents.iter().cycle().skip(job as usize % count.max(1)).take(count)
}

/// Sends a job to the first of these agents that can be reached. That is safe, because an agent
/// that was not reached has not begun the job.
async fn send(
    mesh: &MeshClient,
    agents: impl Iterator<Item = &ListedAgent>,
    job: &JobArgs,
    intended: Timestamp,
) -> JobEnd {
    let sent = mesh.clock.now();
    let (deadline, params) = (sent + job.timeout, params(job));
    let mut failure = Some(NOT_SENT);
    for agent in agents {
        let left = deadline.since(mesh.clock.now());
        let result = mesh.call(agent, "delegate", &params, left).await;
        failure = result.err().map(|error| failure_of(&error));
        if failure != Some(NOT_SENT) || mesh.clock.now() >= deadline {
            break;
        }
    }
    let end = mesh.clock.now();
    let end = if failure.is_some() { end.max(deadline) } else { end };
    JobEnd { failure, latency: end.since(intended) }
}

/// The name of the failure of a job that no agent can have begun.
const NOT_SENT: &str = "not_sent";

fn failure_of(error: &AgentCallError) -> &'static str {
    match error {
        AgentCallError::Answered(error, origin) => codec::from_error(error, *origin).name(),
        error if error.was_never_begun() => NOT_SENT,
        AgentCallError::NoAnswer(_) => "no_answer",
    }
}

/// Counts and latencies of all jobs so far.
struct JobsSummary {
    sent: u64,
    answered: u64,
    failures: BTreeMap<&'static str, u64>,
    /// Latencies in microseconds, of all jobs that have ended.
    latencies: Histogram<u64>,
}

/// The quantiles that are shown, with their names.
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

impl JobsSummary {
    fn new() -> anyhow::Result<Self> {
        let latencies = Histogram::new_with_bounds(1, MAX_LATENCY.as_micros() as u64, DIGITS)?;
        Ok(Self { sent: 0, answered: 0, failures: BTreeMap::new(), latencies })
    }

    fn record(&mut self, JobEnd { failure, latency }: JobEnd) {
        match failure {
            Some(reason) => *self.failures.entry(reason).or_default() += 1,
            None => self.answered += 1,
        }
        self.latencies.saturating_record(latency.as_micros() as u64);
    }

    fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Jobs that had not ended when a signal came. Nobody knows how long they would have taken.
    fn unfinished(&self) -> u64 {
        self.sent - self.answered - self.failed()
    }

    fn quantile_ms(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    fn to_json(&self, agents: usize, took: Duration) -> Value {
        let latency_ms: serde_json::Map<String, Value> = QUANTILES
            .iter()
            .map(|(name, quantile)| ((*name).to_owned(), self.quantile_ms(*quantile).into()))
            .collect();
        json!({
            "agents": agents,
            "sent": self.sent,
            "answered": self.answered,
            "failed": self.failures,
            "unfinished": self.unfinished(),
            "seconds": took.as_secs_f64(),
            "latency_ms": if !self.latencies.is_empty() { latency_ms.into() } else { Value::Null },
        })
    }

    fn render(&self, agents: usize, took: Duration, args: &OrchestrateArgs) -> String {
        let seconds = took.as_secs_f64();
        let answered = self.answered as f64 / seconds;
        let wanted = args.rate.map(|rate| format!(", {rate:.1}/s intended")).unwrap_or_default();
        let (sent, ok) = (self.sent, self.answered);
        let mut text = format!(
            "jobs {sent}   agents {agents}   {seconds:.1} s{wanted}, {answered:.1}/s answered\n\
             ok {ok}"
        );
        for (reason, count) in &self.failures {
            text.push_str(&format!("   {reason} {count}"));
        }
        if self.unfinished() > 0 {
            text.push_str(&format!("   unfinished {}", self.unfinished()));
        }
        text.push('\n');
        if self.latencies.is_empty() {
            return text;
        }
        let from = if args.rate.is_some() { "the intended start" } else { "the start" };
        text.push_str(&format!("latency from {from}"));
        for (name, quantile) in QUANTILES {
            text.push_str(&format!("   {name} {:.1} ms", self.quantile_ms(quantile)));
        }
        text.push('\n');
        if self.failed() > 0 {
            let timeout = args.job.timeout;
            text.push_str(&format!("a failed job counts with its whole timeout of {timeout:?}\n"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_accounts_for_every_job() {
        let mut summary = JobsSummary::new().expect("a histogram");
        summary.sent = 5;
        assert_eq!(summary.to_json(2, Duration::from_secs(1))["latency_ms"], Value::Null);
        for ms in [10, 20] {
            summary.record(JobEnd { failure: None, latency: Duration::from_millis(ms) });
        }
        summary.record(JobEnd { failure: Some("busy"), latency: Duration::from_secs(9) });
        let json = summary.to_json(2, Duration::from_secs(1));
        assert_eq!(json["failed"], json!({ "busy": 1 }));
        assert_eq!((&json["answered"], &json["unfinished"]), (&json!(2), &json!(2)));
        let ms = |name| json["latency_ms"][name].as_f64().expect("a figure");
        let (p50, max) = (ms("p50"), ms("max"));
        assert!((20.0..20.1).contains(&p50) && (9000.0..9010.0).contains(&max), "{p50} {max}");
    }
}
