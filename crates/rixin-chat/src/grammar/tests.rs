use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn check(source: &str, good: &[&str], bad: &[&str]) {
    let grammar = ValidGrammar::gbnf(source).expect(source);
    for text in good {
        assert_eq!(grammar.matches(text), Ok(true), "{source:?} takes {text:?}");
    }
    for text in bad {
        assert_eq!(grammar.matches(text), Ok(false), "{source:?} refuses {text:?}");
    }
}

#[test]
fn gbnf_means_what_it_does_in_llama_cpp() {
    check("root ::= \"a\" | [b-d]+ # comment\n", &["a", "b", "bcd"], &["", "ab", "e"]);
    check("root ::= ( \"x\" y )*\ny ::= \"\\n\" | [^\\]]", &["", "x\n", "xaxb"], &["x", "x]"]);
    check("root ::= \"a\"{2} [0-9]{1,3} .?", &["aa1", "aa123好"], &["a1", "aa", "aa12345"]);
    check("root ::= \"\\u4f60\" \"\\x41\" |\n  \"\\U0001F642\"", &["你A", "🙂"], &["你"]);
    check("root ::=\n  \"a\" |\n  \"b\"\n", &["a", "b"], &["c"]);
    check("root ::= a\na ::= \"(\" a \")\" | ", &["", "((()))"], &["(()"]);
}

#[test]
fn mistakes_have_a_place() {
    for (source, line, column) in [
        ("root ::= \"a", 1, 12),
        ("root ::= x_y", 1, 11),
        ("root ::= \"a\"\nb = \"c\"", 2, 3),
        ("root ::= [z-a]", 1, 10),
        ("root ::= *", 1, 10),
        ("root ::= \"a\"{3,2}", 1, 13),
        ("root ::= \"a\"{99999}", 1, 14),
        ("root ::= (\"a\"", 1, 10),
        ("root ::= \"a\" missing", 1, 14),
        ("root ::= \"\\q\"", 1, 11),
        ("root ::= <[5]>", 1, 10),
        ("root ::= \"a\"\nroot ::= \"b\"", 2, 1),
    ] {
        match ValidGrammar::gbnf(source) {
            Err(GrammarError::Syntax { line: l, column: c, .. }) => {
                assert_eq!((l, c), (line, column), "{source:?}")
            }
            other => panic!("{source:?}: {other:?}"),
        }
    }
}

#[test]
fn bombs_are_refused() {
    let chain: String = (0..60).map(|i| format!("r{i} ::= r{} | r{}\n", i + 1, i + 1)).collect();
    let deep = format!("root ::= {}\"a\"{}", "(".repeat(2000), ")".repeat(2000));
    let long: String = (0..20_000).map(|i| format!("r{i} ::= r{}\n", i + 1)).collect();
    for source in [
        "root ::= root \"a\" | \"b\"".to_owned(),
        "root ::= a\na ::= b a | \"x\"\nb ::= c\nc ::= \"\"".to_owned(),
        "root ::= (\"a\"?)*".to_owned(),
        "root ::= ((\"a\"{0,100}){0,100}){0,100}".to_owned(),
        format!("root ::= r0\n{chain}r60 ::= \"a\""),
        format!("root ::= r0\n{long}r20000 ::= \"a\""),
        deep,
        "x".repeat(600 << 10),
        "a ::= \"b\"".to_owned(),
        "root ::= \"a\0\"".to_owned(),
        String::new(),
    ] {
        assert!(ValidGrammar::gbnf(&source).is_err(), "{}", &source[..source.len().min(60)]);
    }
}

#[test]
fn ambiguity_is_noticed_before_it_costs() {
    let grammar = ValidGrammar::gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"a\"").expect("valid");
    assert!(matches!(grammar.matches(&"a".repeat(100)), Err(GrammarError::Ambiguous { .. })));
    assert_eq!(grammar.matches("aab"), Ok(true));
}

fn schema(schema: Value) -> Result<ValidGrammar, GrammarError> {
    ValidGrammar::json_schema(&schema)
}

#[test]
fn schemas_become_grammars() {
    let person = schema(json!({
        "type": "object", "additionalProperties": false, "required": ["name"],
        "properties": {"name": {"type": "string", "maxLength": 5}, "age": {"type": "integer", "minimum": 0, "maximum": 120},
            "kind": {"enum": ["a", 1, null]}, "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2}},
        "$defs": {"tag": {"type": "object", "properties": {"t": {"$ref": "#/$defs/tag"}}}},
    }))
    .expect("a grammar");
    for good in [
        r#"{"name": "李四"}"#,
        r#"{"name": "x", "age": 120}"#,
        r#"{"name":"x","kind":null,"tags":[{},{"t":{}}]}"#,
    ] {
        assert_eq!(person.matches(good), Ok(true), "{good}");
    }
    for bad in [
        r#"{"age": 1}"#,
        r#"{"name": "abcdef"}"#,
        r#"{"name": "x", "age": 121}"#,
        r#"{"name": "x", "b": 1}"#,
        "",
    ] {
        assert_eq!(person.matches(bad), Ok(false), "{bad}");
    }
    let any = ValidGrammar::json_object().expect("a grammar");
    assert_eq!(any.matches(r#"{"a": [1, 2.5e3, {"b": "\u4f60"}]}"#), Ok(true));
    assert_eq!(any.matches("[1]"), Ok(false));
}

#[test]
fn mistakes_in_schemas_have_a_path() {
    let types: Vec<&str> = vec!["object"; 7];
    let mut nested = json!({"type": types});
    for _ in 0..12 {
        nested = json!({"type": types, "properties": {"a": nested}});
    }
    let mut deep = json!({});
    for _ in 0..100 {
        deep = json!({"items": deep});
    }
    for (wrong, path) in [
        (json!({"type": "strong"}), "#"),
        (json!({"properties": {"a": {"type": 5}}}), "#/properties/a"),
        (json!({"items": {"anyOf": []}}), "#/items/anyOf"),
        (json!({"anyOf": [{}, {"$ref": "#/$defs/x"}]}), "#/anyOf/1"),
        (json!({"anyOf": [{}, {"$ref": "http://x"}]}), "#/anyOf/1"),
        (json!({"type": "array", "minItems": 100_000}), "#"),
        (json!({"type": "string", "minLength": 3, "maxLength": 2}), "#"),
        (json!({"type": "string", "pattern": "x".repeat(5000)}), "#"),
        (json!({"enum": []}), "#"),
        (json!([1]), "#"),
        (json!(true), "#"),
    ] {
        match schema(wrong.clone()) {
            Err(GrammarError::Schema { path: found, .. }) => assert_eq!(found, path, "{wrong}"),
            other => panic!("{wrong}: {other:?}"),
        }
    }
    for bomb in
        [nested, deep, json!({"properties": {"你".repeat(300): {}}}), json!({"const": "x".repeat(200_000)})]
    {
        assert!(matches!(schema(bomb), Err(GrammarError::Schema { .. })));
    }
    // A loop of references is no grammar, or one without an end; either is an answer.
    let _ = schema(
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
    );
}

#[test]
fn names_get_a_prefix_and_literals_do_not() {
    let rules = "root ::= \"a \\\" b\" [a-z\\]x] b-c{1,3} space\nspace ::= | \" \"\n";
    assert_eq!(
        prefixed(rules, "t0-"),
        "t0-root ::= \"a \\\" b\" [a-z\\]x] t0-b-c{1,3} t0-space\nt0-space ::= | \" \"\n"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn any_text_is_survived(source in "(root ::= )?[a-c\"()|*+?{}0-9,\\[\\]\\\\ \n:=#.^<>-]{0,60}") {
        if let Ok(grammar) = ValidGrammar::gbnf(&source) {
            let _ = grammar.matches("abcabc");
        }
    }

    #[test]
    fn literals_match_themselves(text in "\\PC{0,20}") {
        let grammar = ValidGrammar::gbnf(&format!("root ::= {}", literal(&text))).expect("a literal");
        prop_assert_eq!(grammar.matches(&text), Ok(true));
    }
}
