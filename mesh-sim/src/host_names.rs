//! Names of hosts: the two that are the same in every scenario, and the short form of a list of
//! hosts.

use mesh_core::protocol::Name;

/// The registry's host name in scenario files, faults and link patterns; of several, the first
/// one's.
pub const REGISTRY: &str = "registry";
/// The client's host name in faults and link patterns.
pub const CLIENT: &str = "client";

/// The host names of so many registries: "registry", "registry-2" and so on.
pub(crate) fn registry_names(count: usize) -> impl Iterator<Item = Name> + Clone {
    let further = (2..=count).map(|number| Name::from(format!("{REGISTRY}-{number}")));
    std::iter::once(Name::from(REGISTRY)).chain(further)
}

/// Whether this is the name of a registry, in some scenario.
pub(crate) fn is_registry_name(name: &str) -> bool {
    let number = name.strip_prefix(REGISTRY).and_then(|rest| rest.strip_prefix('-'));
    name == REGISTRY || number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Host names as a scenario file writes them. Names with consecutive numbers become a range:
/// "agent-1..3".
pub fn host_ranges(names: &[Name]) -> Vec<String> {
    let mut ranges = Vec::new();
    let mut rest = names;
    while let Some(first) = rest.first() {
        let run = 1 + rest.windows(2).take_while(|pair| follows(&pair[0], &pair[1])).count();
        let last = &rest[run - 1];
        ranges.push(match split_number(last) {
            Some((_, number)) if run > 1 => format!("{first}..{number}"),
            _ => (**first).to_owned(),
        });
        rest = &rest[run..];
    }
    ranges
}

/// Whether `next` is the same name as `name` with the next number.
fn follows(name: &str, next: &str) -> bool {
    match (split_number(name), split_number(next)) {
        (Some((a, m)), Some((b, n))) => a == b && m.checked_add(1) == Some(n),
        _ => false,
    }
}

/// Splits `agent-7` into its prefix and number; `None` without a number or if it begins with a
/// zero.
fn split_number(name: &str) -> Option<(&str, u32)> {
    let prefix = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let digits = &name[prefix.len()..];
    let number = digits.parse().ok()?;
    (!digits.starts_with('0')).then_some((prefix, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_written_as_a_range() {
        let names = ["a-1", "a-2", "a-3", "registry", "a-7", "b-8", "b-9", "c-01", "c-02"];
        let names: Vec<Name> = names.into_iter().map(Name::from).collect();
        let expected = ["a-1..3", "registry", "a-7", "b-8..9", "c-01", "c-02"];
        assert_eq!(host_ranges(&names), expected);
        assert_eq!(host_ranges(&[]), [""; 0]);
    }
}
