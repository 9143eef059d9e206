//! What an engine refuses, it refuses by field.

use insta::assert_snapshot;
use mesh_sim::scenario::{EngineKind, Loaded};

use super::{corpus, snapshots};

#[test]
fn turmoil_names_each_field_that_it_cannot_honour() {
    let (name, text) = corpus("engine").remove(0);
    let loaded = Loaded::from_text(&text, "turmoil.toml").expect("it is valid");
    let refused = loaded.check_engine(EngineKind::Turmoil).expect_err("it is beyond turmoil");
    snapshots().bind(|| assert_snapshot!(format!("engine-{name}"), refused.render(false)));
}

#[test]
fn turmoil_takes_an_ordinary_scenario() {
    let (_, text) = corpus("valid").into_iter().find(|(name, _)| name == "full").expect("full");
    let loaded = Loaded::from_text(&text, "full.toml").expect("it is valid");
    assert_eq!(loaded.check_engine(EngineKind::Turmoil), Ok(()));
}
