//! GGUF headers (versions 2 and 3), read with limits: no count or length of a header is believed before it was compared with
//! the file's length. Source: `docs/gguf.md` of ggml.

mod facts;
mod memory;
mod read;
#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writer;

use std::collections::BTreeMap;

pub use facts::{Facts, Pooling};
pub use read::{MAX_KEYS, MAX_TENSORS, read};

use super::GgmlType;
use crate::Result;

/// A metadata value that was kept. Long arrays and texts are only counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Any unsigned integer.
    Unsigned(u64),
    /// Any signed integer.
    Signed(i64),
    /// Any float.
    Float(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Text(String),
    /// A short array of scalars or texts.
    List(Vec<Value>),
    /// A long array, or one of arrays: the number of its elements.
    LongList(u64),
    /// A long text: its length in bytes.
    LongText(u64),
}

impl Value {
    /// A whole number that is not negative.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Value::Unsigned(number) => Some(*number),
            Value::Signed(number) => u64::try_from(*number).ok(),
            _ => None,
        }
    }

    /// A text.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number of elements of an array.
    pub fn len(&self) -> Option<u64> {
        match self {
            Value::List(list) => Some(list.len() as u64),
            Value::LongList(len) => Some(*len),
            _ => None,
        }
    }

    /// Whether it is an array without elements.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }
}

/// A tensor of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    /// Its name.
    pub name: String,
    /// Its dimensions, the fastest first; at most 4.
    pub dims: Vec<u64>,
    /// The form of its data.
    pub form: GgmlType,
    /// Where its data begins, from the start of the data.
    pub offset: u64,
    /// The length of its data.
    pub bytes: u64,
}

impl Tensor {
    /// The number of its weights.
    pub fn elements(&self) -> u64 {
        self.dims.iter().product()
    }
}

/// A header that was read and checked: every tensor lies inside the file, and no two overlap.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// The version of the format.
    pub version: u32,
    /// The metadata.
    pub metadata: BTreeMap<String, Value>,
    /// The tensors, in the file's order.
    pub tensors: Vec<Tensor>,
    /// What tensor offsets are multiples of.
    pub alignment: u64,
    /// Where the data begins in the file.
    pub data_start: u64,
    /// The file's length.
    pub file_len: u64,
}

impl Header {
    /// The metadata value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.metadata.get(key)
    }

    /// The whole number of a key.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    /// The text of a key; an empty one is none.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str().map(str::trim).filter(|text| !text.is_empty())
    }

    /// The data of all tensors, in bytes.
    pub fn tensor_bytes(&self) -> u64 {
        self.tensors.iter().map(|tensor| tensor.bytes).sum()
    }

    /// What the header says of the model.
    pub fn facts(&self) -> Facts {
        Facts::of(self)
    }
}

/// Reads the header of a file.
///
/// # Errors
/// [`crate::Error::BadFile`] with the reason; [`crate::Error::Io`].
pub fn read_header(path: &std::path::Path) -> Result<Header> {
    let open = || -> Result<Header, super::Flaw> {
        let file = std::fs::File::open(path)?;
        let len = file.metadata()?.len();
        read(std::io::BufReader::with_capacity(1 << 16, file), len)
    };
    open().map_err(|flaw| flaw.of(path))
}
