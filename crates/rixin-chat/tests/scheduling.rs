//! Slots, steps, the shared cache and the queue, on the real model.

mod common;

use std::time::{Duration, Instant};

use common::*;
use rixin_chat::{Error, Event};

const QUESTIONS: [&str; 6] = [
    "What is the capital of France?",
    "Write one sentence about the sea.",
    "How many legs does a spider have?",
    "Who wrote Hamlet?",
    "Give a short definition of gravity.",
    "Explain in one sentence why the sky is blue.",
];

#[tokio::test]
async fn an_answer_is_the_same_alone_and_among_others() {
    let Some(engine) = load(|_| {}) else { return };
    let request = |engine: &rixin_chat::Engine, question: &str| {
        let mut request = greedy(chat(engine, question), 16);
        request.logprobs = Some(4);
        engine.generate(request).expect("taken")
    };
    let mut alone = Vec::new();
    for question in QUESTIONS {
        // A fresh engine each, so that no prefix is shared either.
        let fresh = load(|_| {}).expect("loaded before");
        alone.push(tokens(request(&fresh, question)).await);
    }
    let together = QUESTIONS.map(|question| request(&engine, question));
    let mut equal = 0;
    for (generation, alone) in together.into_iter().zip(alone) {
        equal += usize::from(equal_but_for_near_ties(&alone, &tokens(generation).await));
    }
    eprintln!("{equal} of {} are equal to the last token", QUESTIONS.len());
    assert!(equal > 0);
}

#[tokio::test]
async fn dropping_a_generation_frees_its_slot_within_a_step() {
    let Some(engine) = load(|options| options.slots = 1) else { return };
    let mut first = engine.generate(endless(prompt(&engine, "Count: one two"))).expect("taken");
    assert!(matches!(first.next().await, Some(Ok(Event::Text { .. }))));
    let mut second = engine.generate(greedy(prompt(&engine, "Hello"), 1)).expect("queued");
    let before = engine.stats();
    assert_eq!(before.active, 1);
    drop(first);
    while let Some(event) = second.next().await {
        event.expect("answered");
    }
    let after = engine.stats();
    // One step may have been under way, one more is the second request's own.
    assert!(after.steps_total - before.steps_total <= 3, "{before:?} {after:?}");
}

#[tokio::test]
async fn the_next_turn_finds_the_last_one_in_the_cache() {
    let Some(engine) = load(|_| {}) else { return };
    let first = chat(&engine, "What is the capital of France?");
    let cold = answer(&engine, greedy(first.clone(), 8)).await;
    assert_eq!(cold.cached_tokens, 0);
    let again = answer(&engine, greedy(first.clone(), 8)).await;
    assert_eq!(again.cached_tokens as usize, first.len());
    assert_eq!(again.text, cold.text);

    let mut next = first.clone();
    next.extend(prompt(&engine, &cold.text));
    let said = next.len();
    next.extend(prompt(
        &engine,
        "<|im_end|>\n<|im_start|>user\nAnd of Spain?<|im_end|>\n<|im_start|>assistant\n",
    ));
    let turn = answer(&engine, greedy(next, 8)).await;
    assert!(turn.cached_tokens as usize >= said - 2, "{} of {said}", turn.cached_tokens);
    let stats = engine.stats();
    assert_eq!(stats.requests_total, 3);
    assert_eq!(stats.cached_tokens_total, u64::from(again.cached_tokens + turn.cached_tokens));
}

#[tokio::test]
async fn prompts_with_one_beginning_compute_it_once() {
    let Some(engine) = load(|_| {}) else { return };
    let system = long_text(1, 300);
    let tasks: Vec<_> = (0..6)
        .map(|i| {
            let request = greedy(prompt(&engine, &format!("{system}. Question {i}: why?")), 4);
            engine.generate(request).expect("taken")
        })
        .collect();
    for task in tasks {
        task.collect().await.expect("answered");
    }
    let stats = engine.stats();
    let shared = prompt(&engine, &system).len() as u64;
    let computed = stats.prompt_tokens_total - stats.cached_tokens_total;
    assert!(computed < shared + 6 * 16, "{computed} of {} computed", stats.prompt_tokens_total);
}

#[tokio::test]
async fn a_long_prompt_does_not_stall_a_stream() {
    let Some(engine) = load(|_| {}) else { return };
    let mut stream = engine.generate(endless(prompt(&engine, "Once upon a time"))).expect("taken");
    for _ in 0..3 {
        stream.next().await.expect("goes on").expect("no error");
    }
    let mut long = engine.generate(greedy(prompt(&engine, &long_text(2, 900)), 1)).expect("taken");
    let before = engine.stats();
    let mut tokens = 0;
    loop {
        tokio::select! {
            biased;
            event = long.next() => {
                event.expect("goes on").expect("no error");
                break;
            }
            event = stream.next() => {
                event.expect("goes on").expect("no error");
                tokens += 1;
            }
        }
    }
    let steps = engine.stats().steps_total - before.steps_total;
    assert!(steps >= 3, "the prompt was cut into pieces: {steps} steps");
    // A token may give no text of its own, and the last steps' events may still be on their way.
    assert!(tokens + 3 >= steps * 3 / 4, "{tokens} tokens in {steps} steps");
}

#[tokio::test]
async fn a_short_pool_makes_requests_wait_and_fails_none() {
    let small = |options: &mut rixin_chat::EngineOptions| {
        options.context_length = 256;
        options.cache_tokens = 256;
        options.slots = 4;
    };
    let Some(engine) = load(small) else { return };
    let request = |i: usize| {
        let mut request = endless(prompt(&engine, &format!("Story {i}. {}", long_text(i, 20))));
        request.max_tokens = Some(80);
        request.logprobs = Some(4);
        request
    };
    let mut alone = Vec::new();
    for i in 0..4 {
        let fresh = load(small).expect("loaded before");
        alone.push(tokens(fresh.generate(request(i)).expect("taken")).await);
    }
    let together: Vec<_> = (0..4).map(|i| engine.generate(request(i)).expect("taken")).collect();
    for (generation, alone) in together.into_iter().zip(&alone) {
        let answer = tokens(generation).await;
        assert_eq!((answer.len(), alone.len()), (80, 80));
        equal_but_for_near_ties(alone, &answer);
    }
    let stats = engine.stats();
    assert!(stats.preempted_total > 0, "the pool was not short: {stats:?}");
}

#[tokio::test]
async fn a_full_queue_says_when_to_come_back() {
    let Some(engine) = load(|options| (options.slots, options.queue) = (1, 1)) else { return };
    let running = engine.generate(endless(prompt(&engine, "a"))).expect("runs");
    let waiting = engine.generate(endless(prompt(&engine, "b"))).expect("waits");
    match engine.generate(endless(prompt(&engine, "c"))) {
        Err(Error::QueueFull { retry_after, .. }) => assert!(retry_after >= Duration::from_secs(1)),
        other => panic!("{other:?}"),
    }
    drop((running, waiting));
    // The places are free again as soon as the owner thread has seen it: asking it for an answer is the event to wait for.
    loop {
        match engine.generate(greedy(prompt(&engine, "d"), 1)) {
            Ok(generation) => {
                generation.collect().await.expect("answered");
                break;
            }
            Err(Error::QueueFull { .. }) => tokio::task::yield_now().await,
            Err(other) => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn deadlines_end_those_that_run_and_those_that_wait() {
    let Some(engine) = load(|options| options.slots = 1) else { return };
    let deadline = Some(Instant::now() + Duration::from_millis(300));
    let mut running = endless(prompt(&engine, "a"));
    running.deadline = deadline;
    let mut waiting = endless(prompt(&engine, "b"));
    waiting.deadline = deadline;
    let (running, waiting) =
        (engine.generate(running).expect("runs"), engine.generate(waiting).expect("waits"));
    assert_eq!(running.collect().await.err(), Some(Error::DeadlineExceeded));
    assert_eq!(waiting.collect().await.err(), Some(Error::DeadlineExceeded));
    let mut late = endless(prompt(&engine, "c"));
    late.deadline = Some(Instant::now());
    assert_eq!(engine.generate(late).err(), Some(Error::DeadlineExceeded));
}

#[tokio::test]
async fn keys_take_turns() {
    let Some(engine) = load(|options| options.slots = 1) else { return };
    let request = |key: &str| {
        let mut request = endless(prompt(&engine, "x"));
        request.max_tokens = Some(4);
        request.fairness = key.to_owned();
        engine.generate(request).expect("taken")
    };
    // The busy key has five in the queue before the calm one asks.
    let busy: Vec<_> = (0..5).map(|_| request("busy")).collect();
    let calm = request("calm");
    calm.collect().await.expect("answered");
    let done = engine.stats().requests_total;
    assert!(done <= 4, "the calm key waited for {done} requests");
    for generation in busy {
        generation.collect().await.expect("answered");
    }
}

#[tokio::test]
async fn an_engine_that_goes_tells_its_listeners() {
    let Some(engine) = load(|_| {}) else { return };
    let generation = engine.generate(endless(prompt(&engine, "a"))).expect("taken");
    let gone = tokio::task::spawn_blocking(move || drop(engine));
    assert_eq!(generation.collect().await.err(), Some(Error::Stopped));
    gone.await.expect("ended");
}
