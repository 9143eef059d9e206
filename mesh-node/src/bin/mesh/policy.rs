//! A routing policy, as it is named on the command line.

use clap::{Args, ValueEnum};
use mesh_core::routing::{MAX_CHOICES, PolicyConfig, Signal};

/// Names of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum PolicyName {
    /// A uniform peer
    Random,
    /// Each in turn
    RoundRobin,
    /// Least CPU %, then memory %, then latency, of all peers
    LeastLoaded,
    /// Least cpu-weight x CPU % + latency-weight x latency in ms, of all peers
    Weighted,
    /// Fewest in flight of a few random peers
    PowerOfTwo,
    /// Fewest in flight of all peers
    ShortestQueue,
}

/// What a policy goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum SignalName {
    /// Ask the peers, and wait for their answers
    Probes,
    /// What they last told the registry
    Reports,
    /// The agent's own unanswered calls
    Own,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "How a peer is chosen")]
pub(crate) struct PolicyArgs {
    /// The policy
    #[arg(long, env = "MESH_POLICY", value_enum, default_value = "least_loaded")]
    pub(crate) policy: PolicyName,
    /// What policies that look at peers go by; own is for power_of_two and shortest_queue
    /// [default: probes]
    #[arg(long, env = "MESH_SIGNAL", value_enum)]
    pub(crate) signal: Option<SignalName>,
    /// power_of_two: how many peers to compare, up to 8 [default: 2]
    #[arg(long, env = "MESH_CHOICES", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=MAX_CHOICES as i64))]
    pub(crate) choices: Option<u8>,
    /// weighted: weight of a CPU percent [default: 0.7]
    #[arg(long, env = "MESH_CPU_WEIGHT", value_name = "X", value_parser = weight)]
    pub(crate) cpu_weight: Option<f64>,
    /// weighted: weight of a millisecond [default: 0.3]
    #[arg(long, env = "MESH_LATENCY_WEIGHT", value_name = "X", value_parser = weight)]
    pub(crate) latency_weight: Option<f64>,
}

impl PolicyArgs {
    /// The policy.
    ///
    /// # Errors
    /// If an option is none of this policy's.
    pub(crate) fn config(&self) -> anyhow::Result<PolicyConfig> {
        let policy = match self.policy {
            PolicyName::Random => PolicyConfig::Random,
            PolicyName::RoundRobin => PolicyConfig::RoundRobin,
            PolicyName::LeastLoaded => PolicyConfig::LeastLoaded { signal: self.signal() },
            PolicyName::Weighted => PolicyConfig::Weighted {
                cpu_weight: self.cpu_weight.unwrap_or(0.7),
                latency_weight: self.latency_weight.unwrap_or(0.3),
                signal: self.signal(),
            },
            PolicyName::ShortestQueue => PolicyConfig::ShortestQueue { signal: self.signal() },
            PolicyName::PowerOfTwo => PolicyConfig::PowerOfTwo {
                choices: self.choices.unwrap_or(2).into(),
                signal: self.signal(),
            },
        };
        self.refuse_strangers(&policy)?;
        Ok(policy)
    }

    fn signal(&self) -> Signal {
        match self.signal.unwrap_or(SignalName::Probes) {
            SignalName::Probes => Signal::Probes,
            SignalName::Reports => Signal::Reports,
            SignalName::Own => Signal::OwnCounters,
        }
    }

    fn refuse_strangers(&self, policy: &PolicyConfig) -> anyhow::Result<()> {
        let is_weighted = matches!(policy, PolicyConfig::Weighted { .. });
        let is_power_of_two = matches!(policy, PolicyConfig::PowerOfTwo { .. });
        let is_blind = matches!(policy, PolicyConfig::Random | PolicyConfig::RoundRobin);
        let strangers = [
            ("--signal", self.signal.is_some() && is_blind),
            ("--choices", self.choices.is_some() && !is_power_of_two),
            ("--cpu-weight", self.cpu_weight.is_some() && !is_weighted),
            ("--latency-weight", self.latency_weight.is_some() && !is_weighted),
        ];
        let name = policy.name();
        if let Some((option, _)) = strangers.into_iter().find(|(_, given)| *given) {
            anyhow::bail!("{option} means nothing to the policy {name}");
        }
        let counts_jobs =
            matches!(policy, PolicyConfig::PowerOfTwo { .. } | PolicyConfig::ShortestQueue { .. });
        if self.signal == Some(SignalName::Own) && !counts_jobs {
            anyhow::bail!("the policy {name} does not go by own");
        }
        Ok(())
    }
}

fn weight(text: &str) -> Result<f64, &'static str> {
    match text.parse::<f64>() {
        Ok(weight) if weight.is_finite() && weight >= 0.0 => Ok(weight),
        _ => Err("expected a number, 0 or more"),
    }
}
