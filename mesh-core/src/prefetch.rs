//! Asks the processor for memory that will be needed soon.
//!
//! A driver of thousands of agents knows which of them acts next. Memory that is in no cache takes
//! as long to arrive as a few hundred instructions take to run, so it pays to ask for it early. A
//! prefetch has no effect on results: a wrong guess only costs time.

use std::sync::Arc;

use branches::prefetch_read_data;

const CACHE_LINE: usize = 64;

/// Asks for all cache lines of a value.
#[inline(always)]
pub fn prefetch<T: ?Sized>(value: &T) {
    prefetch_bytes(std::ptr::from_ref(value).cast(), size_of_val(value));
}

/// Asks for a shared value and for its reference counts, which stand before it in memory.
#[inline(always)]
pub fn prefetch_arc<T: ?Sized>(shared: &Arc<T>) {
    const COUNTS: usize = 2 * size_of::<usize>();
    let start = Arc::as_ptr(shared).cast::<u8>().wrapping_sub(COUNTS);
    prefetch_bytes(start, size_of_val(&**shared) + COUNTS);
}

#[inline(always)]
fn prefetch_bytes(start: *const u8, len: usize) {
    for offset in (0..len).step_by(CACHE_LINE) {
        prefetch_read_data::<u8, 0>(start.wrapping_add(offset));
    }
    // A value that does not begin at the start of a cache line may reach into one more.
    prefetch_read_data::<u8, 0>(start.wrapping_add(len.saturating_sub(1)));
}
