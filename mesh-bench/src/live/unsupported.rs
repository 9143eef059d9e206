//! Finds what processes on this machine can't do of a scenario.

use std::time::Duration;

use mesh_core::protocol::Name;
use mesh_sim::host_ranges;
use mesh_sim::network::{LinkQuality, LinkSpec};
use mesh_sim::scenario::{AgentSpec, PolicySpec, Scenario, UpperBound};
use mesh_sim::units::format_duration;

use super::link_relays::{cuts_links, has_latencies};

/// The shortest window over which the operating system counts CPU time.
const LEAST_CPU_WINDOW: Duration = Duration::from_millis(200);

/// A field of a scenario that a live mesh can't honour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnsupportedField {
    /// The path of the field, and the name of its owner if many have it.
    pub(crate) field: String,
    /// Why a live mesh can't honour it.
    pub(crate) why: String,
}

/// Every field of a scenario that processes of `mesh` on loopback can't honour.
pub(crate) fn unsupported_fields(scenario: &Scenario) -> Vec<UnsupportedField> {
    let mut fields = Refusals::default();
    for conflict in scenario.registry_config().conflicts() {
        let field = format!("registry.{}", conflict.setting);
        fields.add(true, field, format!("{}: expected {}", conflict.problem, conflict.expected));
    }
    let why = "a live bench starts one registry".to_owned();
    fields.add(scenario.registries.are_several(), "registries.count".to_owned(), why);
    let why = "the registry of a live bench has no store".to_owned();
    fields.add(scenario.registries.store.is_some(), "registries.store".to_owned(), why);
    let why = "a live bench starts the agents that the scenario plans".to_owned();
    fields.add(scenario.autoscale.is_some(), "autoscale".to_owned(), why);
    let network = &scenario.network;
    let loses = "loopback neither loses nor repeats messages".to_owned();
    fields.add(network.quality.loss > 0.0, "network.loss".to_owned(), loses.clone());
    fields.add(network.quality.duplication > 0.0, "network.duplication".to_owned(), loses);
    let loses = "relays neither lose nor repeat messages".to_owned();
    let is_unlike = |link: &LinkSpec| {
        let ratios = |quality: &LinkQuality| (quality.loss, quality.duplication);
        ratios(&link.quality) != ratios(&network.quality)
    };
    fields.add(network.links.iter().any(is_unlike), "network.links".to_owned(), loses);
    add_of_agents(&mut fields, scenario);
    for (number, policy) in scenario.policies.iter().enumerate() {
        let why = match UpperBound::of(&*policy.factory) {
            Some(_) => "an upper bound knows the true state of every machine, and no agent does",
            None => "`mesh agent` knows the built-in policies only",
        };
        let field = format!("policies.{number} ({})", policy.label);
        fields.add(policy.factory.settings().is_none(), field, why.to_owned());
        let why = "all agents of a live mesh have the settings of the scenario".to_owned();
        let field = format!("policies.{number}.set ({})", policy.label);
        fields.add(policy.variant.is_some(), field, why);
    }
    let fixed = scenario.faults.iter().map(|fault| {
        let at = format_duration(fault.at);
        (&fault.kind, format!("at {at}"))
    });
    let random = scenario.random_faults.iter().map(|fault| (&fault.kind, "at random".to_owned()));
    for (number, (kind, when)) in fixed.chain(random).enumerate() {
        if let Some(why) = kind.why_not_live() {
            fields.add(true, format!("faults.{number} ({} {when})", kind.name()), why.to_owned());
        }
    }
    fields.0
}

/// The fields that were found so far.
#[derive(Default)]
struct Refusals(Vec<UnsupportedField>);

impl Refusals {
    /// Adds a field if it is refused.
    fn add(&mut self, is_refused: bool, field: String, why: String) {
        if is_refused {
            self.0.push(UnsupportedField { field, why });
        }
    }
}

/// Adds the fields of agents: one for all agents that can't have it.
fn add_of_agents(fields: &mut Refusals, scenario: &Scenario) {
    type IsRefused = fn(&AgentSpec) -> bool;
    let least = format!("expected at least {}", format_duration(LEAST_CPU_WINDOW));
    let checks: [(&str, String, IsRefused); 2] = [
        ("clock_rate", "clocks are this machine's".to_owned(), |agent| agent.clock_rate != 1.0),
        ("cpu_window", least, |agent| agent.machine.cpu_window < LEAST_CPU_WINDOW),
    ];
    for (field, why, is_refused) in checks {
        let refused = scenario.agents.iter().filter(|agent| is_refused(agent));
        let names: Vec<Name> = refused.map(|agent| agent.name.clone()).collect();
        let field = format!("agents.{field} of {}", host_ranges(&names).join(", "));
        fields.add(!names.is_empty(), field, why);
    }
}

/// What a live run does differently from the simulation although the results may be compared: one
/// sentence each.
pub(crate) fn notes(scenario: &Scenario) -> Vec<String> {
    let mut notes = vec![
        match has_latencies(scenario) {
            true => "relays delay messages, each some 0.1 ms more than its link".to_owned(),
            false => "network.latency is not applied: loopback has a latency of its own".to_owned(),
        },
        "agents.memory is not applied: agents report what their processes use".to_owned(),
    ];
    let cuts = |seed: &u64| cuts_links(&scenario.for_seed(*seed).scenario.fault_schedule());
    if scenario.seeds.iter().any(cuts) {
        notes.push(
            "what is sent over a link that is cut arrives when it is whole again, as TCP sends it \
             again; the simulation loses it"
                .to_owned(),
        );
    }
    let reads_cpu = |policy: &&PolicySpec| policy.factory.needs().utilisation;
    let misled = scenario.policies.iter().filter(reads_cpu);
    let labels: Vec<&str> = misled.map(|policy| &*policy.label).collect();
    if !labels.is_empty() {
        notes.push(format!(
            "jobs sleep and use no CPU, but these policies choose by CPU %: {}",
            labels.join(", ")
        ));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(more: &str) -> Scenario {
        let text = format!(
            "name = \"live\"\ndescription = \"of these tests\"\nduration = \"2s\"\n\
             agents = [{{ name = \"agent\", count = 3, cores = 2 }}]\n\
             policies = [\"random\", \"least_loaded\"]\n\
             [workload]\narrivals = \"poisson\"\nrate = 10\n\
             demand = {{ kind = \"exponential\", mean = \"20ms\" }}\n{more}"
        );
        Scenario::parse(&text, "live.toml").unwrap_or_else(|e| panic!("{}", e.render(false)))
    }

    fn refused(more: &str) -> Vec<String> {
        unsupported_fields(&scenario(more)).into_iter().map(|refusal| refusal.field).collect()
    }

    fn fault(kind: &str, more: &str) -> String {
        format!("[[faults]]\nkind = \"{kind}\"\nat = \"1s\"\nfor = \"500ms\"\n{more}\n")
    }

    #[test]
    fn what_the_mesh_has_no_means_for_is_named() {
        assert_eq!(refused(""), [""; 0]);
        assert_eq!(refused("[network]\nlatency = \"5ms\""), [""; 0]);
        assert_eq!(refused("[network]\nloss = 0.1"), ["network.loss"]);
        let link = "[[network.links]]\nfrom = \"agent-1\"\nto = \"agent-2\"\nlatency = \"9ms\"\n";
        assert_eq!(refused(link), [""; 0]);
        assert_eq!(refused(&format!("{link}loss = 0.1")), ["network.links"]);
        assert_eq!(refused("[registry]\nsweep = \"3s\""), [""; 0]);
        assert_eq!(refused("[delegation]\nto_self = true"), [""; 0]);
        assert_eq!(refused("[registry]\nttl = \"20ms\"\nheartbeat = \"5ms\""), ["registry.ttl"]);
        let mut three = scenario("");
        three.agents[0].machine.speed = 2.0;
        three.agents[1].clock_rate = 1.1;
        three.agents[2].clock_rate = 0.9;
        three.agents[2].leaves = Some(Duration::from_secs(1));
        let fields = unsupported_fields(&three).into_iter().map(|refusal| refusal.field);
        assert!(fields.eq(["agents.clock_rate of agent-2..3"]));
    }

    #[test]
    fn of_all_faults_only_loss_is_refused() {
        let sides = "between = [\"agent-1\", \"agent-2\"]";
        let loss = fault("loss", &format!("{sides}\nratio = 0.5"));
        assert_eq!(refused(&loss), ["faults.0 (loss at 1s)"]);
        for fault in [
            fault("partition", "groups = [\"agent-1\", \"agent-2\"]"),
            fault("crash", "hosts = [\"agent-2\", \"registry\"]"),
            fault("hold", sides),
            fault("background_load", "agents = \"agent-1\"\nload = 0.5"),
        ] {
            assert_eq!(refused(&fault), [""; 0], "{fault}");
        }
    }

    #[test]
    fn a_link_that_is_cut_is_noted_but_not_a_machine_that_is_silent() {
        let notes_on_cuts = |more: &str| {
            let notes = notes(&scenario(more));
            notes.iter().filter(|note| note.contains("the simulation loses it")).count()
        };
        let partition = fault("partition", "groups = [\"agent-1\", \"agent-2\"]");
        assert_eq!(notes_on_cuts(&partition), 1);
        assert_eq!(notes_on_cuts(&fault("crash", "hosts = \"agent-1\"")), 0);
    }

    #[test]
    fn policies_that_go_by_cpu_are_named() {
        let notes = notes(&scenario(""));
        assert!(notes.iter().any(|note| note.ends_with("by CPU %: least_loaded")), "{notes:?}");
    }
}
