//! `rixin chat` with the real SmolLM2: without a server, through a pipe, and against a server.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::common::{Home, Ran, Server};

const MODEL: &str = "smollm2-135m-instruct";

fn home() -> Option<Home> {
    let file = crate::common::smollm2()?;
    let home = Home::new();
    let file = file.display().to_string();
    home.json(&["models", "import", &file, "--id", MODEL, "--licence", "Apache-2.0", "--yes", "--json"]);
    Some(home)
}

fn piped(mut command: Command, text: &str) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("piped").write_all(text.as_bytes()).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn one_question_without_a_server() {
    let Some(home) = home() else { return };
    let question = "What is the capital of France? Answer in one sentence.";
    let greedy = ["chat", "-p", question, "--temperature", "0", "--max-tokens", "40"];
    let asked = home.run(&greedy);
    assert_eq!(asked.code, Some(0), "{asked:?}");
    assert!(asked.stdout.contains("Paris"), "{asked:?}");

    let json = home.json(&[&greedy[..], &["--json"]].concat());
    assert_eq!(json["content"].as_str().map(str::trim), Some(asked.stdout.trim()));
    assert_eq!((json["model"].as_str(), json["finish_reason"].as_str()), (Some(MODEL), Some("stop")));
    assert!(json["usage"]["completion_tokens"].as_u64() > Some(0));

    let mut command = home.command(&["chat", MODEL, "--temperature", "0", "--max-tokens", "40", "-v"]);
    command.stdin(Stdio::piped());
    let through = piped(command, question);
    assert_eq!(through.stdout.trim(), asked.stdout.trim());
    assert!(through.stderr.contains("prompt tokens"), "{through:?}");
}

#[test]
fn against_a_server() {
    let Some(home) = home() else { return };
    let server = Server::start(&home, &[]);
    let key = server.ready["admin_key"].as_str().expect("the first key").to_owned();
    let elsewhere = Home::new();
    let url = server.url();
    let ask = ["chat", MODEL, "-p", "Say: yes", "--max-tokens", "8", "--json", "--server", &url];
    let asked = elsewhere.json(&[&ask[..], &["--key", &key]].concat());
    assert!(asked["usage"]["prompt_tokens"].as_u64() > Some(0), "{asked}");
    let refused = elsewhere.run(&ask);
    assert_eq!((refused.code, refused.error().0.as_str()), (Some(1), "missing_api_key"));
    assert!(refused.error().1.contains("RIXIN_KEY"), "{refused:?}");
    let unknown = elsewhere.run(&["chat", "nobody", "-p", "x", "--server", &url, "--key", &key, "--json"]);
    assert_eq!((unknown.code, unknown.error().0.as_str()), (Some(3), "model_not_found"));
}

#[test]
fn mistakes_are_named() {
    let home = Home::new();
    let missing = home.run(&["chat", "-p", "hello", "--json"]);
    assert_eq!((missing.code, missing.error().0.as_str()), (Some(3), "model_not_found"), "{missing:?}");
    assert!(missing.error().1.contains("rixin models pull smollm2-135m-instruct"), "{missing:?}");
    let hot = home.run(&["chat", "-p", "hello", "--temperature", "9", "--json"]);
    assert_eq!((hot.code, hot.error().0.as_str()), (Some(2), "invalid_value"));
    let empty = home.run(&["chat", "-p", " ", "--json"]);
    assert_eq!(empty.code, Some(2), "{empty:?}");
    let port = crate::common::free_port();
    let nobody = home.run(&["chat", "-p", "x", "--server", &format!("http://127.0.0.1:{port}"), "--json"]);
    assert_eq!((nobody.code, nobody.error().0.as_str()), (Some(1), "bad_upstream"));
    let away =
        home.run(&["chat", "-p", "x", "--server", "http://example.com", "--json", "--set", "offline=1"]);
    assert_eq!((away.code, away.error().0.as_str()), (Some(1), "offline"));
}
