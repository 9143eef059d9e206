//! What the terminal shows of a recommendation: the answer first, then the reasons.

use super::choice::{OWN_LOAD, SATURATED};
use super::findings::{Finalist, ModifierEffect, NO_EFFECT};
use super::situations::AS_WRITTEN;
use super::{Recommendation, SituationFigures, TROUBLES};
use crate::figures::{FIGURES, Figure, Measure, Unit};
use crate::format;
use crate::report::table::{layout, wrapped};

/// Labels are cut to this many characters in the score card.
const LABEL: usize = 17;
/// The score card has so many policies.
const COLUMNS: usize = 3;
/// It has the first figures of the objective.
const CARD_FIGURES: usize = 2;
/// From this share of the deadline on, a latency is as good as the deadline: histograms round.
const AT_DEADLINE: f64 = 0.99;
/// So many situations in which others are better are listed, and so many eliminated policies.
const LISTED: usize = 8;

/// The recommendation for a terminal of 80 columns.
pub fn render(found: &Recommendation) -> String {
    let mut out = wrapped(&format!("Take {}{}.", found.choice, rivals(found)), 1, 3);
    out.push_str(&wrapped(&format!("Over all situations: {}", found.sentence), 3, 5));
    if let Some(shortfall) = shortfall(found) {
        out.push_str(&wrapped(&shortfall, 3, 5));
    }
    if let Some(merit) = merit(found) {
        out.push_str(&wrapped(&merit, 3, 5));
    }
    if let Some(weakest) = &found.weakest {
        out.push_str(&wrapped(weakest, 3, 5));
    }
    if let Some(beats) = found.beats_current {
        out.push_str(match beats {
            true => "   It is clearly better than the current policy.\n",
            false => "   It is not clearly better than the current policy.\n",
        });
    }
    out.push_str(&format!("   As a scenario has it: {}\n", found.policy));
    out.push_str(&score_card(found));
    out.push_str(&carried(found));
    out.push_str(&elsewhere(found));
    out.push_str(&modifiers(found));
    out.push_str(&eliminated(found));
    if !found.unconfirmed.is_empty() {
        let names = found.unconfirmed.join(", ");
        out.push_str(&wrapped(&format!("Not told apart, but not among the best: {names}"), 1, 3));
    }
    if !found.left_out.is_empty() {
        out.push_str(&wrapped(&format!("Not tried: {}", found.left_out.join("; ")), 1, 3));
    }
    for violation in &found.violations {
        out.push_str(&wrapped(&format!("violated: {violation}"), 1, 3));
    }
    let runs = format::counted(found.runs, "run");
    let requests = format::counted(found.requests as usize, "request");
    let confirmed = found.confirmed().map(|figures| figures.seeds).max().unwrap_or_default();
    out.push_str(&wrapped(
        &format!(
            "{runs}, {requests} counted. The choice was made with other seeds than the {confirmed} \
             that are shown."
        ),
        1,
        3,
    ));
    out
}

/// The other policies that are as good, or better by the last seeds.
pub(super) fn rivals(found: &Recommendation) -> String {
    let best = &found.ranking.best;
    let rivals: Vec<&str> =
        best.iter().filter(|label| **label != found.choice).map(|label| &**label).collect();
    let named = match &rivals[..] {
        [] => return String::new(),
        [rival] => (*rival).to_owned(),
        [others @ .., last] => format!("{} and {last}", others.join(", ")),
    };
    match best.contains(&found.choice) {
        true => {
            let (points, percent) = found.base.scenario.objective.margins();
            format!(
                "; {named} may be as good: over all situations together, they differ by less than \
                 {points} points and {percent} %, or by chance"
            )
        }
        false => format!(", though the last seeds prefer {named}"),
    }
}

/// That the policy is not what the scenario suffers from, if the best one leaves many requests without
/// an answer although nothing goes wrong.
pub(super) fn shortfall(found: &Recommendation) -> Option<String> {
    let calm =
        |finalist: &Finalist| Some(found.at_own_load(TROUBLES[0].name, &finalist.policy)?.success);
    let most = found.finalists.iter().filter_map(calm).max_by(f64::total_cmp)?;
    (most < SATURATED).then(|| {
        format!(
            "But even while nothing goes wrong, no policy answers more than {} % of the requests: \
             look at the load and the limits first (mesh-sim check), they decide here.",
            format::share_down(most)
        )
    })
}

/// What speaks for the choice if nothing tells it from others.
pub(super) fn merit(found: &Recommendation) -> Option<String> {
    let merit = found.merit.as_ref()?;
    Some(format!("In comparison with {}, {}", merit.than, merit.sentence))
}

fn modifiers(found: &Recommendation) -> String {
    let mut out = String::new();
    let has_effect = |effect: &&ModifierEffect| effect.effect != NO_EFFECT;
    for effect in found.modifiers.iter().filter(has_effect) {
        let text = format!("{}-{}: {}", effect.policy, effect.modifier, effect.effect);
        out.push_str(&wrapped(&text, 3, 5));
    }
    let idle = found.modifiers.iter().filter(|effect| !has_effect(effect));
    let idle: Vec<String> = idle.map(|e| format!("{}-{}", e.policy, e.modifier)).collect();
    if !idle.is_empty() {
        out.push_str(&wrapped(&format!("{NO_EFFECT}: {}", idle.join(", ")), 3, 5));
    }
    if out.is_empty() { out } else { format!("\n What modifiers do to the best\n{out}") }
}

/// What the finalists did in each situation.
fn score_card(found: &Recommendation) -> String {
    let shown: Vec<&str> =
        found.finalists.iter().take(COLUMNS).map(|finalist| &*finalist.policy).collect();
    let by = telling(found);
    let by = &by[..by.len().min(CARD_FIGURES)];
    let headings: Vec<&str> = by.iter().map(|figure| figure.heading).collect();
    let mut header = vec![headings.join(", ")];
    header.extend(shown.iter().map(|label| format::ellipsis(label, LABEL)));
    // The last column of a table stands at the left.
    header.push(String::new());
    let mut rows = vec![header];
    let mut troubles: Vec<&str> = TROUBLES.iter().map(|trouble| trouble.name).collect();
    troubles.push(AS_WRITTEN);
    for trouble in troubles {
        let of = |policy: &str| found.at_own_load(trouble, policy);
        if !shown.iter().any(|policy| of(policy).is_some()) {
            continue;
        }
        let mut row = vec![trouble.to_owned()];
        row.extend(
            shown
                .iter()
                .map(|policy| of(policy).map_or("-".to_owned(), |figures| cell(figures, by))),
        );
        row.push(String::new());
        rows.push(row);
    }
    let note = hidden(found).map(|note| wrapped(&note, 1, 3)).unwrap_or_default();
    format!("\n{}{note}", layout(&rows))
}

/// The figures that decide. In place of a latency that is nothing but the deadline in every situation
/// there is the median, which may still tell policies apart.
pub(super) fn telling(found: &Recommendation) -> Vec<&'static Figure> {
    let median = FIGURES.iter().find(|figure| figure.measure == Measure::Quantile(0.5));
    let mut telling = Vec::new();
    for figure in found.base.scenario.objective.by() {
        let shown = median.filter(|_| is_deadline(found, figure)).unwrap_or(*figure);
        if !telling.contains(&shown) {
            telling.push(shown);
        }
    }
    telling
}

/// Why one of the figures that decide is not shown.
pub(super) fn hidden(found: &Recommendation) -> Option<String> {
    let hidden = found.base.scenario.objective.by().iter().find(|by| is_deadline(found, by))?;
    let deadline = found.base.scenario.workload.longest_deadline().as_nanos() as f64;
    let (heading, deadline) = (hidden.heading, hidden.text(deadline));
    Some(format!("{heading} is not shown: it is the deadline, {deadline}, in every situation."))
}

/// Whether a latency is the deadline for all finalists, whatever goes wrong: unanswered requests count
/// with their whole deadline.
fn is_deadline(found: &Recommendation, figure: &Figure) -> bool {
    let least = AT_DEADLINE * found.base.scenario.workload.longest_deadline().as_nanos() as f64;
    let mut own = found.confirmed().filter(|figures| figures.load == OWN_LOAD);
    figure.unit == Unit::Latency && own.all(|figures| figures.value(figure) >= least)
}

fn cell(figures: &SituationFigures, by: &[&Figure]) -> String {
    let texts = by.iter().map(|figure| match figure.unit {
        Unit::Share => format::share_down(figures.success),
        Unit::Latency => format!("{:>8}", figure.text(figures.value(figure))),
    });
    texts.collect::<Vec<_>>().join(" ")
}

/// How much load the finalists carry.
fn carried(found: &Recommendation) -> String {
    let most = found.confirmed().map(|figures| figures.load).max().unwrap_or_default();
    let text = |load: Option<u32>| match load {
        Some(load) if load == most => format!("{load} % (the most that was tried)"),
        Some(load) => format!("{load} %"),
        None => "less than what was tried".to_owned(),
    };
    let all = found.finalists.iter().take(COLUMNS);
    let all: Vec<String> = all.map(|f| format!("{} {}", f.policy, text(f.carries))).collect();
    wrapped(&format!("Load of which 95 % are answered: {}", all.join(", ")), 1, 3)
}

fn elsewhere(found: &Recommendation) -> String {
    let mut out = String::new();
    if found.better_elsewhere.is_empty() {
        return out;
    }
    out.push_str("\n Where another policy is better\n");
    for place in found.better_elsewhere.iter().take(LISTED) {
        let load = match place.load {
            OWN_LOAD => String::new(),
            load => format!(" at {load} % of the load"),
        };
        let text = format!("{}{load}: {}: {}", place.trouble, place.policy, place.sentence);
        out.push_str(&wrapped(&text, 3, 5));
    }
    out + &more(found.better_elsewhere.len())
}

fn eliminated(found: &Recommendation) -> String {
    let mut out = String::new();
    if found.eliminated.is_empty() {
        return out;
    }
    out.push_str("\n What is clearly worse, and where most\n");
    for policy in found.eliminated.iter().take(LISTED) {
        let reason = policy.reason.as_deref().unwrap_or("a little everywhere");
        out.push_str(&wrapped(&format!("{}: {reason}", policy.policy), 3, 5));
    }
    out + &more(found.eliminated.len())
}

fn more(all: usize) -> String {
    match all.saturating_sub(LISTED) {
        0 => String::new(),
        more => format!("   and {more} more, in recommendation.json\n"),
    }
}
