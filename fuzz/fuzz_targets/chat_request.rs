//! Chat requests: parsed and checked, or refused with a fault that has both languages.
#![no_main]

mod bound;

use rixin_protocol::{chat::ChatRequest, parse};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let checked = parse::body::<ChatRequest>(data).and_then(|request| request.check());
    if let Err(fault) = checked {
        assert!(!fault.message.en.is_empty() && !fault.message.zh.is_empty());
    }
});
