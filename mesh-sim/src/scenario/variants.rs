//! Variants: the scenario of a policy that sets fields for itself alone (`set`).
//!
//! They put settings side by side as policies are: a budget against none, a short queue against a
//! long one. A variant has the requests and the faults of the file, because figures of different
//! requests could not be compared.

use std::sync::Arc;

use super::diagnostic::Problem;
use super::edit_in_place::set_fields;
use super::parsed_toml::{FieldPath, ParsedToml};
use super::{Scenario, ScenarioFile, raw};

/// Gives each policy with a `set` the scenario with these fields. Returns the problems of fields
/// that can't be set.
pub(super) fn add_variants(
    file: &mut ScenarioFile,
    raw: &raw::Scenario,
) -> Result<Vec<Problem>, Vec<Problem>> {
    let mut problems = Vec::new();
    for (position, policy) in raw.policies.iter().enumerate() {
        let raw::Policy::Table(raw::PolicyTable { set, .. }) = policy else { continue };
        if set.is_empty() {
            continue;
        }
        match variant(file, set.iter().map(|(path, value)| (path, value.to_string()))) {
            Ok(variant) => file.scenario.policies[position].variant = Some(Arc::new(variant)),
            Err(reasons) => {
                let source = ParsedToml::parse(file.source().0)?;
                let path = FieldPath::field("policies").index(position).key("set");
                let at = |reason| Problem::at(source.span(&path), reason, "");
                problems.extend(reasons.into_iter().map(at));
            }
        }
    }
    Ok(problems)
}

/// The file with some of its fields set.
fn variant<'a>(
    file: &ScenarioFile,
    set: impl Iterator<Item = (&'a String, String)>,
) -> Result<ScenarioFile, Vec<String>> {
    let set: Vec<(&str, String)> = set.map(|(path, value)| (&**path, value)).collect();
    let fields: Vec<(&str, &str)> = set.iter().map(|(path, value)| (*path, &**value)).collect();
    let text = set_fields(file.whole_text(), &fields).map_err(|reason| vec![reason])?;
    let with: Vec<String> = fields.iter().map(|(path, value)| format!("{path}={value}")).collect();
    let name = format!("{} with {}", file.source().1, with.join(", "));
    let variant = ScenarioFile::parse_variant(text, name).map_err(|diagnostics| {
        let said = |problem: &Problem| match &*problem.label {
            "" => problem.title.clone(),
            label => format!("{}: {label}", problem.title),
        };
        diagnostics.problems().iter().map(said).collect::<Vec<_>>()
    })?;
    match changed(&file.scenario, &variant.scenario) {
        None => Ok(variant),
        Some(what) => Err(vec![format!("a policy can't set {what}, which all policies share")]),
    }
}

/// What a variant must not change but does: the requests, the faults, and what reports show only
/// once.
fn changed(file: &Scenario, variant: &Scenario) -> Option<&'static str> {
    let requests = |scenario: &Scenario| {
        let mut workload = scenario.workload.clone();
        workload.client = file.workload.client;
        (workload, scenario.duration, scenario.warm_up, scenario.drain, scenario.seeds.clone())
    };
    let hosts = |scenario: &Scenario| {
        let agents = scenario.agents.iter();
        agents.map(|agent| (agent.name.clone(), agent.joins, agent.leaves)).collect::<Vec<_>>()
    };
    let report = |scenario: &Scenario| {
        let labels = scenario.policies.iter().map(|policy| policy.label.clone());
        let labels: Vec<String> = labels.collect();
        (scenario.name.clone(), scenario.description.clone(), scenario.engine, labels)
    };
    let faults = |scenario: &Scenario| (scenario.faults.clone(), scenario.random_faults.clone());
    let checks = [
        (requests(file) != requests(variant), "the requests"),
        (hosts(file) != hosts(variant), "the agents"),
        (faults(file) != faults(variant), "the faults"),
        (file.providers.len() != variant.providers.len(), "the providers"),
        (file.expect != variant.expect, "thresholds"),
        (report(file) != report(variant), "the experiment"),
    ];
    checks.into_iter().find_map(|(is_changed, what)| is_changed.then_some(what))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(set: &str) -> Result<ScenarioFile, String> {
        let text = format!(
            "name = \"x\"\ndescription = \"an x\"\nduration = \"1s\"\n\
             agents = [{{ name = \"a\", count = 2 }}]\n\
             policies = [\"random\", {{ name = \"random\", label = \"other\", set = {{ {set} }} }}]\n\
             [workload]\narrivals = \"poisson\"\nrate = 1\ndemand = \"1ms\"\n"
        );
        ScenarioFile::parse(&text, "x.toml").map_err(|diagnostics| diagnostics.render(false))
    }

    #[test]
    fn a_policy_has_its_own_settings_and_the_same_requests() {
        let set = "\"delegation.max_attempts\" = 7, \"agents.0.queue\" = 1, \
                   \"workload.client.retries\" = \"{ max = 2 }\", \"network.latency\" = \"3ms\"";
        let file = parse(set).unwrap();
        let [plain, other] = &file.scenario.policies[..] else { panic!("there are two") };
        assert!(plain.variant.is_none());
        let variant = &other.variant.as_ref().unwrap().scenario;
        assert_eq!(variant.delegation.max_attempts, 7);
        assert_eq!(variant.agents[1].admission.queue, 1);
        assert!(variant.workload.client.retries.is_some());
        assert_eq!(file.scenario.delegation.max_attempts, 3);
    }

    #[test]
    fn what_all_policies_share_stays() {
        for (set, reason) in [
            ("\"workload.rate\" = 2", "a policy can't set the requests"),
            ("\"agents.0.count\" = 3", "a policy can't set the agents"),
            ("\"expect.random.min_success\" = 1", "a policy can't set thresholds"),
            ("name = \"y\"", "a policy can't set the experiment"),
            ("\"delegation.max_attempts\" = 0", "expected a whole number from 1"),
            ("\"delegation.attempts\" = 1", "unknown field `attempts`"),
            ("\"faults.0.at\" = \"1s\"", "the file has no `faults`"),
        ] {
            let text = parse(set).unwrap_err();
            assert!(text.contains(reason) && text.contains("x.toml:5"), "{text}");
        }
    }
}
