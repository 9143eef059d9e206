//! The progress bar that a terminal shows while runs go on.

use std::time::Duration;

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_sim::engine::Run;
use mesh_sim::format::counted;
use mesh_sim::runner::RunProgress;

use super::say;

/// After this much time the speed is steady enough for an estimate of the time that is left.
const SETTLED: Duration = Duration::from_secs(3);

/// What takes longer than this in all is said at the start, with what would be faster.
const LONG: Duration = Duration::from_secs(20);
/// Where no bar is drawn, there is a line after this much time, and another one each time that this
/// has doubled.
const FIRST_LINE: Duration = Duration::from_secs(15);

/// Shows how far a list of runs has come: how many have ended, and how much time is left.
pub(super) struct RunsBar {
    bar: ProgressBar,
    /// How long each run is, in simulated time.
    lengths: Vec<Duration>,
    /// What would make them faster.
    hint: Option<String>,
    /// What the time that is left is the time of, if there is more to do after it.
    part: &'static str,
    /// When the next line is due if no bar is drawn.
    next_line: Duration,
    /// How much time each run has simulated so far.
    simulated: Vec<Duration>,
    /// The sum of `simulated`.
    sum: Duration,
    /// How much time all runs will simulate.
    total: Duration,
    /// How many runs have ended.
    finished: usize,
}

impl RunsBar {
    /// A bar for these runs. It is drawn on the standard error if that is a terminal; otherwise there
    /// is a line now and then.
    pub(super) fn new(runs: &[Run<'_>]) -> Self {
        let lengths: Vec<Duration> =
            runs.iter().map(|run| run.scenario.duration + run.scenario.drain).collect();
        let total: Duration = lengths.iter().sum();
        let target = ProgressDrawTarget::stderr();
        let bar = ProgressBar::with_draw_target(Some(total.as_millis() as u64), target);
        if let Ok(style) =
            ProgressStyle::with_template(" running {bar:24} {percent:>3} %  {wide_msg}")
        {
            bar.set_style(style.progress_chars("##-"));
        }
        let simulated = vec![Duration::ZERO; lengths.len()];
        Self {
            bar,
            lengths,
            hint: None,
            part: "",
            next_line: FIRST_LINE,
            simulated,
            sum: Duration::ZERO,
            total,
            finished: 0,
        }
    }

    /// The same; if the runs take long, it says so early, and that `hint` would be faster.
    pub(super) fn with_hint(runs: &[Run<'_>], hint: String) -> Self {
        Self { hint: Some(hint), ..Self::new(runs) }
    }

    /// The same for runs that are only a part of the work.
    pub(super) fn of_part(runs: &[Run<'_>], part: &'static str) -> Self {
        Self { part, ..Self::new(runs) }
    }

    pub(super) fn update(&mut self, progress: RunProgress) {
        let length = self.lengths[progress.run];
        self.finished += usize::from(progress.finished);
        // A run that has ended counts whole, whatever it last reported.
        let reached = if progress.finished { length } else { progress.simulated };
        let reached = reached.min(length).max(self.simulated[progress.run]);
        self.sum += reached - self.simulated[progress.run];
        self.simulated[progress.run] = reached;
        self.bar.set_position(self.sum.as_millis() as u64);
        self.bar.set_message(self.words());
        self.say_if_long();
    }

    /// "3 of 60 runs done, about 12 seconds left", say.
    fn words(&self) -> String {
        let left = self.left().filter(|left| *left >= Duration::from_secs(1));
        let left = left.map(|left| format!(", about {} left{}", HumanDuration(left), self.part));
        format!(
            "{} of {} done{}",
            self.finished,
            counted(self.lengths.len(), "run"),
            left.unwrap_or_default()
        )
    }

    fn say_if_long(&mut self) {
        let elapsed = self.bar.elapsed();
        if let Some(left) = self.left().filter(|left| *left > LONG)
            && let Some(hint) = self.hint.take()
        {
            let left = HumanDuration(left);
            self.say(&format!(" this will take about {left}; faster: {hint}"));
        }
        if self.bar.is_hidden() && elapsed >= self.next_line {
            self.next_line = elapsed * 2;
            say(&format!(" {}", self.words()));
        }
    }

    /// Says a line above the bar.
    fn say(&self, line: &str) {
        self.bar.suspend(|| say(line));
    }

    /// An estimate of the time that is left, at the average speed so far; `None` if there is none
    /// yet, or none any more.
    fn left(&self) -> Option<Duration> {
        let elapsed = self.bar.elapsed();
        let rest = self.total - self.sum;
        if elapsed < SETTLED || rest.is_zero() || self.sum.is_zero() {
            return None;
        }
        let left = elapsed.as_secs_f64() * rest.as_secs_f64() / self.sum.as_secs_f64();
        Duration::try_from_secs_f64(left).ok()
    }

    /// The time since the bar was made.
    pub(super) fn elapsed(&self) -> Duration {
        self.bar.elapsed()
    }

    pub(super) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
