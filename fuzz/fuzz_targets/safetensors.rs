//! Safetensors headers: whatever is accepted fills the file without overlap or gap.
#![no_main]

mod bound;

use rixin_models::formats::safetensors;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(header) = safetensors::read(data, data.len() as u64) {
        let mut at = 0;
        for tensor in &header.tensors {
            assert_eq!(tensor.begin, at);
            at = tensor.end;
        }
        assert_eq!(header.data_start + at, data.len() as u64);
        let _ = (header.parameters(), header.main_form(), header.kind(), header.licence());
    }
    // The JSON alone, so that most inputs get past the length.
    let mut file = (data.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(data);
    let _ = safetensors::read(file.as_slice(), file.len() as u64);
    let _ = safetensors::read(data, 1 << 40);
});
