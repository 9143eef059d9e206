//! The progress bar that a terminal shows while runs go on.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_sim::engine::Run;
use mesh_sim::runner::RunProgress;

/// After this much time the speed is steady enough for an estimate of the time that is left.
const SETTLED: Duration = Duration::from_secs(3);

/// Shows how far a list of runs has come: how many have ended, how much faster than real time they
/// are, and how much time is left.
pub(super) struct RunsBar {
    bar: ProgressBar,
    runs: Vec<RunOutline>,
    /// How much time each run has simulated so far.
    simulated: Vec<Duration>,
    /// The sum of `simulated`.
    sum: Duration,
    /// How much time all runs will simulate.
    total: Duration,
    /// How many runs have ended.
    finished: usize,
}

/// What the bar shows of a run.
struct RunOutline {
    policy: String,
    seed: u64,
    /// How much time it will simulate.
    length: Duration,
}

impl RunsBar {
    /// A bar for these runs. It is drawn on the standard error if that is a terminal, and nowhere
    /// otherwise.
    pub(super) fn new(runs: &[Run<'_>]) -> Self {
        let runs: Vec<RunOutline> = runs.iter().map(outline).collect();
        let total: Duration = runs.iter().map(|run| run.length).sum();
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(total.as_millis() as u64), target);
        if let Ok(style) =
            ProgressStyle::with_template(" running {bar:16} {percent:>3} %  {wide_msg}")
        {
            bar.set_style(style.progress_chars("##-"));
        }
        let simulated = vec![Duration::ZERO; runs.len()];
        Self { bar, runs, simulated, sum: Duration::ZERO, total, finished: 0 }
    }

    pub(super) fn update(&mut self, progress: RunProgress) {
        let run = &self.runs[progress.run];
        self.finished += usize::from(progress.finished);
        // A run that has ended counts whole, whatever it last reported.
        let reached = if progress.finished { run.length } else { progress.simulated };
        let reached = reached.min(run.length).max(self.simulated[progress.run]);
        self.sum += reached - self.simulated[progress.run];
        self.simulated[progress.run] = reached;
        self.bar.set_position(self.sum.as_millis() as u64);
        let elapsed = self.bar.elapsed();
        let speed = self.sum.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
        self.bar.set_message(format!(
            "{}{}/{} runs, {speed:.0}x real time, {} {} at {} s",
            left(elapsed, self.total - self.sum, speed),
            self.finished,
            self.runs.len(),
            run.policy,
            run.seed,
            reached.as_secs(),
        ));
    }

    /// The time since the bar was made.
    pub(super) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn outline(run: &Run<'_>) -> RunOutline {
    RunOutline {
        policy: run.policy.label.clone(),
        seed: run.seed,
        length: run.scenario.duration + run.scenario.drain,
    }
}

/// An estimate of the time that is left, at the average speed so far; empty if there is none.
fn left(elapsed: Duration, rest: Duration, speed: f64) -> String {
    if elapsed < SETTLED || rest.is_zero() || speed <= 0.0 {
        return String::new();
    }
    Duration::try_from_secs_f64(rest.as_secs_f64() / speed)
        .map(|left| format!("{} left, ", HumanDuration(left)))
        .unwrap_or_default()
}
