//! Reading.

use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::{GetOptions, GetResult, GetResultPayload, ObjectStoreExt as _};
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::hash::Hasher;
use super::place::Place;
use super::{Blob, BlobError, Blobs, Sha256};

/// Bytes that are read from a file at once.
pub(super) const READ_BYTES: usize = 256 << 10;

impl Blobs {
    /// A blob's bytes from the first to the last, checked on the way.
    ///
    /// # Errors
    /// [`BlobError::NotFound`]; what the place says. The stream ends with [`BlobError::Corrupt`] where the bytes are not those
    /// of the hash.
    pub async fn get(&self, sha256: &Sha256) -> Result<BlobStream, BlobError> {
        let found = self.store.get(&self.key(sha256)).await.map_err(|error| self.error_of(sha256, &error))?;
        let blob = Blob { sha256: *sha256, size: found.meta.size };
        Ok(BlobStream::new(self.open_stream(found).await?, blob, self.place.clone(), true))
    }

    /// A part of a blob, `range.start` included and `range.end` not. The number of bytes is checked and the bytes are not: a
    /// part has no hash of its own.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], [`BlobError::Range`] where the blob is shorter, and what the place says.
    pub async fn get_range(&self, sha256: &Sha256, range: Range<u64>) -> Result<BlobStream, BlobError> {
        let outside = |size| BlobError::Range { sha256: *sha256, start: range.start, end: range.end, size };
        if range.is_empty() {
            // No server has a range of nothing.
            let size = self.size(sha256).await?;
            let inside = range.start == range.end && range.end <= size;
            let nothing = Blob { sha256: *sha256, size: 0 };
            let stream =
                BlobStream::new(futures::stream::empty().boxed(), nothing, self.place.clone(), false);
            return inside.then_some(stream).ok_or_else(|| outside(size));
        }
        let options = GetOptions::new().with_range(Some(range.clone()));
        let found = match self.store.get_opts(&self.key(sha256), options).await {
            Ok(found) => found,
            Err(error) => {
                // A range that starts behind the end is refused, in words of each server's own.
                let size = self.size(sha256).await?;
                let outside = (range.start >= size).then(|| outside(size));
                return Err(outside.unwrap_or_else(|| self.error_of(sha256, &error)));
            }
        };
        if found.range != range {
            return Err(outside(found.meta.size));
        }
        let part = Blob { sha256: *sha256, size: range.end - range.start };
        Ok(BlobStream::new(self.open_stream(found).await?, part, self.place.clone(), false))
    }

    /// A whole blob in memory, checked.
    ///
    /// # Errors
    /// Those of [`get`](Self::get), and [`BlobError::TooLarge`] before anything is read of a blob over `limit` bytes.
    pub async fn get_bytes(&self, sha256: &Sha256, limit: u64) -> Result<Bytes, BlobError> {
        let stream = self.get(sha256).await?;
        if stream.size() > limit {
            return Err(BlobError::TooLarge { limit });
        }
        stream.bytes().await
    }

    /// Whether a blob is stored.
    ///
    /// # Errors
    /// What the place says.
    pub async fn exists(&self, sha256: &Sha256) -> Result<bool, BlobError> {
        match self.size(sha256).await {
            Ok(_) => Ok(true),
            Err(BlobError::NotFound { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A blob's length in bytes.
    ///
    /// # Errors
    /// [`BlobError::NotFound`], and what the place says.
    pub async fn size(&self, sha256: &Sha256) -> Result<u64, BlobError> {
        let meta = self.store.head(&self.key(sha256)).await;
        meta.map(|meta| meta.size).map_err(|error| self.error_of(sha256, &error))
    }

    async fn open_stream(&self, found: GetResult) -> Result<Pieces, BlobError> {
        let place = self.place.clone();
        match found.payload {
            // The store's own stream of a file has pieces of 8 KiB, each read by a thread of its own.
            GetResultPayload::File(file, _) => {
                let mut file = tokio::fs::File::from_std(file);
                let start = std::io::SeekFrom::Start(found.range.start);
                file.seek(start).await.map_err(|error| place.io(&error))?;
                let part = file.take(found.range.end - found.range.start);
                let stream = ReaderStream::with_capacity(part, READ_BYTES);
                Ok(stream.map_err(move |error| place.io(&error)).boxed())
            }
            GetResultPayload::Stream(stream) => Ok(stream.map_err(move |error| place.error(&error)).boxed()),
        }
    }
}

type Pieces = BoxStream<'static, Result<Bytes, BlobError>>;

/// The bytes of a blob, or of a part of one.
///
/// One piece is always held back until what follows it is known, so a reader never has all bytes of a blob that turns out to be
/// damaged: a copy made of the pieces is visibly cut short.
pub struct BlobStream {
    inner: Pieces,
    expected: Blob,
    place: Place,
    held: Option<Bytes>,
    /// What came so far; `None` after the end.
    seen: Option<Hasher>,
    /// The hash is checked, not the length alone.
    whole: bool,
}

impl BlobStream {
    fn new(inner: Pieces, expected: Blob, place: Place, whole: bool) -> Self {
        Self { inner, expected, place, held: None, seen: Some(Hasher::default()), whole }
    }

    /// The number of bytes that the stream gives if all is well.
    pub fn size(&self) -> u64 {
        self.expected.size
    }

    /// All bytes at once.
    ///
    /// # Errors
    /// Those of the stream.
    pub async fn bytes(mut self) -> Result<Bytes, BlobError> {
        let Some(first) = self.try_next().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.try_next().await? else { return Ok(first) };
        let mut all = Vec::with_capacity(usize::try_from(self.size()).unwrap_or(0));
        all.extend_from_slice(&first);
        all.extend_from_slice(&second);
        while let Some(piece) = self.try_next().await? {
            all.extend_from_slice(&piece);
        }
        Ok(all.into())
    }

    /// At the end: what is wrong with what came.
    fn fault(&self, seen: Hasher) -> Option<BlobError> {
        let Blob { sha256, size } = seen.finish();
        let why = if size != self.expected.size {
            format!("{} bytes came instead of {}", size, self.expected.size)
        } else if self.whole && sha256 != self.expected.sha256 {
            format!("their hash is {sha256} now")
        } else {
            return None;
        };
        Some(BlobError::Corrupt { sha256: self.expected.sha256, place: self.place.to_string(), why })
    }
}

impl Stream for BlobStream {
    type Item = Result<Bytes, BlobError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.seen.is_none() {
                return Poll::Ready(None);
            }
            match ready!(self.inner.poll_next_unpin(cx)) {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => {
                    if let Some(seen) = &mut self.seen {
                        seen.update(&bytes);
                    }
                    if let Some(held) = self.held.replace(bytes) {
                        return Poll::Ready(Some(Ok(held)));
                    }
                }
                Some(Err(error)) => {
                    self.seen = None;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    let fault = self.seen.take().and_then(|seen| self.fault(seen));
                    let held = self.held.take();
                    return Poll::Ready(match fault {
                        Some(error) => Some(Err(error)),
                        None => held.map(Ok),
                    });
                }
            }
        }
    }
}
