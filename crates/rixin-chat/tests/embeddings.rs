//! Embeddings of the real model, by the mean over its tokens.

mod common;

use common::*;
use rixin_chat::{Error, SpecialTokens, Token};

#[derive(serde::Deserialize)]
struct Golden {
    text: String,
    embedding: Vec<f32>,
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The server's package is built by another compiler, and the 8-bit activations of llama.cpp turn its rounding into this much.
const BUILDS_DIFFER: f32 = 3e-3;

/// Made by `tests/golden/make.py` with llama.cpp's own server.
#[tokio::test]
async fn embeddings_are_those_of_llama_cpps_server() {
    let Some(engine) = load(|options| options.embeddings = true) else { return };
    let golden: Vec<Golden> =
        serde_json::from_str(include_str!("golden/embeddings.json")).expect("the golden file");
    let texts: Vec<Vec<Token>> =
        golden.iter().map(|case| engine.tokenize(&case.text, SpecialTokens::PROMPT)).collect();
    let together = engine.embed(texts.clone()).await.expect("embedded");
    for ((text, vector), case) in texts.into_iter().zip(&together).zip(&golden) {
        let alone = engine.embed(vec![text]).await.expect("embedded").remove(0);
        assert_eq!(vector.len(), case.embedding.len());
        for ((together, alone), want) in vector.iter().zip(&alone).zip(&case.embedding) {
            assert!((together - alone).abs() < 1e-3, "{together} {alone}");
            assert!((together - want).abs() < BUILDS_DIFFER, "{together} {want}: {:?}", case.text);
        }
        assert!(cosine(vector, &case.embedding) > 0.9995, "{:?}", case.text);
        assert!((cosine(vector, vector) - 1.0).abs() < 1e-5);
    }
    assert!(matches!(engine.generate(greedy(vec![Token(1)], 1)), Err(Error::Unsupported { .. })));
}

#[tokio::test]
async fn a_chat_engine_embeds_while_it_answers() {
    let Some(engine) = load(|_| {}) else { return };
    let mut stream = engine.generate(endless(prompt(&engine, "Once"))).expect("taken");
    let text = |text: &str| engine.tokenize(text, SpecialTokens::PROMPT);
    let vectors = engine
        .embed(vec![
            text("The cat sleeps on the sofa."),
            text("A cat is asleep on a couch."),
            text("Interest rates rose by two percent."),
        ])
        .await
        .expect("embedded");
    assert!(cosine(&vectors[0], &vectors[1]) > cosine(&vectors[0], &vectors[2]));
    assert!(stream.next().await.is_some_and(|event| event.is_ok()));
    assert!(matches!(engine.embed(vec![Vec::new()]).await, Err(Error::BadRequest { .. })));
    let long = vec![Token(5); 3000];
    assert!(matches!(engine.embed(vec![long]).await, Err(Error::ContextLength { prompt: 3000, .. })));
    assert_eq!(engine.embed(Vec::new()).await, Ok(Vec::new()));
}
