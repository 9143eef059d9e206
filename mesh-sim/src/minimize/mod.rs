//! A failing scenario made small: fewer faults, agents, links and requests, and less time, as long
//! as it fails in the same way.
//!
//! Each pass proposes smaller scenarios; one that passes the checks and fails with the same
//! [`Defect`] takes the place of the one before. Passes repeat until none finds anything, so the
//! result is minimal with respect to every single proposal. It is a function of the scenario, the
//! defect and the limit on tries, whatever the number of threads.

mod agents;
mod ddmin;
mod passes;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::num::NonZero;
use std::ops::ControlFlow;

use crate::engine::Run;
use crate::failure::{Defect, Failure, judge};
use crate::parallel::in_order;
use crate::scenario::{Draft, EngineKind, Loaded, Scenario};

/// What to minimize.
#[derive(Clone, Debug)]
pub struct Target {
    /// Label of the policy.
    pub policy: String,
    /// The seed.
    pub seed: u64,
    /// The engine.
    pub engine: EngineKind,
    /// How it fails; `None`: as it does first.
    pub defect: Option<Defect>,
}

/// How to go about it.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Smaller scenarios are run on so many threads.
    pub threads: NonZero<usize>,
    /// After so many of them, the smallest so far is it.
    pub max_tries: usize,
}

/// News of one smaller scenario that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step<'a> {
    /// How many have been run, this one included.
    pub tries: usize,
    /// What was left out or made smaller.
    pub what: &'a str,
    /// It still fails, so it is kept.
    pub kept: bool,
}

/// A small scenario that fails.
#[derive(Clone, Debug)]
pub struct Minimal {
    /// Its file as data.
    pub draft: Draft,
    /// What it means.
    pub scenario: Scenario,
    /// How it fails.
    pub failure: Failure,
    /// How many scenarios were run to find it.
    pub tries: usize,
}

/// Shrinks what `target` says of a scenario; `None` if that does not fail.
pub fn minimize(
    loaded: &Loaded,
    target: &Target,
    effort: Effort,
    news: &mut dyn FnMut(&Step<'_>),
) -> Option<Minimal> {
    let draft = passes::one_run(loaded, target, None);
    let (scenario, failure) = fails(&draft, target, target.defect.as_ref())?;
    let defect = failure.defect.clone();
    let mut search = Search {
        best: Minimal { draft, scenario, failure, tries: 1 },
        target,
        defect: &defect,
        effort,
        seen: BTreeSet::new(),
        news,
    };
    search.one_threshold(loaded);
    loop {
        let before = search.best.draft.clone();
        search.all_passes();
        if search.best.draft == before || search.is_over() {
            return Some(search.best);
        }
    }
}

/// A scenario that may take the place of the best so far.
struct Candidate {
    what: String,
    draft: Draft,
}

struct Search<'a> {
    best: Minimal,
    target: &'a Target,
    defect: &'a Defect,
    effort: Effort,
    /// Texts that have been run; no text is run twice.
    seen: BTreeSet<String>,
    news: &'a mut dyn FnMut(&Step<'_>),
}

impl Search<'_> {
    fn is_over(&self) -> bool {
        self.best.tries >= self.effort.max_tries
    }

    /// The first candidate that fails in the same way becomes the best; says which it was.
    fn first_failing(&mut self, candidates: &[Candidate]) -> Option<usize> {
        let fresh: Vec<(usize, &Candidate)> = candidates
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
                let (index, Candidate { what, draft }) = fresh[number];
                self.best.tries += 1;
                let kept = result.is_some();
                (self.news)(&Step { tries: self.best.tries, what, kept });
                let Some((scenario, failure)) = result else { return ControlFlow::Continue(()) };
                let (draft, tries) = (draft.clone(), self.best.tries);
                self.best = Minimal { draft, scenario, failure, tries };
                found = Some(index);
                ControlFlow::Break(())
            },
        );
        // Those behind the one that was found have not been tried.
        if let Some(found) = found {
            for (_, candidate) in fresh.iter().filter(|(index, _)| *index > found) {
                self.seen.remove(&candidate.draft.text());
            }
        }
        found
    }
}

/// Whether it passes the checks.
fn is_sound(draft: &Draft, engine: EngineKind) -> bool {
    draft.load("").is_ok_and(|loaded| loaded.check_engine(engine).is_ok())
}

/// Runs a draft: what it means and its failure, if it fails in this way, or in any without one.
fn fails(draft: &Draft, target: &Target, defect: Option<&Defect>) -> Option<(Scenario, Failure)> {
    let scenario = draft.load("").ok()?.scenario;
    let policy = scenario.policies.iter().find(|policy| policy.label == target.policy)?;
    let run = Run { scenario: &scenario, policy, seed: target.seed, trace: false };
    let mut failures = judge(&run, target.engine).failures.into_iter();
    let failure = failures.find(|failure| defect.is_none_or(|defect| failure.defect == *defect))?;
    Some((scenario, failure))
}
