//! Groups of neighbouring agents that share a row or a column, where there are too many for one
//! each.

use std::ops::Range;

/// The most CPU columns of a time line. More agents than this share columns, so that the time line
/// of 100,000 agents stays small.
const MAX_COLUMNS: usize = 1000;

/// The positions 0 to `len` - 1 in at most `max` groups of neighbours, of sizes as equal as
/// possible.
pub(crate) fn groups(len: usize, max: usize) -> Vec<Range<usize>> {
    let count = len.min(max);
    (0..count).map(|group| group * len / count..(group + 1) * len / count).collect()
}

/// The agents of each CPU column of a time line, by their positions in the scenario.
pub(crate) fn cpu_columns(agents: usize) -> Vec<Range<usize>> {
    groups(agents, MAX_COLUMNS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_as_equal_as_they_can_be() {
        assert_eq!(groups(3, 5), [0..1, 1..2, 2..3]);
        assert_eq!(groups(7, 3), [0..2, 2..4, 4..7]);
        assert!(groups(0, 3).is_empty());
        assert_eq!(cpu_columns(2 * MAX_COLUMNS)[..2], [0..2, 2..4]);
    }
}
