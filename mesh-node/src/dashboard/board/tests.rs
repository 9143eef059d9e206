use mesh_core::profile::Weight;
use mesh_core::skills::Skills;

use super::*;

/// Long after the start, so that ages don't reach beyond it.
fn at(ms: u64) -> Timestamp {
    Timestamp::from(Duration::from_millis(1_000_000 + ms))
}

fn service(name: &str, age_ms: u64) -> (Name, ServiceBody) {
    let service = ServiceBody {
        url: format!("{name}:1").into(),
        incarnation: Some(1),
        load: None,
        skills: Skills::default(),
        weight: Weight::ONE,
        site: None,
        state: None,
        last_heartbeat_ms: age_ms,
    };
    (name.into(), service)
}

fn note(name: &str, kind: LeaseNoteKind) -> LeaseNote {
    LeaseNote { name: name.into(), incarnation: Some(1), url: "a:1".into(), revision: None, kind }
}

fn telemetry(numbers: &[u64], event: TelemetryEvent) -> Telemetry {
    let entry = |number: &u64| TelemetryEntry {
        number: *number,
        age_ms: 500.0,
        event,
        to: Some("b".into()),
        reason: None,
        took_ms: Some(3.0),
        trace: None,
    };
    Telemetry { recent: numbers.iter().map(entry).collect(), ..Telemetry::default() }
}

fn names(update: &BoardUpdate) -> Vec<&str> {
    update.agents.iter().map(|agent| &*agent.name).collect()
}

#[test]
fn viewers_get_what_has_changed_since_their_version() {
    let mut board = Board::new(7);
    board.note(at(0), &note("a", LeaseNoteKind::Granted));
    board.sync(at(0), [service("a", 0), service("b", 0)].into_iter());
    let all = board.update(at(100), 0, 0);
    assert_eq!((names(&all), all.since, all.epoch), (vec!["a", "b"], 0, 7));
    assert_eq!(all.agents[0].service.last_heartbeat_ms, 100);
    assert_eq!((&*all.events[0].kind, all.events[0].age_ms), ("joined", 100));
    // Nothing has changed: ages are no change.
    board.sync(at(1000), [service("a", 1000), service("b", 1000)].into_iter());
    let none = board.update(at(1000), 7, all.version);
    assert_eq!((names(&none), none.version), (vec![], all.version));
    // A heartbeat of `a` is one, and the end of `b` another.
    board.note(at(2000), &note("b", LeaseNoteKind::Expired { at: at(1990) }));
    board.sync(at(2000), [service("a", 0)].into_iter());
    let news = board.update(at(2000), 7, all.version);
    assert_eq!((names(&news), news.since), (vec!["a"], all.version));
    assert_eq!((&*news.gone[0].name, &*news.events[0].kind), ("b", "expired"));
    for (epoch, since) in [(8, news.version), (7, news.version + 1), (7, 0)] {
        let all = board.update(at(2000), epoch, since);
        assert_eq!((all.since, all.gone.len()), (0, 0), "everything: {epoch} {since}");
    }
}

#[test]
fn entries_that_are_told_twice_count_once() {
    let mut board = Board::new(7);
    let a: Name = "a".into();
    board.sync(at(0), [service("a", 0)].into_iter());
    board.tell(at(0), &a, telemetry(&[1, 2], TelemetryEvent::Done));
    board.tell(at(1000), &a, telemetry(&[1, 2, 3], TelemetryEvent::Done));
    let all = board.update(at(1000), 0, 0);
    let ages: Vec<f64> = all.jobs.iter().map(|job| job.entry.age_ms).collect();
    assert_eq!(ages, [1500.0, 1500.0, 500.0]);
    // The agent has started again, and counts anew.
    board.tell(at(2000), &a, telemetry(&[1], TelemetryEvent::Failed));
    let news = board.update(at(2000), 7, all.version);
    assert_eq!((news.jobs.len(), names(&news)), (1, vec!["a"]));
    board.tell(at(3000), &a, telemetry(&[2], TelemetryEvent::Ejected));
    let event = board.update(at(3000), 7, news.version).events.pop().expect("an event");
    assert_eq!((&*event.kind, &*event.agent, event.by.as_deref()), ("ejected", "b", Some("a")));
    // With the lease, everything of the agent is gone.
    board.note(at(4000), &note("a", LeaseNoteKind::Deregistered));
    assert!(board.told.is_empty());
}

#[test]
fn nothing_grows_without_limit() {
    let mut board = Board::new(1);
    for number in 0..3_000_u64 {
        let name = format!("a{number}");
        board.note(at(number), &note(&name, LeaseNoteKind::Granted));
        board.sync(at(number), [service(&name, 0)].into_iter());
        let event = [TelemetryEvent::Done, TelemetryEvent::Failed][number as usize % 2];
        board.tell(at(number), &name.as_str().into(), telemetry(&[1, 2, 3], event));
    }
    assert_eq!((board.agents.len(), board.told.len()), (1, 1));
    assert_eq!((board.gone.len(), board.events.len()), (MOST_GONE, MOST_REMEMBERED));
    assert_eq!((board.done.len(), board.failed.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
    assert_eq!(board.update(at(0), 1, 5).since, 0, "so old a version is not known any more");
}

#[test]
fn a_board_follows_another_one() {
    let (mut first, mut second) = (Board::new(7), Board::new(1));
    first.sync(at(0), [service("a", 0), service("b", 50)].into_iter());
    first.tell(at(0), &"a".into(), telemetry(&[1], TelemetryEvent::Done));
    let json = serde_json::to_string(&first.update(at(10), 0, 0)).expect("JSON");
    second.apply(at(10), serde_json::from_str(&json).expect("an update"));
    let shown = second.update(at(10), 0, 0);
    assert_eq!((names(&shown), shown.jobs.len(), shown.epoch), (vec!["a", "b"], 1, 2));
    assert_eq!(shown.agents[1].service.last_heartbeat_ms, 60);
    assert!(shown.agents[0].telemetry.is_some());
    let version = first.version();
    first.note(at(20), &note("b", LeaseNoteKind::Expired { at: at(20) }));
    first.sync(at(20), [service("a", 0)].into_iter());
    second.apply(at(30), first.update(at(30), 7, version));
    let news = second.update(at(30), 2, shown.version);
    assert_eq!(
        (names(&news), &*news.gone[0].name, &*news.events[0].kind),
        (vec!["a"], "b", "expired")
    );
    // What no registry says is left out.
    let odd = r#"{"since": 5, "agents": [{"name": "<b>", "url": "c:1"}],
        "events": [{"version": 1, "age_ms": 1, "kind": "<i>", "agent": "a"}]}"#;
    second.apply(at(40), serde_json::from_str(odd).expect("an update"));
    let odd = second.update(at(40), 2, news.version);
    assert_eq!((odd.agents.len(), odd.events.len()), (0, 0));
}

#[test]
fn an_agent_that_has_left_and_come_back_is_listed() {
    let (mut first, mut second) = (Board::new(7), Board::new(1));
    first.sync(at(0), [service("a", 0), service("b", 0)].into_iter());
    second.apply(at(0), first.update(at(0), 0, 0));
    let (version, shown) = (first.version(), second.version());
    first.sync(at(10), [service("a", 10)].into_iter());
    first.sync(at(20), [service("a", 20), service("b", 0)].into_iter());
    let news = first.update(at(20), 7, version);
    assert_eq!((names(&news), news.gone.len()), (vec!["b"], 0));
    // Other versions say both.
    let gone = GoneAgent { name: "b".into(), age_ms: 10, version: version + 1 };
    second.apply(at(20), BoardUpdate { gone: vec![gone], ..news });
    let news = second.update(at(20), 2, shown);
    assert_eq!((names(&news), news.gone.len()), (vec!["b"], 0));
    assert_eq!(second.names().count(), 2);
}

#[test]
fn old_jobs_and_odd_ones_cost_a_reader_nothing_else() {
    let mut board = Board::new(7);
    board.sync(at(0), [service("a", 0)].into_iter());
    board.tell(at(0), &"a".into(), telemetry(&[1], TelemetryEvent::Done));
    let day = 24 * 3_600_000;
    let json = serde_json::to_string(&board.update(at(31 * day), 0, 0)).expect("JSON");
    let read: BoardUpdate = serde_json::from_str(&json).expect("an update");
    assert_eq!((read.jobs.len(), read.jobs[0].entry.age_ms), (1, MAX_FIGURE_MS));
    let odd =
        json.replace("\"jobs\":[", "\"jobs\":[{\"version\":1,\"from\":\"a\",\"age_ms\":-1},7,");
    let read: BoardUpdate = serde_json::from_str(&odd).expect("an update");
    assert_eq!((read.jobs.len(), names(&read)), (1, vec!["a"]));
}
