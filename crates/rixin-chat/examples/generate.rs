//! The engine alone, without a server: loads a model and completes a text.
//!
//! `cargo run --release -p rixin-chat --example generate -- MODEL.gguf "Once upon a time"`

use std::io::Write as _;

use rixin_chat::{Engine, EngineOptions, Event, GenerateRequest, SpecialTokens};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(path), Some(prompt)) = (args.next(), args.next()) else {
        return Err("usage: generate MODEL.gguf PROMPT".into());
    };
    let engine = Engine::load(EngineOptions::new(path), |fraction| {
        eprint!("\rloading {:3.0} %", fraction * 100.0);
        true
    })?;
    let info = engine.info();
    eprintln!("\r{}: {} tokens of context, {} threads", info.name, info.context_length, info.threads);

    let mut request = GenerateRequest::new(engine.tokenize(&prompt, SpecialTokens::PROMPT));
    request.max_tokens = Some(200);
    let mut answer = engine.generate(request)?;
    while let Some(event) = answer.blocking_next() {
        match event? {
            Event::Text { text, .. } => {
                print!("{text}");
                std::io::stdout().flush()?;
            }
            Event::Done { reason, prompt_tokens, completion_tokens, timing, .. } => {
                println!();
                let speed = f64::from(completion_tokens) / timing.decode.as_secs_f64().max(1e-9);
                eprintln!(
                    "{reason:?}: {prompt_tokens} prompt tokens, {completion_tokens} answer tokens, {speed:.1} a second"
                );
            }
        }
    }
    Ok(())
}
