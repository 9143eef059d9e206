use super::*;
use crate::oracle::leases::*;
use crate::oracle::registry_leases::STAYS_DEAD;

const NS: Duration = Duration::from_nanos(1);

/// a-2's lease expires at 100 s and its next life gets another; then a-1 routes to the old life,
/// `since` later than `from`.
fn stale(extra: &str, from: u64, since: impl Fn(NoticeBounds) -> Duration) -> Vec<&'static str> {
    broken(extra, |story| {
        story.registry(secs(101), A2, LIFE, LeaseNoteKind::Expired { at: secs(100) });
        story.registry(secs(110), A2, LIFE + 1, LeaseNoteKind::Granted);
        story.routes(secs(from) + since(story.bounds), LIFE);
    })
}

#[test]
fn the_bound_is_ttl_sweep_and_refresh() {
    broken("", |story| {
        // 30 s, 1 s, 5 s and a tenth of it, and 1 s for the call.
        assert_eq!(story.bounds.forget, Duration::from_millis(37_500));
    });
}

#[test]
fn a_route_to_a_peer_whose_lease_ended_long_ago() {
    assert_eq!(stale("", 100, |bounds| bounds.forget), [""; 0]);
    assert_eq!(stale("", 100, |bounds| bounds.forget + NS), [NOT_STALE]);
}

#[test]
fn a_route_to_the_peers_present_life() {
    let present = broken("", |story| {
        story.registry(secs(101), A2, LIFE, LeaseNoteKind::Replaced);
        story.registry(secs(101), A2, LIFE + 1, LeaseNoteKind::Granted);
        story.routes(secs(500), LIFE + 1);
    });
    assert_eq!(present, [""; 0]);
}

#[test]
fn of_several_registries_the_last_one_to_end_a_lease_counts() {
    const TWO: &str = "[registries]\ncount = 2\n";
    let second = HostId::registry(1, 2);
    let found = |ends_at: Option<u64>, routed: Timestamp| {
        broken(TWO, |story| {
            for agent in [A1, A2] {
                story.noted_by(second, secs(0), agent, LIFE, LeaseNoteKind::Granted);
            }
            story.registry(secs(101), A2, LIFE, LeaseNoteKind::Expired { at: secs(100) });
            if let Some(at) = ends_at {
                let kind = LeaseNoteKind::Expired { at: secs(at) };
                story.noted_by(second, secs(at), A2, LIFE, kind);
            }
            story.routes(routed, LIFE);
            story.registry(secs(598), A2, LIFE + 1, LeaseNoteKind::Granted);
            story.noted_by(second, secs(598), A2, LIFE + 1, LeaseNoteKind::Granted);
        })
    };
    assert_eq!(found(None, secs(500)), [""; 0], "it is live at the second");
    assert_eq!(found(Some(300), secs(310)), [""; 0]);
    assert_eq!(found(Some(300), secs(500)), [NOT_STALE]);
}

#[test]
fn a_lease_that_was_given_up_or_replaced_is_over() {
    for kind in [LeaseNoteKind::Deregistered, LeaseNoteKind::Replaced] {
        let found = broken("", |story| {
            story.registry(secs(100), A2, LIFE, kind.clone());
            story.registry(secs(100), A2, LIFE + 1, LeaseNoteKind::Granted);
            story.routes(secs(500), LIFE);
        });
        assert_eq!(found, [NOT_STALE], "{kind:?}");
    }
}

#[test]
fn an_agent_that_is_cut_from_the_registry_goes_on_with_what_it_knows() {
    let cut = |groups| fault("partition", 105, Some(200), groups);
    let own = cut(r#"groups = ["a-1", "registry"]"#);
    let late = |bounds: NoticeBounds| bounds.fetch + bounds.forget;
    assert_eq!(stale(&own, 304, |_| Duration::ZERO), [""; 0]);
    assert_eq!(stale(&own, 305, late), [""; 0]);
    assert_eq!(stale(&own, 305, |bounds| late(bounds) + NS), [NOT_STALE], "it has healed");
    let its_peers = cut(r#"groups = ["a-2", "registry"]"#);
    assert_eq!(stale(&its_peers, 304, |_| Duration::ZERO), [NOT_STALE]);
}

#[test]
fn an_agent_whose_calls_may_run_out_at_any_time_is_bound_to_nothing() {
    let link = |mean: &str| {
        let latency = format!("latency = {{ kind = 'exponential', mean = '{mean}' }}");
        format!("[[network.links]]\nfrom = 'a-1'\nto = 'registry'\n{latency}\n")
    };
    assert_eq!(stale(&link("300ms"), 100, |bounds| bounds.forget + NS), [""; 0]);
    assert_eq!(stale(&link("1ms"), 100, |bounds| bounds.forget + NS), [NOT_STALE]);
}

#[test]
fn a_restarted_registry_makes_views_keep_the_missing_for_one_more_ttl() {
    let crash = fault("crash", 100, Some(10), r#"hosts = "registry""#);
    let lost = |since: fn(NoticeBounds) -> Duration| {
        broken(&crash, |story| {
            story.registry_restarts(110);
            story.registry(secs(111), A1, LIFE, LeaseNoteKind::Granted);
            story.registry(secs(111), A2, LIFE + 1, LeaseNoteKind::Granted);
            story.routes(secs(110) + since(story.bounds), LIFE);
        })
    };
    assert_eq!(lost(|bounds| bounds.fetch + bounds.forget), [""; 0]);
    assert_eq!(lost(|bounds| bounds.fetch + bounds.forget + NS), [NOT_STALE]);
}

#[test]
fn a_dead_incarnation_that_comes_back() {
    let granted_again = |incarnation| {
        broken("", |story| {
            story.registry(secs(101), A2, LIFE, LeaseNoteKind::Expired { at: secs(100) });
            story.registry(secs(102), A2, incarnation, LeaseNoteKind::Granted);
        })
    };
    assert_eq!(granted_again(LIFE), [STAYS_DEAD]);
    assert_eq!(granted_again(LIFE - 1), [STAYS_DEAD], "older than one that is dead");
    assert_eq!(granted_again(LIFE + 1), [""; 0]);
}

#[test]
fn a_restarted_registry_knows_of_no_dead() {
    let crash = fault("crash", 110, Some(10), r#"hosts = "registry""#);
    let found = broken(&crash, |story| {
        story.registry(secs(101), A2, LIFE, LeaseNoteKind::Expired { at: secs(100) });
        story.registry_restarts(120);
        story.registry(secs(121), A1, LIFE, LeaseNoteKind::Granted);
        story.registry(secs(121), A2, LIFE, LeaseNoteKind::Granted);
        story.routes(secs(590), LIFE);
    });
    assert_eq!(found, [""; 0], "and the lease is live again");
}

#[test]
fn the_slowest_clock_sets_the_bounds() {
    let bounds = |rate: &str| {
        let text = SCENARIO.replace("count = 2", &format!("count = 2\nclock_rate = {rate}"));
        NoticeBounds::new(&Scenario::parse(&text, "x.toml").unwrap_or_else(|e| panic!("{e}")))
    };
    let [right, fast, slow] = ["1.0", "2.0", "0.5"].map(bounds);
    assert_eq!((fast.forget, fast.fetch), (right.forget, right.fetch));
    // The registry sweeps once a second, whatever the agents' clocks show.
    let sweep = Duration::from_secs(1);
    assert_eq!(slow.forget - sweep, 2 * (right.forget - sweep));
    // Slow heartbeats come so seldom that a registry may take them for silence, and keep the dead
    // until it has heard three of them, 22 s and 2 s for an answer.
    let deaf = Duration::from_secs(3 * 22 + 2);
    assert_eq!(
        (slow.fetch, slow.converge() - sweep - deaf),
        (2 * right.fetch, 2 * (right.converge() - sweep))
    );
}
