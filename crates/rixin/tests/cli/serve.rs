//! `rixin serve`: starting, refusing to start, stopping.

use std::net::TcpListener;

use crate::common::{Home, Server};
use rustix::process::{Signal, kill_process};

#[test]
fn ready_with_the_admin_key_once_and_a_clean_end() {
    let home = Home::new();
    let mut first = Server::start(&home, &[]);
    assert_eq!(first.ready["event"], "ready");
    let key = first.ready["admin_key"].as_str().expect("the first key").to_owned();
    assert!(key.starts_with("rx-"));
    for entry in walk(home.path()) {
        let bytes = std::fs::read(&entry).unwrap_or_default();
        assert!(
            !bytes.windows(key.len()).any(|part| part == key.as_bytes()),
            "the key stands in {}",
            entry.display()
        );
    }
    kill_process(first.pid(), Signal::TERM).expect("it runs");
    assert_eq!(first.child.wait().expect("it ends").code(), Some(0));

    let second = Server::start(&home, &[]);
    assert!(second.ready.get("admin_key").is_none(), "{}", second.ready);
}

fn walk(dir: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

#[test]
fn a_taken_port_is_named_with_a_free_one() {
    let home = Home::new();
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let ran = home.run(&["serve", "--port", &port, "--json"]);
    let (code, message) = ran.error();
    assert_eq!((ran.code, code.as_str()), (Some(1), "port_in_use"));
    assert!(message.contains(&port) && message.contains("--port"), "{message}");
    let zh = home.run(&["serve", "--port", &port, "--lang", "zh"]);
    assert!(zh.stderr.contains("已有程序在监听"), "{zh:?}");
}

#[test]
fn one_server_a_data_folder() {
    let home = Home::new();
    let first = Server::start(&home, &[]);
    let ran = home.run(&["serve", "--port", "0", "--json"]);
    let (code, message) = ran.error();
    assert_eq!((ran.code, code.as_str()), (Some(1), "conflict"));
    assert!(message.contains(&first.child.id().to_string()) && message.contains(&first.url()), "{message}");
    // Keys are made beside the running server.
    assert_eq!(home.run(&["keys", "create", "beside"]).code, Some(0));
}

#[test]
fn a_folder_that_can_not_be_written() {
    let home = Home::new();
    // Nobody makes folders there, not even root.
    let inside = "/sys/rixin-test";
    let ran = home.run(&["serve", "--data-dir", inside, "--json"]);
    let (code, message) = ran.error();
    assert_eq!((ran.code, code.as_str()), (Some(1), "read_only"));
    assert!(message.contains(inside) && message.contains("--data-dir"), "{message}");
}

#[test]
fn a_wrong_address_is_a_wrong_setting() {
    let home = Home::new();
    let ran = home.run(&["serve", "--listen", "everywhere", "--json"]);
    assert_eq!((ran.code, ran.error().0.as_str()), (Some(2), "bad_setting"));
}
