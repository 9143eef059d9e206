//! The examples at the end of each command's help.

// Clap wraps lines of more than 80 columns. So a paragraph is one line here, and examples are
// shorter.
pub(super) const RUN: &str = "\
Examples:
  mesh-sim init mine.toml                  a scenario for your own fleet
  mesh-sim scenarios/partition.toml        run all policies, print the table
  mesh-sim mine.toml --policy weighted     run only one policy
  mesh-sim mine.toml --seed 7 --trace      another seed, with every event
  generate | mesh-sim check -              a scenario from standard input
  mesh-sim mine.toml --json | jq .runs     the summary, for programs
  mesh-sim check scenarios/*.toml          mistakes, load and warnings
  mesh-sim sweep mine.toml --seeds 1..30   compare policies over many seeds
  mesh-sim compare results/runs/a results/runs/b   what differs
  mesh-sim recommend mine.toml --quick     which policy to take, and why
  mesh-sim view mine.toml                  watch it, with a slider for the time
  mesh-sim explore mine.toml --minutes 5   look for failures under random faults
  mesh-sim minimize failing.toml           make a failing scenario small
  mesh-sim schema > scenarios/schema.json  completion in an editor
  mesh-sim validate --quick                the simulator against queueing theory

Exit codes:
  0  all checks passed
  1  something failed; for example, a file could not be written
  2  the command line or the scenario is wrong
  3  an oracle was violated: a bug in the mesh
  4  a threshold in [expect] was missed, or a figure of `validate` is far off
  5  two runs with the same seed differed
  6  there was no failure to replay or to minimize
  7  a figure of `compare` is worse, or `recommend` found something clearly
     better than what --current names
  130  a signal (Ctrl-C) came; what was complete is written. A second one ends
     the program at once
They are the same if the reader of the output leaves early (| head).";

pub(super) const SWEEP: &str = "\
Examples:
  mesh-sim sweep s.toml --seeds 1..30                 compare its policies
  mesh-sim sweep s.toml --seeds 1..30 --vary workload.rate=100,200,400
  mesh-sim sweep s.toml --vary agents.0.count=8,16 --vary workload.rate=50,90
  mesh-sim sweep s.toml --vary agents.0.count,workload.rate=8:50,16:100
  mesh-sim sweep s.toml --vary 'workload.rate=log(10,1000,5)'
  mesh-sim sweep s.toml --vary policies.1.choices=2,3 --baseline random
  mesh-sim sweep s.toml --seeds 1..1000 --shard 3/8 --out parts
  mesh-sim merge parts                                join the eight parts
  mesh-sim sweep s.toml --seeds 1..1000 --resume      go on after Ctrl-C

Exit codes are those of `mesh-sim`. Thresholds are checked for all seeds of a cell together. \
A part knows only its own runs, so only `mesh-sim merge` checks thresholds (4).";

pub(super) const COMPARE: &str = "\
Examples:
  mesh-sim compare results/runs/new results/runs/old
  mesh-sim compare results/runs/sim results/runs/live
                                         how far a simulation is off
  mesh-sim compare results/runs/x-sweep --baseline weighted
  mesh-sim compare new old --tolerance 5 a check for CI

Exit codes: 0 nothing is worse, 2 wrong usage, 7 a figure of A is worse than B, beyond the tolerance \
and chance. For that both need at least five seeds.";

pub(super) const RECOMMEND: &str = "\
Examples:
  mesh-sim recommend mine.toml --quick               a first look
  mesh-sim recommend mine.toml                       minutes, and the answer
  mesh-sim recommend mine.toml --policy random --policy pull
  mesh-sim recommend mine.toml --current random      a check for CI
  mesh-sim recommend mine.toml --tune --json > recommendation.json

Exit codes: 0 there is a recommendation, 2 wrong usage or scenario, 3 an oracle was violated, 7 it \
is clearly better than --current.";

pub(super) const MERGE: &str = "\
Examples:
  mesh-sim merge parts                    all parts are in one directory
  mesh-sim merge host-*/parts --out whole

Exit codes are those of `mesh-sim`; 2 also means that parts are missing, overlap or belong to \
different sweeps.";

pub(super) const REPLAY: &str = "\
Examples:
  mesh-sim replay mine.toml --seed 7 --policy random
  mesh-sim replay mine.min.toml --events 40
  mesh-sim replay mine.min.toml --out replayed   also draw it: replay.html
  mesh-sim replay mine.min.toml --json | jq .events

Exit codes: 0 it failed again, 2 wrong usage or scenario, 6 nothing failed.";

pub(super) const VIEW: &str = "\
Examples:
  mesh-sim view mine.toml                            the first two policies
  mesh-sim view mine.toml --policy random --policy pull
  mesh-sim view results/runs/mine/latest             what was run last
  mesh-sim view mine.toml --seed 7 --out seven.html  one file, for anybody

Exit codes: 0 the page was written, 2 wrong usage or scenario, 130 a signal came.";

pub(super) const MINIMIZE: &str = "\
Examples:
  mesh-sim minimize mine.toml --seed 7 --policy random
  mesh-sim minimize results/explore/mine/mine-1-0.toml --out small.toml
  mesh-sim minimize mine.toml --tries 2000

Exit codes: 0 a smaller file was written, 2 wrong usage or scenario, 6 nothing failed.";

pub(super) const EXPLORE: &str = "\
Examples:
  mesh-sim explore mine.toml --minutes 5
  mesh-sim explore mine.toml --engine event --runs 1000 --seed 2
  mesh-sim explore mine.toml --runs 200 --thresholds   thresholds count, too

Exit codes: 0 nothing failed, 2 wrong usage or scenario, 3 an oracle was violated or a run broke \
down, 4 only thresholds were missed.";

pub(super) const CHECK: &str = "\
Examples:
  mesh-sim check mine.toml
  mesh-sim check scenarios/*.toml";

pub(super) const INIT: &str = "\
Examples:
  mesh-sim init                                    asks, writes fleet.toml
  mesh-sim init mine.toml --agents 20 --p50 4s --p99 40s --rate 3
  mesh-sim init mine.toml --sites 2 --between 80ms --concurrency 4
  mesh-sim init - --agents 8 < /dev/null           prints it, asks nothing

Without a terminal nothing is asked, and what no flag says has its default. Exit codes: 0 written, \
2 an answer makes no sense or the file exists.";

pub(super) const SCHEMA: &str = "\
Examples:
  mesh-sim schema > schema.json

A scenario's first line names it: #:schema schema.json";

pub(super) const VALIDATE: &str = "\
Examples:
  mesh-sim validate --quick   takes seconds
  mesh-sim validate           takes minutes";
