//! The commands and options of `mesh-sim`.

mod examples;

use std::num::NonZero;
use std::path::PathBuf;

use clap::{ArgGroup, Args as ClapArgs, Parser, Subcommand, ValueEnum};
use mesh_node::process::command_line::{CompletionsArgs, ManArgs};
use mesh_sim::scenario::EngineKind;
use mesh_sim::sweep::{Seeds, Shard, Vary};
use mesh_sim::units::at_least_one;

use super::output::OutputArgs;

/// Shows which routing policy is best before you deploy it.
///
/// Runs a scenario file in a simulated mesh, once per policy and seed, and compares the policies.
/// The same file and seed give the same bytes, on any machine.
#[derive(Debug, Parser)]
#[command(
    version,
    max_term_width = 80,
    after_help = examples::RUN,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(super) struct Args {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run a scenario file; the word `run` may be left out.
    #[command(after_help = examples::RUN)]
    Run(RunArgs),
    /// Write a scenario for your own fleet, from a few answers.
    ///
    /// Asks for what no flag says, if the standard input is a terminal. The file has a comment for
    /// each number and runs within seconds.
    Init(Box<InitArgs>),
    /// Look for mistakes in scenario files, without running them.
    ///
    /// Says what each file describes: how much the agents can do, how much they are asked to do, and
    /// how many requests will count. Warns of what makes figures worthless, such as a load above
    /// 100 %; a warning is no mistake.
    #[command(after_help = examples::CHECK)]
    Check {
        /// The files; - is standard input.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of scenario files, for editors.
    #[command(after_help = examples::SCHEMA)]
    Schema,
    /// Run many seeds and values of fields on all cores, and compare the policies seed by seed.
    Sweep(SweepArgs),
    /// Join the parts of a sweep into the whole.
    Merge(MergeArgs),
    /// Compare two results, policy by policy and figure by figure.
    ///
    /// A is compared with B, the reference: results of runs, of sweeps or of a live mesh. If A is a
    /// simulation and B a live run, the error is that of the simulation. With --baseline the
    /// policies of A are compared with one of them. Nothing is run again.
    Compare(CompareArgs),
    /// Say which policy to take, why, and how sure that is.
    ///
    /// Compares the policies of the file and all built-in ones, alone and with modifiers, in a
    /// battery of troubles made from the scenario: slow, silent and failing peers, a crash, a
    /// partition, a registry outage, stale reports, a load step; each at several loads. What is
    /// clearly worse is eliminated early. The best are compared again with other seeds.
    Recommend(RecommendArgs),
    /// Run one policy with one seed again and show what led to its failure.
    ///
    /// Succeeds if the run fails again, and exits with 6 if it does not.
    Replay(ReplayArgs),
    /// Play runs back as the dashboard would show them, as a page with a slider for the time.
    ///
    /// Shows up to two policies side by side, in step, with the faults marked; choose a request to
    /// see its way. The runs are carried out again: the same seed gives the same run.
    View(ViewArgs),
    /// Shrink a failing run to a small scenario file that fails in the same way.
    ///
    /// The failure is the first oracle that the run violates, or else the first threshold that it
    /// misses. Faults, links, agents, time and requests are removed as long as the run still has
    /// this failure.
    Minimize(MinimizeArgs),
    /// Look for failures under random faults, latencies and request rates.
    ///
    /// Each run takes the scenario's agents and one of its policies, draws its own faults, heals
    /// them all and demands that the mesh converges. Every failing run becomes a scenario file.
    /// With --runs, the result depends only on the scenario and the seed.
    Explore(ExploreArgs),
    /// Compare the simulator with queueing theory.
    ///
    /// Runs the scenarios of scenarios/validation, whose figures are known, and prints the
    /// theoretical figure, the simulated one and the tolerance. Exits with 4 if a figure is outside
    /// its tolerance.
    Validate(ValidateArgs),
    /// Print the script that completes this command line in a shell.
    Completions(CompletionsArgs),
    /// Print the man page, or write the pages of all commands.
    Man(ManArgs),
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::VALIDATE)]
pub(super) struct ValidateArgs {
    /// Simulate a 64th of the time and allow eight times the error: takes seconds.
    #[arg(long)]
    pub(super) quick: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::SWEEP)]
pub(super) struct SweepArgs {
    /// The scenario file; - is standard input.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// Run these seeds instead of those of the file: 1..200 (both included), or 1..20,42.
    #[arg(long, alias = "seed", value_name = "SEEDS")]
    pub(super) seeds: Option<Seeds>,
    /// Run these values of a field, in all combinations with other fields; may be repeated.
    ///
    /// Items of lists are numbered from 0: agents.0.count=8,16. lin(FROM,TO,N) and log(FROM,TO,N)
    /// stand for N values with equal steps or ratios. Fields that change together stand with
    /// commas between, their values with colons: agents.0.count,workload.rate=8:100,16:200. If no
    /// other field ends so, the last part of the path is enough: rate=100,200.
    #[arg(long, value_name = "FIELD=A,B,...")]
    pub(super) vary: Vec<Vary>,
    /// Run only the policy with this label; may be repeated.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Compare the other policies with this one [default: the first].
    #[arg(long, value_name = "LABEL")]
    pub(super) baseline: Option<String>,
    /// Use this engine instead of that of the file.
    #[arg(long, ignore_case = true)]
    pub(super) engine: Option<EngineArg>,
    /// Run part K of N, from 1/N to N/N, and write it for `mesh-sim merge` [default folder:
    /// results/runs/NAME-parts].
    #[arg(long, value_name = "K/N", conflicts_with = "keep")]
    pub(super) shard: Option<Shard>,
    /// Do this many runs at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) jobs: Option<NonZero<usize>>,
    /// Go on with this sweep, or part, where it was interrupted; it needs the same arguments.
    #[arg(long)]
    pub(super) resume: bool,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = examples::COMPARE,
    group(ArgGroup::new("reference").args(["b", "baseline"]).required(true))
)]
pub(super) struct CompareArgs {
    /// Directory with the results that are judged.
    #[arg(value_name = "A")]
    pub(super) a: PathBuf,
    /// Directory with the results that they are judged by.
    #[arg(value_name = "B")]
    pub(super) b: Option<PathBuf>,
    /// Instead of B: compare the policies of A with the one that has this label.
    #[arg(long, value_name = "LABEL")]
    pub(super) baseline: Option<String>,
    /// Compare only the policy with this label; may be repeated [default: all that both have].
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Count a figure as worse only if it is worse by more than this: percent of a latency,
    /// percentage points of a share.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    pub(super) tolerance: f64,
    /// Also write the comparison here, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Also write the comparison here, as a page.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::RECOMMEND)]
pub(super) struct RecommendArgs {
    /// The scenario file; - is standard input.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// Compare only the policy with this label; may be repeated.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Try only this modifier; may be repeated: eject, hedge, throttle, slow_start, locality.
    #[arg(long, value_name = "NAME")]
    pub(super) modifier: Vec<String>,
    /// The policy that is deployed today. Exits with 7 if another one is clearly better.
    #[arg(long, value_name = "LABEL")]
    pub(super) current: Option<String>,
    /// Fewer seeds, loads and requests, for a first look.
    #[arg(long)]
    pub(super) quick: bool,
    /// Also search the parameters of the best policies.
    #[arg(long)]
    pub(super) tune: bool,
    /// Do this many runs at once [default: one per core].
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub(super) jobs: Option<NonZero<usize>>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Print recommendation.json instead of the text.
    #[arg(long)]
    pub(super) json: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::MERGE)]
pub(super) struct MergeArgs {
    /// The directories with the parts.
    #[arg(required = true, value_name = "DIR")]
    pub(super) dirs: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

#[derive(Debug, Default, ClapArgs)]
#[command(after_help = examples::INIT)]
pub(super) struct InitArgs {
    /// The file to write; - is the standard output [default: fleet.toml].
    #[arg(value_name = "FILE")]
    pub(super) file: Option<PathBuf>,
    /// The scenario's name [default: that of the file].
    #[arg(long, value_name = "NAME")]
    pub(super) name: Option<String>,
    /// The number of agents [default: 20].
    #[arg(long, value_name = "N")]
    pub(super) agents: Option<String>,
    /// How long a job takes at the median [default: 4s].
    #[arg(long, value_name = "TIME")]
    pub(super) p50: Option<String>,
    /// How long 99 % of the jobs take at most [default: 10 times the median].
    #[arg(long, value_name = "TIME")]
    pub(super) p99: Option<String>,
    /// How many jobs an agent does at once [default: 4].
    #[arg(long, value_name = "N")]
    pub(super) concurrency: Option<String>,
    /// How much of a job waits for models or tools and takes no CPU [default: 99].
    #[arg(long, value_name = "PERCENT")]
    pub(super) waiting: Option<String>,
    /// Jobs per second of all agents together [default: auto, 60 % of what they can do].
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) rate: Option<String>,
    /// How long clients wait for an answer [default: 3 times p99].
    #[arg(long, value_name = "TIME")]
    pub(super) deadline: Option<String>,
    /// At how many sites the agents live [default: 1].
    #[arg(long, value_name = "N")]
    pub(super) sites: Option<String>,
    /// The time of a message between two sites, there and back [default: 80ms].
    #[arg(long, value_name = "TIME")]
    pub(super) between: Option<String>,
    /// Replace the file if it exists.
    #[arg(long)]
    pub(super) force: bool,
}

/// One run.
#[derive(Debug, ClapArgs)]
pub(super) struct OneRunArgs {
    /// The scenario file; - is standard input.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// The seed; needed if the file has several.
    #[arg(long, alias = "seeds", value_name = "N", value_parser = one_seed)]
    pub(super) seed: Option<u64>,
    /// The policy's label; needed if the file has several.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Option<String>,
    /// Use this engine instead of that of the file.
    #[arg(long, ignore_case = true)]
    pub(super) engine: Option<EngineArg>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::REPLAY)]
pub(super) struct ReplayArgs {
    #[command(flatten)]
    pub(super) run: OneRunArgs,
    /// Show at most this many events that led to each failure.
    #[arg(long, value_name = "N", default_value_t = 24)]
    pub(super) events: usize,
    /// Print one line of JSON for each failure, and nothing else.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write a page with sequence diagrams (replay.html), the results and every event
    /// (events.jsonl) here.
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::VIEW)]
pub(super) struct ViewArgs {
    /// The scenario file (- is standard input), or a folder with the results of a run.
    #[arg(value_name = "SCENARIO|RESULTS")]
    pub(super) what: PathBuf,
    /// Play back the policy with this label; may be repeated [default: the first two].
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// The seed [default: the first one of the file or the results].
    #[arg(long, alias = "seeds", value_name = "N", value_parser = one_seed)]
    pub(super) seed: Option<u64>,
    /// Use this engine instead of that of the file or the results.
    #[arg(long, ignore_case = true)]
    pub(super) engine: Option<EngineArg>,
    /// Write the page here [default: results/view/NAME.html].
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Do not open the page in a browser. It is opened only if a terminal is there.
    #[arg(long)]
    pub(super) no_open: bool,
}

#[derive(Debug, ClapArgs)]
#[command(after_help = examples::MINIMIZE)]
pub(super) struct MinimizeArgs {
    #[command(flatten)]
    pub(super) run: OneRunArgs,
    /// Write the small scenario here [default: SCENARIO with the extension .min.toml].
    #[arg(long, value_name = "FILE")]
    pub(super) out: Option<PathBuf>,
    /// Stop after this many runs.
    #[arg(long, value_name = "N", default_value = "500", value_parser = at_least_one)]
    pub(super) tries: NonZero<usize>,
}

#[derive(Debug, ClapArgs)]
#[command(
    after_help = examples::EXPLORE,
    group(ArgGroup::new("limit").args(["minutes", "runs"]).required(true).multiple(true))
)]
pub(super) struct ExploreArgs {
    /// The scenario file to start from; - is standard input. Its own faults are replaced.
    #[arg(value_name = "SCENARIO")]
    pub(super) scenario: PathBuf,
    /// Start no more runs after this many minutes.
    #[arg(long, value_name = "M", value_parser = minutes)]
    pub(super) minutes: Option<f64>,
    /// Do this many runs.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) runs: Option<u64>,
    /// The seed from which all runs are drawn.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = one_seed)]
    pub(super) seed: u64,
    /// Use this engine instead of that of the file.
    #[arg(long, ignore_case = true)]
    pub(super) engine: Option<EngineArg>,
    /// Write failing scenarios here [default: results/explore/<scenario name>].
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Count a missed threshold of [expect] as a failure, too.
    #[arg(long)]
    pub(super) thresholds: bool,
}
/// Reads the seed of a command that repeats a single run, or draws all from one seed.
fn one_seed(text: &str) -> Result<u64, String> {
    match text.parse::<Seeds>()?.0[..] {
        [seed] => Ok(seed),
        _ => Err("expected a single seed, like 7".to_owned()),
    }
}

/// Reads a tolerance.
fn percent(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(percent) if (0.0..1e6).contains(&percent) => Ok(percent),
        _ => Err("expected a number of percent, like 5 or 0.5".to_owned()),
    }
}

/// Reads a number of minutes. The upper bound of some years keeps it within a `Duration`.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes < 1e7 => Ok(minutes),
        _ => Err("expected a number of minutes, like 5 or 0.5".to_owned()),
    }
}

#[derive(Debug, ClapArgs)]
pub(super) struct RunArgs {
    /// The scenario file to run; - is standard input.
    #[arg(required = true, value_name = "SCENARIO")]
    pub(super) scenario: Option<PathBuf>,
    /// Run these seeds instead of those of the file: 7, 1..20 (both included), or 1..20,42; may be
    /// repeated.
    #[arg(long, alias = "seeds", value_name = "SEEDS")]
    pub(super) seed: Vec<Seeds>,
    /// Run only the policy with this label; may be repeated.
    #[arg(long, value_name = "LABEL")]
    pub(super) policy: Vec<String>,
    /// Use this engine instead of that of the file.
    #[arg(long, ignore_case = true)]
    pub(super) engine: Option<EngineArg>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    /// Print summary.json instead of the table.
    #[arg(long)]
    pub(super) json: bool,
    /// Also write every event to events.jsonl.
    #[arg(long)]
    pub(super) trace: bool,
    /// Also write OpenTelemetry spans of some requests to traces.jsonl and traces.json: of those that
    /// failed, of the slowest 1 %, and of 1 % of the others.
    #[arg(long)]
    pub(super) spans: bool,
    /// Run everything twice, and show the first event that differs.
    #[arg(long)]
    pub(super) check_determinism: bool,
}

impl RunArgs {
    /// All seeds that were asked for; empty: those of the file.
    pub(super) fn seeds(&self) -> Vec<u64> {
        self.seed.iter().flat_map(|seeds| seeds.0.iter().copied()).collect()
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum EngineArg {
    /// The real HTTP code over simulated TCP; time in whole milliseconds.
    Turmoil,
    /// Only the agents, over a queue of messages; nanoseconds, thousands of agents.
    Event,
}

impl From<EngineArg> for EngineKind {
    fn from(engine: EngineArg) -> Self {
        match engine {
            EngineArg::Turmoil => Self::Turmoil,
            EngineArg::Event => Self::Event,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn examples_fit_a_terminal() {
        for command in Args::command().get_subcommands().chain([&Args::command()]) {
            let examples = command.get_after_help().expect("examples").to_string();
            let lines = examples.lines().filter(|line| line.starts_with("  "));
            let wide: Vec<&str> = lines.filter(|line| line.chars().count() > 80).collect();
            assert!(wide.is_empty(), "{wide:?}");
        }
    }
}
