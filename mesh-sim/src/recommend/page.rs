//! `recommendation.html`: the recommendation on one page, which needs no other file and no script.

use super::choice::OWN_LOAD;
use super::findings::{Finalist, NO_EFFECT};
use super::table::{hidden, merit, rivals, shortfall, telling};
use super::{RecommendSpec, Recommendation, TROUBLES};
use crate::experiment::RanBy;
use crate::figures::{Figure, Latencies, Unit};
use crate::format::{self, shell_word};
use crate::judge::MeasuredFigures;
use crate::page::{
    Axis, Document, LineChart, LinePoint, LineSeries, LineStyle, ScoreCard, ScoreCell, escape,
    grid, scroll,
};
use crate::record::OutcomeCounts;
use crate::report::html::simulated::{SimulatedFacts, made_by};
use crate::report::seed_charts::{figure_axis, forest, quantity, spread};

/// The text of the page.
pub(super) fn render(found: &Recommendation) -> String {
    let scenario = &found.base.scenario;
    let title = format!("Which policy for {}?", scenario.name);
    let mut page = Document::new(&title, &scenario.description);
    let sentence = Some(found.sentence.clone());
    let reasons = [sentence, shortfall(found), merit(found), found.weakest.clone()];
    let reasons: Vec<String> = reasons.into_iter().flatten().collect();
    page.answer(Some(format!("Take {}{}. {}", found.choice, rivals(found), reasons.join(" "))));
    let note = "Rows are the policies that were compared to the end, columns the situations, at \
                the scenario's own load. \u{2605} is the best of its column; the darker a cell, the \
                further it is from the best. The seeds are not those of the choice.";
    let note = [Some(note.to_owned()), hidden(found)].into_iter().flatten().collect::<Vec<_>>();
    page.section("Score card", &note.join(" "), &score_cards(found));
    page.section("What was simulated", "", &simulated(found));
    if found.finalists.len() > 1 {
        let note = format!(
            "All situations together, each of which counts the same: the share of answers is their \
             mean, a latency their geometric mean. Differences are those from {}, seed by seed. A \
             circle is a seed, a bar the 95 % interval of the mean. \u{2713} better, \u{2717} worse, \
             \u{2248} no difference shown.",
            found.choice
        );
        page.section("How sure it is", &note, &differences(found));
    }
    let note = "While nothing is wrong: the mean over the seeds, and its 95 % interval as a band. \
                Untick a policy to take it out.";
    page.section("By load", note, &by_load(found));
    add_tables(&mut page, found);
    page.render()
}

/// The figures that decide, as far as they tell anything.
fn shown(found: &Recommendation) -> impl Iterator<Item = &'static Figure> {
    telling(found).into_iter()
}

fn text(figure: &Figure, value: f64) -> String {
    match figure.unit {
        Unit::Share => format::share_down(value),
        Unit::Latency => format::latency(value as u64, 3),
    }
}

fn score_cards(found: &Recommendation) -> String {
    shown(found).map(|figure| score_card(found, figure)).collect()
}

fn score_card(found: &Recommendation, figure: &'static Figure) -> String {
    let mut troubles: Vec<&str> = Vec::new();
    for figures in found.confirmed().filter(|figures| figures.load == OWN_LOAD) {
        if !troubles.contains(&figures.trouble) {
            troubles.push(figures.trouble);
        }
    }
    let place = |trouble: &&str| TROUBLES.iter().position(|known| known.name == *trouble);
    troubles.sort_by_key(|trouble| place(trouble).unwrap_or(TROUBLES.len()));
    let columns: Vec<Vec<ScoreCell>> =
        troubles.iter().map(|trouble| score_column(found, figure, trouble)).collect();
    let row = |(number, finalist): (usize, &Finalist)| {
        let cells = columns.iter().map(|column| column[number].clone()).collect();
        (finalist.policy.clone(), cells)
    };
    ScoreCard {
        corner: figure.heading.to_owned(),
        columns: troubles.into_iter().map(str::to_owned).collect(),
        rows: found.finalists.iter().enumerate().map(row).collect(),
    }
    .render()
}

/// A column of a score card: the finalists in one situation.
fn score_column(found: &Recommendation, figure: &Figure, trouble: &str) -> Vec<ScoreCell> {
    let of = |finalist: &Finalist| found.at_own_load(trouble, &finalist.policy);
    let values: Vec<Option<f64>> =
        found.finalists.iter().map(|f| of(f).map(|figures| figures.value(figure))).collect();
    let distances = match figure.unit {
        Unit::Share => ScoreCard::lacks(&values),
        Unit::Latency => ScoreCard::distances(&values),
    };
    let cell = |((finalist, value), distance): ((&Finalist, &Option<f64>), Option<f64>)| {
        let text = value.map_or_else(|| "-".to_owned(), |value| text(figure, value));
        let title = format!("{}, {trouble}: {} {text}", finalist.policy, figure.heading);
        let sign = if distance == Some(0.0) { " \u{2605}" } else { "" };
        ScoreCell { text, distance, sign, title }
    };
    found.finalists.iter().zip(&values).zip(distances).map(cell).collect()
}

fn simulated(found: &Recommendation) -> String {
    let troubles = TROUBLES.iter().map(|trouble| {
        ("situation", format!("{}: {}", trouble.name, lower_first(trouble.meaning)))
    });
    let left_out = found.left_out.iter().map(|why| ("not tried", why.clone()));
    let seeds: Vec<u64> = found.finalists[0].overall.iter().map(|(seed, _)| *seed).collect();
    let (runs, requests) = (format::count(found.runs as u64), format::count(found.requests));
    let counted = format!("{runs} runs with {requests} requests that count");
    SimulatedFacts {
        scenario: &found.base.scenario,
        text: Some(found.base.whole_text()),
        made_by: made_by(RanBy::Engine(crate::scenario::EngineKind::Event)),
        command: Some(command(found)),
        seeds: &seeds,
        more: [("runs", counted)].into_iter().chain(troubles).chain(left_out).collect(),
    }
    .render()
}

/// The command that gives this page again, with the scenario's file under the scenario's name.
fn command(found: &Recommendation) -> String {
    let RecommendSpec { policies, modifiers, current, is_quick, tunes } = &found.spec;
    let file = format!("{}.toml", found.base.scenario.name);
    let mut words = vec![format!("mesh-sim recommend {}", shell_word(&file))];
    words.extend(policies.iter().map(|label| format!("--policy {}", shell_word(label))));
    words.extend(modifiers.iter().map(|name| format!("--modifier {name}")));
    words.extend(current.iter().map(|label| format!("--current {}", shell_word(label))));
    words.extend(is_quick.then(|| "--quick".to_owned()));
    words.extend(tunes.then(|| "--tune".to_owned()));
    words.join(" ")
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

/// The finalists less the choice, over all situations, and the spread of their seeds.
fn differences(found: &Recommendation) -> String {
    let (choice, others) = (&found.finalists[0], &found.finalists[1..]);
    let others: Vec<(&str, Vec<(u64, MeasuredFigures)>)> =
        others.iter().map(|f| (&*f.policy, f.overall.clone())).collect();
    let all: Vec<_> =
        found.finalists.iter().map(|f| (&*f.policy, f.overall.clone(), mean(&f.overall))).collect();
    let charts = shown(found).map(|figure| {
        forest(figure, &choice.policy, &choice.overall, &others) + &spread(figure, &all)
    });
    grid(&charts.collect::<String>())
}

/// The figures of all seeds together: each seed counts the same.
fn mean(seeds: &[(u64, MeasuredFigures)]) -> MeasuredFigures {
    let mut requests = OutcomeCounts::default();
    seeds.iter().for_each(|(_, run)| requests.merge(&run.requests));
    let latency = |run: &MeasuredFigures, figure| run.latency_ns.get(figure).unwrap_or_default();
    let latency_ns = Latencies::from_fn(|figure| {
        let sum: u64 = seeds.iter().map(|(_, run)| latency(run, figure)).sum();
        sum / seeds.len().max(1) as u64
    });
    MeasuredFigures { requests, latency_ns }
}

/// The figures of the finalists against the load, while nothing is wrong.
fn by_load(found: &Recommendation) -> String {
    let charts: String = shown(found).map(|figure| load_chart(found, figure)).collect();
    grid(&charts)
}

fn load_chart(found: &Recommendation, figure: &'static Figure) -> String {
    let (_, factor) = quantity(figure);
    let calm = TROUBLES[0].name;
    let series = |(number, finalist): (usize, &Finalist)| {
        let own = found.situations.iter().filter(|figures| {
            figures.trouble == calm && figures.policy == finalist.policy && figures.is_confirmed
        });
        let mut points: Vec<LinePoint> = own
            .map(|figures| {
                let band =
                    figures.interval(figure).map(|[low, high]| (low * factor, high * factor));
                let shown = text(figure, figures.value(figure));
                let (policy, load) = (&finalist.policy, figures.load);
                LinePoint {
                    x: f64::from(figures.load),
                    y: figures.value(figure) * factor,
                    band,
                    title: Some(format!("{policy} at {load} %: {} {shown}", figure.heading)),
                }
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        LineSeries { label: finalist.policy.clone(), style: LineStyle::new(number), points }
    };
    let series: Vec<LineSeries> = found.finalists.iter().enumerate().map(series).collect();
    let mut loads: Vec<u32> =
        found.confirmed().filter(|f| f.trouble == calm).map(|f| f.load).collect();
    loads.sort_unstable();
    loads.dedup();
    let most = f64::from(loads.last().copied().unwrap_or(OWN_LOAD));
    let ticks = loads.into_iter().map(|load| (f64::from(load), format!("{load} %"))).collect();
    let y = figure_axis(figure, &series);
    let caption = format!("{} by load", figure.heading);
    let (x, x_title) =
        (Axis::at_room(ticks, false).up_to(most), "load, in percent of the scenario's");
    LineChart { caption: &caption, x_title, x, y, has_marks: true, series }.render()
}

fn add_tables(page: &mut Document, found: &Recommendation) {
    let finalists = found.finalists.iter().map(|finalist| {
        let probes = finalist.probes.map_or_else(|| "-".to_owned(), |n| format!("{n:.1}"));
        let carries = finalist.carries.map_or_else(|| "-".to_owned(), |load| format!("{load} %"));
        vec![finalist.policy.clone(), probes, carries, finalist.toml.clone()]
    });
    let note = "Calls without a job ask peers for their load or a free slot, or give one back. The \
                load is the greatest that was tried of which 95 % are answered while nothing is \
                wrong.";
    let headings = ["policy", "calls without a job per request", "carries", "in a scenario file"];
    page.section("What it costs, and how much it carries", note, &table(&headings, finalists));
    if !found.better_elsewhere.is_empty() {
        let rows = found.better_elsewhere.iter().map(|place| {
            let load = format!("{} %", place.load);
            vec![place.trouble.to_owned(), load, place.policy.clone(), place.sentence.clone()]
        });
        let headings = ["situation", "load", "policy", "is better"];
        page.section("Where another policy is better", "", &table(&headings, rows));
    }
    if !found.modifiers.is_empty() {
        let rows = found.modifiers.iter().map(|effect| {
            let sign = if effect.effect == NO_EFFECT { "\u{2248} " } else { "" };
            let effect_text = format!("{sign}{}", effect.effect);
            vec![effect.policy.clone(), effect.modifier.to_owned(), effect_text]
        });
        page.section("Modifiers", "", &table(&["policy", "with", "effect"], rows));
    }
    if !found.eliminated.is_empty() {
        let rows = found.eliminated.iter().map(|out| {
            let reason = out.reason.clone().unwrap_or_else(|| "a little everywhere".to_owned());
            vec![out.policy.clone(), reason]
        });
        let table = table(&["policy", "where it is worst"], rows);
        page.section("What is worse", "", &table);
    }
}

/// A table of texts.
fn table(headings: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let cells = |tag: &str, texts: &[String]| -> String {
        texts.iter().map(|text| format!("<{tag}>{}</{tag}>", escape(text))).collect()
    };
    let headings: Vec<String> = headings.iter().map(|heading| (*heading).to_owned()).collect();
    let body: String = rows.map(|row| format!("<tr>{}</tr>\n", cells("td", &row))).collect();
    scroll(&format!(
        "<table class=\"words\"><thead><tr>{}</tr></thead>\n<tbody>{body}</tbody></table>",
        cells("th", &headings)
    ))
}
