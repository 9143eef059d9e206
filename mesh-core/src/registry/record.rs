//! What a store keeps of a name, and how it changes.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::lease::{Lease, Registration};
use crate::profile::{Profile, Weight};
use crate::protocol::Name;
use crate::skills::Skills;

/// Who else writes to a registry's store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeping {
    /// There is no store: a restart forgets the leases.
    Nowhere,
    /// The registry alone. A change counts once the store has it.
    Alone,
    /// Other registries, too. A change counts once it has come back among the changes of all, in
    /// their order.
    Shared,
}

/// What a store keeps of a name: its last lease, live or ended. It has no times, because only the
/// clock of one running registry can tell whether a lease is live.
#[derive(Clone, Debug, PartialEq)]
pub struct LeaseRecord {
    /// The agent's name.
    pub name: Name,
    /// Where to reach the agent, as it was registered.
    pub url: Arc<str>,
    /// The incarnation that holds the lease, if the agent names one.
    pub incarnation: Option<u64>,
    /// The greatest incarnation that the name has had.
    pub greatest: Option<u64>,
    /// The agent's profile.
    pub profile: Profile,
    /// Whose the lease is; `None` if nobody knows.
    pub owner: Option<Arc<str>>,
    /// Whether the agent drains.
    pub draining: bool,
    /// Whether the lease is over. Such a record keeps the incarnation from coming back.
    pub ended: bool,
    /// How many records the name has had.
    pub version: u64,
}

impl LeaseRecord {
    /// The record of a lease that is granted, after `last`.
    pub(super) fn granted(registration: &Registration, last: Option<&Self>) -> Self {
        let Registration { name, url, incarnation, profile, owner, draining, .. } = registration;
        let next = Self {
            name: name.clone(),
            url: url.clone(),
            incarnation: *incarnation,
            greatest: *incarnation,
            profile: profile.clone(),
            owner: owner.clone(),
            draining: *draining,
            ended: false,
            version: 0,
        };
        next.after(last)
    }

    /// The record of a live lease, after `last`.
    pub(super) fn of(lease: &Lease, last: Option<&Self>) -> Self {
        let record = Self {
            name: lease.name.clone(),
            url: lease.url.clone(),
            incarnation: lease.incarnation,
            greatest: lease.incarnation,
            profile: lease.profile.clone(),
            owner: lease.owner.clone(),
            draining: lease.draining,
            ended: false,
            version: 0,
        };
        record.after(last)
    }

    /// The record after this one, which says that the lease is over.
    pub(super) fn end(&self) -> Self {
        Self { ended: true, draining: false, ..self.clone() }.after(Some(self))
    }

    fn after(self, last: Option<&Self>) -> Self {
        let greatest = last.and_then(|last| last.greatest);
        let version = last.map_or(1, |last| last.version.saturating_add(1));
        Self { greatest: self.greatest.max(greatest), version, ..self }
    }

    /// Whether both say the same of the name's lease, whatever came before it.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let Self {
            name,
            url,
            incarnation,
            greatest: _,
            profile,
            owner,
            draining,
            ended,
            version: _,
        } = other;
        (&self.name, &self.url, &self.incarnation) == (name, url, incarnation)
            && (&self.profile, &self.owner) == (profile, owner)
            && (self.draining, self.ended) == (*draining, *ended)
    }

    /// Whether a caller may take the name, as far as this record says.
    pub(super) fn is_open_to(&self, caller: Option<&Arc<str>>) -> bool {
        self.ended || caller.is_none() || self.owner.is_none() || self.owner.as_ref() == caller
    }

    /// Whether this record comes after the other one. Records of a store that has lost its last
    /// changes are told by it from newer ones.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        (self.greatest, self.version) > (other.greatest, other.version)
    }

    /// The record as stores keep it: JSON with its fields in a fixed order, so that equal records
    /// are equal bytes.
    pub fn encode(&self) -> String {
        let profile = &self.profile;
        let text = serde_json::to_string(&RecordText {
            format: FORMAT,
            name: self.name.clone(),
            url: self.url.clone(),
            incarnation: self.incarnation,
            greatest: self.greatest,
            skills: profile.skills().clone(),
            weight: profile.weight(),
            site: profile.site().cloned(),
            owner: self.owner.clone(),
            draining: self.draining,
            ended: self.ended,
            version: self.version,
        });
        // It has no maps and no fallible field.
        text.unwrap_or_default()
    }

    /// Reads a record.
    ///
    /// # Errors
    /// If it is damaged, or of a later version of this program.
    pub fn decode(json: &[u8]) -> Result<Self, RecordError> {
        #[derive(Deserialize)]
        struct Format {
            format: u64,
        }
        let damaged = |error: serde_json::Error| RecordError::Damaged(error.to_string());
        let Format { format } = serde_json::from_slice(json).map_err(damaged)?;
        if format != FORMAT {
            return Err(RecordError::Format(format));
        }
        let text: RecordText = serde_json::from_slice(json).map_err(damaged)?;
        super::checks::name(&text.name)
            .and_then(|()| super::checks::url(&text.url))
            .map_err(|error| RecordError::Damaged(error.to_string()))?;
        Ok(Self {
            name: text.name,
            url: text.url,
            incarnation: text.incarnation,
            greatest: text.greatest,
            profile: Profile::new(text.skills, text.weight, text.site),
            owner: text.owner,
            draining: text.draining,
            ended: text.ended,
            version: text.version,
        })
    }
}

/// The format that this version writes. A version with other fields has a greater one.
const FORMAT: u64 = 1;

/// A record's fields as they stand in its JSON.
#[derive(Serialize, Deserialize)]
struct RecordText {
    format: u64,
    name: Name,
    url: Arc<str>,
    incarnation: Option<u64>,
    greatest: Option<u64>,
    skills: Skills,
    weight: Weight,
    site: Option<Name>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner: Option<Arc<str>>,
    draining: bool,
    ended: bool,
    version: u64,
}

/// Why a stored record can't be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// It is not what this program writes.
    #[error("a record is damaged: {0}")]
    Damaged(String),
    /// A later version of this program has written it.
    #[error("a record has format {0}, but this version of the program knows only format {FORMAT}")]
    Format(u64),
}

/// Numbers the changes that a registry asks its store for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ChangeId(pub u64);

/// A change of one record: compare and set.
///
/// The store makes it only if it still has the record that the registry expects. So a change that
/// is repeated, because the first answer was lost, does no harm, and of two registries that change
/// one name at once, one learns that it was too late.
#[derive(Clone, Debug, PartialEq)]
pub struct StoreChange {
    /// Names the change in [`DurableRegistry::handle_persisted`](super::DurableRegistry::handle_persisted).
    pub id: ChangeId,
    /// The name whose record changes.
    pub name: Name,
    /// The record that the store must have now; `None`: none.
    pub expected: Option<LeaseRecord>,
    /// The new record; `None`: the record goes.
    pub record: Option<LeaseRecord>,
}
