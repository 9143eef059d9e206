//! Which policy is best, by the objective of the scenario, and how sure that is.

use std::collections::BTreeMap;

use super::winner::winner_sentence;
use super::{Causes, Finding, MeasuredFigures, PairedFigure};
use crate::figures::{Better, Figure, Objective, Unit};
use crate::statistics::FEWEST_SEEDS;

/// The share of rankings that name a best policy although all policies are equal.
const FALSE_ALARMS: f64 = 0.05;
/// With too few seeds for an interval, two shares of requests differ if they are this many standard
/// errors apart.
const STANDARD_ERRORS: f64 = 3.0;
/// The number of calls without a job per request differs if one is more than this multiple of the
/// other, plus [`COST_SLACK`]: less is the luck of failed calls.
const COST_FACTOR: f64 = 1.1;
const COST_SLACK: f64 = 0.1;
/// The lower cost decides between two policies that are not told apart, unless the other one's mean
/// is better by more than so many margins: that is more likely a difference that the seeds were too
/// few to show.
const MARGINS_OF_A_TIE: f64 = 2.0;

/// A policy that takes part in a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct Entrant<'a> {
    /// The label of the policy.
    pub label: &'a str,
    /// The figures of its runs, by seed.
    pub by_seed: BTreeMap<u64, MeasuredFigures>,
    /// How many calls without a job agents made per request; `None` if that is not known.
    pub probes: Option<f64>,
    /// What explains its figures.
    pub causes: Causes,
    /// Whether it is an upper bound, which can't be deployed and so never wins.
    pub is_bound: bool,
}

/// The policies in order, the best one first.
///
/// The best is found by dropping: all policies that a paired interval shows to be worse than the one
/// with the best mean, by the first figure of the objective; of the others those that are worse by
/// the next figure, and so on; at last those that cost more, unless they seem to be worth it. A
/// difference within the margin of the objective is none. Then the best of the rest is found, and so
/// on. Policies that are not told apart stand in the order of the last figure's mean. Upper
/// bounds stand after all policies, and what had no requests comes last.
///
/// The intervals are so wide (Bonferroni's correction, over policies and figures) that of equal
/// policies one is named the best in at most 5 % of the rankings.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The entrants, as indices, in their order.
    pub order: Vec<usize>,
    /// Who is first, and by what; `None` if fewer than two policies had requests.
    pub first: Option<FirstPlace>,
    /// Who wins and by what, or that there is no clear winner, in words; `None` as above.
    pub sentence: Option<String>,
}

/// Who is first in a [`Ranking`].
#[derive(Clone, Debug, PartialEq)]
pub struct FirstPlace {
    /// The policies that are not told apart, in their order: one if there is a clear winner.
    pub best: Vec<usize>,
    /// What the winner is better by than the policy that comes next: than the first in the order
    /// for which something decides. `None` if there is no clear winner.
    pub lead: Option<Lead>,
    /// The same for the last in the order, if that is yet another one.
    pub lead_over_last: Option<Lead>,
    /// Whether the policies ran with too few seeds to tell luck from a difference.
    pub has_few_seeds: bool,
}

/// What a winner is better by than another policy.
#[derive(Clone, Debug, PartialEq)]
pub struct Lead {
    /// The other policy.
    pub over: usize,
    /// The figure that decides, with the other policy as the first and the winner as the second.
    /// `None` if no figure tells the two apart and the cost decides.
    pub figure: Option<PairedFigure>,
}

impl Ranking {
    /// Ranks policies by an objective.
    pub fn of(objective: &Objective, entrants: &[Entrant<'_>]) -> Self {
        let (mut policies, mut bounds, mut silent) = (Vec::new(), Vec::new(), Vec::new());
        for (index, entrant) in entrants.iter().enumerate() {
            let had_requests = entrant.by_seed.values().any(|run| run.requests.sent > 0);
            match (had_requests, entrant.is_bound) {
                (false, _) => silent.push(index),
                (true, true) => bounds.push(index),
                (true, false) => policies.push(index),
            }
        }
        let judge = Comparisons::new(objective, entrants, policies.len());
        let best = judge.best_of(&policies);
        let mut order = judge.in_order(policies.clone());
        let first = (policies.len() > 1).then(|| judge.first_place(best, &order));
        let sentence = first.as_ref().map(|first| winner_sentence(first, objective, entrants));
        order.extend(judge.in_order(bounds));
        order.extend(silent);
        Self { order, first, sentence }
    }

    /// The policy that is clearly the best.
    pub fn winner(&self) -> Option<usize> {
        match self.first.as_ref()?.best[..] {
            [winner] => Some(winner),
            _ => None,
        }
    }
}

/// Which of the entrants a figure of the objective shows to be worse than the best ones, whatever
/// they cost.
pub fn clearly_worse(objective: &Objective, entrants: &[Entrant<'_>]) -> Vec<bool> {
    let all: Vec<usize> = (0..entrants.len()).collect();
    // Any of them may be the leader, so any two may be compared.
    let pairs = all.len() * all.len().saturating_sub(1) / 2;
    let best = Comparisons::new(objective, entrants, pairs + 1).not_worse(&all);
    all.iter().map(|index| !best.contains(index)).collect()
}

/// Compares the entrants of one ranking.
struct Comparisons<'a> {
    objective: &'a Objective,
    entrants: &'a [Entrant<'a>],
    confidence: f64,
}

impl<'a> Comparisons<'a> {
    fn new(objective: &'a Objective, entrants: &'a [Entrant<'a>], policies: usize) -> Self {
        let comparisons = objective.by().len() * policies.saturating_sub(1).max(1);
        Self { objective, entrants, confidence: 1.0 - FALSE_ALARMS / comparisons as f64 }
    }

    /// The comparison of two entrants by one figure; `None` if they have no seed in common.
    fn paired(&self, figure: &'static Figure, first: usize, second: usize) -> Option<PairedFigure> {
        let [first, second] = [first, second].map(|index| &self.entrants[index].by_seed);
        let pairs: Vec<(MeasuredFigures, MeasuredFigures)> = first
            .iter()
            .filter_map(|(seed, figures)| Some((*figures, *second.get(seed)?)))
            .collect();
        PairedFigure::of(figure, self.confidence, &pairs)
    }

    /// Whether `other` is worse than `leader` by this figure, beyond what chance explains.
    fn is_worse(&self, figure: &'static Figure, other: usize, leader: usize) -> bool {
        let Some(paired) = self.paired(figure, leader, other) else { return false };
        if !self.objective.is_beyond_margin(figure, paired.first, paired.second) {
            return false;
        }
        match paired.finding {
            Finding::Worse => true,
            Finding::Better | Finding::NoDifference => false,
            Finding::TooFewSeeds => self.seems_worse(&paired, other, leader),
        }
    }

    /// Whether a figure seems to be worse, if there are too few seeds for an interval.
    fn seems_worse(&self, paired: &PairedFigure, other: usize, leader: usize) -> bool {
        let by = match paired.metric.better {
            Better::More => -paired.difference,
            Better::Less => paired.difference,
        };
        let least = match paired.metric.unit {
            Unit::Share => {
                let requests = self.requests(other).min(self.requests(leader)).max(1.0);
                let share = (paired.first + paired.second) / 2.0;
                // One failure more or less is luck, even if the other policy had none at all.
                let variance = (share * (1.0 - share)).max(1.0 / requests);
                STANDARD_ERRORS * (2.0 * variance / requests).sqrt()
            }
            Unit::Latency => 0.0,
        };
        by > least
    }

    fn requests(&self, index: usize) -> f64 {
        self.entrants[index].by_seed.values().map(|figures| figures.requests.sent as f64).sum()
    }

    /// The mean of a figure over the seeds, the lower the better.
    fn badness(&self, figure: &Figure, index: usize) -> f64 {
        let runs = self.entrants[index].by_seed.values();
        let runs = runs.filter(|figures| figures.requests.sent > 0);
        let (sum, count) = runs
            .fold((0.0, 0.0), |(sum, count), figures| (sum + figures.badness(figure), count + 1.0));
        sum / count
    }

    /// Those with the best mean first; of equal ones the first.
    fn leader(&self, figure: &Figure, among: &[usize]) -> Option<usize> {
        let badness = |index: &&usize| self.badness(figure, **index);
        among.iter().min_by(|a, b| badness(a).total_cmp(&badness(b))).copied()
    }

    /// Those of `among` that no figure shows to be worse than another one.
    fn not_worse(&self, among: &[usize]) -> Vec<usize> {
        let mut best = among.to_vec();
        for figure in self.objective.by() {
            let Some(leader) = self.leader(figure, &best) else { break };
            best.retain(|&other| other == leader || !self.is_worse(figure, other, leader));
        }
        best
    }

    /// Those of `among` that are not told apart: that no figure shows to be worse than another one
    /// and that cost no more.
    fn best_of(&self, among: &[usize]) -> Vec<usize> {
        let mut best = self.not_worse(among);
        let cost = |index: &usize| self.entrants[*index].probes;
        let costs: Option<Vec<f64>> = best.iter().map(cost).collect();
        if let Some(least) = costs.and_then(|costs| costs.into_iter().min_by(f64::total_cmp)) {
            let (dear, cheap): (Vec<usize>, Vec<usize>) =
                best.iter().partition(|&&index| self.costs_more(index, least));
            let is_worth_it = |index: &usize| {
                dear.contains(index) && cheap.iter().all(|other| self.seems_better(*index, *other))
            };
            best.retain(|index| cheap.contains(index) || is_worth_it(index));
        }
        if let Some(last) = self.objective.by().last() {
            best.sort_by(|a, b| self.badness(last, *a).total_cmp(&self.badness(last, *b)));
        }
        best
    }

    /// Whether a figure's mean is better than the other policy's by more than a tie explains.
    fn seems_better(&self, index: usize, other: usize) -> bool {
        let objective = self.objective.clone();
        let (points, percent) = objective.margins();
        let wide = objective.with_margins(MARGINS_OF_A_TIE * points, MARGINS_OF_A_TIE * percent);
        let mut figures = wide.by().iter();
        figures.any(|figure| {
            self.paired(figure, other, index).is_some_and(|paired| {
                let (own, other) = (paired.second, paired.first);
                let is_better = match figure.better {
                    Better::More => own > other,
                    Better::Less => own < other,
                };
                is_better && wide.is_beyond_margin(figure, own, other)
            })
        })
    }

    fn costs_more(&self, index: usize, least: f64) -> bool {
        self.entrants[index].probes.is_some_and(|cost| cost > least * COST_FACTOR + COST_SLACK)
    }

    /// All of them, the best first.
    fn in_order(&self, mut left: Vec<usize>) -> Vec<usize> {
        let mut order = Vec::with_capacity(left.len());
        while !left.is_empty() {
            let best = self.best_of(&left);
            left.retain(|index| !best.contains(index));
            order.extend(best);
        }
        order
    }

    fn first_place(&self, best: Vec<usize>, order: &[usize]) -> FirstPlace {
        let lead = match best[..] {
            [winner] => order.iter().filter(|&&o| o != winner).find_map(|&o| self.lead(winner, o)),
            _ => None,
        };
        let last =
            order.last().filter(|last| lead.as_ref().is_some_and(|lead| lead.over != **last));
        let lead_over_last = last.and_then(|last| self.lead(best[0], *last));
        let few = |index: &usize| self.entrants[*index].by_seed.len() < FEWEST_SEEDS;
        FirstPlace { has_few_seeds: order.iter().any(few), best, lead, lead_over_last }
    }

    /// What `winner` is better by than `over`; `None` if nothing tells the two apart.
    fn lead(&self, winner: usize, over: usize) -> Option<Lead> {
        let mut figures = self.objective.by().iter();
        let decisive = figures.find(|figure| self.is_worse(figure, over, winner));
        let figure = decisive.and_then(|figure| self.paired(figure, over, winner));
        let is_cheaper =
            || self.entrants[winner].probes.is_some_and(|least| self.costs_more(over, least));
        (figure.is_some() || is_cheaper()).then_some(Lead { over, figure })
    }
}

#[cfg(test)]
#[path = "ranking_tests.rs"]
mod tests;
