//! Which requests belong to which session.

use std::collections::BTreeMap;

use mesh_core::Timestamp;
use mesh_core::seed::{Rng, Seed};
use mesh_core::sessions::SessionTurn;

use crate::dist::unit_exponential;
use crate::scenario::SessionSpec;

/// Assigns requests to sessions. When requests are due does not depend on it: a request of a session
/// continues the one that has paused longest, or begins a new one if none has paused long enough.
#[derive(Clone, Debug)]
pub(super) struct SessionDraws {
    spec: SessionSpec,
    /// The sessions that go on, by the time at which their pause is over, and their number.
    paused: BTreeMap<(Timestamp, u64), PausedSession>,
    rng: Rng,
}

#[derive(Clone, Copy, Debug)]
struct PausedSession {
    next_turn: u32,
    /// How many requests are left.
    left: u32,
}

impl SessionDraws {
    pub(super) fn new(spec: &SessionSpec, seed: &Seed) -> Self {
        let rng = seed.child("sessions").rng();
        Self { spec: spec.clone(), paused: BTreeMap::new(), rng }
    }

    /// The turn of a session that the request `index`, due at `at`, is; `None` if it belongs to
    /// none.
    pub(super) fn next(&mut self, index: u64, at: Timestamp) -> Option<SessionTurn> {
        if self.rng.unit() >= self.spec.share {
            return None;
        }
        let ready = self.paused.first_key_value().map(|(key, _)| *key);
        let going_on = ready.filter(|(until, _)| *until <= at);
        let (session, state) = match going_on.and_then(|key| self.paused.remove_entry(&key)) {
            Some(((_, session), state)) => (session, state),
            // The number of its first request names it.
            None => (index, PausedSession { next_turn: 0, left: self.length() }),
        };
        if state.left > 1 {
            let until = at + self.spec.pause.sample(&mut self.rng);
            let next_turn = state.next_turn.saturating_add(1);
            self.paused.insert((until, session), PausedSession { next_turn, left: state.left - 1 });
        }
        Some(SessionTurn { session, turn: state.next_turn, warm: self.spec.warm })
    }

    /// Draws the number of requests of a session: geometrically distributed, at least 1.
    fn length(&mut self) -> u32 {
        let ends = 1.0 / self.spec.length;
        // The number of failures before the first success, by inversion.
        let more = unit_exponential(self.rng.unit()) / -libm::log1p(-ends);
        if ends >= 1.0 { 1 } else { (more.floor() as u32).saturating_add(1) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::dist::Distribution;

    #[test]
    fn sessions_have_their_share_their_length_and_their_pauses() {
        let pause = Distribution::Constant { value: 2.0 };
        let spec = SessionSpec { share: 0.5, length: 4.0, pause, warm: 0.4 };
        let mut draws = SessionDraws::new(&spec, &Seed::root(3));
        let mut turns: BTreeMap<u64, Vec<(u32, Timestamp)>> = BTreeMap::new();
        let count = 40_000;
        for index in 0..count {
            let at = Timestamp::ZERO + Duration::from_millis(10 * index);
            if let Some(turn) = draws.next(index, at) {
                turns.entry(turn.session).or_default().push((turn.turn, at));
            }
        }
        let jobs: usize = turns.values().map(Vec::len).sum();
        // 5 standard deviations of a binomial count.
        assert!((jobs as f64 - 20_000.0).abs() < 5.0 * 100.0, "{jobs}");
        for session in turns.values() {
            assert!(session.iter().map(|(turn, _)| *turn).eq(0..session.len() as u32));
            assert!(session.windows(2).all(|two| two[1].1.since(two[0].1).as_secs() >= 2));
        }
        // Of the mean of some 5,000 geometric lengths, whose standard deviation is 3.5; the last
        // sessions are cut off.
        let mean = jobs as f64 / turns.len() as f64;
        assert!((mean - 4.0).abs() < 0.3, "{mean}");
    }
}
