//! What speaks for the recommended policy where no single one wins, where it is weakest, and what is
//! known when a recommendation is given up.

use super::choice::{Contest, OWN_LOAD};
use super::course::{SituationKey, labels};
use super::findings::{Merit, SituationFigures};
use super::{RecommendError, TROUBLES};
use crate::figures::{Better, Figure, Objective, Unit};
use crate::format::counted;
use crate::judge::Ranking;

/// What everybody would take who has not thought about it, and who asks nobody for anything.
const PLAIN: &str = "random";
/// A trouble makes a difference to a latency if it makes it so many times as long.
const SLOWED: f64 = 1.5;

impl Contest<'_> {
    /// What the choice is better by than a plain policy.
    pub(super) fn merit(
        &mut self,
        choice: &str,
        fresh: &[u64],
    ) -> Result<Option<Merit>, RecommendError> {
        let names = labels(&self.eliminated);
        let plain = names.iter().find(|name| *name == PLAIN).or(names.first());
        let Some(than) = plain.cloned() else { return Ok(None) };
        let situations = self.own_situations();
        let both = [choice.to_owned(), than.clone()];
        self.course.run("plain policy", &situations, &both, fresh)?;
        let overall = self.course.entrants(&situations, &both, fresh);
        let ranking = Ranking::of(self.course.objective(), &overall);
        let sentence = ranking.sentence.clone().filter(|_| ranking.winner() == Some(0));
        Ok(sentence.map(|sentence| Merit { than, sentence }))
    }

    /// What the runs so far say, in words, over those situations in which every policy that is left
    /// has been screened.
    pub(super) fn so_far(&self) -> Option<String> {
        let names = labels(&self.field);
        let seeds: Vec<u64> = (1..=self.thoroughness.selection).collect();
        let is_whole = |key: &SituationKey| {
            names.iter().all(|policy| {
                let known = self.course.figures(*key, policy);
                known.is_some_and(|known| known.len() as u64 >= self.thoroughness.screening)
            })
        };
        let all = self.own_situations();
        let whole: Vec<SituationKey> = all.iter().copied().filter(is_whole).collect();
        let overall = self.course.entrants(&whole, &names, &seeds);
        let ranking = Ranking::of(self.course.objective(), &overall);
        let first = ranking.order.first().filter(|_| !whole.is_empty())?;
        let sentence = ranking.sentence.unwrap_or_else(|| "All others are clearly worse.".into());
        let all = counted(all.len(), "situation");
        Some(format!("by {} of {all}, {} is first. {sentence}", whole.len(), names[*first]))
    }
}

/// Where the first of the finalists does worst in comparison with no trouble, by the first figure of
/// the objective that any trouble makes worse; with the best of the others there, if that is better.
pub(super) fn weakest(
    objective: &Objective,
    situations: &[SituationFigures],
    finalists: &[String],
) -> Option<String> {
    let (choice, others) = finalists.split_first()?;
    let confirmed = || situations.iter().filter(|f| f.is_confirmed && f.load == OWN_LOAD);
    let own = || confirmed().filter(|figures| figures.policy == *choice);
    let calm = own().find(|figures| figures.trouble == TROUBLES[0].name)?;
    objective.by().iter().find_map(|figure| {
        let usual = calm.value(figure);
        let is_worse = |here: &&SituationFigures| {
            let value = here.value(figure);
            let is_plain = figure.unit == Unit::Share || value >= SLOWED * usual;
            is_plain
                && badness(figure, value) > badness(figure, usual)
                && objective.is_beyond_margin(figure, usual, value)
        };
        let of = |figures: &SituationFigures| badness(figure, figures.value(figure));
        let worst = own().filter(is_worse).max_by(|a, b| of(a).total_cmp(&of(b)))?;
        let rivals = confirmed()
            .filter(|f| f.trouble == worst.trouble && others.contains(&f.policy))
            .filter(|f| of(f) < of(worst))
            .filter(|f| objective.is_beyond_margin(figure, worst.value(figure), f.value(figure)));
        let rival = rivals.min_by(|a, b| of(a).total_cmp(&of(b)));
        let rival = rival
            .map(|rival| format!(", {} with {}", figure.text(rival.value(figure)), rival.policy));
        Some(format!(
            "It does worst in {}: {} {}, where {} is usual{}.",
            worst.trouble,
            figure.short(),
            figure.text(worst.value(figure)),
            figure.text(usual),
            rival.unwrap_or_default(),
        ))
    })
}

/// The value of a figure, the lower the better.
fn badness(figure: &Figure, value: f64) -> f64 {
    match figure.better {
        Better::More => -value,
        Better::Less => value,
    }
}
