//! `summary.json`: the figures of every run, and the verdicts.
//!
//! These types are the format: `docs/summary.schema.json` is generated from them, with their
//! comments. `rename` keeps the names in the schema where a type of this crate has another one.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::by_autoscale::AutoscaleEntry;
use super::by_job::measured_parts;
use super::ranking::RankingEntry;
use crate::experiment::{RanBy, Report};
use crate::figures::{Latencies, Threshold};
use crate::format;
use crate::judge::{MeasuredFigures, MissedThreshold, PolicyVerdict, Verdict};
use crate::machine::ProviderCounts;
use crate::record::{CopyCounts, JobCounts, OutcomeCounts, RunRecord, SentAgainCounts, Violation};
use crate::scenario::EngineKind;

/// Version of the format: one more whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 2;

/// Results of one scenario: one run per policy and seed.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Agentic Mesh: summary.json")]
pub struct ExperimentSummary {
    /// Version of this format.
    pub schema_version: u32,
    /// The scenario file that was run.
    pub scenario: ScenarioId,
    /// What ran the scenario.
    pub engine: EngineName,
    /// The clock by which latencies were measured.
    pub clock: ClockKind,
    /// The seeds; each policy ran once with each.
    pub seeds: Vec<u64>,
    /// The policies of agents that have one of their own, whichever policy is compared; left out if
    /// there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub own_policies: Vec<OwnPolicyEntry>,
    /// One per policy and seed, policies in the scenario's order.
    pub runs: Vec<RunSummary>,
    /// One per policy, over all its seeds.
    pub verdicts: Vec<VerdictEntry>,
    /// Which policy is best.
    pub ranking: RankingEntry,
}

/// A policy that some agents have, whichever policy is compared.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnPolicyEntry {
    /// The policy's name and parameters.
    pub policy: String,
    /// The agents: names, or ranges of them like "agent-1..3".
    pub agents: Vec<String>,
}

/// A scenario file.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScenarioId {
    /// The scenario's name.
    pub name: String,
    /// SHA-256 of the file's bytes, in hex.
    pub sha256: String,
}

/// What ran a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Engine")]
pub enum EngineName {
    /// Byte-level simulation over turmoil's TCP.
    Turmoil,
    /// The state machines over one queue of events.
    Event,
    /// Processes on real sockets.
    Live,
}

impl EngineName {
    /// The same, as a report has it.
    pub const fn ran_by(self) -> RanBy {
        match self {
            Self::Turmoil => RanBy::Engine(EngineKind::Turmoil),
            Self::Event => RanBy::Engine(EngineKind::Event),
            Self::Live => RanBy::Live,
        }
    }
}

/// The clock by which latencies were measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Clock")]
pub enum ClockKind {
    /// Simulated time: latencies say nothing about the speed of the machine that ran the
    /// simulation.
    Virtual,
    /// Real time: latencies were measured, on the machine that `host.json` describes.
    Wall,
}

/// One policy with one seed. Figures are of the requests that were due after the warm-up.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Run")]
pub struct RunSummary {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// Requests by outcome.
    pub requests: RequestsEntry,
    /// Requests that were not answered, by reason.
    pub failures: BTreeMap<String, u64>,
    /// Milliseconds from the intended start to the end; a request that was not answered counts
    /// with its whole deadline. Null if there were no requests.
    pub latency_ms: Option<Latencies<f64>>,
    /// How often clients sent requests again; left out if they never did.
    #[serde(default, skip_serializing_if = "SentAgainCounts::is_zero")]
    pub sent_again: SentAgainCounts,
    /// How often agents sent jobs to one more peer after the warm-up, beside those that had them;
    /// left out if they never did.
    #[serde(default, skip_serializing_if = "CopyCounts::is_zero")]
    pub copies: CopyCounts,
    /// How often agents called peers without a job after the warm-up: for their load or a free
    /// slot, or to give one back. Null of a live run, where only the agents know.
    pub probes: Option<u64>,
    /// Requests by the kind of their jobs; left out if there is only one kind.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_job: BTreeMap<String, JobEntry>,
    /// Jobs that asked each provider after the warm-up; left out if there are none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub by_provider: BTreeMap<String, ProviderEntry>,
    /// What the set of agents has cost that the autoscaler starts and drains; left out if there is
    /// none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoscale: Option<AutoscaleEntry>,
    /// Jobs that each agent finished after the warm-up.
    pub work_per_agent: BTreeMap<String, u64>,
    /// Hash of every event of the run in order, 16 hex digits: equal for equal runs. Zero for a
    /// live run, which has no events.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    pub event_hash: String,
    /// Number of events hashed.
    pub events: u64,
    /// Violated oracles, in the order of time. Empty in a sound run.
    pub violations: Vec<ViolationEntry>,
}

/// Requests by outcome.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Requests")]
pub struct RequestsEntry {
    /// All requests: the sum of the others.
    pub sent: u64,
    /// Answered with a result.
    pub answered: u64,
    /// Answered with an error.
    pub refused: u64,
    /// Not answered by the deadline.
    pub timed_out: u64,
    /// The connection failed before an answer.
    pub lost: u64,
}

/// The requests whose jobs are of one kind.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JobEntry {
    /// Requests by outcome.
    pub requests: RequestsEntry,
    /// As that of the run. Null if there were no requests.
    pub latency_ms: Option<Latencies<f64>>,
    /// Jobs of this kind that were parts of other jobs; left out if there were none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_part: Option<PartsEntry>,
}

/// Jobs that asked one provider. Each attempt at a job counts.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ProviderEntry {
    /// All of them.
    pub asked: u64,
    /// Refused, because too many jobs had begun lately (`requests_per_minute`).
    pub over_rate: u64,
    /// Refused, because too many jobs used it at the time (`concurrency`).
    pub over_concurrency: u64,
}

/// Jobs of one kind that were parts of the jobs of answered requests.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PartsEntry {
    /// How many there were.
    pub answered: u64,
    /// Milliseconds from their delegation to their answer.
    pub latency_ms: Option<Latencies<f64>>,
}

/// A violation of an oracle.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ViolationEntry {
    /// The oracle's name.
    pub oracle: String,
    /// When the oracle was violated, in milliseconds of simulated time.
    pub at_ms: f64,
    /// What was seen, in a sentence.
    pub detail: String,
    /// The number of the request that the violation is about; left out if it is about none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<u64>,
    /// The names of the hosts that the violation is about; left out if it is about none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub hosts: Vec<String>,
}

/// How one policy did against the scenario's `[expect]`.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerdictEntry {
    /// Label of the policy.
    pub policy: String,
    /// The verdict over all seeds.
    pub verdict: Verdict,
    /// The thresholds that were missed.
    pub missed: Vec<MissEntry>,
    /// By which share its mean latency is above that of the best upper bound; left out if no upper
    /// bound was run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regret: Option<f64>,
}

/// A missed threshold.
#[derive(Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissEntry {
    /// The threshold: on a share of requests from 0 to 1, or on a latency in milliseconds. With
    /// `requests`, there was no request to measure.
    pub threshold: ThresholdName,
    /// The value that was measured, over all seeds.
    pub figure: f64,
    /// The value that was demanded.
    pub limit: f64,
}

/// The name of a missed threshold in files: its field in `[expect]`, or `requests`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThresholdName {
    /// There was no request to hold against any threshold.
    Requests,
    /// This threshold.
    On(Threshold),
}

impl ThresholdName {
    const REQUESTS: &str = "requests";

    /// The name as files have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Requests => Self::REQUESTS,
            Self::On(threshold) => threshold.field(),
        }
    }
}

impl Serialize for ThresholdName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for ThresholdName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        if name == Self::REQUESTS {
            return Ok(Self::Requests);
        }
        let threshold = Threshold::of_field(&name).map(Self::On);
        threshold.ok_or_else(|| D::Error::custom(format!("no threshold is called `{name}`")))
    }
}

impl JsonSchema for ThresholdName {
    fn schema_name() -> Cow<'static, str> {
        "ThresholdName".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let requests = (Self::REQUESTS, "At least one request.".to_owned());
        let limit = |threshold: Threshold| {
            let unit = threshold.figure.unit.in_files();
            (threshold.field(), format!("{}, {unit}.", threshold.demand()))
        };
        let all: Vec<_> = [requests].into_iter().chain(Threshold::all().map(limit)).collect();
        words("A threshold of `[expect]`.", &all)
    }
}

/// The JSON Schema of a string that is one of these words, each with its meaning.
pub(crate) fn words(description: &str, words: &[(&str, String)]) -> Schema {
    let word = |(word, meaning): &(&str, String)| serde_json::json!({ "description": meaning, "type": "string", "const": word });
    let words: Vec<_> = words.iter().map(word).collect();
    schemars::json_schema!({ "description": description, "oneOf": words })
}

/// The summary as pretty-printed JSON, with a line feed at its end.
pub fn render(report: &Report) -> String {
    pretty(&ExperimentSummary::of(report))
}

/// Why a text can't be read as a summary.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SummaryError {
    /// The text has another version of the format.
    #[error("it has schema_version {found}, and this program reads {SCHEMA_VERSION}")]
    Version {
        /// The version that the text names.
        found: u64,
    },
    /// The text is not JSON, or not of this format.
    #[error("it is not a summary of mesh-sim")]
    Format(#[from] serde_json::Error),
}

/// Reads a summary: the inverse of [`render`].
///
/// # Errors
/// If the text is not a summary, or has another version of the format.
pub fn parse(text: &str) -> Result<ExperimentSummary, SummaryError> {
    // The version is read first, because another version may have other fields.
    #[derive(Deserialize)]
    struct Versioned {
        schema_version: u64,
    }
    let Versioned { schema_version: found } = serde_json::from_str(text)?;
    if found != u64::from(SCHEMA_VERSION) {
        return Err(SummaryError::Version { found });
    }
    Ok(serde_json::from_str(text)?)
}

/// The JSON Schema of `summary.json`, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(ExperimentSummary))
}

pub(crate) fn pretty(value: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(value).expect("string keys and finite numbers");
    text + "\n"
}

impl ExperimentSummary {
    fn of(report: &Report) -> Self {
        let policies = report.policies();
        let names: Vec<_> = report.scenario.agents.iter().map(|agent| &*agent.name).collect();
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: ScenarioId {
                name: report.scenario.name.clone(),
                sha256: report.scenario.sha256.clone(),
            },
            engine: match report.ran_by {
                RanBy::Engine(EngineKind::Turmoil) => EngineName::Turmoil,
                RanBy::Engine(EngineKind::Event) => EngineName::Event,
                RanBy::Live => EngineName::Live,
            },
            clock: match report.ran_by {
                RanBy::Engine(_) => ClockKind::Virtual,
                RanBy::Live => ClockKind::Wall,
            },
            seeds: report.seeds(),
            own_policies: report
                .scenario
                .own_policies()
                .into_iter()
                .map(|(policy, agents)| OwnPolicyEntry { policy, agents })
                .collect(),
            runs: report.runs.iter().map(|run| RunSummary::of(run, report, &names)).collect(),
            verdicts: report
                .verdicts()
                .iter()
                .zip(report.regrets(&policies))
                .map(|(judged, regret)| VerdictEntry::of(judged, regret))
                .collect(),
            ranking: RankingEntry::of(&report.ranking(&policies), |index| policies[index].policy),
        }
    }
}

impl RunSummary {
    fn of(run: &RunRecord, report: &Report, names: &[&str]) -> Self {
        let jobs = report.scenario.workload.jobs.iter().zip(&run.by_job);
        // The only kind has the figures of the run.
        let jobs = jobs.filter(|_| run.by_job.len() > 1);
        let work = names.iter().zip(&run.work_per_agent);
        let providers = report.scenario.providers.iter().zip(&run.providers);
        Self {
            policy: run.policy.clone(),
            seed: run.seed,
            requests: RequestsEntry::of(&run.requests),
            failures: run.failures.iter().map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            latency_ms: MeasuredFigures::new(&run.requests, &run.latency).latency_ms(),
            sent_again: run.sent_again,
            copies: run.copies,
            probes: run.probes,
            by_job: jobs
                .map(|(job, counts)| (job.name.to_string(), JobEntry::of(counts)))
                .collect(),
            by_provider: providers
                .map(|(provider, counts)| (provider.name.to_string(), ProviderEntry::of(counts)))
                .collect(),
            autoscale: run.scaling.as_ref().map(AutoscaleEntry::of),
            work_per_agent: work.map(|(name, jobs)| ((*name).to_owned(), *jobs)).collect(),
            event_hash: format!("{:016x}", run.event_hash),
            events: run.events,
            violations: run.violations.iter().map(ViolationEntry::of).collect(),
        }
    }
}

impl JobEntry {
    fn of(counts: &JobCounts) -> Self {
        let JobCounts { requests, latency, as_part } = counts;
        let answered = as_part.count();
        Self {
            as_part: (answered > 0)
                .then(|| PartsEntry { answered, latency_ms: measured_parts(as_part).latency_ms() }),
            requests: RequestsEntry::of(requests),
            latency_ms: MeasuredFigures::new(requests, latency).latency_ms(),
        }
    }
}

impl ProviderEntry {
    const fn of(counts: &ProviderCounts) -> Self {
        let ProviderCounts { asked, over_rate, over_concurrency } = *counts;
        Self { asked, over_rate, over_concurrency }
    }
}

impl RequestsEntry {
    pub(crate) fn of(counts: &OutcomeCounts) -> Self {
        let OutcomeCounts { sent, answered, refused, timed_out, lost } = *counts;
        Self { sent, answered, refused, timed_out, lost }
    }
}

impl ViolationEntry {
    fn of(violation: &Violation) -> Self {
        Self {
            oracle: violation.oracle.to_owned(),
            at_ms: format::ms_number(violation.at_ns),
            detail: violation.detail.clone(),
            request: violation.request,
            hosts: violation.hosts.iter().map(ToString::to_string).collect(),
        }
    }
}

impl VerdictEntry {
    fn of(judged: &PolicyVerdict, regret: Option<f64>) -> Self {
        let missed = judged.missed.iter().map(|miss| MissEntry::of(&miss.threshold)).collect();
        Self { policy: judged.policy.clone(), verdict: judged.verdict(), missed, regret }
    }
}

impl MissEntry {
    pub(crate) fn of(threshold: &MissedThreshold) -> Self {
        let (threshold, figure, limit) = match threshold {
            MissedThreshold::NoRequests => (ThresholdName::Requests, 0.0, 1.0),
            MissedThreshold::Figure { threshold, value, limit } => {
                (ThresholdName::On(*threshold), value.in_files(), limit.in_files())
            }
        };
        Self { threshold, figure, limit }
    }
}

#[cfg(test)]
#[path = "summary_tests.rs"]
mod tests;
