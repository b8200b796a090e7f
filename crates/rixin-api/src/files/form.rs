//! The form of an upload. It is the one body that is not JSON: a browser sends a form across sites without asking first, but never
//! with the `Authorization` header that every caller needs, and the guard looks at its `Origin`. The one route that takes a form without a
//! key changes nothing.

use std::{io, time::Duration};

use axum::{
    body::Body,
    extract::{FromRequest, Request},
};
use bytes::Bytes;
use futures::Stream;
use http::header;
use http_body_util::BodyExt as _;
use rixin_base::{Code, Fault, bytes_text};
use rixin_protocol::parse::out_of_range;
use rixin_store::{Blob, BlobError, Blobs};
use tokio::{io::AsyncWriteExt as _, time::Instant};

use crate::{
    AppState,
    error::ApiError,
    multipart::{CUT_SHORT, Head, Parser, Piece},
};

/// The longest pause between two pieces of a form.
const PIECE_TIMEOUT: Duration = Duration::from_secs(20);
/// What a form may have besides the file, in bytes.
const AROUND: u64 = 64 << 10;
/// The longest value of a plain field, in bytes.
const MAX_VALUE: usize = 1024;

const FILE_LIMIT: &str = "RIXIN_FILE_LIMIT";

/// A form that is being read.
pub(crate) struct Form {
    body: Body,
    parser: Parser,
    file_limit: u64,
    setting: &'static str,
    deadline: Instant,
}

impl FromRequest<AppState> for Form {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let given = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let given = given.unwrap_or_default();
        let essence = given.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("multipart/form-data") {
            return Err(ApiError(Fault::new(
                Code::UnsupportedMediaType,
                format!(
                    "the body is sent as {given:?}: send a form with 'Content-Type: multipart/form-data'"
                ),
                format!("请求体类型为 {given:?}：请以 'Content-Type: multipart/form-data' 发送表单"),
            )));
        }
        let file_limit = state.settings.file_limit.0;
        let length = parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let length: u64 = length.and_then(|text| text.parse().ok()).unwrap_or(0);
        if length > file_limit.saturating_add(AROUND) {
            return Err(ApiError(too_large(file_limit, FILE_LIMIT)));
        }
        let parser = Parser::new(given).map_err(|broken| ApiError(broken.into()))?;
        let deadline = Instant::now() + state.settings.request_timeout;
        Ok(Self { body, parser, file_limit, setting: FILE_LIMIT, deadline })
    }
}

impl Form {
    /// The head of the next part; the part before has to be read. `None`: that was the last one.
    pub async fn part(&mut self) -> Result<Option<Head>, Fault> {
        match self.next().await? {
            None => Ok(None),
            Some(Piece::Head(head)) => Ok(Some(head)),
            Some(_) => Err(Fault::internal("a part of a form was not read to its end")),
        }
    }

    /// The value of a plain field.
    pub async fn value(&mut self, name: &str) -> Result<String, Fault> {
        let mut value = Vec::new();
        while let Some(data) = self.data().await? {
            if value.len() + data.len() > MAX_VALUE {
                return Err(out_of_range(name, "it is over 1 KiB", "超过 1 KiB"));
            }
            value.extend_from_slice(&data);
        }
        String::from_utf8(value).map_err(|_| out_of_range(name, "it is not UTF-8", "不是 UTF-8 文本"))
    }

    /// Takes smaller files only, by the setting with this name.
    pub fn limited(mut self, limit: u64, setting: &'static str) -> Self {
        if limit < self.file_limit {
            (self.file_limit, self.setting) = (limit, setting);
        }
        self
    }

    /// Writes a file into one of ours.
    pub async fn save(&mut self, to: &mut tokio::fs::File) -> Result<u64, Fault> {
        let mut size = 0;
        while let Some(data) = self.data().await? {
            size += data.len() as u64;
            if size > self.file_limit {
                return Err(too_large(self.file_limit, self.setting));
            }
            to.write_all(&data).await.map_err(Fault::internal)?;
        }
        to.flush().await.map_err(Fault::internal)?;
        Ok(size)
    }

    /// Stores a file.
    pub async fn store(&mut self, blobs: &Blobs) -> Result<Blob, Fault> {
        let (limit, setting, mut fault) = (self.file_limit, self.setting, None);
        let stored = blobs.put_stream(self.pieces(&mut fault), limit).await;
        match (fault, stored) {
            (Some(fault), _) => Err(fault),
            (None, Err(BlobError::TooLarge { .. })) => Err(too_large(limit, setting)),
            (None, stored) => Ok(stored?),
        }
    }

    /// The data of a part as a stream; what it breaks off with is left in `fault`.
    fn pieces(&mut self, fault: &mut Option<Fault>) -> impl Stream<Item = io::Result<Bytes>> + Send {
        async_stream::stream! {
            loop {
                match self.data().await {
                    Ok(Some(data)) => yield Ok(data),
                    Ok(None) => break,
                    Err(broken) => {
                        let told = io::Error::other(broken.to_string());
                        *fault = Some(broken);
                        yield Err(told);
                        break;
                    }
                }
            }
        }
    }

    /// More of the part; `None` at its end.
    async fn data(&mut self) -> Result<Option<Bytes>, Fault> {
        match self.next().await? {
            Some(Piece::Data(data)) => Ok(Some(data)),
            Some(Piece::End) => Ok(None),
            Some(Piece::Head(_)) | None => Err(CUT_SHORT.into()),
        }
    }

    async fn next(&mut self) -> Result<Option<Piece>, Fault> {
        loop {
            if let Some(piece) = self.parser.next()? {
                return Ok(Some(piece));
            }
            if self.parser.is_done() {
                return Ok(None);
            }
            let until = self.deadline.min(Instant::now() + PIECE_TIMEOUT);
            let frame = tokio::time::timeout_at(until, self.body.frame()).await.map_err(|_| too_slow())?;
            let frame = frame.ok_or(CUT_SHORT)?.map_err(|error| {
                Fault::new(
                    Code::Cancelled,
                    format!("the body broke off: {error}"),
                    format!("请求体传输中断：{error}"),
                )
            })?;
            if let Ok(data) = frame.into_data() {
                self.parser.push(&data);
            }
        }
    }
}

fn too_large(limit: u64, setting: &str) -> Fault {
    let limit = bytes_text(limit);
    Fault::new(
        Code::BodyTooLarge,
        format!("the file is over the limit of {limit}: send a smaller one, or raise {setting}"),
        format!("文件超过 {limit} 的上限：请减小文件，或调高 {setting}"),
    )
}

fn too_slow() -> Fault {
    Fault::new(
        Code::DeadlineExceeded,
        format!(
            "the file did not arrive in time: no pause over {} s, and all of it within RIXIN_REQUEST_TIMEOUT",
            PIECE_TIMEOUT.as_secs()
        ),
        format!(
            "文件未能按时到达：传输停顿不得超过 {} 秒，且须在 RIXIN_REQUEST_TIMEOUT 内传完",
            PIECE_TIMEOUT.as_secs()
        ),
    )
}
