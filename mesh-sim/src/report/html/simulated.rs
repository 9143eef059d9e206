//! What was simulated, in words: a reader gets the page without the scenario file.

use std::time::Duration;

use mesh_core::protocol::Name;

use super::sites::sites;
use super::workload;
use crate::dist::Distribution;
use crate::estimate::usual_seeds;
use crate::experiment::{RanBy, Report};
use crate::format::{self, seed_ranges, shell_word};
use crate::host_names::host_ranges;
use crate::page::{escape, facts, folded};
use crate::record::FaultWindow;
use crate::scenario::{AgentSpec, PolicySpec, ProviderSpec, Scenario, ScenarioFile, ScheduleStep};
use crate::units::format_duration;

/// More groups of agents or policies than this are only counted.
const LISTED: usize = 24;

/// What a page must know to say what was simulated.
#[derive(Clone, Debug)]
pub(crate) struct SimulatedFacts<'a> {
    /// The scenario.
    pub(crate) scenario: &'a Scenario,
    /// The text of its file, if there is one.
    pub(crate) text: Option<&'a str>,
    /// What ran it, in words.
    pub(crate) made_by: String,
    /// The command that gives the page again, if there is one.
    pub(crate) command: Option<String>,
    /// The seeds.
    pub(crate) seeds: &'a [u64],
    /// More facts, each with its term.
    pub(crate) more: Vec<(&'static str, String)>,
}

/// The facts about the experiment, the picture of its requests, and its file.
pub(super) fn simulated(report: &Report) -> String {
    SimulatedFacts {
        scenario: &report.scenario,
        text: report.scenario_text.as_deref(),
        made_by: made_by(report.ran_by),
        command: command(report),
        seeds: &report.seeds(),
        more: Vec::new(),
    }
    .render()
}

impl SimulatedFacts<'_> {
    /// The facts about the experiment, the picture of its requests, and its file.
    pub(crate) fn render(&self) -> String {
        let scenario = self.scenario;
        let mut list = vec![("made by", self.made_by.clone())];
        list.extend(self.command.iter().map(|command| ("command", command.clone())));
        list.extend(self.more.iter().cloned());
        list.push(("time", times(scenario)));
        let term = if self.seeds.len() == 1 { "seed" } else { "seeds" };
        list.push((term, seed_ranges(self.seeds)));
        list.extend(fleet(scenario));
        list.extend(scenario.providers.iter().map(|p| ("provider", provider(p, scenario))));
        list.extend(workload::words(scenario));
        list.extend(network(scenario));
        list.push(("registry", registry(scenario)));
        let windows = FaultWindow::all(scenario);
        list.extend(windows.iter().map(|w| ("faults", format!("{}: {}", w.label, w.detail))));
        list.extend(policies(scenario).into_iter().map(|policy| ("policies", policy)));
        list.extend(scenario.own_policies_in_words().into_iter().map(|own| ("policies", own)));
        facts(&list) + &workload::picture(scenario) + &self.file()
    }

    /// The scenario's file, folded in.
    fn file(&self) -> String {
        let Some(text) = self.text else { return String::new() };
        let Scenario { name, sha256, .. } = self.scenario;
        let hash = format!("<p class=\"soft\">SHA-256 <code>{sha256}</code></p>\n");
        let content = format!("{hash}<pre tabindex=\"0\">{}</pre>\n", escape(text));
        folded(&format!("The scenario file {name}.toml, with its comments"), &content)
    }
}

/// What ran an experiment, in words.
pub(crate) fn made_by(ran_by: RanBy) -> String {
    let version = env!("CARGO_PKG_VERSION");
    match ran_by {
        RanBy::Engine(engine) => format!(
            "mesh-sim {version}, engine {} (virtual time: latencies are simulated, not measured; \
             resolution {})",
            engine.name(),
            engine.resolution()
        ),
        RanBy::Live => {
            format!("mesh-bench {version} with real processes; latencies are this machine's")
        }
    }
}

/// The command that gives this page again. It needs the scenario's file under the scenario's name;
/// where the file was, the page does not know. `None` for a scenario without a file, and for one to
/// which a program has added policies.
fn command(report: &Report) -> Option<String> {
    let scenario = &report.scenario;
    let file = format!("{}.toml", scenario.name);
    let file_of = ScenarioFile::parse(report.scenario_text.as_ref()?, &file).ok()?;
    let original = &file_of.scenario;
    let labels = |scenario: &Scenario| -> Vec<String> {
        scenario.policies.iter().map(|policy| policy.label.clone()).collect()
    };
    let (all, own) = (labels(original), labels(scenario));
    if own.iter().any(|label| !all.contains(label)) {
        return None;
    }
    let mut words = vec!["mesh-sim".to_owned(), shell_word(&file)];
    if let RanBy::Live = report.ran_by {
        words = vec!["mesh-bench".to_owned(), "live".to_owned(), shell_word(&file)];
    }
    let usual = match report.ran_by {
        RanBy::Engine(engine) => usual_seeds(&file_of, engine),
        RanBy::Live => original.seeds.clone(),
    };
    if scenario.seeds != usual {
        words.push(format!("--seed {}", seed_ranges(&scenario.seeds)));
    }
    if own != all {
        words.extend(own.iter().map(|label| format!("--policy {}", shell_word(label))));
    }
    match report.ran_by {
        RanBy::Engine(engine) if engine != original.engine => {
            words.push(format!("--engine {}", engine.name()));
        }
        RanBy::Engine(_) | RanBy::Live => {}
    }
    Some(words.join(" "))
}

fn times(scenario: &Scenario) -> String {
    let minutes = scenario.duration.as_secs() / 60;
    let of_minutes = match scenario.duration == Duration::from_secs(minutes * 60) && minutes > 3 {
        true => format!(" ({minutes} min)"),
        false => String::new(),
    };
    let mut out = format!("{}{of_minutes} of requests", format::seconds(scenario.duration));
    if !scenario.warm_up.is_zero() {
        let warm_up = format::seconds(scenario.warm_up);
        out.push_str(&format!(", the first {warm_up} as warm-up (not counted in the figures)"));
    }
    out + &format!(", then {} for the last ones to end", format::seconds(scenario.drain))
}

/// One line for each group of equal neighbours.
fn fleet(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let alike =
        |a: &AgentSpec, b: &AgentSpec| AgentSpec { name: b.name.clone(), ..a.clone() } == *b;
    let groups: Vec<&[AgentSpec]> = scenario.agents.chunk_by(alike).collect();
    let agents = format::counted(scenario.agents.len(), "agent");
    if groups.len() > LISTED {
        return vec![("fleet", format!("{agents} in {} groups", groups.len()))];
    }
    let line = |group: &&[AgentSpec]| {
        let names: Vec<Name> = group.iter().map(|agent| agent.name.clone()).collect();
        let count = format::counted(group.len(), "agent");
        ("fleet", format!("{count} ({}): {}", host_ranges(&names).join(", "), agent(&group[0])))
    };
    groups.iter().map(line).collect()
}

/// What an agent has and can, in words.
fn agent(agent: &AgentSpec) -> String {
    let machine = &agent.machine;
    let mut words = vec![format::counted(machine.cores as usize, "core")];
    let mut add = |is_said: bool, text: String| words.extend(is_said.then_some(text));
    add(machine.speed != 1.0, format!("speed {}", machine.speed));
    add(machine.wait_speed != 1.0, format!("waits at speed {}", machine.wait_speed));
    add(
        true,
        match agent.admission.concurrency.limit() {
            Some(limit) => format!("{} at once", format::counted(limit as usize, "job")),
            None => "any number of jobs at once".to_owned(),
        },
    );
    add(true, format!("queue of {}", agent.admission.queue));
    let load = machine.background.iter().map(|step: &ScheduleStep| step.value).fold(0.0, f64::max);
    add(load > 0.0, format!("other programs take up to {} % of it", format::share(load)));
    let skills: Vec<&str> = agent.skills.as_slice().iter().map(|skill| &**skill).collect();
    add(!skills.is_empty(), format!("skills {}", skills.join(", ")));
    add(agent.weight != mesh_core::profile::Weight::ONE, format!("weight {}", agent.weight));
    add(agent.clock_rate != 1.0, format!("clock at {} times its speed", agent.clock_rate));
    if let Some(errors) = agent.errors {
        add(true, format!("{} % of its jobs fail", format::share(errors.rate)));
    }
    add(!agent.joins.is_zero(), format!("joins at {}", format_duration(agent.joins)));
    if let Some(leaves) = agent.leaves {
        add(true, format!("leaves at {}", format_duration(leaves)));
    }
    words.join(", ")
}

fn provider(provider: &ProviderSpec, scenario: &Scenario) -> String {
    let mut words = Vec::new();
    if let Some(bound) = provider.bounds.requests {
        words.push(format!("{} jobs per minute", format::count(u64::from(bound.per_minute))));
    }
    if let Some(limit) = provider.bounds.concurrency {
        words.push(format!("{} at once", format::counted(limit as usize, "job")));
    }
    let names = provider.agents.iter().map(|id| scenario.agent(*id).name.clone());
    let agents = host_ranges(&names.collect::<Vec<Name>>()).join(", ");
    format!("{}: {} for {agents}", provider.name, words.join(" and "))
}

fn network(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let network = &scenario.network;
    let mut lines = Vec::new();
    if network.sites.is_none() {
        let quality = &network.quality;
        let mut text = format!("{} one way", distribution(&quality.latency));
        for (share, what) in [(quality.loss, "lost"), (quality.duplication, "delivered twice")] {
            if share > 0.0 {
                text.push_str(&format!(", {} % of the messages {what}", format::share(share)));
            }
        }
        lines.push(("network", text));
    }
    lines.extend(sites(scenario));
    if !network.links.is_empty() {
        let links = format::counted(network.links.len(), "link");
        lines.push(("network", format!("{links} with a quality of their own")));
    }
    lines
}

fn registry(scenario: &Scenario) -> String {
    let refresh =
        scenario.agents.first().map_or(scenario.membership.refresh, |first| first.refresh);
    let count = match scenario.registries.count.get() {
        1 => String::new(),
        count => format!("{count} of them; "),
    };
    let store = scenario.registries.store.as_ref().map_or(String::new(), |store| {
        let whose = match (store.shared, scenario.registries.are_several()) {
            (_, false) => "a store",
            (true, true) => "one store for all",
            (false, true) => "a store for each",
        };
        format!("; {whose}, which answers after {}", distribution(&store.answer))
    });
    format!(
        "{count}leases of {}, renewed every {}; lists of peers fetched every {}{store}",
        format_duration(scenario.leases.ttl),
        format_duration(scenario.membership.heartbeat),
        format_duration(refresh)
    )
}

/// The policies with their parameters, where these are known.
fn policies(scenario: &Scenario) -> Vec<String> {
    let line = |policy: &PolicySpec| {
        let settings = policy.factory.settings().map(ToString::to_string);
        let settings = settings.unwrap_or_else(|| "a policy of the program's own".to_owned());
        let variant = if policy.variant.is_some() { ", with fields of its own" } else { "" };
        format!("{}: {settings}{variant}", policy.label)
    };
    match scenario.policies.len() {
        many if many > LISTED => vec![format!("{many} policies")],
        _ => scenario.policies.iter().map(line).collect(),
    }
}

/// A distribution of times in words: "exponential, mean 100 ms".
pub(super) fn distribution(distribution: &Distribution) -> String {
    let time = |seconds: f64| format::latency((seconds * 1e9).round() as u64, 3);
    let mean =
        |time: Duration| format::latency(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), 3);
    let mean = mean(distribution.mean());
    match distribution {
        Distribution::Constant { .. } => format!("always {mean}"),
        Distribution::Exponential { .. } => format!("exponential, mean {mean}"),
        Distribution::Lognormal { median, sigma } => {
            let sigma = (sigma * 1e3).round() / 1e3;
            format!("lognormal, median {}, sigma {sigma}, mean {mean}", time(*median))
        }
        Distribution::Pareto { min, shape, max } => {
            format!("Pareto from {} to {}, shape {shape}, mean {mean}", time(*min), time(*max))
        }
        Distribution::Uniform { min, max } => format!("uniform, {} to {}", time(*min), time(*max)),
        Distribution::Normal { standard_deviation, .. } => {
            format!("normal, mean {mean}, deviation {}", time(*standard_deviation))
        }
        Distribution::Empirical { quantiles } => {
            format!("measured ({} quantiles), mean {mean}", quantiles.len())
        }
        Distribution::Sampled { values } => {
            format!("measured ({} times), mean {mean}", values.len())
        }
        Distribution::Bimodal { low, high, high_ratio } => {
            let share = format::share(*high_ratio);
            format!("{}, but {share} % take {}; mean {mean}", time(*low), time(*high))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;

    const TEXT: &str = r#"
# Why: unequal agents.
name = "unequal"
description = "x"
duration = "10s"
seeds = [1, 2]
policies = ["random", "round_robin"]
agents = [{ name = "a", count = 3 }, { name = "big", cores = 8, concurrency = 8, speed = 2.0 }]
workload = { arrivals = "poisson", rate = 9, bursts = [{ at = "3s", for = "2s", factor = 4.0 }], demand = { kind = "lognormal", median = "20ms", sigma = 1.0 } }
"#;

    fn report(text: &str) -> Report {
        let scenario = Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut report = example::small();
        report.ran_by = RanBy::Engine(scenario.engine);
        report.scenario = scenario;
        report.scenario_text = Some(text.to_owned());
        report
    }

    #[test]
    fn a_reader_without_the_file_learns_what_was_simulated() {
        let page = simulated(&report(TEXT));
        for part in [
            "3 agents (a-1..3): ",
            "1 agent (big): 8 cores, speed 2, 8 jobs at once, queue of 64",
            "lognormal, median 20.0 ms, sigma 1, mean 33.0 ms",
            "from 3s for 2s: 4 times the rate",
            "random: random",
            "# Why: unequal agents.",
            env!("CARGO_PKG_VERSION"),
            "mesh-sim unequal.toml<",
            "SHA-256",
        ] {
            assert!(page.contains(part), "no {part} in {page}");
        }
    }

    #[test]
    fn the_command_has_what_differs_from_the_file() {
        let mut report = report(TEXT);
        report.scenario.seeds = vec![7];
        report.scenario.policies.remove(0);
        let expected = "mesh-sim unequal.toml --seed 7 --policy round_robin";
        assert_eq!(command(&report).as_deref(), Some(expected));
        report.scenario.policies[0].label = "mine".to_owned();
        assert_eq!(command(&report), None);
    }
}
