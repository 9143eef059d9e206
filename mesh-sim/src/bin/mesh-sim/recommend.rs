//! `mesh-sim recommend`.

use std::num::NonZero;
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::Context as _;
use indicatif::HumanDuration;
use mesh_core::Timestamp;
use mesh_node::Clock;
use mesh_node::process::interrupt::Interrupt;
use mesh_sim::engine::Run;
use mesh_sim::format::counted;
use mesh_sim::parallel::cores;
use mesh_sim::recommend::{self, Progress, RecommendError, RecommendSpec};
use mesh_sim::report::table::wrapped;
use mesh_sim::runner::RunProgress;
use mesh_sim::scenario::{EngineKind, Scenario, ScenarioFile};

use super::args::RecommendArgs;
use super::output::listen;
use super::progress::RunsBar;
use super::{SimExit, complain, failed, print, print_text, say};

/// The estimate is made from so many runs. Runs come by situation, policy and seed: a number that
/// divides none of these takes all kinds of them.
const SAMPLES: usize = 13;

/// What takes longer than this in all is said with what would be faster.
const LONG: Duration = Duration::from_secs(20);

/// Shows each stage on the standard error, and before the first how long all will take.
struct Stages<'a> {
    scenario: &'a Scenario,
    spec: &'a RecommendSpec,
    jobs: NonZero<usize>,
    /// When the first stage began.
    began: Option<Clock>,
    /// How many runs have begun since.
    runs: usize,
    bar: Option<RunsBar>,
    interrupt: Interrupt,
}

impl Stages<'_> {
    /// How long a run takes, from some of the runs of the first stage.
    fn sample(&self, runs: &[Run<'_>]) -> Duration {
        let samples: Vec<Run<'_>> =
            (0..SAMPLES).map(|part| runs[runs.len() * part / SAMPLES]).collect();
        let bar = RunsBar::new(&samples);
        // A run that breaks down will do so again, and is reported then.
        let go_on = |_| self.interrupt.flow();
        samples.iter().for_each(|run| drop(run.execute(EngineKind::Event, &go_on)));
        bar.finish();
        bar.elapsed() / SAMPLES as u32 / self.jobs.get() as u32
    }

    /// Says how long all will take.
    fn estimate(&mut self, runs: &[Run<'_>], later: usize) {
        let whole = self.sample(runs) * (runs.len() + later) as u32;
        let faster = if whole > LONG { self.faster() } else { String::new() };
        let whole = HumanDuration(whole);
        say(wrapped(&format!("this may take up to {whole}{faster}"), 0, 2).trim_end());
        self.began = Some(Clock::start());
    }

    /// What would be faster, in words.
    fn faster(&self) -> String {
        let mut ways = Vec::new();
        if !self.spec.is_quick {
            ways.push("--quick".to_owned());
        }
        if self.spec.policies.is_empty() {
            ways.push("only some policies (--policy pull --policy random)".to_owned());
        }
        if recommend::keeps_its_length(self.scenario) {
            let length = HumanDuration(self.scenario.duration);
            ways.push(format!(
                "a shorter `duration` (what happens in the scenario has its times, so each run \
                 lasts all of its {length})"
            ));
        }
        match &ways[..] {
            [] => String::new(),
            ways => format!("; faster: {}", ways.join(", or ")),
        }
    }
}

impl Progress for Stages<'_> {
    fn begin(&mut self, stage: &str, runs: &[Run<'_>], later: usize) {
        let mut line = format!("{stage}: {}", counted(runs.len(), "run"));
        match &self.began {
            None => self.estimate(runs, later),
            Some(began) => {
                let elapsed = began.now().since(Timestamp::ZERO);
                let rest = elapsed / self.runs.max(1) as u32 * (runs.len() + later) as u32;
                let [elapsed, rest] = [elapsed, rest].map(HumanDuration);
                line.push_str(&format!(", after {elapsed}; at most about {rest} more"));
            }
        }
        say(&line);
        self.runs += runs.len();
        self.bar = Some(RunsBar::of_part(runs, " of this stage"));
    }

    fn update(&mut self, news: RunProgress) -> ControlFlow<()> {
        self.bar.iter_mut().for_each(|bar| bar.update(news));
        self.interrupt.flow()
    }

    fn end(&mut self) {
        self.bar.take().iter().for_each(RunsBar::finish);
    }
}

pub(super) fn recommend(args: &RecommendArgs) -> anyhow::Result<SimExit> {
    let file = match ScenarioFile::read(&args.scenario) {
        Ok(file) => file,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let spec = RecommendSpec {
        policies: args.policy.clone(),
        modifiers: args.modifier.clone(),
        current: args.current.clone(),
        is_quick: args.quick,
        tunes: args.tune,
    };
    let jobs = args.jobs.unwrap_or(cores());
    let interrupt = listen()?;
    let name = format!("{}-recommend", file.scenario.name);
    let folder = args.output.open(&name, |_| Ok(()))?;
    let mut stages = Stages {
        scenario: &file.scenario,
        spec: &spec,
        jobs,
        began: None,
        runs: 0,
        bar: None,
        interrupt: interrupt.clone(),
    };
    let found = match recommend::recommend(&file, &spec, jobs, &mut stages) {
        Ok(found) => found,
        Err(RecommendError::Situation(diagnostics)) => return Ok(complain(&diagnostics)),
        Err(RecommendError::Policy(complaint)) => {
            say(&format!("error: {complaint}"));
            return Ok(SimExit::Usage);
        }
        Err(RecommendError::Interrupted { so_far }) => {
            say("interrupted: nothing is written, because only all stages give a recommendation");
            if let Some(so_far) = so_far {
                say(&format!("so far, {so_far}"));
            }
            return Ok(SimExit::Interrupted);
        }
        Err(error) => return Err(error.into()),
    };
    interrupt.work_is_over();
    let written = recommend::write_all(folder.path(), &found)
        .with_context(|| format!("failed to write the results to {}", folder.path().display()))
        .and_then(|_| args.output.written(&folder, recommend::RESULTS));
    // The results are printed even if they can't be written.
    if args.json {
        print(&recommend::results_json(&found));
    } else {
        print_text(&recommend::table(&found));
    }
    let written = match written {
        Ok(_) if args.json => SimExit::Pass,
        Ok(_) => {
            print(&format!(
                " written to {}:\n   recommendation.html recommendation.json situations/\n",
                folder.in_words()
            ));
            SimExit::Pass
        }
        Err(error) => failed(&error),
    };
    let worse = match found.beats_current {
        Some(true) => SimExit::Worse,
        _ => SimExit::Pass,
    };
    // A bug of the mesh weighs more than any comparison.
    let exit = if found.violations.is_empty() { worse } else { SimExit::Oracle };
    Ok(exit.max(written))
}
