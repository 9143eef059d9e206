//! What is different about some agents of an explored run.

use std::collections::BTreeSet;

use mesh_core::protocol::Name;
use mesh_core::routing::BUILT_IN;
use toml::{Table, Value};

use crate::faults::{Draw, draw_errors};
use crate::scenario::{Draft, Scenario, edit_agents, grouped_agents};

/// The most agents of a mesh in which single agents become different. In a larger one whole groups
/// do, because each single agent is a table in the file.
const MAX_SINGLE: usize = 40;
/// How many of the built-in policies were there when the first draw of one was fixed.
const FIRST_POLICIES: usize = 6;
/// The skills that are drawn.
const SKILLS: [&str; 2] = ["skill-1", "skill-2"];

/// Draws, for one run in two, which agents have which skills, unless the base says it or has an
/// autoscaler. Returns the skills that agents have.
pub(super) fn skills(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) -> Vec<String> {
    let own = scenario.agents.iter().flat_map(|agent| agent.skills.as_slice());
    let own: BTreeSet<String> = own.map(|skill| skill.to_string()).collect();
    let has_some = draw.coin();
    let chosen = SKILLS.map(|skill| (skill, some_agents(draft, draw)));
    // The agents of an autoscaled set must be able to take each other's place.
    if !own.is_empty() || !has_some || scenario.autoscale.is_some() {
        return own.into_iter().collect();
    }
    let mut skills = Vec::new();
    for (skill, mut agents) in chosen {
        // An agent chooses no peer for a job that it alone can do.
        if agents.len() == 1 {
            agents = scenario.agents.iter().map(|agent| agent.name.clone()).collect();
        }
        edit_agents(draft, &agents, |agent| {
            let list = agent.entry("skills").or_insert_with(|| Value::Array(Vec::new()));
            list.as_array_mut().into_iter().for_each(|list| list.push(skill.into()));
        });
        skills.extend((!agents.is_empty()).then(|| skill.to_owned()));
    }
    skills
}

/// Draws, for one run in four, some agents with a policy of their own, unless the base has such.
pub(super) fn policies(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) {
    let first = BUILT_IN[draw.below(FIRST_POLICIES)].name;
    let (has_some, agents) = (draw.one_in(4), some_agents(draft, draw));
    // Drawn last, so that a seed draws the same agents however many policies there are.
    let any = BUILT_IN[draw.below(BUILT_IN.len())].name;
    let policy = if draw.coin() { any } else { first };
    if has_some && scenario.agents.iter().all(|agent| agent.policy.is_none()) {
        set(draft, &agents, "policy", policy.into());
    }
}

/// Draws, for one run in four, some agents that end a part of their jobs with an error all the time,
/// unless the base has such.
pub(super) fn errors(draft: &mut Draft, scenario: &Scenario, draw: &mut Draw<'_>) {
    let errors = draw_errors(draw);
    let (has_some, agents) = (draw.one_in(4), some_agents(draft, draw));
    if has_some && scenario.agents.iter().all(|agent| agent.errors.is_none()) {
        // This can't fail: the parameters are numbers, words and durations.
        let errors = Table::try_from(errors).unwrap_or_default();
        set(draft, &agents, "errors", errors.into());
    }
}

fn set(draft: &mut Draft, agents: &BTreeSet<Name>, field: &str, value: Value) {
    edit_agents(draft, agents, |agent| drop(agent.insert(field.to_owned(), value.clone())));
}

/// Some agents: at least one, or, in a large mesh, the agents of some groups.
fn some_agents(draft: &Draft, draw: &mut Draw<'_>) -> BTreeSet<Name> {
    let some: BTreeSet<Name> = draw.some_agents().into_iter().collect();
    let all = grouped_agents(draft);
    if all.len() <= MAX_SINGLE {
        return some;
    }
    let groups = all.chunk_by(|one, next| one.group == next.group);
    let chosen = groups.filter(|group| some.contains(&group[0].name)).flatten();
    chosen.map(|agent| agent.name.clone()).collect()
}
