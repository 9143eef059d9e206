//! Runs every policy with every seed, side by side.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::{EngineError, Run};
use crate::parallel::{as_they_come, cores};
use crate::record::RunRecord;
use crate::scenario::{EngineKind, PolicySpec, Scenario};

/// What to run.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    /// The experiment, with the seeds and policies that shall be run.
    pub scenario: &'a Scenario,
    /// The engine.
    pub engine: EngineKind,
    /// Whether to keep a line for each event.
    pub trace: bool,
}

/// News of a run while it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Which of [`Plan::runs`].
    pub run: usize,
    /// How much time it has simulated.
    pub simulated: Duration,
    /// It is over.
    pub finished: bool,
}

impl<'a> Plan<'a> {
    /// Every policy with every seed, the seeds of a policy together.
    pub fn runs(&self) -> Vec<Run<'a>> {
        let run = |policy: &'a PolicySpec, seed| Run {
            scenario: self.scenario,
            policy,
            seed,
            trace: self.trace,
        };
        let seeds = &self.scenario.seeds;
        self.scenario
            .policies
            .iter()
            .flat_map(|policy| seeds.iter().map(move |seed| run(policy, *seed)))
            .collect()
    }

    /// Carries them out on all cores; records come in the order of [`Self::runs`].
    ///
    /// # Errors
    /// That of the first run, in this order, that broke down.
    pub fn execute(&self, progress: impl FnMut(Progress)) -> Result<Vec<RunRecord>, EngineError> {
        let runs = self.runs();
        let mut records: Vec<Option<RunRecord>> = Vec::new();
        records.resize_with(runs.len(), || None);
        stream(&runs, self.engine, cores(), progress, |run, record| records[run] = Some(record))?;
        Ok(records.into_iter().flatten().collect())
    }
}

/// Carries out `runs` on `threads` threads and hands over each record as soon as there is one, in
/// no certain order: no more than two records per thread exist at a time.
///
/// # Errors
/// That of the first of `runs` that broke down; those behind it may not have been carried out.
pub fn stream(
    runs: &[Run<'_>],
    engine: EngineKind,
    threads: NonZero<usize>,
    mut progress: impl FnMut(Progress),
    mut keep: impl FnMut(usize, RunRecord),
) -> Result<(), EngineError> {
    let halted = AtomicBool::new(false);
    let mut broken: Option<(usize, EngineError)> = None;
    let threads = NonZero::new(runs.len()).map_or(threads, |most| threads.min(most));
    as_they_come(
        threads,
        |run| run < runs.len() && !halted.load(Ordering::Relaxed),
        |run, send| {
            let ended = runs[run].execute(engine, &|simulated| send(News::Progress(simulated)));
            send(News::Ended(Box::new(ended)));
        },
        |run, news| {
            match news {
                News::Progress(simulated) => {
                    progress(Progress { run, simulated, finished: false });
                }
                News::Ended(ended) => match *ended {
                    Ok(record) => {
                        keep(run, record);
                        progress(Progress { run, simulated: Duration::ZERO, finished: true });
                    }
                    Err(error) => {
                        // Every run before this one has begun and will report: the first that
                        // breaks is the same on any number of threads.
                        halted.store(true, Ordering::Relaxed);
                        if broken.as_ref().is_none_or(|(first, _)| run < *first) {
                            broken = Some((run, error));
                        }
                    }
                },
            }
            ControlFlow::Continue(())
        },
    );
    broken.map_or(Ok(()), |(_, error)| Err(error))
}

enum News {
    Progress(Duration),
    Ended(Box<Result<RunRecord, EngineError>>),
}
