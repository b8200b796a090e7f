//! Reads a streamed answer: bytes in any pieces become text, thinking, usage and an end.

use bytes::Bytes;
use futures::{Stream, StreamExt};
use rixin_base::{Code, Fault};
use rixin_protocol::{
    chat::ChatChunk,
    error::ErrorBody,
    sse::{DONE, Item, Parser},
    usage::Usage,
};

/// Something new of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text.
    Text(String),
    /// The model's thinking.
    Thinking(String),
}

/// An answer so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The text.
    pub text: String,
    /// The thinking, where the model shows it.
    pub thinking: String,
    /// `stop` or `length`, once it is whole.
    pub finish: Option<String>,
    /// Tokens taken.
    pub usage: Option<Usage>,
    /// The model that says it answered.
    pub model: Option<String>,
}

/// Reads `stream` to its end, or until `cancelled` resolves; each piece goes to `show` at once. Gives whether it was cancelled.
///
/// # Errors
/// An error event of the stream, a stream that is not the protocol, a connection that broke. What came before is in `answer`.
pub async fn read(
    answer: &mut Answer,
    mut stream: impl Stream<Item = Result<Bytes, Fault>> + Unpin,
    cancelled: impl Future<Output = ()>,
    mut show: impl FnMut(&Piece),
) -> Result<bool, Fault> {
    let mut parser = Parser::new();
    let mut cancelled = std::pin::pin!(cancelled);
    loop {
        let bytes = tokio::select! {
            biased;
            () = &mut cancelled => return Ok(true),
            next = stream.next() => next,
        };
        let Some(bytes) = bytes else {
            // The end without [DONE] is whole only where a reason was given.
            return if answer.finish.is_some() { Ok(false) } else { Err(broken()) };
        };
        parser.push(&bytes?);
        while let Some(item) = parser.next().map_err(|error| not_the_protocol(&error.to_string()))? {
            let Item::Event(event) = item else { continue };
            if event.data == DONE {
                return Ok(false);
            }
            take(answer, &event.data, &mut show)?;
        }
    }
}

fn take(answer: &mut Answer, data: &str, show: &mut impl FnMut(&Piece)) -> Result<(), Fault> {
    let chunk: ChatChunk = match serde_json::from_str(data) {
        Ok(chunk) => chunk,
        Err(error) => {
            return Err(match serde_json::from_str::<ErrorBody>(data) {
                Ok(body) => from_body(body),
                Err(_) => not_the_protocol(&error.to_string()),
            });
        }
    };
    if answer.model.is_none() && !chunk.model.is_empty() {
        answer.model = Some(chunk.model);
    }
    if chunk.usage.is_some() {
        answer.usage = chunk.usage;
    }
    let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
    if let Some(text) = choice.delta.reasoning_content.filter(|text| !text.is_empty()) {
        answer.thinking.push_str(&text);
        show(&Piece::Thinking(text));
    }
    if let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) {
        answer.text.push_str(&text);
        show(&Piece::Text(text));
    }
    if choice.finish_reason.is_some() {
        answer.finish = choice.finish_reason;
    }
    Ok(())
}

/// An error object of a peer: it was asked to speak the caller's language, so its words stand for both.
pub fn from_body(body: ErrorBody) -> Fault {
    let code = body.error.code.as_deref().and_then(Code::from_word).unwrap_or(Code::BadUpstream);
    Fault::new(code, body.error.message.clone(), body.error.message)
}

fn broken() -> Fault {
    Fault::new(
        Code::ReplicaLost,
        "the answer broke off: the model's process ended or the connection was lost; ask again",
        "回答中断：模型进程已结束或连接断开，请重试",
    )
}

fn not_the_protocol(why: &str) -> Fault {
    Fault::new(
        Code::BadUpstream,
        format!("the server's stream is not OpenAI's protocol: {why}"),
        format!("服务器返回的流不符合 OpenAI 协议：{why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(json: &str) -> Bytes {
        Bytes::from(format!(
            "data: {{\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",{json}}}\n\n"
        ))
    }

    async fn collect(parts: Vec<Bytes>) -> (Answer, Result<bool, Fault>) {
        let mut answer = Answer::default();
        let stream = futures::stream::iter(parts.into_iter().map(Ok));
        let done = read(&mut answer, stream, std::future::pending(), |_| ()).await;
        (answer, done)
    }

    #[tokio::test]
    async fn text_thinking_usage_and_end() {
        let (answer, done) = collect(vec![
            chunk(r#""choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"嗯"},"finish_reason":null}]"#),
            chunk(r#""choices":[{"index":0,"delta":{"content":"你"},"finish_reason":null}]"#),
            chunk(r#""choices":[{"index":0,"delta":{"content":"好"},"finish_reason":"stop"}]"#),
            chunk(r#""choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2,"total_tokens":5}"#),
            Bytes::from_static(b"data: [DONE]\n\n"),
        ])
        .await;
        assert_eq!(done, Ok(false));
        assert_eq!((answer.text.as_str(), answer.thinking.as_str()), ("你好", "嗯"));
        assert_eq!(answer.finish.as_deref(), Some("stop"));
        assert_eq!(answer.usage.map(|usage| usage.total_tokens), Some(5));
    }

    #[tokio::test]
    async fn an_error_event_and_a_cut_are_told() {
        let first = chunk(r#""choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]"#);
        let error = Bytes::from_static(
            b"data: {\"error\":{\"message\":\"gone\",\"type\":\"unavailable_error\",\"code\":\"replica_lost\"}}\n\n",
        );
        let (answer, done) = collect(vec![first.clone(), error]).await;
        assert_eq!(answer.text, "a");
        assert_eq!(done.expect_err("an error event").message.en, "gone");
        let (_, done) = collect(vec![first]).await;
        assert_eq!(done.expect_err("a cut").code, Code::ReplicaLost);
    }

    #[tokio::test]
    async fn cancelling_stops_reading() {
        let mut answer = Answer::default();
        let done = read(&mut answer, futures::stream::pending(), std::future::ready(()), |_| ()).await;
        assert_eq!(done, Ok(true));
    }
}
