//! An engine names every field of a scenario that it can't honour.

use insta::assert_snapshot;
use mesh_sim::scenario::{EngineKind, ScenarioFile};

use super::{corpus, snapshots};

#[test]
fn turmoil_names_each_field_that_it_cannot_honour() {
    let (name, text) = corpus("engine").remove(0);
    let loaded = ScenarioFile::parse(&text, "turmoil.toml").expect("it is valid");
    let refused = loaded.check_engine(EngineKind::Turmoil).expect_err("it is beyond turmoil");
    snapshots().bind(|| assert_snapshot!(format!("engine-{name}"), refused.render(false)));
}

#[test]
fn turmoil_takes_an_ordinary_scenario() {
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "full").expect("full");
    let loaded = ScenarioFile::parse(&text, "full.toml").expect("it is valid");
    assert_eq!(loaded.check_engine(EngineKind::Turmoil), Ok(()));
}

/// A scenario of two agents for a second, with `extra` added.
fn with(extra: &str) -> ScenarioFile {
    let text = format!(
        r#"
name = "long"
description = "x"
duration = "1s"
policies = ["random"]
agents = [{{ name = "a", count = 2 }}]
workload = {{ arrivals = "constant", rate = 1, demand = {{ kind = "constant", value = "1ms" }} }}
{extra}
"#
    );
    ScenarioFile::parse(&text, "long.toml").unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn turmoil_refuses_what_would_keep_it_going_for_hours() {
    for (extra, field) in [
        ("network = { latency = \"24h\" }", "network.latency"),
        ("[[network.links]]\nfrom = \"*\"\nto = \"a-1\"\nlatency = \"2h\"", "latency"),
        ("registry = { ttl = \"24h\" }", "registry.ttl"),
        (
            "[[faults]]\nkind = \"add_latency\"\nat = \"0s\"\nbetween = [\"*\", \"a-1\"]\nlatency = \"3h\"",
            "latency",
        ),
    ] {
        let refused = with(extra).check_engine(EngineKind::Turmoil).expect_err(field);
        let said = refused.render(false);
        assert!(said.contains(&format!("{field}` = ")) && said.contains("^^^^"), "{said}");
    }
    assert_eq!(with("registry = { ttl = \"1h\" }").check_engine(EngineKind::Turmoil), Ok(()));
}
