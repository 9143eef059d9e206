//! What a recommendation says, and why.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;
use toml::Table;

use super::candidates::label;
use super::choice::{Confirmed, Contest, OWN_LOAD, SATURATED, as_toml};
use super::course::{Course, SituationKey, labels};
use super::merits::weakest;
use super::reasons::gap;
use super::situations::Situation;
use super::{RecommendError, RecommendSpec};
use crate::figures::{Figure, Latencies, Unit};
use crate::format::{ms_number, six_decimals};
use crate::judge::{Entrant, MeasuredFigures, Ranking, RunFigures, advantage};
use crate::report::ranking::RankingEntry;
use crate::report::summary::ScenarioId;
use crate::scenario::ScenarioFile;
use crate::statistics::interval_of_mean;

/// The policy to take, why, how sure that is, what it costs, and where another one is better.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recommendation {
    /// Version of this format.
    pub schema_version: u32,
    /// The scenario file that it is made from.
    pub scenario: ScenarioId,
    /// Label of the recommended policy.
    pub choice: String,
    /// The policy with its parameters, as an entry of `policies` in a scenario file.
    pub policy: String,
    /// Whether the seeds of the confirmation show that it is better than all others.
    pub is_clear: bool,
    /// Who wins over all situations and by what, or that there is no clear winner.
    pub sentence: String,
    /// If there is no clear winner: what it is better by than a plain policy, by the seeds of the
    /// confirmation; null if nothing tells the two apart, or if no policy was clearly worse.
    pub merit: Option<Merit>,
    /// The situation in which it does worst in comparison with no trouble at all; null if none
    /// makes a difference.
    pub weakest: Option<String>,
    /// Whether it is better by a figure than the policy that is deployed today; null if none was
    /// named, or if it is the recommended one.
    pub beats_current: Option<bool>,
    /// The ranking of the finalists over all situations, by the confirmation.
    pub ranking: RankingEntry,
    /// The policies that were compared to the end: the recommended one, then the others in the order
    /// of the confirmation.
    pub finalists: Vec<Finalist>,
    /// Where another one of them is better than the recommended one.
    pub better_elsewhere: Vec<Elsewhere>,
    /// The policies that the seeds of the choice show to be clearly worse.
    pub eliminated: Vec<Eliminated>,
    /// Policies that nothing tells from the finalists in the choice, but that are not among the best
    /// four.
    pub unconfirmed: Vec<String>,
    /// What modifiers did to the best policies, over all situations, by the seeds of the
    /// confirmation. What has no effect by the seeds of the choice was not run again.
    pub modifiers: Vec<ModifierEffect>,
    /// What was not tried, each with the reason.
    pub left_out: Vec<String>,
    /// Every situation and policy that was run.
    pub situations: Vec<SituationFigures>,
    /// The violated oracles, each with a run that shows it. Empty unless the mesh has a bug.
    pub violations: Vec<String>,
    /// How many runs were carried out.
    pub runs: usize,
    /// How many requests were counted in them.
    pub requests: u64,
    /// The scenario file.
    #[serde(skip)]
    #[schemars(skip)]
    pub(super) base: ScenarioFile,
    /// What was asked for.
    #[serde(skip)]
    #[schemars(skip)]
    pub(super) spec: RecommendSpec,
    /// The situations at the scenario's own load, to be written as files of their own.
    #[serde(skip)]
    #[schemars(skip)]
    pub files: Vec<Situation>,
}

/// What the recommended policy is better by than a plain one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Merit {
    /// The plain policy: `random`, or the first that was eliminated.
    pub than: String,
    /// By what, over all situations, and why.
    pub sentence: String,
}

/// A policy that was compared to the end.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Finalist {
    /// Its label.
    pub policy: String,
    /// The policy with its parameters, as in a scenario file.
    pub toml: String,
    /// Calls of peers without a job per request: for their load or a free slot.
    pub probes: Option<f64>,
    /// The greatest load, in percent of the scenario's, of which it answers at least 95 % while
    /// nothing is wrong; null if that is none that was tried.
    pub carries: Option<u32>,
    /// Its figures over all situations, by seed of the confirmation.
    #[serde(skip)]
    #[schemars(skip)]
    pub(super) overall: Vec<(u64, MeasuredFigures)>,
}

/// A situation in which another policy is better than the recommended one.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Elsewhere {
    /// The trouble.
    pub trouble: &'static str,
    /// The load, in percent of the scenario's.
    pub load: u32,
    /// Label of the policy that is better.
    pub policy: String,
    /// By what.
    pub sentence: String,
}

/// A policy that is clearly worse.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Eliminated {
    /// Its label.
    pub policy: String,
    /// In which situation it is worst against the recommended policy by the seeds of the choice, and
    /// by what by those of the confirmation; null if these show it to be worse in no single one.
    pub reason: Option<String>,
}

/// What a modifier did to a policy.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModifierEffect {
    /// The modifier.
    pub modifier: &'static str,
    /// Label of the policy that it was combined with.
    pub policy: String,
    /// Whether that is better or worse than the policy alone, and by what.
    pub effect: String,
}

/// The figures of one policy in one situation: means over seeds.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SituationFigures {
    /// The trouble.
    pub trouble: &'static str,
    /// The load, in percent of the scenario's.
    pub load: u32,
    /// Label of the policy.
    pub policy: String,
    /// Whether the seeds are those of the confirmation, which the choice has not seen.
    pub is_confirmed: bool,
    /// How many seeds there were.
    pub seeds: usize,
    /// The requests of all seeds.
    pub requests: u64,
    /// The share of them that were answered, 0 to 1.
    pub success: f64,
    /// Latencies in milliseconds.
    pub latency_ms: Latencies<f64>,
    /// The 95 % intervals of the means over the seeds, by figure: shares from 0 to 1, or
    /// milliseconds. Empty with fewer than five seeds.
    pub intervals: BTreeMap<&'static str, [f64; 2]>,
}

/// The effect of a modifier that makes a policy neither better nor worse.
pub(super) const NO_EFFECT: &str = "no difference shown";
/// Version of the format: one more whenever a field comes, goes or changes its meaning.
const SCHEMA_VERSION: u32 = 2;
const NANOS_PER_MILLI: f64 = 1e6;

impl Recommendation {
    /// The recommendation of a contest that is over, whose field is the finalists.
    pub(super) fn of(mut contest: Contest<'_>, found: Confirmed) -> Result<Self, RecommendError> {
        let Confirmed { ranking, seen: chosen_with, fresh, modifiers, eliminated, merit } = found;
        let choice = label(&contest.field[0]).to_owned();
        let situations = contest.own_situations();
        let mut kept: BTreeSet<SituationKey> = situations.iter().copied().collect();
        kept.extend(contest.course.violated());
        let files: Result<Vec<Situation>, RecommendError> =
            kept.into_iter().map(|key| contest.course.situation(key).cloned()).collect();
        let files = files?;
        let Contest { file, spec, course, field, unconfirmed, left_out, .. } = contest;
        let names = labels(&field);
        let overall = course.entrants(&situations, &names, &fresh);
        let seen = Seen {
            course: &course,
            finalists: &names,
            choice: &choice,
            chosen_with: &chosen_with,
            fresh: &fresh,
        };
        let figures = seen.situations();
        let beats =
            |current: &String| course.advantage(&choice, current, &situations, &fresh).is_some();
        Ok(Self {
            schema_version: SCHEMA_VERSION,
            scenario: ScenarioId {
                name: file.scenario.name.clone(),
                sha256: file.scenario.sha256.clone(),
            },
            policy: as_toml(&field[0]),
            is_clear: ranking.winner() == Some(0) || names.len() == 1,
            sentence: ranking.sentence.clone().unwrap_or_else(|| "It was the only one.".to_owned()),
            beats_current: spec.current.as_ref().filter(|c| **c != choice).map(beats),
            ranking: RankingEntry::of(&ranking, |index| &names[index]),
            better_elsewhere: seen.elsewhere(),
            eliminated,
            unconfirmed: labels(&unconfirmed),
            finalists: field
                .iter()
                .zip(&overall)
                .map(|(policy, entrant)| seen.finalist(policy, entrant))
                .collect(),
            weakest: weakest(course.objective(), &figures, &names),
            merit,
            situations: figures,
            modifiers,
            left_out,
            violations: course.violations().into_iter().collect(),
            runs: course.runs,
            requests: course.requests,
            choice: choice.clone(),
            base: file.clone(),
            spec: spec.clone(),
            files,
        })
    }

    /// Those of a finalist in a trouble, at the scenario's own load.
    pub(super) fn at_own_load(&self, trouble: &str, policy: &str) -> Option<&SituationFigures> {
        self.confirmed().find(|figures| {
            figures.trouble == trouble && figures.policy == policy && figures.load == OWN_LOAD
        })
    }

    /// The figures of the finalists that the choice has not seen.
    pub fn confirmed(&self) -> impl Iterator<Item = &SituationFigures> {
        let is_finalist =
            |figures: &&SituationFigures| self.finalists.iter().any(|f| f.policy == figures.policy);
        self.situations.iter().filter(|figures| figures.is_confirmed).filter(is_finalist)
    }
}

/// The runs of a contest, as one who has made the choice sees them.
struct Seen<'a, 'p> {
    course: &'a Course<'p>,
    finalists: &'a [String],
    choice: &'a str,
    chosen_with: &'a [u64],
    fresh: &'a [u64],
}

impl Seen<'_, '_> {
    fn finalist(&self, policy: &Table, entrant: &Entrant<'_>) -> Finalist {
        let carried = self.course.all().filter(|((trouble, load), name, _)| {
            let key = (*trouble, *load);
            *trouble == super::TROUBLES[0].name
                && *name == entrant.label
                && self.course.answered(key, name, self.fresh) >= SATURATED
        });
        Finalist {
            policy: entrant.label.to_owned(),
            toml: as_toml(policy),
            probes: entrant.probes.map(six_decimals),
            carries: carried.map(|((_, load), ..)| load).max(),
            overall: entrant.by_seed.iter().map(|(seed, run)| (*seed, *run)).collect(),
        }
    }

    /// Where another of the finalists is better, by the confirmation.
    fn elsewhere(&self) -> Vec<Elsewhere> {
        let mut by_situation: BTreeMap<SituationKey, Vec<String>> = BTreeMap::new();
        let confirmed = self
            .course
            .all()
            .filter(|(_, policy, _)| self.finalists.iter().any(|finalist| finalist == policy))
            .filter(|(_, _, runs)| self.fresh.iter().all(|seed| runs.contains_key(seed)));
        for (key, policy, _) in confirmed {
            by_situation.entry(key).or_default().push(policy.to_owned());
        }
        // Those at the scenario's own load first, then the greatest advantages.
        let mut found: Vec<(bool, f64, Elsewhere)> = Vec::new();
        for (key, policies) in by_situation {
            let here = self.course.entrants(&[key], &policies, self.fresh);
            let first = Ranking::of(self.course.objective(), &here).first;
            let best = first.into_iter().flat_map(|first| first.best);
            for policy in best.map(|index| &policies[index]) {
                let better = self.course.advantage(policy, self.choice, &[key], self.fresh);
                found.extend(better.map(|paired| {
                    let place = Elsewhere {
                        trouble: key.0,
                        load: key.1,
                        policy: policy.clone(),
                        sentence: advantage(&paired, self.choice),
                    };
                    (key.1 != OWN_LOAD, -gap(&paired), place)
                }));
            }
        }
        found.sort_by(|(a, x, _), (b, y, _)| a.cmp(b).then(x.total_cmp(y)));
        found.into_iter().map(|(.., place)| place).collect()
    }

    fn situations(&self) -> Vec<SituationFigures> {
        let mut all = Vec::new();
        for (key, policy, runs) in self.course.all() {
            for is_confirmed in [false, true] {
                let seeds = if is_confirmed { self.fresh } else { self.chosen_with };
                let runs: Vec<&RunFigures> =
                    seeds.iter().filter_map(|seed| runs.get(seed)).collect();
                if !runs.is_empty() {
                    all.push(SituationFigures::of(key, policy, is_confirmed, &runs));
                }
            }
        }
        all
    }
}

/// The interval of a figure's mean over runs, in the figure's unit in files.
fn interval(figure: &Figure, runs: &[&RunFigures]) -> Option<[f64; 2]> {
    let met = runs.iter().filter(|run| run.requests.sent > 0);
    let values: Vec<f64> = met.map(|run| run.measured().get(figure).in_files()).collect();
    interval_of_mean(&values).map(|i| [six_decimals(i.low), six_decimals(i.high)])
}

impl SituationFigures {
    fn of(key: SituationKey, policy: &str, is_confirmed: bool, runs: &[&RunFigures]) -> Self {
        let sum = |of: fn(&RunFigures) -> u64| runs.iter().map(|run| of(run)).sum::<u64>();
        let (sent, answered) = (sum(|run| run.requests.sent), sum(|run| run.requests.answered));
        let mean = |figure| {
            let met = runs.iter().filter(|run| run.requests.sent > 0);
            let values: Vec<u64> = met.filter_map(|run| run.latency.get(figure)).collect();
            ms_number(values.iter().sum::<u64>() / values.len().max(1) as u64)
        };
        Self {
            trouble: key.0,
            load: key.1,
            policy: policy.to_owned(),
            is_confirmed,
            seeds: runs.len(),
            requests: sent,
            success: six_decimals(answered as f64 / sent.max(1) as f64),
            latency_ms: Latencies::from_fn(mean),
            intervals: Figure::compared()
                .filter_map(|f| Some((f.key, interval(f, runs)?)))
                .collect(),
        }
    }

    /// The value of a figure, in the figure's unit in memory.
    pub(super) fn value(&self, figure: &Figure) -> f64 {
        match figure.unit {
            Unit::Share => self.success,
            Unit::Latency => NANOS_PER_MILLI * self.latency_ms.get(figure).unwrap_or_default(),
        }
    }

    /// The interval of a figure's mean, in the figure's unit in memory.
    pub(super) fn interval(&self, figure: &Figure) -> Option<[f64; 2]> {
        let scale = if figure.unit == Unit::Share { 1.0 } else { NANOS_PER_MILLI };
        Some(self.intervals.get(figure.key)?.map(|end| end * scale))
    }
}
