//! What answers contain: greedy tokens, stops, limits, sampling, log probabilities, grammar.

mod common;

use common::*;
use rixin_chat::{Error, Event, FinishReason, Grammar, Overflow, Sampling, SpecialTokens, Token};

#[derive(serde::Deserialize)]
struct Golden {
    prompt: String,
    n_predict: u32,
    repeat_penalty: f32,
    tokens: Vec<u32>,
}

/// Made by `tests/golden/make.py` with llama.cpp's own server.
#[tokio::test]
async fn greedy_answers_are_those_of_llama_cpps_server() {
    let Some(engine) = load(|_| {}) else { return };
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("golden/greedy.json")).expect("the golden file");
    let (mut equal, mut compared) = (0, 0);
    for case in golden {
        let mut request = greedy(prompt(&engine, &case.prompt), case.n_predict);
        request.sampling.repetition_penalty = case.repeat_penalty;
        request.logprobs = Some(2);
        let mut generation = engine.generate(request).expect("taken");
        let mut ours = Vec::new();
        while let Some(event) = generation.next().await {
            if let Event::Text { tokens, .. } = event.expect("no error") {
                ours.extend(tokens);
            }
        }
        // The server counts the end token, we do not show it.
        let want: Vec<u32> = case.tokens.into_iter().filter(|&id| !engine.is_end(Token(id))).collect();
        let same = ours.iter().zip(&want).take_while(|(token, want)| token.id.0 == **want).count();
        compared += 1;
        if same == want.len() && same == ours.len() {
            equal += 1;
        } else if case.repeat_penalty == 1.0 {
            // From a near tie on the texts are different ones; anything but a near tie is a fault.
            let top = &ours[same].top;
            let theirs = top.iter().find(|top| top.id.0 == want[same]);
            let gap = theirs.map(|theirs| top[0].logprob - theirs.logprob);
            assert!(gap.is_some_and(|gap| gap < NEAR_TIE), "{:?} at {same}: {:?}", case.prompt, ours[same]);
        }
    }
    eprintln!("{equal} of {compared} answers are equal to the last token");
    assert!(equal * 2 >= compared, "{equal} of {compared}");
}

#[tokio::test]
async fn stop_strings_over_token_borders() {
    let Some(engine) = load(|_| {}) else { return };
    let request = greedy(chat(&engine, "Write two sentences about the sea."), 40);
    let whole = answer(&engine, request.clone()).await.text;
    for at in [5, 11, 23] {
        let stop: String = whole.chars().skip(at).take(7).collect();
        let first = whole.find(&stop).expect("it is in there");
        let mut request = request.clone();
        request.stop = vec!["never in it".into(), stop.clone(), String::new()];
        let stopped = answer(&engine, request).await;
        assert_eq!(stopped.text, whole[..first]);
        assert_eq!(stopped.reason, FinishReason::StopString(stop));
    }
}

#[tokio::test]
async fn the_ends_of_answers() {
    let Some(engine) = load(|options| (options.context_length, options.cache_tokens) = (128, 256)) else {
        return;
    };
    let by_itself = answer(&engine, greedy(chat(&engine, "Say: yes"), 100)).await;
    assert_eq!(by_itself.reason, FinishReason::Stop);
    let limit = answer(&engine, greedy(prompt(&engine, "One two three"), 5)).await;
    assert_eq!((limit.reason, limit.completion_tokens), (FinishReason::Length, 5));
    let mut request = endless(prompt(&engine, "One two three"));
    request.max_tokens = None;
    let context = answer(&engine, request).await;
    assert_eq!(context.reason, FinishReason::Length);
    assert_eq!(context.prompt_tokens + context.completion_tokens, 128);
}

#[tokio::test]
async fn a_prompt_over_the_context_is_refused_with_the_figures_or_cut() {
    let Some(engine) = load(|options| (options.context_length, options.cache_tokens) = (128, 256)) else {
        return;
    };
    let long = prompt(&engine, &long_text(0, 300));
    let mut request = greedy(long.clone(), 8);
    assert_eq!(
        engine.generate(request.clone()).err(),
        Some(Error::ContextLength { prompt: long.len(), context: 128 })
    );
    request.overflow = Overflow::Truncate { keep: 10 };
    let cut = answer(&engine, request).await;
    assert_eq!((cut.prompt_tokens, cut.completion_tokens), (120, 8));
}

#[tokio::test]
async fn the_same_seed_gives_the_same_answer() {
    let Some(engine) = load(|_| {}) else { return };
    let mut request = greedy(chat(&engine, "Tell me something."), 16);
    let mut say = async |seed| {
        request.sampling = Sampling { seed: Some(seed), temperature: 1.2, ..Sampling::default() };
        answer(&engine, request.clone()).await.text
    };
    // The first answer computes the prompt, the next ones find it in the cache; from then on logits are equal to the bit.
    let _ = say(1).await;
    let (a, b, c) = (say(1).await, say(1).await, say(2).await);
    assert_eq!(a, b);
    assert_ne!(a, c);
}

#[tokio::test]
async fn log_probabilities_come_with_each_token() {
    let Some(engine) = load(|_| {}) else { return };
    let mut request = greedy(chat(&engine, "What is the capital of France?"), 6);
    request.logprobs = Some(3);
    let mut generation = engine.generate(request).expect("taken");
    let (mut text, mut bytes) = (String::new(), Vec::new());
    while let Some(event) = generation.next().await {
        if let Event::Text { text: more, tokens } = event.expect("no error") {
            text.push_str(&more);
            for token in tokens {
                bytes.extend_from_slice(&token.bytes);
                assert_eq!(token.top.len(), 3);
                assert_eq!(token.top[0].id, token.id, "greedy takes the likeliest");
                assert_eq!(Some(token.top[0].logprob), token.logprob);
                assert!(token.top.iter().all(|top| top.logprob <= 0.0));
                assert!(token.top.is_sorted_by(|a, b| a.logprob >= b.logprob));
                assert!(token.top.iter().map(|top| top.logprob.exp()).sum::<f32>() <= 1.0001);
            }
        }
    }
    assert_eq!(String::from_utf8(bytes).expect("text"), text);
}

#[tokio::test]
async fn biases_forbid_and_favour() {
    let Some(engine) = load(|_| {}) else { return };
    let request = greedy(prompt(&engine, "The capital of France is"), 1);
    let first = answer(&engine, request.clone()).await.text;
    let id = engine.tokenize(&first, SpecialTokens::NONE)[0];
    let mut forbidden = request.clone();
    forbidden.sampling.logit_bias = vec![(id, f32::NEG_INFINITY)];
    assert_ne!(answer(&engine, forbidden).await.text, first);
    let mut favoured = request;
    let wanted = engine.tokenize(" banana", SpecialTokens::NONE)[0];
    favoured.sampling.logit_bias = vec![(wanted, 100.0)];
    assert_eq!(answer(&engine, favoured).await.text, engine.detokenize(&[wanted], false));
}

#[tokio::test]
async fn answers_follow_their_grammar() {
    let Some(engine) = load(|_| {}) else { return };
    let grammar = r#"root ::= "{\"yes\": " ("true" | "false") ", \"n\": " [0-9]{3} "}""#;
    for temperature in [0.0, 1.5] {
        let mut request = greedy(chat(&engine, "Is water wet?"), 60);
        request.sampling = Sampling { temperature, seed: Some(3), ..Sampling::default() };
        request.grammar = Some(Grammar::new(grammar));
        let answer = answer(&engine, request).await;
        let value: serde_json::Value = serde_json::from_str(&answer.text).expect(&answer.text);
        assert!(value["yes"].is_boolean() && value["n"].to_string().len() <= 3);
        assert_eq!(answer.reason, FinishReason::Stop);
    }
    let mut request = greedy(chat(&engine, "x"), 4);
    request.grammar = Some(Grammar::new("root ::= nowhere"));
    assert!(matches!(engine.generate(request).err(), Some(Error::BadGrammar { .. })));
}

#[tokio::test]
async fn wrong_requests_are_refused() {
    let Some(engine) = load(|_| {}) else { return };
    let field = |change: fn(&mut rixin_chat::GenerateRequest)| {
        let mut request = greedy(vec![Token(1)], 1);
        change(&mut request);
        match engine.generate(request).err() {
            Some(Error::BadRequest { field, .. }) => field,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(field(|r| r.prompt.clear()), "prompt");
    assert_eq!(field(|r| r.prompt.push(Token(u32::MAX))), "prompt");
    assert_eq!(field(|r| r.sampling.temperature = f32::NAN), "temperature");
    assert_eq!(field(|r| r.sampling.top_p = 1.5), "top_p");
    assert_eq!(field(|r| r.sampling.logit_bias = vec![(Token(1), f32::NAN)]), "logit_bias");
    assert_eq!(field(|r| r.max_tokens = Some(0)), "max_tokens");
    assert_eq!(field(|r| r.logprobs = Some(21)), "top_logprobs");
}
