//! `report.html`: the results of an experiment on one page, which needs no other file and no
//! script.
//!
//! The page answers first: who won, then the verdicts. Then it says what was simulated, because its
//! readers may have nothing else; then why.

mod agents;
mod buckets;
mod over_time;
mod phases;
mod plots;
mod seeds;
pub(crate) mod simulated;
mod sites;
mod tables;
pub(super) mod thumbnail;
mod workload;

use crate::experiment::Report;
use crate::judge::PolicyResult;
use crate::page::{Document, TimeShade, grid};
use crate::record::RunRecord;
use crate::report::table::ordered;

use self::over_time::TimeCharts;

/// The text of the page.
pub(super) fn render(report: &Report) -> String {
    let unordered = report.policies();
    let ranking = report.ranking(&unordered);
    // The best policy stands first.
    let policies = ordered(&unordered, &ranking.order);
    let verdicts = ordered(&report.verdicts(), &ranking.order);
    let regrets = ordered(&report.regrets(&unordered), &ranking.order);
    let mut page = Document::new(&report.scenario.name, &report.scenario.description);
    page.answer(ranking.sentence);
    page.section(
        "Verdict",
        "Latency counts from the intended start of a request. One that was not answered counts \
         with its whole deadline, so failing fast never looks fast. The best of each column is \
         bold.",
        &tables::verdicts(&policies, &verdicts, &regrets),
    );
    page.section("What was simulated", "", &simulated::simulated(report));
    page.section(
        "Latency",
        "Each line is a policy; untick it to take it out. First all but the slowest requests, \
         then the slowest ones.",
        &grid(&(plots::distribution(&policies) + &plots::percentiles(&policies))),
    );
    if let Some(charts) = phases::split(&policies) {
        page.section("Where the time went", phases::NOTE, &charts);
    }
    add_seeds(&mut page, &policies);
    add_tables(&mut page, report, &policies);
    add_autoscaled(&mut page, &policies);
    add_times(&mut page, report, &policies);
    page.render()
}

fn add_seeds(page: &mut Document, policies: &[PolicyResult<'_>]) {
    if let Some(charts) = seeds::differences(policies) {
        let first = policies.first().map_or("the first policy", |first| first.policy);
        let note = format!(
            "Each policy less {first}, seed by seed: the requests of a seed are the same for all \
             policies, so its luck cancels out. A circle is a seed, a bar the 95 % interval of the \
             mean (from five seeds on). \u{2713} better, \u{2717} worse, \u{2248} no difference \
             shown."
        );
        page.section("Differences", &note, &charts);
    }
    if let Some(charts) = seeds::spreads(policies) {
        let note = "Each circle is a seed; the line is the figure of all seeds together.";
        page.section("Spread of the seeds", note, &charts);
    }
}

fn add_tables(page: &mut Document, report: &Report, policies: &[PolicyResult<'_>]) {
    if let Some(table) = tables::failures(report, policies) {
        let note = "Requests that were not answered with a result, by the fault that they met \
                    while they were open.";
        page.section("Where requests failed, and why", note, &table);
    }
    if let Some(table) = tables::by_job(report, policies) {
        let note = "A hyphen marks jobs that were parts of others, as the answered requests tell of \
                    them.";
        page.section("Kinds of jobs", note, &table);
    }
    if let Some(table) = tables::by_provider(report, policies) {
        let note = "Jobs that asked a provider, and those that it refused with HTTP status 429. \
                    Each attempt at a job counts.";
        page.section("Providers", note, &table);
    }
}

fn add_autoscaled(page: &mut Document, policies: &[PolicyResult<'_>]) {
    if let Some(table) = tables::autoscaled(policies) {
        let note = "What the set of agents has cost that the autoscaler starts and drains, from the \
                    order to start an agent to the end of its process; the mean of the seeds. \
                    \"Stayed\" are agents that were told to go, and to stay when load came back.";
        page.section("Autoscaled agents", note, &table);
    }
}

fn add_times(page: &mut Document, report: &Report, policies: &[PolicyResult<'_>]) {
    let scenario = &report.scenario;
    let first_runs: Vec<&RunRecord> = policies.iter().map(|result| result.runs[0]).collect();
    let of_seed = match report.seeds().as_slice() {
        [_] | [] => String::new(),
        [first, ..] => format!(" Shown is seed {first}; timeline.csv has them all."),
    };
    let charts = TimeCharts::new(scenario, &first_runs);
    let (shaded, merged) = (shaded(&charts.shades), buckets::merged(&charts.spans));
    page.section(
        "Requests per second",
        &format!("Requests by outcome, at the time when they ended.{shaded}{of_seed}"),
        &charts.outcomes(),
    );
    page.section(
        "Latency over time",
        &format!("Median and 99th percentile of each second's answers.{merged}{shaded}{of_seed}"),
        &charts.latencies(),
    );
    page.section(
        "Requests in flight",
        &format!("Requests open at the end of each second.{shaded}{of_seed}"),
        &charts.in_flight(),
    );
    page.section(
        "Where the work went",
        agents::work_note(scenario),
        &agents::work(scenario, policies),
    );
    if let Some(matrices) = phases::who_to_whom(scenario, policies) {
        let note = "Jobs that began at each agent (columns), by the agent that sent them (rows). The \
                    darkest cell of a matrix has the most; a dark column is a herd.";
        page.section("Who delegated to whom", note, &matrices);
    }
    page.section(
        "CPU of each agent",
        &format!("Busy share of each agent's CPU over time.{of_seed}"),
        &agents::cpu(scenario, &first_runs),
    );
}

/// The sentence that explains the shaded parts of time lines; empty if there are none.
fn shaded(shades: &[TimeShade]) -> String {
    let named = shades.iter().map(|shade| match shade.is_fault {
        true => format!("{} (bar on top)", shade.title),
        false => format!("{} until {} s", shade.title, shade.until),
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { String::new() } else { format!(" Grey: {}.", named.join(", ")) }
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
        for foreign in ["http://", "https://", "<script", "url(", "@import", "<i>", "<link", "<img"]
        {
            assert!(!page.contains(foreign), "{foreign} in the page");
        }
        for part in ["A &lt;script&gt; &amp; more", "partition 20-35 s", "agent-8", "seeds"] {
            assert!(page.contains(part), "no {part} in the page");
        }
        assert!(!page.contains("NaN") && !page.contains("inf"));
        for tag in ["svg", "table", "div", "ul", "section", "path", "tr", "td", "li", "b", "g"] {
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

    #[test]
    fn the_answer_comes_before_the_reasons() {
        let page = render(&realistic(&["random", "power_of_two"], &[1, 2, 3, 4, 5]));
        let place = |part: &str| page.find(part).unwrap_or_else(|| panic!("no {part}"));
        let order = [
            ">Verdict</h2>",
            ">What was simulated</h2>",
            ">Latency</h2>",
            ">Differences</h2>",
            ">Spread of the seeds</h2>",
            ">CPU of each agent</h2>",
        ];
        assert!(order.map(place).is_sorted());
        assert_eq!(page.matches("class=\"whisker\"").count(), 3, "three figures of one policy");
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
