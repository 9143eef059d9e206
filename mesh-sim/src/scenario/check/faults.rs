//! Checks of the faults.

use std::collections::BTreeMap;
use std::time::Duration;

use mesh_core::protocol::Name;

use super::Checker;
use crate::faults::{Fault, FaultKind, HostField, HostRule, RandomFault};
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::raw;
use crate::units::{DurationText, format_duration};

/// How often a fault may come at random in a run, on average. A file may have 1,000 faults, and the
/// minimizer writes those of a run into one.
const MOST_RANDOM_FAULTS: f64 = 500.0;

impl Checker<'_> {
    /// Every fault with a time, in the order of start times, and those that come at random.
    pub(super) fn faults(&mut self, raw: &raw::Scenario) -> (Vec<Fault>, Vec<RandomFault>) {
        let (mut faults, mut random) = (Vec::new(), Vec::new());
        // Each fault with the longest time that it may take, to find those that clash.
        let mut spans = Vec::new();
        for (position, fault) in raw.faults.iter().enumerate() {
            let path = FieldPath::field("faults").index(position);
            self.times(&path, fault);
            let kind = self.kind(&path, &fault.kind);
            if kind.needs_store() && raw.registries.store.is_none() {
                let label = "expected a table `[registries.store]` as well";
                self.report(&path.key("kind"), "there is no store to fail", label);
            }
            for (field, conflict) in kind.conflicts() {
                self.conflict(&path.key(field), &conflict);
            }
            let at = fault.at.unwrap_or_default().0;
            let fixed = Fault { at, lasts: fault.lasts.map(|lasts| lasts.0), kind };
            spans.push(fixed.clone());
            match (fault.every, fault.repair) {
                (Some(every), Some(repair)) => {
                    let random_fault =
                        RandomFault { every: every.0, repair: repair.0, kind: fixed.kind };
                    self.few_enough(&path, &random_fault);
                    random.push(random_fault);
                }
                _ => faults.push(fixed),
            }
        }
        self.overlaps(&spans);
        faults.sort_by_key(|fault| fault.at);
        (faults, random)
    }

    /// Checks that a fault has either a time or random times. One with a time must begin while
    /// requests arrive, and end before the run does.
    fn times(&mut self, path: &FieldPath, fault: &raw::Fault) {
        let raw::Fault { at, lasts, every, repair, .. } = fault;
        match (at, every, repair) {
            (None, Some(_), Some(_)) => {
                if lasts.is_some() {
                    let label = "expected only `repair`, the mean time that it lasts";
                    self.report(&path.key("for"), "a fault at random has no `for`", label);
                }
            }
            (None, Some(_), None) => {
                let label = "expected `repair` as well, the mean time that it lasts";
                self.report(&path.key("every"), "`every` without `repair`", label);
            }
            (_, None, Some(_)) => {
                let label = "expected `every` as well, the mean time until the fault comes";
                self.report(&path.key("repair"), "`repair` without `every`", label);
            }
            (Some(_), Some(_), _) => {
                let label = "expected either `at`, or `every` and `repair`";
                self.report(&path.key("every"), "a fault with both `at` and `every`", label);
            }
            (None, None, None) => {
                let label = "expected `at`, or `every` and `repair`";
                self.report(path, "a fault without a time", label);
            }
            (Some(at), None, None) => self.fixed_times(path, at.0, *lasts),
        }
    }

    fn fixed_times(&mut self, path: &FieldPath, at: Duration, lasts: Option<DurationText>) {
        if at >= self.last_arrival {
            let label =
                format!("expected before `duration`, {}", format_duration(self.last_arrival));
            return self.report(&path.key("at"), "fault begins when arrivals are over", label);
        }
        let Some(lasts) = lasts else { return };
        let healed = at.saturating_add(lasts.0);
        if healed > self.end {
            let title = format!("fault would end at {}, after the run", format_duration(healed));
            let label = format!(
                "expected at most {}; leave `for` out for a fault that never heals",
                format_duration(self.end - at)
            );
            let end = format_duration(self.end);
            let problem = self.problem(&path.key("for"), title, label);
            self.problems.push(problem.note(format!("the run ends at duration + drain = {end}")));
        }
    }

    /// Checks that a fault does not come so often that a run would have too many faults.
    fn few_enough(&mut self, path: &FieldPath, fault: &RandomFault) {
        let expected = fault.expected(self.last_arrival);
        if expected > MOST_RANDOM_FAULTS {
            let title = format!("the fault would come {expected:.0} times in a run");
            let label = format!("expected a longer time, for at most {MOST_RANDOM_FAULTS} times");
            self.report(&path.key("every"), title, label);
        }
    }

    /// A kind of fault in which host patterns are replaced by the hosts that they name.
    fn kind(&mut self, path: &FieldPath, raw: &FaultKind<raw::Hosts>) -> FaultKind {
        let mut owners = BTreeMap::new();
        let kind = raw.map_hosts(&mut |field, hosts| {
            let path = path_of(path, &field);
            match field.rule {
                HostRule::Disjoint => self.disjoint(&mut owners, &path, raw.name(), field, hosts),
                HostRule::LinkEnds | HostRule::OneFaultAtATime => {
                    self.hosts(&path, hosts, field.scope)
                }
            }
        });
        let lists = kind.host_lists();
        if let [(a, one), (b, other)] = &lists[..]
            && [a.rule, b.rule] == [HostRule::LinkEnds; 2]
        {
            self.refuse_loop(&path.key(a.name), one, other);
        }
        kind
    }

    /// The hosts of one item of a field. Checks that none of them is in another item. `owners`
    /// holds, for each host seen so far, the item that it is in and the path where it is named.
    fn disjoint(
        &mut self,
        owners: &mut BTreeMap<Name, (Option<usize>, FieldPath)>,
        path: &FieldPath,
        kind: &str,
        field: HostField,
        hosts: &raw::Hosts,
    ) -> Vec<Name> {
        let mut resolved = Vec::new();
        for (place, names) in self.hosts_by_pattern(path, hosts, field.scope) {
            let mut shared = None;
            for name in names {
                match owners.get(&name) {
                    None => {
                        owners.insert(name.clone(), (field.item, place.clone()));
                        resolved.push(name);
                    }
                    Some((owner, first)) if *owner != field.item && shared.is_none() => {
                        shared = Some((name, first.clone()));
                    }
                    Some(_) => {}
                }
            }
            if let Some((name, first)) = shared {
                let title = format!("{name:?} is in two groups of a {kind}");
                let label = "expected groups without a common host";
                let problem = self.problem(&place, title, label);
                let first = self.source.span(&first);
                self.problems.push(problem.related(first, "it is in this group already"));
            }
        }
        resolved
    }

    /// Reports two faults that set the same state of a host at the same time.
    fn overlaps(&mut self, faults: &[Fault]) {
        for (position, fault) in faults.iter().enumerate() {
            let earlier = faults[..position].iter().enumerate();
            let mut clashes = earlier.filter_map(|(at, other)| Some((at, fault.clash(other)?)));
            let Some((first, (field, host))) = clashes.next() else { continue };
            let title = format!("two {} faults of {host:?} overlap", fault.kind.name());
            let label = "expected one to end before the next begins";
            let place = |position| path_of(&FieldPath::field("faults").index(position), &field);
            let problem = self.problem(&place(position), title, label);
            let first = self.source.span(&place(first));
            self.problems.push(problem.related(first, "the other one"));
        }
    }
}

/// The path of a field of the fault at `path`.
fn path_of(path: &FieldPath, field: &HostField) -> FieldPath {
    let path = path.key(field.name);
    field.item.map_or(path.clone(), |item| path.index(item))
}
