//! Writes a calibration as a part of a scenario file.

use std::fmt::Write as _;
use std::time::Duration;

use mesh_sim::format::{counted, latency};
use mesh_sim::record::LatencyHistogram;
use mesh_sim::units::format_duration;

use super::{Calibration, MeasuredCosts, ProbeRounds};
use crate::live::HostFacts;

/// The quantiles that are written, from 0 to 1; minimum and maximum come on top.
const SHARES: [f64; 12] = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999];
/// Significant digits of the figures in comments.
const DIGITS: usize = 3;

/// The table `[network.latency]`, with everything that was measured in comments.
pub(crate) fn render(calibration: &Calibration, host: &HostFacts) -> String {
    let Calibration { round_trip, rpc, timer, costs, probes } = calibration;
    let unknown = "unknown";
    let (cpu, kernel) = (host.cpu.as_deref(), host.kernel.as_deref());
    let mut out = format!(
        "# Measured by mesh-bench calibrate: {} of {}, {} MiB, kernel {}.\n",
        counted(host.cores, "core"),
        cpu.unwrap_or(unknown),
        host.memory_mib,
        kernel.unwrap_or(unknown),
    );
    comment(&mut out, "TCP round trip on loopback", round_trip);
    comment(&mut out, "work call without work", rpc);
    comment(&mut out, "timers late by", timer);
    let ProbeRounds { peers, round_trip: probe } = probes;
    comment(&mut out, &format!("probe, of {peers} peers at once"), probe);
    out.push_str(
        "# A message takes half of what is left of a call without the CPU time of the agent, which is\n\
         # in [costs]: HTTP and JSON at both ends are in it.\n\
         [network.latency]\nkind = \"empirical\"\nquantiles = \"\"\"\n",
    );
    // Some of an agent's CPU time is spent after the answer. No message is faster than its bytes.
    let network = |share| {
        let call = at(rpc, share).saturating_sub(costs.job + costs.work);
        call.max(at(round_trip, share.min(0.5)))
    };
    quantiles(&mut out, |share| network(share) / 2);
    let MeasuredCosts { job, work, probe: probe_cost, heartbeat, sample, delegation } = *costs;
    let job_delay = Duration::from_nanos(timer.mean_ns());
    let _ = writeln!(
        out,
        "\n# CPU times of an agent. The delay of a job is the mean by which timers are late: leave it\n\
         # out for jobs that don't end by a timer.\n[costs]"
    );
    for (field, cost) in [
        ("job", job),
        ("work", work),
        ("job_delay", job_delay),
        ("probe", probe_cost),
        ("heartbeat", heartbeat),
        ("sample", sample),
        ("delegation", delegation),
    ] {
        let micros = Duration::from_micros(cost.as_micros() as u64);
        let _ = writeln!(out, "{field} = \"{}\"", format_duration(micros));
    }
    let _ = writeln!(
        out,
        "\n# How much longer probes take that ask {peers} peers at once.\n\
         [costs.probe_delay]\nkind = \"empirical\"\nquantiles = \"\"\""
    );
    let alone = network(0.5) + probe_cost;
    quantiles(&mut out, |share| at(probe, share).saturating_sub(alone));
    out
}

/// The latency that this share of all, from 0 to 1, does not exceed.
fn at(latency: &LatencyHistogram, share: f64) -> Duration {
    Duration::from_nanos(match share {
        0.0 => latency.min_ns(),
        1.0 => latency.max_ns(),
        _ => latency.quantile_ns(share),
    })
}

/// The lines of a distribution, and the end of their text.
fn quantiles(out: &mut String, of: impl Fn(f64) -> Duration) {
    for share in [&[0.0], &SHARES[..], &[1.0]].concat() {
        // Writing to a String can't fail.
        let _ = writeln!(out, "{share}, {}", format_duration(of(share)));
    }
    out.push_str("\"\"\"\n");
}

/// One line with the quantiles of one measurement.
fn comment(out: &mut String, what: &str, of: &LatencyHistogram) {
    let quantile = |share| latency(of.quantile_ns(share), DIGITS);
    let (p50, p90, p99) = (quantile(0.5), quantile(0.9), quantile(0.99));
    let max = latency(of.max_ns(), DIGITS);
    let _ = writeln!(out, "# {what}: p50 {p50}, p90 {p90}, p99 {p99}, max {max}");
}

#[cfg(test)]
mod tests {
    use mesh_sim::scenario::{Costs, Scenario};

    use super::*;

    fn of(micros: &[u64]) -> LatencyHistogram {
        let mut latency = LatencyHistogram::default();
        micros.iter().for_each(|micros| latency.record(micros * 1000));
        latency
    }

    #[test]
    fn a_scenario_takes_it_as_its_network() {
        let rpc: Vec<u64> = (100..=300).collect();
        let micros = Duration::from_micros;
        let costs = MeasuredCosts {
            job: micros(20),
            work: micros(40),
            probe: micros(50),
            heartbeat: micros(70),
            sample: micros(80),
            delegation: micros(110),
        };
        // Alone, a probe takes 140 µs and its CPU time.
        let probes = ProbeRounds { peers: 7, round_trip: of(&[100, 590, 590]) };
        let (round_trip, rpc, timer) = (of(&[20, 30]), of(&rpc), of(&[600]));
        let calibration = Calibration { round_trip, rpc, timer, costs, probes };
        let fragment = render(&calibration, &HostFacts::collect());
        assert!(fragment.contains("# timers late by: p50 600 µs,"), "{fragment}");
        let text = format!(
            "name = \"small\"\ndescription = \"of these tests\"\nduration = \"2s\"\n\
             agents = [{{ name = \"agent\", count = 2 }}]\npolicies = [\"random\"]\n\
             [workload]\narrivals = \"poisson\"\nrate = 10\n\
             demand = {{ kind = \"exponential\", mean = \"20ms\" }}\n{fragment}"
        );
        let scenario =
            Scenario::parse(&text, "small.toml").unwrap_or_else(|e| panic!("{}", e.render(false)));
        let network = &scenario.network.quality.latency;
        assert_eq!(network.quantile(0.0), micros(20), "half of what is left of 100");
        // Within the histogram's three digits.
        let median = network.quantile(0.5).as_secs_f64();
        assert!((median - 70e-6).abs() < 0.2e-6, "{median}");
        assert!(network.quantile(0.999_999).as_secs_f64() > 119e-6);
        let probe_delay = scenario.costs.probe_delay.expect("a distribution");
        assert_eq!(probe_delay.quantile(0.0), Duration::ZERO);
        assert!((probe_delay.quantile(0.6).as_secs_f64() - 400e-6).abs() < 2e-6);
        let job_delay = scenario.costs.job_delay;
        assert!(job_delay.abs_diff(micros(600)) < micros(1), "{job_delay:?}");
        let Costs { job, work, delegation, .. } = scenario.costs;
        assert_eq!([job, work, delegation], [20, 40, 110].map(micros));
    }
}
