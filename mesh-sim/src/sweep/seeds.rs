//! Reads seeds as users type them: `1..200`, `7`, `1..20,42`.

use std::str::FromStr;

/// The greatest seed. JSON readers that keep numbers as doubles read it without loss.
const MAX_SEED: u64 = (1 << 53) - 1;
/// The most seeds. A typing error must not fill the memory.
const MOST: usize = 1_000_000;

/// A list of seeds in ascending order, each once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seeds(pub Vec<u64>);

impl FromStr for Seeds {
    type Err = String;

    /// Reads numbers and ranges that are separated by commas. Both ends of a range belong to it.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut seeds = Vec::new();
        for item in text.split(',') {
            let (first, last) = match item.split_once("..") {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(item)?, number(item)?),
            };
            if first > last {
                return Err(format!("{item}: the first seed is greater than the last"));
            }
            // Checked before the range is stored, which could fill the memory.
            let room = MOST - seeds.len();
            if last - first >= room as u64 {
                return Err(format!("these are more than {MOST} seeds"));
            }
            seeds.extend(first..=last);
        }
        seeds.sort_unstable();
        seeds.dedup();
        Ok(Self(seeds))
    }
}

fn number(text: &str) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|number| *number <= MAX_SEED);
    number.ok_or_else(|| {
        format!("expected a seed below 2^53, like 7, or a range, like 1..200; found {text:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_both_ends_and_every_seed_counts_once() {
        assert_eq!("1..4".parse(), Ok(Seeds(vec![1, 2, 3, 4])));
        assert_eq!("42,1..2,2".parse(), Ok(Seeds(vec![1, 2, 42])));
        assert_eq!("7..7".parse(), Ok(Seeds(vec![7])));
    }

    #[test]
    fn says_what_is_wrong() {
        for wrong in ["", "1..", "a", "-1", "9007199254740992", "1,,2", "5..1", "1..99999999999"] {
            assert!(wrong.parse::<Seeds>().is_err(), "{wrong:?}");
        }
    }
}
