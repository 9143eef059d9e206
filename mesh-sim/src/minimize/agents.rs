//! Making a scenario with fewer agents.

use std::collections::BTreeSet;

use mesh_core::protocol::Name;
use toml::{Table, Value};

use crate::faults::Fault;
use crate::scenario::{CLIENT, Draft, REGISTRY};

/// An agent, and the group of the scenario file to which it belongs.
#[derive(Clone, Debug)]
pub(super) struct GroupedAgent {
    /// The position of the group among `[[agents]]`.
    group: usize,
    name: Name,
}

/// Every agent of a draft, in file order.
pub(super) fn grouped_agents(draft: &Draft) -> Vec<GroupedAgent> {
    let groups = draft.get(&["agents"]).and_then(Value::as_array).map(Vec::as_slice);
    let mut agents = Vec::new();
    for (group, table) in groups.unwrap_or_default().iter().enumerate() {
        let base = table.get("name").and_then(Value::as_str).unwrap_or_default();
        match table.get("count").and_then(Value::as_integer).unwrap_or(1) {
            1 => agents.push(GroupedAgent { group, name: base.into() }),
            count => agents.extend((1..=count).map(|number| {
                let name = format!("{base}-{number}").into();
                GroupedAgent { group, name }
            })),
        }
    }
    agents
}

/// The draft with only these agents. Faults are reduced to them too; a fault that then does nothing
/// is dropped.
pub(super) fn with_agents(draft: &Draft, faults: &[Fault], agents: &[GroupedAgent]) -> Draft {
    let groups = draft.get(&["agents"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut tables = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let Some(group) = group.as_table() else { continue };
        let names: Vec<&Name> =
            agents.iter().filter(|agent| agent.group == number).map(|m| &m.name).collect();
        tables.extend(group_of(group, &names).into_iter().map(Value::from));
    }
    let kept: BTreeSet<&str> =
        agents.iter().map(|agent| &*agent.name).chain([REGISTRY, CLIENT]).collect();
    let faults: Vec<Fault> = faults.iter().filter_map(|fault| fault.among(&kept)).collect();
    let mut draft = draft.clone();
    draft.set_list(&["agents"], tables);
    draft.set_faults(&faults);
    draft
}

/// The tables of a scenario file that make these agents of a group. One table is enough if they are
/// the first ones of the group; otherwise each gets a table of its own.
fn group_of(group: &Table, names: &[&Name]) -> Vec<Table> {
    let base = group.get("name").and_then(Value::as_str).unwrap_or_default();
    let are_the_first =
        names.iter().enumerate().all(|(index, name)| ***name == *format!("{base}-{}", index + 1));
    if names.len() >= 2 && are_the_first {
        let mut table = group.clone();
        table.insert("count".to_owned(), (names.len() as i64).into());
        return vec![table];
    }
    let single = |name: &&Name| {
        let mut table = group.clone();
        table.remove("count");
        table.insert("name".to_owned(), (***name).into());
        table
    };
    names.iter().map(single).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::Scenario;

    const FULL: &str = include_str!("../../tests/scenarios/valid/full.toml");

    #[test]
    fn fewer_agents_make_a_scenario_again() {
        let faults = Scenario::parse(FULL, "full.toml").unwrap().faults;
        let draft = Draft::parse(FULL).unwrap();
        let all = grouped_agents(&draft);
        let names: Vec<&str> = all.iter().map(|agent| &*agent.name).collect();
        assert_eq!(names, ["agent-1", "agent-2", "agent-3", "odd"]);
        let mut fewer = with_agents(&draft, &faults, &[all[0].clone(), all[2].clone()]);
        fewer.remove(&["network", "links"]);
        let scenario = fewer.check("fewer.toml").unwrap().scenario;
        let names: Vec<&str> = scenario.agents.iter().map(|agent| &*agent.name).collect();
        assert_eq!(names, ["agent-1", "agent-3"]);
        assert!(scenario.faults.len() < faults.len());
        let again = with_agents(&draft, &faults, &all).check("all.toml").unwrap().scenario;
        assert_eq!(again.faults, faults);
        assert_eq!(again.agents.len(), 4);
    }
}
