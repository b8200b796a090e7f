//! What lies where in a file: its credentials, its label, the content that both speak of. One file a format.
//!
//! Every reader takes foreign bytes: lengths are checked against the file before anything is allocated, the number of parts is
//! bounded, and what makes no sense is an error, never a panic.

pub(crate) mod bmff;
pub(crate) mod id3;
pub(crate) mod jpeg;
pub(crate) mod png;
pub(crate) mod riff;
pub(crate) mod xmp;

use std::{
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
};

use crate::{Error, Media, Result};

/// Parts (chunks, segments, boxes, frames) that a file may have before it is refused.
pub(crate) const MOST_PARTS: usize = 1 << 20;
/// The longest label or packet of metadata that is read into memory.
pub(crate) const LARGEST_METADATA: u64 = 4 << 20;

/// Bytes that can be read anywhere.
pub(crate) trait Bytes: Read + Seek + Send {}
impl<T: Read + Seek + Send> Bytes for T {}

/// Where the credentials lie in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    /// The JUMBF bytes, in order; JPEG splits them.
    pub pieces: Vec<Range<u64>>,
    /// Checksums of the container over those bytes: where the checksum is, and what it covers.
    pub checksums: Vec<(Range<u64>, Range<u64>)>,
}

impl Place {
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|p| p.end - p.start).sum()
    }

    /// The file's ranges of a range of the JUMBF bytes.
    pub fn in_file(&self, range: Range<u64>) -> Vec<Range<u64>> {
        let mut out = Vec::new();
        let mut at = 0;
        for piece in &self.pieces {
            let len = piece.end - piece.start;
            let from = range.start.max(at);
            let to = range.end.min(at + len);
            if from < to {
                out.push(piece.start + (from - at)..piece.start + (to - at));
            }
            at += len;
        }
        out
    }

    pub fn read(&self, bytes: &mut dyn Bytes) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        for piece in &self.pieces {
            out.append(&mut read_range(bytes, piece)?);
        }
        Ok(out)
    }
}

/// Where the credentials lie; `None` when there are none. More than one set is an error.
pub(crate) fn find_credentials(media: Media, bytes: &mut dyn Bytes) -> Result<Option<Place>> {
    match media {
        Media::Png => png::find_credentials(bytes),
        Media::Jpeg => jpeg::find_credentials(bytes),
        Media::Webp | Media::Wav => riff::find_credentials(media, bytes),
        Media::Mp3 => id3::find_credentials(bytes),
        Media::Mp4 => bmff::find_credentials(bytes),
        _ => Ok(None),
    }
}

/// The label's value as it stands in the file; `None` when there is none.
pub(crate) fn find_label(media: Media, bytes: &mut dyn Bytes) -> Result<Option<String>> {
    match media {
        Media::Png => png::find_label(bytes),
        Media::Jpeg => jpeg::find_label(bytes),
        Media::Webp | Media::Wav => riff::find_label(media, bytes),
        Media::Mp3 => id3::find_label(bytes),
        Media::Mp4 => bmff::find_label(bytes),
        _ => Ok(None),
    }
}

/// How to write the file anew with this label in it.
pub(crate) fn plan_label(media: Media, bytes: &mut dyn Bytes, value: &str) -> Result<Plan> {
    match media {
        Media::Png => png::plan_label(bytes, value),
        Media::Jpeg => jpeg::plan_label(bytes, value),
        Media::Webp | Media::Wav => riff::plan_label(media, bytes, value),
        Media::Mp3 => id3::plan_label(bytes, value),
        Media::Mp4 => bmff::plan_label(bytes, value),
        _ => Err(Error::Unsupported {
            media,
            what_en: "carry a label inside: it stands in the credentials beside them",
            what_zh: "在内部携带标识：标识写在旁边的凭证文件中",
        }),
    }
}

/// The ranges that are the content itself: what stays when every metadata is taken away.
pub(crate) fn content(media: Media, bytes: &mut dyn Bytes) -> Result<Vec<Range<u64>>> {
    match media {
        Media::Png => png::content(bytes),
        Media::Jpeg => jpeg::content(bytes),
        Media::Webp | Media::Wav => riff::content(media, bytes),
        Media::Mp3 => id3::content(bytes),
        Media::Mp4 => bmff::content(bytes),
        _ => Ok(std::iter::once(0..len(bytes)?).collect()),
    }
}

/// A file as pieces of another one and new bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan(pub Vec<Piece>);

/// A part of a [`Plan`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it was.
    Keep(Range<u64>),
    /// New.
    New(Vec<u8>),
}

impl Plan {
    pub fn keep(&mut self, range: Range<u64>) {
        if range.start < range.end {
            self.0.push(Piece::Keep(range));
        }
    }

    pub fn add(&mut self, bytes: Vec<u8>) {
        self.0.push(Piece::New(bytes));
    }

    pub fn write(&self, from: &mut dyn Bytes, to: &mut dyn Write) -> io::Result<()> {
        for piece in &self.0 {
            match piece {
                Piece::New(bytes) => to.write_all(bytes)?,
                Piece::Keep(range) => {
                    from.seek(SeekFrom::Start(range.start))?;
                    let want = range.end - range.start;
                    let copied = io::copy(&mut (&mut *from).take(want), to)?;
                    if copied != want {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
            }
        }
        Ok(())
    }
}

pub(crate) fn len(bytes: &mut dyn Bytes) -> Result<u64> {
    bytes.seek(SeekFrom::End(0)).map_err(unreadable)
}

pub(crate) fn unreadable(source: io::Error) -> Error {
    Error::Io { action: "read", path: "the file".into(), source }
}

/// Reads a range that was checked against the file's length.
pub(crate) fn read_range(bytes: &mut dyn Bytes, range: &Range<u64>) -> io::Result<Vec<u8>> {
    bytes.seek(SeekFrom::Start(range.start))?;
    let want = range.end.saturating_sub(range.start);
    let mut out = Vec::with_capacity(want.min(1 << 20) as usize);
    bytes.take(want).read_to_end(&mut out)?;
    if out.len() as u64 != want {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(out)
}

/// Reads a piece of metadata, if it is not over the limit.
pub(crate) fn read_metadata(media: Media, bytes: &mut dyn Bytes, range: &Range<u64>) -> Result<Vec<u8>> {
    if range.end - range.start > LARGEST_METADATA {
        return Err(Error::media(media, "its metadata is larger than 4 MiB", "元数据超过 4 MiB"));
    }
    read_range(bytes, range).map_err(|_| cut_short(media))
}

pub(crate) fn read_array<const N: usize>(bytes: &mut dyn Bytes, at: u64) -> io::Result<[u8; N]> {
    let mut out = [0; N];
    bytes.seek(SeekFrom::Start(at))?;
    bytes.read_exact(&mut out)?;
    Ok(out)
}

pub(crate) fn cut_short(media: Media) -> Error {
    Error::media(media, "it is cut short, or a length in it is wrong", "文件不完整，或其中的长度有误")
}

pub(crate) fn too_many(media: Media) -> Error {
    Error::media(media, "it has more than a million parts", "组成部分超过一百万个")
}

pub(crate) fn twice(media: Media) -> Error {
    Error::media(media, "it holds two sets of credentials", "其中有两份凭证")
}
