//! `mesh-sim view`.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Context as _;
use mesh_node::process::browser;
use mesh_node::process::interrupt::Interrupt;
use mesh_sim::compare::{ResultDirectory, ResultsError};
use mesh_sim::engine::{EngineError, Run, RunDetail};
use mesh_sim::experiment::RanBy;
use mesh_sim::format::shell_word;
use mesh_sim::judge::PolicyResult;
use mesh_sim::playback::{
    PlaybackError, PlaybackFault, PlaybackRecorder, RecordedRun, player_page,
};
use mesh_sim::publish::write_file;
use mesh_sim::record::{OutcomeCounts, RunRecord};
use mesh_sim::replay::StoryFault;
use mesh_sim::report::scenario_copy::SCENARIO;
use mesh_sim::runner::RunProgress;
use mesh_sim::scenario::{EngineKind, PolicySpec, ScenarioFile};

use super::args::ViewArgs;
use super::progress::RunsBar;
use super::{SimExit, complain, output, print, say};

/// The folder for pages whose place nobody says.
const FOLDER: &str = "results/view";

/// What is played back, and the results that it should agree with.
struct ViewedRuns {
    loaded: ScenarioFile,
    engine: EngineKind,
    seed: u64,
    results: Option<ResultDirectory>,
}

pub(super) fn view(args: &ViewArgs) -> anyhow::Result<SimExit> {
    let shown = match load(args)? {
        Ok(shown) => shown,
        Err(exit) => return Ok(exit),
    };
    let seeded = shown.loaded.scenario.for_seed(shown.seed).scenario.into_owned();
    let chosen = match shown.policies(&args.policy) {
        Ok(chosen) => chosen,
        Err(complaint) => return Ok(usage(&complaint)),
    };
    let path = args.out.clone().unwrap_or_else(|| default_path(&seeded.name));
    let runs: Vec<Run<'_>> = chosen
        .iter()
        .map(|policy| {
            let detail = RunDetail::Figures;
            Run { scenario: &shown.loaded.scenario, policy, seed: shown.seed, detail }
        })
        .collect();
    let interrupt = output::listen()?;
    let recorded = match record(&runs, shown.engine, &interrupt) {
        Ok(recorded) => recorded,
        Err(ViewError::Playback(error)) => return Ok(usage(&error.to_string())),
        Err(ViewError::Engine(EngineError::Abandoned { .. })) => return Ok(SimExit::Interrupted),
        Err(ViewError::Engine(error)) => return Err(error.into()),
    };
    interrupt.work_is_over();
    shown.compare(&recorded);
    let faults: Vec<PlaybackFault> =
        seeded.faults.iter().map(|fault| StoryFault::of(fault).into()).collect();
    let lead = super::run::opening(&seeded, shown.engine);
    let lead = lead.lines().next().unwrap_or_default();
    let recordings: Vec<RecordedRun> = recorded.into_iter().map(|(run, _)| run).collect();
    let page = player_page(&seeded.name, lead, &faults, &recordings)?;
    write_file(&path, page).with_context(|| format!("failed to write {}", path.display()))?;
    print(&closing(&path, &recordings));
    if !args.no_open {
        browser::open_for_user(&path.display().to_string());
    }
    Ok(SimExit::Pass)
}

fn default_path(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name).with_extension("html")
}

fn usage(complaint: &str) -> SimExit {
    say(&format!("error: {complaint}"));
    SimExit::Usage
}

/// Reads the scenario, or the copy of it beside results. If it can't be played back, the reason has
/// been printed.
fn load(args: &ViewArgs) -> anyhow::Result<Result<ViewedRuns, SimExit>> {
    let results = match args.what.is_dir() {
        false => None,
        true => match ResultDirectory::read(&args.what) {
            Ok(results) => Some(results),
            Err(error @ ResultsError::Missing { .. }) => return Ok(Err(usage(&error.to_string()))),
            Err(error) => return Err(error.into()),
        },
    };
    if let Some(results) = &results
        && let Err(complaint) = can_be_repeated(results)
    {
        return Ok(Err(usage(&complaint)));
    }
    let read = match &results {
        None => ScenarioFile::read(&args.what),
        Some(results) => {
            let text = results.scenario_text.as_deref().unwrap_or_default();
            ScenarioFile::parse(text, &format!("{}/{SCENARIO}", results.dir))
        }
    };
    let loaded = match read {
        Ok(loaded) => loaded,
        Err(found) => return Ok(Err(complain(&found))),
    };
    let of_results = results.as_ref().and_then(|results| match results.engine.ran_by() {
        RanBy::Engine(engine) => Some(engine),
        _ => None,
    });
    let engine = args.engine.map(EngineKind::from).or(of_results).unwrap_or(loaded.scenario.engine);
    if let Err(found) = loaded.check_engine(engine) {
        return Ok(Err(complain(&found)));
    }
    let seeds = results.as_ref().map_or(&loaded.scenario.seeds, |results| &results.seeds);
    let seed = args.seed.or(seeds.first().copied()).unwrap_or_default();
    Ok(Ok(ViewedRuns { loaded, engine, seed, results }))
}

/// Whether the runs of these results can be carried out again.
fn can_be_repeated(results: &ResultDirectory) -> Result<(), String> {
    let dir = &results.dir;
    if results.engine.ran_by() == RanBy::Live {
        return Err(format!(
            "{dir} has results of live processes, which can't be repeated; view the scenario \
             itself, simulated"
        ));
    }
    if results.cells.len() > 1 {
        let example = shell_word(&format!("{dir}/cell-1/{SCENARIO}"));
        return Err(format!("{dir} has results of a sweep; view one cell: {example}"));
    }
    if results.scenario_text.is_none() {
        return Err(format!("there is no {SCENARIO} beside the results in {dir}; view the file"));
    }
    Ok(())
}

impl ViewedRuns {
    /// The policies with these labels; without any, the first two.
    fn policies(&self, labels: &[String]) -> Result<Vec<PolicySpec>, String> {
        let scenario = self.loaded.scenario.clone().select(&[], labels)?;
        let most = if labels.is_empty() { 2 } else { usize::MAX };
        Ok(scenario.policies.into_iter().take(most).collect())
    }

    /// Says so if a run differs from what the results say.
    fn compare(&self, recorded: &[(RecordedRun, RunRecord)]) {
        let Some(results) = &self.results else { return };
        for (run, record) in recorded {
            let then =
                results.cells.iter().find_map(|cell| cell.runs.get(&run.policy)?.get(&run.seed));
            let records = std::slice::from_ref(record);
            let now: Option<OutcomeCounts> =
                PolicyResult::merge(records).first().map(|result| result.measured().requests);
            if let (Some(then), Some(now)) = (then, now)
                && then.requests != now
            {
                say(&format!(
                    "note: {} with seed {} ran otherwise when the results were made, so by another \
                     version of the program; you see the run of this version",
                    run.policy, run.seed
                ));
            }
        }
    }
}

/// Why nothing was recorded.
enum ViewError {
    Engine(EngineError),
    Playback(PlaybackError),
}

/// Carries out the runs, each on a thread of its own.
fn record(
    runs: &[Run<'_>],
    engine: EngineKind,
    interrupt: &Interrupt,
) -> Result<Vec<(RecordedRun, RunRecord)>, ViewError> {
    let bar = Mutex::new(RunsBar::new(runs));
    let bar = &bar;
    std::thread::scope(|scope| {
        let threads: Vec<_> = runs
            .iter()
            .enumerate()
            .map(|(number, run)| {
                scope.spawn(move || record_one(run, number, engine, bar, interrupt))
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    })
}

fn record_one(
    run: &Run<'_>,
    number: usize,
    engine: EngineKind,
    bar: &Mutex<RunsBar>,
    interrupt: &Interrupt,
) -> Result<(RecordedRun, RunRecord), ViewError> {
    // A policy may change the scenario in which it runs.
    let own = run.policy.variant_scenario().unwrap_or(run.scenario).for_seed(run.seed).scenario;
    let recorder = PlaybackRecorder::new(run, &own).map_err(ViewError::Playback)?;
    let tell = |simulated, finished| {
        if let Ok(mut bar) = bar.lock() {
            bar.update(RunProgress { run: number, simulated, finished });
        }
    };
    let (record, recorder) = run.observe(engine, recorder, &|simulated| {
        tell(simulated, false);
        interrupt.flow()
    });
    let record = record.map_err(ViewError::Engine)?;
    tell(std::time::Duration::ZERO, true);
    Ok((recorder.finish().map_err(ViewError::Playback)?, record))
}

fn closing(path: &Path, recordings: &[RecordedRun]) -> String {
    let labels: Vec<&str> = recordings.iter().map(|run| &*run.policy).collect();
    format!("{} is played back in\n {}\n", labels.join(" beside "), path.display())
}
