//! `mesh-sim SCENARIO`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use mesh_sim::estimate::{Estimate, usual_seeds};
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::format::{counted, seconds, seed_ranges};
use mesh_sim::journal::first_difference;
use mesh_sim::judge::{PolicyVerdict, Verdict};
use mesh_sim::record::{FaultWindow, RunRecord};
use mesh_sim::report::{summary, table, write_all};
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::{EngineKind, OpenArrivals, Scenario, ScenarioFile};

use super::args::RunArgs;
use super::progress::RunsBar;
use super::{SimExit, complain, failed, print, print_text, say};

pub(super) fn run(args: &RunArgs) -> anyhow::Result<SimExit> {
    let Some(file) = &args.scenario else { return Ok(SimExit::Usage) };
    let loaded = match ScenarioFile::read(file) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let engine = args.engine.map_or(loaded.scenario.engine, EngineKind::from);
    if let Err(diagnostics) = loaded.check_engine(engine) {
        return Ok(complain(&diagnostics));
    }
    let scenario_text = Some(loaded.whole_text().to_owned());
    let seeds = match &args.seeds()[..] {
        [] => usual_seeds(&loaded, engine),
        named => named.to_vec(),
    };
    let scenario = match loaded.scenario.select(&seeds, &args.policy) {
        Ok(scenario) => scenario,
        Err(complaint) => {
            say(&format!("error: {complaint}"));
            return Ok(SimExit::Usage);
        }
    };
    if !args.json {
        print_text(&opening(&scenario, engine));
    }
    let plan = RunPlan { scenario: &scenario, engine, trace: args.trace || args.check_determinism };
    let (mut runs, took) = execute(&plan)?;
    let difference = match args.check_determinism {
        true => compare(&runs, &execute(&plan)?.0),
        false => None,
    };
    // The comparison may have needed a trace that nobody asked for.
    if !args.trace {
        runs.iter_mut().for_each(|run| run.trace = None);
    }
    let report = Report { runs, ran_by: RanBy::Engine(engine), scenario, scenario_text };
    let out = args.out.clone().unwrap_or_else(|| default_out(&report.scenario));
    let written = write_all(&out, &report)
        .with_context(|| format!("failed to write the results to {}", out.display()));
    // The results are printed even if they can't be written.
    if args.json {
        print(&summary::render(&report));
    } else {
        print_text(&table::render(&report, &file.display().to_string()));
        if let Ok(written) = &written {
            print(&closing(&out, written));
        }
        print(&speed(&report.runs, took));
    }
    let written = written.map_or_else(|error| failed(&error), |_| SimExit::Pass);
    if let Some(difference) = difference {
        say(&format!("error: {difference}"));
        return Ok(SimExit::Differed);
    }
    if args.check_determinism && !args.json {
        print(" every run was repeated, and every event was the same\n");
    }
    let verdict = Verdict::worst(report.verdicts().iter().map(PolicyVerdict::verdict));
    Ok(SimExit::from(verdict).max(written))
}

/// Carries out the runs; returns their records and how long they took.
fn execute(plan: &RunPlan<'_>) -> anyhow::Result<(Vec<RunRecord>, Duration)> {
    let mut bar = RunsBar::with_hint(&plan.runs(), faster(plan));
    let runs = plan.execute(|progress| bar.update(progress));
    let took = bar.elapsed();
    bar.finish();
    Ok((runs?, took))
}

/// What would make the runs faster.
fn faster(plan: &RunPlan<'_>) -> String {
    let scenario = plan.scenario;
    let mut ways = Vec::new();
    let mut add = |helps: bool, way: &str| ways.extend(helps.then(|| way.to_owned()));
    add(plan.engine == EngineKind::Turmoil, "--engine event");
    add(scenario.seeds.len() > 1, "a single --seed");
    add(scenario.policies.len() > 1, "fewer policies (--policy)");
    add(true, "a shorter `duration`");
    ways.join(", ")
}

fn default_out(scenario: &Scenario) -> PathBuf {
    Path::new("results/runs").join(&scenario.name)
}

/// The text about the experiment that is printed before its runs.
pub(super) fn opening(scenario: &Scenario, engine: EngineKind) -> String {
    let seeds = match &scenario.seeds[..] {
        [seed] => format!("seed {seed}"),
        seeds => format!("seeds {}", seed_ranges(seeds)),
    };
    let load = Estimate::of(scenario).load();
    let busy = load.map(|load| format!(" ({:.0} % busy)", 100.0 * load)).unwrap_or_default();
    let mut text = format!(
        "{}: {}, {}{busy}, {} simulated, {seeds}\n engine {} (simulated time, resolution {})\n",
        scenario.name,
        counted(scenario.agents.len(), "agent"),
        scenario.workload.arrivals.opening_workload(),
        seconds(scenario.duration),
        engine.name(),
        engine.resolution(),
    );
    let open = scenario.workload.arrivals.open();
    for change in open.map(OpenArrivals::changes).unwrap_or_default() {
        text.push_str(&format!(" {change}\n"));
    }
    for own in scenario.own_policies_in_words() {
        text.push_str(&format!(" {own}\n"));
    }
    for FaultWindow { label, detail, .. } in FaultWindow::all(scenario) {
        text.push_str(&format!(" {label}: {detail}\n"));
    }
    text.push('\n');
    text
}

/// The text that says where the result files are.
fn closing(out: &Path, written: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let hgrm = |name: &String| name.ends_with(".hgrm");
    let (histograms, mut files): (Vec<String>, Vec<String>) =
        written.iter().filter_map(name).partition(hgrm);
    if !histograms.is_empty() {
        files.push("*.hgrm".to_owned());
    }
    files.sort_by_key(|name| name != "report.html");
    // The path may be long, so the names of the files have a line of their own.
    format!(" written to {}:\n   {}\n", out.display(), files.join(" "))
}

/// The text that says how fast the runs were; empty for an engine that doesn't count its events.
/// The speed depends on the machine, so it is in no file.
fn speed(runs: &[RunRecord], took: Duration) -> String {
    let steps: u64 = runs.iter().map(|run| run.steps).sum();
    if steps == 0 {
        return String::new();
    }
    let (millions, seconds) = (steps as f64 / 1e6, took.as_secs_f64().max(1e-6));
    let rate = millions / seconds;
    format!(" {millions:.2} million events in {seconds:.2} s: {rate:.2} million/s\n")
}

/// Says which is the first run whose repetition differs, and where; `None` if all are equal.
fn compare(runs: &[RunRecord], again: &[RunRecord]) -> Option<String> {
    let mut pairs = runs.iter().zip(again);
    let (first, second) =
        pairs.find(|(a, b)| a.event_hash != b.event_hash || a.trace != b.trace)?;
    let trace = |run: &RunRecord| run.trace.clone().unwrap_or_default();
    let place = match first_difference(&trace(first), &trace(second)) {
        Some(at) => {
            let line = |line: Option<String>| line.unwrap_or_else(|| "(the run had ended)".into());
            format!(
                "event {}\n  first:  {}\n  second: {}",
                at.index,
                line(at.first),
                line(at.second)
            )
        }
        None => "the hashes of equal events".to_owned(),
    };
    Some(format!("two runs of {} with seed {} differ at {place}", first.policy, first.seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_that_differ_are_told_apart_by_their_first_event() {
        let run = |hash, trace: &str| RunRecord {
            event_hash: hash,
            trace: Some(trace.to_owned()),
            ..blank()
        };
        let (a, b) = ([run(1, "x\ny\n")], [run(2, "x\nz\n")]);
        assert_eq!(compare(&a, &a), None);
        let text = compare(&a, &b).unwrap();
        assert!(text.contains("first:  y") && text.contains("second: z"), "{text}");
    }

    fn blank() -> RunRecord {
        RunRecord {
            policy: "random".to_owned(),
            seed: 1,
            requests: Default::default(),
            latency: Default::default(),
            failures: Default::default(),
            sent_again: Default::default(),
            copies: Default::default(),
            probes: None,
            by_window: Vec::new(),
            by_job: Vec::new(),
            timeline: Vec::new(),
            work_per_agent: Vec::new(),
            phases: Default::default(),
            delegations: Default::default(),
            sends: Default::default(),
            providers: Vec::new(),
            event_hash: 0,
            events: 0,
            steps: 0,
            violations: Vec::new(),
            trace: None,
        }
    }
}
