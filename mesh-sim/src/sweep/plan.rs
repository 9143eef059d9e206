//! What a sweep consists of: cells, and the runs in each.

use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Shard, SweepTally, Vary};
use crate::engine::{EngineError, Run, RunDetail};
use crate::runner::{RunProgress, run_each};
use crate::scenario::{Diagnostics, EngineKind, Scenario, ScenarioFile, find_label, set_fields};

/// The most runs of a sweep: more of them must be a typing error.
pub(super) const MOST_RUNS: usize = 1_000_000;
/// The most cells of a sweep: each becomes a directory.
const MOST_CELLS: usize = 10_000;
/// The most pairs of a cell and a policy: each has a histogram of some 180 KB in memory.
const MOST_GROUPS: usize = 10_000;

/// What the user asks for. Equal specifications give equal results, byte for byte, so parts of a
/// sweep carry theirs to show that they belong together. [`Sweep::new`] checks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// The text of the scenario file.
    pub scenario: String,
    /// The name of the engine; `None` takes the file's.
    pub engine: Option<String>,
    /// The seeds, in ascending order; an empty list takes the file's.
    pub seeds: Vec<u64>,
    /// The labels of the policies that run; an empty list takes all.
    pub policies: Vec<String>,
    /// The varied fields, which [`Sweep::new`] gives their whole paths. The values of the last ones
    /// change fastest.
    pub vary: Vec<Vary>,
    /// The label of the policy that the others are compared with; `None` takes the first.
    pub baseline: Option<String>,
}

impl SweepSpec {
    /// The way to each varied field, in the order of [`SweepCell::values`].
    pub fn varied_fields(&self) -> impl Iterator<Item = &str> {
        self.vary.iter().flat_map(|vary| vary.fields.iter().map(|field| &**field))
    }
}

/// A checked sweep, which can be carried out. Its runs are numbered from 0: cell by cell, in each
/// cell policy by policy, and for each policy seed by seed.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The specification that it was made from.
    pub spec: SweepSpec,
    /// The scenario of the file, before any field is varied.
    pub scenario: Scenario,
    /// The engine that carries out the runs.
    pub engine: EngineKind,
    /// The seeds, in ascending order.
    pub seeds: Vec<u64>,
    /// The labels of the policies that run, in the order of the file.
    pub policies: Vec<String>,
    /// The policy that the others are compared with, as an index of `policies`.
    pub baseline: usize,
    /// One cell per combination of the varied values; at least one.
    pub cells: Vec<SweepCell>,
}

/// One combination of the varied values, and the scenario with these values.
#[derive(Clone, Debug)]
pub struct SweepCell {
    /// The cell's number, from 1.
    pub number: usize,
    /// One value per varied field.
    pub values: Vec<String>,
    /// The text of a scenario file with these values.
    pub text: String,
    /// The scenario of this text, with only those policies that run.
    pub scenario: Scenario,
}

/// The cell, the policy and the seed of a run of a sweep, as indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPosition {
    /// An index of [`Sweep::cells`].
    pub cell: usize,
    /// An index of [`Sweep::policies`].
    pub policy: usize,
    /// An index of [`Sweep::seeds`].
    pub seed: usize,
}

/// Why a sweep can't be carried out.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The scenario has mistakes, in the file or with varied values.
    #[error("{0}")]
    Scenario(Box<Diagnostics>),
    /// A varied field can't be set; the text says which and why.
    #[error("--vary: {0}")]
    Vary(String),
    /// This field is varied twice.
    #[error("vary `{0}` once only, with all of its values")]
    VariedTwice(String),
    /// A policy is not in the scenario; the text says which are.
    #[error("{0}")]
    NoPolicy(String),
    /// This label of the baseline is among the policies that don't run.
    #[error("the baseline `{0}` is not among the policies chosen: choose it, too")]
    BaselineLeftOut(String),
    /// The cells have policies with different labels.
    #[error(
        "cell {cell} has the policies {found}, but cell 1 has {expected}; \
         give each policy a `label` that stays"
    )]
    Labels {
        /// The number of a cell that differs from the first.
        cell: usize,
        /// The labels of its policies.
        found: String,
        /// The labels of the first cell's policies.
        expected: String,
    },
    /// There are more runs or cells than a sweep may have; the text says of what there are too
    /// many.
    #[error("{0}")]
    TooMany(String),
}

impl From<Diagnostics> for SweepError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Scenario(Box::new(diagnostics))
    }
}

impl Sweep {
    /// Makes a sweep, and checks the scenario of every cell as if it were a file of its own. `file`
    /// is the name of the scenario file, for messages only.
    ///
    /// # Errors
    /// The first mistake that is found.
    pub fn new(mut spec: SweepSpec, file: &str) -> Result<Self, SweepError> {
        let scenario = ScenarioFile::parse(&spec.scenario, file)?.scenario;
        for vary in &mut spec.vary {
            vary.complete(&spec.scenario).map_err(SweepError::Vary)?;
        }
        let mut cells = Vec::new();
        for values in combinations(&spec.vary)? {
            cells.push(SweepCell::new(&spec, cells.len() + 1, values, file)?);
        }
        let first = &cells[0].scenario;
        let policies = labels(first);
        if let Some(cell) = cells.iter().find(|cell| labels(&cell.scenario) != policies) {
            let (found, expected) = (labels(&cell.scenario).join(", "), policies.join(", "));
            return Err(SweepError::Labels { cell: cell.number, found, expected });
        }
        let baseline = match &spec.baseline {
            Some(label) => baseline(&scenario, &policies, label)?,
            None => 0,
        };
        let seeds = if spec.seeds.is_empty() { &first.seeds } else { &spec.seeds };
        let mut seeds = seeds.clone();
        seeds.sort_unstable();
        seeds.dedup();
        let (engine, groups) = (first.engine, cells.len() * policies.len());
        if groups > MOST_GROUPS {
            let what = format!("these are more than {MOST_GROUPS} cells times policies");
            return Err(SweepError::TooMany(what));
        }
        if groups.saturating_mul(seeds.len()) > MOST_RUNS {
            return Err(SweepError::TooMany(format!("these are more than {MOST_RUNS} runs")));
        }
        Ok(Self { spec, scenario, engine, seeds, policies, baseline, cells })
    }

    /// Every run, in the order of their numbers.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut all = Vec::with_capacity(self.run_count());
        for cell in &self.cells {
            for policy in &cell.scenario.policies {
                let scenario = &cell.scenario;
                let run = |&seed| Run { scenario, policy, seed, detail: RunDetail::Phases };
                all.extend(self.seeds.iter().map(run));
            }
        }
        all
    }

    /// How many runs there are.
    pub fn run_count(&self) -> usize {
        self.cells.len() * self.policies.len() * self.seeds.len()
    }

    /// The cell, the policy and the seed of the run with this number.
    pub fn position(&self, run: usize) -> RunPosition {
        let (group, seed) = (run / self.seeds.len(), run % self.seeds.len());
        RunPosition { cell: group / self.policies.len(), policy: group % self.policies.len(), seed }
    }

    /// Carries out those runs of one part of the sweep that are not in `tally` yet, on `threads`
    /// threads, and adds them. [`RunProgress::run`] is an index of [`Self::rest`] as it was before.
    /// After each run `ended` gets all results so far. If `progress` breaks, the runs under way are
    /// abandoned.
    ///
    /// # Errors
    /// The error of the first run that broke down.
    pub fn execute(
        &self,
        shard: Shard,
        threads: NonZero<usize>,
        tally: &mut SweepTally,
        progress: impl FnMut(RunProgress) -> ControlFlow<()>,
        mut ended: impl FnMut(&SweepTally),
    ) -> Result<(), EngineError> {
        let numbers = self.missing(shard, tally);
        let runs = self.rest(shard, tally);
        run_each(&runs, self.engine, threads, progress, |run, record| {
            tally.add(self, numbers[run], &record);
            ended(tally);
        })
    }

    /// The runs of one part that are not in `tally`.
    pub fn rest(&self, shard: Shard, tally: &SweepTally) -> Vec<Run<'_>> {
        let all = self.runs();
        self.missing(shard, tally).into_iter().map(|number| all[number]).collect()
    }

    /// The numbers of the runs of one part that are not in `tally`.
    fn missing(&self, shard: Shard, tally: &SweepTally) -> Vec<usize> {
        shard.runs(self.run_count()).filter(|number| !tally.runs.contains_key(number)).collect()
    }
}

impl SweepCell {
    fn new(
        spec: &SweepSpec,
        number: usize,
        values: Vec<String>,
        file: &str,
    ) -> Result<Self, SweepError> {
        let mut fields: Vec<(&str, &str)> =
            spec.varied_fields().zip(values.iter().map(|v| &**v)).collect();
        let with: Vec<String> = fields.iter().map(|(path, v)| format!("{path}={v}")).collect();
        let file = match with.is_empty() {
            true => file.to_owned(),
            false => format!("{file} with {}", with.join(", ")),
        };
        // The engine becomes part of the text, so that the cell's file can be replayed as it is.
        if let Some(engine) = &spec.engine {
            fields.push(("engine", engine));
        }
        let text = match fields.is_empty() {
            true => spec.scenario.clone(),
            false => set_fields(&spec.scenario, &fields).map_err(SweepError::Vary)?,
        };
        let loaded = ScenarioFile::parse(&text, &file)?;
        loaded.check_engine(loaded.scenario.engine)?;
        let text = loaded.whole_text().to_owned();
        let mut scenario = loaded.scenario;
        if !spec.policies.is_empty() {
            let all = labels(&scenario);
            let asked = spec.policies.iter().map(|label| known(&all, label));
            let asked: Vec<String> = asked.collect::<Result<_, _>>()?;
            scenario.policies.retain(|policy| asked.contains(&policy.label));
        }
        Ok(Self { number, values, text, scenario })
    }
}

fn labels(scenario: &Scenario) -> Vec<String> {
    scenario.policies.iter().map(|policy| policy.label.clone()).collect()
}

/// The label that `wanted` stands for.
fn known(labels: &[String], wanted: &str) -> Result<String, SweepError> {
    let found = find_label(wanted, labels.iter().map(String::as_str), "here");
    found.map(str::to_owned).map_err(SweepError::NoPolicy)
}

/// The index of the baseline among the labels of the policies that run.
fn baseline(scenario: &Scenario, running: &[String], wanted: &str) -> Result<usize, SweepError> {
    let label = known(running, wanted).map_err(|missing| {
        known(&labels(scenario), wanted).map_or(missing, SweepError::BaselineLeftOut)
    })?;
    Ok(running.iter().position(|running| *running == label).unwrap_or_default())
}

/// Every combination of the values. Those of the last fields change fastest.
fn combinations(vary: &[Vary]) -> Result<Vec<Vec<String>>, SweepError> {
    let mut seen = BTreeSet::new();
    let mut all = vec![Vec::new()];
    for Vary { fields, values } in vary {
        if let Some(twice) = fields.iter().find(|field| !seen.insert(*field)) {
            return Err(SweepError::VariedTwice(twice.clone()));
        }
        // Checked before the combinations are made, because they could fill the memory.
        if all.len() * values.len() > MOST_CELLS {
            let text = format!("the varied values have more than {MOST_CELLS} combinations");
            return Err(SweepError::TooMany(text));
        }
        let with = |head: &Vec<String>, row: &Vec<String>| [&head[..], row].concat();
        all = all.iter().flat_map(|head| values.iter().map(move |row| with(head, row))).collect();
    }
    Ok(all)
}
