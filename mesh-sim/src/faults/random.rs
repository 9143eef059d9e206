//! Faults that come and go at random.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_core::seed::{Rng, Seed};

use super::{Fault, FaultKind};
use crate::dist::Distribution;

/// A fault that comes and goes at random: its hosts are well for a time, then the fault lasts for a
/// time, and so on. Both times are exponential. Every host that the fault strikes has times of its
/// own; a fault of links is one for all of them.
///
/// It stands for faults that are drawn before a run begins.
#[derive(Clone, Debug, PartialEq)]
pub struct RandomFault {
    /// The mean time without the fault, until it comes.
    pub every: Duration,
    /// The mean time that it lasts.
    pub repair: Duration,
    /// What goes wrong, and on which hosts.
    pub kind: FaultKind,
}

impl RandomFault {
    /// Draws the faults of one run. They begin before `last` and have whole milliseconds, as every
    /// engine can honour them; one that would last beyond `end` has no end.
    pub(crate) fn draw(&self, seed: &Seed, last: Duration, end: Duration) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (label, kind) in self.parts() {
            let mut rng = seed.child(&label).rng();
            let mut at = exponential(self.every, &mut rng);
            while at < last {
                let until = at + exponential(self.repair, &mut rng);
                let lasts = (until < end).then(|| until - at);
                faults.push(Fault { at, lasts, kind: kind.clone() });
                at = until + exponential(self.every, &mut rng);
            }
        }
        faults
    }

    /// How many faults are to be expected in this time.
    pub(crate) fn expected(&self, time: Duration) -> f64 {
        let cycle = self.every + self.repair;
        self.parts().len() as f64 * time.as_secs_f64() / cycle.as_secs_f64()
    }

    /// What comes and goes on its own, with the label of its random stream: the fault of each host
    /// that it strikes, or the fault as a whole.
    fn parts(&self) -> Vec<(String, FaultKind)> {
        let struck: BTreeSet<Name> = self.kind.exclusive_hosts().map(|(_, name)| name).collect();
        if struck.is_empty() {
            return vec![(String::new(), self.kind.clone())];
        }
        let of_host = |name: Name| {
            let kind = self.kind.map_hosts(&mut |_, _| vec![name.clone()]);
            (name.to_string(), kind)
        };
        struck.into_iter().map(of_host).collect()
    }
}

/// A random time with this mean, in whole milliseconds and at least one.
fn exponential(mean: Duration, rng: &mut Rng) -> Duration {
    let time = Distribution::Exponential { mean: mean.as_secs_f64() }.sample(rng);
    Duration::from_millis((time.as_millis() as u64).max(1))
}

#[cfg(test)]
mod tests {
    use super::super::{Crash, CrashMode, Hold};
    use super::*;

    fn names<const N: usize>(names: [&str; N]) -> Vec<Name> {
        names.map(Name::from).to_vec()
    }

    fn random(kind: impl Into<FaultKind>) -> RandomFault {
        let (every, repair) = (Duration::from_secs(60), Duration::from_secs(5));
        RandomFault { every, repair, kind: kind.into() }
    }

    const HOUR: Duration = Duration::from_secs(3_600);

    fn draw(random: &RandomFault, seed: u64) -> Vec<Fault> {
        random.draw(&Seed::root(seed), HOUR, HOUR)
    }

    #[test]
    fn each_host_fails_on_its_own_as_often_and_as_long_as_is_said() {
        let hosts = names(["agent-1", "agent-2", "registry"]);
        let crash = random(Crash { hosts: hosts.clone(), mode: CrashMode::Process });
        let faults = draw(&crash, 1);
        assert_eq!(faults, draw(&crash, 1), "a seed means the same");
        assert_ne!(faults, draw(&crash, 2));
        let expected = crash.expected(HOUR);
        assert!((expected - 3.0 * 3_600.0 / 65.0).abs() < 1e-9);
        let of =
            |host: &Name| faults.iter().filter(|fault| fault.hosts() == [host.clone()]).count();
        let counts: Vec<usize> = hosts.iter().map(of).collect();
        assert!(counts.iter().all(|count| (35..=76).contains(count)), "{counts:?}");
        assert_eq!(counts.iter().sum::<usize>(), faults.len());
        let down: Duration = faults.iter().filter_map(|fault| fault.lasts).sum();
        let mean = down.as_secs_f64() / faults.len() as f64;
        assert!((3.8..6.2).contains(&mean), "{mean}");
        let clash = |a: &Fault| faults.iter().any(|b| a != b && a.clash(b).is_some());
        assert!(!faults.iter().any(clash));
    }

    #[test]
    fn a_host_draws_the_same_whoever_else_is_struck() {
        let crash = |hosts: Vec<Name>| draw(&random(Crash { hosts, mode: CrashMode::Machine }), 3);
        let both = crash(names(["agent-1", "agent-2"]));
        let one = crash(names(["agent-1"]));
        assert!(both.starts_with(&one));
    }

    #[test]
    fn links_fail_together() {
        let between = [names(["agent-1", "agent-2"]), names(["agent-3"])];
        let faults = draw(&random(Hold { between: between.clone() }), 1);
        assert!(faults.len() > 30);
        assert!(faults.iter().all(|fault| fault.kind == Hold { between: between.clone() }.into()));
    }
}
