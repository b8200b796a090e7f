//! Tokens' bytes to text for a stream: whole characters, and nothing that a stop string could still take back.

/// Holds back what may not be shown yet.
#[derive(Debug, Default)]
pub(crate) struct TextStream {
    stops: Vec<String>,
    /// Bytes that were not given out.
    held: Vec<u8>,
}

/// What a push led to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Pushed {
    /// Text to show now.
    pub text: String,
    /// The stop string that ended the answer.
    pub stop: Option<String>,
}

impl TextStream {
    /// `stops` has no empty strings.
    pub fn new(stops: Vec<String>) -> Self {
        Self { stops, held: Vec::new() }
    }

    /// Takes a token's bytes. Of several stop strings the one that is complete first wins, on a tie the one that starts first; so the
    /// result does not depend on how the text is cut into tokens. After a stop nothing more may be pushed.
    pub fn push(&mut self, bytes: &[u8]) -> Pushed {
        self.held.extend_from_slice(bytes);
        let found = self
            .stops
            .iter()
            .filter_map(|stop| {
                let at = memchr::memmem::find(&self.held, stop.as_bytes())?;
                Some((at + stop.len(), at, stop))
            })
            .min_by_key(|&(end, start, _)| (end, start));
        if let Some((_, start, stop)) = found {
            let stop = stop.clone();
            let text = String::from_utf8_lossy(&self.held[..start]).into_owned();
            self.held.clear();
            return Pushed { text, stop: Some(stop) };
        }
        let safe = self.held.len() - self.possible_stop();
        let safe = whole_characters(&self.held[..safe]);
        let text = String::from_utf8_lossy(&self.held[..safe]).into_owned();
        self.held.drain(..safe);
        Pushed { text, stop: None }
    }

    /// The rest, at the end of the answer. Half a character becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.held).into_owned();
        self.held.clear();
        text
    }

    /// Length of the longest end of what is held that is the start of a stop string.
    fn possible_stop(&self) -> usize {
        let longest = |stop: &String| {
            let most = (stop.len() - 1).min(self.held.len());
            (1..=most).rev().find(|&n| self.held[self.held.len() - n..] == stop.as_bytes()[..n]).unwrap_or(0)
        };
        self.stops.iter().map(longest).max().unwrap_or(0)
    }
}

/// Length of `bytes` without a character at the end that has only begun (RFC 3629). Bytes that can't begin a character stay.
fn whole_characters(bytes: &[u8]) -> usize {
    let from = bytes.len().saturating_sub(3);
    for at in (from..bytes.len()).rev() {
        let need = match bytes[at] {
            0x00..=0x7F => return bytes.len(),
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            _ => return bytes.len(),
        };
        // A sequence that is wrong already would never become whole: `from_utf8` tells the two apart.
        let open = bytes.len() - at < need
            && std::str::from_utf8(&bytes[at..]).is_err_and(|error| error.error_len().is_none());
        return if open { at } else { bytes.len() };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn run(stops: &[String], pieces: &[&[u8]]) -> (Vec<String>, Option<String>) {
        let mut stream = TextStream::new(stops.to_vec());
        let mut shown = Vec::new();
        for piece in pieces {
            let pushed = stream.push(piece);
            shown.push(pushed.text);
            if pushed.stop.is_some() {
                return (shown, pushed.stop);
            }
        }
        shown.push(stream.finish());
        (shown, None)
    }

    #[test]
    fn a_character_over_three_tokens_is_shown_once_whole() {
        let (shown, _) = run(&[], &[b"a\xE6", b"\x97", b"\xA5b"]);
        assert_eq!(shown, ["a", "", "日b", ""]);
    }

    #[test]
    fn only_a_possible_stop_is_held_back() {
        let (shown, stop) = run(&["</s>".into()], &[b"x</", b"b></", b"s> tail"]);
        assert_eq!(shown, ["x", "</b>", ""]);
        assert_eq!(stop.as_deref(), Some("</s>"));
    }

    #[test]
    fn broken_bytes_do_not_block_the_stream() {
        let (shown, _) = run(&[], &[b"\xFF", b"\xE6\x20", b"\x97"]);
        assert_eq!(shown.concat(), "\u{FFFD}\u{FFFD} \u{FFFD}");
    }

    /// What the answer should be, from the whole text: cut before the stop that is complete first.
    fn expected(stops: &[String], bytes: &[u8]) -> (String, Option<String>) {
        for end in 1..=bytes.len() {
            let starts = |stop: &&String| bytes[..end].ends_with(stop.as_bytes());
            if let Some(stop) = stops.iter().filter(starts).max_by_key(|stop| stop.len()) {
                let text = String::from_utf8_lossy(&bytes[..end - stop.len()]).into_owned();
                return (text, Some(stop.clone()));
            }
        }
        (String::from_utf8_lossy(bytes).into_owned(), None)
    }

    proptest! {
        #[test]
        fn cutting_into_tokens_changes_nothing(
            text in "[ab日é\u{1F600}]{0,24}",
            stops in prop::collection::vec("[ab日é]{1,4}", 0..4),
            cuts in prop::collection::vec(1usize..5, 0..40),
        ) {
            let bytes = text.as_bytes();
            let mut pieces = Vec::new();
            let mut at = 0;
            for cut in cuts.iter().chain(std::iter::repeat(&3)) {
                if at >= bytes.len() { break; }
                let end = (at + cut).min(bytes.len());
                pieces.push(&bytes[at..end]);
                at = end;
            }
            let (shown, stop) = run(&stops, &pieces);
            let (want, want_stop) = expected(&stops, bytes);
            let broken = shown.concat().contains('\u{FFFD}');
            prop_assert!(!broken);
            prop_assert_eq!(shown.concat(), want);
            prop_assert_eq!(stop, want_stop);
        }

        #[test]
        fn no_more_than_the_longest_stop_and_a_character_is_held(
            text in "[ab日]{0,40}",
            stop in "[ab日]{1,6}",
        ) {
            let mut stream = TextStream::new(vec![stop.clone()]);
            let mut shown = 0;
            for (i, byte) in text.bytes().enumerate() {
                let pushed = stream.push(&[byte]);
                if pushed.stop.is_some() { break; }
                shown += pushed.text.len();
                prop_assert!(i + 1 - shown < stop.len() + 3);
            }
        }

        #[test]
        fn any_bytes_come_out_as_the_lossy_text(bytes in prop::collection::vec(any::<u8>(), 0..64), size in 1usize..5) {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            let (shown, _) = run(&[], &pieces);
            prop_assert_eq!(shown.concat(), String::from_utf8_lossy(&bytes));
        }
    }
}
