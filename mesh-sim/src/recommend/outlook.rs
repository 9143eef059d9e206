//! How many runs a recommendation may still take.

use super::candidates::MODIFIERS;
use super::choice::Contest;
use super::tune;

/// The parts of a recommendation, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ContestPart {
    Screening,
    Selection,
    Tuning,
    Modifiers,
    Confirmation,
    Loads,
    Reasons,
}

impl ContestPart {
    const ALL: [Self; 7] = [
        Self::Screening,
        Self::Selection,
        Self::Tuning,
        Self::Modifiers,
        Self::Confirmation,
        Self::Loads,
        Self::Reasons,
    ];
}

impl Contest<'_> {
    /// At most so many runs are carried out from this part on, as the field is now and unless other
    /// seeds contradict the choice, which is made anew then.
    pub(super) fn most_runs_from(&self, part: ContestPart) -> usize {
        let modifiers = match self.spec.modifiers.len() {
            0 => MODIFIERS.len(),
            named => named,
        };
        // Until they have been tried, modifiers and tuned settings may join the field.
        let joining = match part <= ContestPart::Modifiers {
            true => Self::IMPROVED * (modifiers + usize::from(self.spec.tunes)),
            false => 0,
        };
        let field = self.field.len() + joining;
        let later = ContestPart::ALL.into_iter().filter(|later| *later >= part);
        later.map(|part| self.most_runs(part, field, modifiers)).sum()
    }

    fn most_runs(&self, part: ContestPart, field: usize, modifiers: usize) -> usize {
        let situations = self.troubles.len();
        let thoroughness = &self.thoroughness;
        let [screening, selection, fresh] = thoroughness.seeds().map(|seeds| seeds as usize);
        let improved = Self::IMPROVED;
        let finalists = field.clamp(2, Self::FINALISTS) + usize::from(self.spec.current.is_some());
        match part {
            // Nothing has joined the field yet.
            ContestPart::Screening => self.field.len() * situations * screening,
            ContestPart::Selection => self.field.len() * situations * (selection - screening),
            ContestPart::Tuning if self.spec.tunes => {
                improved * situations * (tune::MOST_RUNS + selection)
            }
            ContestPart::Tuning => 0,
            ContestPart::Modifiers => improved * modifiers * situations * selection,
            ContestPart::Confirmation => finalists * situations * fresh,
            ContestPart::Loads => {
                let [with_troubles, calm] = thoroughness.rungs();
                finalists * (with_troubles * situations + calm) * fresh
            }
            // Modifiers that made a difference, and the worst situation of each eliminated policy,
            // with the choice beside it.
            ContestPart::Reasons => {
                let eliminated = field + self.eliminated.len();
                (improved * (modifiers + 1) * situations + 2 * eliminated + 2 * situations) * fresh
            }
        }
    }
}
