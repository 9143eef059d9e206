//! The sentence that says which policy is best.

use super::PairedFigure;
use super::ranking::{Entrant, FirstPlace, Lead};
use crate::figures::{Better, Objective, Unit};
use crate::format;
use crate::statistics::{FEWEST_SEEDS, Interval};

/// At most so many policies are named; the others are counted.
const NAMED: usize = 4;

/// Says who wins and by what, and who is last; or that there is no clear winner.
pub(super) fn winner_sentence(
    first: &FirstPlace,
    objective: &Objective,
    entrants: &[Entrant<'_>],
) -> String {
    let FirstPlace { best, lead, lead_over_last, has_few_seeds } = first;
    let last = lead_over_last.as_ref().map(|lead| last(lead, entrants)).unwrap_or_default();
    let label = |index: usize| entrants[index].label;
    match (&best[..], lead) {
        (&[winner], Some(lead)) if *has_few_seeds => {
            let seeds = entrants[winner].by_seed.len();
            format!(
                "{} is ahead: {}{last}; {} can't tell luck from a difference, {FEWEST_SEEDS} or more can.",
                label(winner),
                by_what(lead, winner, objective, entrants),
                format::counted(seeds, "seed"),
            )
        }
        (&[winner], Some(lead)) => {
            let reason = by_what(lead, winner, objective, entrants);
            match lead.figure {
                Some(_) => format!("{} wins: {reason}{last}.", label(winner)),
                None => format!("{} wins by its cost: {reason}{last}.", label(winner)),
            }
        }
        (best, _) => {
            let labels: Vec<&str> = best.iter().map(|index| label(*index)).collect();
            format!("No clear winner {}.", between(&labels))
        }
    }
}

/// "; random is last (p99 2.1 s)", say.
fn last(lead: &Lead, entrants: &[Entrant<'_>]) -> String {
    let figure = lead.figure.as_ref().map(|paired| match paired.metric.unit {
        Unit::Share => {
            format!("{} {} %", short(paired.metric.heading), format::share_down(paired.first))
        }
        Unit::Latency => {
            format!("{} {}", paired.metric.heading, format::latency(paired.first as u64, 3))
        }
    });
    let figure = figure.map(|figure| format!(" ({figure})")).unwrap_or_default();
    format!("; {} is last{figure}", entrants[lead.over].label)
}

fn between(labels: &[&str]) -> String {
    match labels {
        [a, b] => format!("between {a} and {b}"),
        labels if labels.len() <= NAMED => {
            let (last, others) = labels.split_last().expect("more than two");
            format!("among {} and {last}", others.join(", "))
        }
        labels => {
            let rest = labels.len() - (NAMED - 1);
            format!("among {} and {rest} others", labels[..NAMED - 1].join(", "))
        }
    }
}

/// By what the winner is better than the next policy, and what it costs.
fn by_what(lead: &Lead, winner: usize, objective: &Objective, entrants: &[Entrant<'_>]) -> String {
    let over = entrants[lead.over].label;
    let cost = entrants[winner].probes;
    let Some(paired) = &lead.figure else {
        let figures: Vec<&str> =
            objective.by().iter().map(|figure| short(figure.heading)).collect();
        let others = entrants[lead.over].probes.unwrap_or_default();
        return format!(
            "{}, where {over} makes {}; by {} nothing tells the two apart",
            cost.map_or_else(String::new, |cost| cost_words(cost, None)),
            number(others),
            figures.join(" and "),
        );
    };
    let cost = cost.filter(|cost| *cost >= 0.005);
    let cost = cost.map(|cost| cost_words(cost, entrants[winner].probing_ns));
    let cost = cost.map(|cost| format!("; it costs {cost}")).unwrap_or_default();
    format!("{}{cost}", advantage(paired, over))
}

/// "p99 540 ms, 40 % below random [35, 44]", say. The winner is the second of the pair.
pub fn advantage(paired: &PairedFigure, over: &str) -> String {
    let side = match paired.metric.better {
        Better::More => "above",
        Better::Less => "below",
    };
    difference(paired, side, over)
}

/// "p99 900 ms, 67 % above quick [60, 74]", say. The worse one is the first of the pair.
pub fn disadvantage(paired: &PairedFigure, than: &str) -> String {
    let side = match paired.metric.better {
        Better::More => "below",
        Better::Less => "above",
    };
    let negative = |i: Interval| Interval { low: -i.high, high: -i.low };
    let turned = PairedFigure {
        first: paired.second,
        second: paired.first,
        difference: -paired.difference,
        interval: paired.interval.map(negative),
        ..paired.clone()
    };
    difference(&turned, side, than)
}

/// The value of the second of a pair, and on which `side` of the first one's it is by how much.
fn difference(paired: &PairedFigure, side: &str, over: &str) -> String {
    match paired.metric.unit {
        Unit::Share => {
            let value = format!("{} %", format::share_down(paired.second));
            let points = |share: f64| format!("{:.2}", share.abs() * 100.0);
            format!(
                "{} {value}, {} points {side} {over}{}",
                short(paired.metric.heading),
                points(paired.difference),
                bracket(paired.interval, points),
            )
        }
        Unit::Latency => {
            let value = format::latency(paired.second as u64, 3);
            let percent = |share: f64| percent(share.abs());
            match paired.relative() {
                Some((share, interval)) => format!(
                    "{} {value}, {} % {side} {over}{}",
                    paired.metric.heading,
                    percent(share),
                    bracket(interval, percent),
                ),
                None => format!("{} {value}", paired.metric.heading),
            }
        }
    }
}

/// The ends of an interval of advantages, the smaller one first; both have the same sign.
fn bracket(interval: Option<Interval>, text: impl Fn(f64) -> String) -> String {
    let Some(Interval { low, high }) = interval else { return String::new() };
    let (small, large) = if low.abs() <= high.abs() { (low, high) } else { (high, low) };
    format!(" [{}, {}]", text(small), text(large))
}

fn percent(share: f64) -> String {
    match share * 100.0 {
        percent if percent < 10.0 => format!("{percent:.1}"),
        percent => format!("{percent:.0}"),
    }
}

/// The name of a figure in a sentence: "ok", say, where a column has "ok %".
fn short(heading: &str) -> &str {
    heading.trim_end_matches(" %")
}

/// "2 probes (4 ms) per request", say, if a job waits 4 ms for them.
fn cost_words(probes: f64, probing_ns: Option<u64>) -> String {
    let one = if number(probes) == "1" { "probe" } else { "probes" };
    let time = probing_ns.filter(|time| *time > 0);
    let time = time.map(|time| format!(" ({})", format::latency(time, 2))).unwrap_or_default();
    format!("{} {one}{time} per request", number(probes))
}

/// With one decimal, or none if it is whole.
fn number(value: f64) -> String {
    match value {
        small if small > 0.0 && small < 0.1 => format!("{small:.2}"),
        value => format!("{value:.1}").trim_end_matches(".0").to_owned(),
    }
}
