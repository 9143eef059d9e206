//! `mesh-sim sweep` and `mesh-sim merge`.

use std::num::NonZero;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use mesh_node::Clock;
use mesh_node::process::interrupt::Interrupt;
use mesh_sim::estimate::usual_seeds;
use mesh_sim::format::counted;
use mesh_sim::judge::Verdict;
use mesh_sim::parallel::cores;
use mesh_sim::publish::output_folder::OutputFolder;
use mesh_sim::scenario::{EngineKind, ScenarioFile};
use mesh_sim::sweep::{
    self, MergeError, Shard, Sweep, SweepError, SweepFindings, SweepSpec, SweepTally,
};
use mesh_sim::units::format_duration;

use super::args::{MergeArgs, SweepArgs};
use super::output::{OutputArgs, checked, listen};
use super::progress::RunsBar;
use super::{SimExit, complain, failed, print, print_text, say};

/// What there is of a sweep is written after each tenth of its runs, and after this much time.
const WRITE_EVERY: Duration = Duration::from_secs(60);

pub(super) fn sweep(args: SweepArgs) -> anyhow::Result<SimExit> {
    let loaded = match ScenarioFile::read(&args.scenario) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return Ok(complain(&diagnostics)),
    };
    let engine = args.engine.map_or(loaded.scenario.engine, EngineKind::from);
    let seeds = match args.seeds {
        Some(named) => named.0,
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
    let interrupt = listen()?;
    let shard = args.shard.unwrap_or(Shard::WHOLE);
    let Some(folder) = open(&sweep, args.shard, &args.output, args.resume)? else {
        return Ok(usage(&nothing_to_resume(&sweep, args.shard, &args.output)));
    };
    let mut tally = SweepTally::new(&sweep);
    let unfinished = folder.path().join(shard.unfinished_name());
    if !args.resume && unfinished.exists() {
        let path = unfinished.display();
        return Ok(usage(&format!(
            "{path} has runs of an unfinished sweep: go on with --resume, or remove it"
        )));
    }
    if args.resume {
        match sweep::read_unfinished(folder.path(), &sweep, shard) {
            Ok(resumed) => tally = resumed,
            Err(error) => return Ok(usage(&format!("failed to {error}"))),
        }
    }
    print(&opening(&sweep, args.shard));
    let jobs = args.jobs.unwrap_or(cores());
    let course = SweepCourse { sweep: &sweep, shard, folder: &folder, interrupt: &interrupt };
    course.carry_out(jobs, &mut tally)?;
    if tally.ended() < shard.runs(sweep.run_count()).len() {
        return Ok(course.interrupted(&tally));
    }
    interrupt.work_is_over();
    if args.shard.is_none() {
        return Ok(finish(&sweep, &tally, &folder, &args.output));
    }
    finish_part(&sweep, shard, &tally, folder.path())
}

/// The folder of the sweep, or of the part, which was written to for a trial; `None` if it must have
/// an unfinished one and has not.
fn open(
    sweep: &Sweep,
    part: Option<Shard>,
    output: &OutputArgs,
    resume: bool,
) -> anyhow::Result<Option<OutputFolder>> {
    let (out, name) = (output.out.as_deref(), whole_name(sweep));
    let check = |dir: &Path| match part {
        Some(_) => Ok(()),
        None => sweep::check_folder(dir, sweep),
    };
    let folder = match (part, resume) {
        (None, false) => OutputFolder::open(out, &name),
        (None, true) => {
            let found = OutputFolder::reopen(out, &name, &Shard::WHOLE.unfinished_name());
            let Some(folder) = found.transpose() else { return Ok(None) };
            folder
        }
        (Some(shard), _) => {
            let folder = OutputFolder::open_shared(out, &parts_name(sweep));
            let unfinished = |folder: &OutputFolder| folder.path().join(shard.unfinished_name());
            if resume && folder.as_ref().is_ok_and(|folder| !unfinished(folder).exists()) {
                return Ok(None);
            }
            folder
        }
    };
    checked(folder, check).map(Some)
}

fn nothing_to_resume(sweep: &Sweep, part: Option<Shard>, output: &OutputArgs) -> String {
    let name = part.map_or_else(|| whole_name(sweep), |_| parts_name(sweep));
    let dir = OutputFolder::place(output.out.as_deref(), &name);
    let file = part.unwrap_or(Shard::WHOLE).unfinished_name();
    format!("there is no {file} in {}: leave out --resume to begin anew", dir.display())
}

/// A sweep, or a part of one, that is carried out.
struct SweepCourse<'a> {
    sweep: &'a Sweep,
    shard: Shard,
    folder: &'a OutputFolder,
    interrupt: &'a Interrupt,
}

impl SweepCourse<'_> {
    /// Carries out the runs that are missing in `tally`, as far as no signal comes. Now and then
    /// writes what there is, so that little is lost if the machine fails.
    fn carry_out(&self, jobs: NonZero<usize>, tally: &mut SweepTally) -> anyhow::Result<()> {
        let rest = self.sweep.rest(self.shard, tally);
        let (all, tenth) = (tally.ended() + rest.len(), rest.len().div_ceil(10));
        let mut bar = RunsBar::new(&rest);
        let clock = Clock::start();
        let (mut written, mut last) = (tally.ended(), clock.now());
        let mut is_writable = true;
        let progress = |news| {
            bar.update(news);
            self.interrupt.flow()
        };
        let ended = |tally: &SweepTally| {
            let is_late = clock.now() >= last + WRITE_EVERY;
            let is_due = is_late || tally.ended() - written >= tenth;
            // After the last run, all is written.
            if is_due && is_writable && tally.ended() < all {
                (written, last) = (tally.ended(), clock.now());
                is_writable = self.write(tally).map_err(|error| failed(&error)).is_ok();
            }
        };
        let ran = self.sweep.execute(self.shard, jobs, tally, progress, ended);
        bar.finish();
        if ran.is_err() && tally.ended() > 0 {
            let path = self.write(tally)?;
            say(&format!("the runs that have ended are in {path}"));
        }
        Ok(ran?)
    }

    /// Writes what there is so far.
    fn write(&self, tally: &SweepTally) -> anyhow::Result<String> {
        let Self { sweep, shard, folder, .. } = *self;
        sweep::write_unfinished(folder.path(), sweep, shard, tally)
            .map(|path| path.display().to_string())
            .with_context(|| format!("failed to write to {}", folder.path().display()))
    }

    /// Writes what there is, and says so.
    fn interrupted(&self, tally: &SweepTally) -> SimExit {
        let all = counted(self.shard.runs(self.sweep.run_count()).len(), "run");
        if tally.ended() == 0 {
            say("interrupted: no run has ended, so nothing is written");
            return SimExit::Interrupted;
        }
        match self.write(tally) {
            Ok(path) => say(&format!(
                "interrupted: {} of {all} have ended, written to\n  {path}\n\
                 go on with the same command and --resume",
                tally.ended(),
            )),
            Err(error) => drop(failed(&error)),
        }
        SimExit::Interrupted
    }
}

/// Writes a part, and says where it is.
fn finish_part(
    sweep: &Sweep,
    shard: Shard,
    tally: &SweepTally,
    out: &Path,
) -> anyhow::Result<SimExit> {
    let written = sweep::write_part(out, sweep, shard, tally)
        .with_context(|| format!("failed to write the part to {}", out.display()))?;
    print(&sweep::part_violations(sweep, tally, |cell| out.join(shard.cell_name(cell))));
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
    let folder = args.output.open(&whole_name(&sweep), |dir| sweep::check_folder(dir, &sweep))?;
    Ok(finish(&sweep, &tally, &folder, &args.output))
}

/// Writes and prints the results of a whole sweep.
fn finish(
    sweep: &Sweep,
    tally: &SweepTally,
    folder: &OutputFolder,
    output: &OutputArgs,
) -> SimExit {
    let findings = SweepFindings::of(sweep, tally);
    let out = folder.path();
    let written = sweep::write_all(out, &findings)
        .with_context(|| format!("failed to write the results to {}", out.display()))
        .and_then(|_| output.written(folder, sweep::RESULTS));
    // The results are printed even if they can't be written.
    print_text(&sweep::table(&findings, out));
    let written = match written {
        Ok(()) => {
            let files = "sweep.html sweep.json sweep.csv comparison.csv scenario.toml cell-*";
            print(&format!(" written to {}:\n   {files}\n", folder.in_words()));
            SimExit::Pass
        }
        Err(error) => failed(&error),
    };
    SimExit::from(findings.verdict()).max(written)
}

/// The name of the folder of whole sweeps of a scenario.
fn whole_name(sweep: &Sweep) -> String {
    format!("{}-sweep", sweep.scenario.name)
}

/// The name of the folder of parts, which has no numbers below, because the parts of all processes
/// must meet there.
fn parts_name(sweep: &Sweep) -> String {
    format!("{}-parts", sweep.scenario.name)
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
