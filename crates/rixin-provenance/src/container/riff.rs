//! RIFF: WebP (label as XMP) and WAV (label as an INFO entry); credentials in a `C2PA` chunk. Source: C2PA 2.3, A.3.3; WebP container specification.

use std::ops::Range;

use super::{
    Bytes, MOST_PARTS, Place, Plan, cut_short, len, read_array, read_metadata, too_many, twice, xmp,
};
use crate::{Error, Media, Result};

struct Chunk {
    kind: [u8; 4],
    data: Range<u64>,
}

impl Chunk {
    /// With header and padding.
    fn whole(&self) -> Range<u64> {
        self.data.start - 8..self.data.end + (self.data.end - self.data.start) % 2
    }
}

fn chunks(media: Media, bytes: &mut dyn Bytes) -> Result<Vec<Chunk>> {
    let end = len(bytes)?;
    let head: [u8; 12] = read_array(bytes, 0).map_err(|_| cut_short(media))?;
    let form: &[u8] = if media == Media::Webp { b"WEBP" } else { b"WAVE" };
    if head[..4] != *b"RIFF" || head[8..] != *form {
        return Err(Error::media(media, "its first bytes are not those of its kind", "文件头与类型不符"));
    }
    let said = 8 + u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
    // Writers to a pipe leave the length open.
    let end = if said < 12 || said > end { end } else { said };
    walk(media, bytes, 12..end)
}

fn walk(media: Media, bytes: &mut dyn Bytes, range: Range<u64>) -> Result<Vec<Chunk>> {
    let mut out = Vec::new();
    let mut at = range.start;
    while at + 8 <= range.end {
        let head: [u8; 8] = read_array(bytes, at).map_err(|_| cut_short(media))?;
        let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
        let kind = [head[0], head[1], head[2], head[3]];
        let mut data = at + 8..at + 8 + length;
        if data.end > range.end {
            if &kind == b"data" && length >= u64::from(u32::MAX - 1) {
                data.end = range.end;
            } else {
                return Err(cut_short(media));
            }
        }
        at = data.end + (data.end - data.start) % 2;
        out.push(Chunk { kind, data });
        if out.len() > MOST_PARTS {
            return Err(too_many(media));
        }
    }
    Ok(out)
}

pub(super) fn find_credentials(media: Media, bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    let mut found = None;
    for chunk in chunks(media, bytes)?.into_iter().filter(|c| &c.kind == b"C2PA") {
        let place = Place { pieces: vec![chunk.data], checksums: Vec::new() };
        if found.replace(place).is_some() {
            return Err(twice(media));
        }
    }
    Ok(found)
}

pub(super) fn find_label(media: Media, bytes: &mut dyn Bytes) -> Result<Option<String>> {
    let chunks = chunks(media, bytes)?;
    if media == Media::Webp {
        let Some(chunk) = chunks.iter().find(|c| &c.kind == b"XMP ") else { return Ok(None) };
        return Ok(xmp::find_label(&read_metadata(media, bytes, &chunk.data)?));
    }
    for list in chunks.iter().filter(|c| &c.kind == b"LIST" && c.data.end - c.data.start >= 4) {
        let form: [u8; 4] = read_array(bytes, list.data.start).map_err(|_| cut_short(media))?;
        if &form != b"INFO" {
            continue;
        }
        let entries = walk(media, bytes, list.data.start + 4..list.data.end)?;
        if let Some(entry) = entries.iter().find(|e| &e.kind == b"AIGC") {
            let mut text = read_metadata(media, bytes, &entry.data)?;
            while text.last() == Some(&0) {
                text.pop();
            }
            return Ok(String::from_utf8(text).ok());
        }
    }
    Ok(None)
}

fn write_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 9);
    out.extend_from_slice(kind);
    out.extend_from_slice(&(data.len() as u32).to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
    out
}

fn riff_head(media: Media, size: u64) -> Result<Vec<u8>> {
    let Ok(size) = u32::try_from(size) else {
        return Err(Error::media(media, "it is larger than RIFF can say", "文件超出 RIFF 的长度上限"));
    };
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&size.to_le_bytes());
    Ok(out)
}

pub(super) fn plan_label(media: Media, bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    if find_label(media, bytes)?.is_some() {
        return Err(Error::media(
            media,
            "it carries a label already: a label is written once",
            "文件已有标识：标识只写一次",
        ));
    }
    let chunks = chunks(media, bytes)?;
    let mut body = Plan::default();
    if media == Media::Webp {
        let old = chunks.iter().find(|c| &c.kind == b"XMP ");
        let old_packet = old.map(|c| read_metadata(media, bytes, &c.data)).transpose()?;
        let packet = xmp::with_label(media, old_packet.as_deref(), value)?;
        body.add(write_chunk(b"VP8X", &extended_header(bytes, &chunks)?));
        for chunk in chunks.iter().filter(|c| !matches!(&c.kind, b"VP8X" | b"XMP ")) {
            body.keep(chunk.whole());
        }
        body.add(write_chunk(b"XMP ", &packet));
    } else {
        let mut list = b"INFO".to_vec();
        let mut text = value.as_bytes().to_vec();
        text.push(0);
        list.extend_from_slice(&write_chunk(b"AIGC", &text));
        // A length that was left open is filled in, so that what follows it can be found.
        for chunk in &chunks {
            let whole = chunk.whole();
            let mut head = chunk.kind.to_vec();
            head.extend_from_slice(&((chunk.data.end - chunk.data.start) as u32).to_le_bytes());
            body.add(head);
            body.keep(chunk.data.start..whole.end.min(len(bytes)?));
            if whole.end > len(bytes)? {
                body.add(vec![0]);
            }
        }
        body.add(write_chunk(b"LIST", &list));
    }
    let size: u64 = body
        .0
        .iter()
        .map(|p| match p {
            super::Piece::Keep(range) => range.end - range.start,
            super::Piece::New(bytes) => bytes.len() as u64,
        })
        .sum();
    let mut plan = Plan::default();
    let mut head = riff_head(media, size + 4)?;
    head.extend_from_slice(if media == Media::Webp { b"WEBP" } else { b"WAVE" });
    plan.add(head);
    plan.0.extend(body.0);
    Ok(plan)
}

/// `VP8X` with the XMP flag; made from the picture's own header where the file is of the simple form.
fn extended_header(bytes: &mut dyn Bytes, chunks: &[Chunk]) -> Result<[u8; 10]> {
    const XMP_FLAG: u8 = 0x04;
    const ALPHA_FLAG: u8 = 0x10;
    if let Some(chunk) = chunks.iter().find(|c| &c.kind == b"VP8X") {
        let mut head: [u8; 10] = read_array(bytes, chunk.data.start).map_err(|_| cut_short(Media::Webp))?;
        head[0] |= XMP_FLAG;
        return Ok(head);
    }
    let picture = chunks.iter().find(|c| matches!(&c.kind, b"VP8 " | b"VP8L"));
    let picture = picture.ok_or_else(|| Error::media(Media::Webp, "it has no picture", "其中没有图像"))?;
    let head: [u8; 10] = read_array(bytes, picture.data.start).map_err(|_| cut_short(Media::Webp))?;
    let (width, height, alpha) = if &picture.kind == b"VP8L" {
        let bits = u32::from_le_bytes([head[1], head[2], head[3], head[4]]);
        ((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1, bits >> 28 & 1 == 1)
    } else {
        let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
        (side(head[6], head[7]), side(head[8], head[9]), false)
    };
    if width == 0 || height == 0 {
        return Err(Error::media(Media::Webp, "its picture has no size", "图像尺寸为零"));
    }
    let mut out = [0u8; 10];
    out[0] = XMP_FLAG | if alpha { ALPHA_FLAG } else { 0 };
    out[4..7].copy_from_slice(&(width - 1).to_le_bytes()[..3]);
    out[7..10].copy_from_slice(&(height - 1).to_le_bytes()[..3]);
    Ok(out)
}

pub(super) fn content(media: Media, bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    const PICTURE: &[&[u8; 4]] = &[b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"];
    const SOUND: &[&[u8; 4]] = &[b"fmt ", b"data"];
    let kinds = if media == Media::Webp { PICTURE } else { SOUND };
    Ok(chunks(media, bytes)?.into_iter().filter(|c| kinds.contains(&&c.kind)).map(|c| c.data).collect())
}

/// How the samples of a WAV file are stored.
pub(crate) struct Format {
    pub tag: u16,
    pub channels: u16,
    pub sample_rate: u32,
    pub block_align: u16,
    pub bits: u16,
}

/// The format and the place of the samples.
pub(crate) fn sound(bytes: &mut dyn Bytes) -> Result<(Format, Range<u64>)> {
    let chunks = chunks(Media::Wav, bytes)?;
    let odd = || {
        Error::media(Media::Wav, "it has no samples, or does not say how they are", "缺少采样数据或格式说明")
    };
    let format = chunks.iter().find(|c| &c.kind == b"fmt ").ok_or_else(odd)?;
    let data = chunks.iter().find(|c| &c.kind == b"data").ok_or_else(odd)?;
    let head: [u8; 16] = read_array(bytes, format.data.start).map_err(|_| odd())?;
    let short = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
    let mut tag = short(0);
    if tag == 0xfffe && format.data.end - format.data.start >= 26 {
        // An extensible format says its kind behind.
        tag = u16::from_le_bytes(read_array(bytes, format.data.start + 24).map_err(|_| odd())?);
    }
    let out = Format {
        tag,
        channels: short(2),
        sample_rate: u32::from_le_bytes([head[4], head[5], head[6], head[7]]),
        block_align: short(12),
        bits: short(14),
    };
    let frame = u32::from(out.channels) * u32::from(out.bits) / 8;
    if !(1..=32).contains(&out.channels)
        || !(1_000..=1_000_000).contains(&out.sample_rate)
        || frame != u32::from(out.block_align)
    {
        return Err(odd());
    }
    Ok((out, data.data.clone()))
}

/// The file with more samples before its own.
pub(crate) fn plan_before_sound(bytes: &mut dyn Bytes, data: &Range<u64>, sound: Vec<u8>) -> Result<Plan> {
    let added = sound.len() as u64;
    let samples = (data.end - data.start) + added;
    let end = len(bytes)?;
    let odd = (data.end - data.start) % 2;
    let padding = samples % 2;
    let rest = (data.end + odd).min(end)..end;
    let size = data.start - 8 + samples + padding + (rest.end - rest.start);
    let Ok(length) = u32::try_from(samples) else {
        return Err(Error::media(Media::Wav, "it is larger than RIFF can say", "文件超出 RIFF 的长度上限"));
    };
    let mut plan = Plan::default();
    plan.add(riff_head(Media::Wav, size)?);
    plan.keep(8..data.start - 4);
    let mut new = length.to_le_bytes().to_vec();
    new.extend_from_slice(&sound);
    plan.add(new);
    plan.keep(data.clone());
    if padding == 1 {
        plan.add(vec![0]);
    }
    plan.keep(rest);
    Ok(plan)
}
