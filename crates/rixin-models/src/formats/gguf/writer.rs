//! A writer of small GGUF files, for tests.

/// A metadata value as tests write it.
#[derive(Clone, Debug)]
pub(crate) enum Put {
    U32(u32),
    U64(u64),
    F32(f32),
    Bool(bool),
    Text(&'static str),
    U32s(Vec<u32>),
    Texts(Vec<&'static str>),
    /// A type's number and the bytes that follow it.
    Raw(u32, Vec<u8>),
}

/// Name, dimensions, form, offset where it is not behind the one before, bytes.
pub(crate) type PutTensor = (String, Vec<u64>, u32, Option<u64>, u64);

/// A file in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Writer {
    pub pairs: Vec<(String, Put)>,
    pub tensors: Vec<PutTensor>,
    pub version: Option<u32>,
    pub alignment: u64,
}

impl Writer {
    pub fn new(architecture: &'static str) -> Self {
        Self { alignment: 32, ..Self::default() }.put("general.architecture", Put::Text(architecture))
    }

    pub fn put(mut self, key: &str, value: Put) -> Self {
        self.pairs.push((key.to_owned(), value));
        self
    }

    /// A tensor of `bytes` bytes behind the one before, or at `offset`.
    pub fn tensor(mut self, name: &str, dims: &[u64], form: u32, offset: Option<u64>, bytes: u64) -> Self {
        self.tensors.push((name.to_owned(), dims.to_vec(), form, offset, bytes));
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = b"GGUF".to_vec();
        out.extend(self.version.unwrap_or(3).to_le_bytes());
        out.extend((self.tensors.len() as u64).to_le_bytes());
        out.extend((self.pairs.len() as u64).to_le_bytes());
        for (key, value) in &self.pairs {
            text(&mut out, key);
            match value {
                Put::U32(n) => typed(&mut out, 4, &n.to_le_bytes()),
                Put::U64(n) => typed(&mut out, 10, &n.to_le_bytes()),
                Put::F32(n) => typed(&mut out, 6, &n.to_le_bytes()),
                Put::Bool(b) => typed(&mut out, 7, &[u8::from(*b)]),
                Put::Text(t) => {
                    typed(&mut out, 8, &[]);
                    text(&mut out, t);
                }
                Put::U32s(list) => {
                    typed(&mut out, 9, &4u32.to_le_bytes());
                    out.extend((list.len() as u64).to_le_bytes());
                    list.iter().for_each(|n| out.extend(n.to_le_bytes()));
                }
                Put::Texts(list) => {
                    typed(&mut out, 9, &8u32.to_le_bytes());
                    out.extend((list.len() as u64).to_le_bytes());
                    list.iter().for_each(|t| text(&mut out, t));
                }
                Put::Raw(kind, bytes) => typed(&mut out, *kind, bytes),
            }
        }
        let mut at = 0u64;
        let mut end = 0u64;
        for (name, dims, form, offset, bytes) in &self.tensors {
            text(&mut out, name);
            out.extend((dims.len() as u32).to_le_bytes());
            dims.iter().for_each(|dim| out.extend(dim.to_le_bytes()));
            out.extend(form.to_le_bytes());
            let offset = offset.unwrap_or(at);
            out.extend(offset.to_le_bytes());
            at = offset.saturating_add(*bytes).checked_next_multiple_of(self.alignment).unwrap_or(offset);
            end = end.max(offset.saturating_add(*bytes));
        }
        let start = (out.len() as u64).next_multiple_of(self.alignment);
        // A test of an impossible place writes no such data.
        out.resize((start + end.min(1 << 20)) as usize, 0);
        out
    }
}

fn typed(out: &mut Vec<u8>, kind: u32, bytes: &[u8]) {
    out.extend(kind.to_le_bytes());
    out.extend(bytes);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend(text.as_bytes());
}
