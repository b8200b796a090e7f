//! Event streams: cut in any pieces they give the same items.
#![no_main]

mod bound;

use rixin_protocol::sse::{Item, Parser, SseError};

fn items<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Result<Vec<Item>, SseError> {
    let mut parser = Parser::new();
    let mut items = Vec::new();
    for piece in pieces {
        parser.push(piece);
        while let Some(item) = parser.next()? {
            items.push(item);
        }
    }
    Ok(items)
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some((first, stream)) = data.split_first() else { return };
    let cut = usize::from(*first % 16) + 1;
    let whole = items(std::iter::once(stream));
    let pieces = items(stream.chunks(cut));
    // Where a stream is refused, how much was read before depends on the pieces.
    assert_eq!(whole.is_ok(), pieces.is_ok());
    if let (Ok(whole), Ok(pieces)) = (whole, pieces) {
        assert_eq!(whole, pieces);
    }
});
