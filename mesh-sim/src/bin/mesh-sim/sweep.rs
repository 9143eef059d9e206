//! `mesh-sim sweep` and `mesh-sim merge`.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use mesh_sim::estimate::usual_seeds;
use mesh_sim::format::counted;
use mesh_sim::judge::Verdict;
use mesh_sim::parallel::cores;
use mesh_sim::scenario::{EngineKind, ScenarioFile};
use mesh_sim::sweep::{
    self, MergeError, Shard, Sweep, SweepError, SweepFindings, SweepSpec, SweepTally,
};
use mesh_sim::units::format_duration;

use super::args::{MergeArgs, SweepArgs};
use super::progress::RunsBar;
use super::{SimExit, complain, failed, print, print_text, say};

pub(super) fn sweep(args: SweepArgs) -> anyhow::Result<SimExit> {
    let loaded = match ScenarioFile::read(&args.scenario) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let engine = args.engine.map_or(loaded.scenario.engine, EngineKind::from);
    let seeds = args.seeds.map(|seeds| seeds.0);
    let seeds = match seeds {
        Some(named) => named,
        None if loaded.names_seeds() => Vec::new(),
        None => usual_seeds(&loaded, engine),
    };
    let spec = SweepSpec {
        scenario: loaded.whole_text().to_owned(),
        engine: args.engine.map(|engine| EngineKind::from(engine).name().to_owned()),
        seeds,
        policies: args.policy,
        vary: args.vary,
        baseline: args.baseline,
    };
    let sweep = match Sweep::new(spec, loaded.name()) {
        Ok(sweep) => sweep,
        Err(error) => return Ok(refuse(&error)),
    };
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    print(&opening(&sweep, args.shard));
    let mut bar = RunsBar::new(&sweep.part(shard));
    let tally = sweep.execute(shard, args.jobs.unwrap_or(cores()), |news| bar.update(news));
    bar.finish();
    let tally = tally?;
    let out = args.out.unwrap_or_else(|| default_out(&sweep));
    if args.shard.is_none() {
        return Ok(finish(&sweep, &tally, &out));
    }
    let written = sweep::write_part(&out, &sweep, shard, &tally)
        .with_context(|| format!("failed to write the part to {}", out.display()))?;
    print(&sweep::part_violations(&sweep, &tally, |cell| out.join(shard.cell_name(cell))));
    print(&format!(" written: {}\n", written.display()));
    // Thresholds are for all seeds together, so a part can't judge them.
    Ok(Verdict::new(false, tally.violates_oracles()).into())
}

pub(super) fn merge(args: &MergeArgs) -> anyhow::Result<SimExit> {
    let (sweep, tally) = match sweep::merge(&args.dirs) {
        Ok(joined) => joined,
        Err(MergeError::Sweep(error)) => return Ok(refuse(&error)),
        Err(error) => return Ok(usage(&format!("failed to {error}"))),
    };
    print(&opening(&sweep, None));
    let out = args.out.clone().unwrap_or_else(|| default_out(&sweep));
    Ok(finish(&sweep, &tally, &out))
}

/// Writes and prints the results of a whole sweep.
fn finish(sweep: &Sweep, tally: &SweepTally, out: &Path) -> SimExit {
    let findings = SweepFindings::of(sweep, tally);
    let written = sweep::write_all(out, &findings)
        .with_context(|| format!("failed to write the results to {}", out.display()));
    // The results are printed even if they can't be written.
    print_text(&sweep::table(&findings, out));
    let written = match written {
        Ok(_) => {
            let files = "sweep.html sweep.json sweep.csv comparison.csv cell-*";
            print(&format!(" written to {}: {files}\n", out.display()));
            SimExit::Pass
        }
        Err(error) => failed(&error),
    };
    SimExit::from(findings.verdict()).max(written)
}

fn default_out(sweep: &Sweep) -> PathBuf {
    Path::new("results/runs").join(format!("{}-sweep", sweep.scenario.name))
}

/// The text about the sweep that is printed before it is carried out or joined.
fn opening(sweep: &Sweep, shard: Option<Shard>) -> String {
    let part = shard.map_or(String::new(), |shard| {
        let runs = shard.runs(sweep.run_count()).len();
        format!(" part {shard}: {}\n", counted(runs, "run"))
    });
    format!(
        "{}: {} x {} x {} = {} of {}\n engine {} (virtual time, {} resolution)\n{part}\n",
        sweep.scenario.name,
        counted(sweep.cells.len(), "cell"),
        counted(sweep.policies.len(), "policy"),
        counted(sweep.seeds.len(), "seed"),
        counted(sweep.run_count(), "run"),
        format_duration(sweep.cells[0].scenario.duration),
        sweep.engine.name(),
        sweep.engine.resolution(),
    )
}

fn refuse(error: &SweepError) -> SimExit {
    match error {
        SweepError::Scenario(diagnostics) => complain(diagnostics),
        error => usage(&error.to_string()),
    }
}

fn usage(complaint: &str) -> SimExit {
    say(&format!("error: {complaint}"));
    SimExit::Usage
}
