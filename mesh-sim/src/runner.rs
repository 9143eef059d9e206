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
    pub fn execute(&self, progress: impl FnMut(Progress)) -> Result<Vec<RunRecord>, EngineError> {
        let runs = self.runs();
        let mut records: Vec<Option<RunRecord>> = Vec::new();
        records.resize_with(runs.len(), || None);
        stream(&runs, self.engine, cores(), progress, |run, record| records[run] = Some(record))?;
        Ok(records.into_iter().flatten().collect())
    }
}

/// How many runs this process may carry out at once.
pub fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
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
    let threads = threads.get().min(runs.len());
    let next = AtomicUsize::new(0);
    // The bound is what keeps finished records from piling up.
    let (news, arrives) = mpsc::sync_channel(threads);
    let mut broken: Option<(usize, EngineError)> = None;
    thread::scope(|scope| {
        for _ in 0..threads {
            let (next, news) = (&next, news.clone());
            scope.spawn(move || work(runs, next, engine, &news));
        }
        drop(news);
        for item in arrives {
            match item {
                News::Progress(item) => progress(item),
                News::Record(run, record) => {
                    keep(run, *record);
                    progress(Progress { run, simulated: Duration::ZERO, finished: true });
                }
                News::Broken(run, error) => {
                    // Runs are taken in order, so every run before this one has begun and will
                    // report: the first that breaks is the same on any number of threads.
                    next.store(runs.len(), Ordering::Relaxed);
                    if broken.as_ref().is_none_or(|(first, _)| run < *first) {
                        broken = Some((run, *error));
                    }
                }
            }
        }
    });
    broken.map_or(Ok(()), |(_, error)| Err(error))
}

enum News {
    Progress(Progress),
    Record(usize, Box<RunRecord>),
    Broken(usize, Box<EngineError>),
}

/// Takes runs until none is left. A simulation lives on the thread that began it.
fn work(runs: &[Run<'_>], next: &AtomicUsize, engine: EngineKind, news: &mpsc::SyncSender<News>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(run) = runs.get(number) else { return };
        let report = |simulated| {
            // The receiver outlives the workers.
            let _ = news.send(News::Progress(Progress { run: number, simulated, finished: false }));
        };
        let item = match run.execute(engine, &report) {
            Ok(record) => News::Record(number, Box::new(record)),
            Err(error) => News::Broken(number, Box::new(error)),
        };
        let _ = news.send(item);
    }
}
