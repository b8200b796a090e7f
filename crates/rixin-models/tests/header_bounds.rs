//! A header that lies costs nothing: the memory that parsing it takes is counted.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    io::Cursor,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use proptest::prelude::*;
use rixin_models::formats::{gguf, safetensors};

struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes on to the system's allocator with the caller's own arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller upholds the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the pointer came from `System` through `alloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most that `work` held at once, in bytes.
fn peak(work: impl FnOnce()) -> usize {
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    work();
    PEAK.load(Relaxed).saturating_sub(before)
}

const LIES: [u64; 7] = [u64::MAX, u64::MAX / 2, 1 << 40, u32::MAX as u64, 1 << 24, 100_000, 1025];

fn gguf(counts: (u64, u64), key_len: u64, kind: u32, rest: &[u64], tail: &[u8]) -> Vec<u8> {
    let mut file = b"GGUF\x03\0\0\0".to_vec();
    for number in [counts.0, counts.1, key_len] {
        file.extend(number.to_le_bytes());
    }
    file.extend(std::iter::repeat_n(b'k', key_len.min(64) as usize));
    file.extend(kind.to_le_bytes());
    rest.iter().for_each(|number| file.extend(number.to_le_bytes()));
    file.extend(tail);
    file
}

// One test alone in this binary: the count is the whole process's.
proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn lying_headers_allocate_no_more_than_their_bytes_justify(
        counts in (prop::sample::select(&LIES[..]), prop::sample::select(&LIES[..])),
        small in (0u64..4, 0u64..4),
        truthful in any::<bool>(),
        key_len in prop::sample::select(vec![1u64, 8, 1024, 1 << 30, u64::MAX]),
        kind in 0u32..14,
        rest in prop::collection::vec(prop_oneof![0u64..14, prop::sample::select(&LIES[..])], 0..8),
        tail in prop::collection::vec(any::<u8>(), 0..400),
        claimed in prop::sample::select(vec![0u64, 1 << 20, 1 << 40]),
    ) {
        let file = gguf(if truthful { small } else { counts }, key_len, kind, &rest, &tail);
        let len = (file.len() as u64).max(claimed);
        let held = peak(|| { let _ = gguf::read(Cursor::new(&file), len).map(|header| header.facts()); });
        // The longest single text that is kept is a chat template of 2 MiB.
        prop_assert!(held < 4 << 20, "{held} bytes for a file of {}", file.len());

        let mut file = counts.0.to_le_bytes().to_vec();
        file.extend(&tail);
        let held = peak(|| { let _ = safetensors::read(file.as_slice(), (file.len() as u64).max(claimed)); });
        prop_assert!(held < 1 << 20, "{held} bytes for a file of {}", file.len());
    }
}
