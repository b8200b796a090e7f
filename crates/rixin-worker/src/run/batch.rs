//! `batch`: the requests of a file, asked of the gateway, answered in the input's order.
//!
//! An answer is kept in the transaction that also meters it, under the number of its line. So an attempt that goes on asks only lines
//! without one, and nothing is lost, answered twice or counted twice, wherever the one before was killed.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::Path,
    time::Duration,
};

use futures::{StreamExt as _, stream::FuturesUnordered};
use rixin_base::{Code, Fault, FileId};
use rixin_jobs::BatchParams;
use rixin_store::{Also, JobProgress, LedgerEntry, LineAnswer, NewFile, now_ms};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::{io::AsyncWriteExt as _, time::Instant};

use super::lines::Lines;
use crate::{
    gateway::Answer,
    work::{Done, Failure, Outcome, Work, by_code},
};

/// Lines that are asked at the same time: enough to fill a replica's batch.
const AT_ONCE: usize = 16;
/// Answers wait for company so long, or until there are so many.
const KEEP_EVERY: Duration = Duration::from_millis(200);
const KEEP_MANY: usize = 64;
/// As at OpenAI.
const LINES_MOST: u64 = 50_000;
/// Faults of the input that are told.
const FAULTS_MOST: usize = 50;

/// A line of the input.
#[derive(Deserialize)]
struct Line {
    custom_id: String,
    method: String,
    url: String,
    body: Map<String, Value>,
}

struct Asked {
    line: u64,
    custom_id: String,
    body: Value,
}

pub(super) async fn run(work: Work) -> Outcome {
    let params: BatchParams = work.params()?;
    let (path, _) = work.input_file(params.input_file_id, "input.jsonl").await?;
    let total = check(&work, &params, &path).await?;
    let answered: HashSet<u64> = work.scope.answered_lines().await?.into_iter().collect();
    if !answered.is_empty() {
        tracing::info!(answered = answered.len(), total, "goes on where the attempt before was");
    }
    answer(&work, &params, &path, total, &answered).await?;
    conclude(&work, total).await
}

/// Reads every line before the first is asked: a batch with a bad line fails as a whole, as at OpenAI, and says which.
async fn check(work: &Work, params: &BatchParams, path: &Path) -> Outcome<u64> {
    let (mut total, mut faults) = (0, Vec::new());
    let mut seen: HashMap<String, u64> = HashMap::new();
    let mut lines = Lines::open(path).await?;
    while let Some((number, line)) = lines.next().await? {
        if work.cancel.is_cancelled() {
            return Err(Failure::cancelled());
        }
        total += 1;
        let fault = match line
            .map_err(|why| ("invalid_json_line", why.to_owned(), None))
            .and_then(|text| parse(&text, params))
        {
            Ok(line) => match seen.insert(line.custom_id.clone(), number) {
                None => continue,
                Some(first) => (
                    "duplicate_custom_id",
                    format!("custom_id {:?} stands on line {} already", line.custom_id, first + 1),
                    Some("custom_id"),
                ),
            },
            Err(fault) => fault,
        };
        if faults.len() < FAULTS_MOST {
            let (code, message, param) = fault;
            faults.push(json!({ "code": code, "message": message, "param": param, "line": number + 1 }));
        }
    }
    if total == 0 {
        faults.push(
            json!({ "code": "empty_file", "message": "the file has no lines", "param": null, "line": null }),
        );
    }
    if total > LINES_MOST {
        let message = format!("the file has {total} lines: a batch has at most {LINES_MOST}");
        faults
            .insert(0, json!({ "code": "too_many_lines", "message": message, "param": null, "line": null }));
    }
    if faults.is_empty() {
        work.scope.count_batch(total, None).await?;
        return Ok(total);
    }
    let told = json!({ "object": "list", "data": faults });
    work.scope.count_batch(total, Some(&told)).await?;
    let first = &faults[0];
    let (line, why) = (first["line"].as_u64(), first["message"].as_str().unwrap_or_default());
    let at = line.map_or(String::new(), |line| format!("line {line}: "));
    let at_zh = line.map_or(String::new(), |line| format!("第 {line} 行："));
    Err(Failure::input(Fault::new(
        Code::InvalidValue,
        format!("the input file is wrong: {at}{why}; mend it and make a new batch"),
        format!("输入文件有误：{at_zh}{why}；请修正后新建批处理"),
    )))
}

type LineFault = (&'static str, String, Option<&'static str>);

fn parse(text: &str, params: &BatchParams) -> Result<Line, LineFault> {
    let line: Line =
        serde_json::from_str(text).map_err(|error| ("invalid_json_line", error.to_string(), None))?;
    if line.custom_id.is_empty() || line.custom_id.len() > 512 {
        return Err(("invalid_value", "custom_id has 1 to 512 bytes".into(), Some("custom_id")));
    }
    if line.method != "POST" {
        return Err((
            "invalid_method",
            format!("method is {:?}: it has to be POST", line.method),
            Some("method"),
        ));
    }
    if line.url != params.endpoint {
        let message = format!("url is {:?}: this batch asks {}", line.url, params.endpoint);
        return Err(("invalid_url", message, Some("url")));
    }
    if line.body.get("stream").is_some_and(|stream| stream != &Value::Bool(false)) {
        return Err(("invalid_value", "a line of a batch can't be streamed".into(), Some("body.stream")));
    }
    Ok(line)
}

/// Asks every line that has no answer yet.
async fn answer(
    work: &Work,
    params: &BatchParams,
    path: &Path,
    total: u64,
    answered: &HashSet<u64>,
) -> Outcome<()> {
    let mut lines = Lines::open(path).await?;
    let mut running = FuturesUnordered::new();
    let mut waiting: VecDeque<LineAnswer> = VecDeque::new();
    let (mut done, mut more) = (answered.len() as u64, true);
    let mut kept_at = Instant::now();
    work.reporter.progress(progress(done, total));
    loop {
        while more && running.len() < AT_ONCE && !work.cancel.is_cancelled() {
            match lines.next().await? {
                None => more = false,
                Some((number, _)) if answered.contains(&number) => {}
                Some((number, line)) => {
                    let line = line
                        .map_err(str::to_owned)
                        .and_then(|text| parse(&text, params).map_err(|fault| fault.1));
                    // it was read before: a file that changed meanwhile has another hash
                    let line = line.map_err(|why| Failure::input(Fault::internal(why)))?;
                    let asked =
                        Asked { line: number, custom_id: line.custom_id, body: Value::Object(line.body) };
                    running.push(ask(work, params, asked));
                }
            }
        }
        let next = tokio::time::timeout_at(kept_at + KEEP_EVERY, running.next());
        match next.await {
            Ok(Some(Ok(one))) => {
                done += 1;
                waiting.push_back(one);
                work.reporter.progress(progress(done, total));
            }
            Ok(Some(Err(failure))) => {
                keep(work, &mut waiting).await?;
                return Err(failure);
            }
            Ok(None) => {
                keep(work, &mut waiting).await?;
                if work.cancel.is_cancelled() {
                    return Err(Failure::cancelled());
                }
                if !more {
                    return Ok(());
                }
            }
            Err(_) => {}
        }
        if waiting.len() >= KEEP_MANY || kept_at.elapsed() >= KEEP_EVERY {
            keep(work, &mut waiting).await?;
            kept_at = Instant::now();
        }
    }
}

fn progress(done: u64, total: u64) -> JobProgress {
    JobProgress {
        fraction: Some(done as f64 / total.max(1) as f64),
        stage: "answer".into(),
        item: String::new(),
        done,
        total: Some(total),
        unit: "items".into(),
    }
}

async fn keep(work: &Work, waiting: &mut VecDeque<LineAnswer>) -> Outcome<()> {
    if !waiting.is_empty() {
        let answers: Vec<LineAnswer> = waiting.drain(..).collect();
        work.scope.answer_lines(&answers).await?;
    }
    Ok(())
}

async fn ask(work: &Work, params: &BatchParams, asked: Asked) -> Outcome<LineAnswer> {
    let Answer { status, request_id, body } =
        work.gateway.post(&params.endpoint, &asked.body, &work.cancel).await?;
    let ok = (200..300).contains(&status);
    let used = ok.then(|| LedgerEntry {
        id: format!("{}:{}", work.scope.job(), asked.line),
        tenant: work.scope.owner().tenant(),
        key: work.scope.owner().key(),
        job: Some(work.scope.job()),
        at: now_ms(),
        kind: "batch".into(),
        model: asked.body["model"].as_str().unwrap_or("default").to_owned(),
        prompt_tokens: body["usage"]["prompt_tokens"].as_u64().unwrap_or(0),
        completion_tokens: body["usage"]["completion_tokens"].as_u64().unwrap_or(0),
        price_percent: params.price_percent,
        project: None,
        images: 0,
        job_seconds: 0,
    });
    let answer = json!({
        "id": format!("batch_req_{}_{}", work.scope.job(), asked.line),
        "custom_id": asked.custom_id,
        "response": { "status_code": status, "request_id": request_id, "body": body },
        "error": null,
    });
    Ok(LineAnswer { line: asked.line, ok, answer: answer.to_string(), used })
}

/// Writes the answers and the errors into files of their own, in the input's order, and ends the job with them.
async fn conclude(work: &Work, total: u64) -> Outcome {
    work.scope.count_batch(total, None).await?;
    let batch = work.scope.batch().await?;
    let (output, errors) = (work.folder.join("output.jsonl"), work.folder.join("errors.jsonl"));
    let (mut good, mut bad) = (Writer::create(&output).await?, Writer::create(&errors).await?);
    let mut after = None;
    loop {
        let answers = work.scope.line_answers(after, 500).await?;
        let Some((last, ..)) = answers.last() else { break };
        after = Some(*last);
        for (_, ok, answer) in &answers {
            if *ok { &mut good } else { &mut bad }.line(answer).await?;
        }
    }
    let mut also = Vec::new();
    let output = file(work, &mut also, good, &output, &format!("{}_output.jsonl", batch.id)).await?;
    let errors = file(work, &mut also, bad, &errors, &format!("{}_error.jsonl", batch.id)).await?;
    also.push(Also::Batch { output, errors });
    also.push(Also::DropLines);
    for name in ["input.jsonl", "output.jsonl", "errors.jsonl"] {
        let _ = tokio::fs::remove_file(work.folder.join(name)).await;
    }
    Ok(Done {
        result: json!({
            "batch": batch.id, "total": total, "completed": batch.completed, "failed": batch.failed,
            "output_file_id": output, "error_file_id": errors,
        }),
        also,
    })
}

async fn file(
    work: &Work,
    also: &mut Vec<Also>,
    written: Writer,
    path: &Path,
    name: &str,
) -> Outcome<Option<FileId>> {
    let lines = written.close().await?;
    if lines == 0 {
        return Ok(None);
    }
    let blob = work.blobs.put_file(path).await?;
    let id = FileId::new();
    let new = NewFile {
        purpose: "batch_output".into(),
        name: name.to_owned(),
        bytes: blob.size,
        sha256: blob.sha256.to_string(),
        expires_at: None,
    };
    also.push(Also::File(new, id));
    Ok(Some(id))
}

struct Writer {
    file: tokio::io::BufWriter<tokio::fs::File>,
    path: std::path::PathBuf,
    lines: u64,
}

impl Writer {
    async fn create(path: &Path) -> Outcome<Self> {
        let file = tokio::fs::File::create(path).await.map_err(|error| unwritten(path, &error))?;
        Ok(Self { file: tokio::io::BufWriter::new(file), path: path.to_owned(), lines: 0 })
    }

    async fn line(&mut self, text: &str) -> Outcome<()> {
        self.lines += 1;
        let written = async {
            self.file.write_all(text.as_bytes()).await?;
            self.file.write_all(b"\n").await
        };
        written.await.map_err(|error| unwritten(&self.path, &error))
    }

    async fn close(mut self) -> Outcome<u64> {
        self.file.flush().await.map_err(|error| unwritten(&self.path, &error))?;
        Ok(self.lines)
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    let code = if error.kind() == std::io::ErrorKind::StorageFull { Code::DiskFull } else { Code::ReadOnly };
    by_code(Told(Fault::new(
        code,
        format!("{} can't be written: {error}", path.display()),
        format!("无法写入 {}：{error}", path.display()),
    )))
}

struct Told(Fault);

impl rixin_base::Explain for Told {
    fn code(&self) -> Code {
        self.0.code
    }
    fn message(&self) -> rixin_base::Message {
        self.0.message.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_ask_something_else_are_refused() {
        let params = BatchParams {
            endpoint: "/v1/embeddings".into(),
            input_file_id: FileId::new(),
            price_percent: 50,
        };
        let line = |custom: &str, method: &str, url: &str, body: &str| {
            format!(r#"{{"custom_id": {custom:?}, "method": {method:?}, "url": {url:?}, "body": {body}}}"#)
        };
        assert!(parse(&line("a", "POST", "/v1/embeddings", "{}"), &params).is_ok());
        for (bad, code) in [
            (line("a", "GET", "/v1/embeddings", "{}"), "invalid_method"),
            (line("a", "POST", "/v1/chat/completions", "{}"), "invalid_url"),
            (line("", "POST", "/v1/embeddings", "{}"), "invalid_value"),
            (line("a", "POST", "/v1/embeddings", r#"{"stream": true}"#), "invalid_value"),
            (line("a", "POST", "/v1/embeddings", "[]"), "invalid_json_line"),
            ("{".into(), "invalid_json_line"),
        ] {
            assert_eq!(parse(&bad, &params).err().map(|fault| fault.0), Some(code), "{bad}");
        }
    }
}
