//! The cases of the W3C test suite (`w3c/trace-context`, `test/test.py`), each under its name there.
//!
//! That suite calls a service and looks at the call that the service makes. Here the service is a
//! [`TraceContext`] that is read, and its child that is written. What the suite calls "a newly
//! generated trace id" is no context here.

use proptest::prelude::*;

use super::*;
use crate::seed::{Rng, Seed};

const TRACE: &str = "12345678901234567890123456789012";
const PARENT: &str = "1234567890123456";

/// What is read from header lines, in this order.
fn read(parents: &[&str], states: &[&str]) -> Option<TraceContext> {
    TraceContext::from_lines(parents, states)
}

fn parse(parent: &str) -> Option<TraceContext> {
    read(&[parent], &[])
}

/// What is sent on when `tracestate` has these lines, beside a valid `traceparent`.
fn state(lines: &[&str]) -> Option<String> {
    let parent = format!("00-{TRACE}-{PARENT}-00");
    let context = read(&[&parent], lines).expect("whatever tracestate says");
    assert_eq!(context.trace_id().to_string(), TRACE, "{lines:?}");
    context.child(&mut rng()).tracestate().map(str::to_owned)
}

fn rng() -> Rng {
    Seed::root(7).child("spans").rng()
}

/// Asserts which of these texts are contexts, in the case of the suite that has this name.
fn check(name: &str, good: &[&str], bad: &[&str]) {
    for text in good {
        let context = parse(text).unwrap_or_else(|| panic!("{name}: {text:?}"));
        let child = context.child(&mut rng());
        assert_eq!(child.trace_id().to_string(), TRACE, "{name}: {text:?}");
        assert_ne!(child.parent_id().to_string(), PARENT, "{name}: {text:?}");
        assert!(child.traceparent().starts_with("00-"), "{name}: later versions become 00");
    }
    for text in bad {
        assert_eq!(parse(text), None, "{name}: {text:?}");
    }
}

#[test]
fn traceparent_cases_of_the_suite_about_the_whole_field() {
    let with = |version: &str, rest: &str| format!("{version}-{TRACE}-{PARENT}-01{rest}");
    let [good, future] = ["", "-what-the-future-will-be-like"].map(|rest| with("00", rest));
    check("test_traceparent_included_tracestate_missing", &[&good], &[]);
    check("test_traceparent_version_0x00", &[], &[&with("00", "."), &future]);
    check(
        "test_traceparent_version_0xcc",
        &[&with("cc", ""), &with("cc", "-what-the-future-will-be-like")],
        &[&with("cc", ".what-the-future-will-be-like")],
    );
    check("test_traceparent_version_0xff", &[], &[&with("ff", "")]);
    let illegal = [with(".0", ""), with("0.", "")];
    check("test_traceparent_version_illegal_characters", &[], &illegal.each_ref().map(|it| &**it));
    let long = [with("000", ""), with("0000", "")];
    check("test_traceparent_version_too_long", &[], &long.each_ref().map(|it| &**it));
    check("test_traceparent_version_too_short", &[], &[&with("0", "")]);
    let around = [(" ", ""), ("\t", ""), ("", " "), ("", "\t"), ("\t ", " \t")];
    for (before, after) in around {
        check("test_traceparent_ows_handling", &[&format!("{before}{good}{after}")], &[]);
    }
}

#[test]
fn traceparent_cases_of_the_suite_about_its_parts() {
    let trace = |name: &str, id: &str| check(name, &[], &[&format!("00-{id}-{PARENT}-01")]);
    trace("test_traceparent_trace_id_all_zero", "00000000000000000000000000000000");
    trace("test_traceparent_trace_id_illegal_characters", ".2345678901234567890123456789012");
    trace("test_traceparent_trace_id_illegal_characters", "1234567890123456789012345678901.");
    trace("test_traceparent_trace_id_too_long", "123456789012345678901234567890123");
    trace("test_traceparent_trace_id_too_short", "1234567890123456789012345678901");
    let parent = |name: &str, id: &str| check(name, &[], &[&format!("00-{TRACE}-{id}-01")]);
    parent("test_traceparent_parent_id_all_zero", "0000000000000000");
    parent("test_traceparent_parent_id_illegal_characters", ".234567890123456");
    parent("test_traceparent_parent_id_illegal_characters", "123456789012345.");
    parent("test_traceparent_parent_id_too_long", "12345678901234567");
    parent("test_traceparent_parent_id_too_short", "123456789012345");
    let flags =
        |name: &str, bits: &str| check(name, &[], &[&format!("00-{TRACE}-{PARENT}-{bits}")]);
    flags("test_traceparent_trace_flags_illegal_characters", ".0");
    flags("test_traceparent_trace_flags_illegal_characters", "0.");
    flags("test_traceparent_trace_flags_too_long", "001");
    flags("test_traceparent_trace_flags_too_short", "1");
}

#[test]
fn test_both_traceparent_and_tracestate_missing() {
    assert_eq!(read(&[], &[]), None);
    let mut rng = rng();
    let root = TraceContext::root(&mut rng, true);
    assert_eq!(parse(&root.traceparent()), Some(root.clone()));
    assert!(root.is_sampled() && root.is_random() && root.traceparent().ends_with("-03"));
    let unsampled = TraceContext::root(&mut rng, false);
    assert!(!unsampled.is_sampled() && unsampled.traceparent().ends_with("-02"));
    assert_ne!(root.trace_id(), unsampled.trace_id());
}

#[test]
fn test_traceparent_duplicated() {
    let one = format!("00-{TRACE}-{PARENT}-01");
    let other = one.replace(TRACE, "12345678901234567890123456789011");
    assert_eq!(read(&[&other, &one], &["foo=1"]), None);
    assert_eq!(read(&[&one, &one], &[]), None);
    assert_eq!(read(&[&one, ""], &[]), None, "who knows what the empty one meant");
    assert_eq!(parse(&format!("{other},{one}")), None, "as proxies join lines");
}

#[test]
fn hexadecimal_digits_are_lower_case() {
    let text = "00-abcdef12345678901234567890123456-abcdef1234567890-01";
    assert!(parse(text).is_some());
    let (trace, parent) = ("abcdef12345678901234567890123456", "abcdef1234567890");
    for upper in [
        text.replace(trace, &trace.to_uppercase()),
        text.replace(parent, "ABCDEF1234567890"),
        text.replace("-01", "-0A"),
        text.replacen("00", "CC", 1),
    ] {
        assert_eq!(parse(&upper), None, "{upper}");
    }
    let unusual = ["", "00", "é", "00-é", &"é".repeat(60), &"-".repeat(55), &"0".repeat(10_000)];
    for other in unusual {
        assert_eq!(parse(other), None, "{other}");
    }
    assert_eq!(read(&[text.replace("00-", "00_").as_str()], &[]), None);
}

#[test]
fn flags_are_bits() {
    for (flags, sampled, random, sent) in [
        ("00", false, false, "00"),
        ("01", true, false, "01"),
        // test_propagates_random_flag
        ("02", false, true, "02"),
        ("03", true, true, "03"),
        ("ff", true, true, "03"),
        ("fc", false, false, "00"),
        ("09", true, false, "01"),
    ] {
        let context = parse(&format!("00-{TRACE}-{PARENT}-{flags}")).expect("valid");
        assert_eq!((context.is_sampled(), context.is_random()), (sampled, random), "{flags}");
        let child = context.child(&mut rng()).traceparent();
        assert_eq!(child.rsplit('-').next(), Some(sent), "{flags}");
    }
}

#[test]
fn test_multiple_requests_with_valid_traceparent() {
    let context = parse(&format!("00-{TRACE}-{PARENT}-01")).expect("valid");
    let mut rng = rng();
    let children = [(); 3].map(|()| context.child(&mut rng));
    assert!(children.iter().all(|child| child.trace_id() == context.trace_id()));
    let [a, b, c] = children.map(|child| child.parent_id());
    assert!(a != b && b != c && a != c);
}

#[test]
fn tracestate_cases_of_the_suite() {
    let key = |length| "z".repeat(length);
    let z256 = format!("{}=1", key(256));
    let with_vendor = format!("{}@{}=1", "t".repeat(241), "v".repeat(14));
    let short_vendor = format!("{}@v=1", "t".repeat(242));
    let long_vendor = format!("t@{}=1", "v".repeat(15));
    let foo_and = |other: &str| Some(format!("foo=1,{other}"));
    let some = |text: &str| Some(text.to_owned());
    let cases: [(&str, Vec<&str>, Option<String>); 29] = [
        ("test_tracestate_included_traceparent_included", vec!["foo=1,bar=2"], some("foo=1,bar=2")),
        ("test_tracestate_empty_header", vec![""], None),
        ("test_tracestate_empty_header", vec!["foo=1", ""], some("foo=1")),
        ("test_tracestate_empty_header", vec!["", "foo=1"], some("foo=1")),
        (
            "test_tracestate_multiple_headers_different_keys",
            vec!["foo=1,bar=2", "rojo=1,congo=2", "baz=3"],
            some("foo=1,bar=2,rojo=1,congo=2,baz=3"),
        ),
        ("test_tracestate_duplicated_keys", vec!["foo=1,foo=1"], some("foo=1,foo=1")),
        ("test_tracestate_duplicated_keys", vec!["foo=1,foo=2"], some("foo=1,foo=2")),
        ("test_tracestate_duplicated_keys", vec!["foo=1", "foo=1"], some("foo=1,foo=1")),
        ("test_tracestate_duplicated_keys", vec!["foo=1", "foo=2"], some("foo=1,foo=2")),
        (
            "test_tracestate_ows_handling",
            vec!["foo=1 \t , \t bar=2, \t baz=3"],
            some("foo=1,bar=2,baz=3"),
        ),
        (
            "test_tracestate_ows_handling",
            vec!["foo=1\t \t,\t \tbar=2,\t \tbaz=3"],
            some("foo=1,bar=2,baz=3"),
        ),
        ("test_tracestate_ows_handling", vec![" foo=1"], some("foo=1")),
        ("test_tracestate_ows_handling", vec!["\tfoo=1"], some("foo=1")),
        ("test_tracestate_ows_handling", vec!["foo=1 "], some("foo=1")),
        ("test_tracestate_ows_handling", vec!["foo=1\t"], some("foo=1")),
        ("test_tracestate_ows_handling", vec!["\t foo=1 \t"], some("foo=1")),
        ("test_tracestate_key_illegal_characters", vec!["foo =1"], None),
        ("test_tracestate_key_illegal_characters", vec!["FOO=1"], None),
        ("test_tracestate_key_illegal_characters", vec!["foo.bar=1"], None),
        ("test_tracestate_key_illegal_vendor_format", vec!["foo@=1,bar=2"], some("foo@=1,bar=2")),
        ("test_tracestate_key_illegal_vendor_format", vec!["@foo=1,bar=2"], None),
        (
            "test_tracestate_key_illegal_vendor_format",
            vec!["foo@@bar=1,bar=2"],
            some("foo@@bar=1,bar=2"),
        ),
        (
            "test_tracestate_key_illegal_vendor_format",
            vec!["foo@bar@baz=1,bar=2"],
            some("foo@bar@baz=1,bar=2"),
        ),
        ("test_tracestate_key_length_limit", vec!["foo=1", &z256], foo_and(&z256)),
        ("test_tracestate_key_length_limit", vec!["foo=1", &with_vendor], foo_and(&with_vendor)),
        ("test_tracestate_key_length_limit", vec!["foo=1", &short_vendor], foo_and(&short_vendor)),
        ("test_tracestate_key_length_limit", vec!["foo=1", &long_vendor], foo_and(&long_vendor)),
        ("test_tracestate_value_illegal_characters", vec!["foo=bar=baz"], None),
        ("test_tracestate_value_illegal_characters", vec!["foo=,bar=3"], None),
    ];
    for (name, lines, expected) in cases {
        assert_eq!(state(&lines), expected, "{name}: {lines:?}");
    }
    let too_long = format!("{}=1", key(257));
    assert_eq!(state(&["foo=1", &too_long]), None, "test_tracestate_key_length_limit");
}

#[test]
fn test_tracestate_included_traceparent_missing() {
    assert_eq!(read(&[], &["foo=1"]), None);
    assert_eq!(read(&["00-no-parent-01"], &["foo=1,bar=2"]), None);
}

#[test]
fn test_tracestate_all_allowed_characters() {
    let key = "abcdefghijklmnopqrstuvwxyz0123456789_-*/";
    let value: String = (' '..='~').filter(|letter| !matches!(letter, ',' | '=')).collect();
    for key in [key.to_owned(), format!("{key}@a-z0-9_-*/")] {
        let member = format!("{key}={value}");
        assert_eq!(state(&[&member]), Some(member.clone()));
    }
    assert_eq!(state(&["a= 1"]).as_deref(), Some("a= 1"), "spaces before a value belong to it");
    let long = format!("a={}", "v".repeat(256));
    assert_eq!(state(&[&long]), Some(long.clone()));
    for bad in [format!("{long}v"), "a=é".into(), "a=\u{7f}".into(), "a=1\t2".into(), "a".into()] {
        assert_eq!(state(&[&bad]), None, "{bad:?}");
    }
}

#[test]
fn test_tracestate_member_count_limit() {
    let members = |range: std::ops::RangeInclusive<u32>| {
        range.map(|number| format!("bar{number:02}={number:02}")).collect::<Vec<_>>().join(",")
    };
    let lines = [members(1..=10), members(11..=20), members(21..=30), members(31..=32)];
    let lines = lines.each_ref().map(String::as_str);
    assert_eq!(state(&lines), Some(members(1..=32)));
    let more = members(31..=33);
    assert_eq!(state(&[lines[0], lines[1], lines[2], &more]), None);
    let with_empty = format!(",, ,{},,", members(1..=32));
    assert_eq!(state(&[&with_empty]), Some(members(1..=32)), "empty members are none");
}

#[test]
fn a_long_tracestate_is_cut_long_members_first() {
    let member = |key: &str, length: usize| format!("{key}={}", "v".repeat(length - 2));
    let (long, longer) = (member("l", 129), member("m", 250));
    let short = |key| member(key, 128);
    // 512 characters, commas included.
    let fits = [&*short("a"), &short("b"), &short("c"), &member("d", 125)].join(",");
    assert_eq!((fits.len(), state(&[&fits])), (512, Some(fits.clone())));
    let one_more = [&*short("a"), &short("b"), &short("c"), &member("d", 126)].join(",");
    let expected = [&*short("a"), &short("b"), &short("c")].join(",");
    assert_eq!(state(&[&one_more]), Some(expected));
    let mixed = [&*long, &short("a"), &longer, &short("b")].join(",");
    let expected = [&*long, &short("a"), &short("b")].join(",");
    assert_eq!(state(&[&mixed]), Some(expected), "the long one at the right goes first");
}

proptest! {
    /// Whatever is read is written so that others read the same, within the limits.
    #[test]
    fn any_lines_are_none_or_survive_the_wire(
        parents in prop::collection::vec("(00|cc|ff)-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?|.*", 0..3),
        states in prop::collection::vec("([a-z@]{1,9}=[ -~]{0,200}[, \t]{0,2}){0,40}|.*", 0..3),
    ) {
        let Some(context) = TraceContext::from_lines(&parents, &states) else { return Ok(()) };
        let written = (context.traceparent(), context.tracestate());
        prop_assert_eq!(TraceContext::parse(&written.0, written.1), Some(context.clone()));
        let state = written.1.unwrap_or("a=1");
        prop_assert!(state.len() <= 512 && state.split(',').count() <= 32, "{}", state);
    }
}
