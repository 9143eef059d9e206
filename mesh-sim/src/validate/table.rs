//! The table of a validation, for a terminal.

use super::{CheckedFigure, FigureCheck, ValidationResult};

/// The table of all figures (theory, simulated, error, tolerance) in lines of at most 80 columns,
/// and a summary.
pub fn render(outcome: &ValidationResult) -> String {
    let mut text = format!(
        " {:<30} {:<8}{:>9} {:>9} {:>9} {:>7}\n",
        "queue", "figure", "theory", "found", "error", "within"
    );
    let mut title = "";
    for CheckedFigure { title: own, figure, check } in &outcome.rows {
        let shown = if own == title { "" } else { own };
        title = own;
        let verdict = if check.holds() { "" } else { " NO" };
        text.push_str(&match check {
            FigureCheck::Number { theory, simulated, tolerance } => format!(
                " {shown:<30} {figure:<8}{:>9} {:>9} {:>7.2} % {:>5.1} %{verdict}\n",
                number(*theory),
                number(*simulated),
                100.0 * (simulated / theory - 1.0),
                100.0 * tolerance,
            ),
            FigureCheck::OrderOnly { theory, simulated } => format!(
                " {shown:<30} {figure:<8}{:>9} {:>9} {:>7.2} % order only\n",
                number(*theory),
                number(*simulated),
                100.0 * (simulated / theory - 1.0),
            ),
            FigureCheck::Limit { theory } => {
                format!(" {shown:<30} {figure:<8}{:>9}\n", number(*theory))
            }
            FigureCheck::Order { expected, simulated } => {
                let found = simulated.join(" < ");
                match check.holds() {
                    true => format!(" {shown:<30} {figure:<8}{found}\n"),
                    false => format!(
                        " {shown:<30} {figure:<8}{found}{verdict}\n   expected {}\n",
                        expected.join(" < ")
                    ),
                }
            }
        });
    }
    let figures = outcome.rows.iter().filter(|row| row.check.demands()).count();
    let missed = outcome.rows.iter().filter(|row| !row.check.holds()).count();
    let order_only = |row: &&CheckedFigure| matches!(row.check, FigureCheck::OrderOnly { .. });
    let unheld = outcome.rows.iter().filter(order_only).count();
    text.push_str(" Means and quantiles are in mean service times.\n");
    text.push_str(&match missed {
        0 => format!(" all {figures} figures are as they should be\n"),
        _ => format!(" {missed} of {figures} figures are not as they should be\n"),
    });
    if unheld > 0 {
        text.push_str(&format!(" of {unheld} more only the order is checked\n"));
    }
    for violated in &outcome.violated {
        text.push_str(&format!(" violated: {violated}\n"));
    }
    text
}

/// A number with about five significant digits.
fn number(value: f64) -> String {
    let digits = match value {
        ..0.1 => 5,
        ..10.0 => 4,
        ..100.0 => 3,
        _ => 1,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(figure: &str, check: FigureCheck) -> CheckedFigure {
        CheckedFigure { title: "M/M/1, load 0.7".to_owned(), figure: figure.to_owned(), check }
    }

    #[test]
    fn what_is_out_is_marked_and_counted() {
        let number = |simulated| FigureCheck::Number { theory: 2.0, simulated, tolerance: 0.01 };
        let labels = |labels: [&str; 2]| labels.map(str::to_owned).to_vec();
        let order =
            FigureCheck::Order { expected: labels(["a", "b"]), simulated: labels(["b", "a"]) };
        let rows = vec![
            row("mean", number(2.019)),
            row("p50", number(2.021)),
            row("order", order),
            row("mean", FigureCheck::number(2.0, 3.8, 3.2)),
        ];
        let text = render(&ValidationResult { rows, violated: Vec::new() });
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].ends_with("1.0 %") && lines[1].contains("0.95 %"), "{text}");
        assert!(lines[2].ends_with("1.0 % NO") && !lines[2].contains("M/M/1"), "{text}");
        assert!(lines[3].ends_with("b < a NO") && lines[4].ends_with("a < b"), "{text}");
        assert!(lines[5].contains("90.00 % order only"), "{text}");
        assert!(text.contains("2 of 3 figures are not"), "{text}");
        assert!(text.contains("of 1 more only the order is checked"), "{text}");
    }
}
