//! What the documentation says of faults is derived from the kinds, or held against them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use mesh_core::protocol::Name;
use mesh_core::seed::Seed;
use serde_json::Value;

use super::{Draw, FaultKind, draws};
use crate::scenario::json_schema;

const BEGIN: &str = "<!-- faults: derived from their descriptions -->\n";
const END: &str = "<!-- end of faults -->\n";

fn documentation(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Many faults of each kind, by the name of the kind.
fn drawn() -> BTreeMap<&'static str, Vec<FaultKind>> {
    let agents: Vec<Name> = (1..=3).map(|number| format!("agent-{number}").into()).collect();
    let mut draw = Draw::new(Seed::root(1).rng(), &agents);
    let mut drawn: BTreeMap<_, Vec<FaultKind>> = BTreeMap::new();
    for way in draws() {
        for _ in 0..50 {
            let fault = (way.draw)(&mut draw);
            drawn.entry(fault.name()).or_default().push(fault);
        }
    }
    drawn
}

/// Whether a live mesh can have faults of a kind, and why not.
fn live(fault: &FaultKind) -> String {
    fault.why_not_live().map_or("yes".to_owned(), |why| format!("no: {why}"))
}

/// The fields of a kind with their descriptions, without those that every fault may have.
fn fields(schema: &Value) -> String {
    let fields = schema["properties"].as_object().expect("a table");
    let own = fields
        .iter()
        .filter(|(name, _)| !["kind", "at", "for", "every", "repair"].contains(&name.as_str()));
    let described = own.map(|(name, field)| {
        let description = field["description"].as_str().expect("every field has a description");
        format!("`{name}`: {}", description.replace('\n', " "))
    });
    described.collect::<Vec<_>>().join(" ")
}

#[test]
fn the_documentation_has_every_kind() {
    let schema = json_schema();
    let kinds = schema["$defs"]["Fault"]["oneOf"].as_array().expect("a list of kinds");
    let drawn = drawn();
    let mut table =
        "| kind | what it does | fields besides those of time | engine turmoil | live mesh |\n\
         |---|---|---|---|---|\n"
            .to_owned();
    for kind in kinds {
        let name = kind["properties"]["kind"]["const"].as_str().expect("a name");
        let summary = kind["description"].as_str().expect("every kind has a description");
        let faults = &drawn[name];
        let turmoil = if faults[0].field_beyond_turmoil().is_none() { "yes" } else { "no" };
        let (fields, live) = (fields(kind), live(&faults[0]));
        writeln!(table, "| `{name}` | {summary} | {fields} | {turmoil} | {live} |")
            .expect("a String");
    }
    assert_eq!(kinds.len(), drawn.len(), "the schema has every kind");
    let engines = documentation("engines.md");
    let documented = engines.split_once(BEGIN).and_then(|(_, rest)| rest.split_once(END));
    let documented = documented.expect("docs/engines.md has a place for the table of faults").0;
    assert_eq!(documented, table, "put this into docs/engines.md:\n\n{table}");
}

#[test]
fn what_a_live_mesh_refuses_is_documented() {
    let page = documentation("live-bench.md");
    let rows: Vec<&str> = page.lines().filter(|line| line.starts_with("| ")).collect();
    let named = |row: &&&str, name: &str| row.contains(&format!("`{name}`"));
    for (name, faults) in drawn() {
        let mut rows = rows.iter().filter(|row| named(row, name));
        let row = rows.next().unwrap_or_else(|| panic!("docs/live-bench.md does not name {name}"));
        let is_refused = row.ends_with("| refused by name |");
        assert_eq!(is_refused, live(&faults[0]).starts_with("no"), "{row}");
        assert_eq!(rows.next(), None, "{name} is named twice");
    }
}
