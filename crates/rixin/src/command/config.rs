//! `rixin config`.

use clap::Subcommand;
use rixin_base::{Code, Fault, Origin};
use serde_json::json;

use crate::{
    context::Context,
    out::{Done, Exit},
    table::{Side, Table},
};

/// The commands under `rixin config`.
#[derive(Debug, Subcommand)]
pub enum Config {
    /// Show every setting: value, where it came from, and its environment variable
    Show {
        /// Only this setting
        #[arg(value_name = "NAME")]
        name: Option<String>,
    },
    /// Print the path of the configuration file that is read
    Path,
}

impl Config {
    /// Runs it.
    pub fn run(&self, context: &Context) -> Done {
        match self {
            Config::Show { name } => show(context, name.as_deref()),
            Config::Path => path(context),
        }
    }
}

fn show(context: &Context, name: Option<&str>) -> Done {
    let out = context.out;
    let wanted = name.map(|name| name.replace('-', "_").to_lowercase());
    let rows: Vec<_> = context
        .resolved
        .rows
        .iter()
        .filter(|row| {
            wanted.as_deref().is_none_or(|name| row.name == name || row.env.eq_ignore_ascii_case(name))
        })
        .collect();
    if let (Some(name), true) = (name, rows.is_empty()) {
        return Err(Fault::new(
            Code::NotFound,
            format!("there is no setting {name:?}: `rixin config show` lists them all"),
            format!("没有名为 {name:?} 的设置：`rixin config show` 列出全部设置"),
        ));
    }
    if out.json {
        out.document(&json!({"file": context.resolved.file, "settings": rows}));
        return Ok(Exit::Ok);
    }
    let heads = out.lang.pick(
        ["SETTING", "VALUE", "FROM", "ENVIRONMENT", "WHAT"],
        ["设置", "值", "来源", "环境变量", "说明"],
    );
    let mut table = Table::new(&heads.map(|head| (head, Side::Left)));
    for row in rows {
        let origin = match row.origin {
            Origin::Default => out.lang.pick("default", "默认"),
            Origin::File => out.lang.pick("file", "文件"),
            Origin::Environment => out.lang.pick("environment", "环境变量"),
            Origin::Flag => out.lang.pick("flag", "命令行"),
        };
        let value = if row.value.is_empty() { "-".to_owned() } else { row.value.clone() };
        table.row([row.name.into(), value, origin.into(), row.env.into(), row.help.text(out.lang).into()]);
    }
    out.raw(&table.render(None));
    match &context.resolved.file {
        Some(file) => out.note(format!("file: {}", file.display()), format!("配置文件：{}", file.display())),
        None => {
            let path = expected(context);
            out.note(
                format!("no configuration file; one at {} would be read", path.display()),
                format!("没有配置文件；若有 {} 则会读取", path.display()),
            );
        }
    }
    Ok(Exit::Ok)
}

fn expected(context: &Context) -> std::path::PathBuf {
    context.settings().data_dir.join("rixin.toml")
}

fn path(context: &Context) -> Done {
    let out = context.out;
    let path = context.resolved.file.clone().unwrap_or_else(|| expected(context));
    if out.json {
        out.document(&json!({"path": path, "exists": context.resolved.file.is_some()}));
        return Ok(Exit::Ok);
    }
    out.line(&path.display().to_string());
    if context.resolved.file.is_none() {
        out.note(
            "(it does not exist; every setting has its default or comes from the environment)",
            "（文件不存在；所有设置取默认值或来自环境变量）",
        );
    }
    Ok(Exit::Ok)
}
