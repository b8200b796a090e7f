//! What the engine costs: processor time for prompts and answers, alone and with eight clients, time to the first token with a prefix
//! that was seen, resident memory. Processor time is what can be compared on a machine that does other work too.
//!
//! `cargo run --release -p rixin-chat --example speed -- MODEL.gguf [THREADS]`

use std::time::{Duration, Instant};

use rixin_chat::{Engine, EngineOptions, Event, GenerateRequest, Generation, Sampling, SpecialTokens, Token};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let path = args.next().ok_or("usage: speed MODEL.gguf [THREADS]")?;
    let threads = args.next().map_or(Ok(0), |text| text.parse())?;
    let options =
        EngineOptions { threads, context_length: 4096, cache_tokens: 8192, ..EngineOptions::new(path) };
    let start = Instant::now();
    let engine = Engine::load(options, |_| true)?;
    println!("{}", rixin_chat::system_info());
    println!("load_ms {:.0}", start.elapsed().as_secs_f64() * 1e3);
    println!("rss_mb {:.1}", engine.stats().rss_bytes as f64 / 1e6);

    for round in 0..2 {
        let prompt = words(&engine, round, 512);
        let (wall, cpu) = measure(|| finish(vec![start_answer(&engine, &prompt, 1)]))?;
        println!("prompt_1 tokens {} wall_s {wall:.3} cpu_s {cpu:.3}", prompt.len());

        let (wall, cpu) =
            measure(|| finish(vec![start_answer(&engine, &words(&engine, round + 50, 8), 64)]))?;
        println!("decode_1 tokens 64 wall_s {wall:.3} cpu_s {cpu:.3}");

        let prompts: Vec<_> = (0..8).map(|i| words(&engine, 100 + round * 8 + i, 48)).collect();
        let (wall, cpu) =
            measure(|| finish(prompts.iter().map(|prompt| start_answer(&engine, prompt, 64)).collect()))?;
        println!("clients_8 tokens {} wall_s {wall:.3} cpu_s {cpu:.3}", 8 * 64);

        let system = words(&engine, 200 + round, 256);
        let prompts: Vec<Vec<Token>> =
            (0..8).map(|i| [system.clone(), words(&engine, 300 + i, 16)].concat()).collect();
        let (wall, cpu) =
            measure(|| finish(prompts.iter().map(|prompt| start_answer(&engine, prompt, 64)).collect()))?;
        println!("clients_8_one_system_prompt tokens {} wall_s {wall:.3} cpu_s {cpu:.3}", 8 * 64);

        let long = words(&engine, 400 + round, 1000);
        let (cold, cold_cpu) = measure(|| finish(vec![start_answer(&engine, &long, 1)]))?;
        let again = [long.clone(), words(&engine, 500, 4)].concat();
        let (warm, warm_cpu) = measure(|| finish(vec![start_answer(&engine, &again, 1)]))?;
        println!(
            "first_token_1000 cold_s {cold:.3} warm_s {warm:.3} cold_cpu_s {cold_cpu:.3} warm_cpu_s {warm_cpu:.3}"
        );
    }
    println!("rss_mb {:.1}", engine.stats().rss_bytes as f64 / 1e6);
    Ok(())
}

/// So many tokens that differ from those of every other salt from the first on.
fn words(engine: &Engine, salt: usize, tokens: usize) -> Vec<Token> {
    let text: String = (0..tokens).map(|i| format!(" {}", (i * 7919 + salt * 104_729) % 9973)).collect();
    let mut all = engine.tokenize(&format!("{salt}{text}"), SpecialTokens::NONE);
    all.truncate(tokens);
    all
}

fn start_answer(engine: &Engine, prompt: &[Token], tokens: u32) -> Result<Generation, rixin_chat::Error> {
    let mut request = GenerateRequest::new(prompt.to_vec());
    request.sampling = Sampling { seed: Some(1), ignore_end: true, ..Sampling::default() };
    request.max_tokens = Some(tokens);
    engine.generate(request)
}

fn finish(answers: Vec<Result<Generation, rixin_chat::Error>>) -> Result<(), rixin_chat::Error> {
    for answer in answers {
        let mut answer = answer?;
        while let Some(event) = answer.blocking_next() {
            if let Event::Done { .. } = event? {
                break;
            }
        }
    }
    Ok(())
}

fn measure<E>(work: impl FnOnce() -> Result<(), E>) -> Result<(f64, f64), E> {
    let (start, cpu) = (Instant::now(), cpu_time());
    work()?;
    Ok((start.elapsed().as_secs_f64(), (cpu_time() - cpu).as_secs_f64()))
}

/// Processor time of this process, from the kernel's clock ticks of 10 ms.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // After the name in parentheses come the state and ten other fields, then utime and stime.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}
