//! How the command behaves among other programs: pipes, completions, version.

use std::{io::Read, process::Stdio};

use crate::common::{Home, bare, ran};

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let home = Home::new();
    let mut command = home.command(&["completions", "bash"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary runs");
    // The reading end is closed before a line is read.
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("text");
    assert_eq!((child.wait().expect("it ends").code(), stderr.as_str()), (Some(0), ""));
}

#[test]
fn completions_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let made = ran(bare(&["completions", shell]));
        assert_eq!(made.code, Some(0));
        assert!(made.stdout.contains("rixin") && made.stdout.contains("doctor"), "{shell}");
    }
}

#[test]
fn version_in_text_and_json() {
    let version = format!("rixin {}\n", rixin_base::VERSION);
    assert_eq!(ran(bare(&["version"])).stdout, version);
    assert_eq!(ran(bare(&["--version"])).stdout, version);
    let json = ran(bare(&["version", "--json"])).json();
    assert_eq!(json["version"], rixin_base::VERSION);
    assert!(json["backends"].as_array().is_some_and(|list| list.iter().any(|name| name == "cpu")));
}

#[test]
fn the_api_document_is_json() {
    let document = ran(bare(&["openapi"])).json();
    assert!(document["paths"]["/v1/chat/completions"].is_object());
}

#[test]
fn a_syntax_error_is_json_for_scripts() {
    let wrong = ran(bare(&["--json", "srve"]));
    assert_eq!((wrong.code, wrong.error().0.as_str(), wrong.stdout.as_str()), (Some(2), "invalid_usage", ""));
}
