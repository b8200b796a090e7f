//! GGUF headers: whatever is accepted lies inside the file and can be described.
#![no_main]

mod bound;

use std::io::Cursor;

use rixin_models::formats::gguf;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let len = data.len() as u64;
    if let Ok(header) = gguf::read(Cursor::new(data), len) {
        for tensor in &header.tensors {
            assert!(header.data_start + tensor.offset + tensor.bytes <= len);
        }
        let facts = header.facts();
        if let Some(memory) = facts.memory {
            assert!(memory.total(8192, 16) >= memory.weights_bytes);
        }
    }
    // The same bytes as the start of a large file: lengths that were impossible are now believed until the bytes end.
    let _ = gguf::read(Cursor::new(data), 1 << 40);
});
