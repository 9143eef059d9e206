//! Numbered jobs on several threads, their results in order.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// As many threads as the machine has cores.
pub fn all_cores() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get)
}

/// Does the jobs 0, 1, 2 and so on, on up to `threads` threads, as long as `more` says so of the
/// next one. Results go to `each` by number, on the calling thread, until it breaks. What `each`
/// sees before that depends on the jobs and on `more` alone.
pub fn in_order<T: Send>(
    threads: usize,
    more: impl Fn(u64) -> bool + Sync,
    job: impl Fn(u64) -> T + Sync,
    mut each: impl FnMut(u64, T) -> ControlFlow<()>,
) {
    // Asking and taking are one step, so the jobs done are those below some number.
    let next = Mutex::new((0, true));
    let take = || {
        let mut guard = next.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, open) = *guard;
        *guard = if open && more(number) { (number + 1, true) } else { (number, false) };
        guard.1.then_some(number)
    };
    let stop = || next.lock().unwrap_or_else(PoisonError::into_inner).1 = false;
    let (done, arrives) = mpsc::sync_channel(threads.max(1));
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            let (take, job, done) = (&take, &job, done.clone());
            scope.spawn(move || {
                while let Some(number) = take() {
                    if done.send((number, job(number))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(done);
        let mut early = BTreeMap::new();
        let mut expected = 0;
        for (number, result) in arrives {
            early.insert(number, result);
            while let Some(result) = early.remove(&expected) {
                if each(expected, result).is_break() {
                    stop();
                    return;
                }
                expected += 1;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_and_stop_where_told() {
        for threads in [1, 2, 7] {
            let mut seen = Vec::new();
            in_order(
                threads,
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
    fn nothing_to_do_is_done_at_once() {
        in_order(3, |_| false, |_| (), |_, ()| unreachable!());
    }
}
