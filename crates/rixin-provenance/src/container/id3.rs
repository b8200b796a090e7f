//! MP3: an ID3v2 tag before the sound; credentials in a `GEOB` frame, the label in `TXXX:AIGC`. Source: id3.org, ID3v2.3 and ID3v2.4; C2PA 2.3, A.3.4.

use std::ops::Range;

use super::{
    Bytes, LARGEST_METADATA, MOST_PARTS, Place, Plan, cut_short, len, read_array, read_metadata, read_range,
    too_many, twice,
};
use crate::{Error, Media, Result};

const MIME: &[u8] = b"application/c2pa\0";
const OLD_MIME: &[u8] = b"application/x-c2pa-manifest-store\0";

struct Tag {
    version: u8,
    flags: u8,
    /// Without its header.
    body: Range<u64>,
    frames: Vec<Frame>,
}

struct Frame {
    kind: [u8; 4],
    flags: u16,
    data: Range<u64>,
}

fn synchsafe(bytes: [u8; 4]) -> Option<u64> {
    bytes.iter().all(|b| b & 0x80 == 0).then(|| bytes.iter().fold(0, |n, b| n << 7 | u64::from(*b)))
}

fn to_synchsafe(n: u64) -> Option<[u8; 4]> {
    (n < 1 << 28).then(|| [21, 14, 7, 0].map(|shift| (n >> shift & 0x7f) as u8))
}

fn tag(bytes: &mut dyn Bytes) -> Result<Option<Tag>> {
    let end = len(bytes)?;
    if end < 10 {
        return Err(cut_short(Media::Mp3));
    }
    let head: [u8; 10] = read_array(bytes, 0).map_err(|_| cut_short(Media::Mp3))?;
    if head[..3] != *b"ID3" {
        return Ok(None);
    }
    let size = synchsafe([head[6], head[7], head[8], head[9]]).ok_or_else(|| cut_short(Media::Mp3))?;
    let body = 10..10 + size;
    if body.end > end {
        return Err(cut_short(Media::Mp3));
    }
    let (version, flags) = (head[3], head[5]);
    if !(3..=4).contains(&version) {
        return Err(Error::media(
            Media::Mp3,
            "its ID3 tag is neither of version 2.3 nor 2.4: convert the tag",
            "其 ID3 标签不是 2.3 或 2.4 版：请先转换标签",
        ));
    }
    let mut frames = Vec::new();
    let mut at = body.start;
    if flags & 0x40 != 0 {
        // The extended header's length counts itself in version 2.4 alone.
        let said: [u8; 4] = read_array(bytes, at).map_err(|_| cut_short(Media::Mp3))?;
        at += match version {
            4 => synchsafe(said).ok_or_else(|| cut_short(Media::Mp3))?.max(6),
            _ => u64::from(u32::from_be_bytes(said)) + 4,
        };
    }
    while at + 10 <= body.end {
        let head: [u8; 10] = read_array(bytes, at).map_err(|_| cut_short(Media::Mp3))?;
        if head[0] == 0 {
            break; // padding
        }
        let said = [head[4], head[5], head[6], head[7]];
        let size = match version {
            4 => synchsafe(said).ok_or_else(|| cut_short(Media::Mp3))?,
            _ => u64::from(u32::from_be_bytes(said)),
        };
        let data = at + 10..at + 10 + size;
        if data.end > body.end {
            return Err(cut_short(Media::Mp3));
        }
        at = data.end;
        let flags = u16::from_be_bytes([head[8], head[9]]);
        frames.push(Frame { kind: [head[0], head[1], head[2], head[3]], flags, data });
        if frames.len() > MOST_PARTS {
            return Err(too_many(Media::Mp3));
        }
    }
    Ok(Some(Tag { version, flags, body, frames }))
}

/// How many bytes a text that ends in zero takes, the zero counted.
fn text_len(encoding: u8, bytes: &[u8]) -> Option<usize> {
    match encoding {
        1 | 2 => bytes.chunks_exact(2).position(|pair| pair == [0, 0]).map(|n| n * 2 + 2),
        _ => bytes.iter().position(|b| *b == 0).map(|n| n + 1),
    }
}

pub(super) fn find_credentials(bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    let Some(tag) = tag(bytes)? else { return Ok(None) };
    let mut found = None;
    for frame in tag.frames.into_iter().filter(|f| &f.kind == b"GEOB" && f.flags == 0) {
        // Encoding, MIME type, file name, description; then the object.
        let head = frame.data.start..frame.data.end.min(frame.data.start + 1024);
        let head = read_range(bytes, &head).map_err(|_| cut_short(Media::Mp3))?;
        let Some((encoding, rest)) = head.split_first() else { continue };
        let Some(mime) = [MIME, OLD_MIME].into_iter().find(|m| rest.starts_with(m)) else { continue };
        let mut at = mime.len();
        for _ in 0..2 {
            at += text_len(*encoding, &rest[at..]).ok_or_else(|| cut_short(Media::Mp3))?;
        }
        let object = frame.data.start + 1 + at as u64..frame.data.end;
        if found.replace(Place { pieces: vec![object], checksums: Vec::new() }).is_some() {
            return Err(twice(Media::Mp3));
        }
    }
    Ok(found)
}

pub(super) fn find_label(bytes: &mut dyn Bytes) -> Result<Option<String>> {
    let Some(tag) = tag(bytes)? else { return Ok(None) };
    for frame in tag.frames.iter().filter(|f| &f.kind == b"TXXX" && f.flags == 0) {
        if frame.data.end - frame.data.start > LARGEST_METADATA {
            continue;
        }
        let data = read_metadata(Media::Mp3, bytes, &frame.data)?;
        let Some((encoding, rest)) = data.split_first() else { continue };
        let Some(name) = text_len(*encoding, rest) else { continue };
        let (name, value) = (decode(*encoding, &rest[..name]), decode(*encoding, &rest[name..]));
        if name.as_deref() == Some("AIGC") {
            return Ok(value);
        }
    }
    Ok(None)
}

/// ID3's encodings: Latin-1, UTF-16 with a mark, UTF-16BE, UTF-8. Ends at a zero.
fn decode(encoding: u8, bytes: &[u8]) -> Option<String> {
    let text = match encoding {
        0 => bytes.iter().map(|b| char::from(*b)).collect(),
        3 => String::from_utf8(bytes.to_vec()).ok()?,
        1 | 2 => {
            let (little, bytes) = match bytes {
                [0xff, 0xfe, rest @ ..] if encoding == 1 => (true, rest),
                [0xfe, 0xff, rest @ ..] if encoding == 1 => (false, rest),
                rest => (false, rest),
            };
            let units = bytes.chunks_exact(2).map(|p| {
                let pair = [p[0], p[1]];
                if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) }
            });
            String::from_utf16(&units.collect::<Vec<_>>()).ok()?
        }
        _ => return None,
    };
    Some(text.split('\0').next().unwrap_or_default().to_owned())
}

pub(super) fn plan_label(bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    if find_label(bytes)?.is_some() {
        return Err(Error::media(
            Media::Mp3,
            "it carries a label already: a label is written once",
            "文件已有标识：标识只写一次",
        ));
    }
    let end = len(bytes)?;
    let mut text = vec![0u8]; // Latin-1: the label is ASCII by the standard's own rule
    text.extend_from_slice(b"AIGC\0");
    text.extend_from_slice(value.as_bytes());
    if !value.is_ascii() {
        text[0] = 3;
    }
    let mut plan = Plan::default();
    let old = tag(bytes)?;
    let (version, flags, frames, rest) = match &old {
        // Unsynchronised tags and extended headers would have to be written anew from the ground.
        Some(tag) if tag.flags != 0 => {
            return Err(Error::media(
                Media::Mp3,
                "its ID3 tag is unsynchronised or has an extended header: rewrite the tag without them",
                "其 ID3 标签使用了非同步或扩展头：请去掉后重写标签",
            ));
        }
        Some(tag) => {
            let until = tag.frames.last().map_or(tag.body.start, |f| f.data.end);
            (tag.version, tag.flags, tag.body.start..until, tag.body.end..end)
        }
        None => (4, 0, 0..0, 0..end),
    };
    if text[0] == 3 && version == 3 {
        return Err(Error::media(
            Media::Mp3,
            "an ID3v2.3 tag can't hold this label: use ASCII",
            "ID3v2.3 标签无法写入该标识：请使用 ASCII 字符",
        ));
    }
    let too_large = || Error::media(Media::Mp3, "its ID3 tag is full", "ID3 标签已满");
    let mut frame = b"TXXX".to_vec();
    match version {
        4 => frame.extend_from_slice(&to_synchsafe(text.len() as u64).ok_or_else(too_large)?),
        _ => frame.extend_from_slice(&(text.len() as u32).to_be_bytes()),
    }
    frame.extend_from_slice(&[0, 0]);
    frame.extend_from_slice(&text);
    let size = frame.len() as u64 + (frames.end - frames.start);
    let mut head = b"ID3".to_vec();
    head.extend_from_slice(&[version, 0, flags]);
    head.extend_from_slice(&to_synchsafe(size).ok_or_else(too_large)?);
    head.extend_from_slice(&frame);
    plan.add(head);
    plan.keep(frames);
    plan.keep(rest);
    Ok(plan)
}

/// The sound: what lies after the ID3v2 tag and before an ID3v1 tag.
pub(super) fn content(bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    let start = tag(bytes)?.map_or(0, |t| t.body.end);
    let mut end = len(bytes)?;
    if end >= start + 128 {
        let last: [u8; 3] = read_array(bytes, end - 128).map_err(|_| cut_short(Media::Mp3))?;
        if &last == b"TAG" {
            end -= 128;
        }
    }
    Ok(std::iter::once(start..end).collect())
}
