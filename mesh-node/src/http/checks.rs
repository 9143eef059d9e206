//! Checks that may refuse a request by its head, before its body is read.

use std::sync::Arc;

use super::{Head, Response};

/// Looks at the head of a request and may refuse it. Any closure with the signature of
/// [`RequestCheck::check`] is one.
///
/// A check sees every request to its service, before anything else does and whether or not its path
/// is served. So it is the place to ask for a key (401, 403), or for a known `Host` or `Origin`
/// (421, 403). It runs in the connection's task and must be quick.
pub trait RequestCheck: Send + Sync + 'static {
    /// # Errors
    /// The answer to a request that is refused. Its body is not read.
    fn check(&self, head: &Head) -> Result<(), Box<Response>>;
}

impl<F> RequestCheck for F
where
    F: Fn(&Head) -> Result<(), Box<Response>> + Send + Sync + 'static,
{
    fn check(&self, head: &Head) -> Result<(), Box<Response>> {
        self(head)
    }
}

/// The checks of a service, in order: the first one that refuses a request decides its answer. By
/// default there are none. Copies share the checks.
///
/// ```
/// use mesh_node::http::{Head, RequestChecks, Response, StatusCode};
///
/// let only_local = |head: &Head| match head.client.ip().is_loopback() {
///     true => Ok(()),
///     false => Err(Box::new(Response::error(StatusCode::FORBIDDEN, "only from this machine"))),
/// };
/// let checks = RequestChecks::default().and(only_local);
/// ```
#[derive(Clone, Default)]
pub struct RequestChecks(Arc<[Arc<dyn RequestCheck>]>);

impl RequestChecks {
    /// These checks, and one more after them.
    #[must_use]
    pub fn and(&self, check: impl RequestCheck) -> Self {
        Self(self.0.iter().cloned().chain([Arc::new(check) as _]).collect())
    }

    /// Runs all checks; an error is the answer of the first that refuses.
    pub(super) fn run(&self, head: &Head) -> Result<(), Box<Response>> {
        self.0.iter().try_for_each(|check| check.check(head))
    }
}
