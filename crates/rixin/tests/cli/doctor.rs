//! `rixin doctor`.

use crate::common::Home;

#[test]
fn the_report_has_its_fields() {
    let home = Home::new();
    let ran = home.run(&["doctor", "--json"]);
    let report = ran.json();
    assert_eq!(ran.code, Some(if report["ok"] == true { 0 } else { 1 }));
    assert!(report["cpu"]["physical_cores"].as_u64() >= Some(1));
    assert!(report["cpu"]["allowed_cores"].as_u64() >= Some(1));
    assert!(report["cpu"]["level"].is_string() && report["cpu"]["needs_level"].is_string());
    assert!(report["memory"]["total_bytes"].as_u64() > Some(1 << 28));
    assert!(report["disk"]["free_bytes"].is_u64());
    assert!(report["accelerators"].is_array());
    assert_eq!(report["backends"][0], "cpu");
    let checks = report["checks"].as_array().expect("checks");
    for id in
        ["cpu", "cpu_level", "memory", "disk", "data_dir", "accelerators", "pip", "npm", "ffmpeg", "port"]
    {
        let check = checks.iter().find(|check| check["id"] == id).unwrap_or_else(|| panic!("no check {id}"));
        assert!(check["message"]["en"].is_string() && check["message"]["zh"].is_string());
        assert!(check["status"] == "ok" || check["mend"].is_object() || check["status"] == "note", "{check}");
    }
}

#[test]
fn what_is_missing_is_named_with_its_mend() {
    let home = Home::new();
    // Nobody makes folders there, not even root.
    let inside = "/sys/rixin-test";
    let ran = home.run(&["doctor", "--data-dir", inside, "--set", "npm=no-such-npm"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.stdout.contains("✗") && ran.stdout.contains("--data-dir"), "{ran:?}");
    assert!(ran.stdout.contains("no-such-npm"), "{ran:?}");
    let zh = home.run(&["doctor", "--lang", "zh"]);
    assert!(zh.stdout.contains("处理器"), "{zh:?}");
}
