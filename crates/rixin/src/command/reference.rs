//! `rixin reference`: the pages docs/cli.md and docs/cli.zh-CN.md, from the command tree itself.

use clap::{Args, Command};
use rixin_base::Lang;

use crate::{
    context::Context,
    out::{Done, Exit},
    text,
};

/// Flags of `rixin reference`.
#[derive(Args, Debug)]
pub struct Reference {}

impl Reference {
    /// Prints the page of the caller's language.
    pub fn run(&self, context: &Context) -> Done {
        context.out.raw(&page(context.out.lang));
        Ok(Exit::Ok)
    }
}

/// The whole page.
pub fn page(lang: Lang) -> String {
    let mut root = text::command(lang).term_width(100);
    root.build();
    let mut page = lang
        .pick(
            "# The `rixin` command\n\n\
             Made by `rixin --lang en reference`; a test fails when this page and the binary differ. \
             中文版：[cli.zh-CN.md](cli.zh-CN.md).\n\n\
             Every command takes `--lang`, `--config`, `--data-dir`, `--set`, `--json`, `--log` and `-v`. With `--json` standard \
             output is one JSON document, and an error is one line `{\"error\":{\"code\":...,\"message\":...}}` on standard error.\n\n\
             | exit code | means |\n|---|---|\n\
             | 0 | done |\n| 1 | it did not work; the message says why |\n| 2 | the command line or a setting is wrong |\n\
             | 3 | the model, key or setting that was named is not there |\n| 130 | interrupted |\n",
            "# `rixin` 命令\n\n\
             本页由 `rixin --lang zh reference` 生成；与程序不一致时测试会失败。English: [cli.md](cli.md).\n\n\
             每个命令都接受 `--lang`、`--config`、`--data-dir`、`--set`、`--json`、`--log` 和 `-v`。加上 `--json` 时，标准输出是一个 JSON \
             文档，出错时标准错误上有一行 `{\"error\":{\"code\":...,\"message\":...}}`。\n\n\
             | 退出码 | 含义 |\n|---|---|\n\
             | 0 | 完成 |\n| 1 | 未成功，原因见消息 |\n| 2 | 命令行或设置有误 |\n\
             | 3 | 指定的模型、密钥或设置不存在 |\n| 130 | 被中断 |\n",
        )
        .to_owned();
    section(&mut root, "rixin", true, &mut page);
    page
}

fn section(command: &mut Command, path: &str, global: bool, page: &mut String) {
    let mut shown = command.clone();
    if !global {
        // Said once, at the top.
        shown = shown.mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    }
    let help = shown.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## `{path}`\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    for sub in command.get_subcommands_mut() {
        if !sub.is_hide_set() {
            let path = format!("{path} {}", sub.get_name());
            section(sub, &path, false, page);
        }
    }
}
