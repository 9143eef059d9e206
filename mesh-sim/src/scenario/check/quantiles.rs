//! Checks of measured distributions, which are lines in the scenario or a CSV file beside it.

use std::sync::Arc;

use mesh_node::files::read_text;

use super::{Checker, IncludedFile};
use crate::dist::Quantiles;
use crate::scenario::parsed_toml::FieldPath;
use crate::units::parse_duration;

/// The largest file. It has room for more than ten thousand quantiles or samples; more of them
/// would not make a distribution more exact.
const MOST_BYTES: u64 = 1 << 20;

/// What is wrong with lines: the number of the first wrong line, if there are lines at all, and
/// what is expected there.
type WrongLine = (Option<usize>, &'static str);

impl Checker<'_> {
    /// Reads quantiles from lines of CSV, or from the file of that name. Each line has a share and
    /// a duration. Shares rise from 0 to 1, and durations never fall.
    pub(super) fn quantiles(&mut self, path: &FieldPath, given: &str) -> Quantiles {
        self.measured(path, given, "quantile", parse_quantiles).unwrap_or_default()
    }

    /// Reads samples, in seconds, from lines of CSV, or from the file of that name. Each line has a
    /// duration. The samples are returned in ascending order.
    pub(super) fn samples(&mut self, path: &FieldPath, given: &str) -> Arc<[f64]> {
        self.measured(path, given, "sample", parse_samples).unwrap_or_default()
    }

    /// Parses lines of CSV, or the file of that name. `item` is what one line holds, for messages.
    fn measured<T>(
        &mut self,
        path: &FieldPath,
        given: &str,
        item: &str,
        parse: impl Fn(&str) -> Result<T, WrongLine>,
    ) -> Option<T> {
        let is_file = !given.contains('\n');
        let text = match is_file {
            false => given.to_owned(),
            true => match read_text(&self.directory.join(given), MOST_BYTES) {
                Ok(text) => text,
                Err(error) => {
                    let title = format!("failed to read {given}: {error}");
                    let label = "expected a CSV file, named from the scenario's directory";
                    self.report(path, title, label);
                    return None;
                }
            },
        };
        let parsed = parse(&text).map_err(|(line, expected)| {
            let name = if is_file { given.to_owned() } else { format!("the {item}s") };
            let title = match line {
                Some(line) => format!("line {line} of {name} is not a {item}"),
                None => format!("{name} has no {item}s"),
            };
            self.report(path, title, format!("expected {expected}"));
        });
        if is_file {
            let text = lines(&text).flat_map(|(_, line)| [line, "\n"]).collect();
            self.files.push(IncludedFile { path: path.clone(), text });
        }
        parsed.ok()
    }
}

/// The lines that hold quantiles or samples, with their numbers. Empty lines, comments and a header are
/// skipped.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
    numbered.filter(|(number, line)| {
        let is_header = *number == 1 && line.starts_with(|c: char| c.is_ascii_alphabetic());
        !(line.is_empty() || line.starts_with('#') || is_header)
    })
}

fn parse_samples(text: &str) -> Result<Arc<[f64]>, WrongLine> {
    let mut samples = Vec::new();
    for (number, line) in lines(text) {
        let sample = parse_duration(line).map_err(|_| (Some(number), "a duration, like `12.5ms`"));
        samples.push(sample?.as_secs_f64());
    }
    if samples.is_empty() {
        return Err((None, "lines of a duration, like `12.5ms`"));
    }
    samples.sort_by(f64::total_cmp);
    Ok(samples.into())
}

fn parse_quantiles(text: &str) -> Result<Quantiles, WrongLine> {
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
        let found =
            parse_quantiles("share,value\n# by hand\n0, 1ms\n0.5, 2ms\n\n1, 1s\n").expect("valid");
        assert_eq!(*found, [(0.0, 0.001), (0.5, 0.002), (1.0, 1.0)]);
    }

    #[test]
    fn names_the_line_that_is_wrong() {
        let wrong = |text| parse_quantiles(text).expect_err("invalid").0.unwrap_or_default();
        assert_eq!(wrong("0,1ms\n0.5,2\n1,3ms"), 2);
        assert_eq!(wrong("0,1ms\n0.5,2ms\n0.4,3ms\n1,9ms"), 3);
        assert_eq!(wrong("0,2ms\n1,1ms"), 2);
        assert_eq!(wrong("0.1,2ms\n1,3ms"), 1);
        assert_eq!(wrong("0,2ms\n0.9,3ms"), 2);
        assert_eq!(wrong(""), 0);
    }

    #[test]
    fn samples_are_sorted_and_a_wrong_one_is_named() {
        let found = parse_samples("latency\n# by hand\n3ms\n\n1ms\n1s\n").expect("valid");
        assert_eq!(*found, [0.001, 0.003, 1.0]);
        assert_eq!(parse_samples("1ms\n2\n").expect_err("no unit").0, Some(2));
        assert_eq!(parse_samples("# none\n").expect_err("no sample").0, None);
    }
}
