//! Runs every policy with every seed, side by side.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use crate::engine::{EngineError, Run};
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
    pub fn execute(
        &self,
        mut progress: impl FnMut(Progress),
    ) -> Result<Vec<RunRecord>, EngineError> {
        let runs = self.runs();
        let workers = thread::available_parallelism().map_or(1, NonZero::get).min(runs.len());
        let next = AtomicUsize::new(0);
        let (news, arrives) = mpsc::channel();
        let mut results: Vec<Option<Result<RunRecord, EngineError>>> = Vec::new();
        results.resize_with(runs.len(), || None);
        thread::scope(|scope| {
            for _ in 0..workers {
                let (runs, next, news) = (&runs, &next, news.clone());
                scope.spawn(move || work(runs, next, self.engine, &news));
            }
            drop(news);
            for item in arrives {
                match item {
                    News::Progress(item) => progress(item),
                    News::Result(run, result) => {
                        let simulated = Duration::ZERO;
                        results[run] = Some(*result);
                        progress(Progress { run, simulated, finished: true });
                    }
                }
            }
        });
        results.into_iter().flatten().collect()
    }
}

enum News {
    Progress(Progress),
    Result(usize, Box<Result<RunRecord, EngineError>>),
}

/// Takes runs until none is left. A simulation lives on the thread that began it.
fn work(runs: &[Run<'_>], next: &AtomicUsize, engine: EngineKind, news: &mpsc::Sender<News>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(run) = runs.get(number) else { return };
        let report = |simulated| {
            // The receiver outlives the workers.
            let _ = news.send(News::Progress(Progress { run: number, simulated, finished: false }));
        };
        let result = run.execute(engine, &report);
        let _ = news.send(News::Result(number, Box::new(result)));
    }
}
