//! The simulator agrees with queueing theory.

use mesh_sim::validate::{FigureCheck, Validation, render};

/// The quick validation: fixed seeds, and tolerances that follow from its length (see
/// `docs/evidence/validation.md`).
#[test]
fn the_simulator_agrees_with_queueing_theory() {
    let validation = Validation::new(true).expect("the shipped scenarios are what they say");
    let outcome = validation.execute(|_| {}).expect("every run comes to its end");
    let table = render(&outcome);
    assert!(outcome.holds() && outcome.violated.is_empty(), "\n{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "\n{table}");

    // With an older board, the shortest of all queues falls from the best policy to the worst.
    let order = |period: usize| {
        let orders = outcome.rows.iter().filter_map(|row| match &row.check {
            FigureCheck::Order { simulated, .. } => Some(simulated.join(" ")),
            _ => None,
        });
        orders.collect::<Vec<_>>()[period].clone()
    };
    assert_eq!(order(0), "all d3 d2 random");
    assert_eq!(order(1), "d3 d2 all random");
    assert_eq!(order(2), "d2 d3 random all");
    assert_eq!(order(3), "random d2 d3 all");
}
