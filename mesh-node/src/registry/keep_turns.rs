//! Whose records a shared store is asked to keep, in turns.

use std::collections::BTreeMap;

use mesh_core::protocol::Name;

/// A store keeps records for several TTLs, so not each is kept in each round. Those of agents that
/// were not heard the last time may be about to be forgotten, so they are kept at once.
#[derive(Debug)]
pub(super) struct KeepTurns {
    /// Each record is kept once in so many rounds.
    turns: u64,
    /// The round in which each record is due.
    due: BTreeMap<Name, u64>,
    round: u64,
}

impl KeepTurns {
    /// A store that must be asked once in so many rounds.
    pub(super) fn new(turns: u32) -> Self {
        Self { turns: turns.into(), due: BTreeMap::new(), round: 0 }
    }

    /// The next round, with the names of all agents that are heard: those whose records are due.
    pub(super) fn next(&mut self, heard: Vec<Name>) -> Vec<Name> {
        self.round += 1;
        let turns = self.turns;
        let before = std::mem::take(&mut self.due);
        let mut due = Vec::new();
        for (place, name) in (0..).zip(heard) {
            let next = match before.get(&name) {
                Some(next) if *next > self.round => *next,
                known => {
                    due.push(name.clone());
                    // Those that are new are spread over the rounds that follow.
                    self.round + if known.is_some() { turns } else { 1 + place % turns }
                }
            };
            self.due.insert(name, next);
        }
        due
    }

    /// The store has not kept what was due: all are due in the next round.
    pub(super) fn failed(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&'static str]) -> Vec<Name> {
        names.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn each_is_kept_in_its_turn_and_new_ones_at_once() {
        let mut turns = KeepTurns::new(3);
        let all = ["a", "b", "c", "d"];
        assert_eq!(turns.next(names(&all)), names(&all));
        let rounds: Vec<Vec<Name>> = (0..6).map(|_| turns.next(names(&all))).collect();
        let expected = [&["a", "d"][..], &["b"], &["c"]].map(names);
        assert_eq!(rounds[..3], expected);
        assert_eq!(rounds[3..], expected);
        // One that comes back is new.
        assert_eq!(turns.next(names(&["a", "b"])), names(&["a"]));
        assert_eq!(turns.next(names(&["a", "b", "d"])), names(&["b", "d"]));
        turns.failed();
        assert_eq!(turns.next(names(&all)), names(&all));
    }
}
