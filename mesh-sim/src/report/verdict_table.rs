//! The table of policies with their verdicts and figures, for the pages of runs and of sweeps.

use std::fmt::Write as _;

use super::figure_text;
use crate::figures::{Figure, Shown};
use crate::format;
use crate::judge::{MeasuredFigures, Verdict, regret_text};
use crate::page::{escape, scroll};

/// How many significant digits latencies have.
const DIGITS: usize = 3;

/// A row of the table: one policy.
#[derive(Clone, Debug)]
pub(crate) struct VerdictRow {
    /// The policy's label.
    pub(crate) policy: String,
    /// The verdict on it; `None` if nothing was demanded of it.
    pub(crate) verdict: Option<Verdict>,
    /// Its figures.
    pub(crate) measured: MeasuredFigures,
    /// Its regret, if an upper bound was run.
    pub(crate) regret: Option<f64>,
}

/// The table. The best value of each column is bold.
pub(crate) fn verdict_table(rows: &[VerdictRow]) -> String {
    let mut out = "<table><thead><tr><th>policy</th>\
                   <th class=\"left\">verdict</th><th>sent</th>"
        .to_owned();
    let figures: Vec<&Figure> = Figure::shown_in(Shown::Page).collect();
    for figure in &figures {
        let _ = write!(out, "<th>{}</th>", figure.heading);
    }
    // A column only if an upper bound was run.
    let has_bound = rows.iter().any(|row| row.regret.is_some());
    if has_bound {
        out.push_str("<th title=\"mean latency above that of the best upper bound\">regret</th>");
    }
    out.push_str("</tr></thead>\n<tbody>");
    let measured: Vec<MeasuredFigures> = rows.iter().map(|row| row.measured).collect();
    let best: Vec<Option<String>> =
        figures.iter().map(|figure| figure_text::best(figure, &measured, DIGITS)).collect();
    for VerdictRow { policy, verdict, measured, regret } in rows {
        let _ = write!(out, "<tr><td>{}</td>", escape(policy));
        let (class, word) = word(*verdict);
        let _ = write!(out, "<td class=\"left {class}\">{word}</td>");
        let _ = write!(out, "<td>{}</td>", format::count(measured.requests.sent));
        for (figure, best) in figures.iter().zip(&best) {
            let text = figure_text::text(figure, measured, DIGITS);
            let class = if best.as_ref() == Some(&text) { " class=\"best\"" } else { "" };
            let _ = write!(out, "<td{class}>{text}</td>");
        }
        if has_bound {
            let _ = write!(out, "<td>{}</td>", regret_text(*regret));
        }
        out.push_str("</tr>\n");
    }
    scroll(&(out + "</tbody></table>"))
}

/// The CSS class of a verdict, and its text. The text has a mark, so that colour is not needed.
fn word(verdict: Option<Verdict>) -> (&'static str, String) {
    let Some(verdict) = verdict else { return ("", format::NO_FIGURE.to_owned()) };
    let (class, mark) = match verdict {
        Verdict::Pass => ("good", '\u{2713}'),
        Verdict::Missed | Verdict::Violated => ("bad", '\u{2717}'),
    };
    (class, format!("{mark} {}", verdict.word()))
}
