//! `rixin members`, `projects` and `organisations`, and keys that are narrowed: straight on the store.

use std::{io::Write as _, process::Stdio};

use crate::common::Home;

const PASSWORD: &str = "correct horse battery";

/// Runs a command with a line on its standard input.
fn with_line(home: &Home, args: &[&str], line: &str) -> (Option<i32>, String) {
    let mut child = home
        .command(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("stdin").write_all(format!("{line}\n").as_bytes()).expect("written");
    let output = child.wait_with_output().expect("ends");
    (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_member_is_added_changed_and_removed() {
    let home = Home::new();
    let (code, made) = with_line(&home, &["members", "add", "Wang", "--role", "owner", "--json"], PASSWORD);
    assert_eq!(code, Some(0), "{made}");
    let made: serde_json::Value = serde_json::from_str(&made).expect("JSON");
    assert_eq!(
        (made["name"].as_str(), made["role"].as_str(), made["has_password"].as_bool()),
        (Some("wang"), Some("owner"), Some(true))
    );
    assert!(!made.to_string().contains(PASSWORD));

    let (code, _) = with_line(&home, &["members", "add", "short", "--json"], "short");
    assert_eq!(code, Some(2), "a password that is too short");
    let list = home.json(&["members", "list", "--json"]);
    assert_eq!(list["data"].as_array().map(Vec::len), Some(1), "and nobody was left behind: {list}");

    let invited = home.json(&["members", "add", "li", "--invite", "--json"]);
    assert!(
        invited["invitation"]["token"].as_str().is_some_and(|token| token.starts_with("rxi-")),
        "{invited}"
    );
    assert_eq!(home.json(&["members", "role", "li", "auditor", "--json"])["role"], "auditor");
    assert!(home.json(&["members", "disable", "LI", "--json"])["disabled_at"].is_i64());
    assert!(home.json(&["members", "enable", "li", "--json"])["disabled_at"].is_null());
    let table = home.run(&["members", "list", "--lang", "zh"]).stdout;
    assert!(table.contains("wang") && table.contains("已邀请"), "{table}");
    let (code, _) = with_line(&home, &["members", "password", "li"], "another long password");
    assert_eq!(code, Some(0));
    assert_eq!(home.run(&["members", "remove", "li"]).code, Some(0));
    let gone = home.run(&["members", "remove", "li", "--json"]);
    assert_eq!((gone.code, gone.error().0.as_str()), (Some(3), "not_found"));
    let last = home.run(&["members", "role", "wang", "member", "--json"]);
    assert_eq!((last.code, last.error().0.as_str()), (Some(1), "conflict"), "the last owner stays");
}

#[test]
fn keys_are_narrowed_and_end_with_their_project() {
    let home = Home::new();
    home.json(&["projects", "create", "statistics", "--json"]);
    let made = home.json(&[
        "keys",
        "create",
        "report",
        "--project",
        "statistics",
        "--scopes",
        "ask,own_usage",
        "--models",
        "a,b",
        "--networks",
        "10.1.2.3/8,2001:db8::1",
        "--expires",
        "90d",
        "--json",
    ]);
    assert_eq!(made["scopes"], serde_json::json!(["ask", "own_usage"]), "{made}");
    assert_eq!(made["models"], serde_json::json!(["a", "b"]));
    assert_eq!(made["networks"], serde_json::json!(["10.0.0.0/8", "2001:db8::1/128"]));
    let (made_at, ends) =
        (made["created_at"].as_i64().expect("a time"), made["expires_at"].as_i64().expect("a time"));
    assert!((ends - made_at - 90 * 86_400_000).abs() < 60_000, "{made}");
    for wrong in [["--scopes", "everything"], ["--networks", "10.0.0.0/40"], ["--expires", "soon"]] {
        let ran = home.run(&["keys", "create", "x", wrong[0], wrong[1], "--json"]);
        assert_eq!((ran.code, ran.error().0.as_str()), (Some(2), "invalid_value"), "{wrong:?}");
    }
    home.json(&["projects", "close", "statistics", "--json"]);
    assert_eq!(home.json(&["keys", "list", "--json"])["data"].as_array().map(Vec::len), Some(0));
    let closed = home.run(&["keys", "create", "y", "--project", "statistics", "--json"]);
    assert_eq!(closed.error().0, "not_found");
}

#[test]
fn organisations_are_apart() {
    let home = Home::new();
    let made = home.json(&["organisations", "create", "clinic", "--owner", "li", "--json"]);
    assert_eq!(
        (made["organisation"]["name"].as_str(), made["organisation"]["host"].as_bool()),
        (Some("clinic"), Some(false))
    );
    assert_eq!(
        home.json(&["members", "list", "--organisation", "clinic", "--json"])["data"][0]["role"],
        "owner"
    );
    assert_eq!(home.json(&["members", "list", "--json"])["data"].as_array().map(Vec::len), Some(0));
    home.json(&["keys", "create", "theirs", "--organisation", "clinic", "--json"]);
    assert_eq!(home.json(&["keys", "list", "--json"])["data"].as_array().map(Vec::len), Some(0));
    assert!(home.json(&["organisations", "disable", "clinic", "--json"])["disabled_at"].is_i64());
    let host = home.run(&["organisations", "disable", "default", "--json"]);
    assert_eq!(host.code, Some(2), "the host stays: {host:?}");
    let table = home.run(&["organisations", "list"]).stdout;
    assert!(table.contains("clinic") && table.contains("disabled") && table.contains("host"), "{table}");
}
