//! The event-stream codec (HTML standard, 9.2 "Server-sent events"): a parser that takes bytes in any pieces, and the writing side.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest line or event that a peer may send, in bytes.
pub const MAX_EVENT: usize = 8 << 20;

/// An event or a comment of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    /// A dispatched event.
    Event(Event),
    /// A line that started with a colon, without it.
    Comment(String),
}

/// A dispatched event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    /// The `event` field; empty where absent.
    pub name: String,
    /// The `data` fields, joined by line breaks.
    pub data: String,
}

/// Why a stream can't be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// An event over [`MAX_EVENT`].
    #[error("an event of the stream is longer than {MAX_EVENT} bytes")]
    TooLong,
    /// Bytes that are not UTF-8.
    #[error("the stream is not valid UTF-8")]
    Utf8,
}

/// The parser. Feed it bytes with [`Parser::push`], take items with [`Parser::next`].
#[derive(Debug, Default)]
pub struct Parser {
    buffer: BytesMut,
    scanned: usize,
    started: bool,
    event: Event,
    has_data: bool,
}

impl Parser {
    /// An empty parser at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next item, or `None` until more bytes come.
    ///
    /// # Errors
    /// See [`SseError`]; the parser is of no use after one.
    #[allow(clippy::should_implement_trait, reason = "it is no iterator: None is not the end")]
    pub fn next(&mut self) -> Result<Option<Item>, SseError> {
        loop {
            let Some(line) = self.take_line()? else { return Ok(None) };
            if line.is_empty() {
                let event = std::mem::take(&mut self.event);
                if std::mem::take(&mut self.has_data) {
                    return Ok(Some(Item::Event(event)));
                }
                continue;
            }
            if let Some(comment) = line.strip_prefix(':') {
                return Ok(Some(Item::Comment(comment.strip_prefix(' ').unwrap_or(comment).to_owned())));
            }
            let (field, value) = line.split_once(':').unwrap_or((line.as_str(), ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" => {
                    if self.event.data.len() + value.len() > MAX_EVENT {
                        return Err(SseError::TooLong);
                    }
                    if self.has_data {
                        self.event.data.push('\n');
                    }
                    self.event.data.push_str(value);
                    self.has_data = true;
                }
                "event" => self.event.name = value.to_owned(),
                _ => {}
            }
        }
    }

    /// A line without its end (LF, CR or CR LF); a CR at the end of what is there waits for its LF.
    fn take_line(&mut self) -> Result<Option<String>, SseError> {
        let found = memchr::memchr2(b'\n', b'\r', &self.buffer[self.scanned..]).map(|at| at + self.scanned);
        let Some(end) = found else {
            self.scanned = self.buffer.len();
            return if self.buffer.len() > MAX_EVENT { Err(SseError::TooLong) } else { Ok(None) };
        };
        let width = match (self.buffer[end], self.buffer.get(end + 1)) {
            (b'\r', None) => {
                self.scanned = end;
                return Ok(None);
            }
            (b'\r', Some(b'\n')) => 2,
            _ => 1,
        };
        let mut line = self.buffer.split_to(end + width);
        line.truncate(end);
        self.scanned = 0;
        let mut text = std::str::from_utf8(&line).map_err(|_| SseError::Utf8)?;
        if !std::mem::replace(&mut self.started, true) {
            text = text.strip_prefix('\u{feff}').unwrap_or(text);
        }
        Ok(Some(text.to_owned()))
    }
}

/// An event with a `data` field for each line of `data`, and an `event` field where `name` is not empty.
pub fn event(name: &str, data: &str) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + name.len() + 24);
    if !name.is_empty() {
        out.put_slice(b"event: ");
        out.put_slice(name.as_bytes());
        out.put_u8(b'\n');
    }
    for line in data.split('\n') {
        out.put_slice(b"data: ");
        out.put_slice(line.as_bytes());
        out.put_u8(b'\n');
    }
    out.put_u8(b'\n');
    out.freeze()
}

/// A comment, which clients ignore.
pub fn comment(text: &str) -> Bytes {
    Bytes::from(format!(": {}\n\n", text.replace(['\n', '\r'], " ")))
}

/// OpenAI's last event.
pub const DONE: &str = "[DONE]";

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(pieces: &[&[u8]]) -> Vec<Item> {
        let mut parser = Parser::new();
        let mut items = Vec::new();
        for piece in pieces {
            parser.push(piece);
            while let Some(item) = parser.next().expect("valid stream") {
                items.push(item);
            }
        }
        items
    }

    #[test]
    fn fields_comments_and_line_ends() {
        let items = all(&[b"\xef\xbb\xbf: hi\r\nevent: x\r\ndata:a\rdata: b\n\nid: 1\n\n"]);
        assert_eq!(
            items,
            [Item::Comment("hi".into()), Item::Event(Event { name: "x".into(), data: "a\nb".into() })]
        );
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let mut parser = Parser::new();
        parser.push(&vec![b'a'; MAX_EVENT + 1]);
        assert_eq!(parser.next(), Err(SseError::TooLong));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back_in_any_pieces(texts in prop::collection::vec("[^\r]{0,40}", 1..6), cut in 1usize..9) {
            let mut stream = Vec::new();
            for text in &texts {
                stream.extend_from_slice(&event("e", text));
            }
            let pieces: Vec<&[u8]> = stream.chunks(cut).collect();
            let read: Vec<String> = all(&pieces)
                .into_iter()
                .filter_map(|item| match item { Item::Event(e) => Some(e.data), Item::Comment(_) => None })
                .collect();
            prop_assert_eq!(read, texts);
        }

        #[test]
        fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut parser = Parser::new();
            parser.push(&bytes);
            while let Ok(Some(_)) = parser.next() {}
        }
    }
}
