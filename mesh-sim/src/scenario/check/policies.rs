//! Checks of the policies to compare, and of the thresholds for them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use mesh_core::parameter::ParameterError;
use mesh_core::routing::{PolicyError, PolicyFactory, built_in};

use super::Checker;
use crate::figures::Expect;
use crate::scenario::parsed_toml::FieldPath;
use crate::scenario::text::did_you_mean;
use crate::scenario::{PolicySpec, UpperBound, raw};

/// The key in `[expect]` whose thresholds hold for every policy.
const EVERY_POLICY: &str = "*";

impl Checker<'_> {
    /// Every policy, in the order of the file. Checks that their labels are different.
    pub(super) fn policies(&mut self, raw: &[raw::Policy]) -> Vec<PolicySpec> {
        let mut specs: Vec<PolicySpec> = Vec::new();
        for (position, policy) in raw.iter().enumerate() {
            let path = FieldPath::field("policies").index(position);
            let Some(factory) = self.policy(&path, policy) else { continue };
            let label = match policy {
                raw::Policy::Table(raw::PolicyTable { label: Some(label), .. }) => label,
                _ => factory.name(),
            };
            let label = label.to_owned();
            if let Some(first) = specs.iter().position(|spec| spec.label == label) {
                let title = format!("two policies are labelled {label:?}");
                let advice = "give it a `label` of its own";
                let place = if self.source.states(&path, "label") { "label" } else { "name" };
                let problem = self.problem(&path.key(place), title, advice);
                let first = self.source.span(&FieldPath::field("policies").index(first));
                self.problems.push(problem.related(first, "the first one"));
            }
            specs.push(PolicySpec::shared(label, factory));
        }
        specs
    }

    /// A policy with its parameters. The schema has checked each parameter by itself, so what is
    /// checked here is how they go together.
    pub(super) fn policy(
        &mut self,
        path: &FieldPath,
        raw: &raw::Policy,
    ) -> Option<Arc<dyn PolicyFactory>> {
        let (name, parameters) = match raw {
            raw::Policy::Name(name) => (name, None),
            raw::Policy::Table(table) => (&table.name, Some(&table.parameters)),
        };
        if let Some(bound) = UpperBound::named(&name.0) {
            return Some(bound.placeholder());
        }
        let unknown = || PolicyError::UnknownPolicy { name: name.0.clone() };
        let parameters = parameters.into_iter().flatten();
        let settings = built_in(&name.0).ok_or_else(unknown).and_then(|policy| {
            let written = parameters.map(|(name, value)| (name, value.into()));
            policy.defaults().with(written)
        });
        match settings {
            Ok(settings) => return Some(Arc::new(settings)),
            Err(PolicyError::Conflict { source, .. }) => {
                self.report(&path.key(source.parameter), source.problem, source.expected);
            }
            Err(PolicyError::Value {
                source: ParameterError { name, value, formula: Some(error), .. },
                ..
            }) => {
                let mut problem = self.problem(&path.key(name), error.problem, error.expected);
                problem.span = problem.span.map(|span| self.within(span, &value, &error.span));
                self.problems.push(problem);
            }
            Err(error) => self.report(path, error.to_string(), ""),
        }
        None
    }

    /// Where a part of a string stands in the file. The whole string, if the file has it with
    /// escapes.
    fn within(&self, string: Range<usize>, value: &str, part: &Range<usize>) -> Range<usize> {
        let start = string.start + 1;
        let is_plain = self.source.text.get(start..).is_some_and(|rest| rest.starts_with(value));
        if is_plain { start + part.start..start + part.end.max(part.start + 1) } else { string }
    }

    /// The thresholds. Checks that each table has the label of a policy.
    pub(super) fn expect(
        &mut self,
        raw: &BTreeMap<String, Expect>,
        policies: &[PolicySpec],
    ) -> BTreeMap<String, Expect> {
        let mut known: Vec<&str> = policies.iter().map(|policy| policy.label.as_str()).collect();
        known.push(EVERY_POLICY);
        known.sort_unstable();
        known.dedup();
        for label in raw.keys().filter(|label| !known.contains(&label.as_str())) {
            let title = format!("no policy is labelled {label:?}");
            let advice = did_you_mean(label, known.iter().copied(), '`').trim_end().to_owned();
            let problem = self.problem(&FieldPath::field("expect").key(label), title, advice);
            self.problems.push(problem.note(format!("labels here: {}", known.join(", "))));
        }
        raw.clone()
    }
}
