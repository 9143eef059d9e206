//! Load reports: what an agent says of its own load.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, de};

/// A snapshot of an agent's load.
///
/// Answers to `info` carry one, and so do heartbeats, from which the registry lists it. A report
/// with a percentage out of range does not deserialize: an agent that says -1 would attract every
/// job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LoadReport {
    /// Busy share of the CPU over the last sampling window, in percent: 0 to 100.
    #[serde(rename = "cpu", deserialize_with = "percent")]
    pub cpu_percent: f64,
    /// Share of the memory in use, in percent: 0 to 100.
    #[serde(rename = "mem", deserialize_with = "percent")]
    pub memory_percent: f64,
    /// Jobs that the agent holds: running and queued ones.
    ///
    /// A job counts from its receipt until it is answered or cancelled (Prequal's "requests in
    /// flight").
    #[serde(default)]
    pub in_flight: u32,
    /// Those of `in_flight` that wait for a free slot.
    #[serde(default)]
    pub queued: u32,
}

/// What an agent says of how its jobs went lately, if a caller asks for it
/// ([`Request::Service`](crate::protocol::Request::Service)).
///
/// What it doesn't know is `None`: an agent of which nobody has asked this before has not yet seen
/// a job end. Other programs than this mesh need not know any of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceReport {
    /// The latency at the agent, its queue included and the network not, that a job may expect
    /// which arrives now: the mean of its last 64 jobs, scaled from the jobs that they found in
    /// flight to the present number (Prequal, NSDI 2024, section 4, takes the median of those that
    /// found about as many).
    pub expected: Option<Duration>,
    /// The mean time from start to end of its last 64 jobs, their waits in the queue not included.
    pub service_time: Option<Duration>,
    /// Jobs that it answered with a result, per second, over the last ten seconds.
    pub served_per_s: f64,
    /// Jobs that failed or met their deadline, per second, over the last ten seconds.
    pub failed_per_s: f64,
    /// How many jobs it runs at once; `None`: as many as come.
    pub slots: Option<u32>,
}

fn percent<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let value = f64::deserialize(from)?;
    if (0.0..=100.0).contains(&value) {
        return Ok(value);
    }
    Err(de::Error::custom(format!("{value} is not a percentage from 0 to 100")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_out_of_range_are_refused() {
        let read = |cpu: &str, mem: &str| {
            let json = format!(r#"{{"cpu": {cpu}, "mem": {mem}}}"#);
            serde_json::from_str::<LoadReport>(&json)
        };
        for bad in ["-1e-9", "100.5", "1e999", "null"] {
            assert!(read(bad, "1").is_err(), "cpu {bad}");
            assert!(read("1", bad).is_err(), "mem {bad}");
        }
        let report = read("0", "100").expect("both bounds are in range");
        assert_eq!((report.cpu_percent, report.memory_percent), (0.0, 100.0));
    }
}
