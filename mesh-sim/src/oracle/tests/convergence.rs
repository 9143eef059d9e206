use super::*;
use crate::oracle::convergence::*;
use crate::oracle::views::NOT_FORGOTTEN;

#[test]
fn a_live_agent_that_is_not_listed_after_the_heal() {
    let partition = fault("partition", 10, Some(100), r#"groups = ["a-2", "registry"]"#);
    let expired = |story: &mut Story| {
        story.registry(secs(60), A2, LIFE, LeaseNoteKind::Expired { at: secs(60) });
    };
    assert_eq!(broken(&partition, expired), [LISTED]);
    let again = broken(&partition, |story| {
        expired(story);
        story.registry(secs(111), A2, LIFE + 1, LeaseNoteKind::Granted);
    });
    assert_eq!(again, [""; 0]);
}

#[test]
fn a_dead_agent_that_is_still_listed_or_known() {
    let crash = fault("crash", 10, None, r#"hosts = "a-2""#);
    let gone = |story: &mut Story| {
        story.registry(secs(41), A2, LIFE, LeaseNoteKind::Expired { at: secs(40) });
    };
    let forgotten = |story: &mut Story| story.knows(A1, &[]);
    assert_eq!(broken(&crash, forgotten), [LISTED]);
    assert_eq!(broken(&crash, gone), [KNOWN]);
    let both = broken(&crash, |story| {
        gone(story);
        forgotten(story);
    });
    assert_eq!(both, [""; 0]);
}

#[test]
fn a_view_that_does_not_converge() {
    assert_eq!(broken("", |story| story.knows(A1, &[])), [NOT_FORGOTTEN, KNOWN]);
    assert_eq!(broken("", |story| story.knows(A1, &[A1, A2])), [KNOWN], "itself");
    let to_self = broken("[delegation]\nto_self = true\n", |story| {
        story.knows(A1, &[A1, A2]);
        story.knows(A2, &[A1, A2]);
    });
    assert_eq!(to_self, [""; 0]);
}

#[test]
fn counters_that_leak() {
    assert_eq!(broken("", |story| story.samples(story.end, A1, 1, 0)), [NO_LEAK]);
    assert_eq!(broken("", |story| story.samples(story.end, A1, 0, 1)), [NO_LEAK]);
}

#[test]
fn an_agent_that_is_stuck() {
    assert_eq!(broken("", |story| story.samples(secs(500), A1, 0, 0)), [NO_LEAK]);
    let dead = fault("crash", 490, None, r#"hosts = "a-1""#);
    let found = broken(&dead, |story| {
        story.registry(secs(510), A1, LIFE, LeaseNoteKind::Expired { at: secs(510) });
        story.samples(secs(489), A1, 3, 3);
        story.knows(A2, &[]);
    });
    assert_eq!(found, [""; 0], "a dead one has no counters");
}

/// a-2's lease ends at 100 s.
fn unlisted(extra: &str) -> Vec<&'static str> {
    broken(extra, |story| {
        story.registry(secs(100), A2, LIFE, LeaseNoteKind::Expired { at: secs(100) });
    })
}

#[test]
fn nothing_is_promised_of_an_agent_that_cannot_reach_the_registry() {
    for stuck in [
        fault("partition", 10, None, r#"groups = ["a-2", "registry"]"#),
        fault("partition", 10, None, "groups = [\"registry\", \"a-2\"]\none_way = true"),
        fault("hold", 10, None, r#"between = ["a-2", "registry"]"#),
        fault("add_latency", 10, None, "between = [\"a-2\", \"registry\"]\nlatency = \"10s\""),
        fault("crash", 10, None, r#"hosts = "registry""#),
    ] {
        assert_eq!(unlisted(&stuck), [""; 0], "{stuck}");
        assert_eq!(broken(&stuck, |story| story.samples(story.end, A2, 1, 0)), [NO_LEAK]);
    }
    for elsewhere in [
        fault("partition", 10, None, r#"groups = ["client", ["a-1", "a-2"]]"#),
        fault("add_latency", 10, None, "between = [\"a-2\", \"registry\"]\nlatency = \"10ms\""),
    ] {
        assert_eq!(unlisted(&elsewhere), [LISTED], "{elsewhere}");
    }
}

#[test]
fn nothing_is_promised_of_leases_that_are_too_short_to_be_kept() {
    let long = "[registry]\nttl = \"10s\"\nheartbeat = \"9.5s\"\n";
    assert_eq!(unlisted(long), [LISTED], "agents heartbeat more often");
    let short = "[registry]\nttl = \"12ms\"\nheartbeat = \"11ms\"\n";
    assert_eq!(unlisted(short), [""; 0]);
}

#[test]
fn a_run_lasts_until_the_mesh_can_have_converged() {
    let end = |extra: &str| {
        let mut end = Timestamp::ZERO;
        broken(extra, |story| end = story.end);
        end
    };
    let quiet = secs(600) + Duration::from_secs(5);
    assert!(end("") > quiet && end("") < quiet + Duration::from_secs(3));
    let late = end(&fault("crash", 590, Some(15), r#"hosts = "a-2""#));
    // A TTL, a sweep and the list after it at least.
    assert!(late > secs(605) + Duration::from_secs(36), "{late}");
    let never = end(&fault("crash", 590, None, r#"hosts = "a-2""#));
    assert!(never > secs(590) + Duration::from_secs(36), "{never}");
}
