//! A comparison on one page, which needs no other file and no script.

use std::collections::BTreeMap;

use super::pair::value_text;
use super::table::{answer, side};
use super::{CellComparison, PolicyComparison, ResultComparison, ResultDirectory};
use crate::figures::{FIGURES, Figure, Shown, Unit};
use crate::judge::Finding;
use crate::page::{
    Axis, AxisUnit, ChartRow, Document, RowChart, Tone, escape, facts, grid, scroll,
};
use crate::report::html::simulated::{SimulatedFacts, made_by};
use crate::report::scenario_copy::SCENARIO;
use crate::scenario::Scenario;

/// The text of the page. `a` and `b` are what was compared; there is no `b` if the policies of `a`
/// were compared with one of them. `command` is what was typed.
pub fn render(
    comparison: &ResultComparison,
    a: &ResultDirectory,
    b: Option<&ResultDirectory>,
    command: &str,
) -> String {
    let title = match &comparison.baseline {
        Some(baseline) => format!("{}: against {baseline}", comparison.a.scenario),
        None => format!("{}: A against B", comparison.a.scenario),
    };
    let mut page = Document::new(&title, "A is compared with B, the reference.");
    page.answer(Some(answer(comparison)));
    let mut sides = vec![("A", side(&comparison.a))];
    sides.push((
        "B",
        match &comparison.baseline {
            Some(baseline) => format!("{baseline}, of the same results"),
            None => side(&comparison.b),
        },
    ));
    sides.push(("command", command.to_owned()));
    sides.extend(comparison.warnings.iter().map(|warning| ("warning", warning.clone())));
    page.section("What is compared", "", &facts(&sides));
    let note = "A - B with its 95 % interval: latencies in percent of B, shares in percentage \
                points. \u{2713} better, \u{2717} worse, \u{2248} no difference shown. Point at a row to \
                see the values.";
    let both = b.filter(|b| b.scenario.sha256 != a.scenario.sha256 || b.engine != a.engine);
    match both {
        Some(b) => {
            page.section("What was simulated: A", "", &simulated(a));
            page.section("What was simulated: B", "", &simulated(b));
        }
        None => page.section("What was simulated", "", &simulated(a)),
    }
    for cell in &comparison.cells {
        page.section(&heading(&cell.values), note, &(charts(cell) + &table(cell)));
    }
    page.render()
}

/// The facts about the runs behind a result.
fn simulated(results: &ResultDirectory) -> String {
    let file = format!("{}/{SCENARIO}", results.dir);
    let parsed = results.scenario_text.as_ref().map(|text| (text, Scenario::parse(text, &file)));
    let Some((text, Ok(scenario))) = parsed else {
        let text = format!("not known: there is no copy of the scenario in {}", results.dir);
        return facts(&[("scenario", text)]);
    };
    let varied = results.cells.iter().filter(|cell| !cell.values.is_empty());
    SimulatedFacts {
        scenario: &scenario,
        text: Some(text),
        made_by: made_by(results.engine.ran_by()),
        command: None,
        seeds: &results.seeds,
        more: varied.map(|cell| ("varied", heading(&cell.values))).collect(),
    }
    .render()
}

fn heading(values: &BTreeMap<String, String>) -> String {
    let values: Vec<String> = values.iter().map(|(field, v)| format!("{field} = {v}")).collect();
    if values.is_empty() { "Differences".to_owned() } else { values.join(", ") }
}

fn shown() -> impl Iterator<Item = &'static Figure> {
    FIGURES.iter().filter(|figure| figure.shown >= Shown::Page && figure.threshold.is_some())
}

fn charts(cell: &CellComparison) -> String {
    let chart = |figure: &'static Figure| {
        let rows: Vec<ChartRow> = cell.policies.iter().map(|policy| row(policy, figure)).collect();
        let numbers: Vec<f64> = rows.iter().flat_map(ChartRow::numbers).chain([0.0]).collect();
        let x = Axis::fitting(numbers.into_iter(), AxisUnit::Percent);
        RowChart { caption: figure.heading, x, zero: Some(0.0), rows }.render()
    };
    grid(&shown().map(chart).collect::<String>())
}

fn row(policy: &PolicyComparison, figure: &Figure) -> ChartRow {
    let pair = policy.figures.iter().find(|pair| pair.figure == figure.key);
    let found =
        pair.and_then(|pair| Some((pair, pair.difference? * pair.percent()?, pair.percent()?)));
    let Some((pair, difference, scale)) = found else {
        return ChartRow::new(&*policy.policy, "no requests");
    };
    let (tone, word) = match pair.finding {
        Finding::Better => (Tone::Good, "\u{2713}"),
        Finding::Worse => (Tone::Bad, "\u{2717}"),
        Finding::NoDifference => (Tone::Plain, "\u{2248}"),
        Finding::TooFewSeeds => (Tone::Plain, "(few seeds)"),
    };
    let unit = if figure.unit == Unit::Share { "pp" } else { "%" };
    let text = format!("{difference:+.1} {unit} {word}");
    let [a, b] = [pair.a, pair.b].map(|value| value_text(figure.unit, value));
    ChartRow {
        title: format!("{}, {}: A {a}, B {b}: {text}", policy.policy, figure.heading),
        tone,
        estimate: Some(difference),
        interval: pair.interval.map(|[low, high]| (low * scale, high * scale)),
        ..ChartRow::new(&*policy.policy, text)
    }
}

/// The values on both sides.
fn table(cell: &CellComparison) -> String {
    let headings: String = shown()
        .map(|figure| format!("<th>{0}, A</th><th>{0}, B</th>", escape(figure.heading)))
        .collect();
    let row = |policy: &PolicyComparison| {
        let values: String = shown()
            .filter_map(|figure| {
                let pair = policy.figures.iter().find(|pair| pair.figure == figure.key)?;
                let [a, b] = [pair.a, pair.b].map(|value| value_text(figure.unit, value));
                let class = if pair.is_regression { " class=\"bad\"" } else { "" };
                Some(format!("<td{class}>{a}</td><td>{b}</td>"))
            })
            .collect();
        format!("<tr><td>{}</td>{values}</tr>\n", escape(&policy.policy))
    };
    let rows: String = cell.policies.iter().map(row).collect();
    scroll(&format!(
        "<table><thead><tr><th>policy</th>{headings}</tr></thead>\n<tbody>{rows}</tbody></table>"
    ))
}
