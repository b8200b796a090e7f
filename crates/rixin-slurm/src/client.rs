//! The client: one value for a cluster, cheap to clone.

use std::{fmt, sync::Arc, time::Duration};

use http::{HeaderValue, Method};

use crate::{
    Act, Error, Job, Node, Options, ParserVersion, Phase, Ping, Refusal, Result, Server, Signal, SlurmJobId,
    Submit, SubmitToken, Suite,
    token::Tokens,
    transport::{Answer, Call, Failure, Transport},
    version::Api,
    wire::{self, PlainReply, Reply},
};

/// The largest OpenAPI document: Slurm 25's has half a megabyte.
const DOCUMENT_MOST: usize = 16 << 20;
/// The largest answer about one thing.
const ONE_MOST: usize = 4 << 20;
/// How often a request that changes nothing is sent in all, and the wait before the second time; it doubles.
const TRIES: u32 = 3;
const WAIT: Duration = Duration::from_millis(200);

struct Inner {
    server: Server,
    user: String,
    user_header: HeaderValue,
    suite: Suite,
    cluster: Option<String>,
    timeout: Duration,
    list_limit_bytes: usize,
    transport: Transport,
    tokens: Tokens,
    api: Api,
}

/// A cluster.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("server", &self.inner.server)
            .field("user", &self.inner.user)
            .field("version", &self.inner.api.version)
            .finish_non_exhaustive()
    }
}

/// A request, by what it does to the cluster.
pub(crate) struct Ask<'a> {
    act: Act,
    method: Method,
    path: String,
    query: &'a [(&'a str, &'a str)],
    body: Option<Vec<u8>>,
    limit_bytes: usize,
    /// Sending it twice does what sending it once does.
    repeatable: bool,
}

impl<'a> Ask<'a> {
    pub fn get(act: Act, path: String) -> Self {
        Self {
            act,
            method: Method::GET,
            path,
            query: &[],
            body: None,
            limit_bytes: ONE_MOST,
            repeatable: true,
        }
    }

    pub fn post(act: Act, path: String, body: &serde_json::Value) -> Self {
        let body = Some(body.to_string().into_bytes());
        Self { method: Method::POST, body, repeatable: false, ..Self::get(act, path) }
    }

    pub fn query(self, query: &'a [(&'a str, &'a str)]) -> Self {
        Self { query, ..self }
    }

    pub fn at_most(self, limit_bytes: usize) -> Self {
        Self { limit_bytes, ..self }
    }

    pub fn repeatable(self) -> Self {
        Self { repeatable: true, ..self }
    }
}

/// What a whole answer means.
enum Verdict {
    Fine,
    /// Slurm has no such thing.
    Nothing,
    /// The token is not taken. Nothing was done.
    Denied,
    /// slurmctld or slurmdbd did not answer slurmrestd, or not in a way that it understood. Slurm 22.05 says the same of a token
    /// that has ended.
    Behind(String),
    Refused(i64, String),
}

/// Slurm's errors about who one is, what is not there, and what can't be reached (slurm/slurm_errno.h).
fn judge(status: u16, errors: &[wire::WireError]) -> Verdict {
    let Some(first) = errors.iter().find(|e| e.number() != 0).or(errors.first()) else {
        return match status {
            200..=299 => Verdict::Fine,
            401 | 403 => Verdict::Denied,
            404 => Verdict::Nothing,
            502..=504 => Verdict::Behind(format!("status {status}")),
            _ => Verdict::Refused(0, format!("status {status}")),
        };
    };
    let text = || first.text();
    match first.number() {
        // invalid job id; nothing found with query
        2017 | 9003 => Verdict::Nothing,
        // protocol authentication error; the errors of the authentication plugins
        1007 | 6000..=6999 => Verdict::Denied,
        // unspecified; errors of the protocol, of sockets and of the connection to the database
        -1 | 1000..=1999 | 5000..=5999 | 7000..=7099 => Verdict::Behind(text()),
        _ if matches!(status, 401 | 403) => Verdict::Denied,
        // no number at all: what the list of nodes says of a token that has ended (22.05)
        0 if status >= 500 => Verdict::Behind(text()),
        number => Verdict::Refused(number, text()),
    }
}

impl Client {
    /// Reads the server's OpenAPI document and chooses the newest data parser that both speak. Once a process: after Slurm was
    /// upgraded, connect again.
    pub async fn connect(options: Options) -> Result<Self> {
        let user_header =
            HeaderValue::from_str(&options.user).ok().filter(|user| !user.is_empty()).ok_or_else(|| {
                Error::invalid("slurm_user", "it is the name of a user of the cluster", "应为集群用户名")
            })?;
        let transport = Transport::new(&options.server, Duration::from_secs(10).min(options.timeout))?;
        let mut inner = Inner {
            api: Api::read(&options.server, br#"{"paths":{"/slurm/v0.0.38/ping":{}}}"#)?,
            server: options.server,
            user: options.user,
            user_header,
            suite: options.suite,
            cluster: options.cluster,
            timeout: options.timeout,
            list_limit_bytes: options.list_limit_bytes,
            transport,
            tokens: Tokens::new(options.token),
        };
        let document =
            inner.fetch(&Ask::get(Act::Connect, "/openapi/v3".into()).at_most(DOCUMENT_MOST)).await?;
        if document.status != 200 {
            return Err(Error::Protocol {
                act: Act::Connect,
                why: format!("/openapi/v3 has status {}", document.status),
            });
        }
        inner.api = Api::read(&inner.server, &document.body)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The data parser that is spoken.
    pub fn version(&self) -> ParserVersion {
        self.inner.api.version
    }

    pub(crate) fn api(&self) -> &Api {
        &self.inner.api
    }

    pub(crate) fn cluster(&self) -> Option<&str> {
        self.inner.cluster.as_deref()
    }

    /// The name that a submission's job has in Slurm.
    pub fn job_name(&self, token: &SubmitToken) -> String {
        format!("{}.{token}", self.inner.suite.as_str())
    }

    /// Whether slurmctld answers.
    pub async fn ping(&self) -> Result<Ping> {
        Ok(self.read::<wire::PingReply>(Ask::get(Act::Ping, self.api().slurm("ping"))).await?.into_ping())
    }

    /// Submits a job, once. [`Error::OutcomeUnknown`] means that it may have been taken all the same: see [`Client::submit_once`].
    pub async fn submit(&self, submit: &Submit) -> Result<SlurmJobId> {
        submit.check()?;
        let body = wire::submit_request(self.version(), &self.job_name(&submit.token), submit);
        let ask = Ask::post(Act::Submit, self.api().slurm("job/submit"), &body);
        let unknown = |why: &dyn fmt::Display| Error::OutcomeUnknown {
            token: submit.token.clone(),
            why: why.to_string(),
        };
        match self.read::<wire::SubmitReply>(ask).await {
            Ok(reply) => reply.job().ok_or_else(|| unknown(&"the answer has no job number")),
            Err(
                error @ (Error::TimedOut { .. }
                | Error::ControllerDown { .. }
                | Error::Protocol { .. }
                | Error::TooLarge { .. }),
            ) => Err(unknown(&error)),
            Err(error) => Err(error),
        }
    }

    /// Submits a job unless one with its token is there, also when an earlier answer was lost. For a sender that may have died
    /// after it submitted; two senders at the same time must not use one token.
    pub async fn submit_once(&self, submit: &Submit) -> Result<SlurmJobId> {
        submit.check()?;
        if let Some(job) = self.find_by_token(&submit.token).await? {
            return Ok(job.id);
        }
        match self.submit(submit).await {
            Err(lost @ Error::OutcomeUnknown { .. }) => match self.find_by_token(&submit.token).await {
                Ok(Some(job)) => Ok(job.id),
                // Not there now; it may still arrive. The caller comes again.
                Ok(None) | Err(_) => Err(lost),
            },
            other => other,
        }
    }

    /// A job, from slurmctld, or from slurmdbd where slurmctld has forgotten it.
    pub async fn job(&self, id: SlurmJobId) -> Result<Job> {
        let reply = self
            .find::<wire::JobsReply>(Ask::get(
                Act::ReadJob,
                self.api().slurm("job/{job_id}").replace("{job_id}", &id.to_string()),
            ))
            .await?;
        let jobs = reply.map(|reply| reply.into_jobs(self.inner.suite.as_str())).unwrap_or_default();
        if let Some(job) = jobs.into_iter().find(|job| job.id == id) {
            return Ok(job);
        }
        if let Some(path) = self.api().slurmdb("job/{job_id}") {
            let path = path.replace("{job_id}", &id.to_string());
            if let Some(job) =
                self.accounted(Ask::get(Act::ReadJob, path)).await?.into_iter().rev().find(|job| job.id == id)
            {
                return Ok(job);
            }
        }
        Err(Error::JobNotFound { id })
    }

    /// The jobs of this suite that slurmctld knows: those that wait or run, and those that ended within MinJobAge.
    pub async fn jobs(&self) -> Result<Vec<Job>> {
        let ask = Ask::get(Act::ListJobs, self.api().slurm("jobs")).at_most(self.inner.list_limit_bytes);
        let mut jobs = self.read::<wire::JobsReply>(ask).await?.into_jobs(self.inner.suite.as_str());
        jobs.retain(|job| job.token.is_some());
        Ok(jobs)
    }

    /// The job that was submitted with a token, the last one if there are several; from slurmdbd where slurmctld has forgotten it.
    pub async fn find_by_token(&self, token: &SubmitToken) -> Result<Option<Job>> {
        let newest = |jobs: Vec<Job>| {
            let mut found: Vec<Job> =
                jobs.into_iter().filter(|job| job.token.as_ref() == Some(token)).collect();
            // A submission that Slurm refused for its resources leaves a failed job that never had a node.
            found.sort_by_key(|job| (job.started_at_secs.is_some() || job.phase() != Phase::Ended, job.id));
            found.pop()
        };
        if let Some(job) = newest(self.jobs().await?) {
            return Ok(Some(job));
        }
        let Some(path) = self.api().slurmdb("jobs") else { return Ok(None) };
        let name = self.job_name(token);
        let query = [("job_name", name.as_str())];
        let ask = Ask::get(Act::ListJobs, path).query(&query).at_most(self.inner.list_limit_bytes);
        Ok(newest(self.accounted(ask).await?))
    }

    /// slurmdbd's jobs; none where there is no slurmdbd.
    async fn accounted(&self, ask: Ask<'_>) -> Result<Vec<Job>> {
        match self.find::<wire::AccountedReply>(ask).await {
            Ok(Some(reply)) => Ok(reply.into_jobs(self.inner.suite.as_str())),
            Ok(None) => Ok(Vec::new()),
            Err(error) if crate::accounts::is_absent(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Sends a signal to a job. A job that has ended is left as it is.
    pub async fn cancel(&self, id: SlurmJobId, signal: Signal) -> Result<()> {
        let path = self.api().slurm("job/{job_id}").replace("{job_id}", &id.to_string());
        let query: Vec<(&str, &str)> = signal.word().map(|word| ("signal", word)).into_iter().collect();
        let ask = Ask { method: Method::DELETE, ..Ask::get(Act::Cancel, path) }.query(&query);
        // A signal that asks for something is not repeated; cancelling twice is cancelling.
        let ask = Ask { repeatable: signal == Signal::Cancel, ..ask };
        match self.find::<PlainReply>(ask).await {
            Ok(Some(_)) | Err(Error::Refused { kind: Refusal::Ended, .. }) => Ok(()),
            // slurmctld does not know it. slurmdbd may: then it has ended.
            Ok(None) => self.job(id).await.map(|_| ()),
            Err(error) => Err(error),
        }
    }

    /// The nodes.
    pub async fn nodes(&self) -> Result<Vec<Node>> {
        let ask = Ask::get(Act::ListNodes, self.api().slurm("nodes")).at_most(self.inner.list_limit_bytes);
        self.read::<wire::NodesReply>(ask).await?.into_nodes()
    }

    /// An answer that must be there.
    pub(crate) async fn read<R: Reply>(&self, ask: Ask<'_>) -> Result<R> {
        let act = ask.act;
        self.find(ask).await?.ok_or_else(|| Error::Protocol { act, why: "status 404".to_owned() })
    }

    /// An answer, or `None` where Slurm has no such thing.
    pub(crate) async fn find<R: Reply>(&self, ask: Ask<'_>) -> Result<Option<R>> {
        let answer = self.inner.fetch(&ask).await?;
        let parsed = serde_json::from_slice::<R>(&answer.body);
        let errors = parsed.as_ref().map(|reply| reply.errors().to_vec()).unwrap_or_default();
        match judge(answer.status, &errors) {
            Verdict::Nothing => Ok(None),
            Verdict::Fine => {
                parsed.map(Some).map_err(|error| Error::Protocol { act: ask.act, why: error.to_string() })
            }
            Verdict::Denied => Err(self.inner.denied()),
            Verdict::Behind(why) => {
                Err(Error::ControllerDown { server: self.inner.server.to_string(), act: ask.act, why })
            }
            Verdict::Refused(number, why) => {
                Err(Error::Refused { act: ask.act, kind: Refusal::of(number), number, why })
            }
        }
    }
}

impl Inner {
    fn denied(&self) -> Error {
        Error::Denied { server: self.server.to_string(), user: self.user.clone() }
    }

    /// A whole answer. Renews the token when it is refused, and repeats what can be repeated.
    async fn fetch(&self, ask: &Ask<'_>) -> Result<Answer> {
        let mut token = self.tokens.current().await?;
        let mut renewed = false;
        let mut tried = 1;
        loop {
            let call = Call {
                method: ask.method.clone(),
                path: &ask.path,
                query: ask.query,
                body: ask.body.as_deref(),
                limit_bytes: ask.limit_bytes,
                timeout: self.timeout,
            };
            let sent = self.transport.send(&call, &self.user_header, token.header()).await;
            let again = ask.repeatable && tried < TRIES;
            match sent {
                Ok(answer) => {
                    // Large answers are good ones: only a short one is looked into for errors here.
                    let verdict = match answer.status {
                        200..=299 if answer.body.len() > 64 << 10 => Verdict::Fine,
                        status => {
                            let reply = serde_json::from_slice::<PlainReply>(&answer.body);
                            judge(status, reply.as_ref().map(Reply::errors).unwrap_or_default())
                        }
                    };
                    let (denied, behind) =
                        (matches!(verdict, Verdict::Denied), matches!(verdict, Verdict::Behind(_)));
                    if !renewed && (denied || behind && ask.repeatable) {
                        renewed = true;
                        if let Some(other) = self.tokens.another(&token).await? {
                            token = other;
                            continue;
                        }
                    }
                    if !(behind && again) {
                        return Ok(answer);
                    }
                }
                Err(Failure::TooLarge) => {
                    return Err(Error::TooLarge { act: ask.act, limit_bytes: ask.limit_bytes });
                }
                // Nobody heard it, so it can be said again.
                Err(Failure::NotSent(why)) if tried >= TRIES => {
                    return Err(Error::Unreachable { server: self.server.to_string(), why });
                }
                Err(Failure::NotSent(_)) => {}
                Err(Failure::Broken(why)) if !again => {
                    return Err(match ask.repeatable {
                        true => Error::Unreachable { server: self.server.to_string(), why },
                        false => Error::Protocol { act: ask.act, why },
                    });
                }
                Err(Failure::TimedOut) if !again => {
                    return Err(Error::TimedOut {
                        server: self.server.to_string(),
                        act: ask.act,
                        secs: self.timeout.as_secs(),
                    });
                }
                Err(Failure::Broken(_) | Failure::TimedOut) => {}
            }
            tokio::time::sleep(WAIT * 2_u32.pow(tried - 1)).await;
            tried += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(text: &str) -> Vec<wire::WireError> {
        serde_json::from_str(text).expect("errors")
    }

    #[test]
    fn answers_as_slurm_22_05_gives_them() {
        // an unknown job
        assert!(matches!(
            judge(500, &errors(r#"[{"error_number":2017,"error":"Invalid job id specified"}]"#)),
            Verdict::Nothing
        ));
        // the same request with a token that has ended: by no means an unknown job
        let ended =
            r#"[{"description":"Unable to find JobId=1","error_number":-1,"error":"Unspecified error"}]"#;
        assert!(matches!(judge(500, &errors(ended)), Verdict::Behind(_)));
        assert!(matches!(
            judge(500, &errors(r#"[{"error_code":5005,"error":"Zero Bytes were transmitted or received"}]"#)),
            Verdict::Behind(_)
        ));
        assert!(matches!(
            judge(500, &errors(r#"[{"error_number":1007,"error":"Protocol authentication error"}]"#)),
            Verdict::Denied
        ));
        assert!(matches!(judge(500, &errors(r#"[{"error":"Unspecified error"}]"#)), Verdict::Behind(_)));
        assert!(matches!(judge(401, &[]), Verdict::Denied));
        assert!(matches!(
            judge(200, &errors(r#"[{"error_number":9003,"error":"Nothing found with query"}]"#)),
            Verdict::Nothing
        ));
        assert!(matches!(
            judge(500, &errors(r#"[{"error_code":2045,"error":"Invalid account"}]"#)),
            Verdict::Refused(2045, _)
        ));
        let parse = r#"[{"description":"Unknown key \"x\"","source":"hsearch_r"},{"error_code":9001,"error":"Failure during parsing"}]"#;
        assert!(matches!(judge(400, &errors(parse)), Verdict::Refused(9001, _)));
        assert!(matches!(judge(200, &[]), Verdict::Fine));
        assert!(matches!(judge(503, &[]), Verdict::Behind(_)));
    }
}
