//! Programs that sources and parts call, and the server's port.

use std::{net::TcpListener, process::Command};

use rixin_base::Settings;

use super::Check;

/// Programs and port.
pub fn checks(settings: &Settings) -> Vec<Check> {
    let pip = program(
        "pip",
        &settings.pip,
        ("pypi: sources, among them the default model", "pypi: 源（包括默认模型）"),
        install("python3 python3-pip", "python3 python3-pip"),
    );
    let npm = program("npm", &settings.npm, ("npm: sources", "npm: 源"), install("npm", "npm"));
    let ffmpeg =
        program("ffmpeg", "ffmpeg", ("audio and video", "音频与视频"), install("ffmpeg", "ffmpeg-free"));
    vec![pip, npm, ffmpeg, port(settings)]
}

/// Runs `command --version`. A missing one is a note: other sources work without it.
fn program(id: &'static str, command: &str, (en, zh): (&str, &str), mend: String) -> Check {
    match version(id, command) {
        Some(version) => Check::ok(id, format!("{id}: {version}"), format!("{id}：{version}")),
        None => Check::note(
            id,
            format!("{id}: `{command}` does not run; it is needed for {en}"),
            format!("{id}：`{command}` 无法运行；用于{zh}"),
        )
        .command(mend),
    }
}

fn version(id: &str, command: &str) -> Option<String> {
    let mut words = command.split_whitespace();
    let flag = if id == "ffmpeg" { "-version" } else { "--version" };
    let output = Command::new(words.next()?).args(words).arg(flag).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim();
    // "pip 25.1.1 from /usr/lib/... (python 3.13)", "ffmpeg version 7.1 Copyright ..."
    let short: Vec<&str> =
        line.split_whitespace().take_while(|word| !matches!(*word, "from" | "Copyright")).collect();
    Some(short.join(" "))
}

/// The line that installs a package with this system's package manager.
fn install(debian: &str, fedora: &str) -> String {
    let there = |name: &str| {
        std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(name).is_file()))
    };
    if !there("apt-get") && there("dnf") {
        return format!("sudo dnf install {fedora}");
    }
    format!("sudo apt-get install {debian}")
}

fn port(settings: &Settings) -> Check {
    let listen = settings.listen;
    match TcpListener::bind(listen) {
        Ok(_) => Check::ok("port", format!("address {listen} is free"), format!("地址 {listen} 空闲")),
        Err(error) => Check::note(
            "port",
            format!("address {listen} can't be had: {error} (a running `rixin serve` holds it too)"),
            format!("地址 {listen} 不可用：{error}（正在运行的 `rixin serve` 也会占用它）"),
        )
        .mend("rixin serve --port PORT, or RIXIN_LISTEN", "rixin serve --port 端口，或设置 RIXIN_LISTEN"),
    }
}
