//! CBOR, as far as a COSE signature has to be taken apart in place. Source: RFC 8949; RFC 9052, 4.2.

use std::ops::Range;

/// How deep values may lie in each other.
const DEEPEST: usize = 16;

/// A head: major type, argument, and where the content begins. Lengths must be definite.
fn head(data: &[u8], at: usize) -> Option<(u8, u64, usize)> {
    let first = *data.get(at)?;
    let (major, short) = (first >> 5, first & 0x1f);
    let wide = match short {
        0..=23 => return Some((major, u64::from(short), at + 1)),
        24 => 1,
        25 => 2,
        26 => 4,
        27 => 8,
        _ => return None,
    };
    let bytes = data.get(at + 1..at + 1 + wide)?;
    let value = bytes.iter().fold(0u64, |n, b| n << 8 | u64::from(*b));
    Some((major, value, at + 1 + wide))
}

/// Where the value at a place ends.
fn end_of(data: &[u8], at: usize, depth: usize) -> Option<usize> {
    if depth > DEEPEST {
        return None;
    }
    let (major, n, body) = head(data, at)?;
    match major {
        0 | 1 | 7 => Some(body),
        2 | 3 => body.checked_add(usize::try_from(n).ok()?).filter(|end| *end <= data.len()),
        4 | 5 => {
            let count = n.checked_mul(if major == 5 { 2 } else { 1 })?;
            // Each value takes a byte at least.
            if count > data.len() as u64 {
                return None;
            }
            let mut at = body;
            for _ in 0..count {
                at = end_of(data, at, depth + 1)?;
            }
            Some(at)
        }
        _ => end_of(data, body, depth + 1),
    }
}

/// The parts of a `COSE_Sign1`.
pub(crate) struct Sign1 {
    /// The protected header's bytes.
    pub protected: Range<usize>,
    /// The unprotected header: where its head is, and its entries.
    pub unprotected: (usize, Vec<Entry>),
}

/// An entry of a map with a text for its key.
pub(crate) struct Entry {
    pub key: String,
    /// Key and value.
    pub whole: Range<usize>,
    /// The value's content, where it is a byte string.
    pub bytes: Option<Range<usize>>,
}

/// Takes a `COSE_Sign1` (tag 18, or none) apart.
pub(crate) fn sign1(data: &[u8]) -> Option<Sign1> {
    let (mut major, mut n, mut at) = head(data, 0)?;
    if (major, n) == (6, 18) {
        (major, n, at) = head(data, at)?;
    }
    if (major, n) != (4, 4) {
        return None;
    }
    let (major, n, body) = head(data, at)?;
    if major != 2 {
        return None;
    }
    let protected = body..body.checked_add(usize::try_from(n).ok()?)?;
    data.get(protected.clone())?;
    let map = protected.end;
    let (major, n, mut at) = head(data, map)?;
    if major != 5 || n > 23 {
        return None;
    }
    let mut entries = Vec::new();
    for _ in 0..n {
        let start = at;
        let (major, n, body) = head(data, at)?;
        let value = end_of(data, at, 0)?;
        let key = if major == 3 {
            let text = data.get(body..body.checked_add(usize::try_from(n).ok()?)?)?;
            String::from_utf8(text.to_vec()).ok()?
        } else {
            String::new()
        };
        let (major, _, body) = head(data, value)?;
        at = end_of(data, value, 0)?;
        entries.push(Entry { key, whole: start..at, bytes: (major == 2).then_some(body..at) });
    }
    end_of(data, at, 0).and_then(|payload| end_of(data, payload, 0))?;
    Some(Sign1 { protected, unprotected: (map, entries) })
}

/// A text or byte string's head and content.
pub(crate) fn string(major: u8, content: &[u8]) -> Vec<u8> {
    let n = content.len();
    let mut out = match n {
        0..=23 => vec![major << 5 | n as u8],
        24..=0xff => vec![major << 5 | 24, n as u8],
        _ => {
            let mut out = vec![major << 5 | 25];
            out.extend_from_slice(&(n as u16).to_be_bytes());
            out
        }
    };
    out.extend_from_slice(content);
    out
}

/// The first byte string under an integer key of a map (or the first of an array of them): `x5chain` is 33.
pub(crate) fn first_bytes(map: &[u8], wanted: u64) -> Option<&[u8]> {
    let (major, n, mut at) = head(map, 0)?;
    if major != 5 || n > 64 {
        return None;
    }
    for _ in 0..n {
        let (key_major, key, _) = head(map, at)?;
        let value = end_of(map, at, 0)?;
        if (key_major, key) == (0, wanted) {
            let (mut major, mut n, mut body) = head(map, value)?;
            if major == 4 && n > 0 {
                (major, n, body) = head(map, body)?;
            }
            let end = body.checked_add(usize::try_from(n).ok()?)?;
            return (major == 2).then(|| map.get(body..end)).flatten();
        }
        at = end_of(map, value, 0)?;
    }
    None
}

/// The integer under an integer key: `alg` is 1. Negative ones are given as they are.
pub(crate) fn integer(map: &[u8], wanted: u64) -> Option<i64> {
    let (major, n, mut at) = head(map, 0)?;
    if major != 5 || n > 64 {
        return None;
    }
    for _ in 0..n {
        let (key_major, key, _) = head(map, at)?;
        let value = end_of(map, at, 0)?;
        if (key_major, key) == (0, wanted) {
            let (major, n, _) = head(map, value)?;
            let n = i64::try_from(n).ok()?;
            return match major {
                0 => Some(n),
                1 => Some(-1 - n),
                _ => None,
            };
        }
        at = end_of(map, value, 0)?;
    }
    None
}
