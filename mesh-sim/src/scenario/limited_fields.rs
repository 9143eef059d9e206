//! Where the fields stand that an engine may be unable to honour.

use std::ops::Range;

use super::raw;
use super::source::{Path, Source};
use super::walk::FoundDuration;

/// The fields of a scenario file that not every engine can honour, with their places in the file.
/// They are found while the file is read; an engine that is asked to run it looks through them.
#[derive(Clone, Debug)]
pub(crate) struct LimitedFields {
    /// Every duration in the file: an engine's clock may be too coarse for it.
    pub(crate) durations: Vec<FoundDuration>,
    /// The place of the list of agents: an engine may have no room for so many.
    pub(crate) agents: Range<usize>,
    /// Fields that ask for what turmoil's network and clocks don't have.
    pub(crate) beyond_turmoil: Vec<(Path, Range<usize>)>,
}

impl LimitedFields {
    /// Finds them in a file that has passed all checks.
    pub(super) fn find(
        raw: &raw::Scenario,
        source: &Source<'_>,
        durations: Vec<FoundDuration>,
    ) -> Self {
        let agents = source.span(&Path::field("agents"));
        Self { durations, agents, beyond_turmoil: beyond_turmoil(raw, source) }
    }
}

fn field_beyond_turmoil(raw: &raw::Scenario, source: &Source<'_>) -> Vec<(Path, Range<usize>)> {
    let mut fields = Vec::new();
    for (position, group) in raw.agents.iter().enumerate() {
        if group.clock_rate != 1.0 {
            fields.push(Path::field("agents").index(position).key("clock_rate"));
        }
    }
    for (position, fault) in raw.faults.iter().enumerate() {
        if let Some(field) = fault.kind.field_beyond_turmoil() {
            fields.push(Path::field("faults").index(position).key(field));
        }
    }
    let network = Path::field("network");
    let mut check = |at: &Path, latency: Option<&raw::Latency>, ratios: [f64; 2]| {
        let constant = |latency| {
            matches!(
                latency,
                &raw::Latency::Constant(_)
                    | &raw::Latency::Drawn(raw::Distribution::Constant { .. })
            )
        };
        if !latency.is_none_or(constant) {
            fields.push(at.key("latency"));
        }
        for (name, ratio) in ["loss", "duplication"].into_iter().zip(ratios) {
            if ratio != 0.0 {
                fields.push(at.key(name));
            }
        }
    };
    check(&network, Some(&raw.network.latency), [raw.network.loss, raw.network.duplication]);
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
