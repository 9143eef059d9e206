//! `sweep.json`: the figures of every run and cell, and the comparisons.
//!
//! These types are the format: `docs/sweep.schema.json` is generated from them, with their
//! comments.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Serialize, Serializer};

use super::compare::{BaselineComparison, Finding};
use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::{Sweep, Vary};
use crate::figures::{Figure, Latencies, Unit};
use crate::format::ms_number;
use crate::judge::{RunFigures, Verdict, ViolatedOracle};
use crate::report::summary::{ClockKind, MissEntry, RequestsEntry, ScenarioId, pretty, words};
use crate::statistics::{CONFIDENCE, FEWEST_SEEDS};

/// Version of the format: one more whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 2;

/// Results of a sweep: seeds, policies and varied fields of one scenario.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Agentic Mesh: sweep.json")]
struct SweepResults {
    /// Version of this format.
    schema_version: u32,
    /// The scenario file, before any field is varied.
    scenario: ScenarioId,
    /// The name of the engine that ran the scenario.
    engine: String,
    /// The clock by which latencies were measured.
    clock: ClockKind,
    /// The seeds; each policy ran once with each in every cell.
    seeds: Vec<u64>,
    /// Labels of the policies.
    policies: Vec<String>,
    /// Label of the policy that the others are compared with.
    baseline: String,
    /// How confidence intervals were made.
    intervals: Intervals,
    /// The varied fields; the values of the last ones change fastest.
    vary: Vec<Varied>,
    /// One per combination of the varied values.
    cells: Vec<CellEntry>,
}

/// How confidence intervals were made.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Intervals {
    /// The method: `paired_t` is Student's t of the differences, seed by seed.
    method: &'static str,
    /// Share of the intervals that contain the true value, if the differences are normally
    /// distributed.
    confidence: f64,
    /// With fewer pairs of runs there is no interval.
    fewest_seeds: usize,
}

/// A varied field.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Varied {
    /// The way to the field, key by key.
    path: String,
    /// The values of the field.
    values: Vec<String>,
    /// The way to the field that is varied together with this one: whenever it takes its n-th
    /// value, this one does so too.
    #[serde(skip_serializing_if = "Option::is_none")]
    together_with: Option<String>,
}

impl Varied {
    /// The fields that are varied together.
    fn of(vary: &Vary) -> Vec<Self> {
        let fields = vary.fields.iter().enumerate();
        let varied = |(position, path): (usize, &String)| Self {
            path: path.clone(),
            values: vary.values_of(position).cloned().collect(),
            together_with: (position > 0).then(|| vary.fields[0].clone()),
        };
        fields.map(varied).collect()
    }
}

/// One combination of the varied values.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct CellEntry {
    /// The cell's number, from 1; its files are in `cell-<number>`.
    cell: usize,
    /// The varied fields with their values here.
    values: BTreeMap<String, String>,
    /// SHA-256 of the cell's `scenario.toml`, in hex.
    sha256: String,
    /// One per policy.
    policies: Vec<PolicyEntry>,
    /// One per metric and policy other than the baseline; none if there were no requests.
    comparisons: Vec<ComparisonEntry>,
}

/// One policy in one cell, over all seeds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct PolicyEntry {
    /// Label of the policy.
    policy: String,
    /// Requests by outcome, added up over the seeds.
    requests: RequestsEntry,
    /// Requests that were not answered, by reason.
    failures: BTreeMap<String, u64>,
    /// Latencies of all seeds together, in milliseconds. Null if there were no requests.
    latency_ms: Option<Latencies<f64>>,
    /// The verdict over all seeds.
    verdict: Verdict,
    /// The thresholds that were missed.
    missed: Vec<MissEntry>,
    /// By which share its mean latency is above that of the best upper bound; left out if no upper
    /// bound was run.
    #[serde(skip_serializing_if = "Option::is_none")]
    regret: Option<f64>,
    /// One per seed.
    runs: Vec<RunEntry>,
}

/// One policy with one seed in one cell.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RunEntry {
    /// The seed.
    seed: u64,
    /// Requests by outcome.
    requests: RequestsEntry,
    /// Requests that were not answered, by reason.
    failures: BTreeMap<String, u64>,
    /// Latencies in milliseconds. Null if there were no requests.
    latency_ms: Option<Latencies<f64>>,
    /// Hash of every event of the run in order, 16 hex digits: equal for equal runs.
    #[schemars(regex(pattern = "^[0-9a-f]{16}$"))]
    event_hash: String,
    /// Number of events hashed.
    events: u64,
    /// Violated oracles. Empty in a sound run.
    violations: Vec<ViolatedOracleEntry>,
}

/// An oracle that a run violated.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ViolatedOracleEntry {
    /// The oracle's name.
    oracle: String,
    /// When the oracle was first violated, in milliseconds of simulated time.
    at_ms: f64,
    /// What was seen then, in a sentence.
    detail: String,
    /// How often the run violated the oracle.
    times: u64,
}

/// A policy against the baseline. Figures are averages over seeds: shares of requests from 0 to 1,
/// or milliseconds.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct ComparisonEntry {
    /// Label of the policy.
    policy: String,
    /// The figure by which the two are compared.
    metric: Metric,
    /// Seeds with which both policies had requests.
    pairs: usize,
    /// The baseline's figure.
    baseline: f64,
    /// The policy's figure.
    figure: f64,
    /// The policy's figure less the baseline's.
    difference: f64,
    /// The two ends of the confidence interval of the difference. Null if there are too few seeds.
    interval: Option<(f64, f64)>,
    /// What the interval shows.
    finding: Finding,
}

/// A figure that policies are compared by, under the name of its column.
#[derive(Debug)]
struct Metric(&'static Figure);

/// The results as pretty-printed JSON, with a line feed at its end.
pub fn render(findings: &SweepFindings<'_>) -> String {
    pretty(&SweepResults::of(findings))
}

/// The JSON Schema of `sweep.json`, pretty-printed.
pub fn schema() -> String {
    pretty(&schemars::schema_for!(SweepResults))
}

impl SweepResults {
    fn of(findings: &SweepFindings<'_>) -> Self {
        let sweep = findings.sweep;
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: ScenarioId {
                name: sweep.scenario.name.clone(),
                sha256: sweep.scenario.sha256.clone(),
            },
            engine: sweep.engine.name().to_owned(),
            clock: ClockKind::Virtual,
            seeds: sweep.seeds.clone(),
            policies: sweep.policies.clone(),
            baseline: sweep.policies[sweep.baseline].clone(),
            intervals: Intervals {
                method: "paired_t",
                confidence: CONFIDENCE,
                fewest_seeds: FEWEST_SEEDS,
            },
            vary: sweep.spec.vary.iter().flat_map(Varied::of).collect(),
            cells: findings.cells.iter().map(|cell| CellEntry::of(sweep, cell)).collect(),
        }
    }
}

impl CellEntry {
    fn of(sweep: &Sweep, findings: &CellFindings<'_>) -> Self {
        let CellFindings { cell, policies, comparisons } = findings;
        let paths = sweep.spec.varied_fields().map(str::to_owned);
        Self {
            cell: cell.number,
            values: paths.zip(cell.values.iter().cloned()).collect(),
            sha256: cell.scenario.sha256.clone(),
            policies: policies.iter().map(PolicyEntry::of).collect(),
            comparisons: comparisons.iter().map(|c| ComparisonEntry::of(sweep, c)).collect(),
        }
    }
}

impl PolicyEntry {
    fn of(findings: &PolicyFindings<'_>) -> Self {
        let PolicyFindings { runs, measured, verdict, regret } = findings;
        let missed = verdict.missed.iter().map(|miss| MissEntry::of(&miss.threshold));
        let failures = runs.failures.iter();
        Self {
            policy: runs.label.to_owned(),
            requests: RequestsEntry::of(&measured.requests),
            failures: failures.map(|(why, n)| ((*why).to_owned(), *n)).collect(),
            latency_ms: measured.latency_ms(),
            verdict: verdict.verdict(),
            missed: missed.collect(),
            regret: *regret,
            runs: runs.by_seed.iter().map(|(seed, run)| RunEntry::of(*seed, run)).collect(),
        }
    }
}

impl RunEntry {
    fn of(seed: u64, run: &RunFigures) -> Self {
        let violated = |violated: &ViolatedOracle| ViolatedOracleEntry {
            oracle: violated.oracle.clone(),
            at_ms: ms_number(violated.at_ns),
            detail: violated.detail.clone(),
            times: violated.times,
        };
        Self {
            seed,
            requests: RequestsEntry::of(&run.requests),
            failures: run.failures.clone(),
            latency_ms: run.measured().latency_ms(),
            event_hash: format!("{:016x}", run.event_hash),
            events: run.events,
            violations: run.violations.iter().map(violated).collect(),
        }
    }
}

impl ComparisonEntry {
    fn of(sweep: &Sweep, comparison: &BaselineComparison) -> Self {
        let number = |figure| rounded(comparison.metric, figure);
        Self {
            policy: sweep.policies[comparison.policy].clone(),
            metric: Metric(comparison.metric),
            pairs: comparison.pairs,
            baseline: number(comparison.baseline),
            figure: number(comparison.figure),
            difference: number(comparison.difference),
            interval: comparison.interval.map(|i| (number(i.low), number(i.high))),
            finding: comparison.finding,
        }
    }
}

impl Serialize for Metric {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.column)
    }
}

impl JsonSchema for Metric {
    fn schema_name() -> Cow<'static, str> {
        "Metric".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all: Vec<_> =
            Figure::compared().map(|figure| (figure.column, figure.description())).collect();
        words("A figure by which policies are compared.", &all)
    }
}

impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl JsonSchema for Finding {
    fn schema_name() -> Cow<'static, str> {
        "Finding".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let all = Self::ALL.map(|finding| (finding.name(), finding.meaning().to_owned()));
        words("What a comparison shows.", &all)
    }
}

/// A figure's value as files have it, with six decimals: a share of the requests, or milliseconds.
pub(super) fn rounded(metric: &Figure, figure: f64) -> f64 {
    const NANOS_PER_MILLI: f64 = 1e6;
    let unit = match metric.unit {
        Unit::Share => 1.0,
        Unit::Latency => NANOS_PER_MILLI,
    };
    // Adding zero turns -0 into 0.
    (figure / unit * 1e6).round() / 1e6 + 0.0
}
