//! The real model that the tests run on, and small helpers.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::path::PathBuf;

use rixin_chat::{
    Engine, EngineOptions, Event, FinishReason, GenerateRequest, Generation, Sampling, SpecialTokens, Token,
    TokenInfo,
};

const FILE: &str = "SmolLM2-135M-Instruct.Q4_1.gguf";

/// The model's file: `RIXIN_TEST_MODEL`, else in the folder `RIXIN_TEST_CACHE`, else in the cache of the home folder.
pub fn model() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let folder = variable("RIXIN_TEST_CACHE")
        .or_else(|| variable("HOME").map(|home| home.join(".cache/rixin/test-models")));
    let path = variable("RIXIN_TEST_MODEL").or_else(|| folder.map(|folder| folder.join(FILE)))?;
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is missing; set RIXIN_TEST_MODEL to a {FILE}", path.display());
    None
}

/// One thread, because the test runner runs several tests at once.
pub fn options(path: PathBuf) -> EngineOptions {
    EngineOptions {
        threads: 1,
        context_length: 2048,
        slots: 8,
        cache_tokens: 4096,
        ..EngineOptions::new(path)
    }
}

pub fn load(change: impl FnOnce(&mut EngineOptions)) -> Option<Engine> {
    let mut options = options(model()?);
    change(&mut options);
    Some(Engine::load(options, |_| true).expect("the test model loads"))
}

pub fn prompt(engine: &Engine, text: &str) -> Vec<Token> {
    engine.tokenize(text, SpecialTokens::PROMPT)
}

/// A chat turn in the template of the test model.
pub fn chat(engine: &Engine, text: &str) -> Vec<Token> {
    prompt(engine, &format!("<|im_start|>user\n{text}<|im_end|>\n<|im_start|>assistant\n"))
}

pub fn greedy(prompt: Vec<Token>, max_tokens: u32) -> GenerateRequest {
    let mut request = GenerateRequest::new(prompt);
    request.sampling = Sampling::greedy();
    request.max_tokens = Some(max_tokens);
    request
}

/// Never ends by itself, so that a test decides.
pub fn endless(prompt: Vec<Token>) -> GenerateRequest {
    let mut request = greedy(prompt, 1500);
    request.sampling.ignore_end = true;
    request
}

/// A text of about so many tokens, different for each `salt`.
pub fn long_text(salt: usize, words: usize) -> String {
    const WORDS: [&str; 12] = [
        "river", "stone", "light", "paper", "garden", "window", "music", "winter", "letter", "bridge",
        "cloud", "field",
    ];
    (0..words).map(|i| WORDS[(i * (salt + 3) + i / 7 + salt) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

pub struct Answer {
    pub text: String,
    pub reason: FinishReason,
    pub prompt_tokens: u32,
    pub completion_tokens: u32,
    pub cached_tokens: u32,
}

pub async fn answer(engine: &Engine, request: GenerateRequest) -> Answer {
    let generation = engine.generate(request).expect("taken");
    let (text, done) = generation.collect().await.expect("answered");
    let Event::Done { reason, prompt_tokens, completion_tokens, cached_tokens, .. } = done else {
        panic!("an answer ends with Done");
    };
    Answer { text, reason, prompt_tokens, completion_tokens, cached_tokens }
}

/// How far apart two tokens' log probabilities may be where greedy answers part. llama.cpp's kernels add in another order for other batch
/// sizes (attention works in tiles from 64 tokens on) and for other compilers; its 8-bit activations turn that rounding into up to 0.15.
pub const NEAR_TIE: f32 = 0.3;

/// The tokens of an answer with their log probabilities; the request asked for them.
pub async fn tokens(mut generation: Generation) -> Vec<TokenInfo> {
    let mut all = Vec::new();
    while let Some(event) = generation.next().await {
        if let Event::Text { tokens, .. } = event.expect("answered") {
            all.extend(tokens);
        }
    }
    all
}

/// Whether two greedy answers are equal to the last token; where they part, it must be at a near tie.
pub fn equal_but_for_near_ties(one: &[TokenInfo], other: &[TokenInfo]) -> bool {
    let same = one.iter().zip(other).take_while(|(a, b)| a.id == b.id).count();
    if same == one.len() && same == other.len() {
        return true;
    }
    if let (Some(here), Some(there)) = (one.get(same), other.get(same)) {
        let theirs = here.top.iter().find(|top| top.id == there.id);
        let gap = theirs.zip(here.logprob).map(|(theirs, ours)| ours - theirs.logprob);
        assert!(gap.is_some_and(|gap| gap < NEAR_TIE), "no near tie at {same}: {here:?} {there:?}");
    }
    false
}
