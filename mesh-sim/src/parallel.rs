//! Numbered work items on several threads.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// The number of cores that this process may use; 1 if the system does not say.
pub fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Calls `work` with the numbers 0, 1, 2 and so on, on `threads` threads, as long as `more` is true
/// of the next number.
///
/// Each call may send any number of messages with the function that it is given. Every message goes
/// to `each` with the number of its call, on the calling thread, until `each` breaks; the order of
/// messages from different calls is not certain. No more than one message per thread waits for
/// `each`; a call that sends another one blocks, so that messages don't pile up.
pub fn as_they_come<T: Send>(
    threads: NonZero<usize>,
    more: impl Fn(usize) -> bool + Sync,
    work: impl Fn(usize, &dyn Fn(T)) + Sync,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
) {
    // `more` is asked and the number taken under one lock, so the numbers that are worked on are
    // all those below some number.
    let next = Mutex::new((0, true));
    let take = || {
        let mut guard = next.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, open) = *guard;
        *guard = if open && more(number) { (number + 1, true) } else { (number, false) };
        guard.1.then_some(number)
    };
    let stop = || next.lock().unwrap_or_else(PoisonError::into_inner).1 = false;
    let (messages, arriving) = mpsc::sync_channel(threads.get());
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (take, work, messages) = (&take, &work, messages.clone());
            scope.spawn(move || {
                while let Some(number) = take() {
                    // Sending fails if `each` has broken and nobody listens any more.
                    work(number, &|message| drop(messages.send((number, message))));
                }
            });
        }
        drop(messages);
        for (number, message) in arriving {
            if each(number, message).is_break() {
                stop();
                return;
            }
        }
    });
}

/// As [`as_they_come`], for work with one result per number: `each` gets the results in the order
/// of the numbers. So what it gets before it breaks does not depend on the number of threads.
pub fn in_order<T: Send>(
    threads: NonZero<usize>,
    more: impl Fn(usize) -> bool + Sync,
    work: impl Fn(usize) -> T + Sync,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
) {
    let mut early = BTreeMap::new();
    let mut expected = 0;
    let send = |number, send: &dyn Fn(T)| send(work(number));
    as_they_come(threads, more, send, |number, result| {
        early.insert(number, result);
        while let Some(result) = early.remove(&expected) {
            each(expected, result)?;
            expected += 1;
        }
        ControlFlow::Continue(())
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn threads(count: usize) -> NonZero<usize> {
        NonZero::new(count).unwrap()
    }

    #[test]
    fn results_come_in_order_and_stop_where_told() {
        for count in [1, 2, 7] {
            let mut seen = Vec::new();
            in_order(
                threads(count),
                |number| number < 50,
                |number| number * number,
                |number, square| {
                    assert_eq!(square, number * number);
                    seen.push(number);
                    if number == 40 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                },
            );
            assert_eq!(seen, (0..=40).collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_number_may_send_any_number_of_messages() {
        let mut seen = Vec::new();
        as_they_come(
            threads(3),
            |number| number < 4,
            |number, send| (0..number).for_each(send),
            |number, item| {
                seen.push((number, item));
                ControlFlow::Continue(())
            },
        );
        seen.sort_unstable();
        assert_eq!(seen, [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2)]);
    }

    #[test]
    fn nothing_to_do_is_done_at_once() {
        in_order(threads(3), |_| false, |_| (), |_, ()| unreachable!());
    }
}
