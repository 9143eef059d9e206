use proptest::prelude::*;

use super::*;

const QUANTITIES: [Quantity; 3] = [
    Quantity { name: "cpu", summary: "Percent.", max: 100.0 },
    Quantity { name: "jobs", summary: "Jobs.", max: u32::MAX as f64 },
    Quantity { name: "latency_ms", summary: "Milliseconds.", max: 1e6 },
];

fn parse(text: &str) -> Result<Formula, FormulaError> {
    Formula::parse(text, &QUANTITIES)
}

fn value(text: &str) -> f64 {
    let formula = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    formula.evaluate(&[50.0, 3.0, 2.5], 0b011)
}

#[test]
fn whole_numbers_and_fractions_mix() {
    assert_eq!(value("0.7 * cpu + 12 * jobs"), 0.7 * 50.0 + 36.0);
    assert_eq!(value("1 / 2 * jobs"), 1.5, "no division of whole numbers");
    assert_eq!(value("-jobs - -2"), -1.0);
    assert_eq!(value("jobs - 1 - 1"), 1.0);
    assert_eq!(value("2u * jobs + 0x10"), 22.0);
    assert_eq!(value("(cpu + 10) / max(jobs, 1)"), 20.0);
    assert_eq!(value("min(cpu, 7, latency_ms)"), 2.5);
    assert_eq!(value("abs(jobs - 10) + sqrt(cpu * 2)"), 17.0);
    assert_eq!(value("exp(-jobs / 1e9) > 0.9 && ln(jobs + 1) < 1.4 ? 1 : 0"), 1.0);
    assert_eq!(value("cpu > 50 || !(jobs != 3) ? jobs * jobs : 0"), 9.0);
    assert_eq!(value("cpu >= 50 ? (cpu <= 49 ? 1 : 2) : 3"), 2.0);
    assert_eq!(value("known(latency_ms) ? latency_ms : 9"), 9.0, "it is not known");
}

#[test]
fn errors_have_a_place_and_a_suggestion() {
    let error = |text: &str| {
        let error = parse(text).expect_err(text);
        (text[error.span.clone()].to_owned(), error.to_string())
    };
    let (part, message) = error("0.7 * cpuu + jobs");
    assert_eq!(part, "cpuu");
    assert_eq!(
        message,
        "unknown name `cpuu`: did you mean `cpu`? names here: cpu, jobs, latency_ms"
    );
    for (text, part, problem) in [
        ("jobs +* 2", "*", "extraneous input '*'"),
        ("jobs + ", "", "the end of the formula"),
        ("", "", "the end of the formula"),
        ("(jobs", "", "missing ')'"),
        ("jobs jobs", "j", "extraneous input 'jobs'"),
        ("jobs * \"a\"", "\"", "'\"' has no meaning"),
        ("jöbs", "ö", "'ö' has no meaning"),
        ("jobs\n", "\n", "has no meaning"),
        ("cpu > 3", "cpu > 3", "the formula is a condition"),
        ("1 + 2", "1 + 2", "names nothing"),
        ("1 / 0 + cpu", "0", "divide by zero"),
        ("1 / jobs", "jobs", "divide by zero"),
        ("cpu % 3", "%", "no part of a formula"),
        ("pow(cpu, 2)", "", "no function `pow` with 2 arguments"),
        ("min()", "", "no function `min`"),
        ("cpu.max(3)", "", "no part of a formula"),
        ("cpu[1]", "", "this operator is no part"),
        ("[1, 2].map(x, x)", "", "no part of a formula"),
        ("1e308 * cpu", "", "may be infinite"),
        ("sqrt(cpu - 1)", "", "root of a number below zero"),
        ("ln(cpu)", "cpu", "logarithm of zero"),
        ("exp(jobs)", "jobs", "may be infinite"),
        ("cpu ? 1 : 2", "cpu", "this is a number"),
        ("cpu + (cpu > 1)", "", "this is a condition"),
        ("known(3) ? cpu : 1", "3", "this is no name"),
    ] {
        let error = parse(text).expect_err(text);
        assert!(error.to_string().contains(problem), "{text}: {error}");
        let found = &text[error.span.clone()];
        assert!(part.is_empty() || found == part, "{text}: {found:?} is marked: {error}");
    }
}

#[test]
fn length_and_nesting_have_bounds() {
    let nested = |levels: usize| format!("{}jobs{}", "(".repeat(levels), ")".repeat(levels));
    assert!(parse(&nested(MAX_FORMULA_NESTING)).is_ok());
    let sum = |parts: usize| vec!["cpu"; parts].join("+");
    assert!(parse(&sum(125)).is_ok());
    let right = (0..40).fold("cpu".to_owned(), |inner, _| format!("1+({inner})"));
    for (text, problem) in [
        (nested(MAX_FORMULA_NESTING + 1), "nested too deeply"),
        ("-".repeat(300) + "jobs", "nested too deeply"),
        ("!".repeat(300) + "jobs", "nested too deeply"),
        ("cpu > 1 ? 1 : ".repeat(30) + "2", "nested too deeply"),
        ("[".repeat(400), "nested too deeply"),
        (right, "nested too deeply"),
        (sum(126), "too long"),
    ] {
        let error = parse(&text).expect_err(&text);
        assert!(error.to_string().contains(problem), "{text}: {error}");
    }
}

/// Formulas that are mostly well-formed.
fn formulas() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("cpu".to_owned()),
        Just("jobs".to_owned()),
        Just("latency_ms".to_owned()),
        (-5..50i32).prop_map(|number| number.to_string()),
        (0.0..3.0f64).prop_map(|number| format!("{number:.3}")),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            (pair.clone(), "[-+*/]").prop_map(|((x, y), sign)| format!("({x} {sign} {y})")),
            (pair.clone(), "min|max").prop_map(|((x, y), name)| format!("{name}({x}, {y})")),
            (inner.clone(), "abs|sqrt|exp|ln|-").prop_map(|(x, name)| format!("{name}({x})")),
            (inner, pair, "<|>=|!=").prop_map(|(x, (y, z), sign)| {
                format!("({x} {sign} {y} || known(cpu) ? {y} : {z})")
            }),
        ]
    })
}

proptest! {
    #[test]
    fn a_formula_that_is_accepted_has_a_finite_value(
        text in formulas(),
        cpu in prop_oneof![Just(0.0), Just(100.0), 0.0..100.0],
        jobs in prop_oneof![Just(0), Just(u32::MAX), 0..100u32],
        latency in prop_oneof![Just(0.0), Just(1e6), 0.0..100.0],
        known in 0..8u64,
    ) {
        if let Ok(formula) = parse(&text) {
            let value = formula.evaluate(&[cpu, f64::from(jobs), latency], known);
            prop_assert!(value.is_finite(), "{text} is {value}");
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[-a-z0-9_ .,:?!<>=&|+*/%(){}\\[\\]\"]{0,60}") {
        if let Err(error) = parse(&text) {
            prop_assert!(text.get(error.span.clone()).is_some(), "{error:?}");
        }
    }
}
