//! Finding policies by the labels that people type.

use mesh_core::text::{closest, find_name};

/// The label that `wanted` stands for: the same one, or else the only one that differs from it in
/// nothing but capitals, or dashes instead of underscores. `place` says in an error where the
/// labels are: `here`.
///
/// # Errors
/// If there is no such label: names the closest one, and all that there are.
pub fn find_label<'a>(
    wanted: &str,
    labels: impl IntoIterator<Item = &'a str>,
    place: &str,
) -> Result<&'a str, String> {
    let labels: Vec<&str> = labels.into_iter().collect();
    find_name(wanted, &labels).ok_or_else(|| {
        let hint = closest(wanted, labels.iter().copied());
        let hint = hint.map(|label| format!("did you mean `{label}`? ")).unwrap_or_default();
        format!("no policy `{wanted}` {place}; {hint}there are: {}", labels.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_is_found_as_people_write_it_or_its_neighbour_is_named() {
        let labels = ["random", "power_of_two", "p2c-own"];
        let found = |wanted| find_label(wanted, labels, "here");
        assert_eq!(found("Power-Of_Two"), Ok("power_of_two"));
        assert_eq!(found("p2c_own"), Ok("p2c-own"));
        let expected = "no policy `rnadom` here; did you mean `random`? there are: random, power_of_two, p2c-own";
        assert_eq!(found("rnadom"), Err(expected.to_owned()));
        let expected = "no policy `best` here; there are: random, power_of_two, p2c-own";
        assert_eq!(found("best"), Err(expected.to_owned()));
    }
}
