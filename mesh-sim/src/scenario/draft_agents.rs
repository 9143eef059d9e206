//! Editing the agents of a draft: fewer of them, or some that differ from their group.

use std::collections::{BTreeMap, BTreeSet};

use mesh_core::protocol::Name;
use toml::{Table, Value};

use super::{CLIENT, Draft, ProviderSpec, Scenario, named_in_group};
use crate::faults::Fault;
use crate::host_names::host_ranges;
use crate::host_names::registry_names;

/// An agent, and the group of the scenario file to which it belongs.
#[derive(Clone, Debug)]
pub(crate) struct GroupedAgent {
    /// The position of the group among `[[agents]]`.
    pub(crate) group: usize,
    pub(crate) name: Name,
}

/// Every agent of a draft, in file order.
pub(crate) fn grouped_agents(draft: &Draft) -> Vec<GroupedAgent> {
    let groups = draft.get(&["agents"]).and_then(Value::as_array).map(Vec::as_slice);
    let mut agents = Vec::new();
    for (group, table) in groups.unwrap_or_default().iter().enumerate() {
        let names = table.as_table().map(names_of).unwrap_or_default();
        agents.extend(names.into_iter().map(|name| GroupedAgent { group, name }));
    }
    agents
}

fn base_name(group: &Table) -> &str {
    group.get("name").and_then(Value::as_str).unwrap_or_default()
}

/// The names of a group's agents.
fn names_of(group: &Table) -> Vec<Name> {
    let base = base_name(group);
    match group.get("count").and_then(Value::as_integer).unwrap_or(1) {
        1 => vec![base.into()],
        count => (1..=count).map(|number| format!("{base}-{number}").into()).collect(),
    }
}

/// The entries of a group's field `each`, with the agents that each one names.
fn single_agents(group: &Table) -> Vec<(Vec<Name>, &Table)> {
    let each = group.get("each").and_then(Value::as_table);
    let names = each.map(|_| names_of(group)).unwrap_or_default();
    let named = |pattern: &str| named_in_group(base_name(group), &names, pattern);
    let entries = each.into_iter().flatten();
    entries.filter_map(|(pattern, own)| Some((named(pattern), own.as_table()?))).collect()
}

/// The draft of a scenario with only these agents. Faults and providers are reduced to them too; a
/// fault that then does nothing is dropped, and so is a provider that nobody uses.
pub(crate) fn with_agents(draft: &Draft, scenario: &Scenario, agents: &[GroupedAgent]) -> Draft {
    let groups = draft.get(&["agents"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut tables = Vec::new();
    for (number, group) in groups.iter().enumerate() {
        let Some(group) = group.as_table() else { continue };
        let names: Vec<&Name> =
            agents.iter().filter(|agent| agent.group == number).map(|m| &m.name).collect();
        tables.extend(group_of(group, &names).into_iter().map(Value::from));
    }
    let registries: Vec<Name> = registry_names(scenario.registries.count.get()).collect();
    let fixed = registries.iter().map(|name| &**name).chain([CLIENT]);
    let kept: BTreeSet<&str> = agents.iter().map(|agent| &*agent.name).chain(fixed).collect();
    let faults: Vec<Fault> =
        scenario.faults.iter().filter_map(|fault| fault.among(&kept)).collect();
    let mut draft = draft.clone();
    draft.set_list(&["agents"], tables);
    draft.set_list(&["providers"], providers_of(&draft, scenario, &kept));
    draft.set_faults(&faults);
    draft
}

/// Edits the tables of these agents. A group of which some agents are edited and others not falls
/// apart.
pub(crate) fn edit_agents(
    draft: &mut Draft,
    agents: &BTreeSet<Name>,
    mut edit: impl FnMut(&mut Table),
) {
    let groups = draft.get(&["agents"]).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut tables = Vec::new();
    for group in groups.iter().filter_map(Value::as_table) {
        let names = names_of(group);
        let (edited, left): (Vec<&Name>, Vec<&Name>) =
            names.iter().partition(|name| agents.contains(*name));
        let (mut edited, left) = match left.is_empty() {
            true => (vec![group.clone()], Vec::new()),
            false => (group_of(group, &edited), group_of(group, &left)),
        };
        edited.iter_mut().for_each(&mut edit);
        tables.extend(edited.into_iter().chain(left).map(Value::from));
    }
    draft.set_list(&["agents"], tables);
}

/// The providers of a draft that one of these agents uses, with those agents.
fn providers_of(draft: &Draft, scenario: &Scenario, kept: &BTreeSet<&str>) -> Vec<Value> {
    let providers = draft.get(&["providers"]).and_then(Value::as_array).cloned();
    let with_users = |(provider, spec): (Value, &ProviderSpec)| {
        let names = spec.agents.iter().map(|agent| scenario.agent(*agent).name.clone());
        let names: Vec<Name> = names.filter(|name| kept.contains(&**name)).collect();
        let mut provider = provider.as_table()?.clone();
        provider.insert("agents".to_owned(), host_ranges(&names).into());
        (!names.is_empty()).then(|| provider.into())
    };
    providers.into_iter().flatten().zip(&scenario.providers).filter_map(with_users).collect()
}

/// The tables of a scenario file that make these agents of a group. One table is enough if they are
/// the first ones of the group; otherwise each gets a table of its own.
fn group_of(group: &Table, names: &[&Name]) -> Vec<Table> {
    let base = base_name(group);
    let single = single_agents(group);
    let are_the_first =
        names.iter().enumerate().all(|(index, name)| ***name == *format!("{base}-{}", index + 1));
    if names.len() >= 2 && are_the_first {
        let mut table = group.clone();
        table.insert("count".to_owned(), (names.len() as i64).into());
        table.remove("each");
        let each = entries_about(&single, names);
        if !each.is_empty() {
            table.insert("each".to_owned(), each.into());
        }
        return vec![table];
    }
    let own: BTreeMap<&Name, &Table> =
        single.iter().flat_map(|(named, own)| named.iter().map(move |name| (name, *own))).collect();
    let alone = |name: &&Name| {
        let mut table = group.clone();
        table.remove("count");
        table.remove("each");
        table.insert("name".to_owned(), (***name).into());
        table.extend(own.get(*name).into_iter().flat_map(|own| (*own).clone()));
        table
    };
    names.iter().map(alone).collect()
}

/// The entries of a field `each` that are about one of these agents, and name no others.
fn entries_about(single: &[(Vec<Name>, &Table)], names: &[&Name]) -> Table {
    let kept: BTreeSet<&Name> = names.iter().copied().collect();
    let mut each = Table::new();
    for (named, own) in single {
        let named: Vec<Name> = named.iter().filter(|name| kept.contains(name)).cloned().collect();
        each.extend(host_ranges(&named).into_iter().map(|range| (range, (*own).clone().into())));
    }
    each
}

#[cfg(test)]
mod tests {
    use super::*;

    const FULL: &str = include_str!("../../tests/scenarios/valid/full.toml");

    #[test]
    fn what_is_different_about_an_agent_stays_different() {
        let text = r#"
name = "x"
description = "x"
duration = "1s"
policies = ["random"]
workload = { arrivals = "constant", rate = 1, demand = { kind = "constant", value = "1ms" } }
[[agents]]
name = "a"
count = 4
speed = 2
each = { "a-2..3" = { speed = 0.5 }, "*-4" = { cores = 3, concurrency = 2 } }
"#;
        let draft = Draft::parse(text).unwrap();
        let whole = draft.check("x.toml").unwrap().scenario;
        let all = grouped_agents(&draft);
        for kept in [&[0, 1, 2][..], &[1, 3], &[3], &[0, 1, 2, 3]] {
            let members: Vec<_> = kept.iter().map(|&at| all[at].clone()).collect();
            let fewer = with_agents(&draft, &whole, &members).check("fewer.toml").unwrap();
            let expected: Vec<_> = kept.iter().map(|&at| whole.agents[at].clone()).collect();
            assert_eq!(fewer.scenario.agents, expected);
        }
    }

    #[test]
    fn fewer_agents_make_a_scenario_again() {
        let full = Scenario::parse(FULL, "full.toml").unwrap();
        let draft = Draft::parse(FULL).unwrap();
        let all = grouped_agents(&draft);
        let names: Vec<&str> = all.iter().map(|agent| &*agent.name).collect();
        assert_eq!(names, ["agent-1", "agent-2", "agent-3", "odd"]);
        let mut fewer = with_agents(&draft, &full, &[all[0].clone(), all[2].clone()]);
        fewer.remove(&["network", "links"]);
        let scenario = fewer.check("fewer.toml").unwrap().scenario;
        let names: Vec<&str> = scenario.agents.iter().map(|agent| &*agent.name).collect();
        assert_eq!(names, ["agent-1", "agent-3"]);
        assert!(scenario.faults.len() < full.faults.len());
        assert_eq!(scenario.providers[0].agents.len(), 1, "agent-1");
        let again = with_agents(&draft, &full, &all).check("all.toml").unwrap().scenario;
        assert_eq!((again.faults, again.providers), (full.faults, full.providers));
        assert_eq!(again.agents.len(), 4);
    }
}
