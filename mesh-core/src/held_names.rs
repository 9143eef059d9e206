//! Who holds which names, where callers are known: a rule in front of those of the registry.
//!
//! Without identities, a name belongs to the process that started last, and anybody may start one.
//! Where callers are known, a live lease is its owner's: nobody else gets the name before it is over.
//! Its owner's processes follow each other as ever, by their incarnations.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::protocol::Name;

/// How many owners are remembered. Beyond it, those whose leases are over are forgotten.
const MOST_OWNERS: usize = 1 << 15;

/// The owners of names that were registered by callers who are known.
///
/// ```
/// use mesh_core::held_names::HeldNames;
///
/// let mut names = HeldNames::default();
/// let is_live = |_: &str| true;
/// names.hold("agent-7".into(), "ann".into(), is_live);
/// assert!(names.may_take("agent-7", Some("ann"), true));
/// assert!(!names.may_take("agent-7", Some("bob"), true));
/// assert!(!names.may_take("agent-7", None, true));
/// // The lease is over.
/// assert!(names.may_take("agent-7", Some("bob"), false));
/// ```
#[derive(Debug, Default)]
pub struct HeldNames(BTreeMap<Name, Arc<str>>);

impl HeldNames {
    /// Whether a caller may register the name, or end its lease. `is_live` says whether the name has
    /// a live lease. A lease whose owner is not known, for example because the registry has started
    /// again, is nobody's.
    pub fn may_take(&self, name: &str, caller: Option<&str>, is_live: bool) -> bool {
        !is_live || self.0.get(name).is_none_or(|owner| Some(&**owner) == caller)
    }

    /// A caller has registered the name. `is_live` says which names have a live lease.
    pub fn hold(&mut self, name: Name, caller: Arc<str>, mut is_live: impl FnMut(&str) -> bool) {
        if self.0.len() >= MOST_OWNERS {
            self.0.retain(|name, _| is_live(name));
        }
        self.0.insert(name, caller);
    }
}
