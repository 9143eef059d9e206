//! Decorators made of others: pairs, and decorators that may be missing.

use std::sync::Arc;
use std::time::Duration;

use super::{Choosing, Decorator, EndedCall, HealthChange, RetryCost};
use crate::roster::{IsListed, ListedLease, PeerId};
use crate::time::Timestamp;

impl<A: Decorator, B: Decorator> Decorator for (A, B) {
    fn may_begin(&mut self, now: Timestamp) -> Result<(), Duration> {
        self.0.may_begin(now)?;
        self.1.may_begin(now)
    }

    fn on_request(&mut self, now: Timestamp) {
        self.0.on_request(now);
        self.1.on_request(now);
    }

    fn on_delegated(&mut self, now: Timestamp, is_success: bool) {
        self.0.on_delegated(now, is_success);
        self.1.on_delegated(now, is_success);
    }

    fn before_choice(&mut self, now: Timestamp, choosing: &mut Choosing<'_>) {
        self.0.before_choice(now, choosing);
        self.1.before_choice(now, choosing);
    }

    fn passed_over<'a>(&'a self, now: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.0.passed_over(now, pass_over);
        self.1.passed_over(now, pass_over);
    }

    fn held_back<'a>(&'a self, now: Timestamp, hold_back: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.0.held_back(now, hold_back);
        self.1.held_back(now, hold_back);
    }

    fn may_retry(&mut self, now: Timestamp, cost: RetryCost) -> bool {
        self.0.may_retry(now, cost) && self.1.may_retry(now, cost)
    }

    fn copy_after(&mut self, now: Timestamp) -> Option<Duration> {
        self.0.copy_after(now).or_else(|| self.1.copy_after(now))
    }

    fn on_sent(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        self.0.on_sent(now, peer, until);
        self.1.on_sent(now, peer, until);
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        // Both must hear of the end. If both change something, one report is enough.
        let (first, second) = (self.0.on_end(now, end), self.1.on_end(now, end));
        first.or(second)
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.0.on_list(is_listed);
        self.1.on_list(is_listed);
    }

    fn wants_members(&self) -> bool {
        self.0.wants_members() || self.1.wants_members()
    }

    fn on_joined(&mut self, now: Timestamp, lease: &Arc<ListedLease>) {
        self.0.on_joined(now, lease);
        self.1.on_joined(now, lease);
    }
}

/// One that is missing does nothing and allows everything.
impl<D: Decorator> Decorator for Option<Box<D>> {
    fn may_begin(&mut self, now: Timestamp) -> Result<(), Duration> {
        self.as_mut().map_or(Ok(()), |it| it.may_begin(now))
    }

    fn on_request(&mut self, now: Timestamp) {
        self.iter_mut().for_each(|it| it.on_request(now));
    }

    fn on_delegated(&mut self, now: Timestamp, is_success: bool) {
        self.iter_mut().for_each(|it| it.on_delegated(now, is_success));
    }

    fn before_choice(&mut self, now: Timestamp, choosing: &mut Choosing<'_>) {
        self.iter_mut().for_each(|it| it.before_choice(now, choosing));
    }

    fn passed_over<'a>(&'a self, now: Timestamp, pass_over: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.iter().for_each(|it| it.passed_over(now, pass_over));
    }

    fn held_back<'a>(&'a self, now: Timestamp, hold_back: &mut impl FnMut(&'a Arc<ListedLease>)) {
        self.iter().for_each(|it| it.held_back(now, hold_back));
    }

    fn may_retry(&mut self, now: Timestamp, cost: RetryCost) -> bool {
        self.as_mut().is_none_or(|it| it.may_retry(now, cost))
    }

    fn copy_after(&mut self, now: Timestamp) -> Option<Duration> {
        self.as_mut()?.copy_after(now)
    }

    fn on_sent(&mut self, now: Timestamp, peer: PeerId, until: Timestamp) {
        self.iter_mut().for_each(|it| it.on_sent(now, peer, until));
    }

    fn on_end(&mut self, now: Timestamp, end: &EndedCall<'_>) -> Option<HealthChange> {
        self.as_mut()?.on_end(now, end)
    }

    fn on_list(&mut self, is_listed: IsListed<'_>) {
        self.iter_mut().for_each(|it| it.on_list(is_listed));
    }

    fn wants_members(&self) -> bool {
        self.as_ref().is_some_and(|it| it.wants_members())
    }

    fn on_joined(&mut self, now: Timestamp, lease: &Arc<ListedLease>) {
        self.iter_mut().for_each(|it| it.on_joined(now, lease));
    }
}
