//! The fields of a file that not every engine can honour, with their places in the file.

use std::ops::Range;

use super::parsed_toml::{FieldPath, ParsedToml};
use super::raw;
use super::structure::DurationField;

/// The fields of a scenario file that not every engine can honour, with their places in the file.
///
/// They are collected while the file is read, when it is not yet known which engine will run it. An
/// engine that is asked to run the scenario looks through them, and reports those that it can't
/// honour.
#[derive(Clone, Debug)]
pub(crate) struct LimitedFields {
    /// Every duration in the file. The clock of an engine may be too coarse for it.
    pub(crate) durations: Vec<DurationField>,
    /// The place of the list of agents. An engine may not be able to run so many.
    pub(crate) agents: Range<usize>,
    /// Fields whose values turmoil's network and clocks can't produce.
    pub(crate) beyond_turmoil: Vec<(FieldPath, Range<usize>)>,
}

impl LimitedFields {
    /// Collects the fields of a file that has passed all checks.
    pub(super) fn find(
        raw: &raw::Scenario,
        source: &ParsedToml<'_>,
        durations: Vec<DurationField>,
    ) -> Self {
        let agents = source.span(&FieldPath::field("agents"));
        Self { durations, agents, beyond_turmoil: fields_beyond_turmoil(raw, source) }
    }
}

/// The fields with values that engine turmoil can't produce, in any scenario.
fn fields_beyond_turmoil(
    raw: &raw::Scenario,
    source: &ParsedToml<'_>,
) -> Vec<(FieldPath, Range<usize>)> {
    let mut fields = Vec::new();
    for (position, group) in raw.agents.iter().enumerate() {
        if group.clock_rate != 1.0 {
            fields.push(FieldPath::field("agents").index(position).key("clock_rate"));
        }
    }
    for (position, fault) in raw.faults.iter().enumerate() {
        if let Some(field) = fault.kind.field_beyond_turmoil() {
            fields.push(FieldPath::field("faults").index(position).key(field));
        }
    }
    let raw::Costs {
        job: _,
        job_delay: _,
        work,
        probe,
        probe_delay,
        heartbeat,
        sample,
        delegation,
    } = &raw.costs;
    for (name, cost) in [
        ("work", work),
        ("probe", probe),
        ("heartbeat", heartbeat),
        ("sample", sample),
        ("delegation", delegation),
    ] {
        if !cost.0.is_zero() {
            fields.push(FieldPath::field("costs").key(name));
        }
    }
    if probe_delay.is_some() {
        fields.push(FieldPath::field("costs").key("probe_delay"));
    }
    fields.extend(drawn_site_latencies(raw));
    let network = FieldPath::field("network");
    let mut check = |at: &FieldPath, latency: Option<&raw::Distribution>, ratios: [f64; 2]| {
        if latency.is_some_and(is_drawn) {
            fields.push(at.key("latency"));
        }
        for (name, ratio) in ["loss", "duplication"].into_iter().zip(ratios) {
            if ratio != 0.0 {
                fields.push(at.key(name));
            }
        }
    };
    check(&network, raw.network.latency.as_ref(), [raw.network.loss, raw.network.duplication]);
    for (position, link) in raw.network.links.iter().enumerate() {
        let ratios = [link.loss, link.duplication].map(Option::unwrap_or_default);
        check(&network.key("links").index(position), link.latency.as_ref(), ratios);
    }
    for (position, link) in raw.network.links.iter().enumerate() {
        if link.one_way {
            fields.push(network.key("links").index(position).key("one_way"));
        }
    }
    fields.into_iter().map(|path| (path.clone(), source.span(&path))).collect()
}

/// The latencies within and between sites that are drawn for each message.
fn drawn_site_latencies(raw: &raw::Scenario) -> impl Iterator<Item = FieldPath> {
    let within = raw.sites.iter().map(|site| &site.one_way).enumerate();
    let within = within.map(|(at, latency)| (FieldPath::field("sites").index(at), latency));
    let between = raw.network.between.iter().map(|link| &link.one_way).enumerate();
    let path = FieldPath::field("network").key("between");
    let between = between.map(move |(at, latency)| (path.index(at), latency));
    let drawn = within.chain(between).filter(|(_, latency)| latency.as_ref().is_some_and(is_drawn));
    drawn.map(|(path, _)| path.key("one_way"))
}

fn is_drawn(latency: &raw::Distribution) -> bool {
    !latency.is_constant()
}
