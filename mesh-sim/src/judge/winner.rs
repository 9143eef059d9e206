//! The sentence that says which policy is best.

use super::PairedFigure;
use super::causes::unanswered;
use super::ranking::{Entrant, FirstPlace, Lead};
use crate::figures::{Better, Measure, Objective, Unit};
use crate::format;
use crate::record::OutcomeCounts;
use crate::statistics::{FEWEST_SEEDS, Interval};

/// At most so many policies are named; the others are counted.
const NAMED: usize = 4;

/// Says who wins and by what, who herds, and who is last and why; or that there is no clear winner.
pub(super) fn winner_sentence(
    first: &FirstPlace,
    objective: &Objective,
    entrants: &[Entrant<'_>],
) -> String {
    let FirstPlace { best, lead, lead_over_last, has_few_seeds } = first;
    let label = |index: usize| entrants[index].label;
    let (&[winner], Some(lead)) = (&best[..], lead) else {
        let labels: Vec<&str> = best.iter().map(|index| label(*index)).collect();
        return format!("No clear winner {}.", between(&labels));
    };
    let others = herds(winner, entrants)
        + &match lead_over_last {
            Some(last_lead) => last(last_lead, winner, entrants),
            None => why(lead, winner, entrants)
                .map(|why| format!("; with {} {why}", label(lead.over)))
                .unwrap_or_default(),
        };
    let reason = by_what(lead, winner, objective, entrants);
    let winner_name = label(winner);
    if *has_few_seeds {
        let seeds = format::counted(entrants[winner].by_seed.len(), "seed");
        return format!(
            "{winner_name} is ahead: {reason}{others}; {seeds} can't tell luck from a difference, \
             {FEWEST_SEEDS} or more can."
        );
    }
    match lead.figure {
        Some(_) => format!("{winner_name} wins: {reason}{others}."),
        None => format!("{winner_name} wins by its cost: {reason}{others}."),
    }
}

/// "; least_loaded herds", say. What the winner does itself is no reason.
fn herds(winner: usize, entrants: &[Entrant<'_>]) -> String {
    if entrants[winner].causes.sends.herds() {
        return String::new();
    }
    let herding = entrants.iter().filter(|entrant| entrant.causes.sends.herds());
    let labels: Vec<&str> = herding.map(|entrant| entrant.label).collect();
    match &labels[..] {
        [] => String::new(),
        [one] => format!("; {one} herds"),
        labels => format!("; {} herd", listed(labels)),
    }
}

/// "; random is last (p99 2.1 s: jobs queue for 900 ms on average, 30 ms with pull)", say.
fn last(lead: &Lead, winner: usize, entrants: &[Entrant<'_>]) -> String {
    let last = entrants[lead.over].label;
    let Some(paired) = &lead.figure else { return format!("; {last} is last") };
    let value = paired.metric.text(paired.first);
    let why = why(lead, winner, entrants).map(|why| format!(": {why}")).unwrap_or_default();
    format!("; {last} is last ({} {value}{why})", paired.metric.short())
}

/// Why a policy is worse than the winner; `None` if only its cost is, or if nothing stands out.
fn why(lead: &Lead, winner: usize, entrants: &[Entrant<'_>]) -> Option<String> {
    let (worse, winner) = (&entrants[lead.over], &entrants[winner]);
    let paired = lead.figure.as_ref()?;
    let mut requests = OutcomeCounts::default();
    worse.by_seed.values().for_each(|run| requests.merge(&run.requests));
    // A quantile that falls among the unanswered requests is their deadline.
    let is_deadline = match paired.metric.measure {
        Measure::Quantile(quantile) => {
            requests.failed() as f64 >= (1.0 - quantile) * requests.sent as f64
        }
        _ => paired.metric.unit == Unit::Share,
    };
    match is_deadline {
        true => unanswered(&requests).map(str::to_owned),
        false => {
            let gap_ns = paired.difference.abs();
            worse.causes.slowness(&winner.causes, winner.label, gap_ns)
        }
    }
}

fn between(labels: &[&str]) -> String {
    let word = if labels.len() == 2 { "between" } else { "among" };
    format!("{word} {}", listed(labels))
}

/// "a, b and c"; of many only the first.
fn listed(labels: &[&str]) -> String {
    if labels.len() > NAMED {
        let rest = labels.len() - (NAMED - 1);
        return format!("{} and {rest} others", labels[..NAMED - 1].join(", "));
    }
    match labels {
        [others @ .., last] if !others.is_empty() => format!("{} and {last}", others.join(", ")),
        labels => labels.join(""),
    }
}

/// By what the winner is better than the next policy, and what it costs.
fn by_what(lead: &Lead, winner: usize, objective: &Objective, entrants: &[Entrant<'_>]) -> String {
    let over = entrants[lead.over].label;
    let cost = entrants[winner].probes;
    let Some(paired) = &lead.figure else {
        let figures: Vec<&str> = objective.by().iter().map(|figure| figure.short()).collect();
        let others = entrants[lead.over].probes.unwrap_or_default();
        return format!(
            "{}, where {over} makes {}; by {} nothing tells the two apart",
            cost.map_or_else(String::new, |cost| cost_words(cost, None)),
            number(others),
            figures.join(" and "),
        );
    };
    let cost = cost.filter(|cost| *cost >= 0.005);
    let cost = cost.map(|cost| {
        cost_words(cost, entrants[winner].causes.phases.map(|phases| phases.probing_ns()))
    });
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
    let (figure, value) = (paired.metric, paired.metric.text(paired.second));
    let name = figure.short();
    match figure.unit {
        Unit::Share => {
            let points = |share: f64| format!("{:.2}", share.abs() * 100.0);
            format!(
                "{name} {value}, {} points {side} {over}{}",
                points(paired.difference),
                bracket(paired.interval, points),
            )
        }
        Unit::Latency => {
            let percent = |share: f64| percent(share.abs());
            match paired.relative() {
                Some((share, interval)) => format!(
                    "{name} {value}, {} % {side} {over}{}",
                    percent(share),
                    bracket(interval, percent),
                ),
                None => format!("{name} {value}"),
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
