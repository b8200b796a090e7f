//! Bytes of a file on their way: ranges, conditions, and the troubles that a test asked for.

use std::{convert::Infallible, io, sync::Arc};

use axum::{
    body::Body,
    http::{HeaderMap, Response, StatusCode},
};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};

use super::{Logged, State, Trouble};

/// The first value of a header, as text.
pub fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// `bytes=a-b`, half-open.
pub fn range(headers: &HeaderMap, size: u64) -> Option<(u64, u64)> {
    let spec = text(headers, "range")?;
    let (first, last) = spec.strip_prefix("bytes=")?.split_once('-')?.to_owned();
    let last = if last.is_empty() { size - 1 } else { last.parse().ok()? };
    Some((first.parse().ok()?, last + 1))
}

/// Writes a request down.
pub fn log(state: &State, server: &'static str, path: &str, query: &str, headers: &HeaderMap, size: u64) {
    state.log.lock().push(Logged {
        server,
        path: path.to_owned(),
        query: query.to_owned(),
        range: range(headers, size),
        if_range: text(headers, "if-range"),
        authorization: text(headers, "authorization"),
        cookie: text(headers, "cookie"),
    });
}

/// The answer of a trouble that has no file in it.
pub fn trouble(trouble: &Trouble) -> Option<Response<Body>> {
    match trouble {
        Trouble::Status(status, headers, body) => {
            let mut response = Response::builder().status(*status);
            for (name, value) in headers {
                response = response.header(*name, value);
            }
            Some(response.body(Body::from(body.clone())).unwrap())
        }
        Trouble::Page => Some(
            Response::builder()
                .header("content-type", "text/html; charset=utf-8")
                .body(Body::from("<!doctype html><title>Sign in</title>"))
                .unwrap(),
        ),
        _ => None,
    }
}

/// Serves the bytes of a file, or of a range of it.
pub fn file(
    state: &Arc<State>,
    bytes: &Bytes,
    headers: &HeaderMap,
    bad: Option<Trouble>,
    etag: &str,
) -> Response<Body> {
    if let Some(response) = bad.as_ref().and_then(trouble) {
        return response;
    }
    let manners = state.manners.lock().clone();
    let mut whole = bytes.to_vec();
    whole.resize((whole.len() as i64 + manners.lengthen) as usize, 0);
    if manners.corrupt && !whole.is_empty() {
        whole[0] ^= 1;
    }
    let size = whole.len() as u64;
    let unchanged = text(headers, "if-range").is_none_or(|known| known == etag);
    let asked = range(headers, size).filter(|_| unchanged && !manners.no_ranges);
    let mut response = Response::builder();
    if !manners.no_validator {
        response = response.header("etag", etag);
    }
    let (start, end) = match asked {
        Some((start, _)) if start >= size => {
            let unsatisfied = Response::builder()
                .status(StatusCode::RANGE_NOT_SATISFIABLE)
                .header("content-range", format!("bytes */{size}"));
            return unsatisfied.body(Body::empty()).unwrap();
        }
        Some((start, end)) => {
            let end = end.min(size);
            let shift = u64::from(matches!(bad, Some(Trouble::WrongRange)));
            response = response
                .status(if manners.ranges_as_200 { 200 } else { 206 })
                .header("content-range", format!("bytes {}-{}/{size}", start + shift, end - 1));
            (start, end)
        }
        None => (0, size),
    };
    let body = Bytes::from(whole).slice(start as usize..end as usize);
    response
        .header("content-length", end - start)
        .header("content-type", "application/octet-stream")
        .body(Body::from_stream(flow(state.clone(), body, bad, manners.pace)))
        .unwrap()
}

/// The body in steps of 64 KiB, counted, paced, and broken or stalled where that was asked for.
fn flow(
    state: Arc<State>,
    body: Bytes,
    bad: Option<Trouble>,
    pace: Option<std::time::Duration>,
) -> impl Stream<Item = io::Result<Bytes>> {
    let end = match bad {
        Some(Trouble::Break(at) | Trouble::Stall(at)) => at.min(body.len()),
        _ => body.len(),
    };
    let starts: Vec<usize> = (0..end).step_by(64 << 10).collect();
    let steps = stream::iter(starts).then(move |start| {
        let (state, body) = (state.clone(), body.clone());
        async move {
            if let Some(pace) = pace {
                tokio::time::sleep(pace).await;
            }
            let piece = body.slice(start..end.min(start + (64 << 10)));
            *state.sent.lock() += piece.len() as u64;
            state.changed.notify_waiters();
            Ok::<_, Infallible>(piece)
        }
    });
    let steps = steps.map(|piece| Ok(piece.unwrap_or_else(|never| match never {})));
    let tail: futures::stream::BoxStream<'static, io::Result<Bytes>> = match bad {
        Some(Trouble::Break(_)) => stream::iter([Err(io::Error::other("broken on purpose"))]).boxed(),
        Some(Trouble::Stall(_)) => stream::pending().boxed(),
        _ => stream::empty().boxed(),
    };
    steps.chain(tail)
}
