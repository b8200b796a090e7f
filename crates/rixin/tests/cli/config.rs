//! `rixin config`: where values come from, and how mistakes are told.

use crate::common::Home;
use serde_json::Value;

fn setting(shown: &Value, name: &str) -> (String, String) {
    let rows = shown["settings"].as_array().expect("settings");
    let row = rows.iter().find(|row| row["name"] == name).expect("the setting");
    let text = |key: &str| row[key].as_str().expect("a text").to_owned();
    (text("value"), text("origin"))
}

#[test]
fn flag_over_environment_over_file_over_default() {
    let home = Home::new();
    std::fs::write(home.path().join("rixin.toml"), "slots = 3\nthreads = 2\nqueue = 9\n").expect("writes");
    let mut command = home.command(&["config", "show", "--json", "--set", "queue=7", "--lang", "zh"]);
    command.env("RIXIN_THREADS", "5");
    let shown = crate::common::ran(command).json();
    assert_eq!(setting(&shown, "slots"), ("3".into(), "file".into()));
    assert_eq!(setting(&shown, "threads"), ("5".into(), "environment".into()));
    assert_eq!(setting(&shown, "queue"), ("7".into(), "flag".into()));
    assert_eq!(setting(&shown, "lang"), ("zh".into(), "flag".into()));
    assert_eq!(setting(&shown, "batch_tokens").1, "default");
    assert_eq!(shown["file"], home.path().join("rixin.toml").display().to_string());
}

#[test]
fn every_setting_has_a_row_and_a_variable() {
    let home = Home::new();
    let table = home.run(&["config", "show"]).stdout;
    for (name, env, ..) in rixin_base::Settings::TABLE {
        assert!(table.lines().any(|line| line.starts_with(name) && line.contains(env)), "{name}: {table}");
    }
    let zh = home.run(&["config", "show", "--lang", "zh"]).stdout;
    assert!(zh.contains("数据") || zh.contains("文件夹"), "{zh}");
}

#[test]
fn one_setting_and_the_path() {
    let home = Home::new();
    let shown = home.run(&["config", "show", "RIXIN_SLOTS"]);
    assert_eq!(shown.stdout.lines().count(), 2, "{shown:?}");
    assert_eq!(home.run(&["config", "show", "slotz"]).code, Some(3));
    let path = home.json(&["config", "path", "--json"]);
    assert_eq!(path["exists"], false);
    assert_eq!(path["path"], home.path().join("rixin.toml").display().to_string());
}

#[test]
fn mistakes_are_named_in_both_languages() {
    let home = Home::new();
    let file = home.path().join("wrong.toml");
    std::fs::write(&file, "lissten = \"127.0.0.1:1\"").expect("writes");
    let file = file.display().to_string();
    let en = home.run(&["config", "show", "--config", &file]);
    assert_eq!(en.code, Some(2));
    assert!(en.stderr.contains("\"lissten\"") && en.stderr.contains("\"listen\""), "{en:?}");
    let zh = home.run(&["config", "show", "--config", &file, "--lang", "zh"]);
    assert!(zh.stderr.starts_with("错误：") && zh.stderr.contains("未知设置"), "{zh:?}");
    let json = home.run(&["config", "show", "--config", &file, "--json"]);
    assert_eq!((json.code, json.error().0.as_str()), (Some(2), "bad_setting"));
    assert_eq!(json.stdout, "");

    let set = home.run(&["config", "show", "--set", "slotz=1"]);
    assert!(set.code == Some(2) && set.stderr.contains("slotz"), "{set:?}");
    let set = home.run(&["config", "show", "--set", "slots=many"]);
    assert!(set.code == Some(2) && set.stderr.contains("slots"), "{set:?}");
    let missing = home.run(&["config", "show", "--config", "/no/such/file"]);
    assert!(missing.code == Some(2) && missing.stderr.contains("/no/such/file"), "{missing:?}");
    // A broken file does not stand in the way of help.
    assert_eq!(home.run(&["config", "--help", "--config", &file]).code, Some(0));
}

#[test]
fn the_language_follows_flag_setting_and_locale() {
    let home = Home::new();
    let says = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = home.command(args);
        command.envs(env.iter().copied());
        let ran = crate::common::ran(command);
        if ran.stdout.contains("设置") { "zh" } else { "en" }
    };
    assert_eq!(says(&["config", "show"], &[]), "en");
    assert_eq!(says(&["config", "show"], &[("LANG", "zh_CN.UTF-8")]), "zh");
    assert_eq!(says(&["config", "show"], &[("LANG", "zh_CN.UTF-8"), ("LC_ALL", "en_US.UTF-8")]), "en");
    assert_eq!(says(&["config", "show"], &[("RIXIN_LANG", "zh")]), "zh");
    assert_eq!(says(&["--lang=en", "config", "show"], &[("RIXIN_LANG", "zh")]), "en");
    std::fs::write(home.path().join("rixin.toml"), "lang = \"zh\"").expect("writes");
    assert_eq!(says(&["config", "show"], &[]), "zh");
    assert_eq!(says(&["config", "--help"], &[]), "zh");
}
