//! `events.jsonl`: every event of every traced run, one JSON object per line.

use crate::experiment::Report;
use crate::record::RunRecord;

/// The lines of all runs, each with the run's policy and seed added in front. `None` if no run was
/// traced.
pub(super) fn render(report: &Report) -> Option<String> {
    let traced = |run: &RunRecord| run.trace.is_some();
    report.runs.iter().any(traced).then(|| report.runs.iter().map(lines).collect())
}

fn lines(run: &RunRecord) -> String {
    let policy = serde_json::Value::from(run.policy.as_str());
    let prefix = format!("{{\"policy\":{policy},\"seed\":{},", run.seed);
    let trace = run.trace.as_deref().unwrap_or_default();
    let mut out = String::with_capacity(trace.len() * 3 / 2);
    for line in trace.lines() {
        out.push_str(&prefix);
        out.push_str(line.strip_prefix('{').unwrap_or(line));
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use crate::experiment::example;

    #[test]
    fn each_line_says_whose_it_is() {
        let mut report = example::small();
        assert_eq!(super::render(&report), None);
        let line = r#"{"at_ms":2.000001,"host":"agent-1","event":"recovered","peer":"agent-2"}"#;
        report.runs[1].trace = Some(format!("{line}\n"));
        let expected = "{\"policy\":\"random\",\"seed\":43,\"at_ms\":2.000001,\
                        \"host\":\"agent-1\",\"event\":\"recovered\",\"peer\":\"agent-2\"}\n";
        assert_eq!(super::render(&report).as_deref(), Some(expected));
    }
}
