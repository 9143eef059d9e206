//! An estimate in words, for a terminal of 80 columns.

use mesh_core::protocol::Name;

use super::fleet::{AgentGroup, Limit};
use super::warnings::{duration_for, needed_requests, quantile};
use super::{Estimate, PhaseLoad, alone};
use crate::dist::Distribution;
use crate::figures::{Figure, Shown};
use crate::format::{self, counted};
use crate::host_names::host_ranges;
use crate::scenario::{Arrivals, JobKind};
use crate::units::format_duration;

/// More groups, kinds, sites or phases than this are summed up.
const LISTED: usize = 8;
/// Where texts begin, and where they end.
const INDENT: usize = 13;
const WIDTH: usize = 80;

pub(super) fn text(estimate: &Estimate<'_>) -> String {
    let mut rows = agents(estimate);
    rows.extend(sites(estimate));
    rows.extend(jobs(estimate));
    rows.extend(capacity(estimate));
    rows.extend(providers(estimate));
    rows.extend(loads(estimate));
    rows.extend(skills(estimate));
    rows.push(("counted", requests(estimate)));
    let mut before = "";
    let mut out = String::new();
    for (term, text) in rows {
        out.push_str(&row(if term == before { "" } else { term }, &text));
        before = term;
    }
    out
}

/// A text in lines, the first of which begins with its term.
pub(super) fn row(term: &str, text: &str) -> String {
    let (mut out, mut line) = (String::new(), format!("  {term:<10}"));
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            out.push_str(line.trim_end());
            out.push('\n');
            line = " ".repeat(INDENT - 1);
        }
        line.push(' ');
        line.push_str(word);
    }
    out + line.trim_end() + "\n"
}

/// A number with three significant digits, and separators.
pub(super) fn rate(number: f64) -> String {
    match number {
        n if n >= 99.95 => format::count(n.round() as u64),
        n if n >= 9.995 => shortened(&format!("{n:.1}")),
        n => shortened(&format!("{n:.2}")),
    }
}

fn shortened(number: &str) -> String {
    number.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share from 0 on in whole percent; with a decimal if it is small.
pub(super) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent < 9.95 {
        true => format!("{} %", shortened(&format!("{percent:.1}"))),
        false => format!("{percent:.0} %"),
    }
}

fn time(duration: std::time::Duration) -> String {
    format::latency(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX), 3)
}

fn agents(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let groups = &estimate.fleet.groups;
    let line = |group: &AgentGroup<'_>| {
        let first = &group.agents[0];
        let names: Vec<Name> = group.agents.iter().map(|agent| agent.name.clone()).collect();
        let names = format::ellipsis(&host_ranges(&names).join(", "), 40);
        let slots = match first.admission.concurrency.limit() {
            Some(limit) => format!("{} at once", counted(limit as usize, "job")),
            None => "any number of jobs at once".to_owned(),
        };
        let each = if group.agents.len() > 1 { " each" } else { "" };
        let cores = counted(first.machine.cores as usize, "core");
        let jobs = super::job_cost::jobs_per_second(estimate.scenario, first);
        let can = match jobs {
            jobs if jobs.is_infinite() => "nothing limits them".to_owned(),
            0.0 => "they can do none of the jobs".to_owned(),
            jobs => format!("{} jobs/s", rate(jobs * group.agents.len() as f64)),
        };
        let agents = counted(group.agents.len(), "agent");
        format!("{agents} ({names}), {cores} and {slots}{each}: {can}")
    };
    let mut rows: Vec<_> =
        groups.iter().take(LISTED).map(|group| ("agents", line(group))).collect();
    if groups.len() > LISTED {
        let rest = &groups[LISTED..];
        let agents: usize = rest.iter().map(|group| group.agents.len()).sum();
        let groups = counted(rest.len(), "group");
        rows.push(("agents", format!("{} in {groups} more", counted(agents, "agent"))));
    }
    rows
}

fn sites(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let scenario = estimate.scenario;
    let Some(sites) = &scenario.network.sites else { return Vec::new() };
    let line = |name: &Name| {
        let there = scenario.agents.iter().filter(|agent| agent.site.as_ref() == Some(name));
        let jobs = there.clone().map(|agent| super::job_cost::jobs_per_second(scenario, agent));
        let jobs: f64 = jobs.sum();
        let can = match jobs.is_finite() {
            true => format!("{} jobs/s", rate(jobs)),
            false => "nothing limits them".to_owned(),
        };
        ("sites", format!("{name}: {}: {can}", counted(there.count(), "agent")))
    };
    sites.names.values().iter().take(LISTED).map(line).collect()
}

fn jobs(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let scenario = estimate.scenario;
    let kinds = &scenario.workload.jobs;
    let numbers = super::job_cost::jobs_per_request(scenario);
    let line = |(position, kind): (usize, &JobKind)| {
        let Some(cost) = estimate.fleet.cost_somewhere(position) else {
            return ("jobs", format!("{}: no agent can do them", kind.name));
        };
        let seconds = std::time::Duration::from_secs_f64;
        let work = match cost.work > 0.0 {
            true => format!("mean {} of CPU", time(seconds(cost.work.min(1e9)))),
            false => "no CPU".to_owned(),
        };
        let mut text = String::new();
        if kinds.len() > 1 {
            text = format!("{}: {} per request; ", kind.name, rate(numbers[position]));
        }
        text += &work;
        if let Some(wait) = kind.wait.as_ref().map(Distribution::mean) {
            text += &format!(" and mean {} of waiting", time(wait));
        }
        if !kind.calls.is_empty() {
            text += &format!("; with their parts at least {}", time(seconds(cost.hold.min(1e9))));
        }
        ("jobs", format!("{text}; deadline {}", format_duration(kind.deadline)))
    };
    let mut rows: Vec<_> = kinds.iter().enumerate().take(LISTED).map(line).collect();
    if kinds.len() > LISTED {
        rows.push(("jobs", format!("{} more", counted(kinds.len() - LISTED, "kind"))));
    }
    let network = time(alone::network(scenario));
    rows.push(("network", format!("at least {network} for the messages of a request")));
    rows
}

fn capacity(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let scenario = estimate.scenario;
    let mut rows = Vec::new();
    let text = match estimate.capacity {
        None => "none: nobody can do some of the jobs".to_owned(),
        Some(capacity) if capacity.requests_per_second.is_infinite() => {
            "nothing limits the agents".to_owned()
        }
        Some(capacity) => {
            let scarce = match capacity.limited_by {
                Limit::Slots => "how many jobs agents take at once (`concurrency`) limits it",
                Limit::Cores => "cores limit it",
                Limit::Providers => "the providers limit it",
            };
            format!("{} requests/s; {scarce}", rate(capacity.requests_per_second))
        }
    };
    rows.push(("capacity", text));
    if estimate.warm < 1.0 {
        let most = estimate.capacity.map_or(0.0, |capacity| capacity.requests_per_second);
        let most = rate(most / estimate.warm);
        let text = format!("{most} requests/s at best, if every session stays at one agent");
        rows.push(("capacity", text));
    }
    if !scenario.costs.probe.is_zero() {
        rows.push(("capacity", "less what policies ask (`costs.probe`)".to_owned()));
    }
    rows
}

fn providers(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let line = |provider: &super::ProviderLoad| {
        let jobs = rate(provider.jobs_per_second);
        ("providers", format!("{} allows {jobs} jobs/s", provider.name))
    };
    estimate.providers.iter().take(LISTED).map(line).collect()
}

fn loads(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let arrivals = &estimate.scenario.workload.arrivals;
    let of = |rate: f64, share: Option<f64>| match share {
        Some(share) if share > 0.0 || rate == 0.0 => {
            format!("{} requests/s, {} of the capacity", self::rate(rate), percent(share))
        }
        _ => format!("{} requests/s", self::rate(rate)),
    };
    if let Arrivals::Closed { clients, .. } = arrivals {
        let clients = counted(*clients as usize, "client");
        let most = estimate.loads.first().map(|load| of(load.phase.rate, load.share()));
        let most = most.unwrap_or_default();
        return vec![("load", format!("{clients} in a closed loop: at most {most}"))];
    }
    let line = |load: &PhaseLoad| {
        let mut text = of(load.phase.rate, load.share());
        if estimate.loads.len() > 1 {
            let (begin, end) = (load.phase.begin, load.phase.end);
            let seconds = format::exact_seconds(begin);
            text = format!("{seconds} to {}: {text}", format::seconds(end));
        }
        // A curve has a peak beyond its mean.
        if load.phase.peak > load.phase.rate * 1.005 {
            let peak = of(load.phase.peak, load.peak_share());
            text = format!("{text} on average; {peak} at the peak");
        }
        ("load", text)
    };
    let mut rows: Vec<_> = estimate.loads.iter().take(LISTED).map(line).collect();
    if estimate.loads.len() > LISTED {
        let greatest = self::rate(estimate.greatest_rate());
        let more = estimate.loads.len() - LISTED;
        rows.push(("load", format!("and {more} more times; at most {greatest} requests/s")));
    }
    if let Some(on_off) = arrivals.open().and_then(|open| open.on_off) {
        let times = on_off.on_factor / on_off.mean_factor();
        rows.push(("load", format!("at random {} times that", self::rate(times))));
    }
    rows
}

fn skills(estimate: &Estimate<'_>) -> Vec<(&'static str, String)> {
    let line = |load: &super::SkillLoad| {
        let share = percent(estimate.greatest_rate() / load.capacity);
        let agents = counted(load.agents, "agent");
        ("skills", format!("{}: {agents}, {share} busy with it alone", load.skill))
    };
    estimate.skills.iter().take(LISTED).map(line).collect()
}

/// How many requests count, and for which quantiles of the tables that is enough.
fn requests(estimate: &Estimate<'_>) -> String {
    let found = estimate.counted_requests();
    let mut text = format!(
        "about {} requests for each policy ({})",
        rate(found),
        counted(estimate.scenario.seeds.len(), "seed")
    );
    let columns = Figure::shown_in(Shown::Terminal);
    let quantiles: Vec<(&str, f64)> =
        columns.filter_map(|figure| Some((figure.heading, quantile(figure)?))).collect();
    let enough = |(_, quantile): &&(&str, f64)| needed_requests(*quantile) <= found;
    if let Some((heading, _)) = quantiles.iter().rev().find(enough) {
        text += &format!(": enough for {heading}");
    }
    if let Some((heading, quantile)) = quantiles.iter().find(|column| !enough(column)) {
        let needed = needed_requests(*quantile);
        text += &format!("; {heading} needs {}", rate(needed));
        if estimate.counted_rate > 0.0 {
            text += &format!(" (duration {})", format::seconds(duration_for(estimate, needed)));
        }
    }
    text
}
