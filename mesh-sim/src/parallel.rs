//! Numbered jobs on several threads.

use std::collections::BTreeMap;
use std::num::NonZero;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;

/// As many threads as the machine has cores for this process.
pub fn cores() -> NonZero<usize> {
    thread::available_parallelism().unwrap_or(NonZero::<usize>::MIN)
}

/// Does the jobs 0, 1, 2 and so on, on `threads` threads, as long as `more` says so of the next
/// one. A job sends as much as it likes; all of it goes to `each` with the job's number, on the
/// calling thread and in no certain order between jobs, until it breaks. A job that is ahead of
/// `each` by more than one item per thread waits, so that items don't pile up.
pub fn as_they_come<T: Send>(
    threads: NonZero<usize>,
    more: impl Fn(usize) -> bool + Sync,
    job: impl Fn(usize, &dyn Fn(T)) + Sync,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
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
    let (items, arrive) = mpsc::sync_channel(threads.get());
    thread::scope(|scope| {
        for _ in 0..threads.get() {
            let (take, job, items) = (&take, &job, items.clone());
            scope.spawn(move || {
                while let Some(number) = take() {
                    // Nobody listens any more if `each` broke.
                    job(number, &|item| drop(items.send((number, item))));
                }
            });
        }
        drop(items);
        for (number, item) in arrive {
            if each(number, item).is_break() {
                stop();
                return;
            }
        }
    });
}

/// As [`as_they_come`], for jobs of one result each: these go to `each` in the order of the jobs.
/// What it sees before it breaks depends on the jobs and on `more` alone.
pub fn in_order<T: Send>(
    threads: NonZero<usize>,
    more: impl Fn(usize) -> bool + Sync,
    job: impl Fn(usize) -> T + Sync,
    mut each: impl FnMut(usize, T) -> ControlFlow<()>,
) {
    let mut early = BTreeMap::new();
    let mut expected = 0;
    let send = |number, send: &dyn Fn(T)| send(job(number));
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
    fn a_job_sends_what_it_likes() {
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
