//! Jobs: of slurmctld, and of slurmdbd after slurmctld has forgotten them.

use serde::Deserialize;
use serde_json::Value;

use super::{Number, Reply, WireError, Words, nullable};
use crate::{Exit, GresEntry, Job, Phase, Record, SlurmJobId, State, SubmitToken, parse_gres};

/// slurmctld's jobs.
#[derive(Deserialize)]
pub(crate) struct JobsReply {
    #[serde(default, deserialize_with = "nullable")]
    jobs: Vec<WireJob>,
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireJob {
    job_id: Number,
    name: Option<String>,
    comment: Option<String>,
    account: Option<String>,
    user_name: Option<String>,
    partition: Option<String>,
    job_state: Words,
    state_reason: Option<String>,
    state_description: Option<String>,
    exit_code: Value,
    nodes: Option<String>,
    restart_cnt: Number,
    submit_time: Number,
    start_time: Number,
    end_time: Number,
    gres_detail: Value,
}

/// The token in a job's name, `SUITE.TOKEN`.
fn token_of(name: &str, suite: &str) -> Option<SubmitToken> {
    name.strip_prefix(suite)?.strip_prefix('.')?.parse().ok()
}

/// `None` and `null` are Slurm's words for no reason.
fn reason_of(text: Option<String>) -> Option<String> {
    text.filter(|t| !t.is_empty() && t != "None")
}

/// Of a wait status (v0.0.38, v0.0.39), or of the later ones' object.
fn exit_of(value: &Value) -> Option<Exit> {
    let Some(fields) = value.as_object() else { return Exit::of_wait_status(Number::of(value).0?) };
    if fields.contains_key("number") {
        return Exit::of_wait_status(Number::of(value).0?);
    }
    let byte = |value: Option<&Value>| value.and_then(|v| Number::of(v).0).and_then(|n| u8::try_from(n).ok());
    let status = fields.get("status").map(Words::of).unwrap_or_default().0;
    let is = |word: &str| status.iter().any(|w| w == word);
    if is("PENDING") || is("INVALID") {
        return None;
    }
    let signal = fields.get("signal").and_then(|s| byte(s.get("id").or_else(|| s.get("signal_id"))));
    match signal {
        Some(signal) if signal > 0 => Some(Exit::Signal(signal)),
        _ if is("SIGNALED") || is("CORE_DUMPED") => None,
        _ => byte(fields.get("return_code")).map(Exit::Code),
    }
}

/// One text a node. What can't be read is left out: it is for show, and [`crate::devices`] reads the node's own.
fn gres_of(value: &Value) -> Vec<Vec<GresEntry>> {
    let texts = value.as_array().map(Vec::as_slice).unwrap_or_default();
    texts.iter().take(10_000).filter_map(Value::as_str).filter_map(|text| parse_gres(text).ok()).collect()
}

impl WireJob {
    fn into_job(self, suite: &str) -> Option<Job> {
        let mut state = State::of(&self.job_state.0);
        let mut reason = reason_of(self.state_reason);
        // Slurm tries no more by itself, and says so in no state (22.05): a node refused the job that was requeued to it.
        let held = self.state_description.filter(|text| text.contains("requeued held"));
        if let Some(held) = held.filter(|_| state == State::Pending) {
            (state, reason) = (State::Held, Some(held));
        }
        let name = self.name.unwrap_or_default();
        let over = state.phase() == Phase::Ended;
        Some(Job {
            id: SlurmJobId::new(self.job_id.0?)?,
            token: token_of(&name, suite),
            name,
            comment: self.comment.unwrap_or_default(),
            account: self.account.unwrap_or_default(),
            user: self.user_name.unwrap_or_default(),
            partition: self.partition.unwrap_or_default(),
            reason,
            exit: over.then(|| exit_of(&self.exit_code)).flatten(),
            nodes: self.nodes.unwrap_or_default(),
            restarts: self.restart_cnt.u32(),
            submitted_at_secs: self.submit_time.time(),
            started_at_secs: self.start_time.time(),
            ended_at_secs: self.end_time.time(),
            gres: gres_of(&self.gres_detail),
            record: Record::Controller,
            state,
        })
    }
}

impl JobsReply {
    pub fn into_jobs(self, suite: &str) -> Vec<Job> {
        self.jobs.into_iter().filter_map(|job| job.into_job(suite)).collect()
    }
}

impl Reply for JobsReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

/// slurmdbd's jobs.
#[derive(Deserialize)]
pub(crate) struct AccountedReply {
    #[serde(default, deserialize_with = "nullable")]
    jobs: Vec<WireAccounted>,
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct WireAccounted {
    job_id: Number,
    name: Option<String>,
    comment: Value,
    account: Option<String>,
    user: Option<String>,
    partition: Option<String>,
    state: Value,
    exit_code: Value,
    nodes: Option<String>,
    restart_cnt: Number,
    time: Value,
}

impl WireAccounted {
    fn into_job(self, suite: &str) -> Option<Job> {
        let state = State::of(&self.state.get("current").map(Words::of).unwrap_or_default().0);
        let name = self.name.unwrap_or_default();
        let time = |field: &str| self.time.get(field).map_or(Number(None), Number::of).time();
        let over = state.phase() == Phase::Ended;
        // v0.0.38 reports code 0 for whatever the script returned: a failed job without signal has no known code there.
        let exit = over
            .then(|| exit_of(&self.exit_code))
            .flatten()
            .filter(|exit| *exit != Exit::Code(0) || state == State::Completed);
        Some(Job {
            id: SlurmJobId::new(self.job_id.0?)?,
            token: token_of(&name, suite),
            name,
            comment: self.comment.get("job").and_then(Value::as_str).unwrap_or_default().to_owned(),
            account: self.account.unwrap_or_default(),
            user: self.user.unwrap_or_default(),
            partition: self.partition.unwrap_or_default(),
            reason: reason_of(self.state.get("reason").and_then(Value::as_str).map(str::to_owned)),
            exit,
            nodes: self.nodes.unwrap_or_default(),
            restarts: self.restart_cnt.u32(),
            submitted_at_secs: time("submission"),
            started_at_secs: time("start"),
            ended_at_secs: time("end"),
            gres: Vec::new(),
            record: Record::Accounting,
            state,
        })
    }
}

impl AccountedReply {
    pub fn into_jobs(self, suite: &str) -> Vec<Job> {
        self.jobs.into_iter().filter_map(|job| job.into_job(suite)).collect()
    }
}

impl Reply for AccountedReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(text: &str) -> Vec<Job> {
        serde_json::from_str::<JobsReply>(text).expect("a reply").into_jobs("rixin")
    }

    fn accounted(text: &str) -> Vec<Job> {
        serde_json::from_str::<AccountedReply>(text).expect("a reply").into_jobs("rixin")
    }

    #[test]
    fn v0_0_38_as_recorded() {
        let all = jobs(include_str!("../../tests/fixtures/v0.0.38_jobs.json"));
        let by = |id| all.iter().find(|job| job.id.get() == id).expect("the job");
        let running = by(1);
        assert_eq!((&running.state, running.exit, running.reason.as_deref()), (&State::Running, None, None));
        assert_eq!(running.gres[0][0].indices, Some(vec![0, 1]));
        assert_eq!(running.token.as_ref().map(SubmitToken::as_str), Some("job_a-1"));
        let failed = by(4);
        assert_eq!((&failed.state, failed.exit), (&State::Failed, Some(Exit::Code(7))));
        assert_eq!(failed.reason.as_deref(), Some("NonZeroExitCode"));
        assert_eq!(failed.token, None);
        assert_eq!(by(5).exit, Some(Exit::Signal(15)));
    }

    /// As 22.05 told of a job whose next node still had its first process.
    #[test]
    fn a_job_that_slurm_tries_no_more_is_held() {
        let all = jobs(
            r#"{"jobs": [{"job_id": 2, "job_state": "PENDING", "state_reason": "JobHeldUser",
                "state_description": "launch failed requeued held", "priority": 0, "restart_cnt": 3, "nodes": ""},
                {"job_id": 3, "job_state": "PENDING", "state_reason": "JobHeldUser", "state_description": ""}]}"#,
        );
        assert_eq!(all[0].state, State::Held);
        assert_eq!(all[0].reason.as_deref(), Some("launch failed requeued held"));
        assert_eq!(all[1].state, State::Pending, "somebody's own hold is theirs to end");
    }

    #[test]
    fn later_versions() {
        for text in [
            include_str!("../../tests/fixtures/v0.0.39_jobs.json"),
            include_str!("../../tests/fixtures/v0.0.40_jobs.json"),
            include_str!("../../tests/fixtures/v0.0.42_jobs.json"),
        ] {
            let all = jobs(text);
            assert_eq!(all.len(), 3);
            assert_eq!((&all[0].state, all[0].restarts, all[0].exit), (&State::Running, 2, None));
            assert_eq!(all[0].started_at_secs, Some(1_795_606_525));
            assert_eq!(all[0].gres[0][0].count, 2);
            assert_eq!((&all[1].state, all[1].exit), (&State::Failed, Some(Exit::Code(7))));
            assert_eq!(all[2].phase(), Phase::Waiting);
            assert_eq!(all[2].reason.as_deref(), Some("Resources"));
            assert_eq!(all[2].started_at_secs, None);
        }
    }

    #[test]
    fn accounting() {
        let old = accounted(include_str!("../../tests/fixtures/v0.0.38_accounted.json"));
        assert_eq!((&old[0].state, old[0].exit, old[0].record), (&State::Failed, None, Record::Accounting));
        assert_eq!(old[1].exit, Some(Exit::Signal(15)));
        let new = accounted(include_str!("../../tests/fixtures/v0.0.42_accounted.json"));
        assert_eq!((&new[0].state, new[0].exit), (&State::Failed, Some(Exit::Code(7))));
        assert_eq!(new[0].ended_at_secs, Some(1_795_606_675));
    }
}
