//! JPEG: credentials in APP11 segments, the label as XMP in APP1. Source: ITU-T T.81; ISO/IEC 19566-5 (JUMBF), annex D; C2PA 2.3, A.3.1.

use std::ops::Range;

use super::{
    Bytes, MOST_PARTS, Place, Plan, cut_short, len, read_array, read_metadata, too_many, twice, xmp,
};
use crate::{Error, Media, Result};

const XMP_HEAD: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";

struct Segment {
    marker: u8,
    /// Without marker and length.
    data: Range<u64>,
}

/// The segments before the first scan, and where that begins.
fn segments(bytes: &mut dyn Bytes) -> Result<(Vec<Segment>, u64)> {
    let end = len(bytes)?;
    let start: [u8; 2] = read_array(bytes, 0).map_err(|_| cut_short(Media::Jpeg))?;
    if start != [0xff, 0xd8] {
        return Err(Error::media(Media::Jpeg, "its first bytes are not a JPEG's", "文件头不是 JPEG"));
    }
    let mut out = Vec::new();
    let mut at = 2;
    loop {
        let head: [u8; 4] = read_array(bytes, at).map_err(|_| cut_short(Media::Jpeg))?;
        if head[0] != 0xff {
            return Err(Error::media(Media::Jpeg, "a marker is missing", "缺少段标记"));
        }
        match head[1] {
            // Fill bytes before a marker.
            0xff => at += 1,
            0xda | 0xd9 => return Ok((out, at)),
            marker => {
                let length = u64::from(u16::from_be_bytes([head[2], head[3]]));
                if length < 2 || at + 2 + length > end {
                    return Err(cut_short(Media::Jpeg));
                }
                out.push(Segment { marker, data: at + 4..at + 2 + length });
                at += 2 + length;
            }
        }
        if out.len() > MOST_PARTS {
            return Err(too_many(Media::Jpeg));
        }
    }
}

pub(super) fn find_credentials(bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    // A JUMBF box lies in the segments of one instance number, in the order of their sequence numbers. Boxes of other kinds
    // have other instance numbers.
    let mut place: Option<(u16, u32, Place)> = None;
    for segment in segments(bytes)?.0.into_iter().filter(|s| s.marker == 0xeb) {
        if segment.data.end - segment.data.start < 16 {
            continue;
        }
        let head: [u8; 16] = read_array(bytes, segment.data.start).map_err(|_| cut_short(Media::Jpeg))?;
        if head[..2] != *b"JP" || head[12..16] != *b"jumb" {
            continue;
        }
        let instance = u16::from_be_bytes([head[2], head[3]]);
        let sequence = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
        match &mut place {
            Some((known, last, place)) if *known == instance && sequence == last.wrapping_add(1) => {
                // Length and type of the box are said again in each segment.
                place.pieces.push(segment.data.start + 16..segment.data.end);
                *last = sequence;
            }
            _ if !describes_credentials(bytes, &segment) => {}
            Some(_) => return Err(twice(Media::Jpeg)),
            None => {
                let first = segment.data.start + 8..segment.data.end;
                place = Some((instance, sequence, Place { pieces: vec![first], checksums: Vec::new() }));
            }
        }
    }
    Ok(place.map(|(_, _, place)| place))
}

/// Whether the description that follows the head of a JUMBF box is that of C2PA's store.
fn describes_credentials(bytes: &mut dyn Bytes, segment: &Segment) -> bool {
    let description = segment.data.start + 20;
    description + 8 <= segment.data.end
        && read_array(bytes, description).is_ok_and(|kind: [u8; 8]| &kind == b"jumdc2pa")
}

fn xmp_segment(bytes: &mut dyn Bytes, segments: &[Segment]) -> Result<Option<(usize, Vec<u8>)>> {
    for (index, segment) in segments.iter().enumerate().filter(|(_, s)| s.marker == 0xe1) {
        let data = read_metadata(Media::Jpeg, bytes, &segment.data)?;
        if let Some(packet) = data.strip_prefix(XMP_HEAD) {
            return Ok(Some((index, packet.to_vec())));
        }
    }
    Ok(None)
}

pub(super) fn find_label(bytes: &mut dyn Bytes) -> Result<Option<String>> {
    let (segments, _) = segments(bytes)?;
    Ok(xmp_segment(bytes, &segments)?.and_then(|(_, packet)| xmp::find_label(&packet)))
}

pub(super) fn plan_label(bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    let (segments, _) = segments(bytes)?;
    let end = len(bytes)?;
    let mut plan = Plan::default();
    let (until, from, old) = match xmp_segment(bytes, &segments)? {
        Some((index, packet)) => (segments[index].data.start - 4, segments[index].data.end, Some(packet)),
        None => {
            // After JFIF's and Exif's own segments, which readers expect first.
            let heads = segments.iter().take_while(|s| matches!(s.marker, 0xe0 | 0xe1)).last();
            let after = heads.map_or(2, |s| s.data.end);
            (after, after, None)
        }
    };
    let packet = xmp::with_label(Media::Jpeg, old.as_deref(), value)?;
    let length = packet.len() + XMP_HEAD.len() + 2;
    let Ok(length) = u16::try_from(length) else {
        return Err(Error::media(
            Media::Jpeg,
            "its XMP leaves no room for the label in one segment",
            "XMP 过长，无法在同一段中加入标识",
        ));
    };
    let mut new = vec![0xff, 0xe1];
    new.extend_from_slice(&length.to_be_bytes());
    new.extend_from_slice(XMP_HEAD);
    new.extend_from_slice(&packet);
    plan.keep(0..until);
    plan.add(new);
    plan.keep(from..end);
    Ok(plan)
}

pub(super) fn content(bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    let (segments, scan) = segments(bytes)?;
    let end = len(bytes)?;
    let is_content = |s: &Segment| !matches!(s.marker, 0xe0..=0xef | 0xfe);
    let mut out: Vec<_> = segments.into_iter().filter(is_content).map(|s| s.data).collect();
    out.push(scan..end);
    Ok(out)
}
