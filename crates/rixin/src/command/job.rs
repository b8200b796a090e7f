//! `rixin job`: straight on the store, with or without a running server; and `rixin job run`, the process of an attempt.

use std::path::PathBuf;

use clap::Subcommand;
use rixin_base::{Code, Fault, JobId};
use rixin_store::{Job as Row, JobQuery, JobState, Store};
use serde_json::{Value, json};

use crate::{
    context::Context,
    out::{Done, Exit, Out},
    table::{Side, Table},
    time::minute,
};

/// Lines of a log that are shown.
const LOG_EVENTS: u32 = 1000;

/// The commands under `rixin job`.
#[derive(Debug, Subcommand)]
pub enum Job {
    /// List jobs, newest first
    List {
        /// Only in this state: blocked, queued, starting, running, succeeded, failed, cancelled
        #[arg(long, value_name = "STATE")]
        state: Option<JobState>,
        /// Only of this kind
        #[arg(long, value_name = "KIND")]
        kind: Option<String>,
        /// At most so many
        #[arg(long, value_name = "COUNT", default_value_t = 50)]
        limit: u32,
    },
    /// Show a job, its attempts and its result
    Show {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Print what a job has logged
    Log {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Ask for a job's end; it leaves a checkpoint
    Cancel {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Queue a failed or cancelled job again; it goes on from its checkpoint
    Retry {
        /// Its id
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Work as one attempt of a job; the server starts it
    #[command(hide = true)]
    Run {
        /// The file that says which attempt
        #[arg(long, value_name = "FILE")]
        spec: PathBuf,
        /// End when standard input does
        #[arg(long)]
        lifeline: bool,
    },
}

impl Job {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context, &store).await;
        store.close().await;
        done
    }

    async fn on(self, context: &Context, store: &Store) -> Done {
        let scope = store.operator().default_scope().await?;
        let out = context.out;
        match self {
            Job::List { state, kind, limit } => {
                let query = JobQuery { states: state.into_iter().collect(), kind, limit, after: None };
                let page = store.jobs(&scope, &query).await?;
                list(out, &page.items);
            }
            Job::Show { id } => {
                let id = job_id(&id)?;
                let job = store.job(&scope, id).await?;
                let attempts = store.job_attempts(&scope, id).await?;
                let mut shown = told(out, &job);
                shown["attempts"] = json!(attempts);
                if out.json {
                    out.document(&shown);
                } else {
                    out.raw(&format!("{}\n", serde_json::to_string_pretty(&shown).unwrap_or_default()));
                }
            }
            Job::Log { id } => {
                for event in store.job_events_of(&scope, job_id(&id)?, "log", LOG_EVENTS).await? {
                    for line in event.data["lines"].as_array().into_iter().flatten() {
                        out.raw(&format!(
                            "{} #{} {}\n",
                            minute(event.at),
                            event.attempt,
                            line.as_str().unwrap_or_default()
                        ));
                    }
                }
            }
            Job::Cancel { id } => changed(out, &store.cancel_job(&scope, job_id(&id)?).await?),
            Job::Retry { id } => changed(out, &store.retry_job(&scope, job_id(&id)?).await?),
            // it has no use for the settings, and was run before they were read
            Job::Run { .. } => {}
        }
        Ok(Exit::Ok)
    }
}

fn job_id(text: &str) -> Result<JobId, Fault> {
    text.parse().map_err(|_| {
        Fault::new(
            Code::InvalidValue,
            format!("{text:?} is not a job's id: `rixin job list` shows them"),
            format!("{text:?} 不是任务编号：`rixin job list` 可查看"),
        )
    })
}

fn list(out: Out, jobs: &[Row]) {
    if out.json {
        let data: Vec<Value> = jobs.iter().map(|job| told(out, job)).collect();
        out.document(&json!({ "data": data }));
        return;
    }
    if jobs.is_empty() {
        out.note("there are no such jobs", "没有符合条件的任务");
        return;
    }
    let heads = out.lang.pick(
        ["ID", "KIND", "STATE", "DONE", "ATTEMPTS", "MADE (UTC)", "TITLE"],
        ["编号", "种类", "状态", "进度", "尝试次数", "创建时间（UTC）", "标题"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for job in jobs {
        let fraction = job.progress.as_ref().and_then(|progress| progress.fraction);
        table.row([
            job.id.to_string(),
            job.kind.clone(),
            job.state.as_str().into(),
            fraction.map_or_else(String::new, |fraction| format!("{:.0} %", fraction * 100.0)),
            job.attempt.to_string(),
            minute(job.created_at),
            job.title.clone(),
        ]);
    }
    out.raw(&table.render(None));
}

fn told(out: Out, job: &Row) -> Value {
    json!({
        "id": job.id,
        "kind": job.kind,
        "title": job.title,
        "state": job.state,
        "reason": job.reason.as_ref().map(|fault| fault.text(out.lang)),
        "params": job.params,
        "resources": job.resources,
        "progress": job.progress,
        "result": job.result,
        "created_at": job.created_at,
        "started_at": job.started_at,
        "ended_at": job.ended_at,
    })
}

fn changed(out: Out, job: &Row) {
    if out.json {
        out.document(&told(out, job));
    } else {
        let state = job.state.as_str();
        out.say(format!("job {} is {state}", job.id), format!("任务 {} 的状态：{state}", job.id));
    }
}
