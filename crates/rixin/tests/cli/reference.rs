//! docs/cli.md and docs/cli.zh-CN.md are what the binary says. `RIXIN_BLESS=1 cargo test` writes them anew.

use std::path::Path;

#[test]
fn the_pages_are_up_to_date() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    for (lang, name) in [("en", "cli.md"), ("zh", "cli.zh-CN.md")] {
        let made = crate::common::ran(crate::common::bare(&["--lang", lang, "reference"]));
        assert_eq!(made.code, Some(0), "{made:?}");
        let path = docs.join(name);
        if std::env::var_os("RIXIN_BLESS").is_some() {
            std::fs::create_dir_all(&docs).expect("the docs folder");
            std::fs::write(&path, &made.stdout).expect("the page can be written");
        }
        let page = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            page == made.stdout,
            "{name} is out of date: RIXIN_BLESS=1 cargo test --release -p rixin reference"
        );
    }
}
