//! `mesh-sim replay`.

use std::path::Path;

use anyhow::Context as _;
use mesh_sim::engine::{Run, RunDetail};
use mesh_sim::experiment::{RanBy, Report};
use mesh_sim::format::shell_word;
use mesh_sim::replay::{FailureStory, LoggedFacts};
use mesh_sim::report::sequence::{ReplayedRun, json_line, page, text};
use mesh_sim::report::write_replayed;
use mesh_sim::run_failure::{JudgedRun, judge_observed};
use mesh_sim::scenario::{EngineKind, PolicySpec, Scenario, ScenarioFile, find_label};

use super::args::{OneRunArgs, ReplayArgs};
use super::{SimExit, complain, print, say};

/// The single run that a command line names.
pub(super) struct OneRun {
    pub(super) loaded: ScenarioFile,
    pub(super) engine: EngineKind,
    pub(super) policy: PolicySpec,
    pub(super) seed: u64,
}

impl OneRun {
    /// Reads the scenario and finds the run. If that fails, the reason has been printed.
    pub(super) fn load(args: &OneRunArgs) -> Result<Self, SimExit> {
        let loaded = ScenarioFile::read(&args.scenario).map_err(|found| complain(&found))?;
        let engine = args.engine.map_or(loaded.scenario.engine, EngineKind::from);
        loaded.check_engine(engine).map_err(|found| complain(&found))?;
        let usage = |complaint: String| {
            say(&format!("error: {complaint}"));
            SimExit::Usage
        };
        let seed = the_seed(&loaded.scenario, args.seed).map_err(usage)?;
        let policy = the_policy(&loaded.scenario, args.policy.as_deref()).map_err(usage)?.clone();
        Ok(Self { loaded, engine, policy, seed })
    }

    /// The words of a command line that name this run.
    pub(super) fn words(&self, file: &Path) -> String {
        let (file, policy) = (file.display().to_string(), &self.policy.label);
        let engine = match self.engine == self.loaded.scenario.engine {
            true => String::new(),
            false => format!(" --engine {}", self.engine.name()),
        };
        let (file, policy) = (shell_word(&file), shell_word(policy));
        format!("{file} --seed {} --policy {policy}{engine}", self.seed)
    }
}

fn the_seed(scenario: &Scenario, asked: Option<u64>) -> Result<u64, String> {
    match (asked, &scenario.seeds[..]) {
        (Some(seed), _) | (None, &[seed]) => Ok(seed),
        (None, seeds) => {
            Err(format!("the scenario has {} seeds; choose one with --seed N", seeds.len()))
        }
    }
}

fn the_policy<'a>(scenario: &'a Scenario, asked: Option<&str>) -> Result<&'a PolicySpec, String> {
    let labels = || scenario.policies.iter().map(|policy| &*policy.label);
    match (asked, &scenario.policies[..]) {
        (None, [only]) => Ok(only),
        (None, _) => {
            let known = labels().collect::<Vec<_>>().join(", ");
            Err(format!("choose a policy with --policy LABEL: {known}"))
        }
        (Some(asked), policies) => {
            let label = find_label(asked, labels(), "here")?;
            let found = policies.iter().find(|policy| policy.label == label);
            found.ok_or_else(|| format!("no policy `{asked}` here"))
        }
    }
}

pub(super) fn replay(args: &ReplayArgs) -> anyhow::Result<SimExit> {
    let one = match OneRun::load(&args.run) {
        Ok(one) => one,
        Err(exit) => return Ok(exit),
    };
    let OneRun { loaded, engine, policy, seed } = &one;
    // With the random faults of the seed as faults with times.
    let mut scenario = loaded.scenario.for_seed(*seed).scenario.into_owned();
    scenario.policies = vec![policy.clone()];
    scenario.seeds = vec![*seed];
    if !args.json {
        print(&super::run::opening(&scenario, *engine));
    }
    // Only the files need the lines of a trace. The stories are made from facts.
    let detail = if args.out.is_some() { RunDetail::Trace } else { RunDetail::Figures };
    let run = Run { scenario: &scenario, policy, seed: *seed, detail };
    // A policy may change the scenario in which it runs.
    let own = policy.variant_scenario().map(|own| own.for_seed(*seed).scenario.into_owned());
    let facts = LoggedFacts::new(own.as_ref().unwrap_or(&scenario));
    let (judged, facts) = judge_observed(&run, *engine, facts);
    let JudgedRun { failures, record } = judged;
    let stories: Vec<FailureStory> =
        failures.iter().map(|failure| facts.story(failure, args.events)).collect();
    let page = (!stories.is_empty()).then(|| {
        let (scenario, policy) = (&scenario, &*policy.label);
        page(&ReplayedRun { scenario, engine: *engine, policy, seed: *seed }, &stories)
    });
    match args.json {
        true => print(&stories.iter().map(json_line).collect::<String>()),
        false if stories.is_empty() => print(" nothing failed\n"),
        false => print(&text(&stories)),
    }
    let ran_by = RanBy::Engine(*engine);
    let scenario_text = Some(loaded.whole_text().to_owned());
    let report =
        record.map(|record| Report { scenario, scenario_text, ran_by, runs: vec![record] });
    if let Some(out) = &args.out {
        let has_page = page.is_some();
        write_replayed(out, report.as_ref(), page)
            .with_context(|| format!("failed to write the results to {}", out.display()))?;
        if !args.json {
            print(&written(out, has_page, report.is_some()));
        }
    } else if !args.json && !stories.is_empty() {
        print(" with --out DIR, replay.html there has this as a picture\n");
    }
    Ok(if failures.is_empty() { SimExit::NoFailure } else { SimExit::Pass })
}

/// The text that says where the files are.
fn written(out: &Path, has_page: bool, has_report: bool) -> String {
    let mut text = String::new();
    let files = [
        (has_page, "the diagram is in", "replay.html"),
        (has_report, "every event is in", "events.jsonl"),
    ];
    for (_, what, name) in files.into_iter().filter(|(is_there, ..)| *is_there) {
        text.push_str(&format!(" {what} {}\n", out.join(name).display()));
    }
    text
}
