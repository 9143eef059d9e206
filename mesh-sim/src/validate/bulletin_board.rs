//! Reference figures of the periodic bulletin board: servers post their queue lengths at the
//! multiples of a period, and every job is routed by the last posted lengths.

/// The number of servers and the load for which there are figures.
const SERVERS: u32 = 100;
const LOAD: f64 = 0.9;

/// For each period (in mean service times), the mean response (also in mean service times) if each
/// job joins the shortest of 2, of 3 or of all queues by the posted lengths. Simulated elsewhere
/// with one seed, in the setting of Mitzenmacher 2000, "How useful is old information?".
const MEANS: [(f64, [f64; 3]); 4] = [
    (0.1, [2.68, 2.12, 1.55]),
    (1.0, [2.97, 2.59, 4.01]),
    (10.0, [5.13, 6.29, 23.4]),
    (50.0, [12.6, 21.0, 346.0]),
];

/// The mean response if each job joins the shortest of `choices` queues; `None` if there is no
/// reference figure. A random choice (`choices` = 1) doesn't look at the board, so its mean
/// response is that of M/M/1, 1 / (1 - load).
pub(super) fn reference(servers: u32, load: f64, period: f64, choices: u32) -> Option<f64> {
    let same = |a: f64, b: f64| (a / b - 1.0).abs() < 1e-6;
    if servers != SERVERS || !same(load, LOAD) {
        return None;
    }
    let (_, means) = MEANS.iter().find(|(posted, _)| same(*posted, period))?;
    match choices {
        1 => Some(1.0 / (1.0 - load)),
        2 => Some(means[0]),
        3 => Some(means[1]),
        SERVERS => Some(means[2]),
        _ => None,
    }
}
