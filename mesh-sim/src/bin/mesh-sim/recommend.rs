//! `mesh-sim recommend`.

use std::path::Path;

use anyhow::Context as _;
use mesh_sim::engine::Run;
use mesh_sim::parallel::cores;
use mesh_sim::recommend::{self, Progress, RecommendError, RecommendSpec};
use mesh_sim::runner::RunProgress;
use mesh_sim::scenario::ScenarioFile;

use super::args::RecommendArgs;
use super::progress::RunsBar;
use super::{SimExit, complain, failed, print, say};

/// Shows each stage on the standard error.
#[derive(Default)]
struct Stages {
    bar: Option<RunsBar>,
}

impl Progress for Stages {
    fn begin(&mut self, stage: &str, runs: &[Run<'_>]) {
        say(&format!("{stage}: {} runs", runs.len()));
        self.bar = Some(RunsBar::new(runs));
    }

    fn update(&mut self, news: RunProgress) {
        self.bar.iter_mut().for_each(|bar| bar.update(news));
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
        current: args.current.clone(),
        is_quick: args.quick,
        tunes: args.tune,
    };
    let jobs = args.jobs.unwrap_or(cores());
    let found = match recommend::recommend(&file, &spec, jobs, &mut Stages::default()) {
        Ok(found) => found,
        Err(RecommendError::Situation(diagnostics)) => return Ok(complain(&diagnostics)),
        Err(RecommendError::Policy(complaint)) => {
            say(&format!("error: {complaint}"));
            return Ok(SimExit::Usage);
        }
        Err(error) => return Err(error.into()),
    };
    let name = format!("{}-recommend", file.scenario.name);
    let out = args.out.clone().unwrap_or_else(|| Path::new("results/runs").join(name));
    let written = recommend::write_all(&out, &found)
        .with_context(|| format!("failed to write the results to {}", out.display()));
    // The results are printed even if they can't be written.
    if args.json {
        print(&recommend::results_json(&found));
    } else {
        print(&recommend::table(&found));
    }
    let written = match written {
        Ok(_) if args.json => SimExit::Pass,
        Ok(_) => {
            print(&format!(" written to {}: recommendation.json situations/\n", out.display()));
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
