//! Whether an agent believes the registry's list when peers are missing from it.

use std::time::Duration;

use crate::protocol::Name;
use crate::registry::longest_pause;
use crate::roster::{Listing, Roster};
use crate::time::Timestamp;

/// What an agent remembers of the registry's answers, to judge the next list by it.
///
/// As a rule, a peer that is missing from a list is gone. But a registry that has restarted, or
/// that could not hear the agents, lists nobody until their next heartbeats, and a view that
/// followed such a list would be empty. So an agent keeps missing peers for one TTL when a list is
/// in doubt:
///
/// - the first list of a restarted registry (another epoch);
/// - the first list after a silence: calls failed, and none was answered for two fifths of a TTL;
/// - a list without this agent, although it holds a lease and was in the last list, or without any
///   peer, although the last list had some. The TTL then counts from that last list.
#[derive(Debug)]
pub(super) struct RegistryTrust {
    /// The epoch of the last list; `None` before the first.
    epoch: Option<u64>,
    /// When the registry answered last.
    answered_at: Timestamp,
    /// Whether a call has failed since.
    has_failed: bool,
    /// Whether the registry was silent, and no list has come since.
    was_silent: bool,
    /// When the last list came.
    listed_at: Timestamp,
    /// Whether this agent was in it.
    named_self: bool,
    /// Whether other agents were in it.
    named_others: bool,
}

/// Whether a list is to be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ListTrust {
    /// Peers that are missing from it are gone.
    Believed,
    /// Peers that are missing from it are kept until this time.
    Doubted(Timestamp),
}

impl RegistryTrust {
    pub(super) const fn new(now: Timestamp) -> Self {
        Self {
            epoch: None,
            answered_at: now,
            has_failed: false,
            was_silent: false,
            listed_at: now,
            named_self: false,
            named_others: false,
        }
    }

    /// A call to the registry was not answered.
    pub(super) fn failed(&mut self) {
        self.has_failed = true;
    }

    /// A call to the registry was answered.
    pub(super) fn answered(&mut self, now: Timestamp, ttl: Duration) {
        self.was_silent |= self.has_failed && now.since(self.answered_at) > longest_pause(ttl);
        (self.answered_at, self.has_failed) = (now, false);
    }

    /// Judges a list that has come. `is_held`: the registry has granted this agent a lease.
    pub(super) fn judge(
        &mut self,
        now: Timestamp,
        ttl: Duration,
        listing: &Listing,
        own: &Name,
        is_held: bool,
    ) -> ListTrust {
        let names_self = listing.leases.position(own).is_some();
        let names_others = others(&listing.leases, names_self);
        let is_first = self.epoch.is_none();
        let is_another = self.epoch.is_some_and(|epoch| epoch != listing.epoch);
        // A registry that knows its agents makes no such list, as a rule: this agent lives, and all
        // peers rarely die at once.
        let forgets_self = is_held && self.named_self && !names_self;
        let forgets_all = self.named_others && !names_others;
        let list_trust = match (self.was_silent || is_another, forgets_self || forgets_all) {
            // There is no view yet that it could empty.
            _ if is_first => ListTrust::Believed,
            (true, _) => ListTrust::Doubted(now + ttl),
            (_, true) => ListTrust::Doubted(self.listed_at + ttl),
            _ => ListTrust::Believed,
        };
        (self.epoch, self.listed_at, self.was_silent) = (Some(listing.epoch), now, false);
        (self.named_self, self.named_others) = (names_self, names_others);
        list_trust
    }
}

/// Whether a list names other agents than this one.
fn others(leases: &Roster, names_self: bool) -> bool {
    leases.len() > usize::from(names_self)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roster::ListedLease;

    const TTL: Duration = Duration::from_secs(30);

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    fn listing(epoch: u64, names: &[&str]) -> Listing {
        let lease = |name: &&str| ListedLease::new(*name, "h:1", 1, None);
        Listing { epoch, leases: names.iter().map(lease).collect() }
    }

    /// An agent that holds a lease and was given a list at second 0.
    fn listed(names: &[&str]) -> RegistryTrust {
        let mut trust = RegistryTrust::new(at(0));
        assert_eq!(judged(&mut trust, 0, 1, names), ListTrust::Believed);
        trust
    }

    fn judged(trust: &mut RegistryTrust, secs: u64, epoch: u64, names: &[&str]) -> ListTrust {
        trust.answered(at(secs), TTL);
        trust.judge(at(secs), TTL, &listing(epoch, names), &"me".into(), true)
    }

    #[test]
    fn a_list_is_believed_as_a_rule() {
        let mut trust = listed(&["a", "b", "me"]);
        assert_eq!(judged(&mut trust, 5, 1, &["a", "me"]), ListTrust::Believed);
        trust.failed();
        assert_eq!(judged(&mut trust, 17, 1, &["me", "z"]), ListTrust::Believed, "a short silence");
        assert_eq!(
            judged(&mut trust, 90, 1, &["me", "y"]),
            ListTrust::Believed,
            "lists that come rarely"
        );
    }

    #[test]
    fn the_first_list_after_a_silence_or_of_another_life_is_in_doubt() {
        let mut trust = listed(&["a", "me"]);
        trust.failed();
        assert_eq!(judged(&mut trust, 16, 1, &["me", "b"]), ListTrust::Doubted(at(46)));
        assert_eq!(judged(&mut trust, 17, 1, &["me", "b"]), ListTrust::Believed);
        assert_eq!(judged(&mut trust, 18, 2, &["me", "b"]), ListTrust::Doubted(at(48)));
        assert_eq!(judged(&mut trust, 19, 2, &["me", "b"]), ListTrust::Believed);
    }

    #[test]
    fn a_silence_that_a_heartbeat_ends_is_one_too() {
        let mut trust = listed(&["a", "me"]);
        trust.failed();
        trust.answered(at(60), TTL);
        assert_eq!(judged(&mut trust, 61, 1, &["me", "b"]), ListTrust::Doubted(at(91)));
    }

    #[test]
    fn a_list_that_forgets_this_agent_or_everybody_else_is_in_doubt() {
        for forgetful in [&["b"][..], &["me"], &[]] {
            let mut trust = listed(&["a", "b", "me"]);
            judged(&mut trust, 5, 1, &["a", "b", "me"]);
            assert_eq!(
                judged(&mut trust, 10, 1, forgetful),
                ListTrust::Doubted(at(35)),
                "{forgetful:?}"
            );
            assert_eq!(judged(&mut trust, 15, 1, forgetful), ListTrust::Believed, "but once");
        }
        let mut trust = listed(&["a"]);
        assert_eq!(judged(&mut trust, 5, 1, &["a"]), ListTrust::Believed, "not listed yet");
    }
}
