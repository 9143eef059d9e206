use mesh_core::seed::Seed;

use super::*;

const CONSTANT: Distribution = Distribution::Constant { value: 0.3 };
const EXPONENTIAL: Distribution = Distribution::Exponential { mean: 0.25 };
const LOGNORMAL: Distribution = Distribution::Lognormal { median: 0.2, sigma: 0.8 };
const PARETO: Distribution = Distribution::Pareto { min: 0.1, shape: 1.5, max: 2.0 };
const BIMODAL: Distribution = Distribution::Bimodal { low: 0.1, high: 1.1, high_ratio: 0.2 };
const UNIFORM: Distribution = Distribution::Uniform { min: 0.1, max: 0.5 };
/// A fifth of the draws would be below zero.
const NORMAL: Distribution = Distribution::Normal { mean: 0.2, standard_deviation: 0.25 };

/// Half of the draws between 0.1 s and 0.2 s, the rest up to 1 s.
fn empirical() -> Distribution {
    Distribution::Empirical { quantiles: [(0.0, 0.1), (0.5, 0.2), (1.0, 1.0)].into() }
}

/// Four times, one of them twice.
fn sampled() -> Distribution {
    Distribution::Sampled { values: [0.1, 0.2, 0.2, 0.9].into() }
}

fn all() -> [Distribution; 9] {
    [CONSTANT, EXPONENTIAL, LOGNORMAL, PARETO, BIMODAL, UNIFORM, NORMAL, empirical(), sampled()]
}

#[test]
fn normal_quantiles_match_known_values() {
    // Computed to 40 digits by root finding on erfc; one pair for each piece of AS241.
    for (p, expected) in [
        (0.6, 0.253_347_103_135_799_8),
        (0.9, 1.281_551_565_544_600_4),
        (0.975, 1.959_963_984_540_054),
        (0.999, 3.090_232_306_167_813_6),
        (1e-6, -4.753_424_308_822_899),
        (1e-12, -7.034_483_825_301_132),
        (1e-20, -9.262_340_089_798_408),
        (1e-300, -37.047_096_299_361_2),
    ] {
        let x = normal::quantile(p);
        assert!((x / expected - 1.0).abs() < 1e-15, "{p}: {x} is not {expected}");
    }
    assert_eq!(normal::quantile(0.5), 0.0);
    assert_eq!(normal::quantile(0.0), f64::NEG_INFINITY);
    assert_eq!(normal::quantile(1.0), f64::INFINITY);
}

#[test]
fn normal_quantile_inverts_the_distribution_function() {
    let cdf = |x: f64| libm::erfc(-x / std::f64::consts::SQRT_2) / 2.0;
    for step in 1..2_000 {
        let p = f64::from(step) / 2_000.0;
        // The distribution function's own rounding allows no more than some 1e-16.
        assert!((cdf(normal::quantile(p)) - p).abs() < 1e-15, "{p}");
    }
}

#[test]
fn quantiles_are_the_textbook_ones() {
    let cases = [
        (&CONSTANT, 0.99, 0.3),
        (&EXPONENTIAL, 0.5, 0.25 * std::f64::consts::LN_2),
        (&EXPONENTIAL, 0.99, 0.25 * 4.605_170_185_988_091),
        (&LOGNORMAL, 0.5, 0.2),
        (&LOGNORMAL, 0.975, 0.2 * libm::exp(0.8 * 1.959_963_984_540_054)),
        (&PARETO, 0.0, 0.1),
        (&PARETO, 0.5, 0.1 * libm::pow(2.0, 2.0 / 3.0)),
        (&PARETO, 0.999, 2.0),
        (&BIMODAL, 0.79, 0.1),
        (&BIMODAL, 0.81, 1.1),
        (&UNIFORM, 0.25, 0.2),
        (&NORMAL, 0.2, 0.0),
        (&NORMAL, 0.5, 0.2),
        (&NORMAL, 0.975, 0.2 + 0.25 * 1.959_963_984_540_054),
        (&empirical(), 0.0, 0.1),
        (&empirical(), 0.25, 0.15),
        (&empirical(), 0.5, 0.2),
        (&empirical(), 0.75, 0.6),
        (&sampled(), 0.24, 0.1),
        (&sampled(), 0.25, 0.2),
        (&sampled(), 0.74, 0.2),
        (&sampled(), 0.75, 0.9),
    ];
    for (distribution, u, seconds) in cases {
        assert_eq!(distribution.quantile(u), from_seconds(seconds), "{distribution:?} at {u}");
    }
}

#[test]
fn means_of_draws_match() {
    const DRAWS: u32 = 400_000;
    for distribution in all() {
        let mut rng = Seed::root(11).child("draws").rng();
        let total: Duration = (0..DRAWS).map(|_| distribution.sample(&mut rng)).sum();
        let ratio = (total / DRAWS).as_secs_f64() / distribution.mean().as_secs_f64();
        // The greatest coefficient of variation is bimodal's 1.33, so 5 sigma are 0.011.
        assert!((ratio - 1.0).abs() < 0.011, "{distribution:?}: {ratio}");
    }
}

#[test]
fn the_cut_pareto_mean_holds_at_and_around_shape_one() {
    // Mean at shape 1 is min x (1 + ln(max / min)).
    let expected = 0.1 * (1.0 + libm::log(20.0));
    for shape in [1.0 - 1e-9, 1.0, 1.0 + 1e-9] {
        let mean = Distribution::Pareto { min: 0.1, shape, max: 2.0 }.mean().as_secs_f64();
        assert!((mean - expected).abs() < 2e-9, "{shape}: {mean}");
    }
    let uncut = Distribution::Pareto { min: 1.0, shape: 3.0, max: f64::INFINITY };
    assert_eq!(uncut.mean(), Duration::from_millis(1500));
    let all_cut = Distribution::Pareto { min: 1.0, shape: 3.0, max: 0.5 };
    assert_eq!(all_cut.mean(), Duration::from_millis(500));
}

#[test]
fn the_clamped_normal_mean_is_the_textbook_one() {
    // m Phi(m/s) + s phi(m/s) with Phi(0.8) = 0.788144601416603, phi(0.8) = 0.289691552761483.
    let expected = 0.2 * 0.788_144_601_416_603 + 0.25 * 0.289_691_552_761_483;
    assert_eq!(NORMAL.mean(), from_seconds(expected));
    let fixed = Distribution::Normal { mean: 0.2, standard_deviation: 0.0 };
    assert_eq!(fixed.mean(), from_seconds(0.2));
}

#[test]
fn draws_never_fall_as_the_uniform_grows() {
    let swapped = Distribution::Bimodal { low: 1.0, high: 0.5, high_ratio: 0.3 };
    assert_eq!(swapped.mean(), Duration::from_millis(850));
    for distribution in all().iter().chain([&swapped]) {
        let mut last = Duration::ZERO;
        for step in 0..=100_000u64 {
            let u = (step as f64 / 100_000.0).min(1.0 - f64::EPSILON / 2.0);
            let drawn = distribution.quantile(u);
            assert!(drawn >= last, "{distribution:?} at {u}");
            last = drawn;
        }
    }
}

#[test]
fn each_draw_takes_one_uniform() {
    for distribution in all() {
        let mut rng = Seed::root(3).rng();
        let mut expected = rng.clone();
        distribution.sample(&mut rng);
        expected.next_u64();
        assert_eq!(rng.next_u64(), expected.next_u64(), "{distribution:?}");
    }
}

#[test]
fn extreme_parameters_saturate() {
    let longest = Duration::from_nanos(u64::MAX);
    assert_eq!(Distribution::Constant { value: 1e30 }.quantile(0.5), longest);
    assert_eq!(Distribution::Exponential { mean: 0.0 }.quantile(0.999), Duration::ZERO);
    assert_eq!(Distribution::Lognormal { median: 1.0, sigma: 1e6 }.quantile(0.9), longest);
    let still = Distribution::Lognormal { median: 1.0, sigma: 0.0 };
    assert_eq!(still.quantile(0.0), Duration::from_secs(1));
}
