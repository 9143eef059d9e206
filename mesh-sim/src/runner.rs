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
    /// What the records have beside their figures.
    pub detail: RunDetail,
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
            detail: self.detail,
        };
        let seeds = &self.scenario.seeds;
        self.scenario
            .policies
            .iter()
            .flat_map(|policy| seeds.iter().map(move |seed| run(policy, *seed)))
            .collect()
    }

    /// Carries out all runs, on as many threads as there are cores, seed by seed. Records are
    /// returned in the order of [`Self::runs`].
    ///
    /// If `progress` breaks, the runs under way are abandoned, and there are only the records of the
    /// seeds with which the runs of all policies have ended: they can be compared.
    ///
    /// # Errors
    /// The error of the first run, seed by seed, that broke down.
    pub fn execute(
        &self,
        mut progress: impl FnMut(RunProgress) -> ControlFlow<()>,
    ) -> Result<Vec<RunRecord>, EngineError> {
        let runs = self.runs();
        let seeds = self.scenario.seeds.len();
        // The positions of the runs, all policies with the first seed first.
        let order: Vec<usize> =
            (0..seeds).flat_map(|seed| (seed..runs.len()).step_by(seeds)).collect();
        let in_order: Vec<Run<'_>> = order.iter().map(|run| runs[*run]).collect();
        let mut records: Vec<Option<RunRecord>> = Vec::new();
        records.resize_with(runs.len(), || None);
        run_each(
            &in_order,
            self.engine,
            cores(),
            |news| progress(RunProgress { run: order[news.run], ..news }),
            |run, record| records[order[run]] = Some(record),
        )?;
        let is_complete: Vec<bool> = (0..seeds)
            .map(|seed| records.iter().skip(seed).step_by(seeds).all(Option::is_some))
            .collect();
        let records = records.into_iter().enumerate();
        Ok(records.filter(|(run, _)| is_complete[run % seeds]).filter_map(|(_, r)| r).collect())
    }
}

/// Carries out `runs` on `threads` threads and hands each record to `keep` as soon as its run is
/// over, with the run's position. The order is not certain. At most two records per thread exist at
/// a time. If `progress` breaks, no further run begins, and those under way are abandoned.
///
/// # Errors
/// The error of the first of `runs` that broke down. Runs after it may not have been carried out.
/// That runs were abandoned is no error.
pub fn run_each(
    runs: &[Run<'_>],
    engine: EngineKind,
    threads: NonZero<usize>,
    mut progress: impl FnMut(RunProgress) -> ControlFlow<()>,
    mut keep: impl FnMut(usize, RunRecord),
) -> Result<(), EngineError> {
    // `halted`: no run begins any more. `abandoned`: those under way end at their next report.
    let (halted, abandoned) = (AtomicBool::new(false), AtomicBool::new(false));
    let mut broken: Option<(usize, EngineError)> = None;
    let threads = NonZero::new(runs.len()).map_or(threads, |most| threads.min(most));
    as_they_come(
        threads,
        |run| run < runs.len() && !halted.load(Ordering::Relaxed),
        |run, send| {
            let ended = runs[run].execute(engine, &|simulated| {
                if abandoned.load(Ordering::Relaxed) {
                    return ControlFlow::Break(());
                }
                send(RunMessage::Progress(simulated));
                ControlFlow::Continue(())
            });
            send(RunMessage::Ended(Box::new(ended)));
        },
        |run, news| {
            let flow = match news {
                RunMessage::Progress(simulated) => {
                    progress(RunProgress { run, simulated, finished: false })
                }
                RunMessage::Ended(ended) => match *ended {
                    Ok(record) => {
                        keep(run, record);
                        progress(RunProgress { run, simulated: Duration::ZERO, finished: true })
                    }
                    Err(EngineError::Abandoned { .. }) => ControlFlow::Break(()),
                    Err(error) => {
                        // Every run before this one has begun and will report too. So the first
                        // error is the same on any number of threads.
                        halted.store(true, Ordering::Relaxed);
                        if broken.as_ref().is_none_or(|(first, _)| run < *first) {
                            broken = Some((run, error));
                        }
                        ControlFlow::Continue(())
                    }
                },
            };
            if flow.is_break() {
                halted.store(true, Ordering::Relaxed);
                abandoned.store(true, Ordering::Relaxed);
            }
            // Threads still report the runs that have ended meanwhile.
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

#[cfg(test)]
mod tests {
    use super::*;

    const SCENARIO: &str = r#"
name = "two"
description = "two policies, four seeds"
engine = "event"
duration = "2s"
seeds = [1, 2, 3, 4]
policies = ["random", "round_robin"]
agents = [{ name = "agent", count = 2 }]
[workload]
arrivals = "constant"
rate = 20
demand = { kind = "constant", value = "1ms" }
"#;

    #[test]
    fn what_is_broken_off_leaves_the_seeds_that_are_complete() {
        let scenario = Scenario::parse(SCENARIO, "two.toml").unwrap();
        let plan =
            RunPlan { scenario: &scenario, engine: EngineKind::Event, detail: RunDetail::Phases };
        let after = |most: usize| {
            let mut ended = 0;
            let records = plan.execute(|news| {
                ended += usize::from(news.finished);
                if ended < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            });
            let records = records.unwrap();
            (ended, records.into_iter().map(|run| (run.policy, run.seed)).collect::<Vec<_>>())
        };
        assert_eq!(after(0).1, [], "nothing has ended when it is broken off");
        let (ended, all) = after(usize::MAX);
        let in_order: Vec<(String, u64)> =
            plan.runs().iter().map(|run| (run.policy.label.clone(), run.seed)).collect();
        assert_eq!((ended, &all), (8, &in_order));
        let (ended, some) = after(4);
        let (random, round_robin) = some.split_at(some.len() / 2);
        assert!(!some.is_empty() && some.len() <= ended, "{some:?}");
        let seeds = |runs: &[(String, u64)]| runs.iter().map(|run| run.1).collect::<Vec<_>>();
        assert_eq!(seeds(random), seeds(round_robin), "the same seeds with both policies");
    }
}
