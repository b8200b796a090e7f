//! What a GGUF header says of the model: name, kind, size, quantisation, licence.

use std::collections::HashMap;

use super::{Header, Value, memory};
use crate::{Licence, MemoryNeed, ModelKind, formats::ggml};

/// How the vectors of tokens become the vector of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Not at all: a vector a token.
    None,
    /// Their mean.
    Mean,
    /// That of the first token.
    Cls,
    /// That of the last token.
    Last,
    /// A score, not a vector: a reranker.
    Rank,
}

/// What is known of a model from its header alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The architecture's name.
    pub architecture: Option<String>,
    /// The model's name.
    pub name: Option<String>,
    /// What it does.
    pub kind: ModelKind,
    /// The context that it was trained for, in tokens.
    pub context_length: Option<u32>,
    /// The length of its vectors.
    pub embedding_length: Option<u64>,
    /// The size of its vocabulary.
    pub vocabulary: Option<u64>,
    /// How text becomes tokens: `gpt2`, `llama`, `bert` ...
    pub tokenizer: Option<String>,
    /// The number of weights in this file.
    pub parameters: Option<u64>,
    /// The form of most weights, or the mixture's name.
    pub quantisation: Option<String>,
    /// Whether it carries a chat template.
    pub chat_template: bool,
    /// How texts become vectors, where the header says so.
    pub pooling: Option<Pooling>,
    /// Languages, as tags.
    pub languages: Vec<String>,
    /// The licence, where one is named.
    pub licence: Option<Licence>,
    /// What it was made from.
    pub base_model: Option<String>,
    /// Free words.
    pub tags: Vec<String>,
    /// The number of files that the model is split into; 1 for most.
    pub parts: u64,
    /// What memory a replica needs; absent where the file is no model for the engine.
    pub memory: Option<MemoryNeed>,
}

/// Architectures whose only use is vectors.
const EMBEDDERS: [&str; 11] = [
    "bert",
    "modern-bert",
    "nomic-bert",
    "nomic-bert-moe",
    "neo-bert",
    "jina-bert-v2",
    "jina-bert-v3",
    "eurobert",
    "t5encoder",
    "gemma-embedding",
    "llama-embed",
];
/// What stable-diffusion.cpp and ComfyUI write into GGUF files.
const PAINTERS: [&str; 12] =
    ["sd1", "sd2", "sd3", "sdxl", "flux", "aura", "hidream", "cosmos", "ltxv", "hyvid", "wan", "lumina2"];

impl Facts {
    pub(super) fn of(header: &Header) -> Self {
        let architecture = header.text("general.architecture").map(str::to_owned);
        let arch = architecture.as_deref().unwrap_or_default();
        let own = |key: &str| format!("{arch}.{key}");
        let pooling = header.number(&own("pooling_type")).and_then(|number| match number {
            0 => Some(Pooling::None),
            1 => Some(Pooling::Mean),
            2 => Some(Pooling::Cls),
            3 => Some(Pooling::Last),
            4 => Some(Pooling::Rank),
            _ => None,
        });
        let kind = kind(header, arch, pooling);
        let parameters =
            header.tensors.iter().map(|tensor| tensor.elements()).fold(0u64, u64::saturating_add);
        let vocabulary = header
            .get("tokenizer.ggml.tokens")
            .and_then(Value::len)
            .or_else(|| header.number(&own("vocab_size")));
        let runs = matches!(kind, ModelKind::Chat | ModelKind::Embedding);
        Self {
            name: header.text("general.name").map(|name| cut(name, 200)),
            kind,
            context_length: header
                .number(&own("context_length"))
                .and_then(|n| u32::try_from(n).ok())
                .filter(|n| *n > 0),
            embedding_length: header.number(&own("embedding_length")),
            vocabulary,
            tokenizer: header.text("tokenizer.ggml.model").map(|name| cut(name, 64)),
            parameters: Some(parameters).filter(|count| *count > 0),
            quantisation: quantisation(header),
            chat_template: header.text("tokenizer.chat_template").is_some(),
            pooling,
            languages: words(header.get("general.languages"), 200),
            licence: licence(header),
            base_model: base_model(header),
            tags: words(header.get("general.tags"), 64),
            parts: header.number("split.count").unwrap_or(1).max(1),
            memory: if runs { Some(memory::need(header, arch, vocabulary)) } else { None },
            architecture: architecture.map(|name| cut(&name, 64)),
        }
    }
}

fn kind(header: &Header, arch: &str, pooling: Option<Pooling>) -> ModelKind {
    match header.text("general.type") {
        Some("adapter") => return ModelKind::Lora,
        Some("mmproj" | "imatrix") => return ModelKind::Other,
        _ => {}
    }
    match arch {
        "" | "clip" | "eagle3" | "dflash" | "gemma4-assistant" => ModelKind::Other,
        "wavtokenizer-dec" | "qwen3tts" | "pockettts" | "whisper" => ModelKind::Speech,
        _ if PAINTERS.contains(&arch) => ModelKind::Image,
        _ if pooling == Some(Pooling::Rank) => ModelKind::Other,
        _ if EMBEDDERS.contains(&arch)
            || matches!(pooling, Some(Pooling::Mean | Pooling::Cls | Pooling::Last)) =>
        {
            ModelKind::Embedding
        }
        _ => ModelKind::Chat,
    }
}

/// The name of the mixture where the header has it, unless most weights have a form of another width: then the form's.
fn quantisation(header: &Header) -> Option<String> {
    let mut by_form: HashMap<&str, u64> = HashMap::new();
    for tensor in header.tensors.iter().filter(|tensor| tensor.dims.len() > 1) {
        let count = by_form.entry(tensor.form.name).or_default();
        *count = count.saturating_add(tensor.elements());
    }
    let most = by_form
        .into_iter()
        .max_by_key(|(name, count)| (*count, std::cmp::Reverse(*name)))
        .map(|(name, _)| name);
    let said = header.number("general.file_type").and_then(ggml::file_type);
    let width = |name: &str| ggml::bits_per_weight(name).map(f64::round);
    match (said, most) {
        (Some(said), Some(most))
            if width(said).zip(width(most)).is_none_or(|(a, b)| (a - b).abs() <= 2.0) =>
        {
            Some(said)
        }
        (_, Some(most)) => Some(most),
        (said, None) => said,
    }
    .map(str::to_owned)
}

fn licence(header: &Header) -> Option<Licence> {
    let url = header.text("general.license.link").filter(|link| link.starts_with("http"));
    let word = header.text("general.license").filter(|word| word.len() <= 200);
    let name = header.text("general.license.name").filter(|name| name.len() <= 200);
    let licence = match (word, name) {
        (Some(word), Some(name)) if word.eq_ignore_ascii_case("other") => Licence::from_tag(name, url),
        (Some(word), _) => Licence::from_tag(word, url),
        (None, Some(name)) => Licence::from_tag(name, url),
        (None, None) => return None,
    };
    licence.is_known().then_some(licence)
}

fn base_model(header: &Header) -> Option<String> {
    let own =
        header.text("general.base_model.0.repo_url").or_else(|| header.text("general.base_model.0.name"));
    let source = || header.text("general.source.huggingface.repository");
    let text = own.or_else(source)?;
    let text = text.strip_prefix("https://huggingface.co/").unwrap_or(text);
    Some(cut(text, 300)).filter(|text| !text.is_empty())
}

fn words(value: Option<&Value>, most: usize) -> Vec<String> {
    let Some(Value::List(list)) = value else { return Vec::new() };
    let texts =
        list.iter().filter_map(Value::as_str).map(|word| cut(word, 64)).filter(|word| !word.is_empty());
    texts.take(most).collect()
}

/// One line of at most so many bytes.
fn cut(text: &str, most: usize) -> String {
    let mut line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    while line.len() > most {
        line.pop();
    }
    line.trim().to_owned()
}
