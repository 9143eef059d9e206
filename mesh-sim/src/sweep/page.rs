//! `sweep.html`: the findings of a sweep on one page, which needs no other file and no script.

use std::collections::BTreeMap;

use super::findings::{CellFindings, PolicyFindings, SweepFindings};
use super::{Sweep, SweepCell, Vary};
use crate::experiment::RanBy;
use crate::figures::{Figure, Unit};
use crate::format::{seed_ranges, shell_word};
use crate::judge::{MeasuredFigures, Verdict};
use crate::page::{
    Axis, AxisUnit, Document, LineChart, LinePoint, LineSeries, LineStyle, ScoreCard, ScoreCell,
    folded, grid,
};
use crate::report::figure_text;
use crate::report::html::simulated::{SimulatedFacts, made_by};
use crate::report::seed_charts::{figure_axis, forest, quantity, spread};
use crate::report::table::ordered;
use crate::report::verdict_table::{VerdictRow, verdict_table};
use crate::statistics::{FEWEST_SEEDS, interval_of_mean, mean};
use crate::units::parse_duration;

/// The figures that are shown, of those by which policies are compared.
const SHOWN: [&str; 3] = ["success", "p50", "p99"];
/// The charts of at most so many cells are in the page; those of all are in `comparison.csv`.
const MOST_CELLS: usize = 60;
/// The cells are folded in if there are more.
const UNFOLDED: usize = 2;

fn figures() -> impl Iterator<Item = &'static Figure> {
    Figure::compared().filter(|figure| SHOWN.contains(&figure.key))
}

/// The text of the page.
pub(super) fn render(findings: &SweepFindings<'_>) -> String {
    let sweep = findings.sweep;
    let mut page = Document::new(&sweep.scenario.name, &sweep.scenario.description);
    page.answer(answer(findings));
    let note = "Each row is a policy, each column a cell of the sweep; all seeds together. \u{2605} \
                is the best of its column, \u{2717} missed a threshold or violated an oracle; the \
                darker a cell, the further it is from the best (darkest from four times its \
                latency on, or 10 % fewer answers). Point at a value to see the others.";
    page.section("Score card", note, &score_cards(findings));
    let note = if sweep.cells.len() > 1 { "With the values of the first cell." } else { "" };
    page.section("What was simulated", note, &simulated(sweep));
    if let Some(field) = swept_field(sweep) {
        let charts: String = figures().map(|figure| against(findings, &field, figure)).collect();
        let note = "The mean over the seeds; the band is its 95 % interval (from five seeds on). \
                    Untick a policy to take it out.";
        page.section(&format!("By {}", field.name), note, &grid(&charts));
    }
    let baseline = &sweep.policies[sweep.baseline];
    let note = format!(
        "Differences are those from {baseline}, seed by seed: the requests of a seed are the same \
         for all policies, so its luck cancels out. A circle is a seed, a bar the 95 % interval of \
         the mean. \u{2713} better, \u{2717} worse, \u{2248} no difference shown."
    );
    page.section("Each cell", &note, &cells(findings));
    page.render()
}

/// Which policy won; in which cells, if there are several.
fn answer(findings: &SweepFindings<'_>) -> Option<String> {
    if let [cell] = &findings.cells[..] {
        return cell.ranking.sentence.clone();
    }
    let mut wins: BTreeMap<usize, usize> = BTreeMap::new();
    let ranked = findings.cells.iter().filter(|cell| cell.ranking.first.is_some()).count();
    for winner in findings.cells.iter().filter_map(|cell| cell.ranking.winner()) {
        *wins.entry(winner).or_default() += 1;
    }
    let unclear = ranked - wins.values().sum::<usize>();
    let mut wins: Vec<(usize, usize)> = wins.into_iter().collect();
    wins.sort_by_key(|(_, cells)| std::cmp::Reverse(*cells));
    let policies = &findings.sweep.policies;
    let verb = if findings.sweep.seeds.len() < FEWEST_SEEDS { "is ahead" } else { "wins" };
    let mut parts: Vec<String> = wins
        .into_iter()
        .map(|(policy, cells)| format!("{} {verb} in {cells} of {ranked} cells", policies[policy]))
        .collect();
    if unclear > 0 {
        let no = if parts.is_empty() { "No" } else { "no" };
        parts.push(format!("{no} clear winner in {unclear}"));
    }
    (ranked > 0).then(|| parts.join("; ") + ".")
}

/// A score card for the slowest requests, and one for the share of answers.
fn score_cards(findings: &SweepFindings<'_>) -> String {
    let shown = figures().filter(|figure| figure.key != "p50");
    shown.map(|figure| score_card(findings, figure)).collect()
}

fn score_card(findings: &SweepFindings<'_>, figure: &'static Figure) -> String {
    let sweep = findings.sweep;
    let columns: Vec<Vec<ScoreCell>> =
        findings.cells.iter().map(|cell| score_cells(sweep, cell, figure)).collect();
    let row = |number: usize| {
        let cells = columns.iter().map(|column| column[number].clone()).collect();
        (sweep.policies[number].clone(), cells)
    };
    ScoreCard {
        corner: figure.heading.to_owned(),
        columns: sweep.cells.iter().map(|cell| short_name(sweep, cell)).collect(),
        rows: order(findings).into_iter().map(row).collect(),
    }
    .render()
}

/// The policies in the order of their mean places in the cells.
fn order(findings: &SweepFindings<'_>) -> Vec<usize> {
    let mut places = vec![0; findings.sweep.policies.len()];
    for cell in &findings.cells {
        for (place, policy) in cell.ranking.order.iter().enumerate() {
            places[*policy] += place;
        }
    }
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|policy| places[*policy]);
    order
}

/// A column of a score card: the policies in one cell.
fn score_cells(sweep: &Sweep, cell: &CellFindings<'_>, figure: &Figure) -> Vec<ScoreCell> {
    let measured: Vec<MeasuredFigures> = cell.policies.iter().map(|p| p.measured).collect();
    let number = |measured: &MeasuredFigures| {
        (measured.requests.sent > 0).then(|| measured.get(figure).number())
    };
    let numbers: Vec<Option<f64>> = measured.iter().map(number).collect();
    let distances = match figure.unit {
        Unit::Share => ScoreCard::lacks(&numbers),
        Unit::Latency => ScoreCard::distances(&numbers),
    };
    let best = figure_text::best(figure, &measured, 3);
    let cells = cell.policies.iter().zip(distances).map(|(policy, distance)| {
        let PolicyFindings { runs, measured, verdict, .. } = policy;
        let text = figure_text::text(figure, measured, 3);
        let others = figures()
            .map(|figure| format!("{} {}", figure.heading, figure_text::text(figure, measured, 3)));
        let others: Vec<String> = others.collect();
        let (name, word) = (name(sweep, cell.cell), verdict.word());
        let sign = match verdict.verdict() {
            Verdict::Pass if best.as_ref() == Some(&text) => " \u{2605}",
            Verdict::Pass => "",
            Verdict::Missed | Verdict::Violated => " \u{2717}",
        };
        let title = format!("{}, {name}: {}; {word}", runs.label, others.join(", "));
        ScoreCell { text, distance, sign, title }
    });
    cells.collect()
}

/// The varied fields of a cell with their values; "all runs" if nothing is varied.
fn name(sweep: &Sweep, cell: &SweepCell) -> String {
    let values = sweep.spec.varied_fields().zip(&cell.values);
    let values: Vec<String> = values.map(|(field, value)| format!("{field} = {value}")).collect();
    if values.is_empty() { "all runs".to_owned() } else { values.join(", ") }
}

/// The same with the last part of each field's name.
fn short_name(sweep: &Sweep, cell: &SweepCell) -> String {
    let short = |field: &str| field.rsplit('.').next().unwrap_or_default().to_owned();
    let values = sweep.spec.varied_fields().zip(&cell.values);
    let values = values.map(|(field, value)| format!("{} {value}", short(field)));
    let values: Vec<String> = values.collect();
    if values.is_empty() { "all runs".to_owned() } else { values.join(", ") }
}

fn simulated(sweep: &Sweep) -> String {
    let varied = sweep.spec.vary.iter().map(|vary| ("varied", vary_text(vary)));
    let baseline = [("baseline", sweep.policies[sweep.baseline].clone())];
    SimulatedFacts {
        scenario: &sweep.cells[0].scenario,
        text: Some(&sweep.spec.scenario),
        made_by: made_by(RanBy::Engine(sweep.engine)),
        command: Some(command(sweep)),
        seeds: &sweep.seeds,
        more: varied.chain(baseline).collect(),
    }
    .render()
}

/// Varied fields as the command line takes them.
fn vary_text(vary: &Vary) -> String {
    let rows: Vec<String> = vary.values.iter().map(|row| row.join(":")).collect();
    format!("{}={}", vary.fields.join(","), rows.join(","))
}

/// The command that gives this page again, with the scenario's file under the scenario's name.
fn command(sweep: &Sweep) -> String {
    let spec = &sweep.spec;
    let file = shell_word(&format!("{}.toml", sweep.scenario.name));
    let mut words = vec![format!("mesh-sim sweep {file}")];
    if !spec.seeds.is_empty() {
        words.push(format!("--seeds {}", seed_ranges(&spec.seeds)));
    }
    words.extend(spec.vary.iter().map(|v| format!("--vary {}", shell_word(&vary_text(v)))));
    words.extend(spec.policies.iter().map(|label| format!("--policy {}", shell_word(label))));
    words.extend(spec.baseline.iter().map(|label| format!("--baseline {}", shell_word(label))));
    words.extend(spec.engine.iter().map(|engine| format!("--engine {engine}")));
    words.join(" ")
}

/// The only varied field, if its values are numbers or durations: its name, and a number per cell.
struct SweptField {
    name: String,
    values: Vec<f64>,
}

fn swept_field(sweep: &Sweep) -> Option<SweptField> {
    let [vary] = &sweep.spec.vary[..] else { return None };
    let values: Vec<f64> = vary.values.iter().map(|row| number(&row[0])).collect::<Option<_>>()?;
    (values.len() > 1).then(|| SweptField { name: vary.fields.join(" with "), values })
}

/// A value of a field as a number: durations are in seconds.
fn number(value: &str) -> Option<f64> {
    let bare = value.trim_matches(['"', '\'']);
    let plain = bare.replace('_', "").parse().ok().filter(|number: &f64| number.is_finite());
    plain.or_else(|| parse_duration(bare).ok().map(|duration| duration.as_secs_f64()))
}

/// A figure of each policy against the varied field.
fn against(findings: &SweepFindings<'_>, field: &SweptField, figure: &Figure) -> String {
    let (quantity, factor) = quantity(figure);
    let sweep = findings.sweep;
    let series = |(number, label): (usize, &String)| {
        let mut points: Vec<LinePoint> = (findings.cells.iter().zip(&field.values))
            .filter_map(|(cell, x)| {
                let point = point(&cell.policies[number], figure, *x, (quantity, factor))?;
                let title = format!("{label}, {}: {}", name(sweep, cell.cell), point.1);
                Some(LinePoint { title: Some(title), ..point.0 })
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        LineSeries { label: label.clone(), style: LineStyle::new(number), points }
    };
    let series: Vec<LineSeries> = sweep.policies.iter().enumerate().map(series).collect();
    let y = figure_axis(figure, &series);
    let caption = format!("{} by {}", figure.heading, field.name);
    let (x, x_title, has_marks) = (x_axis(sweep, field), &field.name, true);
    LineChart { caption: &caption, x_title, x, y, has_marks, series }.render()
}

/// The point of a policy in a cell, and its value in words; `None` without requests.
fn point(
    policy: &PolicyFindings<'_>,
    figure: &Figure,
    x: f64,
    (quantity, factor): (AxisUnit, f64),
) -> Option<(LinePoint, String)> {
    let with_requests = policy.runs.by_seed.iter().filter(|(_, run)| run.requests.sent > 0);
    let numbers: Vec<f64> =
        with_requests.map(|(_, run)| run.measured().get(figure).number() * factor).collect();
    if numbers.is_empty() {
        return None;
    }
    let y = mean(&numbers);
    let least = if figure.unit == Unit::Share { 100.0 } else { f64::INFINITY };
    let band = interval_of_mean(&numbers).map(|i| (i.low.max(0.0), i.high.min(least)));
    let mut text = format!("{} {}", figure.heading, quantity.text(y));
    if let Some((low, high)) = band {
        text.push_str(&format!(" [{}, {}]", quantity.text(low), quantity.text(high)));
    }
    Some((LinePoint { x, y, band, title: None }, text))
}

/// The axis of the varied field, with a tick at each value if there is room.
fn x_axis(sweep: &Sweep, field: &SweptField) -> Axis {
    let (least, most) = field
        .values
        .iter()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |ends, at| (ends.0.min(*at), ends.1.max(*at)));
    let is_log = least > 0.0 && most / least > 12.0;
    let texts = sweep.cells.iter().map(|cell| cell.values[0].trim_matches(['"', '\'']).to_owned());
    let ticks = field.values.iter().copied().zip(texts).collect();
    Axis::at_room(ticks, is_log).up_to(if is_log { most * 1.05 } else { most })
}

/// The table, the differences and the spread of each cell.
fn cells(findings: &SweepFindings<'_>) -> String {
    let sweep = findings.sweep;
    let mut out = String::new();
    for cell in findings.cells.iter().take(MOST_CELLS) {
        let heading = match cell.cell.values.is_empty() {
            true => name(sweep, cell.cell),
            false => format!("Cell {}: {}", cell.cell.number, name(sweep, cell.cell)),
        };
        let content = cell_content(sweep, cell);
        out.push_str(&match findings.cells.len() > UNFOLDED {
            true => folded(&heading, &content),
            false => format!("<h3>{}</h3>\n{content}", crate::page::escape(&heading)),
        });
    }
    if findings.cells.len() > MOST_CELLS {
        out.push_str("<p>The other cells are in <code>comparison.csv</code>.</p>\n");
    }
    out
}

fn cell_content(sweep: &Sweep, cell: &CellFindings<'_>) -> String {
    let row = |policy: &PolicyFindings<'_>| VerdictRow {
        policy: policy.runs.label.to_owned(),
        verdict: policy.verdict.shown(),
        measured: policy.measured,
        regret: policy.regret,
    };
    let sentence = cell.ranking.sentence.as_ref().filter(|_| sweep.cells.len() > 1);
    let sentence = sentence.map(|sentence| format!("<p>{}</p>\n", crate::page::escape(sentence)));
    let ordered = ordered(&cell.policies, &cell.ranking.order);
    let mut out = sentence.unwrap_or_default();
    out.push_str(&verdict_table(&ordered.iter().map(row).collect::<Vec<_>>()));
    if sweep.seeds.len() < 2 {
        return out;
    }
    let seeds = |policy: &PolicyFindings<'_>| -> Vec<(u64, MeasuredFigures)> {
        policy.runs.by_seed.iter().map(|(seed, run)| (*seed, run.measured())).collect()
    };
    let baseline = &cell.policies[sweep.baseline];
    let of_baseline = seeds(baseline);
    let numbered = cell.policies.iter().enumerate();
    let others = numbered.filter(|(number, _)| *number != sweep.baseline);
    let others: Vec<_> = others.map(|(_, policy)| (policy.runs.label, seeds(policy))).collect();
    let all: Vec<_> = cell.policies.iter().map(|p| (p.runs.label, seeds(p), p.measured)).collect();
    let mut charts = String::new();
    for figure in figures() {
        if !others.is_empty() {
            charts.push_str(&forest(figure, baseline.runs.label, &of_baseline, &others));
        }
        charts.push_str(&spread(figure, &all));
    }
    out.push_str(&grid(&charts));
    out
}
