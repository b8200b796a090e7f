//! JUMBF: finds the signature box of the active manifest. Source: ISO/IEC 19566-5; C2PA 2.3, 11.1.

use std::ops::Range;

/// How deep boxes may lie in each other.
const DEEPEST: usize = 8;

struct Super {
    label: String,
    /// The boxes behind the description.
    rest: Range<usize>,
}

/// Kind, whole range, body of the box at a place.
fn box_at(data: &[u8], within: &Range<usize>, at: usize) -> Option<([u8; 4], Range<usize>)> {
    let head: [u8; 8] = data.get(at..at + 8)?.try_into().ok()?;
    let mut header = 8;
    let mut size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    match size {
        0 => size = within.end - at,
        1 => {
            let long: [u8; 8] = data.get(at + 8..at + 16)?.try_into().ok()?;
            size = usize::try_from(u64::from_be_bytes(long)).ok()?;
            header = 16;
        }
        _ => {}
    }
    let until = at.checked_add(size).filter(|u| size >= header && *u <= within.end)?;
    Some(([head[4], head[5], head[6], head[7]], at + header..until))
}

fn children(data: &[u8], within: &Range<usize>) -> Option<Vec<([u8; 4], Range<usize>)>> {
    let mut out = Vec::new();
    let mut at = within.start;
    while at < within.end {
        let one = box_at(data, within, at)?;
        at = one.1.end;
        out.push(one);
    }
    Some(out)
}

/// The description of a superbox: identifier, toggles, label.
fn described(data: &[u8], body: &Range<usize>) -> Option<Super> {
    let (kind, description) = box_at(data, body, body.start)?;
    if &kind != b"jumd" {
        return None;
    }
    let text = data.get(description.start + 17..description.end)?;
    let toggles = *data.get(description.start + 16)?;
    let label = if toggles & 2 == 2 {
        let zero = text.iter().position(|b| *b == 0)?;
        String::from_utf8(text[..zero].to_vec()).ok()?
    } else {
        String::new()
    };
    Some(Super { label, rest: description.end..body.end })
}

fn child(data: &[u8], parent: &Super, wanted: impl Fn(&str) -> bool) -> Option<Super> {
    let supers = children(data, &parent.rest)?.into_iter().filter(|(kind, _)| kind == b"jumb");
    supers.filter_map(|(_, body)| described(data, &body)).find(|s| wanted(&s.label))
}

/// Where the COSE signature of the active manifest lies: the last manifest of the store is the active one (C2PA 2.3, 11.1.4.2).
pub(crate) fn active_signature(data: &[u8]) -> Option<Range<usize>> {
    let whole = 0..data.len();
    let (kind, body) = box_at(data, &whole, 0)?;
    if &kind != b"jumb" {
        return None;
    }
    let store = described(data, &body)?;
    let mut manifests = children(data, &store.rest)?.into_iter().filter(|(kind, _)| kind == b"jumb");
    let (_, last) = manifests.next_back()?;
    let manifest = described(data, &last)?;
    let signature = child(data, &manifest, |label| label == "c2pa.signature")?;
    let (kind, cose) = box_at(data, &signature.rest, signature.rest.start)?;
    (&kind == b"cbor").then_some(cose)
}

/// Whether boxes end where they say, lie in each other no deeper than they may, and are described in full: the C2PA library
/// computes with these lengths before it checks them.
pub(crate) fn is_well_formed(data: &[u8]) -> bool {
    fn walk(data: &[u8], within: &Range<usize>, depth: usize) -> bool {
        let Some(boxes) = children(data, within) else { return false };
        let described = |body: &Range<usize>| matches!(box_at(data, body, body.start), Some((kind, d)) if &kind == b"jumd" && is_description(&data[d.clone()]));
        depth <= DEEPEST
            && boxes
                .iter()
                .filter(|(kind, _)| kind == b"jumb")
                .all(|(_, body)| described(body) && walk(data, body, depth + 1))
    }
    walk(data, &(0..data.len()), 0)
}

/// Identifier, toggles, label, then id, hash and salt as the toggles say, and nothing more (ISO/IEC 19566-5, 5.3).
fn is_description(body: &[u8]) -> bool {
    let Some((toggles, rest)) = body.get(16..).and_then(<[u8]>::split_first) else { return false };
    let Some(zero) = rest.iter().position(|b| *b == 0) else { return false };
    let mut left = &rest[zero + 1..];
    for (bit, len) in [(4, 4), (8, 32)] {
        if toggles & bit == bit {
            let Some(rest) = left.get(len..) else { return false };
            left = rest;
        }
    }
    if toggles & 16 == 16 {
        return matches!(box_at(left, &(0..left.len()), 0), Some((_, salt)) if salt.end == left.len());
    }
    left.is_empty()
}
