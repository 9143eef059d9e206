//! What the terminal shows at the end: a table of the policies, why requests failed, and the
//! commands that replay what went wrong.

use super::by_autoscale::{AUTOSCALE_HEADINGS, autoscale_rows};
use super::by_job::{JobRow, job_rows};
use super::by_provider::{HEADINGS, provider_rows};
use super::figure_text;
use crate::experiment::{RanBy, Report};
use crate::figures::{Figure, Shown};
use crate::format::{self, shell_word};
use crate::judge::{MeasuredFigures, PolicyResult, PolicyVerdict, regret_text};
use crate::record::{CopyCounts, FaultWindow, NO_FAULT, SentAgainCounts};

/// The columns of a terminal. Only a line that is a single path or label may be longer.
const WIDTH: usize = 80;
/// Labels are cut to make room, but never to fewer characters than this.
const MIN_LABEL: usize = 8;
/// The longest name of a kind of jobs, a provider or a policy in the tables of jobs and providers.
const MAX_JOB: usize = 16;

/// The report for a terminal of 80 columns. `file` is the scenario file as the user named it.
pub fn render(report: &Report, file: &str) -> String {
    let policies = report.policies();
    let verdicts = report.verdicts();
    let ranking = report.ranking(&policies);
    let regrets = report.regrets(&policies);
    // The best policy stands first.
    let policies = ordered(&policies, &ranking.order);
    let verdicts = ordered(&verdicts, &ranking.order);
    let regrets = ordered(&regrets, &ranking.order);
    let mut out = table(&policies, &verdicts, &regrets);
    let seeds = report.seeds().len();
    if seeds > 1 {
        out.push_str(&format!(" Each line adds up {seeds} seeds.\n"));
    }
    if let Some(sentence) = &ranking.sentence {
        out.push_str(&wrapped(sentence, 1, 3));
    }
    if regrets.iter().any(Option::is_some) {
        out.push_str(" regret: mean latency above that of the best upper bound (oracle_...)\n");
    }
    out.push_str(&by_job(report, &policies));
    out.push_str(&by_provider(report, &policies));
    out.push_str(&autoscaled(&policies));
    out.push_str(&failures(report, &policies));
    out.push_str(&sent_again(&policies));
    out.push_str(&copies(&policies));
    out.push_str(&problems(report, &verdicts, file));
    out
}

/// The items with these indices.
pub(crate) fn ordered<T: Clone>(items: &[T], order: &[usize]) -> Vec<T> {
    order.iter().map(|index| items[*index].clone()).collect()
}

/// The forms of a table, from the widest to the narrowest: how many significant digits latencies
/// have, and whether verdicts name the missed threshold.
const DETAIL: [(usize, bool); 4] = [(3, true), (3, false), (2, true), (2, false)];

fn table(
    policies: &[PolicyResult<'_>],
    verdicts: &[PolicyVerdict],
    regrets: &[Option<f64>],
) -> String {
    let mut label_width = usize::MAX;
    for (digits, full_verdicts) in DETAIL {
        let rows = rows(policies, verdicts, regrets, digits, full_verdicts, label_width);
        let text = layout(&rows);
        if widest(&text) <= WIDTH {
            return text;
        }
    }
    // Even the narrowest form is too wide: labels are cut by as much as is too much.
    let (digits, full_verdicts) = DETAIL[DETAIL.len() - 1];
    let rows_of = |width| layout(&rows(policies, verdicts, regrets, digits, full_verdicts, width));
    let longest = policies.iter().map(|result| result.policy.chars().count()).max();
    let excess = widest(&rows_of(label_width)) - WIDTH;
    label_width = longest.unwrap_or_default().saturating_sub(excess).max(MIN_LABEL);
    rows_of(label_width)
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or_default()
}

/// The cells of the table, headings first. The best value of each column has a mark, and so has
/// every value with the same text.
fn rows(
    policies: &[PolicyResult<'_>],
    verdicts: &[PolicyVerdict],
    regrets: &[Option<f64>],
    digits: usize,
    full_verdicts: bool,
    label_width: usize,
) -> Vec<Vec<String>> {
    let measured: Vec<MeasuredFigures> = policies.iter().map(PolicyResult::measured).collect();
    let figures: Vec<&Figure> = Figure::shown_in(Shown::Terminal).collect();
    let headings = figures.iter().map(|figure| figure.heading);
    // A column only if there is something to regret.
    let has_bound = regrets.iter().any(Option::is_some);
    let regret = has_bound.then_some("regret");
    let header = ["policy", "sent"].into_iter().chain(headings).chain(regret).chain(["verdict"]);
    let mut rows = vec![header.map(str::to_owned).collect::<Vec<_>>()];
    let best: Vec<Option<String>> =
        figures.iter().map(|figure| figure_text::best(figure, &measured, digits)).collect();
    for (((result, measured), verdict), regret) in
        policies.iter().zip(&measured).zip(verdicts).zip(regrets)
    {
        let mut row =
            vec![format::ellipsis(result.policy, label_width), format::count(result.requests.sent)];
        row.extend(figures.iter().zip(&best).map(|(figure, best)| {
            let text = figure_text::text(figure, measured, digits);
            if best.as_ref() == Some(&text) { text + "*" } else { text }
        }));
        row.extend(has_bound.then(|| regret_text(*regret)));
        row.push(match full_verdicts {
            true => full_verdict(verdict),
            false => verdict.word().to_owned(),
        });
        rows.push(row);
    }
    rows
}

fn full_verdict(verdict: &PolicyVerdict) -> String {
    match (verdict.violated.as_slice(), verdict.missed.as_slice()) {
        ([], [miss]) => miss.threshold.brief(),
        ([], [miss, rest @ ..]) => format!("{} +{}", miss.threshold.brief(), rest.len()),
        _ => verdict.word().to_owned(),
    }
}

/// Aligns the columns: the first and the last to the left, numbers to the right. Where a column has
/// marks, every cell of it gets room for one.
pub(crate) fn layout(rows: &[Vec<String>]) -> String {
    let columns = rows[0].len();
    let marked: Vec<bool> =
        (0..columns).map(|column| rows.iter().any(|row| row[column].ends_with('*'))).collect();
    let cell = |row: &[String], column: usize| match marked[column] && !row[column].ends_with('*') {
        true => format!("{} ", row[column]),
        false => row[column].clone(),
    };
    let width = |column| rows.iter().map(|row| cell(row, column).chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or_default()).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = format!(" {:<1$}", row[0], widths[0]);
        for column in 1..columns - 1 {
            // After the room for a mark, one space is enough before the next column.
            let gap = if marked[column - 1] { 1 } else { 2 };
            line.push_str(&format!("{:gap$}{:>2$}", "", cell(row, column), widths[column]));
        }
        line.push_str(&format!("  {}", row[columns - 1]));
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

/// "By kind of job": the figures of each kind, under each policy; empty if there is only one kind. A
/// hyphen marks jobs that were parts of others.
fn by_job(report: &Report, policies: &[PolicyResult<'_>]) -> String {
    let jobs = job_rows(report, policies);
    if jobs.is_empty() {
        return String::new();
    }
    let figures: Vec<&Figure> = Figure::shown_in(Shown::Terminal).collect();
    let header = ["job", "sent"].into_iter().chain(figures.iter().map(|figure| figure.heading));
    let mut rows = vec![header.chain(["policy"]).map(str::to_owned).collect::<Vec<_>>()];
    for JobRow { job, is_repeated, policy, measured } in jobs {
        let job = if is_repeated { String::new() } else { format::ellipsis(&job, MAX_JOB) };
        let mut row = vec![job, format::count(measured.requests.sent)];
        row.extend(figures.iter().map(|figure| figure_text::text(figure, &measured, 3)));
        row.push(format::ellipsis(policy, MAX_JOB));
        rows.push(row);
    }
    format!("\n By kind of job\n{}", layout(&rows))
}

/// "By provider": how many jobs asked each provider and were refused, under each policy; empty
/// without providers.
fn by_provider(report: &Report, policies: &[PolicyResult<'_>]) -> String {
    let found = provider_rows(report, policies);
    if found.is_empty() {
        return String::new();
    }
    let mut rows = vec![HEADINGS.map(str::to_owned).to_vec()];
    for mut row in found {
        for name in [0, row.len() - 1] {
            row[name] = format::ellipsis(&row[name], MAX_JOB);
        }
        rows.push(row.to_vec());
    }
    format!("\n By provider\n{}", layout(&rows))
}

/// "Autoscaled agents": what the set has cost under each policy; empty without an autoscaler.
fn autoscaled(policies: &[PolicyResult<'_>]) -> String {
    let found = autoscale_rows(policies);
    if found.is_empty() {
        return String::new();
    }
    let mut rows = vec![AUTOSCALE_HEADINGS.map(str::to_owned).to_vec()];
    for mut row in found {
        let policy = row.len() - 1;
        row[policy] = format::ellipsis(&row[policy], MAX_JOB);
        rows.push(row.to_vec());
    }
    format!("\n Autoscaled agents (mean of the seeds)\n{}", layout(&rows))
}

/// "Where requests failed, and why": the failed requests of each policy, by fault window and
/// reason.
fn failures(report: &Report, policies: &[PolicyResult<'_>]) -> String {
    if policies.iter().all(|result| result.requests.failed() == 0) {
        return String::new();
    }
    let windows = FaultWindow::all(&report.scenario);
    let mut out = "\n Where requests failed, and why\n".to_owned();
    for result in policies.iter().filter(|result| result.requests.failed() > 0) {
        let (failed, sent) = (result.requests.failed(), result.requests.sent);
        let share = format::rest_percent(result.requests.answered, sent);
        let label = format::ellipsis(result.policy, WIDTH / 2);
        let failed = format::count(failed);
        out.push_str(&format!("   {label}: {failed} of {} ({share} %)\n", format::count(sent)));
        for (index, counts) in result.by_window.iter().enumerate() {
            if counts.requests.failed() == 0 {
                continue;
            }
            let place = windows.get(index).map_or(NO_FAULT, |window| window.label.as_str());
            let mut reasons: Vec<_> = counts.failures.iter().collect();
            reasons.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
            let reasons = reasons
                .iter()
                .map(|(why, n)| format!("{} {}", format::reason(why), format::count(**n)));
            let text = format!("{place}: {}", reasons.collect::<Vec<_>>().join(", "));
            out.push_str(&wrapped(&text, 5, 7));
        }
    }
    out
}

/// "Requests that clients sent again": how often and how, under each policy; empty if there are
/// none.
fn sent_again(policies: &[PolicyResult<'_>]) -> String {
    if policies.iter().all(|result| result.sent_again.is_zero()) {
        return String::new();
    }
    let mut out = "\n Requests that clients sent again\n".to_owned();
    for result in policies {
        let SentAgainCounts { failovers, retries } = result.sent_again;
        let label = format::ellipsis(result.policy, WIDTH / 2);
        let (failovers, retries) = (format::count(failovers), format::count(retries));
        out.push_str(&format!(
            "   {label}: {failovers} to another entry agent, {retries} after a pause\n"
        ));
    }
    out
}

/// "Jobs that agents sent to one more peer": how often, and what became of them, under each policy;
/// empty if there are none.
fn copies(policies: &[PolicyResult<'_>]) -> String {
    if policies.iter().all(|result| result.copies.is_zero()) {
        return String::new();
    }
    let mut out = "\n Jobs that agents sent to one more peer (hedging)\n".to_owned();
    for result in policies {
        let CopyCounts { sent, won, cancelled } = result.copies;
        let label = format::ellipsis(result.policy, WIDTH / 2);
        let [sent, won, cancelled] = [sent, won, cancelled].map(format::count);
        out.push_str(&format!("   {label}: {sent} sent, {won} won, {cancelled} calls cancelled\n"));
    }
    out
}

/// One line per violated oracle and missed threshold, each followed by the command that replays it.
/// Lines with the same command have it once, after the last of them.
fn problems(report: &Report, verdicts: &[PolicyVerdict], file: &str) -> String {
    // A live run can't be replayed.
    let replay = |seed, policy: &str| match report.ran_by {
        RanBy::Engine(engine) => {
            let engine = (engine != report.scenario.engine).then(|| engine.name());
            replay(file, seed, policy, engine)
        }
        RanBy::Live => String::new(),
    };
    let mut lines = Vec::new();
    for PolicyVerdict { policy, violated, missed, .. } in verdicts {
        for violated in violated {
            let (seed, oracle) = (violated.seed, &violated.oracle);
            let times = match oracle.times {
                1 => String::new(),
                times => format!(" ({} times)", format::count(times)),
            };
            let at = format::exact_latency(oracle.at_ns);
            let what = format!("{} at {at}{times}: {}", oracle.oracle, oracle.detail);
            lines.push((format!("violated: {policy} seed {seed}: {what}"), replay(seed, policy)));
        }
        for miss in missed {
            let what = format!("missed: {policy}: {}", miss.threshold);
            lines.push((what, replay(miss.worst_seed, policy)));
        }
    }
    let mut out = String::new();
    for (index, (text, command)) in lines.iter().enumerate() {
        out.push_str(&wrapped(text, 1, 3));
        if lines.get(index + 1).is_none_or(|(_, next)| next != command) {
            out.push_str(command);
        }
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

/// The command that runs one policy with one seed again. If it needs several lines, these end with
/// a backslash, so that a shell reads them as one command.
pub(crate) fn replay(file: &str, seed: u64, policy: &str, engine: Option<&str>) -> String {
    let mut words = vec![shell_word(file), format!("--seed {seed}")];
    words.push(format!("--policy {}", shell_word(policy)));
    words.extend(engine.map(|engine| format!("--engine {engine}")));
    let mut out = "   mesh-sim replay".to_owned();
    let mut line_width = out.len();
    for option in words {
        let width = option.chars().count();
        // Two columns stay free for a space and a backslash.
        if line_width + 1 + width + 2 <= WIDTH {
            out.push(' ');
            line_width += 1 + width;
        } else {
            out.push_str(" \\\n     ");
            line_width = 5 + width;
        }
        out.push_str(&option);
    }
    out + "\n"
}

/// Breaks `text` into lines of at most 80 columns. The first is indented by `first` columns, the
/// others by `rest`.
pub fn wrapped(text: &str, first: usize, rest: usize) -> String {
    wrapped_parts(text.split_whitespace(), first, rest)
}

/// As [`wrapped`], with line breaks only between these parts of the text.
pub fn wrapped_parts<'a>(
    parts: impl IntoIterator<Item = &'a str>,
    first: usize,
    rest: usize,
) -> String {
    let mut out = String::new();
    let mut line = " ".repeat(first);
    let mut is_empty = true;
    for part in parts {
        let space = usize::from(!is_empty);
        if !is_empty && line.chars().count() + space + part.chars().count() > WIDTH {
            out.push_str(&line);
            out.push('\n');
            line = " ".repeat(rest);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(part);
        is_empty = false;
    }
    out + &line + "\n"
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
