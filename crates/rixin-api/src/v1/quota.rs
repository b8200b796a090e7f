//! What a request may take at most, set aside before it is asked, and the headers that tell of it.

use http::{HeaderMap, HeaderName, HeaderValue};
use rixin_protocol::chat::ChatRequest;
use rixin_store::{Limit, Measure, Want, now_ms};

/// Tokens that are set aside for an answer whose request names no maximum, where there are so many; fewer where there are not. What it
/// takes beyond them counts afterwards.
const UNSAID: u64 = 4096;
/// Bytes of JSON to a token: English has about four, Chinese about three, so that the estimate is above what prompts take.
const BYTES: u64 = 3;
/// What a chat template and special tokens add.
const TEMPLATE: u64 = 16;
/// The longest prompt that an estimate assumes where the setting names none: pictures are many bytes and few tokens.
const LONGEST: u64 = 131_072;

/// What is known of a request's size before it is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Bytes of its body.
    pub bytes: usize,
    /// The most tokens of all its answers together; `None`: it does not say.
    pub answer: Option<u64>,
}

impl Size {
    /// Of a conversation.
    pub fn of_chat(request: &ChatRequest, bytes: usize) -> Self {
        let most = request.max_completion_tokens.or(request.max_tokens);
        let answers = u64::from(request.n.unwrap_or(1));
        Self { bytes, answer: most.map(|most| u64::from(most) * answers) }
    }

    /// What it wants: one request, and tokens.
    pub fn wants(&self, context_length: u32) -> [Want; 2] {
        let longest = if context_length == 0 { LONGEST } else { u64::from(context_length) };
        let prompt = ((self.bytes as u64).div_ceil(BYTES) + TEMPLATE).min(longest);
        let least = prompt.saturating_add(self.answer.unwrap_or(1));
        let most = prompt.saturating_add(self.answer.unwrap_or(UNSAID));
        [(Measure::Requests, 1, 1), (Measure::Tokens, least, most)]
    }
}

/// The headers of OpenAI's protocol, for the tightest window of each measure.
pub(crate) fn write(headers: &mut HeaderMap, limits: &[Limit]) {
    for (measure, names) in [
        (
            Measure::Requests,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
        ),
        (
            Measure::Tokens,
            ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"],
        ),
    ] {
        let of_it = limits.iter().filter(|limit| limit.measure == measure);
        let Some(limit) = of_it.min_by_key(|limit| (limit.renews_at, limit.left)) else { continue };
        let reset = duration_text(limit.renews_at - now_ms());
        let values = [limit.amount.to_string(), limit.left.to_string(), reset];
        for (name, value) in names.into_iter().zip(values) {
            if let Ok(value) = HeaderValue::try_from(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
    }
}

/// `6m0s`, as OpenAI writes it.
fn duration_text(ms: i64) -> String {
    let secs = (ms.max(0) + 999) / 1000;
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{secs}s"),
        (0, _) => format!("{minutes}m{secs}s"),
        _ => format!("{hours}h{minutes}m{secs}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_openai_tells_them() {
        for (ms, text) in [(0, "0s"), (1, "1s"), (59_000, "59s"), (360_000, "6m0s"), (7_322_000, "2h2m2s")] {
            assert_eq!(duration_text(ms), text);
        }
    }

    #[test]
    fn an_answer_without_a_maximum_takes_what_there_is() {
        let [_, (_, least, most)] = Size { bytes: 300, answer: None }.wants(0);
        assert_eq!((least, most), (117, 116 + UNSAID));
        let [_, (_, least, most)] = Size { bytes: 300, answer: Some(10) }.wants(0);
        assert_eq!((least, most), (126, 126));
        let [_, (_, least, _)] = Size { bytes: 9_000_000, answer: Some(0) }.wants(2048);
        assert_eq!(least, 2048);
    }
}
