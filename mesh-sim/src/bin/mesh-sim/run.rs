//! `mesh-sim SCENARIO`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::process::interrupt::Interrupt;
use mesh_sim::engine::RunDetail;
use mesh_sim::estimate::{Estimate, usual_seeds};
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::format::{counted, seconds, seed_ranges};
use mesh_sim::journal::first_difference;
use mesh_sim::judge::{PolicyVerdict, Verdict};
use mesh_sim::publish::output_folder::OutputFolder;
use mesh_sim::record::{FaultWindow, RunRecord};
use mesh_sim::report::{RESULTS, check_folder, summary, table, write_all};
use mesh_sim::runner::RunPlan;
use mesh_sim::scenario::{EngineKind, OpenArrivals, Scenario, ScenarioFile};

use super::args::RunArgs;
use super::output::listen;
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
    let text = loaded.whole_text().to_owned();
    let seeds = match &args.seeds()[..] {
        [] => usual_seeds(&loaded, engine),
        named => named.to_vec(),
    };
    let is_choice = loaded.names_seeds() || !args.seeds().is_empty();
    if seeds.len() == 1 && !is_choice && !args.json {
        say("note: a single seed, because several would take long; --seed 1..5 runs five of them");
    }
    let scenario = match loaded.scenario.select(&seeds, &args.policy) {
        Ok(scenario) => scenario,
        Err(complaint) => {
            say(&format!("error: {complaint}"));
            return Ok(SimExit::Usage);
        }
    };
    experiment(args, &file.display().to_string(), scenario, engine, text)
}

/// Carries the runs out, and writes and prints what is complete. `text` is that of the scenario's
/// file.
fn experiment(
    args: &RunArgs,
    file: &str,
    scenario: Scenario,
    engine: EngineKind,
    text: String,
) -> anyhow::Result<SimExit> {
    let interrupt = listen()?;
    let folder = args.output.open(&scenario.name, |dir| check_folder(dir, &text))?;
    if !args.json {
        print_text(&opening(&scenario, engine));
    }
    let detail = RunDetail::with(args.trace || args.check_determinism, args.spans);
    let plan = RunPlan { scenario: &scenario, engine, detail };
    let (mut runs, took) = execute(&plan, &interrupt)?;
    let again = match args.check_determinism && !interrupt.is_requested() {
        true => Some(execute(&plan, &interrupt)?.0),
        false => None,
    };
    interrupt.work_is_over();
    if runs.is_empty() {
        say("interrupted: no seed is complete with all policies, so nothing is written");
        return Ok(SimExit::Interrupted);
    }
    let difference = again.as_deref().and_then(|again| compare(&runs, again));
    // The comparison may have needed a trace that nobody asked for.
    if !args.trace {
        runs.iter_mut().for_each(|run| run.trace = None);
    }
    let seeds = scenario.seeds.len();
    let report = report_of(scenario, engine, text, runs);
    let written = write(args, &folder, &report);
    // The results are printed even if they can't be written.
    if args.json {
        print(&summary::render(&report));
    } else {
        print_text(&table::render(&report, file));
        if let Ok(written) = &written {
            print(&closing(&folder, written));
        }
        print(&speed(&report.runs, took));
    }
    let written = written.map_or_else(|error| failed(&error), |_| SimExit::Pass);
    let verdict = Verdict::worst(report.verdicts().iter().map(PolicyVerdict::verdict));
    let repeated = match args.check_determinism {
        true => {
            determinism(args, report.runs.len(), again.map_or(0, |runs| runs.len()), difference)
        }
        false => SimExit::Pass,
    };
    let complete = completeness(&report, seeds);
    Ok(SimExit::from(verdict).max(written).max(repeated).max(complete))
}

/// The results of the runs that were carried out. If not all were, it is as if only the seeds that
/// are complete had been asked for.
fn report_of(
    mut scenario: Scenario,
    engine: EngineKind,
    text: String,
    runs: Vec<RunRecord>,
) -> Report {
    scenario.seeds.retain(|seed| runs.iter().any(|run| run.seed == *seed));
    Report { runs, ran_by: RanBy::Engine(engine), scenario, scenario_text: Some(text) }
}

/// Writes the result files; returns their paths.
fn write(args: &RunArgs, folder: &OutputFolder, report: &Report) -> anyhow::Result<Vec<PathBuf>> {
    let written = write_all(folder.path(), report)
        .with_context(|| format!("failed to write the results to {}", folder.path().display()))?;
    args.output.written(folder, RESULTS)?;
    Ok(written)
}

/// Says how many of the seeds are complete, unless all are.
fn completeness(report: &Report, seeds: usize) -> SimExit {
    let complete = report.scenario.seeds.len();
    if complete == seeds {
        return SimExit::Pass;
    }
    let all = counted(seeds, "seed");
    say(&format!("interrupted: {complete} of {all} are complete, the others are left out"));
    SimExit::Interrupted
}

/// Says what the repetition of the runs has shown.
fn determinism(args: &RunArgs, runs: usize, again: usize, difference: Option<String>) -> SimExit {
    if let Some(difference) = difference {
        say(&format!("error: {difference}"));
        return SimExit::Differed;
    }
    if again < runs {
        let all = counted(runs, "run");
        say(&match again {
            0 => format!("interrupted: none of {all} was repeated"),
            _ => format!("interrupted: {again} of {all} were repeated, and were the same"),
        });
        return SimExit::Interrupted;
    }
    if !args.json {
        print(" every run was repeated, and every event was the same\n");
    }
    SimExit::Pass
}

/// Carries out the runs, as far as no signal comes; returns their records and how long they took.
fn execute(
    plan: &RunPlan<'_>,
    interrupt: &Interrupt,
) -> anyhow::Result<(Vec<RunRecord>, Duration)> {
    let mut bar = RunsBar::with_hint(&plan.runs(), faster(plan));
    let runs = plan.execute(|progress| {
        bar.update(progress);
        interrupt.flow()
    });
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
fn closing(folder: &OutputFolder, written: &[PathBuf]) -> String {
    let name = |path: &PathBuf| path.file_name().map(|name| name.to_string_lossy().into_owned());
    let hgrm = |name: &String| name.ends_with(".hgrm");
    let (histograms, mut files): (Vec<String>, Vec<String>) =
        written.iter().filter_map(name).partition(hgrm);
    if !histograms.is_empty() {
        files.push("*.hgrm".to_owned());
    }
    files.sort_by_key(|name| name != "report.html");
    // The path may be long, so the names of the files have a line of their own.
    format!(" written to {}:\n   {}\n", folder.in_words(), files.join(" "))
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

/// Says which is the first run whose repetition differs, and where; `None` if all are equal. Not
/// every run need have been repeated.
fn compare(runs: &[RunRecord], again: &[RunRecord]) -> Option<String> {
    let mut pairs = again.iter().filter_map(|second| {
        let is_first = |run: &&RunRecord| (&run.policy, run.seed) == (&second.policy, second.seed);
        runs.iter().find(is_first).map(|first| (first, second))
    });
    let (first, second) = pairs.find(|(a, b)| {
        a.event_hash != b.event_hash || a.trace != b.trace || a.traces != b.traces
    })?;
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
        None => "the hashes of equal events, or the spans".to_owned(),
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
            scaling: None,
            event_hash: 0,
            events: 0,
            steps: 0,
            violations: Vec::new(),
            trace: None,
            traces: None,
        }
    }
}
