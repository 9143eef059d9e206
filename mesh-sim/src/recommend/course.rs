//! Carries out the runs of a recommendation, stage by stage, and keeps their figures.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZero;
use std::ops::ControlFlow;

use toml::Table;

use super::RecommendError;
use super::candidates::label;
use super::situations::{Battery, Situation};
use crate::engine::{Run, RunDetail};
use crate::figures::{Latencies, Objective};
use crate::judge::{
    Causes, Entrant, MeasuredFigures, PairedFigure, Ranking, RunFigures, per_request,
};
use crate::record::OutcomeCounts;
use crate::runner::{RunProgress, run_each};
use crate::scenario::EngineKind;

/// A trouble's name, and the load in percent of the scenario's.
pub(super) type SituationKey = (&'static str, u32);

/// Who is told how far the runs have come.
pub trait Progress {
    /// A stage begins: these runs will be carried out, and at most `later` others after them, unless
    /// the confirmation contradicts the choice.
    fn begin(&mut self, stage: &str, runs: &[Run<'_>], later: usize);
    /// How far one of them has come. If it breaks, the recommendation is given up.
    fn update(&mut self, news: RunProgress) -> ControlFlow<()>;
    /// The stage is over.
    fn end(&mut self);
}

/// A situation, and the label of a policy in it.
pub(super) type RunPlace = (SituationKey, String);

/// For each situation and policy the figures of its runs, by seed.
type Figures = BTreeMap<RunPlace, BTreeMap<u64, RunFigures>>;

/// A scenario has at most so many policies.
const MOST_POLICIES: usize = 100;

/// The runs so far.
pub(super) struct Course<'p> {
    battery: Battery,
    threads: NonZero<usize>,
    progress: &'p mut dyn Progress,
    /// The situations with the present candidates.
    situations: BTreeMap<SituationKey, Situation>,
    figures: Figures,
    /// How many more there may be, the next ones among them.
    pub(super) to_come: usize,
    /// How many runs have been carried out.
    pub(super) runs: usize,
    /// How many requests were counted in them.
    pub(super) requests: u64,
}

impl<'p> Course<'p> {
    pub(super) fn new(
        battery: Battery,
        threads: NonZero<usize>,
        progress: &'p mut dyn Progress,
    ) -> Self {
        Self {
            battery,
            threads,
            progress,
            situations: BTreeMap::new(),
            figures: Figures::new(),
            to_come: 0,
            runs: 0,
            requests: 0,
        }
    }

    /// Adds candidates, as many as a scenario may have, and returns them. A label that is there
    /// already gets a number.
    pub(super) fn add(&mut self, candidates: Vec<Table>) -> Vec<Table> {
        let room = MOST_POLICIES.saturating_sub(self.battery.labels().len());
        let mut added = Vec::new();
        for mut candidate in candidates.into_iter().take(room) {
            let known = self.battery.labels();
            let wanted = label(&candidate).to_owned();
            let numbered = (2..).map(|number| format!("{wanted}-{number}"));
            let free = [wanted.clone()].into_iter().chain(numbered).find(|l| !known.contains(l));
            if let Some(free) = free.filter(|free| *free != wanted) {
                candidate.insert("label".to_owned(), free.into());
            }
            self.battery.add(candidate.clone().into());
            added.push(candidate);
        }
        // They are made anew, with these candidates.
        self.situations.clear();
        added
    }

    /// The situation with all candidates.
    pub(super) fn situation(&mut self, key: SituationKey) -> Result<&Situation, RecommendError> {
        if !self.situations.contains_key(&key) {
            let made = self.battery.situation(key.0, key.1).map_err(RecommendError::Situation)?;
            self.situations.insert(key, made);
        }
        Ok(&self.situations[&key])
    }

    /// Carries out those of the runs of `policies` in `situations` with `seeds` that there are none
    /// of yet.
    pub(super) fn run(
        &mut self,
        stage: &str,
        situations: &[SituationKey],
        policies: &[String],
        seeds: &[u64],
    ) -> Result<(), RecommendError> {
        let places = situations
            .iter()
            .flat_map(|key| policies.iter().map(|policy| (*key, policy.clone())))
            .collect();
        self.run_in(stage, &places, seeds)
    }

    /// The same for these policies, each in its own situations.
    pub(super) fn run_in(
        &mut self,
        stage: &str,
        wanted: &BTreeSet<RunPlace>,
        seeds: &[u64],
    ) -> Result<(), RecommendError> {
        for (key, _) in wanted {
            self.situation(*key)?;
        }
        let mut places = Vec::new();
        let mut runs = Vec::new();
        for place in wanted {
            let scenario = &self.situations[&place.0].file.scenario;
            let policy = scenario.policies.iter().find(|policy| policy.label == place.1);
            let known = self.figures.get(place);
            let is_new = |seed: &&u64| known.is_none_or(|known| !known.contains_key(*seed));
            for seed in seeds.iter().filter(is_new) {
                let Some(policy) = policy else { continue };
                runs.push(Run { scenario, policy, seed: *seed, detail: RunDetail::Phases });
                places.push((place.clone(), *seed));
            }
        }
        if runs.is_empty() {
            return Ok(());
        }
        self.to_come = self.to_come.saturating_sub(runs.len());
        self.progress.begin(stage, &runs, self.to_come);
        let (progress, figures) = (&mut *self.progress, &mut self.figures);
        let mut done = 0;
        let ended = run_each(
            &runs,
            EngineKind::Event,
            self.threads,
            |news| progress.update(news),
            |run, record| {
                let (place, seed) = places[run].clone();
                figures.entry(place).or_default().insert(seed, RunFigures::of(&record));
                done += 1;
            },
        );
        self.progress.end();
        self.runs += done;
        ended.map_err(RecommendError::Run)?;
        if done < runs.len() {
            return Err(RecommendError::Interrupted { so_far: None });
        }
        let new = places.iter().map(|(place, seed)| &self.figures[place][seed]);
        self.requests += new.map(|run| run.requests.sent).sum::<u64>();
        Ok(())
    }

    /// The figures of a policy in a situation, by seed.
    pub(super) fn figures(
        &self,
        key: SituationKey,
        policy: &str,
    ) -> Option<&BTreeMap<u64, RunFigures>> {
        self.figures.get(&(key, policy.to_owned()))
    }

    /// The share of requests that were answered in a situation under a policy, over all runs with
    /// these seeds; 0 if there are none.
    pub(super) fn answered(&self, key: SituationKey, policy: &str, seeds: &[u64]) -> f64 {
        let mut requests = OutcomeCounts::default();
        let runs = self.figures(key, policy).into_iter().flatten();
        let counted = runs.filter(|(seed, _)| seeds.contains(seed));
        counted.for_each(|(_, run)| requests.merge(&run.requests));
        requests.answered as f64 / requests.sent.max(1) as f64
    }

    /// Every situation and policy of which there are runs.
    pub(super) fn all(
        &self,
    ) -> impl Iterator<Item = (SituationKey, &str, &BTreeMap<u64, RunFigures>)> {
        self.figures.iter().map(|((key, policy), runs)| (*key, &**policy, runs))
    }

    /// The policies as they take part in a ranking over several situations, each of which counts
    /// the same: the share of answered requests is the mean over the situations, a latency the
    /// geometric mean. Only runs with these seeds count.
    pub(super) fn entrants<'a>(
        &self,
        situations: &[SituationKey],
        policies: &'a [String],
        seeds: &[u64],
    ) -> Vec<Entrant<'a>> {
        let entrant = |policy: &'a String| {
            let runs_with = |seed: &u64| -> Vec<&RunFigures> {
                let of = |key: &SituationKey| self.figures(*key, policy)?.get(seed);
                situations.iter().filter_map(of).collect()
            };
            let runs: Vec<(u64, Vec<&RunFigures>)> =
                seeds.iter().map(|seed| (*seed, runs_with(seed))).collect();
            let all = || runs.iter().flat_map(|(_, runs)| runs);
            let probes: Option<u64> = all().map(|run| run.probes).sum();
            let mut requests = OutcomeCounts::default();
            all().for_each(|run| requests.merge(&run.requests));
            let whole = |(seed, runs): &(u64, Vec<&RunFigures>)| {
                (runs.len() == situations.len()).then(|| (*seed, over_all(runs)))
            };
            Entrant {
                label: policy,
                by_seed: runs.iter().filter_map(whole).collect(),
                probes: per_request(probes, &requests),
                causes: Causes::of_all(all().map(|run| &run.causes)),
                is_bound: false,
            }
        };
        policies.iter().map(entrant).collect()
    }

    /// By which figure `better` is better than `other` over these situations; `None` if by none.
    pub(super) fn advantage(
        &self,
        better: &str,
        other: &str,
        situations: &[SituationKey],
        seeds: &[u64],
    ) -> Option<PairedFigure> {
        let names = [better.to_owned(), other.to_owned()];
        let both = self.entrants(situations, &names, seeds);
        let ranking = Ranking::of(self.objective(), &both);
        let is_better = better != other && ranking.winner() == Some(0);
        ranking.first?.lead?.figure.filter(|_| is_better)
    }

    /// The objective of the scenario.
    pub(super) fn objective(&self) -> &Objective {
        self.battery.objective()
    }

    /// The situations in which a run violated an oracle.
    pub(super) fn violated(&self) -> BTreeSet<SituationKey> {
        let violates =
            |runs: &BTreeMap<u64, RunFigures>| runs.values().any(|run| !run.violations.is_empty());
        self.figures.iter().filter(|(_, runs)| violates(runs)).map(|((key, _), _)| *key).collect()
    }

    /// The oracles that runs violated, each with a run that shows it.
    pub(super) fn violations(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        for ((key, policy), runs) in &self.figures {
            for (seed, run) in runs {
                found.extend(run.violations.iter().map(|violated| {
                    format!("{} ({}-{}.toml, {policy}, seed {seed})", violated.oracle, key.0, key.1)
                }));
            }
        }
        found
    }
}

/// The figures of runs in several situations as those of one run, with as many requests as all of
/// them. Runs without requests are left out.
fn over_all(runs: &[&RunFigures]) -> MeasuredFigures {
    let met: Vec<&&RunFigures> = runs.iter().filter(|run| run.requests.sent > 0).collect();
    let count = met.len().max(1) as f64;
    let sent: u64 = met.iter().map(|run| run.requests.sent).sum();
    let mean = |part: fn(&OutcomeCounts) -> u64, most: u64| {
        let share = |run: &&&RunFigures| part(&run.requests) as f64 / run.requests.sent as f64;
        let part = sent as f64 * met.iter().map(share).sum::<f64>() / count;
        (part.round() as u64).min(most)
    };
    let answered = mean(|requests| requests.answered, sent);
    let refused = mean(|requests| requests.refused, sent - answered);
    let lost = mean(|requests| requests.lost, sent - answered - refused);
    let timed_out = sent - answered - refused - lost;
    let requests = OutcomeCounts { sent, answered, refused, timed_out, lost };
    let latency_ns = Latencies::from_fn(|figure| {
        let log = |run: &&&RunFigures| {
            libm::log(run.latency.get(figure).unwrap_or_default().max(1) as f64)
        };
        libm::exp(met.iter().map(log).sum::<f64>() / count) as u64
    });
    MeasuredFigures { requests, latency_ns }
}

/// The labels of these policies.
pub(super) fn labels(policies: &[Table]) -> Vec<String> {
    policies.iter().map(|policy| label(policy).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example::small;

    /// Each situation counts the same, however many requests it has, and each fate is its own.
    #[test]
    fn fates_are_means_over_situations() {
        let run = |[answered, refused, timed_out, lost]: [u64; 4]| RunFigures {
            requests: OutcomeCounts {
                sent: answered + refused + timed_out + lost,
                answered,
                refused,
                timed_out,
                lost,
            },
            ..RunFigures::of(&small().runs[0])
        };
        let runs = [run([10, 0, 0, 0]), run([40, 30, 0, 20]), run([0, 0, 0, 0])];
        let OutcomeCounts { sent, answered, refused, timed_out, lost } =
            over_all(&runs.each_ref()).requests;
        assert_eq!(sent, 100);
        // (1 + 4/9) / 2, (3/9) / 2 and (2/9) / 2 of them; none timed out but by rounding.
        assert_eq!([answered, refused, timed_out, lost], [72, 17, 0, 11]);
    }
}
