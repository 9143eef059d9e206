//! `timeline.csv`: what happened in each simulated second of each run.

use std::io;

use crate::experiment::Report;
use crate::format;
use crate::grouping::cpu_columns;

const HEADER: [&str; 11] = [
    "policy",
    "seed",
    "second",
    "due",
    "answered",
    "refused",
    "timed_out",
    "lost",
    "p50_ms",
    "p99_ms",
    "in_flight",
];

/// The content of the file: one line per run and second. The last columns are the CPU % of each
/// agent, or the means of groups of neighbours. The quantiles of a second without answers are
/// empty.
pub(super) fn render(report: &Report) -> io::Result<Vec<u8>> {
    let mut csv = csv::Writer::from_writer(Vec::new());
    let agents = &report.scenario.agents;
    let agents = cpu_columns(agents.len()).into_iter().map(|column| match &agents[column] {
        [agent] => format!("{}_cpu_percent", agent.name),
        [first, .., last] => format!("{}..{}_cpu_percent", first.name, last.name),
        [] => String::new(),
    });
    csv.write_record(HEADER.into_iter().map(str::to_owned).chain(agents))?;
    for run in &report.runs {
        for (number, second) in run.timeline.iter().enumerate() {
            let ended = &second.ended;
            let quantile = |ns| if ended.answered == 0 { String::new() } else { format::ms(ns) };
            let counts = [second.due, ended.answered, ended.refused, ended.timed_out, ended.lost];
            let line = [run.policy.clone(), run.seed.to_string(), number.to_string()]
                .into_iter()
                .chain(counts.map(|count| count.to_string()))
                .chain([second.p50_ns, second.p99_ns].map(quantile))
                .chain([second.in_flight.to_string()])
                .chain(second.cpu_percent.iter().map(|percent| format!("{percent:.1}")));
            csv.write_record(line)?;
        }
    }
    csv.into_inner().map_err(|error| error.into_error())
}

#[cfg(test)]
mod tests {
    use crate::experiment::example;

    #[test]
    fn one_line_per_run_and_second() {
        let mut report = example::small();
        report.runs.truncate(1);
        let csv = String::from_utf8(super::render(&report).unwrap()).unwrap();
        insta::assert_snapshot!(csv);
    }
}
