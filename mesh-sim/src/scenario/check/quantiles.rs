//! Checks of measured distributions, which are lines in the scenario or a CSV file beside it.

use mesh_node::files::read_text;

use super::{Checker, IncludedFile};
use crate::dist::Quantiles;
use crate::scenario::parsed_toml::FieldPath;
use crate::units::parse_duration;

/// The largest file of quantiles. It has room for some ten thousand of them; more would not make a
/// distribution more exact.
const MOST_BYTES: u64 = 1 << 20;

impl Checker<'_> {
    /// Reads quantiles from lines of CSV, or from the file of that name. Each line has a share and
    /// a duration. Shares rise from 0 to 1, and durations never fall.
    pub(super) fn quantiles(&mut self, path: &FieldPath, given: &str) -> Quantiles {
        if given.contains('\n') {
            return self.parsed(path, "the quantiles", given);
        }
        match read_text(&self.directory.join(given), MOST_BYTES) {
            Ok(text) => {
                let quantiles = self.parsed(path, given, &text);
                let text = lines(&text).flat_map(|(_, line)| [line, "\n"]).collect();
                self.files.push(IncludedFile { path: path.clone(), text });
                quantiles
            }
            Err(error) => {
                let title = format!("failed to read {given}: {error}");
                let label = "expected a CSV file, named from the scenario's directory";
                self.report(path, title, label);
                Quantiles::default()
            }
        }
    }

    fn parsed(&mut self, path: &FieldPath, name: &str, text: &str) -> Quantiles {
        parse(text).unwrap_or_else(|(line, expected)| {
            let title = match line {
                Some(line) => format!("line {line} of {name} is not a quantile"),
                None => format!("{name} has no quantiles"),
            };
            self.report(path, title, format!("expected {expected}"));
            Quantiles::default()
        })
    }
}

/// The lines that hold quantiles, with their numbers. Empty lines, comments and a header are
/// skipped.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(number, line)| {
        let is_header = *number == 1 && line.starts_with(|c: char| c.is_ascii_alphabetic());
        !(line.is_empty() || line.starts_with('#') || is_header)
    })
}

/// Parses quantiles. The error is the number of the first wrong line and what is expected there;
/// without a number if there are no lines at all.
fn parse(text: &str) -> Result<Quantiles, (Option<usize>, &'static str)> {
    let mut quantiles: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for (number, line) in lines(text) {
        last = Some(number);
        let parts = line.split_once(',').and_then(|(share, value)| {
            let share: f64 = share.trim().parse().ok()?;
            Some((share, parse_duration(value.trim()).ok()?.as_secs_f64()))
        });
        let Some((share, value)) = parts else {
            return Err((last, "a share and a duration, like `0.99, 12.5ms`"));
        };
        let (before, least) = quantiles.last().copied().unwrap_or((-1.0, 0.0));
        if !(share > before && share <= 1.0) {
            return Err((last, "shares that rise from 0 to 1"));
        }
        if value < least {
            return Err((last, "durations that never fall"));
        }
        if quantiles.is_empty() && share != 0.0 {
            return Err((last, "the share 0 in the first line"));
        }
        quantiles.push((share, value));
    }
    match quantiles.last() {
        Some((1.0, _)) if quantiles.len() > 1 => Ok(quantiles.into()),
        None => Err((None, "lines of a share and a duration, like `0.99, 12.5ms`")),
        _ => Err((last, "the share 1 in the last line")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_shares_and_durations() {
        let found = parse("share,value\n# by hand\n0, 1ms\n0.5, 2ms\n\n1, 1s\n").expect("valid");
        assert_eq!(*found, [(0.0, 0.001), (0.5, 0.002), (1.0, 1.0)]);
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let wrong = |text| parse(text).expect_err("invalid").0.unwrap_or_default();
        assert_eq!(wrong("0,1ms\n0.5,2\n1,3ms"), 2);
        assert_eq!(wrong("0,1ms\n0.5,2ms\n0.4,3ms\n1,9ms"), 3);
        assert_eq!(wrong("0,2ms\n1,1ms"), 2);
        assert_eq!(wrong("0.1,2ms\n1,3ms"), 1);
        assert_eq!(wrong("0,2ms\n0.9,3ms"), 2);
        assert_eq!(wrong(""), 0);
    }
}
