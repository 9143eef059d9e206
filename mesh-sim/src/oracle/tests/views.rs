use super::*;
use crate::oracle::views::*;

const BOTH: &str = r#"groups = ["registry", ["a-1", "a-2"]]"#;

/// a-1 knows a-2, and no longer knows it at second `at`.
fn forgotten(extra: &str, at: u64) -> Vec<&'static str> {
    broken(extra, |story| {
        story.knows_at(secs(1), A1, &[A2]);
        story.knows_at(secs(at), A1, &[]);
        story.knows(A1, &[A2]);
    })
}

#[test]
fn a_live_agent_that_is_forgotten_after_a_silence() {
    for silence in [
        fault("partition", 100, Some(45), BOTH),
        fault("partition", 100, Some(200), BOTH),
        fault("partition", 100, Some(45), r#"groups = ["registry", "a-1", "a-2"]"#),
        fault("hold", 100, Some(45), r#"between = ["registry", ["a-1", "a-2"]]"#),
        fault("crash", 100, Some(45), r#"hosts = "registry""#),
    ] {
        for at in [110, 146, 200] {
            assert_eq!(forgotten(&silence, at), [NOT_FORGOTTEN], "{silence}");
        }
    }
    assert_eq!(forgotten("", 100), [NOT_FORGOTTEN], "for no reason at all");
}

#[test]
fn of_several_registries_one_that_hears_both_is_enough() {
    let forgotten = |faults: &str| {
        broken(&format!("[registries]\ncount = 2\n{faults}"), |story| {
            for agent in [A1, A2] {
                let second = HostId::registry(1, 2);
                story.noted_by(second, secs(0), agent, LIFE, LeaseNoteKind::Granted);
            }
            story.knows_at(secs(1), A1, &[A2]);
            story.knows_at(secs(146), A1, &[]);
            story.knows(A1, &[A2]);
        })
    };
    let crash = |host| fault("crash", 100, Some(45), &format!("hosts = \"{host}\""));
    for host in ["registry", "registry-2"] {
        assert_eq!(forgotten(&crash(host)), [NOT_FORGOTTEN], "{host} alone is down");
    }
    let cut = |agent, registry| {
        let groups = format!("groups = [\"{agent}\", \"{registry}\"]");
        fault("partition", 100, Some(45), &groups)
    };
    let (first, second) = (cut("a-1", "registry"), cut("a-2", "registry-2"));
    assert_eq!(forgotten(&first), [NOT_FORGOTTEN], "the second shows both");
    assert_eq!(forgotten(&format!("{first}{second}")), [""; 0]);
    assert_eq!(forgotten(&crash("a-2")), [""; 0], "the peer itself was down");
}

#[test]
fn an_agent_that_others_may_take_for_dead() {
    for (kind, rest) in [
        ("crash", r#"hosts = "a-2""#),
        ("partition", r#"groups = ["a-2", "registry"]"#),
        ("hold", r#"between = ["a-2", "registry"]"#),
        ("add_latency", "between = [\"a-2\", \"registry\"]\nlatency = \"10s\""),
        ("loss", "between = [\"a-2\", \"registry\"]\nratio = 0.5"),
    ] {
        let alone = fault(kind, 100, Some(45), rest);
        assert_eq!(forgotten(&alone, 146), [""; 0], "{alone}");
        assert_eq!(forgotten(&alone, 400), [NOT_FORGOTTEN], "long after {alone}");
    }
    let other = fault("partition", 100, Some(45), r#"groups = ["a-1", "registry"]"#);
    assert_eq!(forgotten(&other, 146), [NOT_FORGOTTEN], "it was a-1 that heard nothing");
}

#[test]
fn nothing_is_said_of_silences_in_a_row_or_of_leases_that_are_too_short() {
    let silence = |at| fault("partition", at, Some(20), BOTH);
    assert_eq!(forgotten(&format!("{}{}", silence(100), silence(121)), 150), [""; 0]);
    let short = "[registry]\nttl = \"3s\"\nheartbeat = \"1s\"\n";
    assert_eq!(forgotten(&format!("{short}{}", silence(100)), 121), [""; 0]);
}

#[test]
fn a_restarted_agent_knows_nobody() {
    let restart = fault("crash", 100, Some(5), r#"hosts = "a-1""#);
    assert_eq!(forgotten(&restart, 106), [""; 0]);
}
