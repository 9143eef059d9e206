//! What was tuned in a scenario can be deployed: its tables go unchanged into a settings file of
//! `mesh`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use mesh_core::agent::config::{DelegationConfig, MembershipConfig};
use mesh_core::registry::{LeaseConfig, RegistryConfig};
use mesh_sim::scenario::Scenario;
use serde::Serialize;
use tempfile::NamedTempFile;

use super::bench::binary;

/// Every setting of the table, none of them with its default.
const REGISTRY: &str = r#"
[registry]
ttl = "3s"
heartbeat = "900ms"
sweep = "250ms"
refresh = "700ms"
jitter = 0.2
timeout = "400ms"
"#;
const DELEGATION: &str = r#"
[delegation]
probe_timeout = "150ms"
connect_timeout = "300ms"
attempt_timeout = "800ms"
max_attempts = 5
retry_ratio = 0.25
retry_floor = 2.5
max_failures = 2
min_penalty = "1500ms"
max_penalty = "12s"
eject = true
eject_errors = 6
eject_interval = "11s"
eject_base = "31s"
eject_max = "301s"
eject_deviations = 2.5
eject_rate_peers = 6
eject_rate_jobs = 101
eject_failure_percent = 86
eject_failure_peers = 7
eject_failure_jobs = 51
eject_max_percent = 11
eject_strictly = true
eject_panic_percent = 51
hedge_after = "90ms"
hedge_quantile = 0.95
hedge_min_jobs = 21
hedge_window = "29s"
hedge_copies = 2
throttle = true
throttle_threshold = 0.95
throttle_aggression = 1.5
throttle_max = 0.8
throttle_window = "119s"
throttle_min_rate = 5
slow_start = "60s"
slow_start_aggression = 1.5
slow_start_min = 0.2
locality = true
locality_spill = 1.5
to_self = true
max_open = 77
"#;
const AGENT: &str = r#"
concurrency = 3
queue = 17
busy_hint = true
refresh = "600ms"
weight = 2.5
"#;
const POLICY: &str = r#"{ name = "power_of_two", choices = 3, signal = "own" }"#;

fn scenario() -> Scenario {
    let text = format!(
        "name = 'tuned'\ndescription = 'a tuned mesh'\nduration = '5s'\npolicies = [{POLICY}]\n\
         [workload]\narrivals = 'poisson'\nrate = 10\n\
         demand = {{ kind = 'constant', value = '1ms' }}\n\
         {REGISTRY}{DELEGATION}[[agents]]\nname = 'agent'\ncount = 2\n{AGENT}"
    );
    Scenario::parse(&text, "tuned.toml").unwrap_or_else(|error| panic!("{error}"))
}

/// The settings that a command of `mesh` logs that it has with this file.
fn settings(command: &str, file: &str) -> String {
    let mut config = NamedTempFile::new().unwrap();
    config.write_all(file.as_bytes()).unwrap();
    let mut mesh = Command::new(binary());
    mesh.args([command, "--listen", "127.0.0.1:0", "--log", "debug", "--config"]);
    let mut mesh = mesh.arg(config.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(mesh.stderr.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.find(|line| line.contains("settings config="));
    mesh.kill().unwrap();
    mesh.wait().unwrap();
    let line = line.expect("it says its settings");
    line.split_once("config=").unwrap().1.to_owned()
}

#[test]
fn what_was_tuned_in_a_scenario_is_pasted_into_a_file_of_settings() {
    let scenario = scenario();
    let file = format!("[agent]\npolicy = {POLICY}\n{AGENT}{REGISTRY}{DELEGATION}");
    let expected = scenario.agent_config(&scenario.agents[0], &scenario.policies[0]);
    assert_eq!(settings("agent", &file), format!("{expected:?}"));
    let expected = RegistryConfig { leases: scenario.leases, ..RegistryConfig::default() };
    assert_eq!(settings("registry", &file), format!("{expected:?}"));
}

#[test]
fn a_command_s_own_table_comes_before_those_of_the_scenario() {
    let file =
        format!("{REGISTRY}{DELEGATION}[agent]\nmax-attempts = 9\nregistry_timeout = '5s'\n");
    let told = settings("agent", &file);
    assert!(told.contains("max_attempts: 9,") && told.contains("max_open: 77"), "{told}");
    assert!(told.contains("jitter: 0.2, timeout: 5s"), "{told}");
}

/// A setting that were missing above would be tested nowhere.
#[test]
fn the_tuned_scenario_has_every_setting() {
    fn differ<T: Serialize>(tuned: T, default: T) {
        let [tuned, default] = [tuned, default].map(|value| serde_json::to_value(value).unwrap());
        for (name, value) in tuned.as_object().unwrap() {
            assert_ne!(default.get(name), Some(value), "{name} has its default");
        }
    }
    let scenario = scenario();
    differ(scenario.delegation, DelegationConfig::default());
    differ(scenario.membership, MembershipConfig::default());
    differ(scenario.leases, LeaseConfig::default());
    let schema = mesh_sim::scenario::json_schema();
    for (definition, table) in [("Delegation", DELEGATION), ("Registry", REGISTRY)] {
        let fields = schema["$defs"][definition]["properties"].as_object().map(|all| all.keys());
        for field in fields.expect("the schema has it") {
            assert!(table.contains(&format!("\n{field} = ")), "{definition} has no {field} here");
        }
    }
}

#[test]
fn tables_of_shipped_scenarios_are_pasted_as_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    for name in ["partition", "asymmetric-partition", "crash-restart"] {
        let path = folder.join(format!("{name}.toml"));
        let text = std::fs::read_to_string(&path).unwrap();
        let pasted = [table(&text, "[registry]"), table(&text, "[delegation]")].concat();
        let scenario = Scenario::read(&path).unwrap_or_else(|error| panic!("{error}"));
        let told = settings("agent", &pasted);
        for expected in [
            format!("delegation: {:?}", scenario.delegation),
            format!("membership: {:?}", scenario.membership),
        ] {
            assert!(told.contains(&expected), "{name}: {told} without {expected}");
        }
    }
}

/// The lines of a table, from its header to the next one.
fn table(text: &str, header: &str) -> String {
    let Some(start) = text.find(&format!("\n{header}")) else { return String::new() };
    let table = &text[start + 1..];
    let end = table.find("\n[").map_or(table.len(), |end| end + 1);
    table[..end].to_owned()
}

/// `mesh-bench live` tells its processes every setting of the scenario.
#[test]
fn the_settings_of_a_scenario_are_written_as_they_are_read() {
    let scenario = scenario();
    let told = settings("agent", &scenario.shared_settings());
    for expected in [
        format!("delegation: {:?}", scenario.delegation),
        format!("membership: {:?}", scenario.membership),
    ] {
        assert!(told.contains(&expected), "{told} without {expected}");
    }
}
