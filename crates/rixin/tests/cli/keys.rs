//! `rixin keys`: straight on the store.

use crate::common::Home;

#[test]
fn a_key_is_made_listed_and_revoked() {
    let home = Home::new();
    let made = home.json(&["keys", "create", "ci", "--role", "admin", "--json"]);
    let secret = made["key"].as_str().expect("the key").to_owned();
    let id = made["id"].as_str().expect("an id").to_owned();
    assert!(secret.starts_with("rx-"), "{secret}");
    assert_eq!((made["name"].as_str(), made["role"].as_str()), (Some("ci"), Some("admin")));

    let second = home.run(&["keys", "create", "同事"]);
    assert_eq!(second.code, Some(0));
    assert_eq!(second.stdout.lines().count(), 1, "only the key is on standard output: {second:?}");

    let listed = home.run(&["keys", "list", "--json"]);
    assert!(!listed.stdout.contains(&secret), "a secret is shown once");
    let listed = listed.json();
    let keys = listed["data"].as_array().expect("keys");
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[1]["role"], "member");
    let table = home.run(&["keys", "list", "--lang", "zh"]).stdout;
    assert!(table.contains("同事") && table.contains("有效"), "{table}");

    // By the start of the key, as the list shows it.
    let member = keys[1]["prefix"].as_str().expect("a prefix");
    let revoked = home.json(&["keys", "revoke", member, "--json"]);
    assert!(revoked["revoked_at"].is_i64());
    assert_eq!(home.json(&["keys", "list", "--json"])["data"].as_array().map(Vec::len), Some(1));
    assert_eq!(home.json(&["keys", "list", "--all", "--json"])["data"].as_array().map(Vec::len), Some(2));

    let last = home.run(&["keys", "revoke", &id, "--json"]);
    assert_eq!(last.code, Some(1), "the last admin key stays: {last:?}");
    let unknown = home.run(&["keys", "revoke", "rx-nobody", "--json"]);
    assert_eq!((unknown.code, unknown.error().0.as_str()), (Some(3), "not_found"));
    let empty = home.run(&["keys", "create", " "]);
    assert_eq!(empty.code, Some(2), "{empty:?}");
}

#[test]
fn a_folder_that_can_not_be_written_is_named() {
    let home = Home::new();
    // Nobody makes folders there, not even root.
    let inside = "/sys/rixin-test";
    let ran = home.run(&["keys", "list", "--data-dir", inside, "--json"]);
    let (code, message) = ran.error();
    assert_eq!((ran.code, code.as_str()), (Some(1), "read_only"));
    assert!(message.contains(inside), "{message}");
}
