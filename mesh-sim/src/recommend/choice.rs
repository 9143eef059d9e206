//! The stages of a recommendation: screening, selection, modifiers, tuning, loads, confirmation.

use std::num::NonZero;
use std::ops::RangeInclusive;
use std::time::Duration;

use mesh_core::text::find_name;
use toml::{Table, Value};

use super::candidates::{MODIFIERS, Modified, candidates, label, with_modifiers};
use super::course::{Course, Progress, SituationKey, labels};
use super::findings::{Eliminated, Merit, ModifierEffect, Recommendation};
use super::outlook::ContestPart;
use super::reasons::TriedModifier;
use super::situations::{AS_WRITTEN, Battery, RunLength};
use super::{RecommendError, tune};
use crate::judge::{Ranking, clearly_worse};
use crate::scenario::{ScenarioFile, find_label};

/// What the user asks for.
#[derive(Clone, Debug, Default)]
pub struct RecommendSpec {
    /// The labels of the policies to compare; empty: those of the file and all built-in ones.
    pub policies: Vec<String>,
    /// The names of the modifiers to try; empty: all.
    pub modifiers: Vec<String>,
    /// The policy that is deployed today; it is compared to the end.
    pub current: Option<String>,
    /// Fewer seeds and shorter runs, for a first look.
    pub is_quick: bool,
    /// Whether parameters are searched, too.
    pub tunes: bool,
}

impl RecommendSpec {
    /// The same with the labels and names that these words stand for.
    fn understood(&self, file: &ScenarioFile) -> Result<Self, String> {
        let all = candidates(file, &[]);
        let policy =
            |wanted: &String| find_label(wanted, all.iter().map(label), "here").map(str::to_owned);
        let policies = self.policies.iter().map(policy).collect::<Result<_, _>>()?;
        let current = self.current.as_ref().map(policy).transpose()?;
        let known: Vec<&str> = MODIFIERS.iter().map(|modifier| modifier.name).collect();
        let modifier = |name: &String| match find_name(name, &known) {
            Some(known) => Ok(known.to_owned()),
            None => Err(format!("no modifier `{name}`; there are: {}", known.join(", "))),
        };
        let modifiers = self.modifiers.iter().map(modifier).collect::<Result<_, _>>()?;
        Ok(Self { policies, modifiers, current, ..self.clone() })
    }
}

/// How thorough a recommendation is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Thoroughness {
    /// Every candidate runs with these seeds.
    pub(super) screening: u64,
    /// What is left runs with so many, screening included.
    pub(super) selection: u64,
    /// The finalists run with so many others.
    confirmation: u64,
    length: RunLength,
    /// The loads at which every trouble is tried, in percent of the scenario's.
    loads: &'static [u32],
    /// The loads at which it is tried how much the mesh carries.
    ladder: &'static [u32],
}

impl Thoroughness {
    /// The seeds of the screening, the selection and the confirmation.
    pub(super) fn seeds(&self) -> [u64; 3] {
        [self.screening, self.selection, self.confirmation]
    }

    /// The numbers of other loads: with every trouble, and with none.
    pub(super) fn rungs(&self) -> [usize; 2] {
        [self.loads.len(), self.ladder.len()]
    }
}

const FULL: Thoroughness = Thoroughness {
    screening: 5,
    selection: 10,
    confirmation: 10,
    length: RunLength { requests: 1_000.0, span: Duration::from_secs(30), most_requests: 3_000.0 },
    loads: &[50, 75, 125, 150],
    ladder: &[200, 300, 400, 600, 800],
};

const QUICK: Thoroughness = Thoroughness {
    screening: 5,
    selection: 5,
    confirmation: 5,
    length: RunLength { requests: 300.0, span: Duration::from_secs(15), most_requests: 1_000.0 },
    loads: &[],
    ladder: &[125, 150, 200, 300, 400],
};

/// The load of the scenario itself.
pub(super) const OWN_LOAD: u32 = 100;
/// The first seed of the confirmation: the choice has not seen it.
const CONFIRMATION: u64 = 1_001;
/// The choice is made anew at most so often, less one, because other seeds contradict it.
const ROUNDS: usize = 3;
/// A mesh is saturated if a smaller share of the requests is answered.
pub(super) const SATURATED: f64 = 0.95;

/// Finds the policy to recommend for the scenario in `file`.
///
/// # Errors
/// See [`RecommendError`].
pub fn recommend(
    file: &ScenarioFile,
    spec: &RecommendSpec,
    threads: NonZero<usize>,
    progress: &mut dyn Progress,
) -> Result<Recommendation, RecommendError> {
    let spec = &spec.understood(file).map_err(RecommendError::Policy)?;
    let mut wanted = spec.policies.clone();
    // The current policy is one of those that are wanted.
    wanted.extend(spec.current.iter().filter(|_| !spec.policies.is_empty()).cloned());
    let field = candidates(file, &wanted);
    let thoroughness = if spec.is_quick { QUICK } else { FULL };
    let battery = Battery::new(file, thoroughness.length, Vec::new());
    let (troubles, left_out) = battery.troubles();
    let mut contest = Contest {
        file,
        spec,
        thoroughness,
        troubles,
        course: Course::new(battery, threads, progress),
        field: Vec::new(),
        eliminated: Vec::new(),
        tried: Vec::new(),
        unconfirmed: Vec::new(),
        left_out: left_out.iter().map(|(name, why)| format!("{name}: {why}")).collect(),
    };
    contest.enter(field);
    match contest.hold() {
        Ok(found) => Recommendation::of(contest, found),
        Err(RecommendError::Interrupted { .. }) => {
            Err(RecommendError::Interrupted { so_far: contest.so_far() })
        }
        Err(error) => Err(error),
    }
}

/// What the confirmation has found, with the finalists as the field.
pub(super) struct Confirmed {
    pub(super) ranking: Ranking,
    /// The seeds of the choice.
    pub(super) seen: Vec<u64>,
    /// Those of the confirmation.
    pub(super) fresh: Vec<u64>,
    pub(super) modifiers: Vec<ModifierEffect>,
    pub(super) eliminated: Vec<Eliminated>,
    pub(super) merit: Option<Merit>,
}

/// The state of a recommendation.
pub(super) struct Contest<'a> {
    pub(super) file: &'a ScenarioFile,
    pub(super) spec: &'a RecommendSpec,
    pub(super) thoroughness: Thoroughness,
    /// The troubles, that of the file among them.
    pub(super) troubles: Vec<&'static str>,
    pub(super) course: Course<'a>,
    /// The candidates that are left.
    pub(super) field: Vec<Table>,
    /// Those that are not, in the order in which they fell out.
    pub(super) eliminated: Vec<Table>,
    /// The policies that were tried with modifiers.
    pub(super) tried: Vec<TriedModifier>,
    /// The policies that nothing tells from the finalists, but that are not among them.
    pub(super) unconfirmed: Vec<Table>,
    /// The troubles and modifiers that make no sense for the scenario, each with the reason.
    pub(super) left_out: Vec<String>,
}

impl Contest<'_> {
    /// At most so many policies are confirmed, and the current one beside them.
    pub(super) const FINALISTS: usize = 4;
    /// So many policies are tried with modifiers and tuned.
    pub(super) const IMPROVED: usize = 2;

    fn enter(&mut self, candidates: Vec<Table>) {
        let added = self.course.add(candidates);
        self.field.extend(added);
    }

    fn hold(&mut self) -> Result<Confirmed, RecommendError> {
        let Thoroughness { screening, selection, .. } = self.thoroughness;
        self.course.to_come = self.most_runs_from(ContestPart::Screening);
        self.stage("screening", 1..=screening)?;
        if selection > screening {
            self.course.to_come = self.most_runs_from(ContestPart::Selection);
            self.stage("selection", 1..=selection)?;
        }
        if self.course.requests == 0 {
            return Err(RecommendError::NoRequests);
        }
        self.improve(selection)?;
        self.confirm(selection)
    }

    /// The situations at the scenario's own load.
    pub(super) fn own_situations(&self) -> Vec<SituationKey> {
        self.troubles.iter().map(|trouble| (*trouble, OWN_LOAD)).collect()
    }

    /// Runs what is left of the field with these seeds, and eliminates what is clearly worse.
    fn stage(&mut self, name: &str, seeds: RangeInclusive<u64>) -> Result<(), RecommendError> {
        let seeds: Vec<u64> = seeds.collect();
        let situations = self.own_situations();
        self.course.run(name, &situations, &labels(&self.field), &seeds)?;
        self.eliminate(&seeds);
        Ok(())
    }

    /// Eliminates the policies that are clearly worse over all situations, unless one is clearly the
    /// best in some situation.
    fn eliminate(&mut self, seeds: &[u64]) {
        let labels = labels(&self.field);
        let situations = self.own_situations();
        let objective = self.course.objective();
        let overall = self.course.entrants(&situations, &labels, seeds);
        let mut is_out = clearly_worse(objective, &overall);
        for situation in situations {
            let here = self.course.entrants(&[situation], &labels, seeds);
            if let Some(winner) = Ranking::of(objective, &here).winner() {
                is_out[winner] = false;
            }
        }
        let mut is_out = is_out.into_iter();
        let current = self.spec.current.as_deref();
        let (out, left) = std::mem::take(&mut self.field).into_iter().partition(|policy| {
            is_out.next().unwrap_or_default() && current != Some(label(policy))
        });
        self.field = left;
        self.eliminated.extend::<Vec<Table>>(out);
    }

    /// What is left of the field, the best over all situations first.
    fn ranked(&self, seeds: &[u64]) -> Vec<Table> {
        let order = self.ranking(seeds).order;
        order.into_iter().map(|index| self.field[index].clone()).collect()
    }

    /// Tries the best policies with modifiers and, if asked for, with other parameters.
    fn improve(&mut self, selection: u64) -> Result<(), RecommendError> {
        let seeds: Vec<u64> = (1..=selection).collect();
        let best: Vec<Table> = self.ranked(&seeds).into_iter().take(Self::IMPROVED).collect();
        if self.spec.tunes {
            self.course.to_come = self.most_runs_from(ContestPart::Tuning);
            // The course knows them already.
            let tuned = tune::tune(self, &best)?;
            let situations = self.own_situations();
            let names: Vec<String> =
                tuned.iter().map(|(table, _)| label(table).to_owned()).collect();
            self.course.run("tuned policies", &situations, &names, &seeds)?;
            for (table, base) in tuned {
                let gain = self.course.advantage(label(&table), &base, &situations, &seeds);
                self.field.extend(gain.map(|_| table));
            }
            self.eliminate(&seeds);
        }
        self.modify(&seeds)
    }

    /// Tries the best policies with modifiers. One that makes no policy better is dropped: it would
    /// be one more thing to operate.
    fn modify(&mut self, seeds: &[u64]) -> Result<(), RecommendError> {
        let best: Vec<Table> = self.ranked(seeds).into_iter().take(Self::IMPROVED).collect();
        let (modified, left_out) = with_modifiers(&self.file.scenario, &best, &self.spec.modifiers);
        self.left_out.extend(left_out.iter().map(|(name, why)| format!("{name}: {why}")));
        let tables: Vec<Table> = modified.iter().map(|with| with.table.clone()).collect();
        let tables = self.course.add(tables);
        self.course.to_come = self.most_runs_from(ContestPart::Modifiers);
        let situations = self.own_situations();
        self.course.run("modifiers", &situations, &labels(&tables), seeds)?;
        for (table, Modified { base, modifier, .. }) in tables.into_iter().zip(modified) {
            let with = label(&table).to_owned();
            let better = |better: &str, other: &str| {
                self.course.advantage(better, other, &situations, seeds).is_some()
            };
            let is_better = better(&with, &base);
            let is_shown = is_better || better(&base, &with);
            self.tried.push(TriedModifier { modifier, with, base, is_shown });
            self.field.extend(is_better.then_some(table));
        }
        self.eliminate(seeds);
        Ok(())
    }

    /// Runs the finalists at other loads, each policy until it is saturated.
    fn loads(&mut self, seeds: &[u64]) -> Result<(), RecommendError> {
        let Thoroughness { loads, ladder, .. } = self.thoroughness;
        let mut policies = labels(&self.field);
        self.course.to_come = self.most_runs_from(ContestPart::Loads);
        for (load, with_troubles) in
            loads.iter().map(|load| (*load, true)).chain(ladder.iter().map(|load| (*load, false)))
        {
            let stage = format!("{load} % of the load");
            let calm = (self.troubles[0], load);
            // A multiple of the load may be more than a scenario may have.
            if self.course.situation(calm).is_err() {
                break;
            }
            self.course.run(&stage, &[calm], &policies, seeds)?;
            policies.retain(|policy| self.course.answered(calm, policy, seeds) >= SATURATED);
            if policies.is_empty() {
                break;
            }
            if with_troubles {
                let troubles = self.troubles.iter().filter(|trouble| **trouble != AS_WRITTEN);
                let situations: Vec<SituationKey> = troubles.map(|name| (*name, load)).collect();
                self.course.run(&stage, &situations, &policies, seeds)?;
            }
        }
        Ok(())
    }

    /// Chooses the policies that are compared to the end: the best, at least two if there are two,
    /// and the policy that is deployed today.
    fn nominate(&mut self, seen: &[u64]) {
        if self.field.len() == 1 && !self.eliminated.is_empty() {
            let names = labels(&self.eliminated);
            let screening: Vec<u64> = (1..=self.thoroughness.screening).collect();
            let overall = self.course.entrants(&self.own_situations(), &names, &screening);
            let order = Ranking::of(self.course.objective(), &overall).order;
            let second = order.first().map(|index| self.eliminated.remove(*index));
            self.field.extend(second);
        }
        let ranked = self.ranked(seen);
        let current = self.spec.current.as_deref();
        let is_final = |(place, policy): &(usize, Table)| {
            *place < Self::FINALISTS || current == Some(label(policy))
        };
        let (finalists, others): (Vec<_>, Vec<_>) =
            ranked.into_iter().enumerate().partition(is_final);
        self.field = finalists.into_iter().map(|(_, policy)| policy).collect();
        self.unconfirmed = others.into_iter().map(|(_, policy)| policy).collect();
    }

    /// Runs the finalists with seeds that the choice has not seen. If these contradict the choice, it
    /// is made again with all seeds so far, and confirmed with others.
    fn confirm(&mut self, selection: u64) -> Result<Confirmed, RecommendError> {
        let mut seen: Vec<u64> = (1..=selection).collect();
        self.nominate(&seen);
        let situations = self.own_situations();
        let mut first = CONFIRMATION;
        for round in 1.. {
            let fresh: Vec<u64> = (first..first + self.thoroughness.confirmation).collect();
            self.course.to_come = self.most_runs_from(ContestPart::Confirmation);
            self.course.run("confirmation", &situations, &labels(&self.field), &fresh)?;
            let ranking = self.ranking(&fresh);
            let holds = ranking.first.as_ref().is_none_or(|first| first.best.contains(&0));
            if holds || round == ROUNDS {
                self.put_in_order(&ranking);
                self.loads(&fresh)?;
                let ranking = self.ranking(&fresh);
                return self.explain(ranking, seen, fresh);
            }
            seen.extend(fresh);
            first += self.thoroughness.confirmation;
            self.field = self.ranked(&seen);
        }
        unreachable!("the last round returns")
    }

    /// Measures the reasons for the choice.
    fn explain(
        &mut self,
        ranking: Ranking,
        seen: Vec<u64>,
        fresh: Vec<u64>,
    ) -> Result<Confirmed, RecommendError> {
        let choice = label(&self.field[0]).to_owned();
        self.course.to_come = self.most_runs_from(ContestPart::Reasons);
        let has_winner = ranking.winner().is_some();
        let merit = if has_winner { None } else { self.merit(&choice, &fresh)? };
        let modifiers = self.effects(&fresh)?;
        let eliminated = self.reasons(&choice, &seen, &fresh)?;
        Ok(Confirmed { ranking, seen, fresh, modifiers, eliminated, merit })
    }

    /// The ranking of what is left of the field, over all situations.
    fn ranking(&self, seeds: &[u64]) -> Ranking {
        let names = labels(&self.field);
        let overall = self.course.entrants(&self.own_situations(), &names, seeds);
        Ranking::of(self.course.objective(), &overall)
    }

    /// Puts the finalists in the order of the confirmation, the choice first.
    fn put_in_order(&mut self, ranking: &Ranking) {
        let others = ranking.order.iter().filter(|index| **index != 0);
        let order = [0].into_iter().chain(others.copied());
        self.field = order.map(|index| self.field[index].clone()).collect();
    }
}

/// A policy's table as a line of a scenario file.
pub(super) fn as_toml(policy: &Table) -> String {
    Value::Table(policy.clone()).to_string()
}
