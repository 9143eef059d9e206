//! What a sweep consists of: cells, and the runs of each.

use std::num::NonZero;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Shard, Tally, Vary};
use crate::engine::{EngineError, Run};
use crate::runner::{RunProgress, run_each};
use crate::scenario::{Diagnostics, EngineKind, Scenario, ScenarioFile, set_fields};

/// More runs than this are a slip of the keyboard.
pub(super) const MOST_RUNS: usize = 1_000_000;
/// More cells than this, too: each is a directory.
const MOST_CELLS: usize = 10_000;
/// Each cell and policy has a histogram, of some 180 KB.
const MOST_GROUPS: usize = 10_000;

/// What was asked for. Equal specifications give equal results, byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Text of the scenario file.
    pub scenario: String,
    /// The engine's name; that of the file if left out.
    pub engine: Option<String>,
    /// In ascending order; those of the file if empty.
    pub seeds: Vec<u64>,
    /// Labels of the policies; all if empty.
    pub policies: Vec<String>,
    /// Varied fields. The values of the last change fastest.
    pub vary: Vec<Vary>,
    /// Label of the policy that the others are compared with; the first if left out.
    pub baseline: Option<String>,
}

/// A sweep that can be carried out.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// What was asked for.
    pub spec: Spec,
    /// The scenario as its file has it.
    pub scenario: Scenario,
    /// What runs it.
    pub engine: EngineKind,
    /// In ascending order.
    pub seeds: Vec<u64>,
    /// Labels, in the order of the file.
    pub policies: Vec<String>,
    /// Index of the policy that the others are compared with.
    pub baseline: usize,
    /// At least one.
    pub cells: Vec<Cell>,
}

/// One combination of the varied values.
#[derive(Clone, Debug)]
pub struct Cell {
    /// From 1.
    pub number: usize,
    /// One per varied field.
    pub values: Vec<String>,
    /// Text of a scenario file with these values.
    pub text: String,
    /// What it says, with the policies of the sweep only.
    pub scenario: Scenario,
}

/// Which run of a sweep one is, as three indices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunPosition {
    /// Of [`Sweep::cells`].
    pub cell: usize,
    /// Of [`Sweep::policies`].
    pub policy: usize,
    /// Of [`Sweep::seeds`].
    pub seed: usize,
}

/// Why there is no such sweep.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The scenario is wrong, as it stands or with varied values.
    #[error("{0}")]
    Scenario(Box<Diagnostics>),
    /// A varied field can't be set.
    #[error("vary {0}")]
    Vary(String),
    /// One field is varied twice.
    #[error("vary `{0}` once only, with all of its values")]
    VariedTwice(String),
    /// A policy is not in the scenario.
    #[error("no policy `{label}` here; there are: {known}")]
    NoPolicy {
        /// Its label.
        label: String,
        /// Those that are.
        known: String,
    },
    /// The baseline is among the policies that were left out.
    #[error("the baseline `{0}` is not among the policies chosen: choose it, too")]
    BaselineLeftOut(String),
    /// The cells have different policies.
    #[error(
        "cell {cell} has the policies {found}, but cell 1 has {expected}; \
         give each policy a `label` that stays"
    )]
    Labels {
        /// The number of the cell.
        cell: usize,
        /// Its policies.
        found: String,
        /// Those of the first cell.
        expected: String,
    },
    /// There are more runs or cells than can be meant.
    #[error("{0}")]
    TooMany(String),
}

impl From<Diagnostics> for SweepError {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Scenario(Box::new(diagnostics))
    }
}

impl Sweep {
    /// Checks every cell as if it were a file of its own. `file` is only a name in messages.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn new(spec: Spec, file: &str) -> Result<Self, SweepError> {
        let scenario = ScenarioFile::parse(&spec.scenario, file)?.scenario;
        for vary in &spec.vary {
            vary.check().map_err(SweepError::Vary)?;
        }
        let mut cells = Vec::new();
        for values in combinations(&spec.vary)? {
            cells.push(Cell::new(&spec, cells.len() + 1, values, file)?);
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

    /// Every run: cell by cell, policy by policy, seed by seed.
    pub fn runs(&self) -> Vec<Run<'_>> {
        let mut all = Vec::with_capacity(self.run_count());
        for cell in &self.cells {
            for policy in &cell.scenario.policies {
                let scenario = &cell.scenario;
                let run = |&seed| Run { scenario, policy, seed, trace: false };
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

    /// Carries out one part on `threads` threads. [`RunProgress::run`] is the number of a run
    /// within the part.
    ///
    /// # Errors
    /// That of the first run that broke down.
    pub fn execute(
        &self,
        shard: Shard,
        threads: NonZero<usize>,
        progress: impl FnMut(RunProgress),
    ) -> Result<Tally, EngineError> {
        let runs = self.part(shard);
        let numbers: Vec<usize> = shard.runs(self.run_count()).collect();
        let mut tally = Tally::new(self);
        run_each(&runs, self.engine, threads, progress, |run, record| {
            tally.add(self, numbers[run], &record);
        })?;
        Ok(tally)
    }

    /// The runs of one part.
    pub fn part(&self, shard: Shard) -> Vec<Run<'_>> {
        let all = self.runs();
        shard.runs(all.len()).map(|number| all[number]).collect()
    }
}

impl Cell {
    fn new(
        spec: &Spec,
        number: usize,
        values: Vec<String>,
        file: &str,
    ) -> Result<Self, SweepError> {
        let mut fields: Vec<(&str, &str)> =
            spec.vary.iter().map(|vary| &*vary.path).zip(values.iter().map(|v| &**v)).collect();
        let with: Vec<String> = fields.iter().map(|(path, v)| format!("{path}={v}")).collect();
        let file = match with.is_empty() {
            true => file.to_owned(),
            false => format!("{file} with {}", with.join(", ")),
        };
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
        let known = labels(&scenario);
        for label in &spec.policies {
            position(&known, label)?;
        }
        if !spec.policies.is_empty() {
            scenario.policies.retain(|policy| spec.policies.contains(&policy.label));
        }
        Ok(Self { number, values, text, scenario })
    }
}

fn labels(scenario: &Scenario) -> Vec<String> {
    scenario.policies.iter().map(|policy| policy.label.clone()).collect()
}

fn position(labels: &[String], wanted: &str) -> Result<usize, SweepError> {
    labels
        .iter()
        .position(|label| label == wanted)
        .ok_or_else(|| SweepError::NoPolicy { label: wanted.to_owned(), known: labels.join(", ") })
}

/// Where the baseline stands among the policies that run.
fn baseline(scenario: &Scenario, running: &[String], wanted: &str) -> Result<usize, SweepError> {
    position(running, wanted).map_err(|missing| match position(&labels(scenario), wanted) {
        Ok(_) => SweepError::BaselineLeftOut(wanted.to_owned()),
        Err(_) => missing,
    })
}

/// Every combination of values, those of the last field changing fastest.
fn combinations(vary: &[Vary]) -> Result<Vec<Vec<String>>, SweepError> {
    let mut all = vec![Vec::new()];
    for (index, Vary { path, values }) in vary.iter().enumerate() {
        if vary[..index].iter().any(|earlier| earlier.path == *path) {
            return Err(SweepError::VariedTwice(path.clone()));
        }
        if all.len() * values.len() > MOST_CELLS {
            let text = format!("the varied values have more than {MOST_CELLS} combinations");
            return Err(SweepError::TooMany(text));
        }
        let with =
            |head: &Vec<String>, value: &String| [&head[..], std::slice::from_ref(value)].concat();
        all = all.iter().flat_map(|head| values.iter().map(move |v| with(head, v))).collect();
    }
    Ok(all)
}
