//! The page's tables: verdicts, and failures by fault and reason.

use std::fmt::Write as _;

use crate::experiment::Report;
use crate::figures::{Figure, Shown};
use crate::format;
use crate::judge::{PolicyResult, PolicyVerdict};
use crate::page::{escape, scroll};
use crate::record::{FaultWindow, NO_FAULT};
use crate::report::by_autoscale::{AUTOSCALE_HEADINGS, autoscale_rows};
use crate::report::by_job::{JobRow, job_rows};
use crate::report::by_provider::{HEADINGS, provider_rows};
use crate::report::figure_text;
use crate::report::verdict_table::{VerdictRow, verdict_table};

/// How many significant digits latencies have.
const DIGITS: usize = 3;

/// The table of the policies with their figures and verdicts, and a list of what went wrong.
pub(super) fn verdicts(
    policies: &[PolicyResult<'_>],
    verdicts: &[PolicyVerdict],
    regrets: &[Option<f64>],
) -> String {
    let all = policies.iter().zip(verdicts).zip(regrets);
    let row = |((result, verdict), regret): ((&PolicyResult<'_>, &PolicyVerdict), &Option<f64>)| {
        VerdictRow {
            policy: result.policy.to_owned(),
            verdict: verdict.shown(),
            measured: result.measured(),
            regret: *regret,
        }
    };
    verdict_table(&all.map(row).collect::<Vec<_>>()) + &problems(verdicts)
}

/// A list of the violated oracles and missed thresholds; empty if there are none.
fn problems(verdicts: &[PolicyVerdict]) -> String {
    let mut out = String::new();
    for verdict in verdicts {
        let policy = escape(&verdict.policy);
        for violated in &verdict.violated {
            let (seed, oracle) = (violated.seed, &violated.oracle);
            let at = format::exact_latency(oracle.at_ns);
            let text = format!("seed {seed}: {} at {at}: {}", oracle.oracle, oracle.detail);
            let _ = writeln!(out, "<li><b>{policy}</b> violated an oracle: {}</li>", escape(&text));
        }
        for miss in &verdict.missed {
            let text = escape(&miss.threshold.to_string());
            let _ = writeln!(out, "<li><b>{policy}</b> missed a threshold: {text}</li>");
        }
    }
    if out.is_empty() { out } else { format!("<ul>\n{out}</ul>\n") }
}

/// The table of the kinds of jobs; `None` if there is only one kind.
pub(super) fn by_job(report: &Report, policies: &[PolicyResult<'_>]) -> Option<String> {
    let rows = job_rows(report, policies);
    if rows.is_empty() {
        return None;
    }
    let figures: Vec<&Figure> = Figure::shown_in(Shown::Page).collect();
    let mut out = "<table><thead><tr><th>job</th>\
                   <th class=\"left\">policy</th><th>sent</th>"
        .to_owned();
    for figure in &figures {
        let _ = write!(out, "<th>{}</th>", figure.heading);
    }
    out.push_str("</tr></thead>\n<tbody>");
    for JobRow { job, is_repeated, policy, measured } in rows {
        let job = if is_repeated { String::new() } else { escape(&job) };
        let (policy, sent) = (escape(policy), format::count(measured.requests.sent));
        let _ = write!(out, "<tr><td>{job}</td><td class=\"left\">{policy}</td><td>{sent}</td>");
        for figure in &figures {
            let _ = write!(out, "<td>{}</td>", figure_text::text(figure, &measured, DIGITS));
        }
        out.push_str("</tr>\n");
    }
    Some(scroll(&(out + "</tbody></table>")))
}

/// The table of the providers; `None` without providers.
pub(super) fn by_provider(report: &Report, policies: &[PolicyResult<'_>]) -> Option<String> {
    let rows = provider_rows(report, policies);
    if rows.is_empty() {
        return None;
    }
    let [provider, figures @ .., policy] = HEADINGS;
    let mut out = format!("<table><thead><tr><th>{provider}</th><th class=\"left\">{policy}</th>");
    figures.iter().for_each(|heading| out.push_str(&format!("<th>{heading}</th>")));
    out.push_str("</tr></thead>\n<tbody>");
    for [provider, figures @ .., policy] in rows {
        let (provider, policy) = (escape(&provider), escape(&policy));
        let _ = write!(out, "<tr><td>{provider}</td><td class=\"left\">{policy}</td>");
        figures.iter().for_each(|cell| out.push_str(&format!("<td>{cell}</td>")));
        out.push_str("</tr>\n");
    }
    Some(scroll(&(out + "</tbody></table>")))
}

/// The table of the autoscaled set; `None` without one.
pub(super) fn autoscaled(policies: &[PolicyResult<'_>]) -> Option<String> {
    let rows = autoscale_rows(policies);
    if rows.is_empty() {
        return None;
    }
    let [figures @ .., policy] = AUTOSCALE_HEADINGS;
    let mut out = format!("<table><thead><tr><th class=\"left\">{policy}</th>");
    figures.iter().for_each(|heading| out.push_str(&format!("<th>{heading}</th>")));
    out.push_str("</tr></thead>\n<tbody>");
    for [figures @ .., policy] in rows {
        let _ = write!(out, "<tr><td class=\"left\">{}</td>", escape(&policy));
        figures.iter().for_each(|cell| out.push_str(&format!("<td>{cell}</td>")));
        out.push_str("</tr>\n");
    }
    Some(scroll(&(out + "</tbody></table>")))
}

/// The table of failed requests of each policy, by fault window and reason; `None` if no request
/// failed.
pub(super) fn failures(report: &Report, policies: &[PolicyResult<'_>]) -> Option<String> {
    let mut reasons: Vec<&str> =
        policies.iter().flat_map(|result| result.failures.keys().copied()).collect();
    reasons.sort_unstable();
    reasons.dedup();
    if reasons.is_empty() {
        return None;
    }
    let windows = FaultWindow::all(&report.scenario);
    let mut out = "<table><thead><tr><th>policy</th>\
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
                // The policy is named in the first of its rows only.
                if index == 0 { escape(result.policy) } else { String::new() },
                escape(place),
                format::count(sent),
                format::count(failed),
                format::rest_percent(counts.requests.answered, sent)
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
    Some(scroll(&(out + "</tbody></table>")))
}
