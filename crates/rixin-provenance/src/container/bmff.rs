//! MP4: credentials in a `uuid` box, the label as the key `AIGC` in `moov/udta/meta`, as ffmpeg writes custom keys.
//! Source: ISO/IEC 14496-12; QuickTime File Format, "Metadata"; C2PA 2.3, A.5.

use std::ops::Range;

use super::{Bytes, MOST_PARTS, Place, Plan, cut_short, len, read_array, read_range, too_many, twice};
use crate::{Error, Media, Result};

/// The identifier of C2PA's box.
const C2PA: [u8; 16] = *b"\xd8\xfe\xc3\xd6\x1b\x0e\x48\x3c\x92\x97\x58\x28\x87\x7e\xc4\x81";
/// The largest `moov` or `moof` that is read: hours of video stay far below.
const LARGEST_INDEX: u64 = 256 << 20;
const KEY: &[u8] = b"AIGC";

#[derive(Clone, Debug)]
struct Box {
    kind: [u8; 4],
    /// With header.
    whole: Range<u64>,
    /// Without header.
    body: Range<u64>,
}

/// The boxes on the outermost level.
fn boxes(bytes: &mut dyn Bytes) -> Result<Vec<Box>> {
    let end = len(bytes)?;
    let mut out = Vec::new();
    let mut at = 0;
    while at < end {
        let head: [u8; 8] = read_array(bytes, at).map_err(|_| cut_short(Media::Mp4))?;
        let mut header = 8;
        let mut size = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        match size {
            0 => size = end - at,
            1 => {
                size = u64::from_be_bytes(read_array(bytes, at + 8).map_err(|_| cut_short(Media::Mp4))?);
                header = 16;
            }
            _ => {}
        }
        let until = at.checked_add(size).filter(|until| size >= header && *until <= end);
        let until = until.ok_or_else(|| cut_short(Media::Mp4))?;
        let kind = [head[4], head[5], head[6], head[7]];
        out.push(Box { kind, whole: at..until, body: at + header..until });
        at = until;
        if out.len() > MOST_PARTS {
            return Err(too_many(Media::Mp4));
        }
    }
    if out.first().is_none_or(|b| &b.kind != b"ftyp") {
        return Err(Error::media(Media::Mp4, "it does not begin with ftyp", "文件开头不是 ftyp"));
    }
    Ok(out)
}

/// A box inside another: kind, whole range, start of the body.
type Inner = ([u8; 4], Range<usize>, usize);

/// The boxes inside a box that was read.
fn inner(data: &[u8]) -> Option<Vec<Inner>> {
    let mut out = Vec::new();
    let mut at = 0;
    while at < data.len() {
        let head: [u8; 8] = data.get(at..at + 8)?.try_into().ok()?;
        let mut header = 8;
        let mut size = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        match size {
            0 if at + 4 == data.len() => break, // QuickTime ends a list of user data so
            0 => size = data.len() - at,
            1 => {
                let long: [u8; 8] = data.get(at + 8..at + 16)?.try_into().ok()?;
                size = usize::try_from(u64::from_be_bytes(long)).ok()?;
                header = 16;
            }
            _ => {}
        }
        let until = at.checked_add(size).filter(|u| size >= header && *u <= data.len())?;
        out.push(([head[4], head[5], head[6], head[7]], at..until, at + header));
        at = until;
    }
    Some(out)
}

pub(super) fn find_credentials(bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    let mut found = None;
    for one in boxes(bytes)?.into_iter().filter(|b| &b.kind == b"uuid") {
        // Identifier, version and flags, purpose, offset of the first hash list.
        let until = one.body.end.min(one.body.start + 64);
        let head = read_range(bytes, &(one.body.start..until)).map_err(|_| cut_short(Media::Mp4))?;
        let Some(rest) = head.strip_prefix(&C2PA) else { continue };
        let Some(purpose) = rest.get(4..) else { return Err(cut_short(Media::Mp4)) };
        let Some(zero) = purpose.iter().position(|b| *b == 0) else { return Err(cut_short(Media::Mp4)) };
        if &purpose[..zero] == b"merkle" {
            continue;
        }
        let start = one.body.start + (16 + 4 + zero + 1 + 8) as u64;
        if start > one.body.end {
            return Err(cut_short(Media::Mp4));
        }
        let place = Place { pieces: std::iter::once(start..one.body.end).collect(), checksums: Vec::new() };
        if found.replace(place).is_some() {
            return Err(twice(Media::Mp4));
        }
    }
    Ok(found)
}

fn read_moov(bytes: &mut dyn Bytes, boxes: &[Box]) -> Result<(Box, Vec<u8>)> {
    let moov = boxes.iter().find(|b| &b.kind == b"moov");
    let moov = moov.ok_or_else(|| Error::media(Media::Mp4, "it has no moov box", "缺少 moov"))?;
    let body = read_index(bytes, moov)?;
    Ok((moov.clone(), body))
}

fn read_index(bytes: &mut dyn Bytes, one: &Box) -> Result<Vec<u8>> {
    if one.body.end - one.body.start > LARGEST_INDEX {
        return Err(Error::TooLarge {
            what: "the video's index",
            size: one.body.end - one.body.start,
            limit: LARGEST_INDEX,
        });
    }
    read_range(bytes, &one.body).map_err(|_| cut_short(Media::Mp4))
}

/// A list of keys with their values, QuickTime's way.
struct Meta {
    /// Places in the body of the surrounding box.
    whole: Range<usize>,
    keys: Range<usize>,
    values: Range<usize>,
    names: Vec<Vec<u8>>,
}

/// The first `meta` with the handler `mdta` among these boxes, and whether there is one with another handler.
fn find_meta(data: &[u8]) -> Option<(Option<Meta>, bool)> {
    let mut other = false;
    for (_, whole, body) in inner(data)?.into_iter().filter(|(kind, ..)| kind == b"meta") {
        // ISO's is a full box, QuickTime's is not.
        let full = data.get(body..body + 4) == Some(&[0, 0, 0, 0]);
        let start = if full { body + 4 } else { body };
        let Some(parts) = data.get(start..whole.end).and_then(inner) else { continue };
        let part = |kind: &[u8; 4]| {
            parts
                .iter()
                .find(|(k, ..)| k == kind)
                .map(|(_, r, b)| (start + r.start..start + r.end, start + b))
        };
        let handler = part(b"hdlr").and_then(|(_, body)| data.get(body + 8..body + 12));
        if handler != Some(b"mdta") {
            other = true;
            continue;
        }
        let (Some((keys, keys_body)), Some((values, _))) = (part(b"keys"), part(b"ilst")) else { continue };
        let Some(names) = data.get(keys_body..keys.end).and_then(key_names) else { continue };
        return Some((Some(Meta { whole, keys, values, names }), other));
    }
    Some((None, other))
}

fn key_names(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let count = u32::from_be_bytes(body.get(4..8)?.try_into().ok()?) as usize;
    let names: Vec<_> = inner(body.get(8..)?)?
        .into_iter()
        .map(|(_, range, start)| body[8 + start..8 + range.end].to_vec())
        .collect();
    (names.len() == count).then_some(names)
}

fn value_of(data: &[u8], meta: &Meta) -> Option<String> {
    let index = meta.names.iter().position(|n| n == KEY)? as u32 + 1;
    let list = data.get(meta.values.start + 8..meta.values.end)?;
    let (_, range, body) = inner(list)?.into_iter().find(|(kind, ..)| u32::from_be_bytes(*kind) == index)?;
    let item = list.get(body..range.end)?;
    let (_, range, body) = inner(item)?.into_iter().find(|(kind, ..)| kind == b"data")?;
    // Type and locale come first.
    String::from_utf8(item.get(body + 8..range.end)?.to_vec()).ok()
}

fn label_in(moov: &[u8]) -> Option<String> {
    let users: Vec<_> = inner(moov)?
        .into_iter()
        .filter(|(kind, ..)| kind == b"udta")
        .map(|(_, r, b)| &moov[b..r.end])
        .collect();
    users.into_iter().chain(std::iter::once(moov)).find_map(|data| {
        let (meta, _) = find_meta(data)?;
        value_of(data, &meta?)
    })
}

pub(super) fn find_label(bytes: &mut dyn Bytes) -> Result<Option<String>> {
    let boxes = boxes(bytes)?;
    if !boxes.iter().any(|b| &b.kind == b"moov") {
        return Ok(None);
    }
    Ok(label_in(&read_moov(bytes, &boxes)?.1))
}

fn write_box(kind: &[u8; 4], body: &[u8]) -> Vec<u8> {
    let mut out = ((body.len() + 8) as u32).to_be_bytes().to_vec();
    out.extend_from_slice(kind);
    out.extend_from_slice(body);
    out
}

/// In user data it is ISO's full box, in `moov` itself QuickTime's plain one: so do ffmpeg and exiftool read them.
fn write_meta(value: &str, full: bool) -> Vec<u8> {
    let mut body = if full { vec![0; 4] } else { Vec::new() };
    let mut handler = vec![0; 8];
    handler.extend_from_slice(b"mdta");
    handler.extend_from_slice(&[0; 13]);
    body.extend_from_slice(&write_box(b"hdlr", &handler));
    let mut keys = vec![0, 0, 0, 0, 0, 0, 0, 1];
    keys.extend_from_slice(&write_box(b"mdta", KEY));
    body.extend_from_slice(&write_box(b"keys", &keys));
    body.extend_from_slice(&write_box(b"ilst", &write_item(1, value)));
    write_box(b"meta", &body)
}

fn write_item(index: u32, value: &str) -> Vec<u8> {
    let mut data = vec![0, 0, 0, 1, 0, 0, 0, 0]; // UTF-8, no locale
    data.extend_from_slice(value.as_bytes());
    write_box(&index.to_be_bytes(), &write_box(b"data", &data))
}

/// The list with one more key.
fn extended(data: &[u8], meta: &Meta, value: &str) -> Vec<u8> {
    let count = meta.names.len() as u32 + 1;
    let mut keys = data[meta.keys.start + 8..meta.keys.end].to_vec();
    keys[4..8].copy_from_slice(&count.to_be_bytes());
    keys.extend_from_slice(&write_box(b"mdta", KEY));
    let mut values = data[meta.values.start + 8..meta.values.end].to_vec();
    values.extend_from_slice(&write_item(count, value));
    let mut new = Vec::new();
    let mut at = meta.whole.start + 8;
    let mut parts = [(meta.keys.clone(), b"keys", keys), (meta.values.clone(), b"ilst", values)];
    parts.sort_by_key(|(range, ..)| range.start);
    for (range, kind, body) in parts {
        new.extend_from_slice(&data[at..range.start]);
        new.extend_from_slice(&write_box(kind, &body));
        at = range.end;
    }
    new.extend_from_slice(&data[at..meta.whole.end]);
    let mut out = data[..meta.whole.start].to_vec();
    out.extend_from_slice(&write_box(b"meta", &new));
    out.extend_from_slice(&data[meta.whole.end..]);
    out
}

/// The body of `moov` with the label in it.
fn with_label(moov: &[u8], value: &str) -> Option<Vec<u8>> {
    let user = inner(moov)?.into_iter().find(|(kind, ..)| kind == b"udta");
    let Some((_, range, body)) = user else {
        let mut out = moov.to_vec();
        out.extend_from_slice(&write_box(b"udta", &write_meta(value, true)));
        return Some(out);
    };
    let data = &moov[body..range.end];
    let new = match find_meta(data)? {
        (Some(meta), _) => extended(data, &meta, value),
        (None, false) => {
            // A list that ends in four zeroes goes on before them.
            let until = inner(data)?.last().map_or(0, |(_, r, _)| r.end);
            let mut new = data[..until].to_vec();
            new.extend_from_slice(&write_meta(value, true));
            new.extend_from_slice(&data[until..]);
            new
        }
        // iTunes' own list stands there: custom keys then lie beside it, QuickTime's first place.
        (None, true) => {
            return Some(match find_meta(moov)? {
                (Some(meta), _) => extended(moov, &meta, value),
                (None, true) => return None,
                (None, false) => {
                    let mut out = moov.to_vec();
                    out.extend_from_slice(&write_meta(value, false));
                    out
                }
            });
        }
    };
    let mut out = moov[..range.start].to_vec();
    out.extend_from_slice(&write_box(b"udta", &new));
    out.extend_from_slice(&moov[range.end..]);
    Some(out)
}

pub(super) fn plan_label(bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    let boxes = boxes(bytes)?;
    let end = len(bytes)?;
    let (moov, body) = read_moov(bytes, &boxes)?;
    if label_in(&body).is_some() {
        return Err(Error::media(
            Media::Mp4,
            "it carries a label already: a label is written once",
            "文件已有标识：标识只写一次",
        ));
    }
    let odd = || Error::media(Media::Mp4, "its moov box is damaged", "moov 已损坏");
    let mut new = with_label(&body, value).ok_or_else(odd)?;
    if u32::try_from(new.len() + 8).is_err() {
        return Err(odd());
    }
    let grown = (new.len() + 8) as u64 - (moov.whole.end - moov.whole.start);
    shift(&mut new, moov.whole.end, grown).ok_or_else(odd)?;
    let mut plan = Plan::default();
    plan.keep(0..moov.whole.start);
    plan.add(write_box(b"moov", &new));
    let mut at = moov.whole.end;
    // Fragments and their index may speak of places in the file, too.
    let behind = |b: &&Box| b.whole.start >= moov.whole.end && matches!(&b.kind, b"moof" | b"mfra");
    for one in boxes.iter().filter(behind) {
        let old = read_index(bytes, one)?;
        let mut shifted = old.clone();
        shift(&mut shifted, moov.whole.end, grown).ok_or_else(odd)?;
        if shifted != old {
            plan.keep(at..one.body.start);
            plan.add(shifted);
            at = one.body.end;
        }
    }
    plan.keep(at..end);
    Ok(plan)
}

/// Adds to every place in the file that lies behind `from`, inside the body of an index box.
fn shift(data: &mut [u8], from: u64, by: u64) -> Option<()> {
    for (kind, range, body) in inner(data)? {
        let part = &mut data[body..range.end];
        match &kind {
            b"trak" | b"mdia" | b"minf" | b"stbl" | b"traf" => shift(part, from, by)?,
            b"stco" => shift_list(part, 8, 4, from, by)?,
            b"co64" => shift_list(part, 8, 8, from, by)?,
            b"tfhd" if part.get(3)? & 1 == 1 => shift_one(part.get_mut(8..16)?, from, by)?,
            b"tfra" => shift_fragments(part, from, by)?,
            _ => {}
        }
    }
    Some(())
}

fn shift_list(part: &mut [u8], start: usize, width: usize, from: u64, by: u64) -> Option<()> {
    let count = u32::from_be_bytes(part.get(4..8)?.try_into().ok()?) as usize;
    let list = part.get_mut(start..)?;
    if list.len() / width < count {
        return None;
    }
    list.chunks_exact_mut(width).take(count).try_for_each(|one| shift_one(one, from, by))
}

fn shift_one(place: &mut [u8], from: u64, by: u64) -> Option<()> {
    match place.len() {
        4 => {
            let old = u32::from_be_bytes((&*place).try_into().ok()?);
            if u64::from(old) >= from {
                let new = old.checked_add(u32::try_from(by).ok()?)?;
                place.copy_from_slice(&new.to_be_bytes());
            }
        }
        _ => {
            let old = u64::from_be_bytes((&*place).try_into().ok()?);
            if old >= from {
                place.copy_from_slice(&old.checked_add(by)?.to_be_bytes());
            }
        }
    }
    Some(())
}

/// `tfra`: entries of time and place, then three numbers whose widths the head says.
fn shift_fragments(part: &mut [u8], from: u64, by: u64) -> Option<()> {
    let wide = if *part.first()? == 1 { 8 } else { 4 };
    let widths = *part.get(11)?;
    let rest: usize = (0..3).map(|n| usize::from(widths >> (2 * n) & 3) + 1).sum();
    let count = u32::from_be_bytes(part.get(12..16)?.try_into().ok()?) as usize;
    let list = part.get_mut(16..)?;
    let size = 2 * wide + rest;
    if list.len() / size < count {
        return None;
    }
    list.chunks_exact_mut(size).take(count).try_for_each(|one| shift_one(&mut one[wide..2 * wide], from, by))
}

pub(super) fn content(bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    Ok(boxes(bytes)?.into_iter().filter(|b| &b.kind == b"mdat").map(|b| b.body).collect())
}
