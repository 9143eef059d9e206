//! What a registry does with a store that fails, is asked for much at once, or forgets in silence.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::future::{BoxFuture, join_all};
use mesh_core::profile::{Profile, Weight};
use mesh_core::registry::{
    MemoryStore, RegisterError, Registered, Registration, RegistryConfig, StoreReply,
};
use mesh_core::skills::Skills;
use tracing::span;

use super::*;
use crate::Clock;
use crate::clock::run_paused;
use crate::registry::driver::DrivenAnswer;
use crate::registry::store::{InMemoryStore, StoreNews};

/// A store that counts what it is asked for.
struct OddStore {
    inner: InMemoryStore,
    /// Whether it can be read only, as with a full disk.
    is_full: AtomicBool,
    /// Whether it never answers a change.
    hangs: AtomicBool,
    lists: AtomicU32,
    sent: AtomicUsize,
    under_way: AtomicUsize,
    most_under_way: AtomicUsize,
}

impl OddStore {
    fn new(clock: Clock, keep_for: Option<Duration>) -> Arc<Self> {
        Arc::new(Self {
            inner: InMemoryStore::new(clock, MemoryStore::new(keep_for, 10_000)),
            is_full: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            lists: AtomicU32::new(0),
            sent: AtomicUsize::new(0),
            under_way: AtomicUsize::new(0),
            most_under_way: AtomicUsize::new(0),
        })
    }
}

impl Store for OddStore {
    fn keeping(&self) -> Keeping {
        Keeping::Shared
    }

    fn list(&self) -> BoxFuture<'_, Result<StoreContents, StoreError>> {
        Box::pin(async {
            self.lists.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(1)).await;
            self.inner.list().await
        })
    }

    fn change(&self, change: StoreChange) -> BoxFuture<'_, ChangeOutcome> {
        Box::pin(async move {
            self.sent.fetch_add(1, Ordering::Relaxed);
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            let under_way = self.under_way.fetch_add(1, Ordering::Relaxed) + 1;
            self.most_under_way.fetch_max(under_way, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(5)).await;
            self.under_way.fetch_sub(1, Ordering::Relaxed);
            match self.is_full.load(Ordering::Relaxed) {
                true => ChangeOutcome::Failed,
                false => self.inner.change(change).await,
            }
        })
    }

    fn most_at_once(&self) -> usize {
        self.inner.most_at_once()
    }

    /// As Redis, it does not tell of records that it forgets.
    fn news(&self, after: u64) -> BoxFuture<'_, Result<StoreNews, StoreError>> {
        Box::pin(async move {
            let mut news = self.inner.news(after).await?;
            news.changes.retain(|(_, record)| record.is_some());
            Ok(news)
        })
    }

    fn keep(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        self.inner.keep(names)
    }

    fn forgotten(&self, names: Vec<Name>) -> BoxFuture<'_, Result<Vec<Name>, StoreError>> {
        Box::pin(async move {
            let known: BTreeSet<Name> =
                self.inner.list().await?.records.into_iter().map(|record| record.name).collect();
            Ok(names.into_iter().filter(|name| !known.contains(name)).collect())
        })
    }

    fn guarantees(&self) -> BoxFuture<'_, String> {
        self.inner.guarantees()
    }
}

type TestDriver = Arc<RegistryDriver<()>>;

/// Runs a case beside a registry over this store.
fn run(keep_for: Option<Duration>, case: impl AsyncFnOnce(TestDriver, Arc<OddStore>)) {
    run_paused(async {
        let clock = Clock::start();
        let store = OddStore::new(clock, keep_for);
        let keeper = StoreKeeper::new(Some(store.clone()));
        let driver = RegistryDriver::new(clock, RegistryConfig::default(), 1, (), keeper);
        let driver = Arc::new(driver);
        driver.load(StoreContents::default());
        tokio::select! {
            biased;
            () = driver.keep_store() => {}
            () = driver.expire() => {}
            () = case(driver.clone(), store) => {}
        }
    });
}

fn registration(name: &str, incarnation: u64) -> Registration {
    Registration {
        name: name.into(),
        url: format!("h:{incarnation}").into(),
        incarnation: Some(incarnation),
        renew: false,
        load: None,
        profile: Profile::default(),
        owner: None,
        draining: false,
    }
}

async fn register(
    driver: &TestDriver,
    registration: Registration,
) -> Result<Registered, RegisterError> {
    let answer = driver.ask(|registry, now| registry.handle_register(now, registration));
    match answer {
        DrivenAnswer::Now(answer) => answer,
        DrivenAnswer::Later(reply) => match reply.await {
            Ok(StoreReply::Registered(answer)) => answer,
            other => panic!("a registration, not {other:?}"),
        },
    }
}

/// Counts the errors in the log.
#[derive(Clone, Default)]
struct ErrorCount(Arc<Mutex<Vec<tracing::Level>>>);

impl ErrorCount {
    fn count(&self, level: tracing::Level) -> usize {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.iter().filter(|seen| **seen == level).count()
    }
}

impl tracing::Subscriber for ErrorCount {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("mesh_node::registry::outage")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        seen.push(*event.metadata().level());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[test]
fn a_store_that_can_be_read_only_is_asked_less_and_less_often() {
    let logged = ErrorCount::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    run(None, async |driver, store| {
        register(&driver, registration("a", 1)).await.expect("the store has room");
        store.is_full.store(true, Ordering::Relaxed);
        // What the agent says now belongs in the store, so that it is tried again and again.
        let weight = Weight::new(2.0).expect("a weight");
        let profile = Profile::new(Skills::default(), weight, None);
        let heartbeat = Registration { renew: true, profile, ..registration("a", 1) };
        for _ in 0..12 {
            register(&driver, heartbeat.clone()).await.expect("heartbeats go on");
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let lists = store.lists.load(Ordering::Relaxed);
        assert!((20..=40).contains(&lists), "{lists} times in a minute");
        assert_eq!(
            (logged.count(tracing::Level::ERROR), logged.count(tracing::Level::INFO)),
            (1, 0)
        );
        store.is_full.store(false, Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(
            (logged.count(tracing::Level::ERROR), logged.count(tracing::Level::INFO)),
            (1, 1)
        );
        register(&driver, registration("b", 1)).await.expect("the store has room again");
    });
}

#[test]
fn a_store_that_could_not_be_read_for_a_while_needs_no_change_to_be_well_again() {
    let logged = ErrorCount::default();
    let _guard = tracing::subscriber::set_default(logged.clone());
    run(None, async |driver, store| {
        store.inner.with(|store| store.faults.is_down = true);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let lists = store.lists.load(Ordering::Relaxed);
        assert!((10..=25).contains(&lists), "{lists} times in half a minute");
        assert!(!driver.with(|registry, _| registry.is_store_up()));
        store.inner.with(|store| store.faults.is_down = false);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert!(driver.with(|registry, _| registry.is_store_up()));
        assert_eq!(logged.count(tracing::Level::INFO), 0);
        tokio::time::sleep(QUIET).await;
        assert_eq!(
            (logged.count(tracing::Level::ERROR), logged.count(tracing::Level::INFO)),
            (1, 1)
        );
    });
}

#[test]
fn many_registrations_at_once_are_sent_some_at_a_time() {
    run(None, async |driver, store| {
        let most = store.most_at_once();
        let all = (0..10 * most).map(|number| registration(&format!("a-{number}"), 1));
        let asked = all.map(|registration| register(&driver, registration));
        assert!(join_all(asked).await.iter().all(Result::is_ok));
        assert_eq!(store.most_under_way.load(Ordering::Relaxed), most);
    });
}

#[test]
fn what_waits_for_a_store_that_hangs_is_never_sent() {
    run(None, async |driver, store| {
        store.hangs.store(true, Ordering::Relaxed);
        let most = store.most_at_once();
        let all = (0..10 * most).map(|number| registration(&format!("a-{number}"), 1));
        let asked = all.map(|registration| register(&driver, registration));
        let unavailable = Err(RegisterError::StoreUnavailable);
        assert!(join_all(asked).await.iter().all(|answer| *answer == unavailable));
        tokio::time::sleep(CHANGE_TIMEOUT * 3).await;
        assert_eq!(store.sent.load(Ordering::Relaxed), most);
        // They have failed, and are not under way any more.
        store.hangs.store(false, Ordering::Relaxed);
        register(&driver, registration("a-639", 2)).await.expect("it works again");
    });
}

#[test]
fn the_name_of_a_dead_agent_is_free_soon_after_the_store_has_forgotten_it() {
    let ttl = RegistryConfig::default().leases.ttl;
    run(Some(ttl * 3), async |driver, store| {
        let by = |owner: &str, incarnation| Registration {
            owner: Some(owner.into()),
            ..registration("a", incarnation)
        };
        register(&driver, by("ann", 1)).await.expect("the name is free");
        // Somebody else may hear the agent for as long as the store remembers it.
        tokio::time::sleep(ttl * 2).await;
        let holder = "h:1".into();
        assert_eq!(register(&driver, by("bob", 2)).await, Err(RegisterError::Held { holder }));
        tokio::time::sleep(ttl * 3).await;
        store.inner.with(|store| store.keep(driver.clock.now(), "nobody"));
        tokio::time::sleep(ttl + Duration::from_secs(1)).await;
        register(&driver, by("bob", 3)).await.expect("its owner is dead");
    });
}
