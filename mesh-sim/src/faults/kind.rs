//! What a kind of fault is, and the enum that is made from the list of kinds.

use std::collections::BTreeSet;

use super::draw::DrawFault;
use super::effect::{Effect, HostNumbers, Span};

/// A kind of fault with its parameters, as a checked scenario has it.
///
/// The type is generic over how its hosts are named: `Crash<H>` names them by an `H`. So one
/// declaration serves a file (patterns like "agent-*"), a scenario (names) and a file that is
/// written again. Besides this trait, `map_hosts` is expected of every kind: the same parameters
/// with each list of hosts replaced by what a function makes of it.
pub(super) trait Kind {
    /// The field that engine turmoil can't honour; `None`: turmoil can have this kind.
    fn beyond_turmoil() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// The ways in which an exploration draws it. A run has each of them or goes without it.
    fn draws() -> &'static [DrawFault]
    where
        Self: Sized;

    /// What it does, and when. Most kinds have one effect for the whole `span` of the fault.
    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, Effect)>;

    /// Whether it still does anything after hosts have been left out. `all_name_somebody` says
    /// whether each of its lists of hosts still has a member.
    fn still_hits(&mut self, all_name_somebody: bool) -> bool {
        all_name_somebody
    }

    /// Why a live mesh of processes on one machine, whose hosts are `all`, can't have it; `None` if
    /// it can.
    fn beyond_processes(&self, all: &BTreeSet<&str>) -> Option<&'static str>;

    /// What reports call it: "one-way partition".
    fn label(&self) -> &'static str;

    /// Whom it hits, and how: "agent-1..2 | registry".
    fn detail(&self) -> String;
}

/// Makes [`FaultKind`](super::FaultKind) from a list of kinds, each with its file, which has the name
/// of the kind in scenario files.
macro_rules! kinds {
    ($($file:ident::$Kind:ident,)*) => {
        $(pub use self::$file::$Kind;)*

        /// A fault of one of the kinds. Hosts are named by an `H`: by their names in a scenario, by
        /// patterns in a file.
        #[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
        #[serde(tag = "kind", rename_all = "snake_case")]
        #[allow(missing_docs, reason = "the types of the variants have them")]
        #[non_exhaustive]
        pub enum FaultKind<H = Vec<Name>> {
            $($Kind($Kind<H>),)*
        }

        $(impl<H> From<$Kind<H>> for FaultKind<H> {
            fn from(kind: $Kind<H>) -> Self {
                Self::$Kind(kind)
            }
        })*

        impl<H> FaultKind<H> {
            /// Its name in scenario files.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$Kind(_) => stringify!($file),)*
                }
            }

            /// The field that engine turmoil can't honour; `None`: turmoil can have this kind.
            pub(crate) fn beyond_turmoil(&self) -> Option<&'static str> {
                match self {
                    $(Self::$Kind(_) => $Kind::<Vec<Name>>::beyond_turmoil(),)*
                }
            }

            /// The same fault with each list of hosts replaced by what `map` makes of it.
            pub(crate) fn map_hosts<G>(
                &self,
                map: &mut dyn FnMut(HostField, &H) -> G,
            ) -> FaultKind<G> {
                match self {
                    $(Self::$Kind(kind) => FaultKind::$Kind(kind.map_hosts(map)),)*
                }
            }
        }

        impl FaultKind {
            fn as_kind(&self) -> &dyn Kind {
                match self {
                    $(Self::$Kind(kind) => kind,)*
                }
            }

            fn as_kind_mut(&mut self) -> &mut dyn Kind {
                match self {
                    $(Self::$Kind(kind) => kind,)*
                }
            }
        }

        /// The ways to draw each kind, and whether engine turmoil can have the kind.
        fn draws_by_kind() -> impl Iterator<Item = (&'static [DrawFault], bool)> {
            [$(($Kind::<Vec<Name>>::draws(), $Kind::<Vec<Name>>::beyond_turmoil().is_none()),)*]
                .into_iter()
        }
    };
}

pub(super) use kinds;
