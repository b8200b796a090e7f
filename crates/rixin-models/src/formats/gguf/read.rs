//! From bytes to a [`Header`].

use std::{
    collections::{BTreeMap, HashSet},
    io::{Read, Seek, SeekFrom},
};

use super::{Header, Tensor, Value};
use crate::formats::{Flaw, ggml};

/// Most metadata keys.
pub const MAX_KEYS: u64 = 16_384;
/// Most tensors.
pub const MAX_TENSORS: u64 = 131_072;
const MAX_KEY_BYTES: u64 = 1024;
const MAX_NAME_BYTES: u64 = 256;
/// Longer texts are skipped, but for chat templates.
const MAX_TEXT_BYTES: u64 = 64 << 10;
const MAX_TEMPLATE_BYTES: u64 = 2 << 20;
/// Longer arrays are skipped: what is kept of arrays are figures by layer and short lists of words.
const MAX_LIST: u64 = 1024;
/// All texts and lists that are kept, together.
const MAX_KEPT_BYTES: u64 = 24 << 20;
const MAX_DEPTH: u32 = 4;
/// A key, a type and a value take at least this.
const MIN_PAIR_BYTES: u64 = 8 + 1 + 4 + 1;
/// A name's length, a number of dimensions, a form and an offset.
const MIN_TENSOR_BYTES: u64 = 8 + 4 + 4 + 8;

struct Source<R> {
    from: R,
    at: u64,
    len: u64,
    kept: u64,
}

fn lies(what: &str, zh: &str, said: u64, most: u64) -> Flaw {
    Flaw::new(
        format!("its header lies: {what} {said}, at most {most} are possible"),
        format!("文件头不实：{zh}为 {said}，最多只能是 {most}"),
    )
}

impl<R: Read + Seek> Source<R> {
    fn left(&self) -> u64 {
        self.len - self.at
    }

    fn need(&self, bytes: u64) -> Result<(), Flaw> {
        if bytes > self.left() {
            return Err(Flaw::cut_short(self.at.saturating_add(bytes), self.len));
        }
        Ok(())
    }

    fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Flaw> {
        self.need(N as u64)?;
        let mut out = [0u8; N];
        self.from.read_exact(&mut out)?;
        self.at += N as u64;
        Ok(out)
    }

    fn u32(&mut self) -> Result<u32, Flaw> {
        self.bytes().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, Flaw> {
        self.bytes().map(u64::from_le_bytes)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Flaw> {
        self.need(bytes)?;
        self.at += bytes;
        if bytes <= 1 << 15 {
            // Short hops stay in the reader's buffer; a seek would throw it away.
            std::io::copy(&mut (&mut self.from).take(bytes), &mut std::io::sink())?;
        } else {
            self.from.seek(SeekFrom::Start(self.at))?;
        }
        Ok(())
    }

    fn text(&mut self, what: &str, zh: &str, most: u64) -> Result<String, Flaw> {
        let len = self.u64()?;
        if len > most {
            return Err(lies(&format!("the length of {what} is"), &format!("{zh}的长度"), len, most));
        }
        self.text_of(len)
    }

    fn text_of(&mut self, len: u64) -> Result<String, Flaw> {
        self.need(len)?;
        self.keep(len)?;
        let mut bytes = vec![0u8; len as usize];
        self.from.read_exact(&mut bytes)?;
        self.at += len;
        // Some converters wrote names in other encodings: what can be shown is kept.
        Ok(String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned()))
    }

    fn keep(&mut self, bytes: u64) -> Result<(), Flaw> {
        self.kept += bytes;
        if self.kept > MAX_KEPT_BYTES {
            return Err(lies("the bytes of its texts are", "文本总字节数", self.kept, MAX_KEPT_BYTES));
        }
        Ok(())
    }

    fn scalar(&mut self, kind: u32) -> Result<Value, Flaw> {
        Ok(match kind {
            0 => Value::Unsigned(self.bytes::<1>()?[0].into()),
            1 => Value::Signed((self.bytes::<1>()?[0] as i8).into()),
            2 => Value::Unsigned(u16::from_le_bytes(self.bytes()?).into()),
            3 => Value::Signed(i16::from_le_bytes(self.bytes()?).into()),
            4 => Value::Unsigned(self.u32()?.into()),
            5 => Value::Signed(i32::from_le_bytes(self.bytes()?).into()),
            6 => Value::Float(f32::from_le_bytes(self.bytes()?).into()),
            7 => match self.bytes::<1>()?[0] {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => return Err(lies("a truth value is", "布尔值", other.into(), 1)),
            },
            10 => Value::Unsigned(self.u64()?),
            11 => Value::Signed(i64::from_le_bytes(self.bytes()?)),
            12 => Value::Float(f64::from_le_bytes(self.bytes()?)),
            other => {
                return Err(Flaw::new(
                    format!(
                        "a metadata value has the unknown type {other}: the file is damaged, or newer than this build"
                    ),
                    format!("元数据值的类型 {other} 未知：文件已损坏，或格式比本版本新"),
                ));
            }
        })
    }

    fn value(&mut self, key: &str, kind: u32) -> Result<Value, Flaw> {
        match kind {
            8 => {
                let len = self.u64()?;
                let most = if key.starts_with("tokenizer.chat_template") {
                    MAX_TEMPLATE_BYTES
                } else {
                    MAX_TEXT_BYTES
                };
                if len <= most {
                    return self.text_of(len).map(Value::Text);
                }
                self.skip(len)?;
                Ok(Value::LongText(len))
            }
            9 => self.list(0),
            other => self.scalar(other),
        }
    }

    fn list(&mut self, depth: u32) -> Result<Value, Flaw> {
        if depth >= MAX_DEPTH {
            return Err(lies(
                "the depth of nested arrays is",
                "数组嵌套层数",
                u64::from(depth) + 1,
                MAX_DEPTH.into(),
            ));
        }
        let kind = self.u32()?;
        let len = self.u64()?;
        let smallest = match kind {
            0 | 1 | 7 => 1,
            2 | 3 => 2,
            4..=6 => 4,
            8 | 10..=12 => 8,
            9 => 12,
            _ => return self.scalar(kind),
        };
        if len > self.left() / smallest {
            return Err(lies(
                "the number of an array's elements is",
                "数组元素数",
                len,
                self.left() / smallest,
            ));
        }
        match kind {
            8 if len <= MAX_LIST => {
                let mut list = Vec::with_capacity(len as usize);
                self.keep(len * 32)?;
                for _ in 0..len {
                    let text = self.u64()?;
                    if text > MAX_TEXT_BYTES {
                        self.skip(text)?;
                        list.push(Value::LongText(text));
                    } else {
                        list.push(Value::Text(self.text_of(text)?));
                    }
                }
                Ok(Value::List(list))
            }
            8 => {
                for _ in 0..len {
                    let text = self.u64()?;
                    self.skip(text)?;
                }
                Ok(Value::LongList(len))
            }
            9 => {
                for _ in 0..len {
                    self.list(depth + 1)?;
                }
                Ok(Value::LongList(len))
            }
            _ if len <= MAX_LIST => {
                self.keep(len * 32)?;
                (0..len).map(|_| self.scalar(kind)).collect::<Result<_, _>>().map(Value::List)
            }
            _ => {
                self.skip(len * smallest)?;
                Ok(Value::LongList(len))
            }
        }
    }

    fn metadata(&mut self, count: u64) -> Result<BTreeMap<String, Value>, Flaw> {
        let mut metadata = BTreeMap::new();
        for _ in 0..count {
            let key = self.text("a key", "键", MAX_KEY_BYTES)?;
            if key.is_empty() {
                return Err(Flaw::new(
                    "a metadata key is empty: the file is damaged",
                    "元数据的键为空：文件已损坏",
                ));
            }
            let kind = self.u32()?;
            let value = self.value(&key, kind)?;
            if metadata.contains_key(&key) {
                return Err(Flaw::new(
                    format!(
                        "the metadata key {key:?} stands twice, so it is unclear which value holds: the file was tampered with or badly written"
                    ),
                    format!("元数据键 {key:?} 重复，无法确定以哪个为准：文件被篡改或生成有误"),
                ));
            }
            metadata.insert(key, value);
        }
        Ok(metadata)
    }

    fn tensor(&mut self) -> Result<Tensor, Flaw> {
        let name = self.text("a tensor's name", "张量名", MAX_NAME_BYTES)?;
        let bad = |en: String, zh: String| {
            Flaw::new(format!("tensor {name:?} {en}"), format!("张量 {name:?} {zh}"))
        };
        let count = self.u32()?;
        if count > 4 {
            return Err(bad(
                format!("has {count} dimensions, at most 4 are possible"),
                format!("有 {count} 维，最多 4 维"),
            ));
        }
        let dims = (0..count).map(|_| self.u64()).collect::<Result<Vec<_>, _>>()?;
        let id = self.u32()?;
        let offset = self.u64()?;
        let form = ggml::by_id(id).ok_or_else(|| {
            bad(
                format!("has the unknown type {id}: it is of an old experiment, or newer than this build"),
                format!("的类型 {id} 未知：来自已废弃的实验格式，或比本版本新"),
            )
        })?;
        let elements =
            dims.iter().try_fold(1u64, |all, dim| all.checked_mul(*dim)).filter(|all| *all < 1 << 62);
        let too_large =
            || bad(format!("has impossible dimensions {dims:?}"), format!("的维度 {dims:?} 不可能成立"));
        let elements = elements.ok_or_else(too_large)?;
        let row = dims.first().copied().unwrap_or(1);
        if !row.is_multiple_of(form.block) {
            return Err(bad(
                format!(
                    "has rows of {row} weights, which {} can't divide into blocks of {}",
                    form.name, form.block
                ),
                format!("每行 {row} 个权重，{} 无法按每块 {} 个划分", form.name, form.block),
            ));
        }
        let bytes = (elements / form.block).checked_mul(form.bytes).ok_or_else(too_large)?;
        Ok(Tensor { name, dims, form, offset, bytes })
    }
}

/// Reads a header from the start of a file of `len` bytes.
///
/// # Errors
/// [`Flaw::Bad`] names what is wrong: not GGUF, another version, cut short, a count that can't be, a key or tensor that stands
/// twice, tensors that overlap or lie outside the file.
pub fn read<R: Read + Seek>(from: R, len: u64) -> Result<Header, Flaw> {
    let mut source = Source { from, at: 0, len, kept: 0 };
    if &source.bytes::<4>()? != b"GGUF" {
        return Err(Flaw::new("it does not begin as a GGUF file does", "文件开头不是 GGUF 格式"));
    }
    let version = source.u32()?;
    match version {
        2 | 3 => {}
        _ if version.swap_bytes() <= 3 => {
            return Err(Flaw::new(
                "it was written for big-endian machines: convert it again for little-endian ones",
                "该文件为大端字节序：请重新转换为小端字节序",
            ));
        }
        _ => {
            return Err(Flaw::new(
                format!(
                    "it has GGUF version {version}; versions 2 and 3 are read: convert it with a current llama.cpp"
                ),
                format!("GGUF 版本为 {version}，仅支持版本 2 和 3：请用新版 llama.cpp 转换"),
            ));
        }
    }
    let tensor_count = source.u64()?;
    let key_count = source.u64()?;
    let most = MAX_TENSORS.min(source.left() / MIN_TENSOR_BYTES);
    if tensor_count > most {
        return Err(lies("the number of tensors is", "张量数", tensor_count, most));
    }
    let most = MAX_KEYS.min(source.left() / MIN_PAIR_BYTES);
    if key_count > most {
        return Err(lies("the number of metadata keys is", "元数据键数", key_count, most));
    }
    let metadata = source.metadata(key_count)?;
    let alignment = match metadata.get("general.alignment") {
        None => 32,
        Some(value) => {
            value.as_u64().filter(|a| a.is_power_of_two() && (1..=1 << 20).contains(a)).ok_or_else(|| {
                Flaw::new(
                    "general.alignment is not a power of two up to 1048576",
                    "general.alignment 不是 1048576 以内的 2 的幂",
                )
            })?
        }
    };
    let mut tensors = Vec::new();
    for _ in 0..tensor_count {
        tensors.push(source.tensor()?);
    }
    let data_start = source.at.next_multiple_of(alignment);
    let header = Header { version, metadata, tensors, alignment, data_start, file_len: len };
    check_tensors(&header)?;
    Ok(header)
}

fn check_tensors(header: &Header) -> Result<(), Flaw> {
    let mut names = HashSet::with_capacity(header.tensors.len());
    let mut end_of_file = header.data_start;
    let mut order: Vec<&Tensor> = header.tensors.iter().collect();
    for tensor in &order {
        let name = &tensor.name;
        if !names.insert(name.as_str()) {
            return Err(Flaw::new(format!("tensor {name:?} stands twice"), format!("张量 {name:?} 重复")));
        }
        if !tensor.offset.is_multiple_of(header.alignment) {
            return Err(Flaw::new(
                format!(
                    "tensor {name:?} begins at {}, which is no multiple of {}",
                    tensor.offset, header.alignment
                ),
                format!("张量 {name:?} 起始于 {}，不是 {} 的整数倍", tensor.offset, header.alignment),
            ));
        }
        let end = header.data_start.checked_add(tensor.offset).and_then(|at| at.checked_add(tensor.bytes));
        let end = end.ok_or_else(|| {
            Flaw::new(
                format!("tensor {name:?} has an impossible place"),
                format!("张量 {name:?} 的位置不可能成立"),
            )
        })?;
        end_of_file = end_of_file.max(end);
    }
    order.sort_by_key(|tensor| (tensor.offset, tensor.bytes));
    for pair in order.windows(2) {
        if pair[0].offset + pair[0].bytes > pair[1].offset {
            return Err(Flaw::new(
                format!(
                    "tensors {:?} and {:?} overlap: the file was tampered with or badly written",
                    pair[0].name, pair[1].name
                ),
                format!("张量 {:?} 与 {:?} 重叠：文件被篡改或生成有误", pair[0].name, pair[1].name),
            ));
        }
    }
    if !header.tensors.is_empty() && end_of_file > header.file_len {
        return Err(Flaw::cut_short(end_of_file, header.file_len));
    }
    Ok(())
}
