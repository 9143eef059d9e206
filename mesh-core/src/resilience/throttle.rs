//! Adaptive throttling: an agent whose delegations keep failing refuses a share of the new ones
//! itself, so that peers that have too much to do are not kept busy with refusing and timing out.
//!
//! With `n` requests in the last window, `s` of which succeeded, a new request is refused with the
//! probability
//!
//! ```text
//! p = min(max, (max(0, n - s / threshold) / (n + 1)) ^ (1 / aggression))
//! ```
//!
//! That is the admission control of Envoy (its documentation of the filter `admission_control`) and,
//! with an aggression of 1 and `threshold = 1 / K`, the client-side throttling of Google's SRE book
//! (chapter 21, `max(0, (requests - K * accepts) / (requests + 1))`, K = 2). Requests that were
//! refused here count as requests, as both say: otherwise the agent would forget how many there are.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Decorator;
use crate::duration::AsText;
use crate::seed::{Rng, Seed};
use crate::time::{Timestamp, nanos};

/// The window slides in this many steps.
const STEPS: u32 = 40;

/// When an agent refuses delegations, because most of the last ones failed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ThrottleConfig {
    /// Whether an agent refuses a share of the delegations while too many of them fail.
    pub throttle: bool,
    /// The share of the delegations that should succeed: if it is less, some are refused. 0.5 lets
    /// twice as many pass as succeed (K = 2 in Google's SRE book); Envoy's default is 0.95.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.01, max = 1.0)))]
    pub throttle_threshold: f64,
    /// With 1, the probability of a refusal grows in proportion to the lack of successes; with
    /// more, it is greater at once.
    #[cfg_attr(feature = "schema", schemars(range(min = 1.0, max = 100.0)))]
    pub throttle_aggression: f64,
    /// The greatest probability of a refusal.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1.0)))]
    pub throttle_max: f64,
    /// The delegations of this time count; it should be longer than most of them take.
    #[serde(with = "AsText")]
    pub throttle_window: Duration,
    /// Nothing is refused while there are fewer delegations per second than this.
    #[cfg_attr(feature = "schema", schemars(range(min = 0.0, max = 1_000_000.0)))]
    pub throttle_min_rate: f64,
}

impl Default for ThrottleConfig {
    /// Off; K = 2 over two minutes, as the SRE book says.
    fn default() -> Self {
        Self {
            throttle: false,
            throttle_threshold: 0.5,
            throttle_aggression: 1.0,
            throttle_max: 1.0,
            throttle_window: Duration::from_secs(120),
            throttle_min_rate: 1.0,
        }
    }
}

/// Requests and successes of one step of the window, or of all of it.
#[derive(Clone, Copy, Debug, Default)]
struct WindowSums {
    requests: u64,
    successes: u64,
}

/// The recent delegations of an agent, and how many of them succeeded.
///
/// A delegation counts as a request when it begins, and as a success when it ends, so the window has
/// to be longer than a delegation.
#[derive(Clone, Debug)]
pub(crate) struct Throttle {
    config: ThrottleConfig,
    rng: Rng,
    /// The steps of the window that had requests or successes, each with its number, the oldest
    /// first.
    steps: VecDeque<(u64, WindowSums)>,
    /// The sum of `steps`.
    sum: WindowSums,
}

impl Decorator for Throttle {
    fn may_begin(&mut self, now: Timestamp) -> Result<(), Duration> {
        let p = self.probability(now);
        self.step(now).requests += 1;
        self.sum.requests += 1;
        if p > 0.0 && self.rng.unit() < p {
            return Err(self.step_length());
        }
        Ok(())
    }

    fn on_delegated(&mut self, now: Timestamp, is_success: bool) {
        self.slide(now);
        if is_success {
            self.step(now).successes += 1;
            self.sum.successes += 1;
        }
    }
}

impl Throttle {
    /// A throttle, if the settings want one.
    pub(super) fn new(config: &ThrottleConfig, seed: &Seed) -> Option<Self> {
        config.throttle.then(|| Self {
            config: *config,
            rng: seed.child("throttle").rng(),
            steps: VecDeque::new(),
            sum: WindowSums::default(),
        })
    }

    /// The probability with which a request is refused now.
    fn probability(&mut self, now: Timestamp) -> f64 {
        self.slide(now);
        let ThrottleConfig { throttle_threshold, throttle_aggression, .. } = self.config;
        let (requests, successes) = (self.sum.requests as f64, self.sum.successes as f64);
        let window = self.config.throttle_window.as_secs_f64();
        if requests < self.config.throttle_min_rate * window {
            return 0.0;
        }
        let share = (requests - successes / throttle_threshold).max(0.0) / (requests + 1.0);
        libm::pow(share, 1.0 / throttle_aggression).min(self.config.throttle_max)
    }

    fn step_length(&self) -> Duration {
        (self.config.throttle_window / STEPS).max(Duration::from_nanos(1))
    }

    /// The number of the step that `now` is in.
    fn number(&self, now: Timestamp) -> u64 {
        now.as_nanos() / nanos(self.step_length())
    }

    /// Forgets what is older than the window.
    fn slide(&mut self, now: Timestamp) {
        let number = self.number(now);
        while let Some((first, counts)) = self.steps.front()
            && first + u64::from(STEPS) <= number
        {
            self.sum.requests -= counts.requests;
            self.sum.successes -= counts.successes;
            self.steps.pop_front();
        }
    }

    /// The present step.
    fn step(&mut self, now: Timestamp) -> &mut WindowSums {
        let number = self.number(now);
        if self.steps.back().is_none_or(|(last, _)| *last < number) {
            self.steps.push_back((number, WindowSums::default()));
        }
        let last = self.steps.len() - 1;
        &mut self.steps[last].1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(secs)
    }

    fn throttle(config: ThrottleConfig) -> Throttle {
        let config = ThrottleConfig { throttle: true, ..config };
        Throttle::new(&config, &Seed::root(1)).expect("it is switched on")
    }

    /// The probability after this many requests and successes.
    fn probability(config: ThrottleConfig, (requests, successes): (u64, u64)) -> f64 {
        let mut throttle = throttle(config);
        for _ in 0..requests {
            let _ = throttle.may_begin(Timestamp::ZERO);
        }
        (0..successes).for_each(|_| throttle.on_delegated(Timestamp::ZERO, true));
        throttle.probability(Timestamp::ZERO)
    }

    #[test]
    fn it_is_the_formula_of_the_sre_book_and_that_of_envoy() {
        let sre = ThrottleConfig { throttle_min_rate: 0.0, ..ThrottleConfig::default() };
        for (counts, expected) in
            [((0, 0), 0.0), ((100, 50), 0.0), ((100, 40), 20.0 / 101.0), ((999, 0), 0.999)]
        {
            assert!((probability(sre, counts) - expected).abs() < 1e-12, "{counts:?}");
        }
        let envoy = ThrottleConfig {
            throttle_threshold: 0.95,
            throttle_aggression: 2.0,
            throttle_max: 0.8,
            ..sre
        };
        let expected = ((1000.0 - 475.0 / 0.95) / 1001.0f64).sqrt();
        assert!((probability(envoy, (1000, 475)) - expected).abs() < 1e-12);
        assert!((probability(envoy, (1000, 0)) - 0.8).abs() < 1e-12, "the cap");
        let quiet = ThrottleConfig { throttle_min_rate: 1.0, ..sre };
        assert!(probability(quiet, (119, 0)) <= 0.0 && probability(quiet, (120, 0)) > 0.9);
    }

    #[test]
    fn the_window_slides() {
        let mut throttle = throttle(ThrottleConfig::default());
        for second in 0..1_000 {
            for _ in 0..10 {
                let _ = throttle.may_begin(at(second));
            }
            throttle.on_delegated(at(second), second >= 500);
            assert!(throttle.steps.len() <= STEPS as usize);
        }
        assert!((1_180..=1_200).contains(&throttle.sum.requests), "{:?}", throttle.sum);
        assert!((118..=120).contains(&throttle.sum.successes), "{:?}", throttle.sum);
        assert!(throttle.probability(at(2_000)) <= 0.0, "all is forgotten");
    }

    #[test]
    fn it_lets_k_times_as_many_pass_as_succeed() {
        // The peers do 20 of 100 requests a second: of those, K = 2 times as many are sent.
        let mut throttle = throttle(ThrottleConfig::default());
        let mut passed = 0;
        for second in 0..1_000 {
            let sent = (0..100).filter(|_| throttle.may_begin(at(second)).is_ok()).count();
            (0..sent.min(20)).for_each(|_| throttle.on_delegated(at(second), true));
            passed += if second >= 200 { sent } else { 0 };
        }
        // 32,000 draws: the standard error is 0.2 a second.
        let rate = passed as f64 / 800.0;
        assert!((39.0..=42.0).contains(&rate), "{rate}");
    }
}
