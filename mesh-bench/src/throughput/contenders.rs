//! The list of contenders: what is measured beside what, and how fast it has to be.

/// Something that answers calls, and whose speed is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contender {
    /// The name for `--only` and the table.
    pub(crate) name: &'static str,
    pub(crate) kind: ContenderKind,
    pub(super) limit: RequiredSpeed,
}

/// Which processes are started, and which method is called.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ContenderKind {
    /// A bare hyper server that answers what `work` answers.
    Echo { threads: Threads },
    /// One agent that gets `work` without a demand.
    Work { threads: Threads },
    /// The same behind a door: see [`DoorKind`].
    SecuredWork { door: DoorKind },
    /// nginx with TLS before one bare server.
    NginxTls,
    /// nginx with `least_conn` in front of bare servers with one thread each.
    Nginx { servers: usize },
    /// One agent that delegates to others by the policy of these options, with one thread each.
    Delegate { peers: usize, policy: &'static [&'static str] },
    /// The same, where each agent records a share of the jobs and sends its spans to a collector, for
    /// which a bare server stands.
    TracedDelegate { peers: usize, policy: &'static [&'static str], share: &'static str },
    /// The reproduction of the Python demo: one agent that delegates to others.
    Python { peers: usize },
}

/// What an agent asks its callers for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DoorKind {
    /// A key.
    Keys,
    /// TLS, where callers show no certificate, as with nginx.
    Tls,
    /// TLS, where callers show certificates.
    MutualTls,
}

/// The number of threads of a server, as an argument; `None` for one per core.
pub(crate) type Threads = Option<&'static str>;

/// One thread: for processes that share the cores with others of their kind.
pub(super) const ONE: Threads = Some("1");

/// How fast a contender has to be.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequiredSpeed {
    /// The others of its group are compared with this contender.
    Baseline,
    /// At least this multiple of the baseline's throughput.
    Ratio(f64),
    /// At least this many requests per second.
    Rate(f64),
}

/// The usual policy, by the agent's own counters: it calls nobody besides.
const OWN: &[&str] = &["--policy", "power_of_two", "--signal", "own"];

/// The groups of contenders that take turns. The first of each group is its baseline.
pub(crate) const GROUPS: [&[Contender]; 5] = [
    &[
        Contender {
            name: "bare_hyper",
            kind: ContenderKind::Echo { threads: None },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "work",
            kind: ContenderKind::Work { threads: None },
            limit: RequiredSpeed::Ratio(0.8),
        },
    ],
    &[
        Contender {
            name: "bare_hyper_1",
            kind: ContenderKind::Echo { threads: ONE },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "work_1",
            kind: ContenderKind::Work { threads: ONE },
            limit: RequiredSpeed::Ratio(0.8),
        },
    ],
    &[
        Contender {
            name: "nginx",
            kind: ContenderKind::Nginx { servers: 4 },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "p2c_own",
            kind: ContenderKind::Delegate { peers: 4, policy: OWN },
            limit: RequiredSpeed::Ratio(0.7),
        },
        Contender {
            name: "p2c_reports",
            kind: ContenderKind::Delegate {
                peers: 4,
                policy: &["--policy", "power_of_two", "--signal", "reports"],
            },
            limit: RequiredSpeed::Ratio(0.7),
        },
        Contender {
            name: "p2c_probes",
            kind: ContenderKind::Delegate {
                peers: 4,
                policy: &["--policy", "power_of_two", "--signal", "probes"],
            },
            limit: RequiredSpeed::Rate(5000.0),
        },
    ],
    &[
        Contender {
            name: "untraced",
            kind: ContenderKind::Delegate { peers: 4, policy: OWN },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "traced",
            kind: ContenderKind::TracedDelegate { peers: 4, policy: OWN, share: "0.01" },
            limit: RequiredSpeed::Ratio(0.97),
        },
    ],
    &[
        Contender {
            name: "python_demo",
            kind: ContenderKind::Python { peers: 8 },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "least_loaded",
            kind: ContenderKind::Delegate {
                peers: 8,
                policy: &["--policy", "least_loaded", "--signal", "probes"],
            },
            limit: RequiredSpeed::Ratio(100.0),
        },
    ],
];

/// The groups of `mesh-bench security`, as [`GROUPS`].
pub(crate) const SECURED_GROUPS: [&[Contender]; 2] = [
    &[
        Contender {
            name: "work",
            kind: ContenderKind::Work { threads: None },
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "work_keys",
            kind: ContenderKind::SecuredWork { door: DoorKind::Keys },
            limit: RequiredSpeed::Ratio(0.97),
        },
    ],
    &[
        Contender {
            name: "nginx_tls",
            kind: ContenderKind::NginxTls,
            limit: RequiredSpeed::Baseline,
        },
        Contender {
            name: "work_tls",
            kind: ContenderKind::SecuredWork { door: DoorKind::Tls },
            limit: RequiredSpeed::Ratio(0.7),
        },
        Contender {
            name: "work_mtls",
            kind: ContenderKind::SecuredWork { door: DoorKind::MutualTls },
            limit: RequiredSpeed::Ratio(0.7),
        },
    ],
];

/// The names of all contenders.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    GROUPS.iter().flat_map(|group| group.iter()).map(|contender| contender.name)
}

impl RequiredSpeed {
    /// The limit as it stands in the table.
    pub(super) fn text(self) -> String {
        match self {
            Self::Baseline => "baseline".to_owned(),
            Self::Ratio(ratio) => format!(">= {ratio}x"),
            Self::Rate(rate) => format!(">= {rate}/s"),
        }
    }

    /// Whether the limit is met; `None` if there is none, or nothing to compare with.
    pub(super) fn is_met(self, requests_per_s: f64, ratio: Option<f64>) -> Option<bool> {
        match self {
            Self::Baseline => None,
            Self::Ratio(least) => ratio.map(|ratio| ratio >= least),
            Self::Rate(least) => Some(requests_per_s >= least),
        }
    }
}

impl ContenderKind {
    /// The JSON-RPC body of a call.
    pub(super) fn body(self) -> String {
        let method = match self {
            Self::Echo { .. }
            | Self::Work { .. }
            | Self::SecuredWork { .. }
            | Self::Nginx { .. }
            | Self::NginxTls => "work",
            Self::Delegate { .. } | Self::TracedDelegate { .. } | Self::Python { .. } => "delegate",
        };
        format!(
            r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"text":"Optimize Kafka consumer throughput","demand_ms":0}},"id":"1234"}}"#
        )
    }
}
