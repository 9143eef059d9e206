//! What is said of modifiers and of eliminated policies. Both were chosen by the seeds of the
//! choice, so what is said of them is measured again with those of the confirmation.

use std::collections::BTreeSet;

use super::RecommendError;
use super::choice::Contest;
use super::course::{Course, RunPlace, SituationKey, labels};
use super::findings::{Eliminated, ModifierEffect, NO_EFFECT};
use crate::figures::Unit;
use crate::judge::{PairedFigure, advantage, disadvantage};

/// A policy with a modifier, in comparison with the policy alone.
#[derive(Clone, Debug)]
pub(super) struct TriedModifier {
    pub(super) modifier: &'static str,
    /// Label of the policy with it.
    pub(super) with: String,
    /// Label of the policy without it.
    pub(super) base: String,
    /// Whether the seeds of the choice show a difference.
    pub(super) is_shown: bool,
}

impl TriedModifier {
    /// What the modifier does to the policy by these seeds.
    fn effect(&self, course: &Course<'_>, situations: &[SituationKey], seeds: &[u64]) -> String {
        let Self { with, base, .. } = self;
        let better = |better, other| course.advantage(better, other, situations, seeds);
        match (better(with, base), better(base, with)) {
            (Some(gain), _) => format!("better: {}", advantage(&gain, base)),
            (None, Some(loss)) => format!("worse: {}", disadvantage(&loss, base)),
            (None, None) => NO_EFFECT.to_owned(),
        }
    }
}

impl Contest<'_> {
    /// What the modifiers did. Only where the seeds of the choice show a difference it is worth
    /// running again with these.
    pub(super) fn effects(&mut self, fresh: &[u64]) -> Result<Vec<ModifierEffect>, RecommendError> {
        let situations = self.own_situations();
        let shown = self.tried.iter().filter(|tried| tried.is_shown);
        let names: Vec<String> =
            shown.flat_map(|tried| [tried.with.clone(), tried.base.clone()]).collect();
        self.course.run("modifiers, confirmed", &situations, &names, fresh)?;
        let effect = |tried: &TriedModifier| ModifierEffect {
            modifier: tried.modifier,
            policy: tried.base.clone(),
            effect: match tried.is_shown {
                true => tried.effect(&self.course, &situations, fresh),
                false => NO_EFFECT.to_owned(),
            },
        };
        Ok(self.tried.iter().map(effect).collect())
    }

    /// The eliminated policies. Where each is worst against the choice is found with the seeds
    /// `seen`, by what with `fresh` ones.
    pub(super) fn reasons(
        &mut self,
        choice: &str,
        seen: &[u64],
        fresh: &[u64],
    ) -> Result<Vec<Eliminated>, RecommendError> {
        let situations = self.own_situations();
        let names = labels(&std::mem::take(&mut self.eliminated));
        let worst: Vec<Option<SituationKey>> =
            names.iter().map(|policy| self.worst(choice, policy, &situations, seen)).collect();
        let places =
            names.iter().zip(&worst).filter_map(|(policy, key)| Some((*key.as_ref()?, policy)));
        let places: BTreeSet<RunPlace> = places
            .flat_map(|(key, policy)| [(key, policy.clone()), (key, choice.to_owned())])
            .collect();
        self.course.run_in("eliminated, confirmed", &places, fresh)?;
        let reason = |policy: &str, key: SituationKey| {
            let paired = self.course.advantage(choice, policy, &[key], fresh)?;
            Some(in_words(key, &paired))
        };
        let reasons = names.into_iter().zip(worst);
        let reasons = reasons.map(|(policy, worst)| Eliminated {
            reason: worst.and_then(|key| reason(&policy, key)),
            policy,
        });
        Ok(reasons.collect())
    }

    /// The situation in which a policy is worst against the choice.
    fn worst(
        &self,
        choice: &str,
        policy: &str,
        situations: &[SituationKey],
        seeds: &[u64],
    ) -> Option<SituationKey> {
        let gaps = situations.iter().filter_map(|key| {
            Some((gap(&self.course.advantage(choice, policy, &[*key], seeds)?), *key))
        });
        gaps.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, key)| key)
    }
}

/// "crash: ok 99.1 % against 93.0 %", say.
fn in_words(key: SituationKey, paired: &PairedFigure) -> String {
    let figure = paired.metric;
    let (own, other) = (figure.text(paired.first), figure.text(paired.second));
    format!("{}: {} {own} against {other}", key.0, figure.short())
}

/// How much worse the first of a pair is, to put pairs in order: any unanswered requests are worse
/// than latency.
pub(super) fn gap(paired: &PairedFigure) -> f64 {
    match paired.metric.unit {
        Unit::Share => 1e6 * paired.difference.abs(),
        Unit::Latency => paired.first / paired.second.max(1.0),
    }
}
