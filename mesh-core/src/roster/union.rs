//! Several lists as one.

use std::cmp::Ordering;

use super::{ListedLease, Roster};

impl Roster {
    /// All leases of these lists. Of two lives of one name, the one with the greater incarnation; of
    /// two with equal incarnations, the one with the greater address, so that everybody decides
    /// alike. Of one life in several lists, the lease in the first of them: put the newest list
    /// first.
    ///
    /// ```
    /// use mesh_core::roster::{ListedLease, Roster};
    ///
    /// let list = |leases: &[(&str, u64)]| -> Roster {
    ///     let lease = |(name, incarnation): &(&str, u64)| {
    ///         ListedLease::new(*name, "10.0.0.7:8600", *incarnation, None)
    ///     };
    ///     leases.iter().map(lease).collect()
    /// };
    /// let all = Roster::union(&[list(&[("a", 1), ("b", 1)]), list(&[("b", 2), ("c", 1)])]);
    /// let lives: Vec<_> = all.iter().map(|lease| (&*lease.name, lease.incarnation)).collect();
    /// assert_eq!(lives, [("a", 1), ("b", 2), ("c", 1)]);
    /// ```
    pub fn union<'a>(lists: impl IntoIterator<Item = &'a Self>) -> Self {
        let mut lists = lists.into_iter();
        let mut all = lists.next().cloned().unwrap_or_default();
        for list in lists {
            // As a rule the lists have the same lives, and this finds nothing at once.
            let later = all.differences(list).filter_map(|(known, new)| {
                new.filter(|new| known.is_none_or(|known| order(known, new) == Ordering::Less))
            });
            let later: Vec<_> = later.cloned().collect();
            later.into_iter().for_each(|lease| all.insert_shared(lease));
        }
        all
    }
}

/// Which of two lives of a name is the later one.
fn order(a: &ListedLease, b: &ListedLease) -> Ordering {
    a.incarnation.cmp(&b.incarnation).then_with(|| a.url.cmp(&b.url))
}
