//! What a kind of fault must implement, and the macro that makes an enum from the list of kinds.

use mesh_core::conflict::Conflict;

use super::FaultKind;
use super::draw::DrawFault;
use super::effect::{FaultEffect, HostNumbers, Span};

/// What every kind of fault can do. It is implemented by the kind's parameters, as a checked
/// scenario has them.
///
/// The type of the parameters is generic over how hosts are named: `Crash<H>` names them by an `H`.
/// So one declaration serves a scenario file (patterns like "agent-*"), a checked scenario (names)
/// and a file that is written again. Besides this trait every kind has a method `map_hosts`, which
/// replaces each list of hosts by what a function makes of it and keeps the other parameters.
pub(super) trait FaultBehaviour {
    /// The field that engine turmoil can't honour; `None` if turmoil can have this kind of fault.
    fn field_beyond_turmoil() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// Why a live mesh of processes on one machine can't have this kind of fault; `None` if it can.
    fn why_not_live() -> Option<&'static str>
    where
        Self: Sized,
    {
        None
    }

    /// Whether the fault does nothing unless registries have a store.
    fn needs_store() -> bool
    where
        Self: Sized,
    {
        false
    }

    /// The functions with which an exploration draws a fault of this kind. Each explored run either
    /// uses a function or goes without it.
    fn draws() -> &'static [DrawFault]
    where
        Self: Sized;

    /// What the fault does, and when. Most kinds have one effect for the whole `span` of the fault.
    fn effects(&self, span: Span, hosts: &HostNumbers<'_>) -> Vec<(Span, FaultEffect)>;

    /// Whether the fault still does anything after hosts have been left out. `all_name_somebody`
    /// says whether each of its lists of hosts still names a host.
    fn still_hits(&mut self, all_name_somebody: bool) -> bool {
        all_name_somebody
    }

    /// The parameters that contradict each other, each with the field that it is in.
    fn conflicts(&self) -> Vec<(&'static str, Conflict)> {
        Vec::new()
    }

    /// The same fault with simpler parameters, in all ways that there are.
    fn simpler(&self) -> Vec<FaultKind> {
        Vec::new()
    }

    /// The name of the kind in reports: "one-way partition".
    fn label(&self) -> &'static str;

    /// The hosts that it hits, and its parameters, for reports: "agent-1..2 | registry".
    fn detail(&self) -> String;
}

/// Makes the enum [`FaultKind`](super::FaultKind) from a list of kinds. Each kind is given as its
/// file and its type; the name of the file is also the name of the kind in scenario files.
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
            /// The name of the kind in scenario files.
            pub const fn name(&self) -> &'static str {
                match self {
                    $(Self::$Kind(_) => stringify!($file),)*
                }
            }

            /// The field that engine turmoil can't honour; `None` if turmoil can have this kind.
            pub(crate) fn field_beyond_turmoil(&self) -> Option<&'static str> {
                match self {
                    $(Self::$Kind(_) => $Kind::<Vec<Name>>::field_beyond_turmoil(),)*
                }
            }

            /// Why a live mesh of processes on one machine can't have this kind; `None` if it can.
            pub fn why_not_live(&self) -> Option<&'static str> {
                match self {
                    $(Self::$Kind(_) => $Kind::<Vec<Name>>::why_not_live(),)*
                }
            }

            /// Whether the fault does nothing unless registries have a store.
            pub(crate) fn needs_store(&self) -> bool {
                match self {
                    $(Self::$Kind(_) => $Kind::<Vec<Name>>::needs_store(),)*
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
            fn as_kind(&self) -> &dyn FaultBehaviour {
                match self {
                    $(Self::$Kind(kind) => kind,)*
                }
            }

            fn as_kind_mut(&mut self) -> &mut dyn FaultBehaviour {
                match self {
                    $(Self::$Kind(kind) => kind,)*
                }
            }
        }

        /// The functions that draw faults, kind by kind.
        fn draws_by_kind() -> impl Iterator<Item = FaultDraw> {
            let mut all = Vec::new();
            $({
                let in_turmoil = $Kind::<Vec<Name>>::field_beyond_turmoil().is_none();
                let needs_store = $Kind::<Vec<Name>>::needs_store();
                let draws = $Kind::<Vec<Name>>::draws().iter();
                all.extend(draws.map(|draw| FaultDraw { draw: *draw, in_turmoil, needs_store }));
            })*
            all.into_iter()
        }
    };
}

pub(super) use kinds;
