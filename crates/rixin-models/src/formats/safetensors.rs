//! Safetensors headers, read with limits. Source: the format section of huggingface/safetensors.
//!
//! Eight bytes of length, a JSON object of tensors, the data. A key that stands twice is refused, since readers differ in
//! which one they believe; so are tensors that overlap or leave gaps, in which something could hide.

use std::{collections::BTreeMap, fmt, io::Read, path::Path};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeSeed, MapAccess, Visitor},
};

use super::Flaw;
use crate::{Error, Licence, ModelKind, Result};

/// The longest header, in bytes: the format's own limit.
pub const MAX_HEADER: u64 = 100_000_000;
/// Most tensors of a file.
pub const MAX_TENSORS: usize = 250_000;
const MAX_NAME_BYTES: usize = 1024;
const MAX_METADATA: usize = 4096;
const MAX_METADATA_BYTES: usize = 16 << 20;
const MAX_DIMS: usize = 16;

/// The form of a tensor's numbers, with its bits.
const FORMS: &[(&str, u64)] = &[
    ("BOOL", 8),
    ("U8", 8),
    ("I8", 8),
    ("F4", 4),
    ("F6_E2M3", 6),
    ("F6_E3M2", 6),
    ("F8_E5M2", 8),
    ("F8_E4M3", 8),
    ("F8_E4M3FNUZ", 8),
    ("F8_E5M2FNUZ", 8),
    ("F8_E8M0", 8),
    ("I16", 16),
    ("U16", 16),
    ("F16", 16),
    ("BF16", 16),
    ("I32", 32),
    ("U32", 32),
    ("F32", 32),
    ("I64", 64),
    ("U64", 64),
    ("F64", 64),
    ("C64", 64),
];

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// The form of its numbers.
    pub form: &'static str,
    /// Its dimensions, the slowest first.
    pub shape: Vec<u64>,
    /// Where its data begins, from the start of the data.
    pub begin: u64,
    /// Where it ends.
    pub end: u64,
}

impl Tensor {
    /// The number of its weights.
    pub fn elements(&self) -> u64 {
        self.shape.iter().product()
    }
}

/// A header that was read and checked: its tensors fill the file without overlap or gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The tensors, in the order of their data.
    pub tensors: Vec<Tensor>,
    /// `__metadata__`.
    pub metadata: BTreeMap<String, String>,
    /// Where the data begins in the file.
    pub data_start: u64,
    /// The file's length.
    pub file_len: u64,
}

impl Header {
    /// The number of all weights.
    pub fn parameters(&self) -> u64 {
        self.tensors.iter().map(Tensor::elements).fold(0, u64::saturating_add)
    }

    /// The form of most weights.
    pub fn main_form(&self) -> Option<&'static str> {
        let mut by_form: BTreeMap<&str, u64> = BTreeMap::new();
        for tensor in &self.tensors {
            let count = by_form.entry(tensor.form).or_default();
            *count = count.saturating_add(tensor.elements());
        }
        let most = by_form.into_iter().max_by_key(|(_, count)| *count)?.0;
        FORMS.iter().map(|(name, _)| *name).find(|name| *name == most)
    }

    /// What the file most likely is, by the names of its tensors.
    pub fn kind(&self) -> ModelKind {
        let any = |test: &dyn Fn(&str) -> bool| self.tensors.iter().any(|tensor| test(&tensor.name));
        if any(&|name| name.contains(".lora_A.") || name.contains("lora_down") || name.contains(".lora_a.")) {
            ModelKind::Lora
        } else if any(&|name| {
            name.starts_with("model.diffusion_model.")
                || name.starts_with("double_blocks.")
                || name.starts_with("down_blocks.")
        }) {
            ModelKind::Image
        } else if any(&|name| name == "lm_head.weight" || name.starts_with("model.layers.")) {
            ModelKind::Chat
        } else if any(&|name| name.ends_with("embeddings.word_embeddings.weight")) {
            ModelKind::Embedding
        } else {
            ModelKind::Other
        }
    }

    /// The licence, where `__metadata__` names one.
    pub fn licence(&self) -> Option<Licence> {
        let word = self.metadata.get("modelspec.license").or_else(|| self.metadata.get("license"))?;
        Some(Licence::from_tag(word.lines().next().unwrap_or_default(), None)).filter(Licence::is_known)
    }
}

/// Reads the header of a file.
///
/// # Errors
/// [`Error::BadFile`] with the reason; [`Error::Io`].
pub fn read_header(path: &Path) -> Result<Header> {
    let open = || -> Result<Header, Flaw> {
        let file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        read(file, len)
    };
    open().map_err(|flaw: Flaw| -> Error { flaw.of(path) })
}

/// Reads a header from the start of a file of `len` bytes.
///
/// # Errors
/// [`Flaw::Bad`] names what is wrong: cut short, a length that can't be, no JSON, a key that stands twice, an unknown form, a
/// shape that does not fit its bytes, tensors that overlap or leave gaps.
pub fn read(mut from: impl Read, len: u64) -> Result<Header, Flaw> {
    if len < 8 {
        return Err(Flaw::cut_short(8, len));
    }
    let mut prefix = [0u8; 8];
    from.read_exact(&mut prefix)?;
    let header_len = u64::from_le_bytes(prefix);
    if header_len > MAX_HEADER {
        return Err(Flaw::new(
            format!(
                "its header is said to have {header_len} bytes, at most {MAX_HEADER} are allowed: it is no safetensors file"
            ),
            format!("文件头声称有 {header_len} 字节，最多允许 {MAX_HEADER} 字节：不是 safetensors 文件"),
        ));
    }
    if header_len > len - 8 {
        return Err(Flaw::cut_short(8 + header_len, len));
    }
    let mut json = Vec::new();
    from.take(header_len).read_to_end(&mut json)?;
    if json.len() as u64 != header_len {
        return Err(Flaw::cut_short(8 + header_len, 8 + json.len() as u64));
    }
    let raw: Raw = serde_json::from_slice(&json)
        .map_err(|e| Flaw::new(format!("its header can't be used: {e}"), format!("文件头无法使用：{e}")))?;
    check(raw, 8 + header_len, len)
}

fn check(raw: Raw, data_start: u64, file_len: u64) -> Result<Header, Flaw> {
    let mut tensors = Vec::with_capacity(raw.tensors.len());
    for (name, info) in raw.tensors {
        let bad = |en: String, zh: String| {
            Flaw::new(format!("tensor {name:?} {en}"), format!("张量 {name:?} {zh}"))
        };
        let form = FORMS.iter().find(|(form, _)| *form == info.dtype);
        let &(form, bits) = form.ok_or_else(|| {
            let dtype: String = info.dtype.chars().take(40).collect();
            bad(format!("has the unknown type {dtype:?}"), format!("的类型 {dtype:?} 未知"))
        })?;
        let (begin, end) = info.data_offsets;
        let elements = info.shape.iter().try_fold(1u64, |all, dim| all.checked_mul(*dim));
        let bytes = elements.and_then(|n| n.checked_mul(bits)).filter(|n| n % 8 == 0).map(|n| n / 8);
        if begin > end || bytes != Some(end - begin) {
            return Err(bad(
                format!(
                    "has the shape {:?} of {form}, which does not fit its bytes {begin} to {end}",
                    info.shape
                ),
                format!("形状为 {:?}（{form}），与字节范围 {begin} 至 {end} 不符", info.shape),
            ));
        }
        tensors.push(Tensor { name, form, shape: info.shape, begin, end });
    }
    tensors.sort_by_key(|tensor| (tensor.begin, tensor.end));
    let mut at = 0;
    for tensor in &tensors {
        if tensor.begin != at {
            let (en, zh) = if tensor.begin < at {
                ("overlaps the one before", "与前一个张量重叠")
            } else {
                ("leaves a gap before it", "之前有空隙")
            };
            return Err(Flaw::new(
                format!("tensor {:?} {en}: the file was tampered with or badly written", tensor.name),
                format!("张量 {:?} {zh}：文件被篡改或生成有误", tensor.name),
            ));
        }
        at = tensor.end;
    }
    let needed = data_start.saturating_add(at);
    if needed > file_len {
        return Err(Flaw::cut_short(needed, file_len));
    }
    if needed < file_len {
        return Err(Flaw::new(
            format!(
                "it has {} bytes after its last tensor, which belong to nothing: it was tampered with or badly written",
                file_len - needed
            ),
            format!("最后一个张量之后还有 {} 字节多余内容：文件被篡改或生成有误", file_len - needed),
        ));
    }
    Ok(Header { tensors, metadata: raw.metadata, data_start, file_len })
}

/// The header as JSON has it, every key once.
#[derive(Default)]
struct Raw {
    tensors: BTreeMap<String, Info>,
    metadata: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Info {
    dtype: String,
    #[serde(deserialize_with = "shape")]
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// A list of at most [`MAX_DIMS`] numbers; longer ones are refused before they are held.
fn shape<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u64>, D::Error> {
    struct Shape;
    impl<'de> Visitor<'de> for Shape {
        type Value = Vec<u64>;
        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            write!(f, "a shape of at most {MAX_DIMS} dimensions")
        }
        fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<u64>, A::Error> {
            let mut dims = Vec::new();
            while let Some(dim) = seq.next_element()? {
                if dims.len() == MAX_DIMS {
                    return Err(serde::de::Error::custom(format!(
                        "a shape has more than {MAX_DIMS} dimensions"
                    )));
                }
                dims.push(dim);
            }
            Ok(dims)
        }
    }
    d.deserialize_seq(Shape)
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Top;
        impl<'de> Visitor<'de> for Top {
            type Value = Raw;
            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
                use serde::de::Error;
                let mut raw = Raw::default();
                let mut seen_metadata = false;
                while let Some(key) = map.next_key::<String>()? {
                    if key == "__metadata__" {
                        if std::mem::replace(&mut seen_metadata, true) {
                            return Err(Error::custom("__metadata__ stands twice"));
                        }
                        raw.metadata = map.next_value_seed(Metadata)?;
                        continue;
                    }
                    if key.len() > MAX_NAME_BYTES || raw.tensors.len() == MAX_TENSORS {
                        return Err(Error::custom(format!(
                            "at most {MAX_TENSORS} tensors with names of {MAX_NAME_BYTES} bytes are allowed"
                        )));
                    }
                    if raw.tensors.contains_key(&key) {
                        return Err(Error::custom(format!("tensor {key:?} stands twice")));
                    }
                    let info = map.next_value()?;
                    raw.tensors.insert(key, info);
                }
                Ok(raw)
            }
        }
        d.deserialize_map(Top)
    }
}

struct Metadata;

impl<'de> DeserializeSeed<'de> for Metadata {
    type Value = BTreeMap<String, String>;
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Self::Value, D::Error> {
        d.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata {
    type Value = BTreeMap<String, String>;
    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object of texts in __metadata__")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error;
        let mut metadata = BTreeMap::new();
        let mut bytes = 0;
        while let Some((key, value)) = map.next_entry::<String, String>()? {
            bytes += key.len() + value.len();
            if metadata.len() == MAX_METADATA || bytes > MAX_METADATA_BYTES {
                return Err(Error::custom("__metadata__ is too long"));
            }
            if metadata.contains_key(&key) {
                return Err(Error::custom(format!("the metadata key {key:?} stands twice")));
            }
            metadata.insert(key, value);
        }
        Ok(metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(json: &str, data: usize) -> Vec<u8> {
        let mut out = (json.len() as u64).to_le_bytes().to_vec();
        out.extend(json.as_bytes());
        out.extend(std::iter::repeat_n(0u8, data));
        out
    }

    fn parse(bytes: &[u8]) -> Result<Header, Flaw> {
        read(bytes, bytes.len() as u64)
    }

    fn refusal(json: &str, data: usize) -> String {
        parse(&file(json, data)).expect_err("refused").to_string()
    }

    const GOOD: &str = r#"{"__metadata__":{"format":"pt","modelspec.license":"MIT"},
        "model.layers.0.w":{"dtype":"F16","shape":[2,4],"data_offsets":[4,20]},"b":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}   "#;

    #[test]
    fn a_header_is_read() {
        let header = parse(&file(GOOD, 20)).expect("valid");
        assert_eq!(header.tensors[1].name, "model.layers.0.w");
        assert_eq!(
            (header.parameters(), header.main_form(), header.kind()),
            (9, Some("F16"), ModelKind::Chat)
        );
        assert_eq!(header.licence().and_then(|l| l.spdx).as_deref(), Some("MIT"));
        assert!(parse(&file("{}", 0)).expect("no tensors").tensors.is_empty());
    }

    #[test]
    fn keys_stand_once() {
        let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#;
        assert!(refusal(twice, 1).contains("stands twice"));
        assert!(refusal(r#"{"__metadata__":{"a":"1","a":"2"}}"#, 0).contains("stands twice"));
        assert!(refusal(r#"{"__metadata__":{},"__metadata__":{}}"#, 0).contains("stands twice"));
        assert!(
            refusal(r#"{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}"#, 1)
                .contains("duplicate field")
        );
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let one = |dtype: &str, shape: &str, offsets: &str| {
            format!(r#"{{"a":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}}}"#)
        };
        assert!(refusal(&one("F32", "[2]", "[0,4]"), 8).contains("does not fit"));
        assert!(refusal(&one("F32", "[18446744073709551615,2]", "[0,4]"), 8).contains("does not fit"));
        assert!(refusal(&one("F4", "[3]", "[0,1]"), 8).contains("does not fit"));
        assert!(refusal(&one("U8", "[1]", "[2,1]"), 8).contains("does not fit"));
        assert!(refusal(&one("X9", "[1]", "[0,1]"), 1).contains("unknown type"));
        assert!(refusal(&one("U8", "[-1]", "[0,1]"), 1).contains("can't be used"));
        assert!(
            refusal(&one("U8", "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "[0,1]"), 1).contains("16 dimensions")
        );
        assert!(refusal(&one("U8", "[1]", "[1,2]"), 2).contains("gap"));
        assert!(refusal(&one("U8", "[9]", "[0,9]"), 8).contains("cut short"));
        assert!(refusal(&one("U8", "[1]", "[0,1]"), 5).contains("after its last tensor"));
        let overlap = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}"#;
        assert!(refusal(overlap, 6).contains("overlaps"));
        assert!(refusal(&"[".repeat(1000), 0).contains("can't be used"));
    }

    #[test]
    fn lying_lengths_allocate_nothing() {
        let mut lie = (MAX_HEADER + 1).to_le_bytes().to_vec();
        lie.extend(b"{}");
        assert!(parse(&lie).expect_err("too long").to_string().contains("at most"));
        let mut lie = (MAX_HEADER - 1).to_le_bytes().to_vec();
        lie.extend(b"{}");
        assert!(parse(&lie).expect_err("cut").to_string().contains("cut short"));
        assert!(parse(b"abc").expect_err("cut").to_string().contains("cut short"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(json in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut bytes = (json.len() as u64).to_le_bytes().to_vec();
            bytes.extend(json);
            let _ = parse(&bytes);
        }

        #[test]
        fn a_damaged_header_is_survived(edits in prop::collection::vec((0usize..220, any::<u8>()), 1..5)) {
            let mut bytes = file(GOOD, 20);
            for (at, byte) in edits {
                bytes[at] = byte;
            }
            if let Ok(header) = parse(&bytes) {
                prop_assert_eq!(header.tensors.last().map_or(0, |t| t.end) + header.data_start, header.file_len);
            }
        }
    }
}
