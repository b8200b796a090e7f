//! One range of one file: the request, what the answer must say, and the bytes to their place.

use std::{fs::File, os::unix::fs::FileExt, sync::Arc};

use reqwest::{
    StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, LAST_MODIFIED, RANGE},
};

use super::{
    journal::Journal,
    one::{One, blocking},
    space,
};
use crate::{
    Sha256,
    net::{self, Answer, pause},
    source::SourceError,
};

/// Bytes are written in blocks of this size.
const BLOCK: usize = 1 << 20;

/// Why a transfer stopped.
pub(super) enum Stop {
    /// The file on the server is another one now: from the start.
    Restart,
    /// An error.
    Failed(SourceError),
}

impl From<SourceError> for Stop {
    fn from(error: SourceError) -> Self {
        Stop::Failed(error)
    }
}

/// What a range request was answered with.
pub(super) enum Opened {
    /// The range.
    Part { answer: Answer, size: u64, validator: Option<String> },
    /// The whole file: ranges are not understood.
    Whole(Answer),
    /// The file is empty.
    Empty,
}

/// A `Content-Range` (RFC 9110, 14.4): `bytes 0-9/20`, `bytes */20`.
#[derive(Debug, PartialEq, Eq)]
struct ContentRange {
    /// Half-open.
    range: Option<(u64, u64)>,
    total: Option<u64>,
}

fn content_range(text: &str) -> Option<ContentRange> {
    let (range, total) = text.trim().strip_prefix("bytes")?.trim().split_once('/')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    if range == "*" {
        return Some(ContentRange { range: None, total });
    }
    let (first, last) = range.split_once('-')?;
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let sound = first <= last && last < total.unwrap_or(u64::MAX);
    sound.then_some(ContentRange { range: Some((first, last + 1)), total })
}

/// What tells versions of a file apart: a strong etag, else the date.
fn validator(answer: &Answer) -> Option<String> {
    let text = |name| answer.headers.get(name).and_then(|value| value.to_str().ok());
    text(ETAG).filter(|etag| etag.starts_with('"')).or_else(|| text(LAST_MODIFIED)).map(str::to_owned)
}

impl One {
    fn wrong(&self, answer: &Answer, en: String, zh: String) -> SourceError {
        SourceError::answer(&net::host(&answer.url), &self.wanted.name, en, zh)
    }

    /// Asks for bytes `start..end` and checks what the answer says.
    pub(super) async fn open(&self, start: u64, end: u64) -> Result<Opened, Stop> {
        let resumed = self.state.lock().as_ref().map(|journal| (journal.size, journal.validator.clone()));
        let mut headers = HeaderMap::new();
        let range = format!("bytes={start}-{}", end - 1);
        headers.insert(RANGE, HeaderValue::try_from(range).map_err(|_| Stop::Restart)?);
        let known = resumed.as_ref().and_then(|(_, validator)| validator.clone());
        if let Some(value) = known.as_deref().and_then(|text| HeaderValue::from_str(text).ok()) {
            headers.insert(IF_RANGE, value);
        }
        let answer = self.ask(&headers).await?;
        match answer.status {
            StatusCode::RANGE_NOT_SATISFIABLE if resumed.is_some() => return Err(Stop::Restart),
            StatusCode::RANGE_NOT_SATISFIABLE if self.wanted.size.is_none() && start == 0 => {
                let empty = answer.header("content-range").and_then(content_range)
                    == Some(ContentRange { range: None, total: Some(0) });
                return if empty { Ok(Opened::Empty) } else { Err(answer.into_status_error().await.into()) };
            }
            status if !status.is_success() => {
                let wanted = &self.wanted;
                return Err(net::refusal(&wanted.hub, answer, &wanted.name, &wanted.page).await.into());
            }
            _ => {}
        }
        if answer.is_web_page() && !self.wanted.name.ends_with(".html") {
            let zh = "网页而不是文件：中间可能有登录页或代理";
            let en = "a web page instead of the file: a login page or a proxy stands in between";
            return Err(self.wrong(&answer, en.into(), zh.into()).into());
        }
        if let Some(encoding) =
            answer.header("content-encoding").filter(|e| !e.eq_ignore_ascii_case("identity"))
        {
            let en = format!("the encoding {encoding:?}, which was not asked for");
            let zh = format!("未请求的编码 {encoding:?}");
            return Err(self.wrong(&answer, en, zh).into());
        }
        self.check_linked(&answer)?;
        // ModelScope serves ranges with the status 200, but names them.
        let named = answer.headers.get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
        let Some(named) = named else {
            return match (answer.status, resumed) {
                (StatusCode::PARTIAL_CONTENT, _) => {
                    let (en, zh) = ("a range without Content-Range", "没有 Content-Range 的区段");
                    Err(self.wrong(&answer, en.into(), zh.into()).into())
                }
                // The version that the journal speaks of is gone, or ranges are not understood any more.
                (_, Some(_)) => Err(Stop::Restart),
                (_, None) => Ok(Opened::Whole(answer)),
            };
        };
        let size = match content_range(named) {
            Some(ContentRange { range: Some((first, last)), total }) if first == start && last <= end => {
                total.or(self.wanted.size).or(resumed.as_ref().map(|(size, _)| *size))
            }
            _ => None,
        };
        let Some(size) = size else {
            let asked = format!("bytes {start}-{}", end - 1);
            let en = format!("the range {named:?} where {asked} was asked for");
            let zh = format!("区段 {named:?}，而请求的是 {asked}");
            return Err(self.wrong(&answer, en, zh).into());
        };
        let validator = validator(&answer);
        if let Some((known_size, known)) = resumed {
            let changed = known.is_some() && validator.is_some() && known != validator;
            if changed || known_size != size {
                return Err(Stop::Restart);
            }
        } else if let Some(expected) = self.wanted.size.filter(|expected| *expected != size) {
            let file = self.wanted.name.clone();
            return Err(SourceError::SizeMismatch { file, expected, actual: size }.into());
        }
        Ok(Opened::Part { answer, size, validator })
    }

    /// The storage directly while its signed address holds, else through the hub.
    async fn ask(&self, headers: &HeaderMap) -> Result<Answer, SourceError> {
        let hub = &self.wanted.hub;
        let direct = self.storage.lock().clone();
        if let Some(url) = direct {
            let answer = self.net.get(hub, &url, headers, &self.cancel).await?;
            let expired = matches!(answer.status.as_u16(), 400 | 401 | 403 | 404 | 410);
            if !expired {
                return Ok(answer);
            }
            *self.storage.lock() = None;
        }
        let answer = self.net.get(hub, &self.wanted.url, headers, &self.cancel).await?;
        if answer.first.is_some() && answer.status.is_success() {
            *self.storage.lock() = Some(answer.url.clone());
        }
        Ok(answer)
    }

    /// Hugging Face names the hash of a large file beside its redirect: a contradiction shows before the bytes come.
    fn check_linked(&self, answer: &Answer) -> Result<(), SourceError> {
        let told =
            answer.hub_header("x-linked-etag").and_then(|etag| etag.trim_matches('"').parse::<Sha256>().ok());
        match (self.wanted.sha256, told) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(SourceError::HashMismatch { file: self.wanted.name.clone(), expected, actual })
            }
            (None, Some(told)) => {
                *self.linked.lock() = Some(told);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Fetches `start..end`, going on after a broken connection from where it broke.
    pub(super) async fn piece(
        &self,
        file: &Arc<File>,
        start: u64,
        end: u64,
        mut answer: Option<Answer>,
    ) -> Result<(), Stop> {
        let (mut at, mut tries) = (start, 0);
        while at < end {
            if self.cancel.is_cancelled() {
                return Err(SourceError::Cancelled.into());
            }
            let opened = match answer.take() {
                Some(answer) => answer,
                None => match self.open(at, end).await? {
                    Opened::Part { answer, .. } => answer,
                    Opened::Whole(_) | Opened::Empty => return Err(Stop::Restart),
                },
            };
            let before = at;
            let Err(error) = self.body(file, opened, &mut at, Some(end)).await else { continue };
            if !matches!(error, SourceError::Unreachable { .. } | SourceError::Stalled { .. }) {
                return Err(error.into());
            }
            tries = if at > before { 0 } else { tries + 1 };
            if tries > self.net.tuning.retries {
                return Err(error.into());
            }
            pause(self.net.backoff(tries), &self.cancel).await?;
        }
        Ok(())
    }

    /// The whole file in one stream, from a server that knows no ranges.
    pub(super) async fn stream(&self, file: &Arc<File>, first: Answer) -> Result<u64, Stop> {
        let (mut answer, mut tries) = (Some(first), 0);
        loop {
            let opened = match answer.take() {
                Some(answer) => answer,
                None => match self.open(0, 1).await? {
                    Opened::Whole(answer) => answer,
                    Opened::Part { .. } | Opened::Empty => return Err(Stop::Restart),
                },
            };
            let size = opened.content_length().or(self.wanted.size);
            if let (Some(expected), Some(actual)) = (self.wanted.size, opened.content_length())
                && expected != actual
            {
                return Err(
                    SourceError::SizeMismatch { file: self.wanted.name.clone(), expected, actual }.into()
                );
            }
            match size {
                Some(size) => space::reserve(file, &self.partial, size)?,
                None => file.set_len(0).map_err(|e| space::write_error(&self.partial, 0, e))?,
            }
            // Without a validator the journal is never read again: there is no way to go on in the middle.
            *self.state.lock() = Some(Journal::new(size.unwrap_or(0), None, None));
            let mut at = 0;
            match self.body(file, opened, &mut at, size).await {
                Ok(()) => {
                    *self.state.lock() = None;
                    return Ok(at);
                }
                Err(error @ (SourceError::Unreachable { .. } | SourceError::Stalled { .. })) => {
                    self.meter.take_back(at);
                    *self.state.lock() = None;
                    tries += 1;
                    if tries > self.net.tuning.retries {
                        return Err(error.into());
                    }
                    pause(self.net.backoff(tries), &self.cancel).await?;
                }
                Err(error) => {
                    *self.state.lock() = None;
                    return Err(error.into());
                }
            }
        }
    }

    /// Writes a body from `at` on, at most to `end`; `at` moves with what is written, also when it fails.
    async fn body(
        &self,
        file: &Arc<File>,
        mut answer: Answer,
        at: &mut u64,
        end: Option<u64>,
    ) -> Result<(), SourceError> {
        let mut block: Vec<u8> = Vec::with_capacity(BLOCK);
        let after = self.net.tuning.stall_timeout;
        let host = net::host(&answer.url);
        let result = loop {
            let chunk = tokio::select! {
                biased;
                () = self.cancel.cancelled() => break Err(SourceError::Cancelled),
                chunk = tokio::time::timeout(after, answer.chunk()) => chunk,
            };
            let chunk = match chunk {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => break Ok(()),
                Ok(Err(error)) => break Err(error),
                Err(_) => {
                    break Err(SourceError::Stalled {
                        host: host.clone(),
                        file: self.wanted.name.clone(),
                        after,
                    });
                }
            };
            if end.is_some_and(|end| *at + (block.len() + chunk.len()) as u64 > end) {
                let (en, zh) = ("more bytes than it said", "比声明的更多的字节");
                break Err(self.wrong(&answer, en.into(), zh.into()));
            }
            block.extend_from_slice(&chunk);
            if block.len() >= BLOCK {
                block = self.write(file, block, at).await?;
            }
        };
        self.write(file, block, at).await?;
        result?;
        if end.is_some_and(|end| *at < end) {
            return Err(SourceError::Unreachable { host, why: "the transfer ended early".into() });
        }
        Ok(())
    }

    /// Writes a block and gives its buffer back, empty.
    async fn write(&self, file: &Arc<File>, block: Vec<u8>, at: &mut u64) -> Result<Vec<u8>, SourceError> {
        if block.is_empty() {
            return Ok(block);
        }
        let (start, end) = (*at, *at + block.len() as u64);
        let (target, path) = (file.clone(), self.partial.clone());
        let mut block = blocking(move || {
            target
                .write_all_at(&block, start)
                .map_err(|e| space::write_error(&path, block.len() as u64, e))?;
            Ok(block)
        })
        .await?;
        *at = end;
        self.written(file, start, end).await?;
        block.clear();
        Ok(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges() {
        let read = |range, total| Some(ContentRange { range, total });
        assert_eq!(content_range("bytes 0-9/20"), read(Some((0, 10)), Some(20)));
        assert_eq!(content_range("bytes 5-9/*"), read(Some((5, 10)), None));
        assert_eq!(content_range("bytes */0"), read(None, Some(0)));
        for bad in
            ["", "bytes", "bytes 9-0/20", "bytes 0-20/20", "items 0-9/20", "bytes 0-9", "bytes -1-9/20"]
        {
            assert_eq!(content_range(bad), None, "{bad}");
        }
    }
}
