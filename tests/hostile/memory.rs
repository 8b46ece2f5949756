//! How much of the heap one thread holds at most while it does something: an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    /// Bytes held now and at most, of what this thread has taken since they were set to nothing.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

fn count(bytes: isize) {
    // A thread that is ending has no count any more.
    let _ = HELD.try_with(|held| {
        let now = held.get().0 + bytes;
        held.set((now, held.get().1.max(now)));
    });
}

// SAFETY: all is the system's own; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(place, layout) }
    }
}

/// The most bytes that this thread held at once meanwhile, beside what it held before.
pub fn held_at_most(deed: impl FnOnce()) -> usize {
    HELD.set((0, 0));
    deed();
    HELD.get().1.unsigned_abs()
}

#[test]
fn what_is_held_at_once_is_counted_and_no_more() {
    assert_eq!(held_at_most(|| drop([vec![0_u8; 1000], vec![0; 500]])), 1500);
    assert_eq!(held_at_most(|| (0..10).for_each(|_| drop(vec![0_u8; 1000]))), 1000);
    let grown = held_at_most(|| drop((0..100_000_u32).collect::<Vec<_>>()));
    assert!((400_000..1_000_000).contains(&grown), "{grown}");
}
