//! A bar while runs go on, on a terminal only.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_sim::runner::{Plan, Progress};

/// Shows how far the runs of a plan are: simulated time, and how much faster than real time.
pub(super) struct Bar {
    bar: ProgressBar,
    labels: Vec<String>,
    each: Duration,
    simulated: Vec<Duration>,
    finished: usize,
}

impl Bar {
    /// Draws on the standard error if that is a terminal, and nowhere otherwise.
    pub(super) fn new(plan: &Plan<'_>) -> Self {
        let each = plan.scenario.duration + plan.scenario.drain;
        let label = |run: mesh_sim::engine::Run<'_>| format!("{} {}", run.policy.label, run.seed);
        let labels: Vec<String> = plan.runs().into_iter().map(label).collect();
        let total = each.as_millis() as u64 * labels.len() as u64;
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        if let Ok(style) =
            ProgressStyle::with_template(" running {bar:16} {percent:>3} %  {wide_msg}")
        {
            bar.set_style(style.progress_chars("##-"));
        }
        let simulated = vec![Duration::ZERO; labels.len()];
        Self { bar, labels, each, simulated, finished: 0 }
    }

    pub(super) fn update(&mut self, progress: Progress) {
        self.finished += usize::from(progress.finished);
        let simulated = if progress.finished { self.each } else { progress.simulated };
        self.simulated[progress.run] = simulated.min(self.each);
        let total: Duration = self.simulated.iter().sum();
        self.bar.set_position(total.as_millis() as u64);
        let speed = total.as_secs_f64() / self.bar.elapsed().as_secs_f64().max(0.001);
        self.bar.set_message(format!(
            "{} of {} runs, {speed:.0}x real time, {} at {} s",
            self.finished,
            self.labels.len(),
            self.labels[progress.run],
            simulated.as_secs(),
        ));
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
