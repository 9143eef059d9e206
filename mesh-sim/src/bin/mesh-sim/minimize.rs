//! `mesh-sim minimize`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_sim::format::{counted, shell_word};
use mesh_sim::minimize::{
    Effort, MinimalScenario, MinimizeTarget, TriedScenario, minimize as shrink,
};
use mesh_sim::parallel::cores;
use mesh_sim::run_failure::write_failing;
use mesh_sim::scenario::Scenario;
use mesh_sim::units::format_duration;

use super::args::MinimizeArgs;
use super::replay::OneRun;
use super::{SimExit, print};

pub(super) fn minimize(args: &MinimizeArgs) -> anyhow::Result<SimExit> {
    let one = match OneRun::load(&args.run) {
        Ok(one) => one,
        Err(exit) => return Ok(exit),
    };
    let OneRun { loaded, engine, policy, seed } = &one;
    let policy = policy.label.clone();
    let target = MinimizeTarget { policy, seed: *seed, engine: *engine, defect: None };
    let effort = Effort { threads: cores(), max_tries: args.tries.get() };
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(" {spinner} {wide_msg}") {
        bar.set_style(style);
    }
    let mut report = |step: &TriedScenario<'_>| {
        bar.tick();
        bar.set_message(format!("{} tried, now: {}", step.tries, step.what));
        if step.kept {
            bar.println(format!(" {:>5} still fails with {}", step.tries, step.what));
        }
    };
    let found = shrink(loaded, &target, effort, &mut report);
    bar.finish_and_clear();
    let Some(minimal) = found else {
        print(&format!(" nothing fails in {}\n", one.words(&args.run.scenario)));
        return Ok(SimExit::NoFailure);
    };
    let out = args.out.clone().unwrap_or_else(|| default_out(&args.run.scenario, &loaded.scenario));
    let shown = out.display().to_string();
    let failures = std::slice::from_ref(&minimal.failure);
    write_failing(&out, &minimal.draft, failures, *engine)
        .with_context(|| format!("failed to write {shown}"))?;
    print(&closing(&loaded.scenario, &minimal, &shown));
    Ok(SimExit::Pass)
}

/// `a.toml` becomes `a.min.toml`, beside it. What came from standard input gets the name of the
/// scenario, here.
fn default_out(file: &Path, scenario: &Scenario) -> PathBuf {
    match file.to_str() {
        Some("-") => PathBuf::from(format!("{}.min.toml", scenario.name)),
        _ => file.with_extension("min.toml"),
    }
}

fn closing(before: &Scenario, minimal: &MinimalScenario, out: &str) -> String {
    let after = &minimal.scenario;
    let size = |scenario: &Scenario| {
        format!(
            "{}, {}, {}",
            counted(scenario.faults.len(), "fault"),
            counted(scenario.agents.len(), "agent"),
            format_duration(scenario.duration)
        )
    };
    format!(
        " {}\n {} became {} in {}\n written to {out}\n replay it: mesh-sim replay {}\n",
        minimal.failure,
        size(before),
        size(after),
        counted(minimal.tries, "run"),
        shell_word(out)
    )
}
