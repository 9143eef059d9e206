//! The registry as a service: HTTP around the state machine [`mesh_core::registry::Registry`].

mod board;
mod driver;
mod guard;
mod http;
mod keep_turns;
mod keeper;
mod long_poll;
mod metrics;
mod outage;
mod sets;
pub mod store;

use std::sync::Arc;

use mesh_core::registry::RegistryConfig;

use self::driver::RegistryDriver;
pub use self::guard::RegistrationGuard;
use self::keeper::StoreKeeper;
use self::store::{Store, StoreContents};
use crate::http::{RequestChecks, RoutedService, Served, ServerLimits, serve};
use crate::{Clock, Dashboard, Net, Observer};

/// A registry that serves `POST /register`, `GET /services`, `POST /deregister`, `POST /drain`,
/// `POST /scale`, `GET /healthz` and `GET /metrics`. With a [`Dashboard`], it also serves that, and takes what agents
/// tell for it (`POST /telemetry`). Clones share the same registry.
///
/// `GET /services?wait=10s&index=7` is a long poll: it is answered once the index differs from 7,
/// or when the wait is over (60 s at most); at once if the index differs already. No two lives of a
/// registry share an index, so a client that still has the index of an earlier life is answered at
/// once.
///
/// ```no_run
/// use mesh_core::registry::RegistryConfig;
/// use mesh_node::http::ServerLimits;
/// use mesh_node::{Clock, Net, RegistryNode, TokioNet};
///
/// # async fn run() -> std::io::Result<()> {
/// let listener = TokioNet.bind("127.0.0.1:8500").await?;
/// // Microseconds since 1970, so that the epoch rises from one start to the next.
/// let epoch = 1_700_000_000_000_000;
/// let registry = RegistryNode::new(Clock::start(), RegistryConfig::default(), epoch, ());
/// let until_the_end = std::future::pending();
/// registry.run::<TokioNet>(listener, ServerLimits::default(), until_the_end).await;
/// # Ok(())
/// # }
/// ```
pub struct RegistryNode<O> {
    driver: Arc<RegistryDriver<O>>,
    checks: RequestChecks,
}

impl<O> Clone for RegistryNode<O> {
    fn clone(&self) -> Self {
        Self { driver: self.driver.clone(), checks: self.checks.clone() }
    }
}

impl<O: Observer> RegistryNode<O> {
    /// An empty registry. `epoch` is the first index of this life. It must exceed that of every
    /// earlier life by more than the changes of membership that the earlier life saw: the wall
    /// clock in microseconds does.
    pub fn new(clock: Clock, config: RegistryConfig, epoch: u64, observer: O) -> Self {
        Self::made(RegistryDriver::new(clock, config, epoch, observer, StoreKeeper::new(None)))
    }

    /// A registry that takes over the leases that a store has, and keeps its own there.
    /// [`StorePlace::open`](store::StorePlace::open) gives both.
    pub fn with_store(
        clock: Clock,
        config: RegistryConfig,
        epoch: u64,
        observer: O,
        (store, contents): (Arc<dyn Store>, StoreContents),
    ) -> Self {
        let keeper = StoreKeeper::new(Some(store));
        let driver = RegistryDriver::new(clock, config, epoch, observer, keeper);
        driver.load(contents);
        Self::made(driver)
    }

    fn made(driver: RegistryDriver<O>) -> Self {
        Self { driver: Arc::new(driver), checks: RequestChecks::default() }
    }

    /// The same registry, which answers only requests that pass these checks. They are run before a
    /// body is read.
    #[must_use]
    pub fn with_checks(self, checks: RequestChecks) -> Self {
        Self { checks, ..self }
    }

    /// The same registry, where `guard` decides who may register what. Only the first guard counts.
    #[must_use]
    pub fn guarded_by(self, guard: RegistrationGuard) -> Self {
        // It fails if there is a guard already.
        let _ = self.driver.guard.set(guard);
        self
    }

    /// The same registry with a dashboard: see [`crate::dashboard`]. Only the first one counts.
    #[must_use]
    pub fn with_dashboard(self, dashboard: Dashboard) -> Self {
        self.driver.dashboard_slot().set(dashboard);
        self
    }

    /// Serves on `listener` until `shutdown` is ready. Then long polls are answered at once, and
    /// other requests under way are finished.
    pub async fn run<N: Net>(
        self,
        listener: N::Listener,
        limits: ServerLimits,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Served {
        let handler = RoutedService::new(self.driver.clone(), self.checks);
        let stopped = async {
            shutdown.await;
            self.driver.end_polls();
            self.driver.close_dashboard();
        };
        tokio::select! {
            biased;
            served = serve::<N, _>(listener, handler, limits, stopped) => served,
            () = self.driver.expire() => unreachable!("expiry has no end"),
            () = self.driver.keep_store() => unreachable!("there is always more to keep"),
            () = self.driver.feed_dashboard() => unreachable!("there is always more to show"),
        }
    }
}
