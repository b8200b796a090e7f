//! Small, sound model files.

/// A GGUF file (version 3) of a tiny llama with one tensor of `values` numbers.
pub fn gguf(name: &str, values: usize) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend(1u64.to_le_bytes());
    let numbers = [
        ("llama.context_length", 2048u32),
        ("llama.embedding_length", 32),
        ("llama.block_count", 1),
        ("llama.attention.head_count", 4),
        ("llama.attention.head_count_kv", 2),
        ("llama.feed_forward_length", 64),
        ("general.file_type", 0),
    ];
    let texts = [("general.architecture", "llama"), ("general.name", name)];
    out.extend(((numbers.len() + texts.len()) as u64).to_le_bytes());
    for (key, text) in texts {
        string(&mut out, key);
        out.extend(8u32.to_le_bytes());
        string(&mut out, text);
    }
    for (key, number) in numbers {
        string(&mut out, key);
        out.extend(4u32.to_le_bytes());
        out.extend(number.to_le_bytes());
    }
    string(&mut out, "token_embd.weight");
    out.extend(1u32.to_le_bytes());
    out.extend((values as u64).to_le_bytes());
    out.extend(0u32.to_le_bytes());
    out.extend(0u64.to_le_bytes());
    out.resize(out.len().next_multiple_of(32), 0);
    out.extend(super::noise(values * 4, values as u64));
    out
}

fn string(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}

/// A safetensors file with one tensor of `values` numbers.
pub fn safetensors(values: usize) -> Vec<u8> {
    let header = format!(r#"{{"w":{{"dtype":"F32","shape":[{values}],"data_offsets":[0,{}]}}}}"#, values * 4);
    let mut out = (header.len() as u64).to_le_bytes().to_vec();
    out.extend(header.as_bytes());
    out.extend(super::noise(values * 4, 7));
    out
}

/// The start of a pickle, as `torch.save` of old wrote it.
pub fn pickle() -> Vec<u8> {
    let mut out = b"\x80\x02}q\x00(X\x06\x00\x00\x00weightq\x01ctorch._utils\n_rebuild_tensor_v2\n".to_vec();
    out.resize(4096, 0);
    out
}
