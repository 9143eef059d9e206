//! Finds what processes on this machine can't do of a scenario.

use std::collections::BTreeSet;
use std::time::Duration;

use mesh_sim::network::{LinkQuality, LinkSpec};
use mesh_sim::scenario::{CLIENT, PolicySpec, REGISTRY, Scenario};
use mesh_sim::units::format_duration;

use super::link_relays::has_relays;

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
    let mut fields = Vec::new();
    let mut refuse = |is_refused: bool, field: String, why: String| {
        if is_refused {
            fields.push(UnsupportedField { field, why });
        }
    };
    for conflict in scenario.registry_config().conflicts() {
        let field = format!("registry.{}", conflict.setting);
        refuse(true, field, format!("{}: expected {}", conflict.problem, conflict.expected));
    }
    let network = &scenario.network;
    let loses = "loopback neither loses nor repeats messages".to_owned();
    refuse(network.quality.loss > 0.0, "network.loss".to_owned(), loses.clone());
    refuse(network.quality.duplication > 0.0, "network.duplication".to_owned(), loses);
    let loses = "relays neither lose nor repeat messages".to_owned();
    let is_unlike = |link: &LinkSpec| {
        let ratios = |quality: &LinkQuality| (quality.loss, quality.duplication);
        ratios(&link.quality) != ratios(&network.quality)
    };
    refuse(network.links.iter().any(is_unlike), "network.links".to_owned(), loses);
    for agent in &scenario.agents {
        let of = |field: &str| format!("agents.{field} of {}", agent.name);
        let machine = &agent.machine;
        let why = "jobs sleep for their demand, as on a core of speed 1".to_owned();
        refuse(machine.speed != 1.0, of("speed"), why);
        let why = "jobs wait for what their requests name".to_owned();
        refuse(machine.wait_speed != 1.0, of("wait_speed"), why);
        let shares = agent.admission.concurrency.limit().is_none_or(|limit| limit > machine.cores);
        let why = "jobs that sleep don't share cores: at most as many as `cores` may run";
        refuse(shares, of("concurrency"), why.to_owned());
        let is_busy = machine.background.iter().any(|step| step.value > 0.0);
        let why = "all agents share this machine; use a fault `background_load` of all agents";
        refuse(is_busy, of("background"), why.to_owned());
        refuse(agent.clock_rate != 1.0, of("clock_rate"), "clocks are this machine's".to_owned());
        let why = "every agent starts before the first request and stays".to_owned();
        refuse(!agent.joins.is_zero(), of("joins"), why.clone());
        refuse(agent.leaves.is_some(), of("leaves"), why);
        let why = format!("expected at least {}", format_duration(LEAST_CPU_WINDOW));
        refuse(machine.cpu_window < LEAST_CPU_WINDOW, of("cpu_window"), why);
    }
    for (number, policy) in scenario.policies.iter().enumerate() {
        let why = "`mesh agent` knows the built-in policies only".to_owned();
        let field = format!("policies.{number} ({})", policy.label);
        refuse(policy.factory.settings().is_none(), field, why);
    }
    let agents = scenario.agents.iter().map(|agent| &*agent.name);
    let hosts: BTreeSet<&str> = agents.chain([REGISTRY, CLIENT]).collect();
    let fixed = scenario.faults.iter().map(|fault| {
        let at = format_duration(fault.at);
        (&fault.kind, format!("at {at}"))
    });
    let random = scenario.random_faults.iter().map(|fault| (&fault.kind, "at random".to_owned()));
    for (number, (kind, when)) in fixed.chain(random).enumerate() {
        if let Some(why) = kind.why_not_live(&hosts) {
            refuse(true, format!("faults.{number} ({} {when})", kind.name()), why.to_owned());
        }
    }
    fields
}

/// What a live run does differently from the simulation although the results may be compared: one
/// sentence each.
pub(crate) fn notes(scenario: &Scenario) -> Vec<String> {
    let mut notes = vec![
        match has_relays(scenario) {
            true => "relays delay messages, each up to 1 ms more than its link".to_owned(),
            false => "network.latency is not applied: loopback has a latency of its own".to_owned(),
        },
        "agents.memory is not applied: agents report what their processes use".to_owned(),
    ];
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
    use mesh_core::agent::config::Concurrency;

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
        let mut two = scenario("");
        two.agents[1].machine.speed = 2.0;
        two.agents[2].admission.concurrency = Concurrency::Unlimited;
        two.agents[2].leaves = Some(Duration::from_secs(1));
        let fields: Vec<String> = unsupported_fields(&two).into_iter().map(|r| r.field).collect();
        let expected = [
            "agents.speed of agent-2",
            "agents.concurrency of agent-3",
            "agents.leaves of agent-3",
        ];
        assert_eq!(fields, expected);
    }

    #[test]
    fn faults_are_refused_unless_processes_can_have_them() {
        let partition = fault("partition", "groups = [\"agent-1\", \"agent-2\"]");
        assert_eq!(refused(&partition), ["faults.0 (partition at 1s)"]);
        let hosts = "hosts = [\"agent-2\", \"registry\"]";
        assert_eq!(refused(&fault("crash", hosts)), ["faults.0 (crash at 1s)"]);
        let process = format!("{hosts}\nmode = \"process\"");
        assert_eq!(refused(&fault("crash", &process)), [""; 0]);
        let errors = "agents = \"agent-1\"\nerrors = { answer = \"busy\" }";
        assert_eq!(refused(&fault("errors", errors)), [""; 0]);
        let whole = "between = [\"agent-1\", [\"agent-2..3\", \"registry\", \"client\"]]";
        assert_eq!(refused(&fault("hold", whole)), [""; 0]);
        let link = "between = [\"agent-1\", \"agent-2\"]";
        assert_eq!(refused(&fault("hold", link)), ["faults.0 (hold at 1s)"]);
        assert_eq!(refused(&fault("background_load", "agents = \"*\"\nload = 0.5")), [""; 0]);
        let some = fault("background_load", "agents = \"agent-1\"\nload = 0.5");
        assert_eq!(refused(&some), ["faults.0 (background_load at 1s)"]);
    }

    #[test]
    fn policies_that_go_by_cpu_are_named() {
        let notes = notes(&scenario(""));
        assert!(notes.iter().any(|note| note.ends_with("by CPU %: least_loaded")), "{notes:?}");
    }
}
