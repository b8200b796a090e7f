//! A submission, in each version's words.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Number, Reply, WireError, nullable};
use crate::{ParserVersion, SlurmJobId, Submit};

/// What a job finds its programs by, if the sender does not say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The body of a submission.
pub(crate) fn submit_request(version: ParserVersion, name: &str, submit: &Submit) -> Value {
    let old = version == ParserVersion::OLDEST;
    let mut job = Map::new();
    let mut put = |key: &str, value: Value| job.insert(key.to_owned(), value);
    put("name", json!(name));
    put("comment", json!(submit.comment));
    put("current_working_directory", json!(submit.cwd));
    put("standard_output", json!(submit.stdout));
    put("standard_error", json!(submit.stderr));
    put("tasks", json!(1));
    put("cpus_per_task", json!(submit.cpus));
    put("requeue", json!(submit.requeue));
    if !submit.account.is_empty() {
        put("account", json!(submit.account));
    }
    if !submit.partition.is_empty() {
        put("partition", json!(submit.partition));
    }
    if !submit.dependencies.is_empty() {
        put("dependency", json!(submit.dependency_text()));
    }
    let count = |number: u64| json!({ "set": true, "infinite": false, "number": number });
    let gres = submit.gres_text();
    let mut environment = submit.environment.clone();
    environment.entry("PATH".into()).or_insert_with(|| PATH.into());
    if old {
        put("environment", json!(environment));
        put("memory_per_node", json!(submit.memory_mib()));
        put("nodes", json!([1, 1]));
        put("open_mode", json!("append"));
        put("kill_on_invalid_dependency", json!(true));
        if let Some(minutes) = submit.minutes() {
            put("time_limit", json!(minutes));
        }
        if !gres.is_empty() {
            put("gres", json!(gres));
        }
    } else {
        put("environment", json!(environment.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>()));
        put("memory_per_node", count(submit.memory_mib()));
        put("minimum_nodes", json!(1));
        put("maximum_nodes", json!(1));
        put("open_mode", json!(["APPEND"]));
        put("flags", json!(["KILL_INVALID_DEPENDENCY"]));
        if let Some(minutes) = submit.minutes() {
            put("time_limit", count(minutes));
        }
        if !gres.is_empty() {
            // Slurm 23.02 still writes `gres:gpu:1`; from 23.11 on it is `gres/gpu:1`.
            let sign = if version.number() < 40 { ':' } else { '/' };
            let each: Vec<String> = gres.split(',').map(|one| format!("gres{sign}{one}")).collect();
            put("tres_per_node", json!(each.join(",")));
        }
    }
    json!({ "script": submit.script, "job": job })
}

/// The answer to a submission.
#[derive(Deserialize)]
pub(crate) struct SubmitReply {
    #[serde(default)]
    job_id: Number,
    #[serde(default, deserialize_with = "nullable")]
    errors: Vec<WireError>,
}

impl SubmitReply {
    pub fn job(&self) -> Option<SlurmJobId> {
        SlurmJobId::new(self.job_id.0?)
    }
}

impl Reply for SubmitReply {
    fn errors(&self) -> &[WireError] {
        &self.errors
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::submit::example;

    #[test]
    fn each_version_has_its_shape() {
        for version in ParserVersion::all() {
            let body = submit_request(version, "rixin.job_1-1", &example());
            let job = &body["job"];
            assert_eq!(job["name"], "rixin.job_1-1");
            if version.number() == 38 {
                assert_eq!(job["gres"], "gpu:h100:2,mlu:1");
                assert_eq!(job["environment"]["A"], "b c");
                assert_eq!((&job["time_limit"], &job["memory_per_node"]), (&json!(2), &json!(101)));
                assert!(job.get("tres_per_node").is_none());
            } else {
                let sign = if version.number() == 39 { ':' } else { '/' };
                assert_eq!(job["tres_per_node"], format!("gres{sign}gpu:h100:2,gres{sign}mlu:1"));
                assert!(job["environment"].as_array().expect("a list").contains(&json!("A=b c")));
                assert_eq!(job["time_limit"]["number"], 2);
                assert!(job.get("gres").is_none());
            }
        }
    }

    /// The names and types of the fields that are sent, as the servers' OpenAPI documents give them.
    #[test]
    fn the_documents_know_every_field() {
        for (version, text) in [
            (38, include_str!("../../tests/fixtures/v0.0.38_submit_schema.json")),
            (41, include_str!("../../tests/fixtures/v0.0.41_submit_schema.json")),
            (42, include_str!("../../tests/fixtures/v0.0.42_submit_schema.json")),
            (44, include_str!("../../tests/fixtures/v0.0.44_submit_schema.json")),
        ] {
            let schema: Map<String, Value> = serde_json::from_str(text).expect("JSON");
            let version = ParserVersion::all().find(|v| v.number() == version).expect("known");
            let mut submit = example();
            submit.partition = "p".into();
            submit.dependencies = vec![crate::Dependency::Success(SlurmJobId::new(1).expect("an id"))];
            let body = submit_request(version, "n", &submit);
            for (key, value) in body["job"].as_object().expect("an object") {
                let given = match value {
                    Value::String(_) => "string",
                    Value::Bool(_) => "boolean",
                    Value::Number(_) => "integer",
                    Value::Array(_) => "array",
                    _ => "object",
                };
                assert_eq!(schema.get(key).and_then(Value::as_str), Some(given), "{version} {key}");
            }
        }
    }
}
