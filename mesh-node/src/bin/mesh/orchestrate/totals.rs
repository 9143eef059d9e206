//! What all agents together do, by what they tell: for `--watch` and for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use mesh_core::telemetry::{Edge, JobFigures};
use mesh_node::dashboard::BoardUpdate;
use serde::Serialize;

use super::watch::{cut, millis};

/// How many edges programs are told, the busiest first.
const MOST_EDGES: usize = 1000;

/// The mesh as a whole, in the last 30 s.
#[derive(Debug, Serialize)]
pub(super) struct MeshTotals {
    /// Agents that are listed.
    agents: usize,
    /// Those of them that tell of their jobs.
    agents_telling: usize,
    /// The jobs that they did, where they were done.
    #[serde(flatten)]
    served: JobTotals,
    /// The jobs that agents sent to peers, by the policy of the sender.
    policies: BTreeMap<String, PolicyTotals>,
    /// Who sent jobs to whom, the busiest first.
    edges: Vec<EdgeTotals>,
}

/// The agents of one policy.
#[derive(Debug, Default, Serialize)]
struct PolicyTotals {
    agents: usize,
    #[serde(flatten)]
    sent: JobTotals,
}

/// The jobs of one sender at one peer.
#[derive(Debug, Serialize)]
pub(super) struct EdgeTotals {
    pub(super) from: String,
    pub(super) to: String,
    #[serde(flatten)]
    pub(super) sent: JobTotals,
    pub(super) rtt_ms: Option<f64>,
}

/// Jobs of several agents.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct JobTotals {
    /// Jobs in the window, done and failed.
    jobs: u64,
    pub(super) done_per_s: f64,
    failed_per_s: f64,
    /// The share of jobs that failed, 0 to 1; `None` without jobs.
    error_share: Option<f64>,
    /// The median of the agents' medians, each counted as often as it did jobs: an estimate.
    pub(super) p50_ms: Option<f64>,
    /// The greatest of the agents' 99th percentiles: 99 % of all jobs took no longer.
    pub(super) p99_ms: Option<f64>,
    #[serde(skip)]
    failed: u64,
    /// Medians, and how many jobs each is of.
    #[serde(skip)]
    medians: Vec<(f64, u32)>,
}

impl JobTotals {
    /// Adds what one agent tells of its jobs, which it has counted for `window_ms`.
    fn add(&mut self, figures: &JobFigures, window_ms: f64) {
        let JobFigures { done, failed, p50_ms, p99_ms } = *figures;
        let secs = (window_ms / 1e3).max(1.0);
        self.jobs += u64::from(done) + u64::from(failed);
        self.failed += u64::from(failed);
        self.done_per_s += f64::from(done) / secs;
        self.failed_per_s += f64::from(failed) / secs;
        self.error_share = (self.jobs > 0).then(|| self.failed as f64 / self.jobs as f64);
        self.medians.extend(p50_ms.map(|ms| (ms, done)));
        self.p50_ms = self.p50_ms.or(p50_ms);
        self.p99_ms = self.p99_ms.into_iter().chain(p99_ms).reduce(f64::max);
    }

    /// The same totals, with the median.
    fn finished(mut self) -> Self {
        self.medians.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let all: u64 = self.medians.iter().map(|(_, jobs)| u64::from(*jobs)).sum();
        let mut so_far = 0;
        let median = self.medians.iter().find(|(_, jobs)| {
            so_far += u64::from(*jobs);
            2 * so_far >= all
        });
        self.p50_ms = median.map(|(ms, _)| *ms);
        self
    }

    /// The share of jobs that were done, in percent; rounded down, so that 100 means all of them.
    pub(super) fn done_percent(&self) -> Option<f64> {
        let done = (self.jobs > 0).then(|| (self.jobs - self.failed) as f64 / self.jobs as f64);
        done.map(|done| (done * 1000.0).floor() / 10.0)
    }
}

impl MeshTotals {
    /// What the agents of a board tell.
    pub(super) fn of(board: &BoardUpdate) -> Self {
        let mut served = JobTotals::default();
        let mut policies: BTreeMap<String, PolicyTotals> = BTreeMap::new();
        let mut edges = Vec::new();
        let telling = board.agents.iter();
        let telling = telling.filter_map(|agent| Some((agent, agent.telemetry.as_deref()?)));
        let mut agents_telling = 0;
        for (agent, telemetry) in telling {
            agents_telling += 1;
            served.add(&telemetry.served, telemetry.window_ms);
            let policy = telemetry.policy.as_deref().unwrap_or("unknown").to_owned();
            let of_policy = policies.entry(policy).or_default();
            of_policy.agents += 1;
            for Edge { to, jobs, rtt_ms, .. } in &telemetry.edges {
                of_policy.sent.add(jobs, telemetry.window_ms);
                let mut sent = JobTotals::default();
                sent.add(jobs, telemetry.window_ms);
                if sent.jobs > 0 {
                    let (from, to) = (agent.name.to_string(), to.to_string());
                    edges.push(EdgeTotals { from, to, sent, rtt_ms: *rtt_ms });
                }
            }
        }
        for totals in policies.values_mut() {
            totals.sent = std::mem::take(&mut totals.sent).finished();
        }
        edges.sort_by_key(|edge| std::cmp::Reverse(edge.sent.jobs));
        edges.truncate(MOST_EDGES);
        let (agents, served) = (board.agents.len(), served.finished());
        Self { agents, agents_telling, served, policies, edges }
    }

    /// The totals as a table of 80 columns; empty if no agent tells anything.
    pub(super) fn table(&self) -> String {
        if self.agents_telling == 0 {
            return String::new();
        }
        let mut text = format!(
            "\n{:<20} {:>6} {:>8} {:>8} {:>8} {:>8} {:>8}\n",
            "in all", "agents", "jobs/s", "fail/s", "done", "~p50", "p99"
        );
        let mut row = |name: &str, agents: usize, jobs: &JobTotals| {
            let done = jobs.done_percent();
            let done = done.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %"));
            let _ = writeln!(
                text,
                "{:<20} {agents:>6} {:>8} {:>8} {done:>8} {:>8} {:>8}",
                cut(name, 20),
                per_second(jobs.done_per_s),
                per_second(jobs.failed_per_s),
                millis(jobs.p50_ms),
                millis(jobs.p99_ms),
            );
        };
        row("jobs where done", self.agents_telling, &self.served);
        for (policy, PolicyTotals { agents, sent }) in &self.policies {
            row(&format!("sent by {policy}"), *agents, sent);
        }
        text
    }

    /// Who sent jobs to whom, the busiest first.
    pub(super) fn edges(&self) -> &[EdgeTotals] {
        &self.edges
    }
}

/// A rate in at most eight letters.
pub(super) fn per_second(rate: f64) -> String {
    match rate {
        rate if rate < 1e3 => format!("{rate:.1}"),
        rate if rate < 1e6 => format!("{rate:.0}"),
        rate => format!("{:.0}M", rate / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn agents_count_as_much_as_they_did() {
        let jobs = |done: u32, failed: u32, p50: f64, p99: f64| json!({ "done": done, "failed": failed, "p50_ms": p50, "p99_ms": p99 });
        let agent = |name: &str, window: f64, served: Value, policy: &str, edges: Value| {
            let telemetry = json!({
                "window_ms": window, "served": served, "policy": policy, "edges": edges,
            });
            json!({ "name": name, "url": "h:1", "telemetry": telemetry })
        };
        let mut edge = jobs(30, 10, 4.0, 9.0);
        (edge["to"], edge["rtt_ms"]) = ("b".into(), 0.5.into());
        let agents = json!([
            agent("a", 30_000.0, jobs(30, 0, 5.0, 50.0), "random", json!([edge])),
            agent("b", 10_000.0, jobs(900, 100, 20.0, 40.0), "random", json!([])),
            agent("c", 30_000.0, jobs(0, 0, 0.0, 0.0), "pull", json!([])),
            json!({ "name": "stranger", "url": "h:1" }),
        ]);
        let board = serde_json::from_value(json!({ "agents": agents })).expect("an update");
        let totals = serde_json::to_value(MeshTotals::of(&board)).expect("JSON");
        assert_eq!((&totals["agents"], &totals["agents_telling"]), (&json!(4), &json!(3)));
        assert_eq!((&totals["jobs"], &totals["done_per_s"]), (&json!(1030), &json!(91.0)));
        assert_eq!(totals["error_share"].as_f64(), Some(100.0 / 1030.0));
        assert_eq!((&totals["p50_ms"], &totals["p99_ms"]), (&json!(20.0), &json!(50.0)));
        let random = &totals["policies"]["random"];
        assert_eq!((&random["agents"], &random["jobs"]), (&json!(2), &json!(40)), "{totals}");
        assert_eq!((&random["error_share"], &random["p50_ms"]), (&json!(0.25), &json!(4.0)));
        assert!(totals["policies"]["pull"]["error_share"].is_null(), "{totals}");
        let edges = totals["edges"].as_array().expect("edges");
        assert_eq!(
            (edges.len(), &edges[0]["from"], &edges[0]["to"]),
            (1, &json!("a"), &json!("b"))
        );
    }
}
