//! Raw speed of llama.cpp under this build: prefill, one sequence, eight sequences.
use llama_cpp_2::{context::params::LlamaContextParams, llama_backend::LlamaBackend, llama_batch::LlamaBatch, model::{LlamaModel, params::LlamaModelParams}};
use std::time::Instant;
fn main() {
    let p = std::env::args().nth(1).unwrap();
    let b = LlamaBackend::init().unwrap();
    let m = LlamaModel::load_from_file(&b, p, &LlamaModelParams::default()).unwrap();
    println!("{}", unsafe { std::ffi::CStr::from_ptr(llama_cpp_sys_2::llama_print_system_info()).to_string_lossy().into_owned() });
    for fa in [-1, 0, 1] {
        for uni in [true, false] {
        for rep in 0..2 {
            let cp = LlamaContextParams::default().with_n_ctx(std::num::NonZeroU32::new(8192)).with_n_threads(2).with_n_threads_batch(2).with_n_seq_max(8).with_kv_unified(uni).with_flash_attention_policy(fa);
            let mut c = m.new_context(&b, cp).unwrap();
            let t: Vec<_> = m.vocab().tokenize("The quick brown fox jumps over the lazy dog. ".repeat(60).as_bytes(), true, false).into_iter().take(512).collect();
            let mut batch = LlamaBatch::new(512, 8);
            for (i, x) in t.iter().enumerate() { batch.add(*x, i as i32, &[0], i == t.len() - 1).unwrap(); }
            let s = Instant::now();
            c.decode(&mut batch).unwrap();
            let _ = c.get_logits_ith(batch.n_tokens() - 1);
            let pf = t.len() as f64 / s.elapsed().as_secs_f64();
            let s = Instant::now();
            for i in 0..64 { batch.clear(); batch.add(t[i], (t.len() + i) as i32, &[0], true).unwrap(); c.decode(&mut batch).unwrap(); let _ = c.get_logits_ith(0); }
            let d = 64. / s.elapsed().as_secs_f64();
            for q in 1..8 { c.kv_cache_seq_cp(0, q, None, None).unwrap(); }
            let s = Instant::now();
            for i in 64..96 { batch.clear(); for q in 0..8i32 { batch.add(t[i], (t.len() + i) as i32, &[q], true).unwrap(); } if let Err(e) = c.decode(&mut batch) { println!("{e:?}"); break; } let _ = c.get_logits_ith(7); }
            let d8 = 8. * 32. / s.elapsed().as_secs_f64();
            println!("fa {fa} unified {uni} rep {rep} prefill {pf:.1} decode {d:.1} batch8 {d8:.1}");
        }}
    }
}
