//! Log probabilities in the two shapes of the protocol.

use rixin_chat::{Engine, TokenInfo};
use rixin_protocol::{
    chat::{TokenLogprob, TopLogprob},
    completion::CompletionLogprobs,
};

/// What a token of probability zero shows, as OpenAI's API does: JSON has no infinity.
const LOWEST: f32 = -9999.0;

fn finite(logprob: f32) -> f32 {
    if logprob.is_finite() { logprob } else { LOWEST }
}

/// A token's text; special tokens show theirs.
fn text(engine: &Engine, token: rixin_chat::Token, bytes: &[u8]) -> String {
    if bytes.is_empty() {
        return String::from_utf8_lossy(&engine.token_bytes(token, true)).into_owned();
    }
    String::from_utf8_lossy(bytes).into_owned()
}

/// The chat's shape.
pub(crate) fn chat(engine: &Engine, tokens: &[TokenInfo]) -> Vec<TokenLogprob> {
    tokens
        .iter()
        .map(|token| TokenLogprob {
            token: text(engine, token.id, &token.bytes),
            logprob: finite(token.logprob.unwrap_or(LOWEST)),
            bytes: Some(token.bytes.clone()),
            top_logprobs: token
                .top
                .iter()
                .map(|top| TopLogprob {
                    token: text(engine, top.id, &top.bytes),
                    logprob: finite(top.logprob),
                    bytes: Some(top.bytes.clone()),
                })
                .collect(),
        })
        .collect()
}

/// The older shape; `offset` counts characters from the start of the text and is moved on.
pub(crate) fn completion(engine: &Engine, tokens: &[TokenInfo], offset: &mut u32) -> CompletionLogprobs {
    let mut out = CompletionLogprobs::default();
    for token in tokens {
        let shown = text(engine, token.id, &token.bytes);
        out.text_offset.push(*offset);
        *offset += shown.chars().count() as u32;
        out.token_logprobs.push(finite(token.logprob.unwrap_or(LOWEST)));
        let top = token.top.iter().map(|top| (text(engine, top.id, &top.bytes), finite(top.logprob)));
        out.top_logprobs.push(top.collect());
        out.tokens.push(shown);
    }
    out
}
