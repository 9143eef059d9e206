//! The CPU columns of the time line: one per agent, or one per group of neighbours if there are
//! many agents.

use std::ops::Range;
use std::time::Duration;

use mesh_core::time::{Timestamp, nanos};

use super::Second;
use crate::grouping::cpu_columns;
use crate::host::{AgentId, AgentMap};

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// Adds the busy time of each agent to the right seconds and columns of the time line.
#[derive(Debug)]
pub(super) struct CpuColumns {
    /// The agents of each column, by index.
    columns: Vec<Range<usize>>,
    /// The column of each agent.
    column_of: AgentMap<usize>,
    /// When the time line ends, which may be within a second.
    end: Timestamp,
}

impl CpuColumns {
    pub(super) fn new(agents: usize, end: Timestamp) -> Self {
        let columns = cpu_columns(agents);
        let numbered = columns.iter().enumerate();
        let column_of = numbered.flat_map(|(column, agents)| agents.clone().map(move |_| column));
        Self { column_of: column_of.collect(), columns, end }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    /// Adds that an agent's CPU was busy to `percent` from one time to another. Times that are
    /// never added count as idle. Busy time after the end of the time line is left out.
    pub(super) fn add(
        &self,
        (from, until): (Timestamp, Timestamp),
        agent: AgentId,
        percent: f64,
        timeline: &mut [Second],
    ) {
        let column = self.column_of[agent];
        let agents = self.columns[column].len() as f64;
        let first = (from.as_nanos() / NANOS_PER_SECOND) as usize;
        for (number, second) in timeline.iter_mut().enumerate().skip(first) {
            let begins = Timestamp::from_nanos(number as u64 * NANOS_PER_SECOND);
            if begins >= until {
                return;
            }
            let ends = self.end.min(begins + Duration::from_secs(1));
            // The part of the busy time that is in this second; the last second may be a short one.
            let shared = nanos(until.min(ends).since(from.max(begins)));
            let share = shared as f64 / nanos(ends.since(begins)).max(1) as f64;
            second.cpu_percent[column] += percent * share / agents;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timeline(cpu: &CpuColumns, seconds: usize) -> Vec<Second> {
        vec![Second { cpu_percent: vec![0.0; cpu.columns()], ..Second::default() }; seconds]
    }

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn neighbours_share_a_column_if_there_are_many() {
        let cpu = CpuColumns::new(2_000, at_ms(2_000));
        assert_eq!(cpu.columns(), 1_000);
        let mut timeline = timeline(&cpu, 2);
        cpu.add((at_ms(0), at_ms(1_000)), AgentId::new(0), 50.0, &mut timeline);
        cpu.add((at_ms(0), at_ms(1_000)), AgentId::new(1), 10.0, &mut timeline);
        cpu.add((at_ms(1_000), at_ms(2_000)), AgentId::new(3), 80.0, &mut timeline);
        assert_eq!(timeline[0].cpu_percent[..2], [30.0, 0.0]);
        assert_eq!(timeline[1].cpu_percent[..2], [0.0, 40.0]);
    }

    #[test]
    fn a_second_gets_what_happened_within_it() {
        let cpu = CpuColumns::new(1, at_ms(3_500));
        let mut timeline = timeline(&cpu, 4);
        cpu.add((at_ms(750), at_ms(2_500)), AgentId::new(0), 80.0, &mut timeline);
        cpu.add((at_ms(2_500), at_ms(2_600)), AgentId::new(0), 100.0, &mut timeline);
        // The last second is half a one, and what comes after it is not on the time line.
        cpu.add((at_ms(3_250), at_ms(9_000)), AgentId::new(0), 100.0, &mut timeline);
        cpu.add((at_ms(9_000), at_ms(9_100)), AgentId::new(0), 100.0, &mut timeline);
        let percent: Vec<f64> = timeline.iter().map(|second| second.cpu_percent[0]).collect();
        assert_eq!(percent, [20.0, 80.0, 50.0, 50.0]);
    }
}
