use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::load::LoadReport;
use crate::profile::{Profile, Weight};
use crate::protocol::Name;
use crate::skills::Skills;

fn lease(name: u32, incarnation: u64, in_flight: u32) -> ListedLease {
    let load = LoadReport { in_flight, ..LoadReport::default() };
    let weight = Weight::new(f64::from(1 + name % 7) / 4.0).expect("a weight");
    ListedLease::new(format!("agent-{name}"), "h:1", incarnation, Some(load))
        .with_profile(Profile::new(Skills::default(), weight, None))
        .with_draining(name.is_multiple_of(5) && in_flight == 1)
}

/// The names of these pairs.
fn names<'a>(pairs: impl Iterator<Item = LeasePair<'a>>) -> Vec<Name> {
    pairs.filter_map(|(old, new)| old.or(new)).map(|lease| lease.name.clone()).collect()
}

proptest! {
    #[test]
    fn behaves_like_an_ordered_map(
        steps in prop::collection::vec(
            (0u32..400, 0u64..3, 0u32..2, any::<bool>()),
            0..900,
        ),
    ) {
        let mut roster = Roster::default();
        let mut model: BTreeMap<Name, ListedLease> = BTreeMap::new();
        let mut before = roster.clone();
        let mut model_before = model.clone();
        for (number, (name, incarnation, load, adds)) in steps.into_iter().enumerate() {
            if number % 100 == 0 {
                (before, model_before) = (roster.clone(), model.clone());
            }
            let lease = lease(name, incarnation, load);
            if adds {
                model.insert(lease.name.clone(), lease.clone());
                roster.insert(lease);
            } else {
                model.remove(&lease.name);
                roster.remove(&lease.name);
            }
        }
        prop_assert_eq!(roster.len(), model.len());
        prop_assert!(roster.iter().eq(model.values()));
        prop_assert!(before.iter().eq(model_before.values()), "a copy is not touched");
        for (position, name) in model.keys().enumerate() {
            prop_assert_eq!(roster.find(name), Some((position, &model[name])));
            prop_assert_eq!(&roster.get(position).expect("it is there").name, name);
        }
        prop_assert_eq!(roster.get(roster.len()), None);
        let all: Vec<_> = roster.get_all(0..roster.len() + 1).into_iter().collect();
        let each: Vec<_> = (0..roster.len()).filter_map(|position| roster.get(position)).collect();
        prop_assert_eq!(all, each);
        for position in 0..before.len() {
            let old = before.get(position).expect("it is there");
            let same = model.get(&old.name).filter(|new| old.is_same_life(new));
            let found = roster.follow(old).and_then(|position| roster.get(position));
            prop_assert_eq!(found.map(|lease| &**lease), same);
        }
        prop_assert_eq!(roster.find("agent-"), None);
        let draining = model.values().enumerate().filter(|(_, lease)| lease.draining);
        let draining: Vec<usize> = draining.map(|(position, _)| position).collect();
        prop_assert_eq!(roster.draining().to_vec(), draining);
        let mut sum = 0;
        for (position, lease) in model.values().enumerate() {
            let weight = u64::from(lease.profile.weight().hundredths());
            prop_assert_eq!(roster.position_at_weight(sum), Some(position));
            prop_assert_eq!(roster.position_at_weight(sum + weight - 1), Some(position));
            sum += weight;
        }
        prop_assert_eq!((roster.weight(), roster.position_at_weight(sum)), (sum, None));

        let all: BTreeSet<Name> = model_before.keys().chain(model.keys()).cloned().collect();
        let life = |model: &BTreeMap<Name, ListedLease>, name: &Name| model.get(name).map(|l| l.id());
        let differ = all.iter().filter(|name| life(&model, name) != life(&model_before, name));
        prop_assert_eq!(names(before.differences(&roster)), differ.cloned().collect::<Vec<_>>());
        let updated = all.iter().filter(|name| model.get(*name) != model_before.get(*name));
        let shown: BTreeSet<Name> = names(before.updates(&roster)).into_iter().collect();
        prop_assert!(updated.cloned().collect::<BTreeSet<_>>().is_subset(&shown));
    }
}
