//! Renders the figures as a table for a terminal of 80 columns.

use std::fmt::Write as _;

use mesh_sim::format::counted;

use super::{ContenderFigures, RoundFigures};

/// Stands in the place of a ratio that is missing.
const NONE: &str = "-";

/// The table, and one line per contender that was left out.
pub(crate) fn render(rows: &[ContenderFigures], left_out: &[String]) -> String {
    let head =
        ["system", "requests/s", "p50 ms", "p99 ms", "CPU s/1k", "RSS MiB", "ratio", "limit"];
    let mut out = line(head);
    for row in rows {
        let RoundFigures {
            requests_per_s,
            p50_ms,
            p99_ms,
            cpu_s_per_1000,
            resident_mib,
            failed,
            ..
        } = row.median;
        let met = match row.limit_met {
            None => "",
            Some(true) => " ok",
            Some(false) => " MISSED",
        };
        out += &line([
            row.name,
            &rounded(requests_per_s),
            &format!("{p50_ms:.2}"),
            &format!("{p99_ms:.2}"),
            &format!("{cpu_s_per_1000:.3}"),
            &format!("{resident_mib:.0}"),
            &row.ratio.map_or(NONE.to_owned(), |ratio| format!("{ratio:.2}")),
            &format!("{}{met}", row.limit),
        ]);
        if failed > 0 {
            let _ = writeln!(out, "   {} failed", counted(failed as usize, "request"));
        }
    }
    for reason in left_out {
        let _ = writeln!(out, " left out: {reason}");
    }
    out
}

/// Requests per second, with a decimal if there are only a few.
fn rounded(rate: f64) -> String {
    if rate < 100.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn line(cells: [&str; 8]) -> String {
    let [name, rate, p50, p99, cpu, memory, ratio, limit] = cells;
    format!(" {name:<12} {rate:>10} {p50:>7} {p99:>7} {cpu:>8} {memory:>7} {ratio:>6}  {limit}\n")
}
