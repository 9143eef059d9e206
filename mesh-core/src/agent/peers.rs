//! An agent's peers, and those of them that have something in common.

use super::contacts::Contacts;
use crate::protocol::Name;
use crate::resilience::{LocalityConfig, PeersLoad};
use crate::roster::{ListedLease, PeerId, Roster};

/// The agents that an agent may delegate to: all of the registry's list, without itself unless it
/// may delegate to itself.
#[derive(Clone, Debug, Default)]
pub struct Peers {
    pub(super) roster: Roster,
    /// The agent's own position in the list and its identity, if it is listed and may not delegate
    /// to itself.
    pub(super) own: Option<(usize, PeerId)>,
}

impl Peers {
    /// All agents of `roster` but the one called `own`, if there is such a name.
    pub fn new(roster: Roster, own: Option<&str>) -> Self {
        let own = own.and_then(|name| roster.find(name));
        let own = own.map(|(position, lease)| (position, lease.id()));
        Self { roster, own }
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.roster.len() - usize::from(self.own.is_some())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those of them for which `is_one` holds.
    fn filtered(&self, is_one: impl Fn(&ListedLease) -> bool) -> Self {
        let all = self.roster.shared_leases();
        let roster = Roster::of_shared(all.filter(|lease| is_one(lease)).cloned());
        let own = self.own().and_then(|own| self.roster.get(own)).map(|lease| lease.name.clone());
        Self::new(roster, own.as_deref())
    }

    /// The peers' names in order.
    pub fn names(&self) -> impl Iterator<Item = &Name> {
        self.leases().map(|lease| &lease.name)
    }

    /// The peers' leases in the order of their names.
    fn leases(&self) -> impl Iterator<Item = &ListedLease> {
        let own = self.own();
        let others = self.roster.iter().enumerate().filter(move |(at, _)| Some(*at) != own);
        others.map(|(_, lease)| lease)
    }

    /// The list that they come from, which may be shared with other agents.
    pub fn roster(&self) -> &Roster {
        &self.roster
    }

    /// The agent's own position in the list, if it is listed and is no peer of itself.
    pub fn own(&self) -> Option<usize> {
        self.own.map(|(position, _)| position)
    }

    /// Whether both are the same processes, whatever their loads.
    pub(super) fn have_same_lives(&self, other: &Self) -> bool {
        let own = |peers: &Self| peers.own.map(|(_, id)| id);
        self.roster.has_same_others(own(self), &other.roster, own(other))
    }
}

/// Parts of an agent's peers: those that have a skill, are at the agent's site, or both. Each is
/// looked up when it is needed first, and all are dropped when the list changes.
#[derive(Debug, Default)]
pub(super) struct PeerParts {
    parts: Vec<PartOfPeers>,
    /// Where the agent is and when its jobs leave the site, if peers of the site come first.
    locality: Option<Box<(Name, LocalityConfig)>>,
}

/// The most parts that are kept. Callers may ask for any number of skills.
const MAX_PARTS: usize = 64;

/// Those of the peers that have something in common.
#[derive(Debug)]
struct PartOfPeers {
    /// They have this skill, if one is named.
    skill: Option<Name>,
    /// Whether they are those at the agent's own site.
    at_site: bool,
    peers: Peers,
    /// The jobs that they had in flight by the list, less those of this agent when this was looked
    /// up. With the agent's present jobs: what they have in flight now.
    foreign: Option<i64>,
}

impl PeerParts {
    /// For an agent at this site, if it says where it is.
    pub(super) fn new(site: Option<&Name>, config: LocalityConfig) -> Self {
        let locality = site.filter(|_| config.locality).map(|site| (site.clone(), config).into());
        Self { parts: Vec::new(), locality }
    }

    /// The list has changed.
    pub(super) fn clear(&mut self) {
        self.parts.clear();
    }

    /// The peers of a part, by the place that it was last looked up at.
    pub(super) fn get(&self, place: usize) -> &Peers {
        &self.parts[place].peers
    }

    /// The place of those of `all` that have a skill.
    pub(super) fn with_skill(&mut self, all: &Peers, skill: &Name) -> usize {
        self.place(all, Some(skill), false)
    }

    /// The place of those of `all` that are at the agent's site and have a skill, if one is named;
    /// `None` if the job may leave the site.
    pub(super) fn at_site(
        &mut self,
        all: &Peers,
        contacts: &Contacts,
        skill: Option<&Name>,
    ) -> Option<usize> {
        let config = self.locality.as_ref()?.1;
        let anywhere = self.place(all, skill, false);
        let anywhere = self.parts[anywhere].load(contacts);
        let at_site = self.place(all, skill, true);
        let site = self.parts[at_site].load(contacts);
        config.stays(site, anywhere).then_some(at_site)
    }

    fn place(&mut self, all: &Peers, skill: Option<&Name>, at_site: bool) -> usize {
        let is_it = |part: &PartOfPeers| part.skill.as_ref() == skill && part.at_site == at_site;
        if let Some(place) = self.parts.iter().position(is_it) {
            return place;
        }
        if self.parts.len() == MAX_PARTS {
            self.parts.clear();
        }
        let site = self.locality.as_ref().map(|locality| &locality.0);
        let peers = match skill {
            // All of them: the list itself, which is shared.
            None if !at_site => all.clone(),
            _ => all.filtered(|ListedLease { profile, .. }| {
                skill.is_none_or(|skill| profile.skills().have(skill))
                    && (!at_site || profile.site() == site)
            }),
        };
        self.parts.push(PartOfPeers { skill: skill.cloned(), at_site, peers, foreign: None });
        self.parts.len() - 1
    }
}

impl PartOfPeers {
    /// What the peers have in flight now, as far as the agent knows.
    fn load(&mut self, contacts: &Contacts) -> PeersLoad {
        let peers = &self.peers;
        let own = contacts.outstanding_of(peers.leases().map(ListedLease::id));
        let foreign = *self.foreign.get_or_insert_with(|| {
            let reports = peers.leases().filter_map(|lease| lease.load);
            let reported: i64 = reports.map(|load| i64::from(load.in_flight)).sum();
            reported.saturating_sub_unsigned(own)
        });
        let in_flight = foreign.saturating_add_unsigned(own).max(0).cast_unsigned();
        PeersLoad { peers: peers.len(), in_flight }
    }
}
