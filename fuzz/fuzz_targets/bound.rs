//! An allocator that ends the run when a parser asks for more than its input can justify: a header that lies must cost nothing.

use std::alloc::{GlobalAlloc, Layout, System};

/// The largest single allocation: libFuzzer's own inputs and tables stay far below.
const MOST: usize = 192 << 20;

struct Bounded;

// SAFETY: every call goes on to the system's allocator with the caller's own arguments, or gives null, which is allowed.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if layout.size() > MOST {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the pointer came from `System` through `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Bounded = Bounded;
