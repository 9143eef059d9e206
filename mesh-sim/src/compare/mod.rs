//! Compares two results, policy by policy and figure by figure; or the policies of one result with
//! one of them.

mod page;
mod pair;
mod results;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use thiserror::Error;

use crate::figures::{FIGURES, Figure};
use crate::report::summary::{ClockKind, EngineName, pretty};
use crate::scenario::find_label;
use crate::statistics::CONFIDENCE;

pub use self::page::render as page;
pub use self::pair::{FigurePair, IntervalMethod};
pub use self::results::{ResultCell, ResultDirectory, ResultsError};
pub use self::table::render as table;

/// The version of the format. It rises whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 4;

/// Why two results can't be compared.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum CompareError {
    /// A policy that was asked for is missing in a result; the text says which policies it has.
    #[error("{0}")]
    MissingPolicy(String),
    /// No policy is in both results.
    #[error("no policy is in both results: A has {a}; B has {b}")]
    NothingInCommon {
        /// The labels in A.
        a: String,
        /// The labels in B.
        b: String,
    },
    /// The results are of sweeps that have no cell in common.
    #[error("no combination of varied values is in both results")]
    NoCellInCommon,
    /// There is only one policy.
    #[error("{dir} has no policy but `{policy}`")]
    NothingElse {
        /// The directory of the result.
        dir: String,
        /// The only policy.
        policy: String,
    },
}

/// What is asked of a comparison.
#[derive(Clone, Debug, Default)]
pub struct CompareSpec {
    /// Only the policies with these labels; empty: all that both results have.
    pub policies: Vec<String>,
    /// A figure is no regression unless it is worse by more than this, in percent of B's; a share of
    /// requests by more than so many percentage points.
    pub tolerance_percent: f64,
}

/// The figures of A compared with those of B, the reference: of two results, or of the policies of
/// one result and its baseline.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Agentic Mesh: comparison")]
pub struct ResultComparison {
    /// Version of this format.
    schema_version: u32,
    /// The result that is judged.
    pub a: Side,
    /// The result that it is judged by.
    pub b: Side,
    /// Label of the policy that the others are compared with; null if two results are compared.
    pub baseline: Option<String>,
    /// Sentences about what makes the two results less comparable.
    pub warnings: Vec<String>,
    /// One per combination of varied values that both results have.
    pub cells: Vec<CellComparison>,
    /// How many figures are worse in A than in B, beyond the tolerance and what chance explains in
    /// so many comparisons.
    pub regressions: usize,
}

/// Where one of the two results comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The result's directory.
    pub dir: String,
    /// The name of the scenario.
    pub scenario: String,
    /// The SHA-256 of the scenario's file.
    pub sha256: String,
    /// What ran the scenario: an engine, or processes.
    pub engine: EngineName,
    /// Which clock the latencies were measured by.
    pub clock: ClockKind,
    /// The seeds of the runs.
    pub seeds: Vec<u64>,
}

/// The comparisons of one combination of varied values.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CellComparison {
    /// The varied fields with their values.
    pub values: BTreeMap<String, String>,
    /// One per policy, in the order of A.
    pub policies: Vec<PolicyComparison>,
}

/// The figures of one policy on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyComparison {
    /// The label of the policy; on side B it is that of the baseline, if there is one.
    pub policy: String,
    /// Requests of A that were sent, summed over the seeds.
    pub a_sent: u64,
    /// Requests of B that were sent.
    pub b_sent: u64,
    /// One per figure.
    pub figures: Vec<FigurePair>,
}

impl ResultComparison {
    /// Compares the policies that both results have.
    ///
    /// # Errors
    /// If a result lacks a policy that was asked for, or if the two have nothing in common.
    pub fn of(
        a: &ResultDirectory,
        b: &ResultDirectory,
        spec: &CompareSpec,
    ) -> Result<Self, CompareError> {
        let asked = a.labels(&spec.policies)?;
        b.labels(&spec.policies)?;
        let is_asked = |label: &&String| asked.is_empty() || asked.contains(&&***label);
        let common = a.policies.iter().filter(is_asked).filter(|label| b.policies.contains(label));
        let pairs: Vec<(&str, &str)> = common.map(|label| (&**label, &**label)).collect();
        if pairs.is_empty() {
            let (a, b) = (a.policies.join(", "), b.policies.join(", "));
            return Err(CompareError::NothingInCommon { a, b });
        }
        let warnings = warnings(a, b, spec.policies.is_empty());
        Self::made_of(a, b, None, &pairs, warnings, spec)
    }

    /// Compares the policies of one result with one of them.
    ///
    /// # Errors
    /// If the result lacks a policy that was asked for, or has no other one.
    pub fn with_baseline(
        results: &ResultDirectory,
        baseline: &str,
        spec: &CompareSpec,
    ) -> Result<Self, CompareError> {
        let asked = results.labels(&spec.policies)?;
        let baseline = results.label(baseline)?;
        let is_asked = |label: &&String| {
            **label != baseline && (asked.is_empty() || asked.contains(&&***label))
        };
        let others = results.policies.iter().filter(is_asked);
        let pairs: Vec<(&str, &str)> = others.map(|label| (&**label, baseline)).collect();
        if pairs.is_empty() {
            let (dir, policy) = (results.dir.clone(), baseline.to_owned());
            return Err(CompareError::NothingElse { dir, policy });
        }
        Self::made_of(results, results, Some(baseline), &pairs, Vec::new(), spec)
    }

    /// As pretty-printed JSON, with a line feed at its end.
    pub fn to_json(&self) -> String {
        pretty(self)
    }

    fn made_of(
        a: &ResultDirectory,
        b: &ResultDirectory,
        baseline: Option<&str>,
        pairs: &[(&str, &str)],
        warnings: Vec<String>,
        spec: &CompareSpec,
    ) -> Result<Self, CompareError> {
        let cells: Vec<(&ResultCell, &ResultCell)> =
            a.cells.iter().filter_map(|cell| Some((cell, b.cell(&cell.values)?))).collect();
        if cells.is_empty() {
            return Err(CompareError::NoCellInCommon);
        }
        // As many figures that are equal in truth seem to be worse as one alone would.
        let tests = cells.len() * pairs.len() * Figure::compared().count();
        let strict = 1.0 - (1.0 - CONFIDENCE) / tests as f64;
        let cells: Vec<CellComparison> = cells
            .into_iter()
            .map(|(of_a, of_b)| CellComparison {
                values: of_a.values.clone(),
                policies: pairs
                    .iter()
                    .map(|(in_a, in_b)| {
                        PolicyComparison::of((of_a, in_a), (of_b, in_b), strict, spec)
                    })
                    .collect(),
            })
            .collect();
        let figures = cells.iter().flat_map(|cell| &cell.policies).flat_map(|p| &p.figures);
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            a: Side::of(a),
            b: Side::of(b),
            baseline: baseline.map(str::to_owned),
            warnings,
            regressions: figures.filter(|figure| figure.is_regression).count(),
            cells,
        })
    }
}

impl ResultDirectory {
    /// The label of a policy that `asked` stands for.
    fn label(&self, asked: &str) -> Result<&str, CompareError> {
        let known = self.policies.iter().map(String::as_str);
        find_label(asked, known, &format!("in {}", self.dir)).map_err(CompareError::MissingPolicy)
    }

    fn labels(&self, asked: &[String]) -> Result<Vec<&str>, CompareError> {
        asked.iter().map(|label| self.label(label)).collect()
    }

    /// The cell with these values.
    fn cell(&self, values: &BTreeMap<String, String>) -> Option<&ResultCell> {
        self.cells.iter().find(|cell| cell.values == *values)
    }
}

/// What makes the two results less comparable. `all_policies`: no labels were asked for.
fn warnings(a: &ResultDirectory, b: &ResultDirectory, all_policies: bool) -> Vec<String> {
    let mut warnings = Vec::new();
    let (of_a, of_b) = (&a.scenario, &b.scenario);
    if of_a.name != of_b.name {
        warnings.push(format!("the scenarios differ: {} and {}", of_a.name, of_b.name));
    } else if of_a.sha256 != of_b.sha256 {
        let short = |sha256: &str| sha256.chars().take(12).collect::<String>();
        let (a, b) = (short(&of_a.sha256), short(&of_b.sha256));
        warnings.push(format!("the scenario files differ: sha256 {a} and {b}"));
    }
    if a.seeds != b.seeds {
        warnings.push("the seeds differ, so the requests differ too".to_owned());
    }
    for (name, one, other) in [("A", a, b), ("B", b, a)] {
        let only = one.policies.iter().filter(|label| !other.policies.contains(label));
        let only: Vec<&str> = only.map(|label| &**label).collect();
        if all_policies && !only.is_empty() {
            warnings.push(format!("only {name} has {}", only.join(", ")));
        }
        let cells = one.cells.iter().filter(|cell| other.cell(&cell.values).is_none()).count();
        if cells > 0 {
            warnings.push(format!("only {name} has {cells} of its combinations of varied values"));
        }
    }
    warnings
}

impl Side {
    fn of(results: &ResultDirectory) -> Self {
        Self {
            dir: results.dir.clone(),
            scenario: results.scenario.name.clone(),
            sha256: results.scenario.sha256.clone(),
            engine: results.engine,
            clock: results.clock,
            seeds: results.seeds.clone(),
        }
    }
}

impl PolicyComparison {
    /// Compares a policy in a cell of A with one in a cell of B.
    fn of(
        (of_a, in_a): (&ResultCell, &str),
        (of_b, in_b): (&ResultCell, &str),
        strict: f64,
        spec: &CompareSpec,
    ) -> Self {
        let none = BTreeMap::new();
        let a = of_a.runs.get(in_a).unwrap_or(&none);
        let b = of_b.runs.get(in_b).unwrap_or(&none);
        let seeds: [BTreeSet<u64>; 2] = [a, b].map(|runs| runs.keys().copied().collect());
        let method =
            if seeds[0] == seeds[1] { IntervalMethod::Paired } else { IntervalMethod::Welch };
        let sent = |runs: &BTreeMap<u64, crate::judge::MeasuredFigures>| {
            runs.values().map(|run| run.requests.sent).sum()
        };
        Self {
            policy: in_a.to_owned(),
            a_sent: sent(a),
            b_sent: sent(b),
            figures: FIGURES
                .iter()
                .map(|figure| FigurePair::of(figure, method, (a, b), strict, spec))
                .collect(),
        }
    }
}
