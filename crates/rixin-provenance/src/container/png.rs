//! PNG: credentials in `caBX`, the label as XMP in `iTXt`. Source: PNG 3rd edition; C2PA 2.3, A.3.2.

use std::ops::Range;

use super::{
    Bytes, MOST_PARTS, Place, Plan, cut_short, len, read_array, read_metadata, too_many, twice, xmp,
};
use crate::{Error, Media, Result};

const XMP_KEYWORD: &[u8] = b"XML:com.adobe.xmp\0";

struct Chunk {
    kind: [u8; 4],
    data: Range<u64>,
}

fn chunks(bytes: &mut dyn Bytes) -> Result<Vec<Chunk>> {
    let end = len(bytes)?;
    let signature: [u8; 8] = read_array(bytes, 0).map_err(|_| cut_short(Media::Png))?;
    if signature != *b"\x89PNG\r\n\x1a\n" {
        return Err(Error::media(Media::Png, "its first bytes are not a PNG's", "文件头不是 PNG"));
    }
    let mut out = Vec::new();
    let mut at = 8;
    while at < end {
        let head: [u8; 8] = read_array(bytes, at).map_err(|_| cut_short(Media::Png))?;
        let length = u64::from(u32::from_be_bytes([head[0], head[1], head[2], head[3]]));
        let data = at + 8..at + 8 + length;
        if data.end + 4 > end {
            return Err(cut_short(Media::Png));
        }
        at = data.end + 4;
        let kind = [head[4], head[5], head[6], head[7]];
        out.push(Chunk { kind, data });
        if out.len() > MOST_PARTS {
            return Err(too_many(Media::Png));
        }
        if &kind == b"IEND" {
            break;
        }
    }
    if out.first().is_none_or(|c| &c.kind != b"IHDR") {
        return Err(Error::media(Media::Png, "it does not begin with IHDR", "首个数据块不是 IHDR"));
    }
    Ok(out)
}

pub(super) fn find_credentials(bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    let mut found = None;
    for chunk in chunks(bytes)?.into_iter().filter(|c| &c.kind == b"caBX") {
        let crc = chunk.data.end..chunk.data.end + 4;
        let covered = chunk.data.start - 4..chunk.data.end;
        let place = Place { pieces: vec![chunk.data], checksums: vec![(crc, covered)] };
        if found.replace(place).is_some() {
            return Err(twice(Media::Png));
        }
    }
    Ok(found)
}

/// The packet of an uncompressed XMP chunk, as a range of its data.
fn packet(data: &[u8]) -> Option<Range<usize>> {
    let rest = data.strip_prefix(XMP_KEYWORD)?;
    let [compressed, _method, rest @ ..] = rest else { return None };
    if *compressed != 0 {
        return None;
    }
    let language = rest.iter().position(|b| *b == 0)?;
    let translated = rest[language + 1..].iter().position(|b| *b == 0)?;
    Some(data.len() - rest.len() + language + 1 + translated + 1..data.len())
}

/// A chunk with XMP: its index, its data, and the packet's range of that.
type XmpChunk = (usize, Vec<u8>, Range<usize>);

fn xmp_chunk(bytes: &mut dyn Bytes, chunks: &[Chunk]) -> Result<Option<XmpChunk>> {
    for (index, chunk) in chunks.iter().enumerate().filter(|(_, c)| &c.kind == b"iTXt") {
        let head = read_metadata(
            Media::Png,
            bytes,
            &(chunk.data.start..chunk.data.end.min(chunk.data.start + XMP_KEYWORD.len() as u64)),
        )?;
        if head != XMP_KEYWORD {
            continue;
        }
        let data = read_metadata(Media::Png, bytes, &chunk.data)?;
        if let Some(packet) = packet(&data) {
            return Ok(Some((index, data, packet)));
        }
    }
    Ok(None)
}

pub(super) fn find_label(bytes: &mut dyn Bytes) -> Result<Option<String>> {
    let chunks = chunks(bytes)?;
    Ok(xmp_chunk(bytes, &chunks)?.and_then(|(_, data, packet)| xmp::find_label(&data[packet])))
}

pub(super) fn plan_label(bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    let chunks = chunks(bytes)?;
    let end = len(bytes)?;
    let mut plan = Plan::default();
    match xmp_chunk(bytes, &chunks)? {
        Some((index, data, packet)) => {
            let chunk = &chunks[index];
            let mut new = data[..packet.start].to_vec();
            new.extend_from_slice(&xmp::with_label(Media::Png, Some(&data[packet]), value)?);
            plan.keep(0..chunk.data.start - 8);
            plan.add(write_chunk(b"iTXt", &new));
            plan.keep(chunk.data.end + 4..end);
        }
        None => {
            let after = chunks[0].data.end + 4;
            let mut new = XMP_KEYWORD.to_vec();
            new.extend_from_slice(&[0, 0, 0, 0]);
            new.extend_from_slice(&xmp::with_label(Media::Png, None, value)?);
            plan.keep(0..after);
            plan.add(write_chunk(b"iTXt", &new));
            plan.keep(after..end);
        }
    }
    Ok(plan)
}

/// Length, kind, data, CRC-32 of kind and data.
fn write_chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 12);
    out.extend_from_slice(&(data.len() as u32).to_be_bytes());
    out.extend_from_slice(kind);
    out.extend_from_slice(data);
    let crc = crc32fast::hash(&out[4..]);
    out.extend_from_slice(&crc.to_be_bytes());
    out
}

pub(super) fn content(bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    const CONTENT: &[&[u8; 4]] = &[b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"acTL", b"fcTL", b"fdAT"];
    Ok(chunks(bytes)?.into_iter().filter(|c| CONTENT.contains(&&c.kind)).map(|c| c.data).collect())
}

/// The chunks that say how the pixels are to be shown, and texts: what a picture keeps when its pixels are encoded anew.
pub(crate) fn plan_extras(bytes: &mut dyn Bytes) -> Result<Plan> {
    const EXTRAS: &[&[u8; 4]] =
        &[b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"pHYs", b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"];
    let mut plan = Plan::default();
    for chunk in chunks(bytes)?.into_iter().filter(|c| EXTRAS.contains(&&c.kind)) {
        plan.keep(chunk.data.start - 8..chunk.data.end + 4);
    }
    Ok(plan)
}
