//! The CPU columns of the time line: one per agent, or per neighbours if there are many agents.

use std::ops::Range;

use super::Second;

/// More agents than this share columns, so that a time line of 100,000 stays small.
const MAX_COLUMNS: usize = 1000;

/// `len` things in at most `max` groups of neighbours, sizes as equal as they can be.
pub(crate) fn groups(len: usize, max: usize) -> Vec<Range<usize>> {
    let count = len.min(max);
    (0..count).map(|group| group * len / count..(group + 1) * len / count).collect()
}

/// The agents of each CPU column, by their index in the scenario.
pub(crate) fn cpu_columns(agents: usize) -> Vec<Range<usize>> {
    groups(agents, MAX_COLUMNS)
}

/// The samples of one second, until they are written to its columns. An agent without a sample
/// counts as idle.
#[derive(Debug)]
pub(super) struct CpuColumns {
    columns: Vec<Range<usize>>,
    second: usize,
    /// By agent.
    samples: Vec<f64>,
}

impl CpuColumns {
    pub(super) fn new(agents: usize) -> Self {
        Self { columns: cpu_columns(agents), second: 0, samples: vec![0.0; agents] }
    }

    pub(super) fn columns(&self) -> usize {
        self.columns.len()
    }

    pub(super) fn sample(
        &mut self,
        second: usize,
        agent: usize,
        percent: f64,
        timeline: &mut [Second],
    ) {
        if second != self.second {
            self.close(timeline);
            self.second = second;
        }
        self.samples[agent] = percent;
    }

    /// Writes down the second that is over: the mean of each column's agents.
    pub(super) fn close(&mut self, timeline: &mut [Second]) {
        let columns = timeline[self.second].cpu_percent.iter_mut().zip(&self.columns);
        for (column, agents) in columns {
            let sum: f64 = self.samples[agents.clone()].iter().sum();
            *column = sum / agents.len() as f64;
        }
        self.samples.fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_share_a_column_if_there_are_many() {
        assert_eq!(cpu_columns(3), [0..1, 1..2, 2..3]);
        let mut cpu = CpuColumns::new(2 * MAX_COLUMNS);
        let second = Second { cpu_percent: vec![0.0; cpu.columns()], ..Second::default() };
        let mut timeline = vec![second; 2];
        cpu.sample(0, 0, 90.0, &mut timeline);
        cpu.sample(0, 0, 50.0, &mut timeline);
        cpu.sample(0, 1, 10.0, &mut timeline);
        cpu.sample(1, 3, 80.0, &mut timeline);
        cpu.close(&mut timeline);
        assert_eq!(timeline[0].cpu_percent[..2], [30.0, 0.0]);
        assert_eq!(timeline[1].cpu_percent[..2], [0.0, 40.0]);
    }
}
