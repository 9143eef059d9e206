//! `mesh-sim explore`.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use mesh_node::Clock;
use mesh_sim::explore::{Exploration, ExplorationTotals, FailedRun};
use mesh_sim::format::counted;
use mesh_sim::judge::Verdict;
use mesh_sim::parallel::cores;
use mesh_sim::publish::output_folder::OutputFolder;
use mesh_sim::report::table::wrapped_parts;
use mesh_sim::run_failure::write_failing;
use mesh_sim::scenario::{EngineKind, ScenarioFile};

use super::args::ExploreArgs;
use super::output::{checked, listen};
use super::{SimExit, complain, print, say};

pub(super) fn explore(args: &ExploreArgs) -> anyhow::Result<SimExit> {
    let base = match ScenarioFile::read(&args.scenario) {
        Ok(base) => base,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let engine = args.engine.map_or(base.scenario.engine, EngineKind::from);
    let (seed, thresholds) = (args.seed, args.thresholds);
    if let Err(diagnostics) = base.check_engine(engine) {
        return Ok(complain(&diagnostics));
    }
    if thresholds && base.scenario.expect.is_empty() {
        let file = base.name();
        say(&format!("error: --thresholds needs an [expect] table, and {file} has none"));
        return Ok(SimExit::Usage);
    }
    let exploration = Exploration { base: &base, engine, seed, thresholds };
    let default_out = || Path::new("results/explore").join(&base.scenario.name);
    let out = args.out.clone().unwrap_or_else(default_out);
    let interrupt = listen()?;
    // Dropped, it removes what was made for the trial, unless something was written there.
    let _folder = checked(OutputFolder::at(out.clone()), |_| Ok(()))?;
    let clock = Clock::start();
    let limit = args.minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes));
    let more = |number| {
        args.runs.is_none_or(|runs| (number as u64) < runs)
            && limit.is_none_or(|limit| clock.now().elapsed() < limit)
    };
    let bar = ProgressBar::with_draw_target(args.runs, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(" exploring for {elapsed}  {wide_msg}") {
        bar.set_style(style);
    }
    let (mut failed, mut verdict) = (None, Verdict::Pass);
    let totals = exploration.execute(
        cores(),
        more,
        || interrupt.is_requested(),
        |progress| {
            let ExplorationTotals { runs, failed: failures, .. } = progress.totals;
            bar.set_position(*runs);
            bar.set_message(format!("{}, {failures} failed", counted(*runs as usize, "run")));
            let Some(failed_run) = progress.failed_run else { return ControlFlow::Continue(()) };
            let worst = failed_run.failures.iter().map(|failure| failure.defect.verdict());
            verdict = verdict.max(Verdict::worst(worst));
            match write(&out, &exploration, &failed_run) {
                Ok(text) => {
                    bar.suspend(|| print(&text));
                    ControlFlow::Continue(())
                }
                // A failure that can't be written is lost, so it makes no sense to look for more.
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        },
    );
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error);
    }
    let totals = match totals {
        Ok(totals) => totals,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let has_autoscaler = base.scenario.autoscale.is_some();
    print(&closing(&totals, engine, has_autoscaler, seed));
    if interrupt.is_requested() {
        say("interrupted: what the runs so far have found is written");
        return Ok(SimExit::Interrupted);
    }
    Ok(verdict.into())
}

/// Writes the scenario file of a failing run, and returns the text that says so.
fn write(
    out: &Path,
    exploration: &Exploration<'_>,
    failed_run: &FailedRun,
) -> anyhow::Result<String> {
    let &Exploration { base, engine, seed, .. } = exploration;
    let name = format!("{}-{seed}-{}.toml", base.scenario.name, failed_run.number);
    let file: PathBuf = out.join(name);
    let shown = file.display().to_string();
    write_failing(&file, &failed_run.draft, &failed_run.failures, engine)
        .with_context(|| format!("failed to write {shown}"))?;
    let mut text = format!(" run {} fails: {shown}\n", failed_run.number);
    for failure in &failed_run.failures {
        text.push_str(&format!("   {failure}\n"));
    }
    Ok(text)
}

/// The summary of an exploration: how many runs there were, and which states they met or never met.
fn closing(
    totals: &ExplorationTotals,
    engine: EngineKind,
    has_autoscaler: bool,
    seed: u64,
) -> String {
    let ExplorationTotals { runs, failed, requests, events, .. } = totals;
    let mut text = format!(
        " seed {seed}: {}, {failed} failed; {}, {}\n",
        counted(*runs as usize, "run"),
        counted(*requests as usize, "request"),
        counted(*events as usize, "event"),
    );
    let faults = totals.faults.iter().map(|(kind, count)| format!("{count} {kind}"));
    text.push_str(&listed("faults:", faults.collect()));
    let features = totals.features.iter().map(|(feature, runs)| format!("{feature} {runs}"));
    text.push_str(&listed("runs with:", features.collect()));
    text.push('\n');
    for (state, met) in totals.coverage.met() {
        let (times, runs) =
            (counted(met.times as usize, "time"), counted(met.runs as usize, "run"));
        text.push_str(&format!(" {state:<44}{times:>15} in {runs:>11}\n"));
    }
    for state in totals.coverage.never_met(engine, has_autoscaler) {
        text.push_str(&format!(" {state:<44}      never met\n"));
    }
    text
}

/// A list of items after a title, in lines; nothing without items.
fn listed(title: &str, items: Vec<String>) -> String {
    let last = items.len().saturating_sub(1);
    let parts = items.into_iter().enumerate();
    let parts: Vec<String> =
        parts.map(|(at, item)| item + if at == last { "" } else { "," }).collect();
    let all = std::iter::once(title).chain(parts.iter().map(String::as_str));
    if parts.is_empty() { String::new() } else { wrapped_parts(all, 1, 3) }
}
