//! Help and syntax errors in both languages, as people see them. `TRYCMD=overwrite cargo test` takes a change over.

#[test]
fn help_in_both_languages() {
    let cases = trycmd::TestCases::new();
    cases.env("LANG", "C").env("RIXIN_DATA_DIR", "/nonexistent").case("tests/help/*.trycmd");
}
