//! The part of a sweep that a process carries out.

use std::fmt;
use std::str::FromStr;

use super::SweepCell;
use super::plan::MOST_RUNS;

/// Part `number` of `of`, from 1. It has the runs whose number (from 0) modulo `of` is `number` -
/// 1. That spreads the runs of a cell over the parts, so that these take about equally long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shard {
    number: usize,
    of: usize,
}

impl Shard {
    /// The whole sweep as its only part.
    pub const WHOLE: Self = Self { number: 1, of: 1 };

    /// Part `number` of `of`. `None` if there is no such part, or if there are more parts than a
    /// sweep can have runs.
    pub const fn new(number: usize, of: usize) -> Option<Self> {
        if number >= 1 && number <= of && of <= MOST_RUNS {
            Some(Self { number, of })
        } else {
            None
        }
    }

    /// The number of the part, from 1.
    pub const fn number(self) -> usize {
        self.number
    }

    /// How many parts the sweep has.
    pub const fn of(self) -> usize {
        self.of
    }

    /// Whether the run with this number belongs to the part.
    pub(super) const fn has(self, run: usize) -> bool {
        run % self.of == self.number - 1
    }

    /// The numbers of this part's runs, if the sweep has `runs` runs.
    pub fn runs(self, runs: usize) -> impl ExactSizeIterator<Item = usize> {
        // If there are fewer runs than parts, the last parts have none.
        (self.number - 1..runs.max(self.number - 1)).step_by(self.of)
    }

    /// The name of the part's file.
    pub fn file_name(self) -> String {
        format!("shard-{}-of-{}.json", self.number, self.of)
    }

    /// The name of the file with the results of a part that has not ended.
    pub fn unfinished_name(self) -> String {
        match self {
            Self::WHOLE => "unfinished.json".to_owned(),
            Self { number, of } => format!("shard-{number}-of-{of}.unfinished.json"),
        }
    }

    /// The name of the file beside the part's file that has the scenario of a cell.
    pub fn cell_name(self, cell: &SweepCell) -> String {
        format!("{}{}.toml", self.cell_prefix(), cell.number)
    }

    /// Whether `name` is one that [`Self::cell_name`] gives to a file of this part.
    pub(super) fn is_cell_name(self, name: &str) -> bool {
        let number = name.strip_prefix(&self.cell_prefix());
        let number = number.and_then(|rest| rest.strip_suffix(".toml"));
        number.is_some_and(|number| number.parse::<usize>().is_ok())
    }

    fn cell_prefix(self) -> String {
        format!("shard-{}-of-{}-cell-", self.number, self.of)
    }

    /// The part whose file has this name; `None` if it is not the name of a part's file.
    pub fn from_file_name(name: &str) -> Option<Self> {
        let (number, of) =
            name.strip_prefix("shard-")?.strip_suffix(".json")?.split_once("-of-")?;
        // Other spellings, like `shard-02-of-3.json`, are no files of ours.
        Self::new(number.parse().ok()?, of.parse().ok()?).filter(|shard| shard.file_name() == name)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts =
            text.split_once('/').and_then(|(k, n)| Self::new(k.parse().ok()?, n.parse().ok()?));
        parts.ok_or_else(|| {
            "expected a part and the number of parts, from 1/4 to 4/4, say".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_hold_every_run_once() {
        for of in 1..7 {
            let parts = (1..=of).map(|number| Shard::new(number, of).unwrap());
            let mut runs: Vec<usize> = parts.flat_map(|shard| shard.runs(5)).collect();
            runs.sort_unstable();
            assert_eq!(runs, [0, 1, 2, 3, 4]);
        }
    }

    #[test]
    fn names_say_which_part() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!(shard.file_name(), "shard-2-of-3.json");
        assert_eq!(Shard::from_file_name("shard-2-of-3.json"), Some(shard));
        assert_eq!(Shard::from_file_name("shard-02-of-3.json"), None);
        for wrong in ["0/3", "4/3", "1", "a/b", "1/0"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
