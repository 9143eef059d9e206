//! What answers requests.

use super::{Head, Request, Response};

/// What answers requests. Any `async` closure from [`Request`] to [`Response`] is one; a service
/// with several paths has a table of them: see [`RoutedService`](super::RoutedService).
///
/// The future is dropped if the client hangs up before the answer, so whatever it holds must free
/// itself on drop. A client that only closes its sending half gets its answer: see
/// [`half_closed`](super::ServerLimits::half_closed). Exception: a client that has already sent bytes
/// of its next request is not seen to hang up until the answer is written.
pub trait Handler: Clone + Send + Sync + 'static {
    /// Looks at a request whose body has not been read. The number is how many bytes the body may
    /// have, if not as many as [`body_bytes`](super::ServerLimits::body_bytes).
    ///
    /// # Errors
    /// The answer, if it does not depend on the body. The body is then not read: a client that
    /// waits for `100 Continue` never sends it.
    fn admit(&self, head: &Head) -> Result<Option<usize>, Box<Response>> {
        let _ = head;
        Ok(None)
    }

    /// Answers a request that has arrived in full.
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send;
}

impl<F, Fut> Handler for F
where
    F: Fn(Request) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Response> + Send,
{
    fn handle(&self, request: Request) -> impl Future<Output = Response> + Send {
        self(request)
    }
}
