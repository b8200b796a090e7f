use std::io::Cursor;

use proptest::prelude::*;

use super::{
    writer::{Put, Writer},
    *,
};
use crate::{ModelKind, formats::Flaw};

fn parse(bytes: &[u8]) -> Result<Header, Flaw> {
    read(Cursor::new(bytes), bytes.len() as u64)
}

fn refusal(bytes: &[u8]) -> String {
    parse(bytes).expect_err("refused").to_string()
}

/// A llama with 2 layers, 4 heads of 16, 2 of them for keys and values.
fn llama() -> Writer {
    Writer::new("llama")
        .put("general.name", Put::Text("Tiny"))
        .put("general.file_type", Put::U32(7))
        .put("general.license", Put::Text("apache-2.0"))
        .put("general.languages", Put::Texts(vec!["zh", "en"]))
        .put("general.base_model.0.repo_url", Put::Text("https://huggingface.co/org/tiny"))
        .put("llama.context_length", Put::U32(2048))
        .put("llama.embedding_length", Put::U32(64))
        .put("llama.block_count", Put::U32(2))
        .put("llama.feed_forward_length", Put::U32(128))
        .put("llama.attention.head_count", Put::U32(4))
        .put("llama.attention.head_count_kv", Put::U32(2))
        .put("tokenizer.ggml.model", Put::Text("gpt2"))
        .put("tokenizer.ggml.tokens", Put::Texts(vec!["a"; 2000]))
        .put("tokenizer.chat_template", Put::Text("{{ messages }}"))
        .tensor("token_embd.weight", &[64, 32], 8, None, 2176)
        .tensor("norm", &[64], 0, None, 256)
}

#[test]
fn a_header_is_read_back() {
    for version in [2, 3] {
        let header = parse(&Writer { version: Some(version), ..llama() }.bytes()).expect("valid");
        assert_eq!((header.version, header.alignment), (version, 32));
        let facts = header.facts();
        assert_eq!(facts.architecture.as_deref(), Some("llama"));
        assert_eq!(facts.name.as_deref(), Some("Tiny"));
        assert_eq!(facts.kind, ModelKind::Chat);
        assert_eq!(facts.context_length, Some(2048));
        assert_eq!(facts.vocabulary, Some(2000));
        assert_eq!(facts.parameters, Some(64 * 32 + 64));
        assert_eq!(facts.quantisation.as_deref(), Some("Q8_0"));
        assert!(facts.chat_template);
        assert_eq!(facts.languages, ["zh", "en"]);
        assert_eq!(facts.licence.and_then(|l| l.spdx).as_deref(), Some("Apache-2.0"));
        assert_eq!(facts.base_model.as_deref(), Some("org/tiny"));
        let memory = facts.memory.expect("a chat model");
        assert_eq!(memory.weights_bytes, 2176 + 256);
        assert_eq!(memory.per_token_bytes, Some(2 * 2 * (16 + 16) * 2));
    }
    assert_eq!(
        parse(&llama().bytes()).expect("valid").get("tokenizer.ggml.tokens"),
        Some(&Value::LongList(2000))
    );
}

#[test]
fn a_header_that_lies_is_refused() {
    let with = |at: usize, bytes: &[u8]| {
        let mut file = llama().bytes();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        refusal(&file)
    };
    assert!(with(0, b"GGUX").contains("does not begin"));
    assert!(with(4, &1u32.to_le_bytes()).contains("version 1"));
    assert!(with(4, &3u32.to_be_bytes()).contains("big-endian"));
    assert!(with(8, &u64::MAX.to_le_bytes()).contains("number of tensors"));
    assert!(with(16, &u64::MAX.to_le_bytes()).contains("number of metadata keys"));
    assert!(with(24, &u64::MAX.to_le_bytes()).contains("length of a key"));
    let long = |kind, bytes: Vec<u8>| refusal(&Writer::new("llama").put("x", Put::Raw(kind, bytes)).bytes());
    assert!(long(8, u64::MAX.to_le_bytes().to_vec()).contains("cut short"));
    let mut list = 4u32.to_le_bytes().to_vec();
    list.extend(u64::MAX.to_le_bytes());
    assert!(long(9, list).contains("array's elements"));
    assert!(long(99, vec![]).contains("unknown type 99"));
    assert!(long(7, vec![2]).contains("truth value"));
}

#[test]
fn arrays_nest_only_so_deep() {
    let nested = |depth: usize| {
        let mut bytes = Vec::new();
        for _ in 0..depth {
            bytes.extend(9u32.to_le_bytes());
            bytes.extend(1u64.to_le_bytes());
        }
        bytes.extend(0u32.to_le_bytes());
        bytes.extend(0u64.to_le_bytes());
        Writer::new("llama").put("x", Put::Raw(9, bytes)).bytes()
    };
    assert_eq!(parse(&nested(2)).expect("shallow").get("x"), Some(&Value::LongList(1)));
    assert!(refusal(&nested(5000)).contains("nested arrays"));
}

#[test]
fn keys_and_tensors_stand_once() {
    let twice = Writer::new("llama").put("a", Put::U32(1)).put("a", Put::U64(2));
    assert!(refusal(&twice.bytes()).contains("\"a\" stands twice"));
    let twice = Writer::new("llama").tensor("t", &[8], 0, None, 32).tensor("t", &[8], 0, None, 32);
    assert!(refusal(&twice.bytes()).contains("\"t\" stands twice"));
}

#[test]
fn tensors_lie_apart_and_inside_the_file() {
    let one = |dims: &[u64], form, offset, bytes| {
        refusal(&Writer::new("llama").tensor("t", dims, form, offset, bytes).bytes())
    };
    assert!(one(&[u64::MAX, 2], 0, None, 0).contains("impossible dimensions"));
    assert!(one(&[1 << 40, 1 << 40], 0, None, 0).contains("impossible dimensions"));
    assert!(one(&[33], 8, None, 0).contains("blocks of 32"));
    assert!(one(&[1], 31, None, 0).contains("unknown type 31"));
    assert!(one(&[8], 0, Some(3), 32).contains("no multiple"));
    assert!(one(&[1, 1, 1, 1, 1], 0, None, 4).contains("5 dimensions"));
    assert!(one(&[8], 0, Some(u64::MAX - 31), 32).contains("impossible place"));
    let overlap = Writer::new("llama").tensor("a", &[16], 0, Some(0), 64).tensor("b", &[16], 0, Some(32), 64);
    assert!(refusal(&overlap.bytes()).contains("overlap"));
    let mut cut = llama().bytes();
    let len = cut.len();
    cut.truncate(len - 1);
    let text = refusal(&cut);
    assert!(text.contains(&len.to_string()) && text.contains(&(len - 1).to_string()), "{text}");
}

#[test]
fn kinds_are_told() {
    let kind = |writer: Writer| parse(&writer.bytes()).expect("valid").facts().kind;
    assert_eq!(kind(Writer::new("bert")), ModelKind::Embedding);
    assert_eq!(kind(Writer::new("qwen3").put("qwen3.pooling_type", Put::U32(3))), ModelKind::Embedding);
    assert_eq!(kind(Writer::new("qwen3").put("qwen3.pooling_type", Put::U32(4))), ModelKind::Other);
    assert_eq!(kind(Writer::new("llama").put("general.type", Put::Text("adapter"))), ModelKind::Lora);
    assert_eq!(kind(Writer::new("clip")), ModelKind::Other);
    assert_eq!(kind(Writer::new("flux")), ModelKind::Image);
}

#[test]
fn caches_of_other_architectures() {
    let memory =
        |writer: Writer| parse(&writer.bytes()).expect("valid").facts().memory.expect("a chat model");
    let base = |arch: &'static str, heads: Put| {
        let key = |name: &str| format!("{arch}.{name}");
        Writer::new(arch)
            .put(&key("block_count"), Put::U32(4))
            .put(&key("embedding_length"), Put::U32(64))
            .put(&key("attention.head_count"), Put::U32(4))
            .put(&key("attention.head_count_kv"), heads)
    };
    // Latent attention: one compressed key a layer, no values.
    let mla = base("deepseek2", Put::U32(1))
        .put("deepseek2.attention.key_length", Put::U32(576))
        .put("deepseek2.attention.value_length", Put::U32(512))
        .put("deepseek2.attention.key_length_mla", Put::U32(192));
    assert_eq!(memory(mla).per_token_bytes, Some(4 * 576 * 2));
    // Two layers with attention, two with a short convolution of 3 taps.
    let hybrid = base("lfm2", Put::U32s(vec![0, 2, 0, 2])).put("lfm2.shortconv.l_cache", Put::U32(3));
    let need = memory(hybrid);
    assert_eq!(need.per_token_bytes, Some(2 * 2 * 32 * 2));
    assert_eq!(need.per_sequence_bytes, 2 * 64 * 2 * 4);
    // A state space model: a state and no cache.
    let mamba = base("mamba", Put::U32(0))
        .put("mamba.ssm.conv_kernel", Put::U32(4))
        .put("mamba.ssm.inner_size", Put::U32(128))
        .put("mamba.ssm.state_size", Put::U32(16));
    let need = memory(mamba);
    assert_eq!(need.per_token_bytes, Some(0));
    assert_eq!(need.per_sequence_bytes, 4 * (3 * 128 + 16 * 128) * 4);
    // What is not understood is not made up.
    assert_eq!(memory(base("deepseek4", Put::U32(1))).per_token_bytes, None);
    assert_eq!(memory(Writer::new("llama")).per_token_bytes, None);
}

#[test]
fn absurd_figures_do_not_overflow() {
    let writer = Writer::new("llama")
        .put("llama.block_count", Put::U64(4096))
        .put("llama.embedding_length", Put::U64(u64::MAX))
        .put("llama.feed_forward_length", Put::U64(u64::MAX))
        .put("llama.vocab_size", Put::U64(u64::MAX))
        .put("llama.attention.head_count", Put::U64(1))
        .put("llama.attention.key_length", Put::U64(u64::MAX))
        .put("llama.rope.freq_base", Put::F32(f32::NAN))
        .put("llama.attention.causal", Put::Bool(true));
    let need = parse(&writer.bytes()).expect("valid").facts().memory.expect("a chat model");
    assert_eq!(need.per_token_bytes, None);
    assert_eq!(need.total(1, 1), u64::MAX);
}

/// The model that `make up` brings, where this machine has it.
#[test]
fn the_real_model() {
    let Some(path) = crate::testing::smollm2() else { return };
    let header = read_header(&path).expect("a real model");
    let facts = header.facts();
    assert_eq!(facts.architecture.as_deref(), Some("llama"));
    assert_eq!(facts.quantisation.as_deref(), Some("Q4_1"));
    assert_eq!(facts.context_length, Some(8192));
    assert_eq!(facts.parameters, Some(134_515_008));
    assert_eq!(facts.vocabulary, Some(49152));
    assert!(facts.chat_template);
    assert_eq!(facts.licence.and_then(|l| l.spdx).as_deref(), Some("Apache-2.0"));
    let memory = facts.memory.expect("a chat model");
    // 30 layers, 3 heads of 64 for keys and as many for values, 2 bytes each.
    assert_eq!(memory.per_token_bytes, Some(30 * 3 * 128 * 2));
    assert!(memory.weights_bytes < header.file_len && memory.weights_bytes > header.file_len - (4 << 20));
    // llama.cpp's own server in Python (xllamacpp 2026.10) grew by 320 MiB with a context of 8192 and by 501 MiB with 16384,
    // after a prompt of 700 tokens; the figure may be a little above, never below.
    for (tokens, measured) in [(8192, 320u64 << 20), (16384, 501 << 20)] {
        let said = memory.total(tokens, 1);
        assert!(said >= measured && said <= measured * 115 / 100, "{said} against {measured}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_are_survived(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&bytes);
        let mut file = b"GGUF\x03\0\0\0".to_vec();
        file.extend(bytes);
        let _ = parse(&file).map(|header| header.facts());
    }

    #[test]
    fn a_damaged_header_is_survived(
        edits in prop::collection::vec((0usize..1200, any::<u8>()), 1..6), cut in prop::option::of(0usize..20_000),
    ) {
        let mut file = llama().bytes();
        for (at, byte) in edits {
            // The list of tokens, which is most of the header, is not hit each time.
            let len = file.len();
            file[if at < 600 { at } else { len - at }] = byte;
        }
        if let Some(cut) = cut {
            file.truncate(cut);
        }
        if let Ok(header) = parse(&file) {
            let _ = header.facts();
            for tensor in &header.tensors {
                prop_assert!(header.data_start + tensor.offset + tensor.bytes <= header.file_len);
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back(
        figures in prop::collection::vec(any::<u64>(), 0..20), rows in prop::collection::vec(1u64..9, 0..20), shift in 0u32..8,
    ) {
        let mut writer = Writer { alignment: 1 << shift, ..Writer::new("x") }.put("general.alignment", Put::U32(1 << shift));
        for (at, figure) in figures.iter().enumerate() {
            writer = writer.put(&format!("k{at}"), Put::U64(*figure));
        }
        for (at, row) in rows.iter().enumerate() {
            writer = writer.tensor(&format!("t{at}"), &[32, *row], 2, None, 18 * row);
        }
        let header = parse(&writer.bytes()).expect("valid");
        for (at, figure) in figures.iter().enumerate() {
            prop_assert_eq!(header.number(&format!("k{at}")), Some(*figure));
        }
        prop_assert_eq!(header.tensor_bytes(), rows.iter().sum::<u64>() * 18);
    }
}
