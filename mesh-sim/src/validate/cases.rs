//! The cases of a validation. Each is a file of `scenarios/validation`, with some fields changed.

use super::queue_model::QueueModel;

/// The description of a case: one queue, or several policies in front of the same servers.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaseSpec {
    /// The path of the scenario file, from the root of the repository.
    pub(super) file: &'static str,
    /// The text of the file.
    pub(super) text: &'static str,
    /// Fields that get other values than in the file, as with `mesh-sim sweep --vary`.
    pub(super) settings: &'static [(&'static str, &'static str)],
    /// The labels of the policies that are run; all of the file's if empty.
    pub(super) policies: &'static [&'static str],
    /// The queue that the scenario is.
    pub(super) model: QueueModel,
    /// The greatest errors that are allowed in a whole validation, in percent: that of a mean or a
    /// share, and that of a quantile.
    pub(super) tolerance: (f64, f64),
}

macro_rules! case {
    ($file:literal, $model:ident, $tolerance:expr, $policies:expr, $settings:expr) => {
        CaseSpec {
            file: concat!("scenarios/validation/", $file, ".toml"),
            // Through a link, because a package has only what is in the directory of the crate.
            text: include_str!(concat!("scenarios/", $file, ".toml")),
            settings: &$settings,
            policies: &$policies,
            model: QueueModel::$model,
            tolerance: $tolerance,
        }
    };
}

const ALL: [&str; 0] = [];
const NOTHING: [(&str, &str); 0] = [];

/// Means within 1 % and quantiles within 2 %: `docs/evidence/validation.md` derives these.
const USUAL: (f64, f64) = (1.0, 2.0);
/// For a supermarket of 100 servers theory has only a mean, which is itself simulated.
const SUPERMARKET: (f64, f64) = (2.0, 2.0);
/// The reference figures of the board are from one seed, so they have an error of their own.
const BOARD: (f64, f64) = (5.0, 5.0);
/// If the board is as old as 50 service times, the policy that joins the shortest of all queues
/// sends some 4,500 jobs in a row to one server, which is then busy for 4,500 service times. A run
/// has so few of these that its mean varies a lot.
const HERD: (f64, f64) = (40.0, 40.0);

/// The policies that look at the board.
const INFORMED: [&str; 3] = ["d2", "d3", "all"];

/// All cases, in the order in which they are shown.
pub(super) const CASES: &[CaseSpec] = &[
    case!("mm1", Mmc, USUAL, ALL, NOTHING),
    case!("mm1", Batches, (2.0, 2.0), ALL, [("workload.batch", "4")]),
    case!(
        "mm1",
        Batches,
        (2.0, 2.0),
        ALL,
        [("workload.batch", r#"{ kind = "geometric", mean = 3 }"#)]
    ),
    case!("mmc", Mmc, USUAL, ALL, NOTHING),
    case!(
        "mmc",
        Mmc,
        USUAL,
        ALL,
        [("agents.0.cores", "8"), ("workload.rate", "7_200"), ("duration", "141s")]
    ),
    case!("md1", Md1, USUAL, ALL, NOTHING),
    case!("mg1-fcfs", Mg1Fcfs, USUAL, ALL, NOTHING),
    case!("mg1-ps", Mg1Sharing, USUAL, ALL, NOTHING),
    case!(
        "mg1-ps",
        Mm1Sharing,
        USUAL,
        ALL,
        [("workload.demand", r#"{ kind = "exponential", mean = "1ms" }"#)]
    ),
    case!("round-robin", RoundRobin, USUAL, ALL, NOTHING),
    case!(
        "round-robin",
        RoundRobin,
        USUAL,
        ALL,
        [("agents.0.count", "10"), ("workload.rate", "8_000"), ("duration", "101s")]
    ),
    case!("one-queue", OneQueue, USUAL, ALL, NOTHING),
    case!(
        "one-queue",
        OneQueue,
        USUAL,
        ALL,
        [
            ("agents.0.count", "8"),
            ("agents.0.cores", "1"),
            ("workload.rate", "7_200"),
            ("duration", "141s")
        ]
    ),
    case!("idle-queue", IdleQueue, SUPERMARKET, ALL, NOTHING),
    case!(
        "idle-queue",
        IdleQueue,
        SUPERMARKET,
        ALL,
        [("agents.0.count", "100"), ("workload.rate", "90_000"), ("duration", "12s")]
    ),
    case!("mm1k", Mm1k, (2.0, 2.0), ALL, NOTHING),
    case!("mm1k", Mm1k, (3.0, 3.0), ALL, [("agents.0.queue", "19")]),
    case!("provider", Loss, (2.0, 2.0), ALL, NOTHING),
    case!(
        "provider",
        Loss,
        (2.0, 2.0),
        ALL,
        [(
            "workload.demand",
            r#"{ kind = "bimodal", low = "0.5ms", high = "10.5ms", high_ratio = 0.05 }"#
        )]
    ),
    case!("token-bucket", TokenBucket, (2.0, 2.0), ALL, NOTHING),
    case!("token-bucket", TokenBucket, (2.0, 2.0), ALL, [("providers.0.burst", "1")]),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["random", "d2", "d3"],
        [("workload.rate", "50_000")]
    ),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["random", "d2", "d3"],
        [("workload.rate", "70_000")]
    ),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["random", "d2", "d3"],
        [("workload.rate", "80_000")]
    ),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["d2", "d3", "probes_2", "linear_2", "gmsr_2", "all"],
        NOTHING
    ),
    case!("supermarket", Supermarket, SUPERMARKET, ["random"], [("duration", "26s")]),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["d2", "d3"],
        [("workload.rate", "95_000"), ("duration", "22s")]
    ),
    case!(
        "supermarket",
        Supermarket,
        SUPERMARKET,
        ["random"],
        [("workload.rate", "95_000"), ("warm_up", "8s"), ("duration", "62s")]
    ),
    case!(
        "board",
        Board,
        BOARD,
        INFORMED,
        [("registry.heartbeat", "100us"), ("registry.refresh", "100us"), ("duration", "3s")]
    ),
    case!("board", Board, BOARD, INFORMED, NOTHING),
    case!(
        "board",
        Board,
        BOARD,
        INFORMED,
        [("registry.heartbeat", "10ms"), ("registry.refresh", "10ms"), ("workload.deadline", "2s")]
    ),
    case!(
        "board",
        Board,
        HERD,
        INFORMED,
        [
            // Agents heartbeat three times per TTL at least.
            ("registry.ttl", "150ms"),
            ("registry.heartbeat", "50ms"),
            ("registry.refresh", "50ms"),
            ("workload.deadline", "20s"),
            ("warm_up", "16s"),
            ("duration", "48s")
        ]
    ),
];
