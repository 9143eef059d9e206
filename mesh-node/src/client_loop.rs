//! Open and closed loops of requests: when clients send, whatever a request is and however it is
//! sent.
//!
//! In an open loop each request is due at a given time, no matter what became of the earlier ones,
//! so a slow server does not slow its clients down. In a closed loop each of N clients waits for
//! the end of its request before it sends the next one. Both read the time from a [`Clock`] only,
//! so they run in simulated time as well.

use std::iter::Peekable;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::park_timeout;

use mesh_core::Timestamp;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinError, JoinSet};

use crate::Clock;

/// Hands out each request when it is due.
///
/// There are two: [`Timed`], which waits on the runtime's timers, and the receiving end of a
/// channel, whose sender keeps the time. [`pace`] is such a sender, and more precise.
pub trait Schedule {
    /// What is sent.
    type Item;

    /// Waits until the next request is due. `None` after the last one.
    fn next(&mut self) -> impl Future<Output = Option<Self::Item>> + Send;
}

/// A [`Schedule`] on the runtime's timers, which fire up to 1 ms late.
pub struct Timed<I: Iterator> {
    clock: Clock,
    requests: Peekable<I>,
}

impl<T, I: Iterator<Item = (Timestamp, T)>> Timed<I> {
    /// A schedule of requests, each with the time at which it is due. They must come in the order
    /// of these times.
    pub fn new(clock: Clock, requests: I) -> Self {
        Self { clock, requests: requests.peekable() }
    }
}

impl<T: Send, I: Iterator<Item = (Timestamp, T)> + Send> Schedule for Timed<I> {
    type Item = T;

    async fn next(&mut self) -> Option<T> {
        let (at, _) = self.requests.peek()?;
        self.clock.sleep_until(*at).await;
        self.requests.next().map(|(_, request)| request)
    }
}

impl<T: Send> Schedule for UnboundedReceiver<T> {
    type Item = T;

    async fn next(&mut self) -> Option<T> {
        self.recv().await
    }
}

/// Calls `hand_over` with each request when it is due, until there is none left or `hand_over`
/// returns false.
///
/// Blocks its thread: a thread wakes some 0.1 ms late, the runtime's timers up to 1 ms.
pub fn pace<T>(
    clock: Clock,
    requests: impl Iterator<Item = (Timestamp, T)>,
    mut hand_over: impl FnMut(T) -> bool,
) {
    for (at, request) in requests {
        loop {
            let left = at.since(clock.now());
            if left.is_zero() {
                break;
            }
            // May return early, so the loop looks at the clock again.
            park_timeout(left);
        }
        if !hand_over(request) {
            return;
        }
    }
}

/// Sends each request when it is due, in a task of its own, and waits until all have ended. `ended`
/// is called with what each of them returned.
///
/// At most `max_open` requests, which must be at least 1, are under way at once. Later ones wait
/// for their turn, and are then sent late.
pub async fn open_loop<S: Schedule, F>(
    mut due: S,
    max_open: usize,
    mut send: impl FnMut(S::Item) -> F,
    mut ended: impl FnMut(F::Output),
) where
    F: Future<Output: Send> + Send + 'static,
{
    let mut open = JoinSet::new();
    loop {
        let request = {
            let mut next = pin!(due.next());
            loop {
                tokio::select! {
                    biased;
                    request = &mut next, if open.len() < max_open => break request,
                    Some(result) = open.join_next() => ended(unless_panicked(result)),
                }
            }
        };
        let Some(request) = request else { break };
        open.spawn(send(request));
    }
    while let Some(result) = open.join_next().await {
        ended(unless_panicked(result));
    }
}

/// Runs `clients` clients, each of which sends one request after the other.
///
/// `next` gets the number of a client, from 0, and says what that client sends next and when it is
/// due; `None` if the client is done.
pub async fn closed_loop<T, F>(
    clock: Clock,
    clients: usize,
    next: impl FnMut(usize) -> Option<(Timestamp, T)> + Send + 'static,
    send: impl Fn(T) -> F + Clone + Send + 'static,
) where
    T: Send + 'static,
    F: Future<Output = ()> + Send + 'static,
{
    let next = Arc::new(Mutex::new(next));
    let mut loops = JoinSet::new();
    for client in 0..clients {
        let (next, send) = (next.clone(), send.clone());
        loops.spawn(async move {
            // A closure of its own, so that the lock is free again while the request is under way.
            let draw = || next.lock().unwrap_or_else(PoisonError::into_inner)(client);
            while let Some((at, request)) = draw() {
                clock.sleep_until(at).await;
                send(request).await;
            }
        });
    }
    while let Some(result) = loops.join_next().await {
        unless_panicked(result);
    }
}

/// The task's result. A panic in a task becomes one of whoever runs the loop; nothing here cancels
/// a task, so there is no other error.
fn unless_panicked<T>(result: Result<T, JoinError>) -> T {
    result.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock::run_paused;

    fn at_ms(ms: u64) -> Timestamp {
        Timestamp::from(Duration::from_millis(ms))
    }

    /// When each of four requests, due every 10 ms, was sent, if each takes 100 ms.
    async fn sent_at(max_open: usize) -> Vec<u64> {
        let clock = Clock::start();
        let due = Timed::new(clock, (0..4).map(|number| (at_ms(10 * number), number)));
        let mut sent = Vec::new();
        let send = |_| async move {
            let at = clock.now();
            tokio::time::sleep(Duration::from_millis(100)).await;
            at
        };
        open_loop(due, max_open, send, |at| sent.push(at.elapsed().as_millis() as u64)).await;
        sent
    }

    #[test]
    fn an_open_loop_waits_for_nothing_but_its_limit() {
        run_paused(async {
            assert_eq!(sent_at(usize::MAX).await, [0, 10, 20, 30]);
            assert_eq!(sent_at(2).await, [0, 10, 100, 110]);
        });
    }

    #[test]
    fn clients_of_a_closed_loop_wait_for_their_own_requests_alone() {
        run_paused(async {
            let clock = Clock::start();
            let sent = Arc::new(Mutex::new(Vec::new()));
            let mut left = [2, 3];
            let next = move |client: usize| {
                left[client] -= 1;
                (left[client] > 0).then(|| (clock.now() + Duration::from_millis(10), client))
            };
            let log = sent.clone();
            closed_loop(clock, 2, next, move |client| {
                log.lock().unwrap().push((clock.now().elapsed().as_millis(), client));
                tokio::time::sleep(Duration::from_millis(50 * client as u64))
            })
            .await;
            assert_eq!(*sent.lock().unwrap(), [(10, 0), (10, 1), (70, 1)]);
        });
    }

    #[test]
    fn pace_hands_over_what_is_due_until_nobody_takes_it() {
        let clock = Clock::start();
        let mut taken = Vec::new();
        pace(clock, (0..).map(|number| (at_ms(number), number)), |number| {
            assert!(clock.now() >= at_ms(number), "never early");
            taken.push(number);
            number < 3
        });
        assert_eq!(taken, [0, 1, 2, 3]);
    }
}
