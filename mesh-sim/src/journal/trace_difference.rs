//! Where the traces of two runs that should be equal begin to differ.

/// The first event that differs between two traces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceDifference {
    /// Number of the event in both traces, from 0.
    pub index: usize,
    /// The line of the first trace; `None` if it has ended before.
    pub first: Option<String>,
    /// The line of the second trace; `None` if it has ended before.
    pub second: Option<String>,
}

/// The first event that differs between two traces; `None` if they are equal.
pub fn first_difference(first: &str, second: &str) -> Option<TraceDifference> {
    let (mut one, mut two) = (first.lines(), second.lines());
    for index in 0.. {
        match (one.next(), two.next()) {
            (None, None) => return None,
            (a, b) if a == b => {}
            (a, b) => {
                let (first, second) = (a.map(str::to_owned), b.map(str::to_owned));
                return Some(TraceDifference { index, first, second });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_named() {
        assert_eq!(first_difference("1\n2\n", "1\n2\n"), None);
        let found = first_difference("1\n2\n", "1\n3\n4\n").unwrap();
        assert_eq!(found.index, 1);
        assert_eq!((found.first.as_deref(), found.second.as_deref()), (Some("2"), Some("3")));
        let found = first_difference("1\n2\n", "1\n").unwrap();
        assert_eq!((found.index, found.second), (1, None));
    }
}
