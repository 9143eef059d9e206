//! Runs every policy of a scenario with every seed, several runs at a time on several threads.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::engine::{EngineError, Run, RunDetail};
use crate::parallel::{as_they_come, cores};
use crate::record::RunRecord;
use crate::scenario::{EngineKind, PolicySpec, Scenario};

/// The runs of a scenario: every policy with every seed, in one engine.
#[derive(Clone, Copy, Debug)]
pub struct RunPlan<'a> {
    /// The scenario, with the seeds and policies to be run.
    pub scenario: &'a Scenario,
    /// The engine that carries them out.
    pub engine: EngineKind,
    /// Whether records keep the event log, one line per event.
    pub trace: bool,
}

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunProgress {
    /// The position of the run in [`RunPlan::runs`].
    pub run: usize,
    /// How much time the run has simulated; zero if it is over.
    pub simulated: Duration,
    /// Whether the run is over.
    pub finished: bool,
}

impl<'a> RunPlan<'a> {
    /// Every run, all seeds of the first policy first.
    pub fn runs(&self) -> Vec<Run<'a>> {
        let run = |policy: &'a PolicySpec, seed| Run {
            scenario: self.scenario,
            policy,
            seed,
            detail: if self.trace { RunDetail::Trace } else { RunDetail::Phases },
        };
        let seeds = &self.scenario.seeds;
        self.scenario
            .policies
            .iter()
            .flat_map(|policy| seeds.iter().map(move |seed| run(policy, *seed)))
            .collect()
    }

    /// Carries out all runs, on as many threads as there are cores. Records are returned in the
    /// order of [`Self::runs`].
    ///
    /// # Errors
    /// The error of the first run, in this order, that broke down.
    pub fn execute(
        &self,
        progress: impl FnMut(RunProgress),
    ) -> Result<Vec<RunRecord>, EngineError> {
        let runs = self.runs();
        let mut records: Vec<Option<RunRecord>> = Vec::new();
        records.resize_with(runs.len(), || None);
        run_each(&runs, self.engine, cores(), progress, |run, record| records[run] = Some(record))?;
        Ok(records.into_iter().flatten().collect())
    }
}

/// Carries out `runs` on `threads` threads and hands each record to `keep` as soon as its run is
/// over, with the run's position. The order is not certain. At most two records per thread exist at
/// a time.
///
/// # Errors
/// The error of the first of `runs` that broke down. Runs after it may not have been carried out.
pub fn run_each(
    runs: &[Run<'_>],
    engine: EngineKind,
    threads: NonZero<usize>,
    mut progress: impl FnMut(RunProgress),
    mut keep: impl FnMut(usize, RunRecord),
) -> Result<(), EngineError> {
    let halted = AtomicBool::new(false);
    let mut broken: Option<(usize, EngineError)> = None;
    let threads = NonZero::new(runs.len()).map_or(threads, |most| threads.min(most));
    as_they_come(
        threads,
        |run| run < runs.len() && !halted.load(Ordering::Relaxed),
        |run, send| {
            let ended =
                runs[run].execute(engine, &|simulated| send(RunMessage::Progress(simulated)));
            send(RunMessage::Ended(Box::new(ended)));
        },
        |run, news| {
            match news {
                RunMessage::Progress(simulated) => {
                    progress(RunProgress { run, simulated, finished: false });
                }
                RunMessage::Ended(ended) => match *ended {
                    Ok(record) => {
                        keep(run, record);
                        progress(RunProgress { run, simulated: Duration::ZERO, finished: true });
                    }
                    Err(error) => {
                        // Every run before this one has begun and will report too. So the first
                        // error is the same on any number of threads.
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

/// What a thread reports of the run that it carries out.
enum RunMessage {
    /// So much time has been simulated.
    Progress(Duration),
    /// The run is over.
    Ended(Box<Result<RunRecord, EngineError>>),
}
