//! Minimization: a failing scenario is made smaller as long as it fails in the same way. It gets
//! fewer faults, agents, links and requests, and a shorter duration.
//!
//! Each pass proposes smaller scenarios. One that passes the checks and fails with the same
//! [`Defect`] takes the place of the smallest so far. Passes repeat until none finds a smaller
//! scenario, so no single proposal could make the result smaller. The result is a function of the
//! scenario, the defect and the limit on tries; it does not depend on the number of threads.

mod ddmin;
mod passes;
mod places;
#[cfg(test)]
mod tests;
mod workload;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::ControlFlow;

use crate::engine::{Run, RunDetail};
use crate::parallel::in_order;
use crate::run_failure::{Defect, RunFailure, judge};
use crate::scenario::{Draft, EngineKind, Scenario, ScenarioFile};

/// Which failing run of a scenario to minimize.
#[derive(Clone, Debug)]
pub struct MinimizeTarget {
    /// The label of the run's policy.
    pub policy: String,
    /// The seed of the run.
    pub seed: u64,
    /// The engine that carries it out.
    pub engine: EngineKind,
    /// The way in which smaller scenarios must fail too; `None`: in the way of the run's first
    /// failure.
    pub defect: Option<Defect>,
}

/// How much work to spend on a minimization.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// The number of threads on which smaller scenarios are run.
    pub threads: NonZero<usize>,
    /// The most scenarios to run. After that many the smallest so far is the result.
    pub max_tries: usize,
}

/// A smaller scenario that was run, as a minimization reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TriedScenario<'a> {
    /// The number of scenarios that have been run, this one included.
    pub tries: usize,
    /// What is smaller in it, in words: "2 of 3 faults".
    pub what: &'a str,
    /// Whether it still fails in the same way, so that it takes the place of the smallest so far.
    pub kept: bool,
}

/// The smallest scenario found that fails in the same way.
#[derive(Clone, Debug)]
pub struct MinimalScenario {
    /// The scenario as data that can be written to a file.
    pub draft: Draft,
    /// The checked scenario.
    pub scenario: Scenario,
    /// The failure of its run.
    pub failure: RunFailure,
    /// The number of scenarios that were run to find it.
    pub tries: usize,
}

/// Makes the failing run `target` of a scenario smaller. `progress` is called for each scenario
/// that was run. Returns `None` if `target` does not fail.
pub fn minimize(
    file: &ScenarioFile,
    target: &MinimizeTarget,
    effort: Effort,
    progress: &mut dyn FnMut(&TriedScenario<'_>),
) -> Option<MinimalScenario> {
    let draft = passes::one_run(file, target, None);
    let (scenario, failure) = fails(&draft, target, target.defect.as_ref())?;
    let defect = failure.defect.clone();
    let mut minimizer = Minimizer {
        best: MinimalScenario { draft, scenario, failure, tries: 1 },
        target,
        defect: &defect,
        effort,
        seen: BTreeSet::new(),
        progress,
    };
    minimizer.one_threshold(file);
    loop {
        let before = minimizer.best.draft.clone();
        minimizer.all_passes();
        if minimizer.best.draft == before || minimizer.is_over() {
            return Some(minimizer.best);
        }
    }
}

/// A proposal: a smaller scenario that takes the place of the best so far if it fails.
struct SmallerScenario {
    /// What is smaller in it, as in [`TriedScenario::what`].
    what: String,
    draft: Draft,
}

/// The state of one minimization. [`passes`], [`places`] and [`workload`] have the methods that
/// propose smaller scenarios.
struct Minimizer<'a> {
    /// The smallest failing scenario so far.
    best: MinimalScenario,
    target: &'a MinimizeTarget,
    defect: &'a Defect,
    effort: Effort,
    /// The texts of the scenarios that have been run. No text is run twice.
    seen: BTreeSet<String>,
    progress: &'a mut dyn FnMut(&TriedScenario<'_>),
}

impl Minimizer<'_> {
    fn is_over(&self) -> bool {
        self.best.tries >= self.effort.max_tries
    }

    /// Runs candidates until one fails in the same way. That one becomes the best so far; its
    /// position is returned.
    fn first_failing(&mut self, candidates: &[SmallerScenario]) -> Option<usize> {
        let fresh: Vec<(usize, &SmallerScenario)> = candidates
            .iter()
            .enumerate()
            .filter(|(_, candidate)| candidate.draft != self.best.draft)
            .filter(|(_, candidate)| self.seen.insert(candidate.draft.text()))
            .filter(|(_, candidate)| is_sound(&candidate.draft, self.target.engine))
            .take(self.effort.max_tries.saturating_sub(self.best.tries))
            .collect();
        let mut found = None;
        let (target, defect) = (self.target, self.defect);
        in_order(
            self.effort.threads,
            |number| number < fresh.len(),
            |number| fails(&fresh[number].1.draft, target, Some(defect)),
            |number, result| {
                let (index, SmallerScenario { what, draft }) = fresh[number];
                self.best.tries += 1;
                let kept = result.is_some();
                (self.progress)(&TriedScenario { tries: self.best.tries, what, kept });
                let Some((scenario, failure)) = result else { return ControlFlow::Continue(()) };
                let (draft, tries) = (draft.clone(), self.best.tries);
                self.best = MinimalScenario { draft, scenario, failure, tries };
                found = Some(index);
                ControlFlow::Break(())
            },
        );
        // Candidates after the one that was found have not been tried, so they may be tried later.
        if let Some(found) = found {
            for (_, candidate) in fresh.iter().filter(|(index, _)| *index > found) {
                self.seen.remove(&candidate.draft.text());
            }
        }
        found
    }
}

/// Whether a draft passes all checks of scenario files and of the engine.
fn is_sound(draft: &Draft, engine: EngineKind) -> bool {
    draft.check("").is_ok_and(|file| file.check_engine(engine).is_ok())
}

/// Runs a draft. Returns its scenario and the first failure with this defect, or with any if
/// `defect` is `None`.
fn fails(
    draft: &Draft,
    target: &MinimizeTarget,
    defect: Option<&Defect>,
) -> Option<(Scenario, RunFailure)> {
    let scenario = draft.check("").ok()?.scenario;
    let policy = scenario.policies.iter().find(|policy| policy.label == target.policy)?;
    let run = Run { scenario: &scenario, policy, seed: target.seed, detail: RunDetail::Figures };
    let mut failures = judge(&run, target.engine).failures.into_iter();
    let failure = failures.find(|failure| defect.is_none_or(|defect| failure.defect == *defect))?;
    Some((scenario, failure))
}
