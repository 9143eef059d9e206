//! What is measured against what, and how fast it has to be.

/// Something that answers calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    /// For `--only` and the table.
    pub(crate) name: &'static str,
    pub(super) kind: Kind,
    pub(super) limit: Limit,
}

/// What is started, and which method is called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A bare hyper server that answers what `work` answers.
    Echo { threads: Threads },
    /// One agent, `work` without a demand.
    Work { threads: Threads },
    /// nginx with `least_conn` before bare servers of one thread each.
    Nginx { servers: usize },
    /// One agent that delegates to others, by the policy of these options, one thread each.
    Delegate { peers: usize, policy: &'static [&'static str] },
    /// The Python demo, reproduced: one agent that delegates to others.
    Python { peers: usize },
}

/// Threads that a server has; none: one per core.
pub(super) type Threads = Option<&'static str>;

/// One thread, for processes that share the cores with others of their kind.
pub(super) const ONE: Threads = Some("1");

/// How fast it has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Limit {
    /// It is what the others of its group are held against.
    Baseline,
    /// Share of the baseline's throughput, at least.
    Ratio(f64),
    /// Requests per second, at least.
    Rate(f64),
}

/// Those that are measured side by side. The first of each group is its baseline.
pub(super) const GROUPS: [&[Contender]; 4] = [
    &[
        Contender {
            name: "bare_hyper",
            kind: Kind::Echo { threads: None },
            limit: Limit::Baseline,
        },
        Contender { name: "work", kind: Kind::Work { threads: None }, limit: Limit::Ratio(0.8) },
    ],
    &[
        Contender {
            name: "bare_hyper_1",
            kind: Kind::Echo { threads: ONE },
            limit: Limit::Baseline,
        },
        Contender { name: "work_1", kind: Kind::Work { threads: ONE }, limit: Limit::Ratio(0.8) },
    ],
    &[
        Contender { name: "nginx", kind: Kind::Nginx { servers: 4 }, limit: Limit::Baseline },
        Contender {
            name: "p2c_own",
            kind: Kind::Delegate {
                peers: 4,
                policy: &["--policy", "power_of_two", "--signal", "own"],
            },
            limit: Limit::Ratio(0.7),
        },
        Contender {
            name: "p2c_reports",
            kind: Kind::Delegate {
                peers: 4,
                policy: &["--policy", "power_of_two", "--signal", "reports"],
            },
            limit: Limit::Ratio(0.7),
        },
        Contender {
            name: "p2c_probes",
            kind: Kind::Delegate {
                peers: 4,
                policy: &["--policy", "power_of_two", "--signal", "probes"],
            },
            limit: Limit::Rate(5000.0),
        },
    ],
    &[
        Contender { name: "python_demo", kind: Kind::Python { peers: 8 }, limit: Limit::Baseline },
        Contender {
            name: "least_loaded",
            kind: Kind::Delegate {
                peers: 8,
                policy: &["--policy", "least_loaded", "--signal", "probes"],
            },
            limit: Limit::Ratio(100.0),
        },
    ],
];

/// Names of all contenders.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|group| group.iter()).map(|contender| contender.name)
}

impl Limit {
    /// As it stands in the table.
    pub(super) fn text(self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Ratio(ratio) => format!(">= {ratio}x"),
            Self::Rate(rate) => format!(">= {rate}/s"),
        }
    }

    /// Whether it is met; none if there is nothing to meet or to compare with.
    pub(super) fn is_met(self, requests_per_s: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Baseline => None,
            Self::Ratio(least) => ratio.map(|ratio| ratio >= least),
            Self::Rate(least) => Some(requests_per_s >= least),
        }
    }
}

impl Kind {
    /// The body of a call.
    pub(super) fn body(self) -> String {
        let method = match self {
            Self::Echo { .. } | Self::Work { .. } | Self::Nginx { .. } => "work",
            Self::Delegate { .. } | Self::Python { .. } => "delegate",
        };
        format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"text":"Optimize Kafka consumer throughput","demand_ms":0}},"id":"1234"}}"#
        )
    }
}
