//! The page's tables: verdicts, and failures by fault and reason.

use std::fmt::Write as _;

use super::svg::escape;
use crate::format;
use crate::judge::{PolicyResult, PolicyVerdict, Statistic, Verdict};
use crate::record::{FaultWindow, NO_FAULT};
use crate::report::Report;
use crate::report::column::Column;

const COLUMNS: [Column; 7] = [
    Column::Success,
    Column::Latency(Statistic::Mean),
    Column::Latency(Statistic::P50),
    Column::Latency(Statistic::P90),
    Column::Latency(Statistic::P99),
    Column::Latency(Statistic::P99_9),
    Column::Max,
];
/// Significant digits of latencies.
const DIGITS: usize = 3;

/// Every policy with its figures and its verdict.
pub(super) fn verdicts(policies: &[PolicyResult<'_>], verdicts: &[PolicyVerdict]) -> String {
    let mut out = "<div class=\"scroll\"><table><thead><tr><th>policy</th>\
                   <th class=\"left\">verdict</th><th>sent</th>"
        .to_owned();
    for column in COLUMNS {
        let _ = write!(out, "<th>{}</th>", column.name());
    }
    out.push_str("</tr></thead>\n<tbody>");
    let best = COLUMNS.map(|column| column.best(policies, DIGITS));
    for (result, verdict) in policies.iter().zip(verdicts) {
        let _ = write!(out, "<tr><td>{}</td>", escape(result.policy));
        let (class, word) = word(verdict.verdict());
        let _ = write!(out, "<td class=\"left {class}\">{word}</td>");
        let _ = write!(out, "<td>{}</td>", format::count(result.requests.sent));
        for (column, best) in COLUMNS.iter().zip(&best) {
            let text = column.text(result, DIGITS);
            let class = if best.as_ref() == Some(&text) { " class=\"best\"" } else { "" };
            let _ = write!(out, "<td{class}>{text}</td>");
        }
        out.push_str("</tr>\n");
    }
    out + "</tbody></table></div>\n" + &problems(verdicts)
}

/// The verdict's class and how it reads, not by colour alone.
fn word(verdict: Verdict) -> (&'static str, String) {
    let (class, mark) = match verdict {
        Verdict::Pass => ("good", '\u{2713}'),
        Verdict::Missed | Verdict::Violated => ("bad", '\u{2717}'),
    };
    (class, format!("{mark} {}", verdict.word()))
}

/// A list of the violated oracles and missed thresholds; empty if there are none.
fn problems(verdicts: &[PolicyVerdict]) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let policy = escape(&verdict.policy);
        for violated in &verdict.violated {
            let first = &violated.first;
            let at = format::exact_latency(first.at_ns);
            let text =
                format!("seed {}: {} at {at}: {}", violated.seed, first.oracle, first.detail);
            let _ = writeln!(out, "<li><b>{policy}</b> broke an oracle: {}</li>", escape(&text));
        }
        for miss in &verdict.missed {
            let text = escape(&miss.threshold.to_string());
            let _ = writeln!(out, "<li><b>{policy}</b> missed a threshold: {text}</li>");
        }
    }
    if out.is_empty() { out } else { format!("<ul>\n{out}</ul>\n") }
}

/// Failures of each policy by fault window and reason; `None` if there were none.
pub(super) fn failures(report: &Report, policies: &[PolicyResult<'_>]) -> Option<String> {
    let mut reasons: Vec<&str> =
        policies.iter().flat_map(|result| result.failures.keys().copied()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() {
        return None;
    }
    let windows = FaultWindow::all(&report.scenario);
    let mut out = "<div class=\"scroll\"><table><thead><tr><th>policy</th>\
                   <th class=\"left\">met</th><th>sent</th><th>failed</th><th>failed %</th>"
        .to_owned();
    for reason in &reasons {
        let _ = write!(out, "<th>{}</th>", escape(&format::reason(reason)));
    }
    out.push_str("</tr></thead>\n<tbody>");
    for result in policies {
        for (index, counts) in result.by_window.iter().enumerate() {
            let place = windows.get(index).map_or(NO_FAULT, |window| window.label.as_str());
            let (sent, failed) = (counts.requests.sent, counts.requests.failed());
            let _ = write!(
                out,
                "<tr><td>{}</td><td class=\"left\">{}</td><td>{}</td><td>{}</td><td>{}</td>",
                if index == 0 { escape(result.policy) } else { String::new() },
                escape(place),
                format::count(sent),
                format::count(failed),
                format::percent(failed, sent)
            );
            for reason in &reasons {
                let count = counts.failures.get(reason).copied().unwrap_or_default();
                let text =
                    if count == 0 { format::NO_FIGURE.to_owned() } else { format::count(count) };
                let _ = write!(out, "<td>{text}</td>");
            }
            out.push_str("</tr>\n");
        }
    }
    Some(out + "</tbody></table></div>\n")
}
