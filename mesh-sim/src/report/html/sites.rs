//! The lines of the page's header about sites: who lives where, and how far the sites are apart.

use mesh_core::protocol::Name;

use crate::format;
use crate::host_names::host_ranges;
use crate::network::{LinkQuality, SiteNetwork};
use crate::scenario::Scenario;

/// If there are more sites than this, only their number is said.
const LISTED: usize = 5;

/// The lines, each with its term; none if the scenario has no sites.
pub(super) fn sites(scenario: &Scenario) -> Vec<(&'static str, String)> {
    let Some(sites) = &scenario.network.sites else { return Vec::new() };
    if sites.names.len() > LISTED {
        return vec![("sites", format::count(sites.names.len() as u64))];
    }
    let schedule = scenario.fault_schedule();
    let hosts = schedule.hosts();
    let mut lines = Vec::new();
    for (id, site) in sites.names.iter() {
        let there = hosts.iter().filter(|(host, _)| sites.homes[*host] == id);
        let there: Vec<Name> = there.map(|(_, name)| name.clone()).collect();
        let within = one_way(&sites.links[id][id]);
        lines.push(("site", format!("{site}: {}; {within}", host_ranges(&there).join(", "))));
    }
    lines.extend(distances(sites));
    lines
}

fn distances(sites: &SiteNetwork) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for (from, site) in sites.names.iter() {
        for (to, other) in sites.names.iter().filter(|(to, _)| *to > from) {
            let between = one_way(&sites.links[from][to]);
            lines.push(("between", format!("{site} and {other}: {between}")));
        }
    }
    lines
}

fn one_way(quality: &LinkQuality) -> String {
    let median = quality.latency.quantile(0.5).as_nanos();
    format!("{} one way", format::latency(u64::try_from(median).unwrap_or(u64::MAX), 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_says_who_lives_where_and_how_far_apart() {
        let text = r#"
name = "x"
description = "x"
duration = "1s"
policies = ["random"]
sites = [{ name = "eu", client = true, round_trip = "2ms" }, { name = "us", registry = true }]
agents = [{ name = "a", count = 4, site = "eu", each = { "a-4" = { site = "us" } } }]
network = { latency = "3ms", between = [{ sites = ["us", "eu"], round_trip = "90ms" }] }
workload = { arrivals = "constant", rate = 1, demand = { kind = "constant", value = "1ms" } }
"#;
        let scenario = Scenario::parse(text, "x.toml").unwrap_or_else(|error| panic!("{error}"));
        let said: Vec<String> =
            sites(&scenario).into_iter().map(|(term, fact)| format!("{term} {fact}")).collect();
        let expected = [
            "site eu: client, a-1..3; 1.0 ms one way",
            "site us: registry, a-4; 3.0 ms one way",
            "between eu and us: 45 ms one way",
        ];
        assert_eq!(said, expected);
    }
}
