//! Registries over a store that fails, loses its answers or its last second, or comes back with older
//! data: what was acknowledged stays in the list, or comes back with the next heartbeat.

use std::time::Duration;

use mesh_core::Timestamp;
use mesh_core::registry::{ChangeOutcome, StoreFaults};
use mesh_node::http::StatusCode;
use mesh_node::registry::store::{Store as _, StoreError};
use serde_json::{Value, json};

use crate::service::RunningRegistry;
use crate::subject::{LONG, StoreKind, StoreSubject, change, record};

/// Runs a case on a store with faults and two registries over it.
fn with_two(case: impl AsyncFnOnce(&StoreSubject, [&RunningRegistry; 2])) {
    let subject = StoreSubject::new(StoreKind::Memory).expect("memory");
    crate::run(async {
        let one = RunningRegistry::start(&subject, LONG).await;
        let two = RunningRegistry::start(&subject, LONG).await;
        case(&subject, [&one, &two]).await;
    });
}

fn fail(subject: &StoreSubject, faults: StoreFaults) {
    subject.memory().with(|store| store.faults = faults);
}

/// The store crashes, and comes back as it was at a time.
fn crash(subject: &StoreSubject, kept_until: Timestamp) {
    let now = subject.clock().now();
    subject.memory().with(|store| store.crash(now, now.since(kept_until)));
}

async fn until_granted(registry: &RunningRegistry, name: &str, incarnation: u64) {
    crate::until("a lease", async || {
        (registry.register(name, incarnation, false).await.status == 200).then_some(())
    })
    .await;
}

#[test]
fn a_store_that_is_down_says_so_and_changes_nothing() {
    let subject = StoreSubject::new(StoreKind::Memory).expect("memory");
    crate::run(async {
        let (store, _) = subject.open(LONG).await;
        let first = record("a", 1, 1);
        store.change(change("a", None, Some(&first))).await;
        fail(&subject, StoreFaults { is_down: true, ..StoreFaults::default() });
        let second = record("a", 2, 2);
        let outcome = store.change(change("a", Some(&first), Some(&second))).await;
        assert_eq!(outcome, ChangeOutcome::Failed);
        let down = |answer: Result<(), StoreError>| {
            assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
        };
        down(store.list().await.map(drop));
        down(store.news(0).await.map(drop));
        down(store.keep(vec!["a".into()]).await.map(drop));
        fail(&subject, StoreFaults::default());
        assert_eq!(store.list().await.expect("a list").records, [first]);
    });
}

#[test]
fn while_the_store_fails_reads_and_heartbeats_go_on() {
    with_two(async |subject, [one, two]| {
        assert_eq!(one.register("a", 1, false).await.status, 200);
        two.until_listed(&["a"]).await;
        fail(subject, StoreFaults { is_down: true, ..StoreFaults::default() });
        for registry in [one, two] {
            let answer = registry.register("b", 1, false).await;
            assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert!(registry.list().await["a"].is_object());
        }
        assert_eq!(one.register("a", 1, true).await.status, 200);
        // Whoever leaves is gone at once, and the store is told later.
        let leave = json!({ "name": "a", "incarnation": 1 });
        assert_eq!(one.post("/deregister", leave).await.status, 503);
        assert_eq!(one.list().await, json!({}));
        fail(subject, StoreFaults::default());
        two.until_listed(&[]).await;
        until_granted(one, "b", 1).await;
        two.until_listed(&["b"]).await;
    });
}

#[test]
fn an_answer_that_is_lost_is_harmless_when_the_agent_asks_again() {
    with_two(async |subject, [one, two]| {
        fail(subject, StoreFaults { loses_answers: true, ..StoreFaults::default() });
        // The store has the lease, and whether the caller learns of it depends on which news is first.
        let answer = one.register("a", 1, false).await;
        assert!([200, 503].contains(&answer.status.as_u16()), "{:?}", answer.body);
        fail(subject, StoreFaults::default());
        crate::until("the lease", async || {
            // As an agent does that was not answered.
            let answer = one.register("a", 1, true).await;
            (answer.status == 200).then_some(())
        })
        .await;
        two.until_listed(&["a"]).await;
        assert_eq!(subject.memory().list().await.expect("a list").records.len(), 1);
    });
}

#[test]
fn a_store_that_answers_later_than_agents_wait_forgets_nothing() {
    with_two(async |subject, [one, two]| {
        let delay = Duration::from_millis(1_200);
        fail(subject, StoreFaults { delay, ..StoreFaults::default() });
        // The change is in the news before the store has answered, and so the agent is told in time.
        assert_eq!(one.register("a", 1, false).await.status, 200);
        fail(subject, StoreFaults::default());
        two.until_listed(&["a"]).await;
        crate::until("the lease", async || {
            (one.register("a", 1, true).await.status == 200).then_some(())
        })
        .await;
    });
}

#[test]
fn a_store_that_loses_its_last_second_gets_back_what_the_agents_say() {
    with_two(async |subject, [one, two]| {
        assert_eq!(one.register("old", 1, false).await.status, 200);
        assert_eq!(one.register("left", 1, false).await.status, 200);
        let kept_until = subject.clock().now();
        assert_eq!(one.register("new", 1, false).await.status, 200);
        let leave = json!({ "name": "left", "incarnation": 1 });
        assert_eq!(one.post("/deregister", leave).await.status, 200);
        two.until_listed(&["new", "old"]).await;
        crash(subject, kept_until);
        let mut names = stored(subject).await;
        assert_eq!(names, ["left", "old"], "the second is lost");
        // The registry that hears the agent writes its lease again, and the end that it remembers.
        names = crate::until("the lost second", async || {
            assert_eq!(one.register("new", 1, true).await.status, 200, "it never lost its lease");
            let names = stored(subject).await;
            (names == ["new", "old"]).then_some(names)
        })
        .await;
        assert_eq!(names, ["new", "old"]);
        for registry in [one, two] {
            registry.until_listed(&["new", "old"]).await;
        }
    });
}

#[test]
fn a_store_with_older_data_does_not_bring_an_older_process_back() {
    with_two(async |subject, [one, two]| {
        assert_eq!(one.register("a", 1, false).await.status, 200);
        let kept_until = subject.clock().now();
        assert_eq!(two.register("a", 2, false).await.status, 200);
        let newer = async |registry: &RunningRegistry| {
            (registry.list().await["a"]["incarnation"] == 2).then_some(())
        };
        crate::until("the newer process", async || newer(one).await).await;
        crash(subject, kept_until);
        crate::until("its record", async || {
            assert_eq!(one.register("a", 2, true).await.status, 200);
            assert_eq!(two.register("a", 2, true).await.status, 200);
            let records = subject.memory().list().await.expect("a list").records;
            (records.first()?.incarnation == Some(2)).then_some(())
        })
        .await;
        for registry in [one, two] {
            crate::until("the newer process", async || newer(registry).await).await;
            assert_eq!(registry.register("a", 1, true).await.status, 409, "that is long ago");
        }
        let health: Value = one.health().await;
        assert_eq!(health["store"], "ok");
    });
}

/// The names of the leases that the store says are live.
async fn stored(subject: &StoreSubject) -> Vec<String> {
    let records = subject.memory().list().await.expect("a list").records;
    records.iter().filter(|record| !record.ended).map(|record| record.name.to_string()).collect()
}
