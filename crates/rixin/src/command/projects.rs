//! `rixin projects`: what service keys are for, straight on the store.

use clap::Subcommand;
use rixin_base::{Code, Fault, ProjectId};
use rixin_store::{Project, Store, TenantScope};
use serde_json::json;

use crate::{
    command::members::scope,
    context::Context,
    out::{Done, Exit, Out},
    table::{Side, Table},
    time::minute,
};

/// The commands under `rixin projects`.
#[derive(Debug, Subcommand)]
pub enum Projects {
    /// Begin a project
    Create {
        /// Its name
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// List projects
    List {
        /// Closed ones too
        #[arg(long)]
        all: bool,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
    /// Close a project; its keys end
    Close {
        /// Its name or id
        #[arg(value_name = "NAME")]
        name: String,
        /// The organisation; the host if absent
        #[arg(long, value_name = "NAME")]
        organisation: Option<String>,
    },
}

impl Projects {
    /// Runs it.
    pub async fn run(self, context: Context) -> Done {
        let store = Store::open_settings(context.settings()).await?;
        let done = self.on(&context.out, &store).await;
        store.close().await;
        done
    }

    async fn on(self, out: &Out, store: &Store) -> Done {
        match self {
            Projects::Create { name, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                let project = store.create_project(&scope, &name).await?;
                told(out, &project, "was begun", "已创建")
            }
            Projects::List { all, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                let mut projects = store.projects(&scope).await?;
                projects.retain(|project| all || project.closed_at.is_none());
                list(out, &projects)
            }
            Projects::Close { name, organisation } => {
                let scope = scope(store, organisation.as_deref()).await?;
                let id = find(store, &scope, &name).await?;
                let project = store.close_project(&scope, id).await?;
                told(out, &project, "is closed, and its keys have ended", "已关闭，其密钥已失效")
            }
        }
    }
}

/// The open project of a name, or the one of an id.
pub(crate) async fn find(store: &Store, scope: &TenantScope, given: &str) -> Result<ProjectId, Fault> {
    let id = given.parse::<ProjectId>().ok();
    let projects = store.projects(scope).await?;
    let fits = |project: &&Project| {
        Some(project.id) == id || (project.name == given.trim() && project.closed_at.is_none())
    };
    projects.iter().find(fits).map(|project| project.id).ok_or_else(|| {
        Fault::new(
            Code::NotFound,
            format!("there is no open project {given:?}: `rixin projects list` shows them"),
            format!("没有名为 {given:?} 的项目：`rixin projects list` 可查看"),
        )
    })
}

fn told(out: &Out, project: &Project, en: &str, zh: &str) -> Done {
    if out.json {
        out.document(project);
    } else {
        let name = &project.name;
        out.say(format!("project {name:?} {en}"), format!("项目 {name:?} {zh}"));
    }
    Ok(Exit::Ok)
}

fn list(out: &Out, projects: &[Project]) -> Done {
    if out.json {
        out.document(&json!({"data": projects}));
        return Ok(Exit::Ok);
    }
    if projects.is_empty() {
        out.note("there are no projects: rixin projects create NAME", "没有项目：rixin projects create 名称");
        return Ok(Exit::Ok);
    }
    let heads =
        out.lang.pick(["NAME", "BEGUN (UTC)", "STATE", "ID"], ["名称", "创建时间（UTC）", "状态", "编号"]);
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for project in projects {
        let state = match project.closed_at {
            None => out.lang.pick("open", "进行中").to_owned(),
            Some(at) => format!("{} {}", out.lang.pick("closed", "已关闭"), minute(at)),
        };
        table.row([project.name.clone(), minute(project.created_at), state, project.id.to_string()]);
    }
    out.raw(&table.render(None));
    Ok(Exit::Ok)
}
