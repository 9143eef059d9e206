//! Delta debugging: which of many items a failure needs.

/// Finds a part of `items` that still fails and from which no single item can be left out. `items`
/// as a whole must fail.
///
/// The algorithm is ddmin (A. Zeller and R. Hildebrandt, "Simplifying and Isolating
/// Failure-Inducing Input", IEEE TSE 28(2), 2002). `first_failing` gets candidates, those that
/// would save most first, and returns the position of the first one that fails. A candidate that
/// can't be run counts as one that does not fail.
pub(super) fn ddmin<T: Clone>(
    mut items: Vec<T>,
    mut first_failing: impl FnMut(&[Vec<T>]) -> Option<usize>,
) -> Vec<T> {
    if items.is_empty() || first_failing(&[Vec::new()]).is_some() {
        return Vec::new();
    }
    let mut parts = 2;
    while items.len() >= 2 {
        parts = parts.min(items.len());
        let mut candidates = chunks(&items, parts);
        // With two parts, each one is the complement of the other.
        if parts > 2 {
            candidates.extend(complements(&candidates));
        }
        match first_failing(&candidates) {
            Some(found) => {
                items = candidates.swap_remove(found);
                parts = if found < parts { 2 } else { parts - 1 };
            }
            None if parts == items.len() => break,
            None => parts *= 2,
        }
    }
    items
}

/// Cuts `items` into `parts` pieces whose sizes differ by at most one.
fn chunks<T: Clone>(items: &[T], parts: usize) -> Vec<Vec<T>> {
    let border = |part: usize| items.len() * part / parts;
    (0..parts).map(|part| items[border(part)..border(part + 1)].to_vec()).collect()
}

/// For each piece, all items that are not in it.
fn complements<T: Clone>(chunks: &[Vec<T>]) -> Vec<Vec<T>> {
    let without = |out: usize| {
        let others = chunks.iter().enumerate().filter(move |(part, _)| *part != out);
        others.flat_map(|(_, chunk)| chunk.iter().cloned()).collect()
    };
    (0..chunks.len()).map(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shrink(count: u32, fails: impl Fn(&[u32]) -> bool) -> (Vec<u32>, usize) {
        let mut tried = 0;
        let found = ddmin((0..count).collect(), |candidates| {
            let found = candidates.iter().position(|candidate| fails(candidate));
            tried += found.map_or(candidates.len(), |found| found + 1);
            found
        });
        (found, tried)
    }

    #[test]
    fn finds_one_culprit_in_a_few_steps() {
        let (found, tried) = shrink(64, |items| items.contains(&37));
        assert_eq!(found, [37]);
        assert!(tried < 32, "{tried}");
    }

    #[test]
    fn finds_culprits_that_only_fail_together() {
        let (found, _) = shrink(50, |items| [3, 20, 49].iter().all(|item| items.contains(item)));
        assert_eq!(found, [3, 20, 49]);
    }

    #[test]
    fn what_fails_without_anything_needs_nothing() {
        assert_eq!(shrink(9, |_| true), (Vec::new(), 1));
    }

    #[test]
    fn nothing_is_left_out_of_what_is_all_needed() {
        assert_eq!(shrink(7, |items| items.len() == 7).0.len(), 7);
    }
}
