//! The stream of an engine on its way to the client: the same bytes, but for the usage that only the gateway asked for.
//!
//! Whole events are passed on, so that what is cut off by a dying replica never reaches the client as half an event.

use bytes::{Bytes, BytesMut};
use memchr::memmem;
use rixin_protocol::{sse::MAX_EVENT, usage::Usage};
use serde::Deserialize;

const USAGE_COMMENT: &[u8] = b": usage ";

/// What one push gave.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    /// Bytes for the client; may be empty.
    pub bytes: Bytes,
    /// Events with text among them.
    pub pieces: u32,
}

/// The filter of one stream.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    pending: BytesMut,
    /// Whether the chunk with the usage is held back, since the client did not ask for it.
    hide_usage_chunk: bool,
    /// The engine's count, once it came.
    pub usage: Option<Usage>,
    /// Whether `[DONE]` or an error event came.
    pub ended: bool,
}

#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<serde::de::IgnoredAny>,
    #[serde(default)]
    usage: Option<Usage>,
}

impl Filter {
    pub fn new(hide_usage_chunk: bool) -> Self {
        Self { hide_usage_chunk, ..Self::default() }
    }

    /// Takes bytes as they come; `None`: an event is longer than any engine of good faith sends.
    pub fn push(&mut self, data: Bytes) -> Option<Passed> {
        // Nearly always a frame is one or more whole events without usage.
        if self.pending.is_empty() && data.ends_with(b"\n\n") && memmem::find(&data, b"usage").is_none() {
            let pieces = self.look(&data);
            return Some(Passed { bytes: data, pieces });
        }
        self.pending.extend_from_slice(&data);
        let Some(end) = last_event_end(&self.pending) else {
            return (self.pending.len() <= MAX_EVENT).then(Passed::default);
        };
        let events = self.pending.split_to(end).freeze();
        let mut passed = Passed::default();
        let mut out = BytesMut::with_capacity(events.len());
        let mut rest = &events[..];
        while !rest.is_empty() {
            let end = first_event_end(rest).unwrap_or(rest.len());
            let (event, after) = rest.split_at(end);
            rest = after;
            if let Some(event) = self.event(event) {
                passed.pieces += self.look(event);
                out.extend_from_slice(event);
            }
        }
        passed.bytes = out.freeze();
        Some(passed)
    }

    /// What is left of one event for the client.
    fn event<'a>(&mut self, event: &'a [u8]) -> Option<&'a [u8]> {
        let mut event = event;
        while event.starts_with(USAGE_COMMENT) {
            let end = memchr::memchr(b'\n', event).map_or(event.len(), |at| at + 1);
            let (line, after) = event.split_at(end);
            self.usage = serde_json::from_slice(&line[USAGE_COMMENT.len()..]).ok().or(self.usage);
            event = after;
        }
        if event.iter().all(|b| matches!(b, b'\n' | b'\r')) {
            return None;
        }
        if memmem::find(event, b"\"usage\"").is_some()
            && let Some(data) = event.strip_prefix(b"data:")
            && let Ok(chunk) = serde_json::from_slice::<Chunk>(data)
        {
            self.usage = chunk.usage.or(self.usage);
            if self.hide_usage_chunk && chunk.usage.is_some() && chunk.choices.is_empty() {
                return None;
            }
        }
        Some(event)
    }

    /// Counts events with text, and notices the end.
    fn look(&mut self, events: &[u8]) -> u32 {
        if memmem::find(events, b"data: [DONE]").is_some()
            || memmem::find(events, b"data:[DONE]").is_some()
            || memmem::find(events, b"data: {\"error\"").is_some()
        {
            self.ended = true;
        }
        let text = memmem::find_iter(events, b"\"content\":\"")
            .filter(|at| events.get(at + 11) != Some(&b'"'))
            .count();
        let others = [&b"\"arguments\":\""[..], b"\"text\":\"", b"\"reasoning_content\":\""];
        let other: usize = others.iter().map(|needle| memmem::find_iter(events, needle).count()).sum();
        u32::try_from(text + other).unwrap_or(u32::MAX)
    }
}

/// Behind the blank line that ends the last whole event.
fn last_event_end(bytes: &[u8]) -> Option<usize> {
    memchr::memrchr_iter(b'\n', bytes).find(|&at| ends_event(bytes, at)).map(|at| at + 1)
}

/// Behind the blank line that ends the first event.
fn first_event_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr_iter(b'\n', bytes).find(|&at| ends_event(bytes, at)).map(|at| at + 1)
}

/// Whether the line break at `at` ends a blank line.
fn ends_event(bytes: &[u8], at: usize) -> bool {
    matches!(&bytes[..at], [.., b'\n'] | [.., b'\n', b'\r'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const STREAM: &str = "data: {\"choices\":[{\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"你\"}}]}\n\n\
        data: {\"choices\":[{\"delta\":{\"content\":\"usage\"}}]}\n\n\
        data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n\
        data: [DONE]\n\n";
    const COMMENT: &str = ": usage {\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}\n\n";

    fn run(filter: &mut Filter, pieces: &[&[u8]]) -> (String, u32) {
        let (mut text, mut count) = (Vec::new(), 0);
        for piece in pieces {
            let passed = filter.push(Bytes::copy_from_slice(piece)).expect("short events");
            text.extend_from_slice(&passed.bytes);
            count += passed.pieces;
        }
        (String::from_utf8(text).expect("UTF-8"), count)
    }

    #[test]
    fn the_comment_goes_and_the_rest_stays() {
        for stream in [
            format!("{STREAM}{COMMENT}"),
            STREAM.replace("data: [DONE]", &format!("{}\ndata: [DONE]", COMMENT.trim())),
        ] {
            let mut filter = Filter::new(false);
            let (text, pieces) = run(&mut filter, &[stream.as_bytes()]);
            assert_eq!((text.as_str(), pieces), (STREAM, 2));
            assert_eq!(filter.usage.map(|u| u.total_tokens), Some(5));
            assert!(filter.ended);
        }
    }

    #[test]
    fn a_chunk_that_nobody_asked_for_is_hidden() {
        let mut filter = Filter::new(true);
        let (text, _) = run(&mut filter, &[STREAM.as_bytes()]);
        assert!(!text.contains("prompt_tokens") && text.contains("content\":\"usage"), "{text}");
        assert_eq!(filter.usage.map(|u| u.completion_tokens), Some(2));
    }

    #[test]
    fn half_an_event_is_kept_back() {
        let mut filter = Filter::new(false);
        let (text, _) = run(&mut filter, &[b"data: {\"a\":1}\n\ndata: {\"cho"]);
        assert_eq!(text, "data: {\"a\":1}\n\n");
        assert!(!filter.ended);
    }

    proptest! {
        #[test]
        fn cuts_do_not_matter(cut in 1usize..60, crlf in any::<bool>()) {
            let stream = format!("{STREAM}{COMMENT}");
            let stream = if crlf { stream.replace('\n', "\r\n") } else { stream };
            let expected = if crlf { STREAM.replace('\n', "\r\n") } else { STREAM.to_owned() };
            let mut filter = Filter::new(false);
            let pieces: Vec<&[u8]> = stream.as_bytes().chunks(cut).collect();
            let (text, count) = run(&mut filter, &pieces);
            prop_assert_eq!(text, expected);
            prop_assert_eq!(count, 2);
            prop_assert_eq!(filter.usage.map(|u| u.prompt_tokens), Some(3));
        }
    }
}
