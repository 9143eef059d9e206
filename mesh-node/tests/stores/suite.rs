//! What every store must do.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use mesh_core::protocol::Name;
use mesh_core::registry::{ChangeOutcome, LeaseRecord};
use mesh_node::registry::store::{Store, StoreError};

use crate::subject::{LONG, StoreKind, StoreSubject, change, record, shares};

/// Runs every case on every kind of store.
macro_rules! contract {
    ($($case:ident)+) => {
        mod memory { $(#[test] fn $case() { super::on(super::StoreKind::Memory, super::$case); })+ }
        mod slow { $(#[test] fn $case() { super::on(super::StoreKind::Slow, super::$case); })+ }
        mod file { $(#[test] fn $case() { super::on(super::StoreKind::File, super::$case); })+ }
        mod redis { $(#[test] fn $case() { super::on(super::StoreKind::Redis, super::$case); })+ }
        mod etcd { $(#[test] fn $case() { super::on(super::StoreKind::Etcd, super::$case); })+ }
    };
}

contract! {
    a_change_is_made_only_over_the_record_that_it_expects
    a_change_that_is_repeated_does_no_harm
    of_two_that_change_one_name_one_comes_too_late
    many_changes_at_once_are_all_made
    records_can_go
    news_miss_nothing_and_repeat_nothing
    names_without_a_record_are_missing
    what_was_stored_is_there_when_it_is_opened_again
}

fn on(kind: StoreKind, case: impl AsyncFnOnce(StoreSubject)) {
    if let Some(subject) = StoreSubject::new(kind) {
        crate::run(case(subject));
    }
}

async fn records(store: &dyn Store) -> Vec<LeaseRecord> {
    let mut records = store.list().await.expect("a list").records;
    records.sort_by(|a, b| a.name.cmp(&b.name));
    records
}

fn is_stored(outcome: ChangeOutcome) -> bool {
    matches!(outcome, ChangeOutcome::Stored(_))
}

fn is_outdated(outcome: ChangeOutcome) -> bool {
    matches!(outcome, ChangeOutcome::Outdated(_))
}

async fn a_change_is_made_only_over_the_record_that_it_expects(subject: StoreSubject) {
    let (store, contents) = subject.open(LONG).await;
    assert!(contents.records.is_empty());
    let (first, second) = (record("a", 1, 1), record("a", 2, 2));
    let made = store.change(change("a", None, Some(&first))).await;
    let ChangeOutcome::Stored(revision) = made else { panic!("{made:?}") };
    assert!(revision > contents.revision);
    assert!(is_outdated(store.change(change("a", None, Some(&second))).await));
    assert_eq!(records(&*store).await, std::slice::from_ref(&first));
    let made = store.change(change("a", Some(&first), Some(&second))).await;
    assert!(matches!(made, ChangeOutcome::Stored(later) if later > revision), "{made:?}");
    let third = record("a", 3, 3);
    assert!(is_outdated(store.change(change("a", Some(&first), Some(&third))).await));
    assert_eq!(records(&*store).await, [second]);
    assert!(!store.guarantees().await.is_empty());
}

async fn a_change_that_is_repeated_does_no_harm(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    let (first, second) = (record("a", 1, 1), record("a", 2, 2));
    for _ in 0..2 {
        assert!(is_stored(store.change(change("a", None, Some(&first))).await));
    }
    for _ in 0..2 {
        assert!(is_stored(store.change(change("a", Some(&first), Some(&second))).await));
    }
    assert!(is_outdated(store.change(change("a", None, Some(&first))).await), "that is long ago");
    assert_eq!(records(&*store).await, [second]);
}

async fn of_two_that_change_one_name_one_comes_too_late(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    let other = if subject.is_shared() { subject.open(LONG).await.0 } else { store.clone() };
    for round in 0..20 {
        let name = format!("agent-{round}");
        let (mine, theirs) = (record(&name, 1, 1), record(&name, 2, 1));
        let both = [store.change(change(&name, None, Some(&mine))), {
            other.change(change(&name, None, Some(&theirs)))
        }];
        let outcomes = join_all(both).await;
        assert_eq!(outcomes.iter().filter(|it| is_stored(**it)).count(), 1, "{outcomes:?}");
        assert_eq!(outcomes.iter().filter(|it| is_outdated(**it)).count(), 1, "{outcomes:?}");
    }
}

async fn many_changes_at_once_are_all_made(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    let all: Vec<LeaseRecord> =
        (0..300).map(|number| record(&format!("agent-{number:03}"), 1, 1)).collect();
    let changes = all.iter().map(|record| store.change(change(&record.name, None, Some(record))));
    let outcomes = join_all(changes).await;
    assert!(outcomes.iter().all(|outcome| is_stored(*outcome)), "{outcomes:?}");
    assert_eq!(records(&*store).await, all);
}

async fn records_can_go(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    let first = record("a", 1, 1);
    assert!(is_stored(store.change(change("a", None, Some(&first))).await));
    assert!(is_outdated(store.change(change("a", Some(&record("a", 2, 1)), None)).await));
    for _ in 0..2 {
        assert!(is_stored(store.change(change("a", Some(&first), None)).await));
    }
    assert!(records(&*store).await.is_empty());
    assert!(is_stored(store.change(change("a", None, Some(&first))).await));
}

async fn news_miss_nothing_and_repeat_nothing(subject: StoreSubject) {
    let (store, contents) = subject.open(LONG).await;
    if !shares(&*store) {
        return;
    }
    let (reader, _) = subject.open(LONG).await;
    let write = async {
        for version in 1..60 {
            let name = format!("agent-{}", version % 7);
            let known = records(&*store).await.into_iter().find(|record| *record.name == *name);
            let next = (version % 5 != 0 || known.is_none()).then(|| record(&name, 1, version));
            let made = store.change(change(&name, known.as_ref(), next.as_ref())).await;
            assert!(is_stored(made), "{made:?}");
        }
        records(&*store).await
    };
    let read = async {
        let mut known: BTreeMap<Name, LeaseRecord> = BTreeMap::new();
        let (mut revision, mut last, mut count) = (contents.revision, 0, 0);
        while count < 59 {
            let news = reader.news(revision).await.expect("news");
            assert!(news.revision > revision);
            revision = news.revision;
            for (name, record) in news.changes {
                count += 1;
                match record {
                    Some(record) => {
                        assert!(record.version > last, "out of order");
                        last = record.version;
                        known.insert(name, record);
                    }
                    None => drop(known.remove(&name)),
                }
            }
        }
        known.into_values().collect::<Vec<_>>()
    };
    let (written, known) = tokio::join!(write, read);
    assert_eq!(written, known);
    // A revision that the store has never had: it must have lost changes, or be another store.
    // etcd waits for it, because its revisions are the same for all its users.
    if subject.place().to_string().starts_with("redis") {
        assert_eq!(reader.news(10_000).await, Err(StoreError::Forgotten));
    }
}

async fn names_without_a_record_are_missing(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    if !shares(&*store) {
        return;
    }
    let first = record("a", 1, 1);
    assert!(is_stored(store.change(change("a", None, Some(&first))).await));
    let missing = store.keep(vec!["a".into(), "b".into()]).await.expect("an answer");
    assert_eq!(missing, [Name::from("b")]);
}

async fn what_was_stored_is_there_when_it_is_opened_again(subject: StoreSubject) {
    let (store, _) = subject.open(LONG).await;
    let first = record("a", 1, 1);
    let made = store.change(change("a", None, Some(&first))).await;
    let ChangeOutcome::Stored(revision) = made else { panic!("{made:?}") };
    drop(store);
    // A file is closed by the thread of the store, some time after it is dropped.
    let again = crate::until("the store", async || {
        if subject.is_shared() {
            return Some(subject.open(LONG).await);
        }
        subject.place().open(LONG).await.ok()
    });
    let (_, contents) = again.await;
    assert_eq!(contents.records, [first]);
    assert!(contents.revision >= revision);
}
