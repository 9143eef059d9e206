//! `report.html`: the results of an experiment on one page, which needs no other file and no
//! script.

mod agents;
mod plots;
mod sites;
mod svg;
mod tables;
pub(super) mod thumbnail;

use std::fmt::Write as _;

pub(super) use self::svg::escape;
use crate::experiment::{RanBy, Report};
use crate::format;
use crate::record::{FaultWindow, RunRecord};

pub(super) const STYLE: &str = include_str!("style.css");

/// The text of the page.
pub(super) fn render(report: &Report) -> String {
    let policies = report.policies();
    let scenario = &report.scenario;
    let first_runs: Vec<&RunRecord> = policies.iter().map(|result| result.runs[0]).collect();
    let seeds = report.seeds();
    let of_seed = match seeds.as_slice() {
        [_] | [] => String::new(),
        [first, ..] => format!(" Shown is seed {first}; timeline.csv has them all."),
    };
    let shaded = shaded(report);
    let mut out = header(report);
    out.push_str(&section(
        "Verdict",
        "Latency counts from the intended start of a request. One that was not answered counts \
         with its whole deadline, so failing fast never looks fast. The best of each column is \
         bold.",
        &tables::verdicts(&policies, &report.verdicts(), &report.regrets(&policies)),
    ));
    if let Some(table) = tables::by_job(report, &policies) {
        let note = "A hyphen marks jobs that were parts of others, as the answered requests tell of \
                    them.";
        out.push_str(&section("Kinds of jobs", note, &table));
    }
    if let Some(table) = tables::by_provider(report, &policies) {
        let note = "Jobs that asked a provider, and those that it refused with HTTP status 429. Each \
                    attempt at a job counts.";
        out.push_str(&section("Providers", note, &table));
    }
    if let Some(table) = tables::failures(report, &policies) {
        let note = "Requests that were not answered with a result, by the fault that they met \
                    while they were open.";
        out.push_str(&section("Where requests failed, and why", note, &table));
    }
    out.push_str(&section(
        "Latency by percentile",
        "How long the slowest requests took: each step to the right is one more nine. Both axes \
         are logarithmic.",
        &plots::percentiles(&policies),
    ));
    out.push_str(&section(
        "Requests per second",
        &format!("Requests by outcome, in the second in which they ended.{shaded}{of_seed}"),
        &plots::outcomes(scenario, &first_runs),
    ));
    out.push_str(&section(
        "Latency over time",
        &format!("Median and 99th percentile of each second's answers.{shaded}{of_seed}"),
        &plots::latencies(scenario, &first_runs),
    ));
    out.push_str(&section(
        "Requests in flight",
        &format!("Requests open at the end of each second.{shaded}{of_seed}"),
        &plots::in_flight(scenario, &first_runs),
    ));
    out.push_str(&section(
        "Where the work went",
        "Jobs that each agent finished after the warm-up. Bars share one scale.",
        &agents::work(scenario, &policies),
    ));
    out.push_str(&section(
        "CPU of each agent",
        &format!("Busy share of each agent's CPU over time.{of_seed}"),
        &agents::cpu(scenario, &first_runs),
    ));
    out + "</body>\n</html>\n"
}

fn section(title: &str, note: &str, content: &str) -> String {
    format!(
        "<section>\n<h2>{title}</h2>\n<p class=\"soft\">{}</p>\n{content}</section>\n",
        escape(note)
    )
}

/// The sentence that explains the shaded parts of time lines; empty if there are none.
fn shaded(report: &Report) -> String {
    let mut shades = Vec::new();
    if !report.scenario.warm_up.is_zero() {
        shades.push(format!("warm-up 0-{}", format::seconds(report.scenario.warm_up)));
    }
    let windows = FaultWindow::all(&report.scenario).into_iter();
    shades.extend(windows.filter(FaultWindow::has_times).map(|window| window.label));
    if shades.is_empty() { String::new() } else { format!(" Shaded: {}.", shades.join(", ")) }
}

fn header(report: &Report) -> String {
    let scenario = &report.scenario;
    let (name, description) = (escape(&scenario.name), escape(&scenario.description));
    let seeds: Vec<String> = report.seeds().iter().map(u64::to_string).collect();
    let clock = match report.ran_by {
        RanBy::Engine(engine) => {
            format!("virtual: engine {}; latencies are simulated, not measured", engine.name())
        }
        RanBy::Live => "wall: real processes; latencies are this machine's".to_owned(),
    };
    let windows = FaultWindow::all(scenario);
    let mut facts = vec![
        ("mesh", format!("{} agents and a registry", format::count(scenario.agents.len() as u64))),
        ("time", times(report)),
        ("clock", clock),
        (if seeds.len() == 1 { "seed" } else { "seeds" }, seeds.join(", ")),
    ];
    facts.extend(scenario.own_policies_in_words().into_iter().map(|own| ("policy", own)));
    facts.extend(sites::sites(scenario));
    facts.extend(windows.iter().map(|w| ("fault", format!("{}: {}", w.label, w.detail))));
    facts.push(("file", format!("SHA-256 {}", scenario.sha256)));
    let mut list = String::new();
    for (term, fact) in facts {
        let _ = writeln!(list, "<dt>{term}</dt><dd>{}</dd>", escape(&fact));
    }
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{name} - Agentic Mesh</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n\
         <header>\n<h1>{name}</h1>\n<p class=\"lead\">{description}</p>\n<dl>\n{list}</dl>\n\
         </header>\n"
    )
}

fn times(report: &Report) -> String {
    let scenario = &report.scenario;
    let mut out = format!("{} of arrivals", format::seconds(scenario.duration));
    if !scenario.warm_up.is_zero() {
        let _ = write!(out, ", the first {} as warm-up", format::seconds(scenario.warm_up));
    }
    let _ = write!(out, ", then {} to drain", format::seconds(scenario.drain));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::example;
    use crate::report::example::realistic;

    #[test]
    fn the_page_stands_alone_and_names_everything() {
        let mut report = realistic(&["random", "<i>&\"weighted"], &[42, 7]);
        report.scenario.description = "A <script> & more".to_owned();
        let page = render(&report);
        for foreign in ["http://", "https://", "<script", "url(", "@import", "<i>"] {
            assert!(!page.contains(foreign), "{foreign} in the page");
        }
        for part in ["A &lt;script&gt; &amp; more", "partition 20-35 s", "agent-8", "seeds"] {
            assert!(page.contains(part), "no {part} in the page");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"));
        for tag in ["svg", "table", "div", "ul", "section", "path", "tr", "td", "li", "b"] {
            let opened = page.matches(&format!("<{tag} ")).count()
                + page.matches(&format!("<{tag}>")).count();
            let closed = page.matches(&format!("</{tag}>")).count();
            let empty = if tag == "path" { opened - closed } else { 0 };
            assert_eq!(opened, closed + empty, "{tag}");
        }
    }

    #[test]
    fn a_run_in_which_nothing_happened_has_a_page() {
        let mut report = example::small();
        for run in &mut report.runs {
            run.requests = Default::default();
            run.latency.reset();
            run.timeline = vec![Default::default(); 3];
            run.timeline.iter_mut().for_each(|second| second.cpu_percent = vec![0.0; 2]);
        }
        let page = render(&report);
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }

    /// Writes the page of a made-up experiment, to be looked at in a browser.
    #[test]
    #[ignore = "writes a file for people; run it with MESH_EXAMPLE_PAGE=FILE"]
    fn write_an_example_page() {
        let file = std::env::var_os("MESH_EXAMPLE_PAGE").expect("MESH_EXAMPLE_PAGE names a file");
        let policies = ["random", "round_robin", "least_loaded", "weighted", "power_of_two"];
        std::fs::write(file, render(&realistic(&policies, &[42]))).unwrap();
    }
}
